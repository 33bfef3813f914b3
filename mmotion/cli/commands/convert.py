"""Convert released weights to ours."""

import argparse
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mmotion.paths import enable_projects

if TYPE_CHECKING:
    from torch import Tensor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mmotion convert`."""
    parser.add_argument('system', metavar='SYSTEM', help='see "mmotion list systems"')
    parser.add_argument('source', metavar='SRC', help='released checkpoint')
    parser.add_argument('target', metavar='DST', help='file to write')


def run(args: argparse.Namespace) -> int:
    """Convert one checkpoint."""
    from mmotion.checkpoint import find_state_dict, load_checkpoint_file, save_checkpoint_file

    convert = import_converter(args.system)
    source = load_checkpoint_file(args.source)
    weights = convert(find_state_dict(source, source=args.source))
    meta = {'system': args.system, 'converted_from': Path(args.source).name}
    save_checkpoint_file({'meta': meta, 'state_dict': weights}, args.target)
    print(f'{len(weights)} tensors written to {args.target}')
    return 0


def import_converter(system: str) -> 'Callable[[dict[str, Tensor]], dict[str, Tensor]]':
    """Import `projects.<system>.convert.convert`.

    Args:
        system: Name of the system.

    Returns:
        The function that turns a released state_dict into ours.

    Raises:
        ValueError: If there is no such system, or it has no released weights to convert.
    """
    folders = [p.parent for p in enable_projects().glob('projects/*/convert.py')]
    names = sorted(folder.name for folder in folders)
    if system not in names:
        raise ValueError(
            f'SYSTEM must be one that can convert weights ({", ".join(names) or "none"}), '
            f'got {system!r}'
        )
    return importlib.import_module(f'projects.{system}.convert').convert
