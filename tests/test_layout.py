"""The rules of the layout: who imports whom, where tests are, how long files may be."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.analysis.draw_imports import find_circle, join_rooms, read_imports

ROOT = Path(__file__).resolve().parents[1]
CORE = sorted(ROOT.glob('mmotion/**/*.py'))
SYSTEMS = sorted(path.parent for path in ROOT.glob('projects/*/__init__.py'))
# the modules of the systems, their packages, and their commands
SYSTEM_FILES = sorted([*ROOT.glob('projects/*/*.py'), *ROOT.glob('projects/*/*/*.py')])
TOOLS = sorted(ROOT.glob('tools/**/*.py'))
TESTS = sorted(ROOT.glob('tests/**/*.py'))
MAX_LINES = 500
MAX_FILES_OF_A_SYSTEM = 12
MAX_ROOMS = 23
MAX_LINES_OF_A_FACE = 40

# the plan of mmotion/: what each room may import, from the bricks up to the command line
PLAN = {
    # bricks
    'atomic': '',
    'checks': '',
    'paths': '',
    'tables': 'atomic',
    'worker_process': '',
    'compat': 'paths',
    'checkpoint': 'atomic compat paths',
    'registry': 'checkpoint compat paths',
    'config': 'compat paths',
    # what files hold, and what values are
    'video': 'atomic checks compat structures tables',
    'shapes': 'checks',
    'structures': 'checks',
    'regions': 'checks structures tables',
    # what is made of them
    'visualization': 'atomic regions structures video',
    'metrics': 'atomic registry structures tables',
    'transforms': 'checks registry shapes video',
    'keypoints': 'atomic checkpoint checks compat structures tables video visualization '
    'worker_process',
    # what a user runs
    'inference': 'atomic checkpoint checks config paths regions registry structures tables '
    'transforms video visualization',
    'training': 'atomic checkpoint checks compat config registry transforms visualization',
    'corpus': 'atomic checkpoint checks config inference regions registry structures tables video '
    'worker_process',
    'serving': 'atomic checkpoint checks compat config inference paths registry shapes '
    'structures tables video visualization',
    'cli': 'atomic checkpoint checks compat config corpus inference keypoints paths regions '
    'registry serving structures tables training transforms video visualization',
}


def for_each(files: list[Path]) -> pytest.MarkDecorator:
    """Parametrize a test by files, named by their path from the root."""
    return pytest.mark.parametrize(
        'file', files, ids=lambda path: path.relative_to(ROOT).as_posix()
    )


def imported_names(tree: ast.AST) -> Iterator[str]:
    """Give the dotted name of everything that is imported: `from a import b` gives 'a.b'."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = '.' * node.level + (f'{node.module}.' if node.module else '')
            yield from (f'{origin}{alias.name}' for alias in node.names)


def words_of_code(tree: ast.AST) -> Iterator[str]:
    """Give the names and strings of a module, without its docstrings."""
    docstrings = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                docstrings.add(first.value)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and node not in docstrings
        ):
            yield node.value


def registered_names(file: Path) -> Iterator[str]:
    """Give the classes and functions of a module that are registered."""
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and any(
            'register_module' in ast.unparse(decorator) for decorator in node.decorator_list
        ):
            yield node.name


def test_the_core_is_as_planned():
    for room, imported in join_rooms(read_imports()).items():
        # the front door imports what it is asked for, when it is asked
        assert imported <= set(PLAN[room].split()) | {''} if room else not imported, room


def test_no_circle_of_files_or_of_rooms():
    imports = read_imports()
    assert not find_circle(imports)
    assert not find_circle({room: set(names.split()) for room, names in PLAN.items()})


def test_there_are_few_rooms():
    rooms = {path.parent for path in ROOT.glob('mmotion/*/*.py')} | {*ROOT.glob('mmotion/*.py')}
    assert len(rooms) <= MAX_ROOMS


@for_each(sorted(ROOT.glob('mmotion/*/**/__init__.py')))
def test_a_package_has_a_short_face(file):
    assert len(file.read_text().splitlines()) < MAX_LINES_OF_A_FACE


@for_each(SYSTEM_FILES)
def test_a_system_imports_the_core_and_itself_alone(file):
    system = file.relative_to(ROOT).parts[1]
    for name in imported_names(ast.parse(file.read_text())):
        assert not name.startswith('..')
        if name.startswith('projects'):
            assert name.startswith(f'projects.{system}'), name


@for_each(CORE)
def test_the_core_names_no_system(file):
    tree = ast.parse(file.read_text())
    systems = '|'.join(re.escape(system.name) for system in SYSTEMS)
    registered = {name for module in SYSTEM_FILES for name in registered_names(module)}
    for word in [*imported_names(tree), *words_of_code(tree)]:
        # its name, one of its configs, its package, or a class of it
        assert not re.fullmatch(rf'({systems})(_\w+)?(\.py)?', word), word
        assert not re.search(rf'projects\.({systems})\b', word), word
        assert word not in registered


@for_each(CORE + SYSTEM_FILES)
def test_every_module_has_its_test_file(file):
    if file.stem in ('__init__', '__main__'):
        return
    folder = file.relative_to(ROOT).parent
    folder = folder.relative_to('mmotion') if folder.parts[0] == 'mmotion' else folder
    # what only commands share begins with an underscore
    name = file.stem.removeprefix('_')
    assert (ROOT / 'tests' / folder / f'test_{name}.py').is_file()


@for_each(CORE + SYSTEM_FILES + TOOLS + TESTS)
def test_no_file_is_too_long(file):
    assert len(file.read_text().splitlines()) <= MAX_LINES


@for_each(CORE + SYSTEM_FILES + TOOLS)
def test_a_name_says_what_the_file_holds(file):
    assert file.stem not in ('utils', 'util', 'common', 'helpers', 'misc')


@for_each(CORE + SYSTEM_FILES + TOOLS)
def test_input_is_not_checked_by_assert(file):
    for node in ast.walk(ast.parse(file.read_text())):
        assert not isinstance(node, ast.Assert), f'line {node.lineno}: raise an error instead'
        if isinstance(node, ast.Raise) and node.exc is not None:
            raised = ast.unparse(node.exc).split('(')[0]
            assert raised not in ('Exception', 'AssertionError', 'BaseException')


@pytest.mark.parametrize('system', SYSTEMS, ids=lambda path: path.name)
def test_a_system_is_one_flat_folder_of_few_files(system):
    assert not (ROOT / 'projects' / '__init__.py').exists()
    assert (system / 'README.md').is_file()
    # and of folders in it: its commands, and packages of a model that is a world of its own
    packages = [path.parent for path in system.glob('*/__init__.py')]
    folders = (system, system / 'commands', *packages)
    assert not [path for path in system.rglob('*.py') if path.parent not in folders]
    for folder in (system, *packages):
        modules = [path for path in folder.glob('*.py') if path.stem != '__init__']
        assert len(modules) <= MAX_FILES_OF_A_SYSTEM
