"""Break what was whole: bytes, texts, tables and nested values, by a seeded `random.Random`.

Each mutator gives the broken thing and says in words what it did.
"""

import copy
from collections.abc import Callable
from random import Random
from typing import Any

# what a value may be instead of what it should be
ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 7.5, 1e-9, 1e30, 10**400, float('inf'), float('nan'),
    '', ' ', 'x', '0', '-1', 'nan', '\x00', 'é\u0301', '$a_{b', '../x', 'a' * 5000,
    [], {}, [[]], [None], [0], [1, 2], ['x'], [1.5, 'x', None], [[1, 2], [3]],
    {'x': 1}, {'type': 'X'}, {'type': None},
)  # fmt: skip
_ODD_CELLS = (
    '', ' ', 'x', '-1', '0', '1e400', 'nan', 'inf', '1,5', '"', '""', "'", ';', '\t', '\x00',
    '0x10', '١٢', 'é', '1 2', '99999999999999999999', '../x', '=1+1', 'NULL', '1e-400', '-0',
    'a' * 200_000,
)  # fmt: skip
_ODD_FOUR = ('00000000', 'ffffffff', '7fffffff', '80000000', '00000001')
_MAX_SHOWN = 60

Bytes = tuple[bytes, str]


def show(value: Any) -> str:
    """A short repr, for messages."""
    try:
        text = repr(value)
    except ValueError:
        # Python writes no whole numbers of thousands of digits
        text = f'a {type(value).__name__} too long to write'
    return text if len(text) <= _MAX_SHOWN else f'{text[:_MAX_SHOWN]}... ({len(text)} characters)'


def break_bytes(content: bytes, rng: Random) -> Bytes:
    """Break a file in one to three of the ways below."""
    said = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        content, words = rng.choice(_BYTE_MUTATORS)(content, rng)
        said.append(words)
    return content, ', '.join(said)


def _flip_bits(content: bytes, rng: Random) -> Bytes:
    broken, number = bytearray(content), rng.choice((1, 1, 4, 32))
    for _ in range(number if broken else 0):
        broken[_place(broken, rng)] ^= 1 << rng.randrange(8)
    return bytes(broken), f'{number} bits flipped'


def _truncate(content: bytes, rng: Random) -> Bytes:
    end = rng.randrange(len(content) + 1)
    return content[:end], f'cut off after {end} of {len(content)} bytes'


def _swap_blocks(content: bytes, rng: Random) -> Bytes:
    size = rng.randint(1, max(len(content) // 8, 1))
    one, other = sorted(rng.randrange(len(content) + 1) for _ in range(2))
    if one + size > other:
        return _truncate(content, rng)
    parts = content[:one], content[other : other + size], content[one + size : other]
    end = content[one : one + size] + content[other + size :]
    return b''.join(parts) + end, f'blocks of {size} bytes at {one} and {other} swapped'


def _overwrite(content: bytes, rng: Random) -> Bytes:
    start, size = _place(content, rng), rng.choice((1, 2, 4, 16, 256))
    filling = rng.choice((bytes(size), b'\xff' * size, rng.randbytes(size)))
    return content[:start] + filling + content[start + size :], f'{size} bytes at {start} replaced'


def _set_number(content: bytes, rng: Random) -> Bytes:
    start, four = _place(content, rng), rng.choice(_ODD_FOUR)
    return content[:start] + bytes.fromhex(four) + content[start + 4 :], f'{four} at {start}'


def _remove_block(content: bytes, rng: Random) -> Bytes:
    start, size = _place(content, rng), rng.randint(1, max(len(content) // 4, 1))
    return content[:start] + content[start + size :], f'{size} bytes at {start} removed'


def _repeat_block(content: bytes, rng: Random) -> Bytes:
    start, size = _place(content, rng), rng.randint(1, max(len(content) // 4, 1))
    return content[: start + size] + content[start:], f'{size} bytes at {start} repeated'


def _insert(content: bytes, rng: Random) -> Bytes:
    start, size = _place(content, rng), rng.choice((1, 3, 100))
    return content[:start] + rng.randbytes(size) + content[
        start:
    ], f'{size} bytes put in at {start}'


def _place(content: bytes | bytearray, rng: Random) -> int:
    # most of what a file says of itself is at its two ends
    end = min(len(content), rng.choice((64, 1024, len(content) or 1))) or 1
    place = rng.randrange(end)
    return len(content) - 1 - place if content and rng.random() < 0.3 else place


_BYTE_MUTATORS: tuple[Callable[[bytes, Random], Bytes], ...] = (
    _flip_bits, _truncate, _swap_blocks, _overwrite, _set_number, _remove_block, _repeat_block,
    _insert,
)  # fmt: skip


def break_value(value: Any, rng: Random) -> tuple[Any, str]:
    """Break one or two places of nested dicts and lists, of which a copy is given."""
    value, said = copy.deepcopy(value), []
    for _ in range(rng.choice((1, 1, 2))):
        node, place = value, ''
        if not isinstance(value, dict | list) or not value or rng.random() < 0.02:
            value = rng.choice(ODD_VALUES)
            said.append(f'all is {show(value)}')
            continue
        while True:
            key = rng.choice([*node] if isinstance(node, dict) else range(len(node)))
            inner = node[key]
            place += f'.{key}' if isinstance(node, dict) else f'[{key}]'
            if not (isinstance(inner, dict | list) and inner) or rng.random() < 0.2:
                break
            node = inner
        said.append(_break_item(node, key, place, rng))
    return value, ', '.join(said)


def _break_item(node: Any, key: Any, place: str, rng: Random) -> str:
    how = rng.random()
    if how < 0.1:
        del node[key]
        return f'{place} removed'
    if how < 0.2 and isinstance(node, list):
        node.insert(key, copy.deepcopy(node[key]))
        return f'{place} there twice'
    if how < 0.25 and isinstance(node, dict):
        node[rng.choice(('x', '', 7, None, 'x.y'))] = node.pop(key)
        return f'{place} renamed'
    node[key] = _deepen(rng) if how > 0.98 else copy.deepcopy(rng.choice(ODD_VALUES))
    return f'{place} is {show(node[key]) if how <= 0.98 else "2,000 lists in one another"}'


def _deepen(rng: Random) -> Any:
    nested: Any = []
    for _ in range(2000):
        nested = [nested]
    return nested


def break_table(text: str, rng: Random) -> Bytes:
    """Break a table as text: a cell, a row, a column, or how it is encoded."""
    rows = [line.split(',') for line in text.splitlines()]
    row = rng.choice(rows)
    place = rng.randrange(len(row))
    how = rng.choice(('cell', 'cell', 'cell', 'row', 'column', 'encoding', 'bytes'))
    words = f'line {rows.index(row) + 1}, column {place + 1}: '
    encoding = 'utf-8'
    if how == 'cell':
        row[place] = rng.choice(_ODD_CELLS)
        words += f'{show(row[place])}'
    elif how == 'row':
        more = rng.choice(([], ['x'] * 3, ['x'] * 2000))
        row[place:] = more
        words += f'{len(more)} cells from here on'
    elif how == 'column':
        for each in rows:
            each[place : place + 1] = rng.choice(([], [each[min(place, len(each) - 1)]] * 2))
        words += 'column removed or there twice'
    elif how == 'encoding':
        encoding = rng.choice(('latin-1', 'utf-16', 'utf-32', 'cp1252'))
        row[place] += 'é'
        words += f'é, and all of it in {encoding}'
    content = rng.choice(('\n', '\n', '\r\n', '\r')).join(map(','.join, rows)).encode(encoding)
    return break_bytes(content, rng) if how == 'bytes' else (content, words)
