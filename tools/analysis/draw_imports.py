"""Who imports whom in mmotion: a table of its rooms, a graph, and the circles, if there are any.

    python tools/analysis/draw_imports.py            # the table, as docs/architecture.md has it
    python tools/analysis/draw_imports.py --mermaid  # the same as a graph that GitHub draws

A room is a file or a package directly in mmotion/. Every import counts, also one inside of a
function; those under `if TYPE_CHECKING` do not, as they never run.
"""

import argparse
import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = 'mmotion'


def read_imports(root: Path = ROOT) -> dict[str, set[str]]:
    """Read which modules of mmotion each module of mmotion imports, by their dotted names.

    `from mmotion.video import scan` is an import of `mmotion.video.scan`, as that is a file, and
    `from mmotion.video import VideoError` one of `mmotion.video`.
    """
    files = {_name_module(file, root): file for file in sorted((root / PACKAGE).rglob('*.py'))}
    return {
        module: {_find_module(name, files) for name in _imported_names(file)} - {module}
        for module, file in files.items()
        if 'bundle' not in module.split('.')
    }


def join_rooms(imports: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Join the imports of modules to those of rooms: 'video', 'registry', ...; the front is ''."""
    rooms: dict[str, set[str]] = {}
    for module, imported in imports.items():
        rooms.setdefault(_room_of(module), set()).update(map(_room_of, imported))
    return {room: imported - {room} for room, imported in rooms.items()}


def find_circle(imports: Mapping[str, set[str]]) -> list[str]:
    """Find modules or rooms that import each other, the first again at the end; [] without any."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def sort_rooms(rooms: Mapping[str, set[str]]) -> list[str]:
    """Order rooms so that each comes after all that it imports."""
    return list(
        TopologicalSorter({room: sorted(rooms[room]) for room in sorted(rooms)}).static_order()
    )


def main() -> None:
    """Print the table or the graph."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument('--mermaid', action='store_true', help='a graph instead of the table')
    args = parser.parse_args()
    imports = read_imports()
    circle = find_circle(imports) or find_circle(join_rooms(imports))
    if circle:
        raise SystemExit(f'a circle: {" -> ".join(circle)}')
    # the front door imports nothing, and whoever asks for its version gets nothing else
    rooms = {room: found - {''} for room, found in join_rooms(imports).items()}
    if args.mermaid:
        print('graph BT')
        for room in sort_rooms(rooms):
            for imported in sorted(_shortest(rooms, room)):
                print(f'    {room} --> {imported}')
        return
    files = {room: sum(_room_of(module) == room for module in imports) for room in rooms}
    print('| room | files | imports |\n|---|---|---|')
    for room in sort_rooms(rooms):
        print(f'| `{room or "__init__"}` | {files[room]} | {", ".join(sorted(rooms[room]))} |')


def _shortest(rooms: Mapping[str, set[str]], room: str) -> set[str]:
    """What a room imports, without what comes along with another of its imports."""
    indirect: set[str] = set()
    for imported in rooms[room]:
        waiting = [*rooms[imported]]
        while waiting:
            other = waiting.pop()
            if other not in indirect:
                indirect.add(other)
                waiting += rooms[other]
    return rooms[room] - indirect


def _name_module(file: Path, root: Path) -> str:
    parts = file.relative_to(root).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def _room_of(module: str) -> str:
    return module.partition('.')[2].partition('.')[0]


def _imported_names(file: Path) -> Iterator[str]:
    """Give the dotted names of everything that is imported from mmotion."""
    waiting: list[ast.AST] = [ast.parse(file.read_text(encoding='utf-8'))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and 'TYPE_CHECKING' in ast.unparse(node.test):
            waiting += node.orelse
            continue
        waiting += ast.iter_child_nodes(node)
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [f'{node.module}.{alias.name}' for alias in node.names]
        yield from (name for name in names if name.split('.')[0] == PACKAGE)


def _find_module(name: str, files: Mapping[str, Path]) -> str:
    """The longest beginning of a dotted name that is a module."""
    while name not in files:
        name = name.rpartition('.')[0]
    return name


if __name__ == '__main__':
    main()
