"""What a corpus run wrote, as one table: in Python by pyarrow, in SQL by DuckDB.

The files are described in `mmotion.corpus.store`. While a run goes on, a longer file takes the
place of a shorter one: a dataset of pyarrow that was read before, and is read again, may then fail,
and is to be opened anew, as `query` does.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from pyarrow import dataset, parquet

from mmotion.corpus.store import PATTERN, RUN, TYPES, list_parts

# of the table, in SQL
NAME = 'results'
# DuckDB reads what it is given: no files, no network, no packages
_CLOSED: dict[str, Any] = {
    'autoinstall_known_extensions': False,
    'autoload_known_extensions': False,
    'enable_external_access': False,
    'python_enable_replacements': False,
}


def open_results(folder: str | Path) -> dataset.Dataset:
    """Open all files of a run as one table, which is read when it is used.

    A column that only some files have is null for the others. Where types differ, numbers are of
    the wider type, and numbers beside text are text.

    Args:
        folder: Of the results; without a file of results in it, the table is empty.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If no run has written to it, a file is damaged, or a column has lists in one
            file and no lists in another.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f'results must be in a folder that is there, got {folder}')
    parts = list_parts(folder)
    if not parts and not (folder / RUN).is_file():
        raise ValueError(
            f'a folder of results must have files {PATTERN}, got none in {folder}; "mmotion '
            'predict --manifest" writes them'
        )
    schema = merge_schemas(map(_read_schema, parts))
    if not parts:
        return dataset.dataset(schema.empty_table())
    return dataset.dataset([str(part) for part in parts], schema=schema, format='parquet')


def merge_schemas(schemas: Iterable[pa.Schema]) -> pa.Schema:
    """The columns of several tables, each with a type that holds all of it; first what all have.

    Raises:
        ValueError: If a column has lists in one table and no lists in another.

    Example:
        >>> tables = [pa.table({'count': [3]}), pa.table({'count': [2.5], 'label': ['run']})]
        >>> merged = merge_schemas([table.schema for table in tables])
        >>> merged.field('count').type, merged.names[-1]
        (DataType(double), 'label')
    """
    merged = dict(TYPES)
    for schema in schemas:
        for field in schema:
            known = merged.setdefault(field.name, field.type)
            if known != field.type:
                merged[field.name] = _merge_types(known, field.type, field.name)
    return pa.schema(merged.items())


def query(results: dataset.Dataset, sql: str) -> Any:
    """Ask in SQL; the table is called `results`.

    Args:
        results: From `open_results`.
        sql: In DuckDB's dialect.

    Returns:
        A `duckdb.DuckDBPyRelation`, which is read when it is used; None if there is no table.

    Raises:
        ValueError: If it is wrong, with DuckDB's hint in a line.
    """
    if isinstance(results, dataset.FileSystemDataset):
        # what it has kept of its files does not fit those that took their places
        results = dataset.dataset(results.files, schema=results.schema, format='parquet')
    connection = duckdb.connect(config=_CLOSED)
    connection.register(NAME, results)
    try:
        return connection.sql(sql)
    except duckdb.Error as error:
        raise explain(error) from error


def explain(error: duckdb.Error) -> ValueError:
    """What DuckDB says in several lines, in one."""
    told = ' '.join(str(error).split('\n\nLINE ')[0].split())
    return ValueError(f'--sql must be a query of the table {NAME}, got {told}')


def _read_schema(part: Path) -> pa.Schema:
    try:
        return parquet.read_schema(part)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(
            f'a file of results must be one that mmotion wrote, got "{str(error).splitlines()[0]}" '
            f'for {part}; move it away, and its videos are predicted again'
        ) from error


def _merge_types(first: pa.DataType, second: pa.DataType, name: str) -> pa.DataType:
    schemas = [pa.schema({name: kind}) for kind in (first, second)]
    try:
        return pa.unify_schemas(schemas, promote_options='permissive').field(0).type
    except pa.ArrowException as error:
        if any(map(pa.types.is_nested, (first, second))):
            raise ValueError(
                f'a column must have lists in all files of results or in none, got {name} with '
                f'{first} and {second}; keep the results of different models apart'
            ) from error
        return pa.string()
