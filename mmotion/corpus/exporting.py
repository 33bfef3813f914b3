"""Rows of a query for people and for programs: a table, CSV, JSON Lines or Parquet."""

import csv
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, TextIO

import duckdb
import pyarrow as pa
from pyarrow import parquet

from mmotion.atomic import write_atomically
from mmotion.checks import make_plain
from mmotion.corpus.reading import explain
from mmotion.inference.summary import cut, show
from mmotion.tables import as_cell

FORMATS = ('csv', 'jsonl', 'parquet')
# of a table in a terminal: rows, and letters of one of their cells
SHOWN, MAX_LETTERS = 40, 60
# of a list, which says no more in many
LIST_LETTERS = 24


def find_format(path: Path) -> str:
    """The format of a file by its suffix.

    Raises:
        ValueError: If it has none of `FORMATS`.
    """
    found = path.suffix.lower().removeprefix('.')
    if found not in FORMATS:
        raise ValueError(f'--out must end in .{", .".join(FORMATS)}, got {path}')
    return found


def write_rows(rows: Any, path: Path) -> tuple[int, list[str]]:
    """Write rows to a file; until all are written, it is what it was before.

    Args:
        rows: A `pyarrow.Table`, or what `mmotion.corpus.reading.query` gives.
        path: Ends in one of `FORMATS`.

    Returns:
        How many rows, and the columns that were left out, see `print_rows`.

    Raises:
        ValueError: If the query fails while it is read.
    """
    kind = find_format(path)
    with write_atomically(path) as temporary:
        if kind == 'parquet':
            return _write_parquet(rows, temporary), []
        with temporary.open('w', newline='', encoding='utf-8') as file:
            return print_rows(rows, file, kind)


def print_rows(rows: Any, file: TextIO, kind: str) -> tuple[int, list[str]]:
    """Write rows as text.

    CSV has no lists: columns of them are left out. Text in it that a spreadsheet would run as a
    formula has a quote before it.

    Args:
        rows: See `write_rows`.
        file: Where to.
        kind: 'csv' or 'jsonl'.

    Returns:
        See `write_rows`.
    """
    schema, batches = _read(rows)
    columns = [f.name for f in schema if kind == 'jsonl' or not pa.types.is_nested(f.type)]
    writer = csv.writer(file, lineterminator='\n')
    if kind == 'csv':
        writer.writerow(columns)
    number = 0
    for batch in batches:
        number += len(batch)
        if kind == 'jsonl':
            file.writelines(_as_line(row) for row in batch.to_pylist())
            continue
        values = (map(_as_cell, batch[name].to_pylist()) for name in columns)
        writer.writerows(zip(*values, strict=True))
    return number, [name for name in schema.names if name not in columns]


def lay_out(rows: Any, width: int) -> tuple[str, list[str]]:
    """The first rows as a table for a terminal.

    Args:
        rows: A `duckdb.DuckDBPyRelation`.
        width: Letters that fit in a line.

    Returns:
        The table, and the columns that do not fit.
    """
    schema, batches = _read(rows.limit(SHOWN + 1))
    table = pa.Table.from_batches(batches, schema)
    lines, left_out = [''] * (1 + min(len(table), SHOWN)), []
    # by number, as two columns may have one name
    for number, field in enumerate(schema):
        limit = LIST_LETTERS if pa.types.is_nested(field.type) else MAX_LETTERS
        values = table.column(number).to_pylist()[:SHOWN]
        cells = [cut(show(cell), limit) for cell in (field.name, *values)]
        length = max(map(len, cells))
        if lines[0] and len(lines[0]) + length > width:
            left_out.append(field.name)
            continue
        is_text = any(isinstance(value, str | list | dict) for value in values)
        cells = [cell.ljust(length) if is_text else cell.rjust(length) for cell in cells]
        lines = [f'{line}  {cell}' for line, cell in zip(lines, cells, strict=True)]
    lines = [line[2:].rstrip() for line in lines]
    more = ['and more rows'] if len(table) > SHOWN else ['no rows'] if not len(table) else []
    return '\n'.join(lines + more), left_out


def _write_parquet(rows: Any, path: Path) -> int:
    schema, batches = _read(rows)
    number = 0
    with parquet.ParquetWriter(path, schema, compression='zstd') as writer:
        for batch in batches:
            writer.write_batch(batch)
            number += len(batch)
    return number


def _read(rows: Any) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """The columns, and the rows as they are needed."""
    try:
        reader = pa.RecordBatchReader.from_stream(rows)
    except duckdb.Error as error:
        raise explain(error) from error
    return reader.schema, _explain_late(reader)


def _explain_late(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """What is wrong with a value shows when it is reached."""
    try:
        yield from reader
    except (duckdb.Error, pa.ArrowException) as error:
        raise explain(error) from error


def _as_cell(value: Any) -> Any:
    """Numbers keep all their digits, as they are for programs."""
    return as_cell(value) if isinstance(value, str) else value


def _as_line(row: dict[str, Any]) -> str:
    return f'{json.dumps(make_plain(row), default=_as_json, ensure_ascii=False)}\n'


def _as_json(value: Any) -> Any:
    """DuckDB's sums of whole numbers are decimals, and there are dates."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return str(value)
