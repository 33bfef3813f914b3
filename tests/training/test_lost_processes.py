"""Processes of a distributed training that die: who is named, and how the others go on."""

import os
import re
import signal
import socket
import time
from pathlib import Path

import pytest

from mmotion.checkpoint import load_checkpoint_file
from tests.command_lines import TOY
from tests.training_runs import (
    assert_same,
    finish_dist_script,
    read_losses,
    run_dist_script,
    start_dist_script,
)

# of the issue: a process that dies ends the job within a minute
LIMIT_S = 60
# four steps an epoch with two processes
STEP = 6


def write_config(tmp_path, **hook):
    """A toy whose process dies once."""
    hook = {'type': 'DieOnce', 'note': str(tmp_path / 'died'), 'step': STEP, **hook}
    config = tmp_path / 'dying.py'
    config.write_text(
        f"_base_ = ['{TOY}']\ncustom_hooks = [{hook}]\n"
        f"import sys\nsys.path.append('{Path(TOY).parent}')\ndel sys\n"
    )
    return config


@pytest.mark.parametrize(
    ('num_processes', 'rank', 'killed'),
    [
        pytest.param(2, 1, True, id='kill_1_of_2'),
        pytest.param(2, 0, True, id='kill_0_of_2', marks=pytest.mark.slow),
        pytest.param(2, 1, False, id='raise_1_of_2', marks=pytest.mark.slow),
        pytest.param(4, 2, True, id='kill_2_of_4', marks=pytest.mark.slow),
        pytest.param(4, 3, False, id='raise_3_of_4', marks=pytest.mark.slow),
    ],
)
def test_a_process_that_dies_ends_the_job_and_is_named(tmp_path, num_processes, rank, killed):
    config = write_config(tmp_path, rank=rank, killed=killed, step=3)
    process, log = start_dist_script('dist_train.sh', config, num_processes, cwd=tmp_path)
    died = tmp_path / 'died'
    while not died.exists() and process.poll() is None:
        time.sleep(0.05)
    start = time.monotonic()
    code, output = finish_dist_script(process, log)
    assert code == 1
    assert time.monotonic() - start < LIMIT_S
    cause = output[output.rindex('Root Cause') :]
    assert re.search(rf'rank +: {rank} \(local_rank: {rank}\)', cause), cause
    assert ('(SIGKILL)' if killed else 'RuntimeError: a kernel has failed') in cause


@pytest.mark.slow
@pytest.mark.parametrize('rank', [0, 1])
def test_restarted_processes_go_on_from_the_last_checkpoint(tmp_path, rank):
    config = write_config(tmp_path, rank=rank)
    options = ('--cfg-options', 'train_dataloader.num_workers=1')
    run_dist_script(
        *('dist_train.sh', config, 2, '--work-dir', 'restarted', *options),
        cwd=tmp_path,
        MAX_RESTARTS='1',
    )
    # now that the note is there, nobody dies
    run_dist_script('dist_train.sh', config, 2, '--work-dir', 'whole', *options, cwd=tmp_path)
    restarted, whole = (
        load_checkpoint_file(tmp_path / folder / 'epoch_2.pth') for folder in ('restarted', 'whole')
    )
    for key in ('state_dict', 'optimizer'):
        assert_same(whole[key], restarted[key])
    assert read_losses(tmp_path / 'restarted') == read_losses(tmp_path / 'whole')


def start_machines(config, tmp_path, *arguments, **environment):
    """Start two launchers, as if each were a machine with one process."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = str(free.getsockname()[1])
    return [
        start_dist_script(
            *('dist_train.sh', config, 1, '--work-dir', 'run', *arguments),
            cwd=tmp_path,
            NODE_RANK=str(rank),
            PORT=port,
            MAX_RESTARTS='1',
            **environment,
        )
        for rank in range(2)
    ]


@pytest.mark.slow
def test_two_machines_restart_together(tmp_path):
    config = write_config(tmp_path, rank=1)
    machines = start_machines(config, tmp_path, NNODES='2')
    ends = [finish_dist_script(*machine) for machine in machines]
    assert [code for code, _ in ends] == [0, 0], ends
    assert (tmp_path / 'died').exists()
    assert sorted(read_losses(tmp_path / 'run')) == [*range(1, 9)]


@pytest.mark.slow
def test_one_machine_goes_on_when_the_other_is_gone(tmp_path):
    options = ('--no-validate', '--cfg-options', 'train_cfg.max_epochs=200')
    machines = start_machines(TOY, tmp_path, *options, NNODES='1:2')
    (first, log), (second, _) = machines
    # until an epoch of both is done
    while max(read_losses(tmp_path / 'run'), default=0) < 8 and first.poll() is None:
        time.sleep(0.05)
    # what torchrun has started lives on without it
    children = Path(f'/proc/{second.pid}/task/{second.pid}/children').read_text().split()
    for process in (second.pid, *map(int, children)):
        os.kill(process, signal.SIGKILL)
    second.wait()
    code, output = finish_dist_script(first, log)
    assert code == 0, output[-6000:]
    # 64 samples by 8, and before by 16
    assert 'an epoch has 8 steps of 8 samples now, and had 4 of 16' in output
    last = load_checkpoint_file(tmp_path / 'run' / 'epoch_200.pth')['meta']
    assert (last['iter'], last['epoch_length']) == (1600, 8)
