"""Results of a corpus: Parquet files in a folder, which one process writes.

`<folder>/part-00000.parquet`, `part-00001.parquet`, ... have a row for each video. A file is put in
its place whole: while it grows, a longer one takes the place of a shorter one. So a video is done
when its row is in one of them, whatever ends the process that writes, and no video is in two rows.
`<folder>/_run.json` says what made the rows; readers of Parquet pass over names with a `_`.

Columns, of which those of the manifest and of the result may be missing in some files:
    id, start_s, end_s: as the manifest says
    video: the whole path, or the address
    status: 'ok' or 'failed'
    reason: why it failed
    seconds: how long it took
    frames: those that were looked at
    attempts: processes that tried, 2 after a crash
    version: of mmotion
    the other columns of the manifest
    the entries of the result, see `mmotion.corpus.worker.flatten`
"""

import json
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import compute, parquet

from mmotion.atomic import hold_folder, write_atomically
from mmotion.inference.records import list_differences

SCHEMA = {b'mmotion.schema': b'1'}
PATTERN = 'part-*.parquet'
RUN = '_run.json'
# of those that every row has, what they are where no row says it
TYPES = {
    'id': pa.string(),
    'video': pa.string(),
    'start_s': pa.float64(),
    'end_s': pa.float64(),
    'status': pa.string(),
    'reason': pa.string(),
    'seconds': pa.float64(),
    'frames': pa.int64(),
    'attempts': pa.int64(),
    'version': pa.string(),
}
# when a file is long enough for another one to follow, in bytes of memory
PART_BYTES = 32_000_000
# longest time that a row waits for its file
COMMIT_S = 10.0


class ResultStore:
    """Takes the rows of a run, and puts them into files; to be used from `open_store`.

    Any thread may call it.

    Args:
        folder: Of the results.

    Attributes:
        done: Whether each video that has a row in a file or waits for one was predicted, by its id.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.done: dict[str, bool] = {}
        for path in list_parts(folder):
            ids, states = (column.to_pylist() for column in _read(path, ['id', 'status']).columns)
            self.done.update(zip(ids, (state == 'ok' for state in states), strict=True))
        self._lock = threading.Lock()
        self._number = _find_number(folder)
        self._tables: list[pa.Table] = []
        self._rows: list[Mapping[str, Any]] = []
        self._committed_s = time.monotonic()

    def add(self, row: Mapping[str, Any]) -> None:
        """Take a row; one of a video that is done is passed over."""
        with self._lock:
            if row['id'] not in self.done:
                self.done[row['id']] = row['status'] == 'ok'
                self._rows.append(row)

    def commit(self, *, every_s: float = 0.0) -> None:
        """Put the rows that wait into a file, unless that was done in the last seconds.

        Raises:
            OSError: If the disk does not take them; they wait on.
        """
        with self._lock:
            if not self._rows or time.monotonic() - self._committed_s < every_s:
                return
            table = join_tables([*self._tables, make_table(self._rows)])
            path = self.folder / f'part-{self._number:05d}.parquet'
            with write_atomically(path) as temporary:
                parquet.write_table(table, temporary, compression='zstd')
            self._tables, self._rows = [table], []
            if table.nbytes > PART_BYTES:
                self._tables, self._number = [], self._number + 1
            self._committed_s = time.monotonic()

    def forget_failed(self, among: Iterable[str] | None = None) -> int:
        """Remove the rows of videos that failed, so that they are tried again, and count them.

        Args:
            among: The videos that will be tried; None for all.
        """
        names = self.done if among is None else among
        failed = {name for name in names if not self.done.get(name, True)}
        for path in list_parts(self.folder) if failed else ():
            table = _read(path)
            gone = compute.is_in(table['id'], pa.array(failed, pa.string()))
            kept = table.filter(compute.invert(gone))
            if len(kept) < len(table):
                with write_atomically(path) as temporary:
                    parquet.write_table(kept, temporary, compression='zstd')
        self.done = {name: state for name, state in self.done.items() if name not in failed}
        return len(failed)

    def read_videos(self) -> pa.Table:
        """The columns `id` and `video` of what is in files."""
        tables = [_read(path, ['id', 'video']) for path in list_parts(self.folder)]
        return pa.concat_tables(tables or [make_table([]).select(['id', 'video'])])

    def check_run(self, run: Mapping[str, Any]) -> None:
        """Note what makes the rows, or refuse to add to rows that were made by something else.

        Args:
            run: Plain JSON types: `settings`, as `mmotion.inference.records.describe_settings`
                gives them, and what says for people what they are of.

        Raises:
            ValueError: If the rows that are there were made by other settings.
        """
        path = self.folder / RUN
        if self.done and path.is_file():
            try:
                before = json.loads(path.read_text(encoding='utf-8'))['settings']
            except (ValueError, TypeError, KeyError) as error:
                raise ValueError(
                    f'{path} must say what made the results beside it, got a damaged file; name '
                    'another --out, or remove it if you know'
                ) from error
            changes = list_differences(before, run['settings'])
            if changes:
                raise ValueError(
                    f'results in {self.folder} must be made by the same model and options, got '
                    f'another {", ".join(changes)}; name another --out'
                )
            return
        with write_atomically(path) as temporary:
            temporary.write_text(json.dumps(run, indent=1), encoding='utf-8')


@contextmanager
def open_store(folder: Path) -> Iterator[ResultStore]:
    """Hold a folder of results while the block runs, and put the rows that wait into files.

    Raises:
        OSError: If the disk takes nothing.
        ValueError: If another process holds it, or a file in it is damaged.
    """
    with hold_folder(folder, remedy='wait for it, or name another --out'):
        store = ResultStore(folder)
        try:
            yield store
        finally:
            store.commit()


def list_parts(folder: Path) -> list[Path]:
    """The files of results in a folder, in their order."""
    return sorted(folder.glob(PATTERN))


def make_table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Turn rows into columns; a value that is missing is null.

    A column of values of several kinds is one of text: what is none becomes JSON.
    """
    names = dict.fromkeys([*TYPES, *(name for row in rows for name in row)])
    columns = {name: _make_column([row.get(name) for row in rows], name) for name in names}
    return pa.table(columns).replace_schema_metadata(SCHEMA)


def join_tables(tables: Sequence[pa.Table]) -> pa.Table:
    """Put tables of different columns below one another."""
    try:
        joined = pa.concat_tables(tables, promote_options='permissive')
    except pa.ArrowException:
        # a column has become one of another kind
        rows = [row for table in tables for row in table.to_pylist()]
        joined = make_table(rows)
    return joined.combine_chunks().replace_schema_metadata(SCHEMA)


def _make_column(values: list[Any], name: str) -> pa.Array:
    try:
        return pa.array(values, TYPES.get(name))
    except (pa.ArrowException, OverflowError, UnicodeEncodeError):
        # a list of things with names is text already, unless it is empty
        return pa.array([value if value is None else _as_text(value) for value in values])


def _as_text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    # parts of a name of a file that are none
    return text.encode(errors='backslashreplace').decode()


def _read(path: Path, columns: list[str] | None = None) -> pa.Table:
    try:
        return parquet.ParquetFile(path).read(columns)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(
            f'a file of results must be one that mmotion wrote, got "{str(error).splitlines()[0]}" '
            f'for {path}; move it away, and its videos are predicted again'
        ) from error


def _find_number(folder: Path) -> int:
    """The number of the next file."""
    names = [path.stem.removeprefix('part-') for path in list_parts(folder)]
    return 1 + max((int(name) for name in names if name.isdecimal()), default=-1)
