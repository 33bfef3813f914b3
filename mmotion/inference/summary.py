"""One table of many videos: what became of each, and what was found in it.

`summary.csv` has a row for each video, or for each region of one:
    video: its path, as it was given
    status: 'ok', 'skipped' if a resumed run had done it, 'failed'
    region: name of the part of the picture, if there are such
    what was found, in columns that the system has chosen, see `list_rows`
    lost_frames: frames that should have been there, if any
    video_s: seconds of video that were watched
    taken_s: seconds that it took, without drawing; not of what was done before
    reason: why it failed
Text that a spreadsheet would run as a formula has a quote before it.
"""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmotion.checks import make_plain
from mmotion.structures.results import Result, list_rows, time_at
from mmotion.tables import as_cell, write_table

NAME = 'summary.csv'
FIRST, LAST = ('video', 'status', 'region'), ('lost_frames', 'video_s', 'taken_s', 'reason')
# how units are written at the end of a name, and for people
UNITS = {'_px_s': ' (px/s)', '_s': ' (s)'}
# rows that a terminal shows, and letters of one of their cells
SHOWN, MAX_LETTERS = 40, 50
# of a video's name, whose end is shown
MIN_LETTERS = 16


class Summary:
    """What became of many videos, row by row.

    Args:
        videos: In the order of their rows.

    Attributes:
        error: Why it could not be written.
    """

    def __init__(self, videos: Sequence[Path]) -> None:
        self.error: OSError | None = None
        self._rows: dict[Path, list[dict[str, Any]]] = {video: [] for video in videos}

    def add(
        self, video: Path, status: str, rows: Sequence[Mapping[str, Any]] = (), **more: Any
    ) -> None:
        """Note what became of a video.

        Args:
            video: One of `videos`.
            status: See the head of this file.
            rows: From `describe_rows`.
            more: `reason` or `taken_s`.
        """
        first = {'video': str(video), 'status': status}
        self._rows[video] = [{**first, **row, **more} for row in rows or [{}]]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows of the videos that were noted."""
        return [row for rows in self._rows.values() for row in rows]

    def write(self, path: Path) -> None:
        """Write the table."""
        rows = [{name: as_cell(value) for name, value in row.items()} for row in self.rows]
        write_table(path, list_columns(rows), rows)

    def lay_out(self) -> str:
        """The table for a terminal, without columns that are empty; the rows after `SHOWN` not."""
        rows = [
            {**row, 'video': name} for name, row in zip(self._shorten(), self.rows, strict=True)
        ]
        columns = [name for name in list_columns(rows) if any(has_value(r, name) for r in rows)]
        lines = [[as_words(name) for name in columns]]
        lines += [[show(row.get(name)) for name in columns] for row in rows[:SHOWN]]
        lines = [[first, *(cut(cell) for cell in cells)] for first, *cells in lines]
        is_text = [any(isinstance(row.get(name), str) for row in rows) for name in columns]
        widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
        # what is right of the names tells them apart where there is no room for all
        room = shutil.get_terminal_size((120, 0)).columns - sum(widths[1:]) - 2 * len(widths)
        widths[0] = min(widths[0], max(room, MIN_LETTERS))
        text = [
            '  '.join(
                cut(cell, -width).ljust(width) if left else cell.rjust(width)
                for cell, width, left in zip(cells, widths, is_text, strict=True)
            ).rstrip()
            for cells in lines
        ]
        more = len(rows) - SHOWN
        return '\n'.join([*text, *([f'and {more} more rows'] if more > 0 else [])])

    def _shorten(self) -> list[str]:
        """The names of the videos without the folder that all are in."""
        folders = {os.path.dirname(row['video']) for row in self.rows}
        if len(folders) == 1:
            return [os.path.basename(row['video']) for row in self.rows]
        return [row['video'] for row in self.rows]


@contextmanager
def keep_summary(videos: Sequence[Path], out_dir: Path, *, wanted: bool) -> Iterator[Summary]:
    """Collect a summary, and write it when the block ends, however it ends, or note its `error`.

    Args:
        videos: In the order of their rows.
        out_dir: Folder for `summary.csv`.
        wanted: Whether to write it; without, there is nothing but what is noted.

    Raises:
        ValueError: If a file of that name is there that is no summary.
    """
    path = out_dir / NAME
    if wanted and path.is_file():
        with open(path, 'rb') as file:
            is_ours = file.read(64).startswith(b'video,status,')
        if not is_ours:
            raise ValueError(
                f'{path} must be a table of an earlier run to be written over, got another one; '
                'choose another folder for the results, or rename it'
            )
    summary = Summary(videos)
    try:
        yield summary
    finally:
        try:
            if wanted and summary.rows:
                summary.write(path)
        except OSError as error:
            # what became of the videos is told first
            summary.error = error


def describe_rows(result: Result) -> tuple[dict[str, Any], ...]:
    """What a table says of a result, as plain JSON types."""
    last: dict[str, Any] = {'lost_frames': result.num_lost} if result.num_lost else {}
    last['video_s'] = time_at(result, result.num_frames) - result.start_s
    return tuple(make_plain({**row, **last}) for row in list_rows(result))


def list_columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The columns of rows: `FIRST`, those of the systems, `LAST`."""
    found = dict.fromkeys(name for row in rows for name in row)
    first, last = ([name for name in names if name in found] for names in (FIRST, LAST))
    return [*first, *(name for name in found if name not in FIRST + LAST), *last]


def has_value(row: Mapping[str, Any], name: str) -> bool:
    """Whether a row says something in a column."""
    return row.get(name) not in (None, '')


def as_words(name: str) -> str:
    """The name of a column for people.

    Example:
        >>> as_words('speed_px_s'), as_words('next_label')
        ('speed (px/s)', 'next label')
    """
    unit = next((unit for unit in UNITS if name.endswith(unit)), '')
    return name.removesuffix(unit).replace('_', ' ') + UNITS.get(unit, '')


def show(value: Any) -> str:
    """A value for people: three digits, and nothing that a terminal obeys."""
    if isinstance(value, float):
        return f'{value:.3g}' if abs(value) < 1000 else f'{value:.0f}'
    if isinstance(value, bool):
        return 'yes' if value else 'no'
    text = '' if value is None else str(value)
    return ''.join(letter if letter.isprintable() else '?' for letter in text)


def cut(text: str, length: int = MAX_LETTERS) -> str:
    """The begin of a text, or of `-length` letters the end, with dots where there was more.

    Example:
        >>> cut('abcdefgh', 6), cut('abcdefgh', -6), cut('abcdef', 6)
        ('abc...', '...fgh', 'abcdef')
    """
    if len(text) <= abs(length):
        return text
    return f'{text[: length - 3]}...' if length > 0 else f'...{text[length + 3 :]}'
