"""Text, JSON and tables in CSV files, one way to read them and one to write them.

Text is in UTF-8, with or without the byte order mark that spreadsheets put before it, or in UTF-16
or UTF-32 with one. The first line of a table names the columns, in any order; columns that nobody
asks for are passed over, and so are lines without any value. What is written ends its lines as Unix
does and is whole or not there.
"""

import codecs
import csv
import io
import math
import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from mmotion.atomic import name_disk_errors, write_atomically

# the mark of UTF-32 begins with that of UTF-16
MARKS = {
    codecs.BOM_UTF8: 'utf-8-sig',
    codecs.BOM_UTF32_LE: 'utf-32',
    codecs.BOM_UTF32_BE: 'utf-32',
    codecs.BOM_UTF16_LE: 'utf-16',
    codecs.BOM_UTF16_BE: 'utf-16',
}
# a whole number with more digits is more than 64 bits hold
MAX_DIGITS = 18


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


def read_text(path: str | Path, *, what: str, remedy: str = 'correct it') -> str:
    """Read a file of text, in any of the encodings of which a file tells that it has it.

    Args:
        path: The file.
        what: Beginning of a message, such as 'a list must be text'.
        remedy: What helps if it is not.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is in another encoding.
    """
    return _decode(Path(path).expanduser().read_bytes(), path, what=what, remedy=remedy)


def _decode(content: bytes, path: str | Path, *, what: str, remedy: str) -> str:
    encoding = next((name for mark, name in MARKS.items() if content.startswith(mark)), 'utf-8')
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != 'utf-8':
            found = f'broken {encoding.upper()}'
        elif b'\0' in content:
            found = 'UTF-16 without a byte order mark, or no text,'
        else:
            line = content.count(b'\n', 0, error.start) + 1
            found = f'the byte 0x{content[error.start]:02x} (Latin-1, or no text) in line {line}'
        raise ValueError(f'{what}, got {found} in {path}; {remedy}') from error


def read_json(path: str | Path, *, what: str, remedy: str = 'correct it') -> Any:
    """Read a file of JSON, in which there may be NaN and Infinity.

    A whole number that 64 bits do not hold is read as a `float`, infinite if need be.

    Args:
        path: The file.
        what: Beginning of a message, such as 'labels must be JSON'.
        remedy: What helps if it is none.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is no JSON, or has lists in lists deeper than Python can go.
    """
    try:
        import simplejson
    except ImportError:
        # where an exported model runs, there may be no more than it needs
        import json as simplejson

    try:
        return simplejson.loads(
            read_text(path, what=what, remedy=remedy),
            parse_constant=float,
            parse_int=lambda text: int(text) if len(text) <= MAX_DIGITS else float(text),
        )
    except simplejson.JSONDecodeError as error:
        raise ValueError(f'{what}, got {error} in {path}; {remedy}') from error
    except RecursionError as error:
        raise ValueError(
            f'{what}, got lists or objects in one another without end in {path}; {remedy}'
        ) from error


def read_rows(
    path: str | Path, *, what: str, remedy: str = 'correct it', may_be_torn: bool = False
) -> Iterator[tuple[int, list[str]]]:
    """Give the cells of each row of a CSV file, with the number of its (last) line.

    Args:
        path: The file.
        what: What it is, for messages.
        remedy: What helps if it is no CSV.
        may_be_torn: Leave out a last row without its end, see `append_row`.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is no CSV.
    """
    content = Path(path).expanduser().read_bytes()
    content = _drop_torn_row(content) if may_be_torn else content
    text = _decode(content, path, what=f'{what} must be a CSV file in UTF-8', remedy=remedy)
    reader = csv.reader(io.StringIO(text, newline=''), strict=True)
    try:
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error as error:
        hint = '; a quote before it may not be closed' if 'limit' in str(error) else ''
        raise ValueError(
            f'{what} must be a CSV file in UTF-8, got {error} in line {reader.line_num} of {path}'
            f'{hint}; {remedy}'
        ) from error


def unquote(line: str) -> str:
    """Take the quotes off the values of a line, if it begins with one.

    Example:
        >>> unquote('"a, b.mp4","3"'), unquote('"a b.mp4" 3'), unquote('a b.mp4 3')
        ('a, b.mp4,3', 'a b.mp4 3', 'a b.mp4 3')
    """
    if line.startswith('"'):
        for delimiter in ', \t':
            try:
                return delimiter.join(next(csv.reader([line], delimiter=delimiter, strict=True)))
            except csv.Error:
                continue
    return line


def unify(name: str) -> str:
    """Write a name in the one of Unicode's ways in which most programs do.

    An accented letter is one character (NFC), or a letter and its accent (NFD), as file names of
    macOS are, which look the same.

    Example:
        >>> unify('e\u0301') == '\u00e9'
        True
    """
    return unicodedata.normalize('NFC', name)


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
    lines = read_rows(path, what=what, remedy=remedy, may_be_torn=may_be_torn)
    header = [name.strip() for name in next(lines, (0, []))[1]]
    missing = [name for name in columns if name not in header]
    if missing:
        raise ValueError(
            f'{what} must have the columns {", ".join(columns)}, got {path} without '
            f'{", ".join(missing)}; {remedy}'
        )
    needed = max((header.index(name) for name in columns), default=-1) + 1
    rows = []
    for line, cells in lines:
        cells = [cell.strip() for cell in cells]
        if not any(cells):
            continue
        values = dict(zip_longest(header, cells[: len(header)], fillvalue=''))
        row = Row(values, line, path)
        if len(cells) < needed or any(cells[len(header) :]):
            raise ValueError(
                f'a row must have a value for each of {len(header)} columns, got '
                f'{len(cells)} values in {row.where}; {remedy}'
            )
        rows.append(row)
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

    Raises:
        OSError: If the disk does not take it.
    """
    text = io.StringIO()
    csv.writer(text, lineterminator='\n').writerow(values)
    with name_disk_errors(path), path.open('a', newline='', encoding='utf-8') as file:
        file.write(text.getvalue())
        file.flush()
        os.fsync(file.fileno())


def as_cell(value: Any) -> str:
    """Write a value for people's spreadsheets, which run text that begins as a formula does.

    Such text gets a quote before it, as https://owasp.org/www-community/attacks/CSV_Injection says.

    Example:
        >>> [as_cell(value) for value in (-0.25, '=1+1', '-run.mp4', 'run.mp4', 1 / 3, True)]
        ['-0.25', "'=1+1", "'-run.mp4", 'run.mp4', '0.333333', 'yes']
    """
    if isinstance(value, bool):
        return 'yes' if value else 'no'
    if isinstance(value, float):
        return f'{value:.6g}' if math.isfinite(value) else ''
    text = '' if value is None else str(value)
    # the name of a file may be no text
    text = text.encode('utf-8', 'backslashreplace').decode()
    is_formula = isinstance(value, str) and text.startswith(('=', '+', '-', '@', '\t', '\r', '\n'))
    return f"'{text}" if is_formula else text


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
