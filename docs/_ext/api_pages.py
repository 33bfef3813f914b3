"""The API reference: a page for each room of `mmotion/` with a face, and one for each system.

A room's page has the names of its `__all__` and what it registers; a system's page what it
registers and its results; and both the classes that these name as bases or types. Each thing stands
on one page, under the name of the module that defines it, and what it says is its docstring.
"""

import dataclasses
import importlib
import inspect
import pkgutil
import typing
from collections.abc import Iterator
from typing import Any

import mmotion
from mmotion import registry
from mmotion.paths import find_root

# files that people import from, and what
FILES = {
    'config': ('load_config', 'apply_options', 'read_options'),
    'registry': ('Registry', 'UnknownNameError'),
    'serving.limits': ('Limits', 'RefusedError'),
}
# kinds of registered things, as headings
KINDS = {
    'PREDICTORS': 'Predictors',
    'MODELS': 'Models, parts of models and losses',
    'DATASETS': 'Data sets',
    'DATA_SAMPLERS': 'Samplers',
    'TRANSFORMS': 'Transforms',
    'METRICS': 'Metrics',
    'HOOKS': 'Hooks',
}
WRAPPED = ('fget', 'func', '__func__')
PUBLIC, OTHERS, NAMED = '', 'Other registered names', 'What the others name'


def make_pages() -> dict[str, str]:
    """Give the pages by their place in docs/generated."""
    headings = find_things()
    pages = {'api/mmotion.rst': describe_front_door()}
    for owner in sorted({owner_of(thing) for thing in headings}):
        package, _, name = owner.partition('.')
        folder = 'api' if package == 'mmotion' else 'api_systems'
        pages[f'{folder}/{name}.rst'] = describe_owner(owner, headings)
    return pages


def find_things() -> dict[Any, str]:
    """Find what is documented, and under which heading of its page."""
    headings: dict[Any, str] = {}
    for kind, thing in find_registered():
        headings.setdefault(thing, KINDS.get(kind, OTHERS))
    for thing in [*find_public(), *find_results()]:
        headings.setdefault(thing, PUBLIC)
    # what these name may name more
    todo = list(headings)
    while todo:
        for named in find_named(todo.pop()):
            if named not in headings:
                headings[named] = NAMED
                todo.append(named)
    return headings


def list_systems() -> list[str]:
    """The names of the systems."""
    return sorted(file.parent.name for file in find_root().glob('projects/*/__init__.py'))


def find_registered() -> Iterator[tuple[str, Any]]:
    """Give what is registered by modules of the core and of the systems: registry's name, thing."""
    for system in list_systems():
        package = importlib.import_module(f'projects.{system}')
        for module in pkgutil.walk_packages(package.__path__, f'projects.{system}.'):
            if '.commands' not in module.name:
                importlib.import_module(module.name)
    for name, there in vars(registry).items():
        if isinstance(there, registry.Registry):
            there.import_from_location()
            things = there.module_dict.values()
            yield from ((name, thing) for thing in things if is_ours(thing))


def find_public() -> Iterator[Any]:
    """Give what the front door and the rooms let others import: functions and classes."""
    rooms = [m.name for m in pkgutil.iter_modules(mmotion.__path__) if m.ispkg]
    for name in ['mmotion', *(f'mmotion.{room}' for room in rooms if room != 'bundle')]:
        module = importlib.import_module(name)
        for found in getattr(module, '__all__', ()):
            yield from filter(is_ours, [getattr(module, found)])
    for room, names in FILES.items():
        module = importlib.import_module(f'mmotion.{room}')
        yield from (getattr(module, name) for name in names)


def find_results() -> Iterator[type]:
    """Give the data classes that the systems answer with."""
    files = [
        *find_root().glob('projects/*/results.py'),
        *find_root().glob('projects/*/inference.py'),
    ]
    for file in sorted(files):
        module = importlib.import_module(f'projects.{file.parent.name}.{file.stem}')
        yield from (
            thing
            for thing in vars(module).values()
            if isinstance(thing, type) and dataclasses.is_dataclass(thing)
            if thing.__module__ == module.__name__
        )


def find_named(thing: Any) -> Iterator[Any]:
    """Give our classes that a thing names: as bases, and as types of what it takes and gives."""
    functions = [thing]
    if isinstance(thing, type):
        members = [
            # what is behind a property, a cached one, and a class method
            next(filter(None, (getattr(member, n, None) for n in WRAPPED)), member)
            for name, member in vars(thing).items()
            if name == '__init__' or not name.startswith('_')
        ]
        yield from filter(is_ours, [*thing.__bases__, *filter(inspect.isclass, members)])
        functions += filter(inspect.isfunction, members)
    for function in functions:
        try:
            hints = typing.get_type_hints(function)
        except NameError:
            # a name that is imported for type checkers alone
            hints = {}
        for hint in hints.values():
            yield from filter(is_ours, flatten(hint))


def flatten(hint: Any) -> Iterator[Any]:
    """Give the classes of a type hint."""
    inner = typing.get_args(hint)
    if isinstance(hint, type) and not inner:
        yield hint
    for part in inner:
        yield from flatten(part)


def is_ours(thing: Any) -> bool:
    """Whether it is a class or function of the project that people may use."""
    module, name = getattr(thing, '__module__', ''), getattr(thing, '__qualname__', '_')
    return module.startswith(('mmotion.', 'projects.')) and not name.startswith('_')


def owner_of(thing: Any) -> str:
    """The room or system that it belongs to: 'mmotion.video', 'projects.repnet'."""
    return '.'.join(thing.__module__.split('.')[:2])


def describe_owner(owner: str, headings: dict[Any, str]) -> str:
    """Give the page of a room or a system."""
    parts = [title(owner), first_line(importlib.import_module(owner))]
    for heading in [PUBLIC, *KINDS.values(), OTHERS, NAMED]:
        found = [t for t in headings if headings[t] == heading and owner_of(t) == owner]
        found.sort(key=lambda thing: thing.__qualname__)
        if found:
            parts += [title(heading, '-')] if heading else []
            parts.append(' · '.join(map(link_to, found)))
        for thing in found:
            kind = {'exc': 'exception', 'func': 'function'}.get(role_of(thing), 'class')
            options = '\n   :show-inheritance:' if has_bases(thing) else ''
            parts.append(f'.. auto{kind}:: {thing.__module__}.{thing.__qualname__}{options}')
    return '\n\n'.join(parts) + '\n'


def has_bases(thing: Any) -> bool:
    """Whether it is a class that stands on another one."""
    return isinstance(thing, type) and thing.__bases__ != (object,)


def describe_front_door() -> str:
    """Give the page of `import mmotion`: the names, and where each is described."""
    rows = []
    for name in mmotion.__all__:
        thing = getattr(mmotion, name)
        link = f':py:{role_of(thing)}:`mmotion.{name} <{thing.__module__}.{name}>`'
        rows.append(f'   * - {link}\n     - {first_line(thing)}')
    table = '.. list-table::\n   :widths: 40 60\n\n' + '\n'.join(rows)
    return f'{title("mmotion")}\n\n{first_line(mmotion)}\n\n{table}\n'


def link_to(thing: Any) -> str:
    """Its name, which leads to where it is described."""
    return f':py:{role_of(thing)}:`{thing.__qualname__} <{thing.__module__}.{thing.__qualname__}>`'


def role_of(thing: Any) -> str:
    """What Sphinx calls its kind."""
    if not isinstance(thing, type):
        return 'func'
    return 'exc' if issubclass(thing, BaseException) else 'class'


def first_line(thing: Any) -> str:
    """The first paragraph of a docstring, in reStructuredText."""
    paragraph = (inspect.getdoc(thing) or '').split('\n\n')[0]
    return paragraph.replace('\n', ' ').replace('`', '``').replace('*', r'\*')


def title(text: str, line: str = '=') -> str:
    """A heading."""
    return f'{text}\n{line * len(text)}'
