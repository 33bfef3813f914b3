"""The list of the videos of a corpus.

A table in Parquet, CSV, TSV or JSON Lines has a column `video`, a path or an address, and perhaps
    id: what a video is called, as text; each once
    start_s, end_s: the part to look at, in seconds
    regions: parts of the picture, as `mmotion predict --regions` takes them, with spaces between
        them, or a list of them
All its other columns pass through to the results, but for those that results have of their own, as
`status`. A text file has a path or an address a line. A
folder, or a pattern, stands for the videos that it holds, see `mmotion.video.files`.

Without `id`, a video is called by a digest of what the four columns say, so that a list that grew,
was sorted anew or is in another format finds what is done.
"""

import difflib
import hashlib
import json
import math
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

try:
    import pyarrow as pa
    from pyarrow import compute, csv, parquet
    from pyarrow import json as arrow_json
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f'packages for many videos must be installed, got no {error.name}; '
        'pip install "mmotion[corpus]"'
    ) from error

from mmotion.corpus.fetching import ADDRESS
from mmotion.corpus.store import TYPES
from mmotion.video.files import find_named, find_videos

# columns that say what to look at
OWN = ('id', 'video', 'start_s', 'end_s', 'regions')
TEXT_SUFFIXES = ('.txt', '.lst')
# what others call a video
_ALIKE = ('path', 'file', 'filename', 'uri', 'url', 'filepath', 'video_path')
# of columns that results have for themselves
RESERVED = frozenset(TYPES) - {*OWN}
_DIGITS = 16
_NAMED = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """A video that is to be predicted.

    Args:
        id: What it is called.
        video: Its path, or its address.
        start_s: From when on, in seconds.
        end_s: Up to when; None for its end.
        regions: Parts of the picture, as text.
        more: The other columns of its row, by name.
        fault: What is wrong with its row; '' if nothing is.
    """

    id: str
    video: str
    start_s: float = 0.0
    end_s: float | None = None
    regions: tuple[str, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)
    fault: str = ''


class Manifest:
    """The videos of a corpus, each once, which are read from a table as they are wanted.

    Args:
        table: With the columns of this module; `id` and `video` are text, and none is empty.
        root: Folder of relative paths.

    Attributes:
        columns: Names of the columns that pass through.
    """

    def __init__(self, table: pa.Table, *, root: Path) -> None:
        self.table = table
        self.root = root
        self.columns = [name for name in table.column_names if name not in OWN]

    def __len__(self) -> int:
        return len(self.table)

    def find_others(self, known: pa.Table) -> list[tuple[str, str, str]]:
        """Find ids that stand for another video elsewhere: each, the one here and the one there.

        Args:
            known: With the columns `id` and `video`.
        """
        there = known['video'].take(compute.index_in(self.table['id'], known['id']))
        table = self.table.select(['id', 'video']).append_column('there', there)
        # what is null is not there
        differ = table.filter(compute.not_equal(table['video'], there)).to_pylist()
        rows = [(row['id'], _find_place(row['video'], self.root), row['there']) for row in differ]
        return [row for row in rows if row[1] != row[2]]

    @property
    def ids(self) -> list[str]:
        """What the videos are called."""
        return self.table['id'].to_pylist()

    def __iter__(self) -> Iterator[Item]:
        for batch in self.table.to_batches(max_chunksize=4096):
            for row in batch.to_pylist():
                more = {name: row[name] for name in self.columns}
                yield _make_item(row, more, self.root)


def read_manifest(source: Any, *, root: str | Path | None = None) -> Manifest:
    """Read the list of the videos of a corpus.

    Args:
        source: A file, folder or pattern, see the head of this module; or a table of the same
            columns, of pyarrow, pandas or whatever else speaks Arrow; or paths and addresses.
        root: Folder of relative paths; by default that of the file, or the current one.

    Raises:
        FileNotFoundError: If there is no such file, or no video in a folder.
        TypeError: If it is no table, and no paths.
        ValueError: If a file is no table, has no column `video`, or an `id` twice.
    """
    name, folder = 'the manifest', Path()
    if isinstance(source, str | Path):
        name = str(source)
        table, folder = _read_file(Path(source).expanduser())
    elif hasattr(source, '__arrow_c_stream__'):
        table = pa.table(source)
    else:
        table = _list_videos(source)
    table = _check_columns(table, name)
    table = _name_rows(table, name)
    return Manifest(table, root=folder if root is None else Path(root).expanduser().absolute())


def _list_videos(source: Any) -> pa.Table:
    videos = [*source] if isinstance(source, Iterable) and not isinstance(source, Mapping) else None
    if videos is None or not all(isinstance(video, str | Path) for video in videos):
        raise TypeError(
            'a manifest must be a file, a table or paths, got '
            f'{type(source).__name__ if videos is None else "things that are none"}; give a table '
            'with a column video'
        )
    return pa.table({'video': pa.array(_drop_unspeakable(map(str, videos)), pa.string())})


def _drop_unspeakable(names: Iterable[str]) -> list[str]:
    """Leave out names of files that are no text, as old archives have them: no table holds them."""
    kept, other = [], []
    for name in names:
        (kept if name.encode(errors='ignore').decode() == name else other).append(name)
    if other:
        warnings.warn(
            f'passed over: {len(other)} videos whose names are no UTF-8, such as {other[0]!a}; '
            'rename them',
            stacklevel=4,
        )
    return kept


def _read_file(path: Path) -> tuple[pa.Table, Path]:
    """Read what is there under a name, and tell from where its relative paths go."""
    suffix = path.suffix.lower()
    readers = {
        '.parquet': parquet.read_table,
        '.csv': lambda file: _read_csv(file, ','),
        '.tsv': lambda file: _read_csv(file, '\t'),
        '.jsonl': arrow_json.read_json,
        '.ndjson': arrow_json.read_json,
        **dict.fromkeys(TEXT_SUFFIXES, _read_text),
    }
    if suffix not in readers or path.is_dir():
        if not any(letter in str(path) for letter in '*?[') and not find_named(path).exists():
            raise _say_not_there(path)
        # a pattern has its folders in it
        return _list_videos(find_videos([str(path)], with_pictures=True)), Path().absolute()
    if not path.is_file():
        raise _say_not_there(path)
    try:
        return readers[suffix](path), path.parent.absolute()
    except (pa.ArrowException, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f'a manifest must be a table in {suffix[1:]}, got "{reason}" for {path}; mend it, or '
            'give it the suffix of what it is'
        ) from error


def _say_not_there(path: Path) -> FileNotFoundError:
    return FileNotFoundError(
        f'a manifest must be a file, folder or pattern that is there, got {path}; '
        'check its spelling'
    )


def _read_csv(path: Path, delimiter: str) -> pa.Table:
    # an id 007 is no number
    convert = csv.ConvertOptions(
        column_types={'id': pa.string(), 'video': pa.string(), 'regions': pa.string()},
        strings_can_be_null=True,
    )
    return csv.read_csv(
        path, parse_options=csv.ParseOptions(delimiter=delimiter), convert_options=convert
    )


def _read_text(path: Path) -> pa.Table:
    lines = path.read_text(encoding='utf-8-sig').splitlines()
    videos = [line.strip() for line in lines if line.strip() and not line.startswith('#')]
    return pa.table({'video': pa.array(videos, pa.string())})


def _check_columns(table: pa.Table, name: str) -> pa.Table:
    """Refuse a table without videos, and leave out rows that name none."""
    # a comma at the end of each line makes a column without a name
    table = table.select([i for i, column in enumerate(table.column_names) if column.strip()])
    odd = [column for column in table.column_names if column.strip().lower() in OWN]
    odd = [column for column in odd if column not in OWN]
    if odd:
        raise ValueError(
            f'columns of a manifest must be called {", ".join(OWN)}, got {odd[0]!r} in {name}; '
            'rename it'
        )
    if 'video' not in table.column_names:
        alike = [column for column in table.column_names if column.lower() in _ALIKE]
        alike += difflib.get_close_matches('video', table.column_names)
        hint = f'; rename {alike[0]}' if alike else '; name the paths of the videos so'
        if len(table.column_names) == 1 and re.search('[;\t|]', table.column_names[0]):
            hint = '; put commas between the columns, or name a file with tabs .tsv'
        raise ValueError(
            f'a manifest must have a column video, got {", ".join(table.column_names) or "none"} '
            f'in {name}{hint}'
        )
    twice = {column for column in table.column_names if table.column_names.count(column) > 1}
    if twice:
        raise ValueError(
            f'columns of a manifest must have different names, got {", ".join(sorted(twice))} more '
            f'than once in {name}; rename them'
        )
    taken = [column for column in table.column_names if column.lower() in RESERVED]
    if taken:
        # the manifest that `mmotion results --failed` writes has reasons to be read, not kept
        if taken != ['reason']:
            warnings.warn(
                f'passed over in {name}: {", ".join(taken)}, as results have such columns of their '
                'own',
                stacklevel=3,
            )
        table = table.drop_columns(taken)
    for column in ('id', 'video'):
        if column in table.column_names:
            table = _make_text(table, column, name)
    videos = table['video']
    is_there = compute.fill_null(compute.greater(compute.utf8_length(videos), 0), False)
    kept = table.filter(is_there)
    if len(kept) < len(table):
        warnings.warn(
            f'passed over in {name}: {len(table) - len(kept)} rows without a video', stacklevel=3
        )
    if not len(kept):
        raise ValueError(f'a manifest must name a video at least, got none in {name}')
    return kept


def _make_text(table: pa.Table, column: str, name: str) -> pa.Table:
    try:
        texts = table[column].cast(pa.string())
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise ValueError(
            f'the column {column} of a manifest must be text, got {table[column].type} in {name}'
        ) from error
    return table.set_column(table.column_names.index(column), column, texts)


def _name_rows(table: pa.Table, name: str) -> pa.Table:
    """Give each row its `id`, and leave out what is the same once more."""
    nothing = [None] * len(table)
    parts = [
        table[column].to_pylist() if column in table.column_names else nothing for column in OWN[1:]
    ]
    parts[1:] = ([*map(_settle, part)] for part in parts[1:])
    names = [
        hashlib.sha256(json.dumps(row, default=str).encode()).hexdigest()[:_DIGITS]
        for row in zip(*parts, strict=True)
    ]
    if 'id' in table.column_names:
        given = table['id'].to_pylist()
        names = [own or digest for own, digest in zip(given, names, strict=True)]
        table = table.drop_columns('id')
    first = {name: place for place, name in reversed([*enumerate(names)])}
    table = table.add_column(0, 'id', pa.array(names, pa.string()))
    if len(first) == len(names):
        return table
    again = [place for place, name in enumerate(names) if first[name] != place]
    differ = [
        names[place]
        for place in again
        if any(part[place] != part[first[names[place]]] for part in parts)
    ]
    if differ:
        raise ValueError(
            f'each id of a manifest must stand for one video, got {len(differ)} again for another '
            f'one in {name}: {", ".join(differ[:_NAMED])}; name them anew, or leave the column out'
        )
    warnings.warn(
        f'passed over in {name}: {len(again)} rows that name the same video, start_s, end_s and '
        'regions as one before',
        stacklevel=3,
    )
    return table.take(sorted(first.values()))


def _settle(value: Any) -> Any:
    """What a time or regions say, however written: 0, '0.0' and nothing are the same."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return value.split() or None
    if isinstance(value, int | float | Decimal):
        # what is no number says nothing
        return float(value) if value and value == value else None
    return value or None


def _make_item(row: Mapping[str, Any], more: Mapping[str, Any], root: Path) -> Item:
    """Read a row; what is wrong with it is said where its result would be."""
    video = _find_place(row['video'], root)
    try:
        start_s = _read_seconds(row, 'start_s')
        end_s = _read_seconds(row, 'end_s')
        start_s = start_s or 0.0
        if start_s < 0 or not (end_s is None or start_s < end_s):
            raise ValueError(
                f'start_s must not be negative and end_s must come after it, got {start_s:g} and '
                f'{end_s}'
            )
        regions = _read_regions(row.get('regions'), root)
    except ValueError as error:
        return Item(id=row['id'], video=video, more=more, fault=str(error))
    return Item(id=row['id'], video=video, start_s=start_s, end_s=end_s, regions=regions, more=more)


def _find_place(video: str, root: Path) -> str:
    return video if ADDRESS.match(video) else str(root / Path(video).expanduser())


def _read_seconds(row: Mapping[str, Any], name: str) -> float | None:
    value = row.get(name)
    if value is None or value == '':
        return None
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        raise ValueError(f'{name} must be a number of seconds, got {value!r}') from None
    if math.isinf(seconds):
        raise ValueError(f'{name} must be finite, got {seconds}')
    return None if math.isnan(seconds) else seconds


def _read_regions(value: Any, root: Path) -> tuple[str, ...]:
    if not value:
        return ()
    texts: Any = value.split() if isinstance(value, str) else value
    if not isinstance(texts, Sequence) or not all(isinstance(text, str) for text in texts):
        raise ValueError(f'regions must be text, or a list of it, got {value!r}')
    return tuple(str(root / text) if text.endswith('.json') else text for text in texts)
