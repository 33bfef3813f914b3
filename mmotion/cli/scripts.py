"""The scripts of `tools/` that are no commands: of data sets, benchmarks, a demo.

They are run as Python runs a script, with the projects importable, so none of them has to look for
the checkout; that they are in a wheel as well is the work of `setup.py`.
"""

import ast
import difflib
import runpy
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmotion.paths import enable_projects, find_root

# of a script that only hands over to a command of the same use
DOOR = '`python tools/'
# folders whose names say nothing about what is in them
SHELVES = ('analysis', 'data')


def find_scripts(pattern: str = '**/*.py') -> dict[str, Path]:
    """Find the scripts.

    Args:
        pattern: Which files of `tools/`.

    Returns:
        Files by their names: `data/countix/check.py` is 'countix-check'.
    """
    tools = find_root() / 'tools'
    scripts = {}
    for file in sorted(tools.glob(pattern)):
        text = file.read_text(encoding='utf-8')
        if "if __name__ == '__main__':" in text and DOOR not in text.split('\n')[0]:
            parts = file.relative_to(tools).with_suffix('').parts
            scripts['-'.join(parts[parts[0] in SHELVES :]).replace('_', '-')] = file
    return scripts


def describe_scripts(scripts: Mapping[str, Path]) -> str:
    """Write a line for each script: its name, and the first line of its docstring."""
    width = max(map(len, scripts), default=0)
    docs = {
        name: ast.get_docstring(ast.parse(file.read_text(encoding='utf-8'))) or ''
        for name, file in scripts.items()
    }
    return '\n'.join(f'{name:<{width}}  {doc.splitlines()[0]}' for name, doc in docs.items() if doc)


def pick_script(what: str, name: str, scripts: Mapping[str, Path]) -> Path:
    """Find a script by its name.

    Args:
        what: What the name is of, for the message.
        name: What the user has typed.
        scripts: Those that there are, by name.

    Raises:
        ValueError: If there is none of that name.
    """
    name = name.replace('_', '-')
    if name in scripts:
        return scripts[name]
    near = difflib.get_close_matches(name, scripts, n=1)
    raise ValueError(
        f'{what} must be one of {", ".join(scripts)}, got {name!r}'
        + (f'; did you mean {near[0]!r}?' if near else '')
    )


def run_script(file: Path, arguments: Sequence[str], *, prog: str) -> int:
    """Run a script as `python FILE ARGUMENTS` does, in this process.

    Args:
        file: The script; it can import its neighbours.
        arguments: What it is told.
        prog: What its help calls it.

    Returns:
        Its exit code.
    """
    enable_projects()
    before = sys.argv, sys.path[:]
    sys.argv = [prog, *arguments]
    sys.path.insert(0, str(file.parent))
    try:
        runpy.run_path(str(file), run_name='__main__')
    except SystemExit as stop:
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    finally:
        sys.argv, sys.path[:] = before
    return 0
