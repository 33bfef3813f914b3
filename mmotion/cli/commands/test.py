"""Measure a trained model on its test set."""

import argparse
from pathlib import Path
from typing import Any

from mmotion.atomic import check_not_kept
from mmotion.cli.shared_arguments import (
    add_config_arguments,
    add_run_arguments,
    read_config,
    set_local_rank,
)

DUMP_SUFFIXES = ('.json', '.pkl', '.pickle')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mmotion test`."""
    add_config_arguments(parser)
    parser.add_argument(
        'checkpoint',
        metavar='CHECKPOINT',
        nargs='?',
        help="weights; left out: those that ship with the config; 'random': an untrained model",
    )
    add_run_arguments(parser)
    parser.add_argument('--dump', metavar='FILE', help='write all results to a .json or .pkl file')
    parser.add_argument(
        '--per-class',
        action='store_true',
        help='print the accuracy of each class, and what it is taken for',
    )
    parser.add_argument('--show-dir', metavar='DIR', help='draw all results into a folder')


def run(args: argparse.Namespace) -> int:
    """Test as the arguments say."""
    set_local_rank(args)
    if args.dump and Path(args.dump).suffix not in DUMP_SUFFIXES:
        raise ValueError(
            f'--dump must end in one of {", ".join(DUMP_SUFFIXES)}, got --dump {args.dump}'
        )
    if args.dump:
        check_not_kept(args.dump)
    needed = ('model', 'test_dataloader', 'test_cfg', 'test_evaluator')
    config = read_config(args.config, args.cfg_options, *needed)
    from mmotion.checkpoint import find_weights

    if args.show_dir:
        _check_drawable(config.model.get('type'))
    if args.per_class:
        _ask_for_classes(config)
    checkpoint = find_weights(config, args.checkpoint)
    from mmotion.training.processes import stop_processes
    from mmotion.training.runner import build_runner

    added_hooks: list[dict[str, Any]] = []
    if args.dump and Path(args.dump).suffix == '.json':
        added_hooks.append({'type': 'WriteResultsHook', 'path': args.dump})
    elif args.dump:
        evaluators = config.test_evaluator
        evaluators = evaluators if isinstance(evaluators, list) else [evaluators]
        config.test_evaluator = [*evaluators, {'type': 'DumpResults', 'out_file_path': args.dump}]
    if args.show_dir:
        added_hooks.append({'type': 'ShowResultsHook', 'out_dir': args.show_dir})
    config.custom_hooks = [*(config.get('custom_hooks') or []), *added_hooks]
    config.update(load_from=None, resume=False)
    runner = build_runner(
        config, work_dir=args.work_dir, load_from=checkpoint, launcher=args.launcher
    )
    runner.test()
    stop_processes()
    return 0


def _ask_for_classes(config: Any) -> None:
    """Let the metrics of classes log each class."""
    evaluators = config.test_evaluator
    evaluators = evaluators if isinstance(evaluators, list) else [evaluators]
    asked = [evaluator for evaluator in evaluators if evaluator.get('type') == 'ActionMetric']
    if not asked:
        kinds = ', '.join(str(evaluator.get('type')) for evaluator in evaluators)
        raise ValueError(
            f'--per-class must be used with a metric of classes, ActionMetric, got {kinds}; leave '
            'it out'
        )
    for evaluator in asked:
        evaluator.per_class = True


def _check_drawable(kind: Any) -> None:
    """Refuse `--show-dir` for a model that says of itself that its samples cannot be drawn."""
    from mmotion.registry import MODELS

    kind = MODELS.get(kind) if isinstance(kind, str) else kind
    if not getattr(kind, 'has_drawable_samples', True):
        raise ValueError(
            '--show-dir must be used with a model whose test samples hold a result or scores of '
            f'classes, got model.type={kind.__name__!r}; "mmotion predict --draw" draws all systems'
        )
