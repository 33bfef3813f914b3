"""Train a detector with embeddings from the cache and by the published loop, and compare the two.

The published loop runs the frozen backbone in every step. The same config, seed and clips are
trained three times: so, with an empty cache, and with the cache that this has left. The losses of
all steps must agree to float noise, as the scorer, its dropout and the order of the clips are the
same.

Files written into the work dir: published/, cold/, warm/, the runs; embeddings/, the cache. The
folder is emptied first.

Example:
    mmotion benchmark embedding_cache anomaly_ucf_sports_r2plus1d
"""

import argparse
import copy
import shutil
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmotion.cli.shared_arguments import add_config_arguments, read_config
from mmotion.training.runner import build_runner

# the published loop first, as the speed of the others is told in its terms
VARIANTS = ('published', 'cold', 'warm')


@dataclass(frozen=True)
class Measured:
    """What a run took and gave.

    Attributes:
        seconds: Of training, computing the embeddings included.
        losses: Of each step.
        steps_per_epoch: Steps in an epoch.
    """

    seconds: float
    losses: Sequence[float]
    steps_per_epoch: int

    def epoch_means(self) -> list[float]:
        """Mean loss of each epoch."""
        size = self.steps_per_epoch
        starts = range(0, len(self.losses), size)
        return [statistics.fmean(self.losses[start : start + size]) for start in starts]


class LossHook(Hook):
    """Keeps the loss of every step."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Take the loss of a step."""
        self.losses.append(outputs['loss'].item())


def prepare(config: Config, variant: str, *, epochs: int, cache_dir: Path) -> Config:
    """Make the config of a run.

    Args:
        config: Of training a detector whose clips pass through `EmbeddedClips`.
        variant: One of `VARIANTS`.
        epochs: How many.
        cache_dir: Folder of the embeddings.

    Returns:
        A copy.

    Raises:
        ValueError: If the config does not use embeddings.
    """
    config = copy.deepcopy(config)
    hooks = config.get('custom_hooks') or []
    dataset = config.train_dataloader.dataset
    if dataset.type != 'EmbeddedClips' or not any(h['type'] == 'EmbeddingHook' for h in hooks):
        raise ValueError(
            'config must have an EmbeddedClips to train on and the EmbeddingHook, got '
            f'{dataset.type} and {", ".join(h["type"] for h in hooks) or "no hooks"}'
        )
    if config.train_cfg.get('type', 'EpochBasedTrainLoop') != 'EpochBasedTrainLoop':
        raise ValueError(
            'config must train in epochs, got '
            f'train_cfg.type={config.train_cfg.type!r}; take one of an autoencoder'
        )
    # only what differs is timed
    dropped = {'CalibrationHook', *(['EmbeddingHook'] if variant == 'published' else [])}
    config.custom_hooks = [hook for hook in hooks if hook['type'] not in dropped]
    config.train_cfg.max_epochs = epochs
    dataset.cache_dir = str(cache_dir)
    return config


def measure(config: Config, work_dir: Path, *, seed: int) -> Measured:
    """Train without validation and take the time."""
    runner = build_runner(config, work_dir=work_dir, seed=seed, validate=False)
    hook = LossHook()
    runner.register_hook(hook)
    start = time.perf_counter()
    runner.train()
    seconds = time.perf_counter() - start
    return Measured(seconds, hook.losses, len(runner.train_dataloader))


def compare(config: Config, *, epochs: int, work_dir: Path, seed: int = 0) -> dict[str, Measured]:
    """Train each of `VARIANTS`.

    Args:
        config: Of training a detector.
        epochs: How many.
        work_dir: Folder of the runs, which is emptied.
        seed: Of all random numbers.

    Returns:
        What each took and gave, by its name.
    """
    cache_dir = work_dir / 'embeddings'
    configs = {
        variant: prepare(config, variant, epochs=epochs, cache_dir=cache_dir)
        for variant in VARIANTS
    }
    for name in (*VARIANTS, cache_dir.name):
        shutil.rmtree(work_dir / name, ignore_errors=True)
    return {name: measure(each, work_dir / name, seed=seed) for name, each in configs.items()}


def describe(found: Mapping[str, Measured]) -> list[str]:
    r"""Give the lines of the report.

    Example:
        >>> found = {'published': Measured(90.0, [2.0, 1.0], 1), 'cold': Measured(9.0, [2, 1], 1)}
        >>> print('\n'.join(describe(found)))
        | run | wall time | faster | largest difference of the loss of a step |
        |---|---|---|---|
        | published | 90.0 s | 1.0 x | |
        | cold | 9.0 s | 10.0 x | 0.0e+00, of the loss 0.0e+00 |
        <BLANKLINE>
        | epoch | published | cold |
        |---|---|---|
        | 1 | 2.000000 | 2.000000 |
        | 2 | 1.000000 | 1.000000 |
    """
    published = found['published']
    lines = [
        '| run | wall time | faster | largest difference of the loss of a step |',
        '|---|---|---|---|',
        f'| published | {published.seconds:.1f} s | 1.0 x | |',
    ]
    for name in [name for name in found if name != 'published']:
        run = found[name]
        pairs = list(zip(run.losses, published.losses, strict=True))
        absolute = max(abs(one - other) for one, other in pairs)
        relative = max(abs(one - other) / max(abs(other), 1e-12) for one, other in pairs)
        lines.append(
            f'| {name} | {run.seconds:.1f} s | {published.seconds / run.seconds:.1f} x | '
            f'{absolute:.1e}, of the loss {relative:.1e} |'
        )
    lines += ['', f'| epoch | {" | ".join(found)} |', f'|---{"|---" * len(found)}|']
    for epoch, means in enumerate(zip(*(run.epoch_means() for run in found.values()), strict=True)):
        lines.append(f'| {epoch + 1} | {" | ".join(f"{mean:.6f}" for mean in means)} |')
    return lines


def main() -> None:
    """Train three times and print the report."""
    parser = argparse.ArgumentParser(
        description='Compare training on embeddings from the cache with the published loop.'
    )
    add_config_arguments(parser)
    parser.add_argument('--epochs', type=int, default=10, help='default: 10')
    parser.add_argument('--seed', type=int, default=0, help='default: 0')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/benchmark_cache'))
    args = parser.parse_args()
    if args.epochs < 1:
        parser.error(f'--epochs must be at least 1, got --epochs {args.epochs}')
    config = read_config(args.config, args.cfg_options, 'model')
    try:
        found = compare(config, epochs=args.epochs, work_dir=args.work_dir, seed=args.seed)
    except ValueError as error:
        parser.error(str(error))
    print('\n'.join(describe(found)))
    if not any((args.work_dir / 'embeddings').glob('*/*.npy')):
        print('\nThese clips are generated and not stored on disk: warm is cold once more.')


if __name__ == '__main__':
    main()
