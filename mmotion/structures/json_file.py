"""Results as JSON, written a part at a time, so that memory holds their arrays and no more.

The text is to the byte what `simplejson.dumps(plain, ignore_nan=True)` gives of the same content
with lists in place of arrays.
"""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmotion.checks import make_plain

try:
    import simplejson
except ImportError:
    # where an exported model runs, there may be no more than it needs
    simplejson = None

# rows of an array that are text at once
NUM_ROWS = 1024


@dataclasses.dataclass(frozen=True, eq=False)
class Rounded:
    """An array that is rounded when it is written.

    Args:
        values: Numbers of any shape (N, ...).
        decimals: How many are kept.

    Example:
        >>> Rounded(np.array([0.12345, 2.0]), 3).tolist()
        [0.123, 2.0]
    """

    values: NDArray[np.floating]
    decimals: int

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: slice) -> 'Rounded':
        return Rounded(self.values[rows], self.decimals)

    def tolist(self) -> list[Any]:
        """The rounded numbers as Python's own."""
        return self.values.astype(np.float64).round(self.decimals).tolist()


def write_json(path: str | Path, content: Any) -> None:
    """Write a file, see `iterate_json`."""
    with open(path, 'w', encoding='utf-8') as file:
        file.writelines(iterate_json(content))


def iterate_json(content: Any) -> Iterator[str]:
    """Give the text of JSON in parts.

    Args:
        content: Plain JSON types; dictionaries may also hold arrays, `Rounded` ones, and iterators
            of what this function takes. NaN and infinite numbers become null.

    Example:
        >>> ''.join(iterate_json({'x': np.array([[1.5], [np.nan]]), 'parts': iter('ab')}))
        '{"x": [[1.5], [null]], "parts": ["a", "b"]}'
    """
    if isinstance(content, Mapping):
        yield '{'
        for number, (key, value) in enumerate(content.items()):
            yield f'{", " if number else ""}{dump_json(key)}: '
            yield from iterate_json(value)
        yield '}'
    elif isinstance(content, np.ndarray | Rounded):
        yield '['
        for start in range(0, len(content), NUM_ROWS):
            rows = content[start : start + NUM_ROWS].tolist()
            yield (', ' if start else '') + dump_json(rows)[1:-1]
        yield ']'
    elif isinstance(content, Iterator):
        yield '['
        for number, item in enumerate(content):
            yield ', ' if number else ''
            yield from iterate_json(item)
        yield ']'
    else:
        yield dump_json(content)


def dump_json(content: Any) -> str:
    """A line of JSON; NaN and infinite numbers become null."""
    if simplejson is None:
        return json.dumps(make_plain(content))
    return simplejson.dumps(content, ignore_nan=True)
