"""Fetch released weights ahead, for instance for a machine that will be offline."""

import argparse
import inspect
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mmotion download`."""
    parser.add_argument('names', nargs='*', metavar='NAME', help='see "mmotion models"')
    parser.add_argument(
        '--all-for',
        nargs='+',
        action='extend',
        default=[],
        metavar='CONFIG',
        help='whatever predicting and training with these configs would fetch',
    )
    parser.add_argument(
        '--from',
        dest='file',
        type=Path,
        metavar='FILE',
        help='the file of the one NAME, downloaded by other means',
    )


def run(args: argparse.Namespace) -> int:
    """Fetch, and print where everything is."""
    from mmotion.checkpoint.released import fetch_released, find_released

    if not (args.names or args.all_for):
        raise ValueError('NAME or --all-for CONFIG must be given, got neither')
    if args.file and (len(args.names) != 1 or args.all_for):
        raise ValueError(
            f'--from must come with one NAME, got {len(args.names)}; give one file after the other'
        )
    for name in args.names:
        find_released(name)
    for name in args.names:
        print(f'{name}: {fetch_released(name, args.file)}')
    for config in args.all_for:
        fetch_for_config(config)
    return 0


def fetch_for_config(name: str) -> None:
    """Fetch what a config predicts with, and what its training starts from."""
    from mmotion.checkpoint import find_weights
    from mmotion.checkpoint.released import fetch_released
    from mmotion.config import load_config
    from mmotion.keypoints.detectors import DEFAULT_DETECTOR, DETECTORS
    from mmotion.registry import MODELS, PREDICTORS

    config = load_config(name)
    if config.get('released_weights'):
        print(f'{name}: {find_weights(config)}')
    kind = PREDICTORS.get(config.predictor.type) if config.get('predictor') else None
    if kind and 'detector' in inspect.signature(kind).parameters:
        print(f'{name}: {fetch_released(DETECTORS[DEFAULT_DETECTOR].released)}')
    MODELS.build(config.model).init_weights()
    print(f'{name}: what its training starts from is here')
