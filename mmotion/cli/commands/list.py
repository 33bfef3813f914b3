"""List configs, systems or registered names."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mmotion list`."""
    parser.add_argument(
        'kind',
        nargs='?',
        default='configs',
        help='configs (default), systems, models, datasets, transforms, metrics, hooks, ...',
    )


def run(args: argparse.Namespace) -> int:
    """Print one name a line, each with its description."""
    from mmotion.cli.catalog import list_entries

    entries = list_entries(args.kind)
    width = max((len(name) for name, _ in entries), default=0)
    for name, description in entries:
        print(f'{name:<{width}}  {description}'.rstrip())
    return 0
