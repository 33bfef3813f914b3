"""Tables in CSV files, one way to read them and one to write them, and tables in reports.

A table is text in UTF-8, with or without the byte order mark that spreadsheets put before the first
column. Its first line names the columns, in any order; columns that nobody asks for are passed
over, and so are lines without any value. What is written ends its lines as Unix does and is
whole or not there.
"""

import csv
import io
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from mmotion.atomic import write_atomically


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table, which knows where it stands.

    Attributes:
        values: Text of every column, without spaces around it; '' where the row has none.
        line: Number of its (last) line, from 1 on.
        path: The table.
    """

    values: Mapping[str, str]
    line: int
    path: Path

    @property
    def where(self) -> str:
        """Line and table, for messages."""
        return f'line {self.line} of {self.path}'

    def text(self, column: str) -> str:
        """What a column says; '' if it is blank or there is no such column."""
        return self.values.get(column, '')

    def number(self, column: str, *, at_least: float = -math.inf) -> float:
        """A finite number.

        Raises:
            ValueError: If the column says something else.
        """
        return self._parse(column, at_least, 'a number')

    def whole(self, column: str, *, at_least: float = -math.inf) -> int:
        """A whole number; `3.0` is one.

        Raises:
            ValueError: If the column says something else.
        """
        return int(self._parse(column, at_least, 'a whole number'))

    def _parse(self, column: str, at_least: float, kind: str) -> float:
        text = self.text(column)
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        is_right = math.isfinite(number) and (kind == 'a number' or number.is_integer())
        if not (is_right and number >= at_least):
            limit = '' if at_least == -math.inf else f' from {at_least:g} on'
            raise ValueError(
                f'{column} must be {kind}{limit}, got {column}={text!r} in {self.where}; correct it'
            )
        return number


def read_table(
    path: str | Path,
    columns: Sequence[str],
    *,
    what: str = 'a table',
    remedy: str = 'correct it',
    may_be_empty: bool = False,
    may_be_torn: bool = False,
) -> list[Row]:
    """Read a table.

    Args:
        path: CSV file.
        columns: Those that it must have, and every row a place for; others may be read where there
            are any.
        what: What the table is, for messages.
        remedy: What helps if it is not as described.
        may_be_empty: Whether a table without a row is one.
        may_be_torn: Whether a last row that was not written to its end is left out.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no table, a column is missing, a row has too few values or too many, or
            there is none; the message names the line.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'{what} must be a file, got {path}; {remedy}')
    try:
        with path.open('rb') as raw:
            whole = io.BytesIO(_drop_torn_row(raw.read())) if may_be_torn else raw
            file = io.TextIOWrapper(whole, newline='', encoding='utf-8-sig')
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, ())]
            missing = [name for name in columns if name not in header]
            if missing:
                raise ValueError(
                    f'{what} must have the columns {", ".join(columns)}, got {path} without '
                    f'{", ".join(missing)}; {remedy}'
                )
            needed = max((header.index(name) for name in columns), default=-1) + 1
            rows = []
            for cells in reader:
                cells = [cell.strip() for cell in cells]
                if not any(cells):
                    continue
                values = dict(zip_longest(header, cells[: len(header)], fillvalue=''))
                row = Row(values, reader.line_num, path)
                if len(cells) < needed or any(cells[len(header) :]):
                    raise ValueError(
                        f'a row must have a value for each of {len(header)} columns, got '
                        f'{len(cells)} values in {row.where}; {remedy}'
                    )
                rows.append(row)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(
            f'{what} must be a CSV file in UTF-8, got {error} in {path}; {remedy}'
        ) from error
    if not (rows or may_be_empty):
        raise ValueError(f'{what} must have a row at least, got none in {path}; {remedy}')
    return rows


def write_table(
    path: str | Path,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any] | Mapping[str, Any]],
    *,
    note: str = '',
) -> None:
    """Write a table; until it is complete, the file is what it was before.

    Args:
        path: CSV file, replaced if it is there; missing folders are made.
        columns: Names in the first line.
        rows: Values in the order of the columns, or by their names, blank where one has no value.
        note: A line of its own before the first one.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / 'counts.csv'
        >>> write_table(path, ['file', 'count'], [('a.mp4', 3), {'file': 'b.mp4'}])
        >>> [(row.text('file'), row.text('count')) for row in read_table(path, ['file'])]
        [('a.mp4', '3'), ('b.mp4', '')]
    """
    with (
        write_atomically(path) as temporary,
        temporary.open('w', newline='', encoding='utf-8') as file,
    ):
        if note:
            file.write(f'{note}\n')
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(columns)
        for row in rows:
            if isinstance(row, Mapping):
                unknown = row.keys() - {*columns}
                if unknown:
                    raise ValueError(
                        f'a row must have no column but {", ".join(columns)}, got '
                        f'{", ".join(sorted(unknown))} for {path}'
                    )
                row = [row.get(name, '') for name in columns]
            writer.writerow(row)


def append_row(path: Path, values: Sequence[Any]) -> None:
    """Add a row to a table of `write_table`, on the disk before this returns.

    If the machine stops meanwhile, a torn row is left: see `may_be_torn` of `read_table`.

    Args:
        path: CSV file that is there.
        values: In the order of its columns.
    """
    text = io.StringIO()
    csv.writer(text, lineterminator='\n').writerow(values)
    with path.open('a', newline='', encoding='utf-8') as file:
        file.write(text.getvalue())
        file.flush()
        os.fsync(file.fileno())


def as_markdown(rows: Sequence[Mapping[str, str]]) -> str:
    """Lay out rows, all with the same columns, as a table of Markdown.

    Example:
        >>> print(as_markdown([{'clip': 'a', 'true': '3'}]))
        | clip | true |
        |---|---|
        | a | 3 |
    """
    lines = [list(rows[0]), *(list(row.values()) for row in rows)]
    text = [f'| {" | ".join(cells)} |' for cells in lines]
    return '\n'.join([text[0], '|---' * len(rows[0]) + '|', *text[1:]])


def _drop_torn_row(content: bytes) -> bytes:
    """Give a table up to its last row that ends; all of it if not even the first line does."""
    end = content.rfind(b'\n') + 1
    # after an odd number of quotes, a line break belongs to a value
    while content.count(b'"', 0, end) % 2:
        end = content.rfind(b'\n', 0, end - 1) + 1
    return content[:end] or content
