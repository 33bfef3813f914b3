"""List released weights and those that ship, and say what is known of one."""

import argparse
import shutil
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmotion.checkpoint.released import ReleasedWeights
    from mmotion.serving.models import ServedModel


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mmotion models`."""
    parser.add_argument('name', nargs='?', metavar='NAME', help='weights to tell more of')


def run(args: argparse.Namespace) -> int:
    """Print one line for each entry of the table, or all that is known of one."""
    from mmotion.checkpoint.released import find_released, read_table
    from mmotion.serving.models import list_models

    shipped = list_models()
    if args.name in shipped:
        print(explain_shipped(shipped[args.name]))
        return 0
    if args.name:
        print(explain(find_released(args.name)))
        return 0
    entries = list(read_table().values())
    width = max(len(entry.name) for entry in entries)
    for system in dict.fromkeys(entry.system for entry in entries):
        print(system)
        for entry in entries:
            if entry.system == system:
                state = 'here' if entry.find() else f'{entry.size_mb:g} MB'
                print(f'  {entry.name:<{width}}  {state:>7}  {entry.licence:<12}  {entry.answers}')
    print('with mmotion, for "mmotion predict NAME VIDEO"')
    width = max(map(len, shipped), default=0)
    for model in shipped.values():
        print(f'  {model.name:<{width}}     here  {model.title}')
    print('\n"mmotion models NAME" tells more, "mmotion download NAME" fetches one ahead')
    return 0


def explain(released: 'ReleasedWeights') -> str:
    """All that is known of released weights, in lines."""
    here = released.find()
    allowed = {True: 'yes', False: 'no', None: 'ask the authors'}[released.commercial]
    lines = [
        ('answers', released.answers),
        ('configs', ', '.join(released.configs) or 'none of its own'),
        ('here', str(here or 'no')),
        *(('source', source) for source in released.sources),
        ('SHA-256', released.sha256 or 'as the source says'),
        ('size', f'{released.size_mb:g} MB'),
        ('licence', f'{released.licence}; commercial use: {allowed}'),
        ('cite', released.citation),
        ('tried', released.tried),
    ]
    return _lay_out(released.name, lines)


def explain_shipped(model: 'ServedModel') -> str:
    """All that is known of weights that come with mmotion, in lines."""
    from mmotion.checkpoint.released import find_weights
    from mmotion.config import load_config

    file = Path(str(find_weights(load_config(model.config))))
    lines = [
        ('answers', f'{model.title}; "mmotion predict {model.name} VIDEO"'),
        ('configs', model.name),
        ('here', str(file)),
        ('size', f'{file.stat().st_size / 1e6:.1f} MB'),
    ]
    card = file.with_suffix('.md')
    return _lay_out(model.name, [*lines, *([('card', str(card))] if card.is_file() else [])])


def _lay_out(name: str, lines: Sequence[tuple[str, str]]) -> str:
    width = max(40, shutil.get_terminal_size().columns)
    return '\n'.join(
        [
            name,
            *(
                textwrap.fill(
                    text,
                    width,
                    initial_indent=f'  {label:<8} ',
                    subsequent_indent=' ' * 11,
                    break_long_words=False,
                    break_on_hyphens=False,
                )
                for label, text in lines
            ),
        ]
    )
