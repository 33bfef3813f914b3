"""List released weights, and say what is known of one."""

import argparse
import shutil
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmotion.checkpoint.released import ReleasedWeights


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mmotion models`."""
    parser.add_argument('name', nargs='?', metavar='NAME', help='weights to tell more of')


def run(args: argparse.Namespace) -> int:
    """Print one line for each entry of the table, or all that is known of one."""
    from mmotion.checkpoint.released import find_released, read_table

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
    width = max(40, shutil.get_terminal_size().columns)
    return '\n'.join(
        [
            released.name,
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
