"""Time a training step of a config in float32 and in mixed precision, in turn, on one batch.

`ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2` lets a CPU with AVX-512 behave as one without.

Example:
    mmotion tool time_precision timesformer_shapes
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from typing import Any, cast

import torch

from mmotion.config import load_config
from mmotion.training.precision import has_fast_bfloat16
from mmotion.training.runner import Runner, build_runner


def build_steps(name: str, work_dir: str) -> Runner:
    """Build the runner of a config with its optimizer, without validation."""
    config = load_config(name, {'log_level': 'ERROR', 'train_dataloader.num_workers': 0})
    config.train_dataloader.pop('persistent_workers', None)
    runner = cast(Runner, build_runner(config, work_dir=work_dir, validate=False))
    runner.optim_wrapper = runner.build_optim_wrapper(cast(dict, runner.optim_wrapper))
    return runner


def time_steps(runner: Runner, batch: dict, steps: int) -> dict[str, list[float]]:
    """Seconds of a training step, by precision."""
    model: Any = runner.model.train()
    optimizer: Any = runner.optim_wrapper
    seconds: dict[str, list[float]] = {'float32': [], 'bfloat16': []}
    # the first round warms up
    for number in range(steps + 1):
        for name, times in seconds.items():
            start = time.perf_counter()
            with torch.autocast('cpu', dtype=torch.bfloat16, enabled=name == 'bfloat16'):
                data = model.data_preprocessor(batch, True)
                losses = model(**data, mode='loss')
            loss, _ = model.parse_losses(losses)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if number:
                times.append(time.perf_counter() - start)
    return seconds


def main(argv: Sequence[str] | None = None) -> None:
    """Print the medians, and what a training chooses here."""
    parser = argparse.ArgumentParser(description='Time steps in two precisions.')
    parser.add_argument('configs', nargs='+', metavar='CONFIG')
    parser.add_argument('--steps', type=int, default=5, help='steps of each; default: 5')
    args = parser.parse_args(argv)
    print(f'CPU: {torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads')
    chosen = 'bfloat16' if has_fast_bfloat16() else 'float32'
    for name in args.configs:
        with tempfile.TemporaryDirectory() as work_dir:
            runner = build_steps(name, work_dir)
            batch = next(iter(runner.build_dataloader(runner.cfg.train_dataloader, seed=0)))
            seconds = time_steps(runner, batch, args.steps)
        medians = {key: statistics.median(times) for key, times in seconds.items()}
        told = ', '.join(f'{key} {value:.3f} s' for key, value in medians.items())
        print(f'{name}: {told} a step; chosen here: {chosen}', flush=True)


if __name__ == '__main__':
    main()
