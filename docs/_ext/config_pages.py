"""The config reference: each registered class of the core and of the systems, and its keys.

The keys of a `dict(type='Name', ...)` are the arguments of that class, so they are read from its
signature and docstring, as `mmotion predict CONFIG --help` does. What takes a dict without a type
names the class of its keys in its docstring, which is on the page as well.
"""

import dataclasses
import inspect
import re
import sys
from collections.abc import Iterable
from typing import Any

from api_pages import KINDS, OTHERS, find_registered, is_ours, owner_of, role_of

from mmotion.cli.part_options import PartOption, find_options, read_descriptions
from mmotion.paths import find_root

# what a predictor is given by the one who builds it
GIVEN = {'PREDICTORS': ('config', 'model', 'device')}
PARTS = 'Dicts without a type'
OPTIONS_OF = re.compile(r'.*\b(?:options|arguments) of[\w ]* `(\w+)`', re.IGNORECASE)


def make_pages() -> dict[str, str]:
    """Give the pages by their place in docs/generated: one for the core and one for each system."""
    things = {thing: kind for kind, thing in find_registered()}
    pages = {}
    for owner in sorted({page_of(thing) for thing in things}):
        own = {thing: kind for thing, kind in things.items() if page_of(thing) == owner}
        pages[f'configs/{owner}.md'] = describe_owner(owner, own, find_uses())
    return pages


def page_of(thing: Any) -> str:
    """The page of a thing: 'mmotion', or the name of its system."""
    owner = owner_of(thing)
    return 'mmotion' if owner.startswith('mmotion') else owner.partition('.')[2]


def find_uses() -> dict[str, list[str]]:
    """Give for each name of a type the configs that have it in their text."""
    uses: dict[str, list[str]] = {}
    for file in sorted(find_root().glob('configs/**/*.py')):
        for name in set(re.findall(r"type='(\w+)'", file.read_text(encoding='utf-8'))):
            uses.setdefault(name, []).append(file.relative_to(find_root()).as_posix())
    return uses


def find_parts(things: Iterable[Any]) -> list[type]:
    """Find the classes whose keys a dict without a type has: "Options of `Name`" in a docstring."""
    parts: list[type] = []
    todo = list(things)
    while todo:
        thing = todo.pop(0)
        for option in list_options(thing):
            named = OPTIONS_OF.match(option.description)
            found = vars(sys.modules[thing.__module__]).get(named[1]) if named else None
            if isinstance(found, type) and is_ours(found) and found not in parts:
                parts.append(found)
                todo.append(found)
    return parts


def list_options(thing: Any, kind: str = '') -> list[PartOption]:
    """The keys of a class: those given by name, of a data class all; a function has none."""
    if not isinstance(thing, type):
        return []
    options = find_options(thing, without=GIVEN.get(kind, ()))
    if options or not dataclasses.is_dataclass(thing):
        return options
    told = read_descriptions(thing.__doc__ or '')
    given = inspect.signature(thing).parameters.values()
    return [PartOption(p.name, p.annotation, p.default, told.get(p.name, '')) for p in given]


def describe_owner(owner: str, things: dict[Any, str], uses: dict[str, list[str]]) -> str:
    """Give the page of the core or of a system."""
    sections: dict[str, list[str]] = {heading: [] for heading in [*KINDS.values(), OTHERS, PARTS]}
    for thing in sorted(things, key=lambda thing: thing.__name__):
        heading = KINDS.get(things[thing], OTHERS)
        sections[heading].append(describe_thing(thing, things[thing], uses))
    sections[PARTS] = [describe_thing(part, '', {}) for part in find_parts(things)]
    blocks = [f'# Keys of {owner}']
    for heading, texts in sections.items():
        blocks += [f'## {heading}', *texts] if texts else []
    return '\n\n'.join(blocks) + '\n'


def describe_thing(thing: Any, kind: str, uses: dict[str, list[str]]) -> str:
    """What a class is for, in which configs it stands, and its keys."""
    summary = ' '.join((inspect.getdoc(thing) or '').split('\n\n')[0].split())
    name = thing.__name__
    link = f' {{py:{role_of(thing)}}}`More <{thing.__module__}.{name}>`' if kind else ''
    blocks = [f'### {name}', summary + link]
    if name in uses:
        shown = ', '.join(f'`{file}`' for file in uses[name][:4])
        more = f' and {len(uses[name]) - 4} more' if len(uses[name]) > 4 else ''
        blocks.append(f'Stands in {shown}{more}.')
    rows = [
        f'| `{option.name}` | {code(show_type(option.annotation))} | {show_default(option)} '
        f'| {cell(option.description)} |'
        for option in list_options(thing, kind)
    ]
    if rows:
        blocks.append('\n'.join(['| key | type | default | meaning |', '|---|---|---|---|', *rows]))
    return '\n\n'.join(blocks)


def show_type(annotation: Any) -> str:
    """A type as one writes it, without the places of names."""
    if annotation is inspect.Parameter.empty:
        return ''
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return re.sub(r'\b(?:[A-Za-z_]\w*\.)+(?=[A-Za-z_])', '', text)


def show_default(option: PartOption) -> str:
    """A default as one writes it, or that there is none."""
    if option.default is inspect.Parameter.empty:
        return 'must be given'
    return code('' if repr(option.default).startswith('<') else repr(option.default))


def code(text: str) -> str:
    """Code in a cell of a table, nothing for nothing."""
    return f'`{cell(text)}`' if text else ''


def cell(text: str) -> str:
    """Text in a cell of a table."""
    return text.replace('|', r'\|')
