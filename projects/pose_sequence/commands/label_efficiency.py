r"""Measure what pretraining without labels is worth where few labels are known.

One run pretrains the encoder. Then, for each seed, a share of the labels is chosen, a linear probe
is trained on the pretrained encoder, and the same network is trained from scratch, both with these
labels alone. The data set must have the options `label_share` and `label_seed`.

Files written into the work dir:
    pretrain/, probe_seed_0/, scratch_seed_0/, ...: the runs; `result.json` in those that are done
    label_efficiency.csv: a row a run with `method`, `seed` and the metric

Start the same command again to go on where it was stopped: a run that is done is not done again.

Example:
    mmotion label-efficiency pose_simclr_shapes --probe pose_probe_shapes \
        --scratch pose_convlstm_shapes --share 0.05 --seeds 5
"""

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmotion.atomic import write_atomically
from mmotion.cli.shared_arguments import add_config_options

HOW_TO_GO_ON = '; the same command goes on'
METRIC = 'acc/top1'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument('pretrain', metavar='CONFIG', help='trains the encoder without labels')
    parser.add_argument(
        '--probe', required=True, metavar='CONFIG', help='trains a linear layer on the encoder'
    )
    parser.add_argument(
        '--scratch', required=True, metavar='CONFIG', help='trains the same network without it'
    )
    parser.add_argument('--share', type=float, default=0.05, help='of the labels; default: 0.05')
    parser.add_argument('--seeds', type=int, default=5, help='how many; default: 5')
    parser.add_argument('--metric', default=METRIC, help=f'default: {METRIC}')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/label_efficiency'))
    add_config_options(parser, '--pretrain-options', 'the first config')
    add_config_options(parser, what='the other two configs')


def run(args: argparse.Namespace) -> int:
    """Run what is missing, print the report and write the table."""
    if args.seeds < 1 or not 0 < args.share <= 1:
        raise ValueError(
            '--seeds must be at least 1 and --share in (0, 1], got '
            f'--seeds {args.seeds} and --share {args.share:g}'
        )
    from mmotion.config import read_options

    seeds = range(args.seeds)
    found = compare(
        args.pretrain,
        args.probe,
        args.scratch,
        share=args.share,
        seeds=seeds,
        work_dir=args.work_dir,
        options=read_options(args.cfg_options or ()),
        pretrain_options=read_options(args.pretrain_options or ()),
        metric=args.metric,
    )
    write_table(found, seeds, args.work_dir / 'label_efficiency.csv', metric=args.metric)
    print('\n'.join(describe(found, share=args.share, metric=args.metric)))
    return 0


def run_once(
    config: str,
    options: Mapping[str, Any],
    work_dir: Path,
    *,
    seed: int,
    metric: str | None,
) -> float | None:
    """Train by a config and test, unless that is done already.

    Args:
        config: Name or path.
        options: Changes, as `--cfg-options`.
        work_dir: Folder of the run; a run that was stopped there goes on.
        seed: Of all random numbers.
        metric: What to return of the test; None leaves the test out.

    Returns:
        The metric.

    Raises:
        ValueError: If the folder holds a run with other options, or the test has no such metric.
    """
    done = work_dir / 'result.json'
    settings = json.loads(json.dumps({'config': config, 'options': options, 'seed': seed}))
    if done.is_file():
        found = json.loads(done.read_text(encoding='utf-8'))
        if found['settings'] != settings:
            raise ValueError(
                f'work_dir must hold a run with the same options, got {work_dir} with '
                f'{found["settings"]} instead of {settings}; choose another --work-dir'
            )
        return found['metrics'].get(metric)
    from mmotion.checkpoint.files import find_last_checkpoint
    from mmotion.config import load_config
    from mmotion.training.runner import build_runner

    runner = build_runner(
        load_config(config, dict(options)),
        work_dir=work_dir,
        # where nothing is to be resumed, `load_from` of the config holds
        resume='auto' if find_last_checkpoint(work_dir) else None,
        seed=seed,
        validate=False,
    )
    runner.train()
    metrics = {} if metric is None else dict(runner.test())
    if metric is not None and metric not in metrics:
        raise ValueError(
            f'metric must be one that {config} measures, got metric={metric!r} and '
            f'{", ".join(metrics)}'
        )
    with write_atomically(done) as temporary:
        content = {'settings': settings, 'metrics': metrics}
        temporary.write_text(json.dumps(content), encoding='utf-8')
    return metrics.get(metric)


def compare(
    pretrain: str,
    probe: str,
    scratch: str,
    *,
    share: float,
    seeds: Sequence[int],
    work_dir: Path,
    options: Mapping[str, Any] | None = None,
    pretrain_options: Mapping[str, Any] | None = None,
    metric: str = METRIC,
) -> dict[str, list[float]]:
    """Pretrain once; probe and train from scratch for each seed.

    Args:
        pretrain: Config that trains the encoder without labels.
        probe: Config that trains a linear layer on it.
        scratch: Config that trains the same network without it.
        share: Share of the labels, in (0, 1].
        seeds: One or more.
        work_dir: Folder of all runs.
        options: Changes of the last two configs, as `--cfg-options`.
        pretrain_options: Changes of the first one.
        metric: What the test of the last two is measured by.

    Returns:
        For 'probe' and 'scratch' the metric of each seed.
    """
    from mmotion.checkpoint.files import find_last_checkpoint

    run_once(pretrain, pretrain_options or {}, work_dir / 'pretrain', seed=0, metric=None)
    checkpoint = find_last_checkpoint(work_dir / 'pretrain')
    found: dict[str, list[float]] = {'probe': [], 'scratch': []}
    for seed in seeds:
        chosen = {
            **(options or {}),
            'train_dataloader.dataset.label_share': share,
            'train_dataloader.dataset.label_seed': seed,
        }
        for method, config, more in (
            ('probe', probe, {'load_from': str(checkpoint)}),
            ('scratch', scratch, {}),
        ):
            value = run_once(
                config,
                {**chosen, **more},
                work_dir / f'{method}_seed_{seed}',
                seed=seed,
                metric=metric,
            )
            found[method].append(float(value or 0.0))
    return found


def describe(found: Mapping[str, Sequence[float]], *, share: float, metric: str) -> list[str]:
    """Give the lines of the report: mean and standard deviation over the seeds.

    Example:
        >>> lines = describe(
        ...     {'probe': [0.9, 0.8], 'scratch': [0.6, 0.6]}, share=0.05, metric='acc/top1'
        ... )
        >>> print(lines[-1])
        the probe is better by 25.0 +- 7.1 points, in 2 of 2 seeds
    """
    lines = [f'{metric} with {share:.1%} of the labels, {len(found["probe"])} seeds']
    for method, values in found.items():
        each = ' '.join(f'{value:.4f}' for value in values)
        lines.append(
            f'{method:>8}: {statistics.fmean(values):.4f} +- {_spread(values):.4f}  {each}'
        )
    pairs = zip(found['probe'], found['scratch'], strict=True)
    gains = [100 * (probe - scratch) for probe, scratch in pairs]
    better = sum(gain > 0 for gain in gains)
    lines.append(
        f'the probe is better by {statistics.fmean(gains):.1f} +- {_spread(gains):.1f} points, in '
        f'{better} of {len(gains)} seeds'
    )
    return lines


def write_table(
    found: Mapping[str, Sequence[float]], seeds: Sequence[int], path: Path, *, metric: str
) -> None:
    """Write a row for each run."""
    from mmotion.tables import write_table

    rows = (
        (method, seed, f'{value:.5f}')
        for method, values in found.items()
        for seed, value in zip(seeds, values, strict=True)
    )
    write_table(path, ['method', 'seed', metric], rows)


def _spread(values: Sequence[float]) -> float:
    """Standard deviation of a sample; 0 for a single value."""
    return statistics.stdev(values) if len(values) > 1 else 0.0
