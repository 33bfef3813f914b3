"""Find the commands without importing them, and import the one that is asked for.

Every module of `mmotion/cli/commands/` and of `projects/<system>/commands/` is a command, named by
its file: `cross_validate.py` is `mmotion cross-validate`. It has

    a docstring: its first line stands in `mmotion --help`, all of it in that of the command;
    add_arguments(parser) -> None: adds its arguments to an `argparse.ArgumentParser`;
    run(args) -> int: does the work and gives the exit code, 0 all done or 1 some failed; what it
        raises of `mmotion.cli.parser.EXPECTED_ERRORS` is wrong use, answered in one line, code 2;
    add_more_arguments(parser, words) -> None, if some depend on what else is given (`words`);
    HOW_TO_GO_ON, if there is something to say after Ctrl-C; the exception's `how_to_go_on` wins.

It imports what is heavy in `run`, so that `--help` answers at once.
"""

import difflib
import importlib
import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from mmotion.paths import enable_projects, find_root

CORE = 'mmotion'
CORE_COMMANDS = Path(__file__).resolve().parent / 'commands'
# what most people are looking for stands first
FIRST = ('predict', 'train', 'test', 'list', 'doctor')


@dataclass(frozen=True)
class Command:
    """A command that is there.

    Args:
        name: What a user types after `mmotion`.
        owner: 'mmotion', or the name of the system that brings it.
        file: Its module.
    """

    name: str
    owner: str
    file: Path

    @property
    def summary(self) -> str:
        """First line of its docstring, read without importing it."""
        with self.file.open(encoding='utf-8') as lines:
            return lines.readline().strip().removeprefix('r').strip('"').rstrip('.')

    def load(self) -> ModuleType:
        """Import its module, and of a system nothing else: systems import torch."""
        if self.owner == CORE:
            return importlib.import_module(f'mmotion.cli.commands.{self.file.stem}')
        enable_projects()
        name = f'projects.{self.owner}.commands.{self.file.stem}'
        if name in sys.modules:
            return sys.modules[name]
        spec = importlib.util.spec_from_file_location(name, self.file)
        if spec is None or spec.loader is None:
            raise ImportError(f'a command must be a Python module, got {self.file}')
        module = importlib.util.module_from_spec(spec)
        # under its own name, so that worker processes find what is in it
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
        return module


def find_commands() -> dict[str, Command]:
    """Find all commands: those of the core first, the most usual before the others, then systems'.

    Returns:
        Commands by name; of two with one name the first counts.
    """
    core = sorted(CORE_COMMANDS.glob('*.py'))
    files = [(CORE, CORE_COMMANDS / f'{name}.py') for name in FIRST]
    files += [(CORE, file) for file in core if file.stem not in FIRST]
    for file in sorted(find_root().glob('projects/*/commands/*.py')):
        files.append((file.parents[1].name, file))
    commands: dict[str, Command] = {}
    for owner, file in files:
        if not file.stem.startswith('_'):
            name = file.stem.replace('_', '-')
            commands.setdefault(name, Command(name, owner, file))
    return commands


def pick_command(name: str, commands: dict[str, Command]) -> Command:
    """Find a command by its name.

    Args:
        name: What the user has typed.
        commands: Those that there are.

    Raises:
        ValueError: If there is none of that name; the message has the nearest one.
    """
    if name in commands:
        return commands[name]
    near = difflib.get_close_matches(name, commands, n=1)
    hint = f'did you mean {near[0]!r}?' if near else '"mmotion --help" lists them'
    raise ValueError(f'COMMAND must be one that there is, got {name!r}; {hint}')


def describe_commands(commands: dict[str, Command]) -> str:
    """Write the commands with their summaries, under a heading for each owner."""
    width = max(map(len, commands), default=0)
    blocks: dict[str, list[str]] = {}
    for command in commands.values():
        heading = 'commands' if command.owner == CORE else f'commands of {command.owner}'
        line = f'  {command.name:<{width}}  {command.summary}'
        blocks.setdefault(heading, []).append(line)
    return '\n\n'.join('\n'.join([f'{heading}:', *lines]) for heading, lines in blocks.items())
