"""A page for each command: what `mmotion COMMAND --help` says, from the same parsers."""

import os
from unittest.mock import patch

from mmotion.cli.discovery import CORE, Command, find_commands
from mmotion.cli.parser import build_parser

COLUMNS = 80


def make_pages() -> dict[str, str]:
    """Give the pages by their place in docs/generated: those of a system in a folder of its own."""
    pages = {}
    for command in find_commands().values():
        folder = 'commands' if command.owner == CORE else 'system_commands'
        pages[f'{folder}/{command.name}.md'] = describe_command(command)
    return pages


def describe_command(command: Command) -> str:
    """Give the page of a command."""
    owner = '' if command.owner == CORE else f' It belongs to the system {command.owner}.'
    # argparse asks the terminal how wide it is
    with patch.dict(os.environ, COLUMNS=str(COLUMNS), NO_COLOR='1'):
        text = build_parser(command, command.load(), []).format_help()
    return (
        f'# mmotion {command.name}\n\n{command.summary}.{owner}\n\n'
        f'````text\n{text.rstrip()}\n````\n'
    )
