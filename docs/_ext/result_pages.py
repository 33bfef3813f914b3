"""JSON Schemas of the results and pages that explain them, from results as they are written.

Which entries there are, and of which type, is what `to_dict` writes of the examples of
`example_results`; what they mean, and their ranges, is what the docstrings of the classes say.
"""

import dataclasses
import inspect
import json
import re
import typing
from collections.abc import Iterator
from typing import Any

from example_results import make_results

from mmotion.cli.part_options import read_descriptions
from mmotion.regions import Region

Schema = dict[str, Any]
DRAFT = 'https://json-schema.org/draft/2020-12/schema'
TIMES = {
    'start_s': 'When it begins, in seconds of the video.',
    'end_s': 'When it ends, in seconds of the video.',
}
# what docstrings of fields do not say, by the place in the file
TOLD = {
    'top': 'The classes with the highest scores, best first, five at most.',
    'top[].label': 'Name of the class.',
    'top[].score': 'Its score, in [0, 1].',
    'timeline': 'Each window that slid over the video, in order.',
    **{f'timeline[].{name}': text for name, text in TIMES.items()},
    'timeline[].top': 'The best classes around the middle of the window.',
    'timeline[].top[].label': 'Name of the class.',
    'timeline[].top[].score': 'Its score, in [0, 1].',
    'timeline[].error': 'Distance of the window from what is normal, by the scorer.',
    'timeline[].score': '1 minus the p-value of the window, in [0, 1].',
    'timeline[].is_alarm': 'Whether it is an alarm.',
    'detector': 'What found the keypoints.',
    'num_steps': 'Frames in which somebody was looked for, >= 1.',
    'num_detections': 'Frames in which somebody was found, >= 0.',
    'repetitions': 'As a person counts them, >= 0.',
    'regions': 'A region with its box, and the entries of the result of that part of the picture.',
    'regions[].name': 'Of the region.',
    'regions[].box_xyxy': 'Left, top, right and bottom in pixels, of a region that stays.',
    'regions[].frames': 'Where a region is that moves, between these frames in between.',
    'regions[].frames[].frame': 'Number of the frame, >= 0.',
    'regions[].frames[].box_xyxy': 'Left, top, right and bottom in pixels.',
}
# of a whole file, besides the result; `mmotion.inference.records` has more on the last
OF_FILES: Schema = {
    'video': {'type': 'string', 'description': 'Path of the video, as it was given.'},
    'config': {'type': 'string', 'description': 'Path of the config.'},
    'checkpoint': {'type': ['string', 'null'], 'description': 'The weights.'},
    'licence': {'type': 'string', 'description': 'Of the weights, where it is known.'},
    'fps_given': {'type': 'number', 'exclusiveMinimum': 0, 'description': 'What `--fps` said.'},
    'made_from': {
        'type': 'object',
        'description': 'What the result was made from; a file without it is not done.',
        'required': ['source', 'settings', 'files', 'rows'],
        'properties': {
            'source': {'type': 'object', 'description': 'Path, size and last change of the video.'},
            'settings': {'type': 'object', 'description': 'What else the result depends on.'},
            'files': {
                'type': 'array',
                'items': {'type': 'string'},
                'description': 'Files that were written beside it.',
            },
            'rows': {
                'type': 'array',
                'items': {'type': 'object'},
                'description': 'What the table of many videos says of it.',
            },
        },
    },
}
UNITS = dict.fromkeys(('keypoints', 'box_xyxy', 'width', 'height'), 'px') | {
    'fps': '1/s',
    'covariance': 'px²',
}
FLOAT = r'(-?\d+(?:\.\d+)?)'
RANGES = (
    (rf'in \[{FLOAT}, {FLOAT}\]', ('minimum', 'maximum')),
    (rf'in \({FLOAT}, {FLOAT}\)', ('exclusiveMinimum', 'exclusiveMaximum')),
    (rf'above {FLOAT}[.,;]', ('exclusiveMinimum',)),
    # not how many there are, as in 'N >= 1'
    (rf'(?<![A-Z] )>= {FLOAT}', ('minimum',)),
)


def make_pages() -> dict[str, str]:
    """Give the pages and schemas by their place in docs/generated."""
    pages = {}
    for name, (whole, least) in make_results().items():
        schema = make_schema(name, whole, least)
        pages[f'results/{name}.schema.json'] = json.dumps(schema, indent=2) + '\n'
        pages[f'results/{name}.md'] = describe_result(name, whole, schema)
    return pages


def make_schema(name: str, whole: Any, least: Any) -> Schema:
    """Make the schema of a result.

    Args:
        name: What its file is called.
        whole: A result with all that it may have.
        least: One with as little as it can have: these entries are always there.
    """
    kind = type(whole)
    schema = infer(whole.to_dict(), '', tell(kind))
    schema['required'] = sorted(least.to_dict())
    if name == 'region_results':
        items = schema['properties']['regions']['items']
        # with the entries of a result of any class
        names = ('name', 'box_xyxy', 'frames')
        items['properties'] = {n: items['properties'][n] for n in names}
        items |= {'required': ['name'], 'additionalProperties': True}
    is_file = not name.startswith(('running', 'frame'))
    if is_file:
        schema['properties'] |= OF_FILES
    head = {'$schema': DRAFT, 'title': kind.__name__, 'description': summary_of(kind)}
    return head | schema


def infer(value: Any, place: str, told: dict[str, str]) -> Schema:
    """Find the schema of a value as it is written.

    Args:
        value: Plain JSON types.
        place: Where it is, such as 'segments[].start_s'.
        told: What is said of each place.

    Example:
        >>> infer([0.5, None], 'score', {'score': 'Of each, in [0, 1], or NaN.'})['items']
        {'type': ['number', 'null'], 'minimum': 0, 'maximum': 1}
    """
    text = told.get(place, '')
    schema = _infer_type(value, place, told, text)
    return schema | ({'description': text} if text else {})


def _infer_type(value: Any, place: str, told: dict[str, str], text: str) -> Schema:
    if isinstance(value, dict):
        names = list(value)
        # names of classes or people, which differ from video to video
        if place in ('scores', 'people'):
            return {'type': 'object',
                    'additionalProperties': infer(value[names[0]], f'{place}.*', told)
                    | (_find_range(text) if place == 'scores' else {})}  # fmt: skip
        inner = {n: infer(value[n], f'{place}.{n}'.lstrip('.'), told) for n in names}
        return {'type': 'object', 'properties': inner, 'required': sorted(names),
                'additionalProperties': False}  # fmt: skip
    if isinstance(value, list):
        each = [item for item in value if item is not None] or [0.0]
        items = (
            _infer_type(merge(each), place, told, text.replace('None', ''))
            if not isinstance(each[0], dict)
            else infer(merge(each), f'{place}[]', told)
        )
        return {'type': 'array', 'items': items}
    if isinstance(value, str):
        return {'type': 'string'}
    if isinstance(value, bool):
        return {'type': 'boolean'}
    kind: Any = 'integer' if isinstance(value, int) else 'number'
    kind = [kind, 'null'] if re.search(r'\bNaN\b|\binfinite\b|\bNone\b', text) else kind
    return {'type': kind} | _find_range(text)


def merge(items: list[Any]) -> Any:
    """One item with all entries of several."""
    if isinstance(items[0], dict):
        return {name: value for item in reversed(items) for name, value in item.items()}
    return items[0]


def _find_range(text: str) -> Schema:
    """Read the range of a number from what is said of it."""
    for pattern, names in RANGES:
        if found := re.search(pattern, text):
            limits = (float(limit) for limit in found.groups())
            return {n: int(v) if v == int(v) else v for n, v in zip(names, limits, strict=True)}
    return {}


def tell(kind: type, prefix: str = '') -> dict[str, str]:
    """Give what docstrings say of the fields and properties of a class, by their place."""
    told = {prefix + name: text for name, text in TOLD.items()} if not prefix else {}
    for base in reversed(kind.__mro__):
        for name, member in vars(base).items():
            if isinstance(member, property) and member.__doc__:
                told[prefix + name] = inspect.cleandoc(member.__doc__).split('\n\n')[0]
                told |= _tell_parts(member.fget, 'return', prefix + name)
        if not base.__module__.startswith('builtins'):
            own = read_descriptions(base.__doc__ or '')
            told |= {prefix + name: text for name, text in own.items()}
    for field in dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ():
        told |= _tell_parts(kind, field.name, prefix + field.name)
    return {name: ' '.join(text.split()) for name, text in told.items()}


def _tell_parts(owner: Any, name: str, place: str) -> dict[str, str]:
    """Give what is said of the fields of the data classes that a field or property holds."""
    try:
        hint = typing.get_type_hints(owner).get(name)
    except NameError:
        return {}
    parts = typing.get_args(hint)
    mark = '.*.' if typing.get_origin(hint) is dict else '[].'
    return {
        inner: text
        for part in parts
        if isinstance(part, type) and dataclasses.is_dataclass(part) and part is not Region
        for inner, text in tell(part, place + mark).items()
    }


def summary_of(kind: type) -> str:
    """The first paragraph of a docstring, without marks of code."""
    return ' '.join((inspect.getdoc(kind) or '').split('\n\n')[0].split()).replace('`', '')


def list_fields(schema: Schema, place: str = '') -> Iterator[tuple[str, Schema, bool]]:
    """Give each place in a file, what is there, and whether it always is."""
    inner, step = schema, ''
    while inner.get('type') == 'array':
        inner, step = inner['items'], f'{step}[]'
    more = inner.get('additionalProperties')
    if isinstance(more, dict) and more.get('properties'):
        inner, step = more, f'{step}.*'
    for name, found in inner.get('properties', {}).items():
        path = f'{place}{step}.{name}'.lstrip('.')
        yield path, found, name in inner.get('required', ())
        yield from list_fields(found, path)


def describe_result(name: str, whole: Any, schema: Schema) -> str:
    """Give the page of a result: its fields in a table, an example, and its schema to take."""
    kind = type(whole)
    rows = [
        f'| `{place}` | {show_type(found)} | {unit_of(place)} | {show_range(found)} | '
        f'{found.get("description", "")}{"" if needed else " Not in every file."} |'
        for place, found, needed in list_fields(schema)
        if place.split('.')[0] not in OF_FILES
    ]
    is_file = 'video' in schema['properties']
    where = 'the file of a video' if is_file else 'a line of a stream'
    example = json.dumps(whole.to_dict(), indent=2)
    example = re.sub(r'\[\s+([^\[\]{}]*?)\s+\]', lambda m: f'[{" ".join(m[1].split())}]', example)
    return '\n\n'.join([
        f'# {kind.__name__}',
        f'{summary_of(kind)} These are the entries of {where}; in Python it is '
        f'{{py:class}}`{kind.__module__}.{kind.__name__}`.',
        '\n'.join(['| entry | type | unit | range | meaning |', '|---|---|---|---|---|', *rows]),
        f'JSON Schema: [{name}.schema.json]({name}.schema.json)',
        '## Example',
        f'```json\n{example}\n```',
    ]) + '\n'  # fmt: skip


def show_type(schema: Schema) -> str:
    """The type in words."""
    kind = schema['type']
    if kind == 'array':
        return f'list of {show_type(schema["items"])}'
    more = schema.get('additionalProperties')
    if isinstance(more, dict):
        return f'{show_type(more)} by name'
    return ' or '.join([kind] if isinstance(kind, str) else kind)


def unit_of(place: str) -> str:
    """The unit, which a name ends in.

    Example:
        >>> unit_of('timeline[].start_s'), unit_of('keypoints')
        ('s', 'px')
    """
    name = place.replace('_per_frame', '').rpartition('.')[2]
    return UNITS.get(name, 's' if name.endswith('_s') else '')


def show_range(schema: Schema) -> str:
    """The range of the numbers in a field."""
    while schema.get('type') == 'array':
        schema = schema['items']
    more = schema.get('additionalProperties')
    if isinstance(more, dict):
        schema = more
    low = schema.get('minimum', schema.get('exclusiveMinimum'))
    high = schema.get('maximum', schema.get('exclusiveMaximum'))
    if low is None:
        return ''
    if high is None:
        return f'{">=" if "minimum" in schema else ">"} {low}'
    return f'[{low}, {high}]' if 'minimum' in schema else f'({low}, {high})'
