"""Names that the registries hold, read from sources: importing what registers them takes seconds.

What is found is `REGISTRY.register_module` as a decorator or as a call, also in a loop over a list,
or over what a module holds (`dir(torch.optim)`). A name that is registered only where some other
package is installed is found in any case.
"""

import ast
import importlib.util
import sys
import warnings
from collections.abc import Iterator
from importlib.machinery import PathFinder
from pathlib import Path

from mmotion.paths import PACKAGE_DIR, enable_projects

# other names for the same registry
ALIASES = {'FUNCTIONS': {'FUNCTIONS', 'COLLATE_FUNCTIONS'}}
# what stands in a package, but is not imported with it
LEFT_OUT = ('.mim', 'commands', 'testing')
REGISTER = 'register_module'


def find_registries() -> dict[str, str]:
    """The registries of mmotion, by the names of their variables, and which ones they extend."""
    tree = ast.parse((PACKAGE_DIR / 'registry.py').read_text(encoding='utf-8'))
    found = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            for keyword in node.value.keywords:
                if keyword.arg == 'parent':
                    parent = _last_word(keyword.value).removeprefix('MMENGINE_')
                    found[ast.unparse(node.targets[0])] = parent
    return dict(sorted(found.items()))


def list_registered(registry: str) -> dict[str, str]:
    """List the names that a config can use.

    Args:
        registry: One of `find_registries`.

    Returns:
        Names, each with the module that registers it: ours in alphabetical order, then MMAction2's,
        then those of mmcv and mmengine. Of two with one name the first counts, as in a config.
    """
    parent = find_registries()[registry]
    projects = enable_projects() / 'projects'
    ours = [(projects, 'projects'), (PACKAGE_DIR, 'mmotion')]
    found: dict[str, str] = {}
    for variable, folders in (
        (registry, ours),
        (parent, _locate('mmaction')),
        (parent, [*_locate('mmcv'), *_locate('mmengine')]),
    ):
        names: dict[str, str] = {}
        for folder, package in folders:
            for file in _list_sources(folder):
                parts = file.relative_to(folder).with_suffix('').parts
                module = '.'.join([package, *parts]).removesuffix('.__init__')
                names |= dict.fromkeys(_read_names(file, ALIASES.get(variable, {variable})), module)
        found |= {name: names[name] for name in sorted(names) if name not in found}
    return found


def _locate(package: str) -> list[tuple[Path, str]]:
    """The folder of a package, and its name; nothing if it is not installed."""
    # first by the path alone: what else is asked makes MMAction2 ready to be imported
    spec = PathFinder.find_spec(package) or importlib.util.find_spec(package)
    folders = (spec and spec.submodule_search_locations) or []
    return [(Path(folder), package) for folder in folders]


def _list_sources(folder: Path) -> Iterator[Path]:
    """The modules of a package; not those of operators that are not compiled, as in mmcv-lite."""
    left_out = {*LEFT_OUT} if [*folder.glob('_ext*')] else {*LEFT_OUT, 'ops'}
    for file in sorted(folder.rglob('*.py')):
        if not left_out.intersection(file.relative_to(folder).parts):
            yield file


def _read_names(file: Path, variables: set[str]) -> Iterator[str]:
    """The names that a module registers in the registry of this variable."""
    try:
        text = file.read_text(encoding='utf-8')
        if not any(f'{variable}.{REGISTER}' in text for variable in variables):
            return
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            # of others' sources, which Python warns of once it compiles them
            tree = ast.parse(text)
    except (OSError, ValueError, SyntaxError) as error:
        print(f'mmotion: {file} cannot be read: {error}', file=sys.stderr)
        return
    loops = [node for node in ast.walk(tree) if isinstance(node, ast.For)]
    decorators = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            for decorator in node.decorator_list:
                decorators.add(decorator)
                if _registers(decorator, variables):
                    yield from _find_given_names(decorator) or [node.name]
        elif isinstance(node, ast.Call) and node not in decorators and _registers(node, variables):
            yield from _find_given_names(node) or _find_module_names(node, loops)


def _registers(node: ast.AST, variables: set[str]) -> bool:
    """Whether this is `VARIABLE.register_module`, called or not."""
    function = node.func if isinstance(node, ast.Call) else node
    return (
        isinstance(function, ast.Attribute)
        and function.attr == REGISTER
        and ast.unparse(function.value) in variables
    )


def _find_given_names(node: ast.AST) -> list[str]:
    """The names that a call of `register_module` gives: a text, or a list of texts."""
    if not isinstance(node, ast.Call):
        return []
    given = [*node.args[:1], *(k.value for k in node.keywords if k.arg == 'name')]
    return [
        part.value
        for value in given
        for part in ast.walk(value)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    ]


def _find_module_names(call: ast.Call, loops: list[ast.For]) -> list[str]:
    """The names of what a call of `register_module(module=...)` registers."""
    given = [_last_word(k.value) for k in call.keywords if k.arg == 'module']
    around = [loop for loop in loops if call in ast.walk(loop)]
    for loop in around:
        if isinstance(loop.iter, ast.List) and given == [_last_word(loop.target)]:
            return [_last_word(element) for element in loop.iter.elts]
        if ast.unparse(loop.iter).startswith('dir('):
            return _list_classes(ast.unparse(loop.iter)[len('dir(') : -1])
    return [] if around else given


def _last_word(node: ast.AST) -> str:
    return ast.unparse(node).split('.')[-1]


def _list_classes(module: str) -> list[str]:
    """The names in capitals that a package imports into itself, such as those of `torch.optim`."""
    package, *parts = module.split('.')
    found = []
    for folder, _ in _locate(package):
        file = folder.joinpath(*parts, '__init__.py')
        tree = ast.parse(file.read_text(encoding='utf-8') if file.is_file() else '')
        for node in tree.body:
            if isinstance(node, ast.ImportFrom):
                found += [alias.asname or alias.name for alias in node.names]
    return [name for name in found if name[0].isupper()]
