"""Print a config as it is run, with its bases and the options.

Example:
    mmotion print-config repnet_shapes --cfg-options optim_wrapper.optimizer.lr=0.01
    mmotion print-config repnet_shapes --keys model optim_wrapper
    mmotion print-config repnet_shapes --out my_repnet.py
"""

import argparse
from pathlib import Path

from mmotion.atomic import write_atomically
from mmotion.cli.shared_arguments import add_config_arguments, read_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mmotion print-config`."""
    add_config_arguments(parser)
    parser.add_argument('--keys', nargs='+', metavar='KEY', help='only these, such as model')
    parser.add_argument(
        '--out', metavar='FILE', type=Path, help='write it to a file, which can be run (.py)'
    )


def run(args: argparse.Namespace) -> int:
    """Print the config, or write it."""
    config = read_config(args.config, args.cfg_options, *(args.keys or ()))
    from mmengine.config import Config

    if args.keys:
        config = Config({key: config.get(key) for key in args.keys})
    if args.out is None:
        print(config.pretty_text, end='')
        return 0
    if args.out.suffix != '.py':
        raise ValueError(f'--out must end in .py, as a config does, got --out {args.out}')
    with write_atomically(args.out) as temporary:
        temporary.write_text(config.pretty_text, encoding='utf-8')
    print(f'config written to {args.out}')
    return 0
