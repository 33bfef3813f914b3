"""Training runs that are stopped, gone on with, spread over processes, and compared."""

import contextlib
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from mmotion.training.runner import build_runner

TOOLS = Path(__file__).resolve().parents[1] / 'tools'


def train(config, **kwargs):
    runner = build_runner(config, **kwargs)
    runner.train()
    return runner


def read_losses(work_dir):
    """Read the logged loss, smoothed over the last steps, of each step; later runs win."""
    losses = {}
    for file in sorted(work_dir.glob('*/vis_data/scalars.json'), key=os.path.getmtime):
        for line in file.read_text().splitlines():
            # a killed process may have left half a line
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:
                continue
            if 'loss' in entry:
                losses[entry['step']] = entry['loss'], entry['lr']
    return losses


def assert_same(one, other):
    assert one.keys() == other.keys()
    for key in one:
        if isinstance(one[key], dict):
            assert_same(one[key], other[key])
        elif isinstance(one[key], torch.Tensor):
            assert torch.equal(one[key], other[key]), key


def run_in_child(config, work_dir):
    """Start training in a forked process, which saves the seconds that imports take."""

    def run():
        os.setsid()
        with open(os.devnull, 'w') as nowhere:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        train(config, work_dir=work_dir, resume='auto')

    process = multiprocessing.get_context('fork').Process(target=run)
    process.start()
    return process


def kill_after(step, process, work_dir):
    """Kill a run, with its data workers, soon after it has logged a step."""
    while process.is_alive() and max(read_losses(work_dir), default=0) < step:
        time.sleep(0.01)
    time.sleep(random.SystemRandom().uniform(0, 0.05))
    os.killpg(process.pid, signal.SIGKILL)
    process.join()
    assert process.exitcode == -signal.SIGKILL, step


def start_dist_script(name, *arguments, cwd, **environment):
    """Start one of tools/dist_*.sh with processes on the CPU; gives it and the file it prints to.

    It leads a group of processes.
    """
    kept = {key: value for key, value in os.environ.items() if key != 'PYTHONPATH'}
    descriptor, log = tempfile.mkstemp('.log', dir=cwd)
    with open(descriptor, 'w') as output:
        process = subprocess.Popen(
            ['bash', TOOLS / name, *map(str, arguments)],
            cwd=cwd,
            env={**kept, 'CUDA_VISIBLE_DEVICES': '', 'PYTHON': sys.executable, **environment},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    return process, Path(log)


def finish_dist_script(process, log, limit_s=300):
    """Wait for such a script, and give its exit code and what it has printed."""
    try:
        process.wait(limit_s)
    finally:
        # nobody is left behind
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, log.read_text()


def run_dist_script(name, *arguments, cwd, **environment):
    """Run such a script to its end, and give what it has printed."""
    code, output = finish_dist_script(*start_dist_script(name, *arguments, cwd=cwd, **environment))
    assert code == 0, output[-6000:]
    return output
