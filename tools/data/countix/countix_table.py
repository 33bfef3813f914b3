"""Two tables: the official Countix CSV, and the manifest of what became of its videos.

A row of Countix is a stretch of repetitions: `video_id,class,kinetics_start,kinetics_end,
repetition_start,repetition_end,count`, with times in seconds of the whole YouTube video. The test
file of the authors has no `class`. Several rows may lie in one video, and in one interval of it.

The manifest has a row a file: `video_id`; `status`, which is done or failed; `reason` of a failure,
its kind and what yt-dlp said (`private: Private video. Sign in if ...`); `file`, the name of the
file, or the one that it would have; `seconds`, how long the file is.

Data: Dwibedi et al., Counting Out Time, CVPR 2020, section 4, https://arxiv.org/abs/2006.15418
"""

import csv
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from mmotion.tables import write_table

_COLUMNS = (
    'video_id',
    'kinetics_start',
    'kinetics_end',
    'repetition_start',
    'repetition_end',
    'count',
)
# the official files round to microseconds
_TOLERANCE_S = 0.01


@dataclass(frozen=True)
class CountixVideo:
    """A part of a YouTube video, as Kinetics cut it.

    Attributes:
        video_id: The eleven characters of YouTube.
        start_s: First second of the Kinetics interval.
        end_s: Its last second.

    Example:
        >>> CountixVideo('APkos_Kqa3M', 17, 27).file_name(trimmed=True)
        'APkos_Kqa3M_000017_000027.mp4'
    """

    video_id: str
    start_s: int
    end_s: int

    @property
    def url(self) -> str:
        """Where the whole video is, or was."""
        return f'https://www.youtube.com/watch?v={self.video_id}'

    def file_name(self, *, trimmed: bool) -> str:
        """Name the file as Kinetics does; the whole video has the name of its id alone."""
        if trimmed:
            return f'{self.video_id}_{self.start_s:06d}_{self.end_s:06d}.mp4'
        return f'{self.video_id}.mp4'


@dataclass(frozen=True)
class CountixRow:
    """A row of the CSV.

    Attributes:
        values: The row as it is written.
        video: Where it lies.
        repetition_end_s: Where the repetitions end, in seconds of the whole video.
    """

    values: dict[str, str]
    video: CountixVideo
    repetition_end_s: float


@dataclass(frozen=True)
class Outcome:
    """A row of the manifest.

    Example:
        >>> Outcome('APkos_Kqa3M', 'failed', 'removed: Video unavailable', 'a.mp4').kind
        'removed'
    """

    video_id: str
    status: str
    reason: str
    file: str
    seconds: str = ''

    @property
    def kind(self) -> str:
        """The kind of the failure, '' if there was none."""
        return self.reason.partition(':')[0]


class Manifest:
    """The outcomes by file, read once and written anew after each change.

    Args:
        path: The file; where there is none, the manifest is empty.

    Raises:
        ValueError: If the file is not a manifest.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.outcomes: dict[str, Outcome] = {}
        if path.is_file():
            names = [field.name for field in fields(Outcome)]
            for _, values in _read_table(path, names, 'delete it, the videos stay'):
                self.outcomes[values['file']] = Outcome(**{name: values[name] for name in names})

    def record(self, outcomes: Iterable[Outcome]) -> None:
        """Add rows, or replace those of the same files."""
        self.outcomes |= {outcome.file: outcome for outcome in outcomes}
        columns = [field.name for field in fields(Outcome)]
        write_table(self.path, columns, [asdict(outcome) for outcome in self.outcomes.values()])


def read_countix(path: Path) -> list[CountixRow]:
    """Read and check the whole CSV.

    Args:
        path: An official file, or one with the same columns; further ones are kept.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a column is missing, there is no row, or a row is not as described; the
            message names the line.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f'CSV must be a file, got {path}; the official ones are countix_train.csv, '
            'countix_val.csv and countix_test.csv'
        )
    lines = _read_table(path, _COLUMNS, 'take the official file')
    rows = [_parse_row(values, f'line {line} of {path}') for line, values in lines]
    if not rows:
        raise ValueError(f'CSV must have a row at least, got none in {path}; download it again')
    return rows


def describe_kinds(failures: Iterable[Outcome]) -> str:
    """Count failures by kind, the most frequent first.

    Example:
        >>> describe_kinds([Outcome('a', 'failed', 'private: no', 'a.mp4')] * 2)
        '2 private'
    """
    kinds = Counter(outcome.kind for outcome in failures)
    return ', '.join(f'{number:,} {kind}' for kind, number in kinds.most_common())


def _read_table(
    path: Path, columns: Sequence[str], remedy: str
) -> list[tuple[int, dict[str, str]]]:
    """Read the rows of a CSV that has these columns, each with the number of its line."""
    try:
        # utf-8-sig: spreadsheets put a byte order mark before the first column
        with open(path, newline='', encoding='utf-8-sig') as file:
            reader = csv.DictReader(file)
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            rows = [(reader.line_num, values) for values in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(
            f'CSV must be a table in UTF-8, got {error} in {path}; {remedy}'
        ) from error
    if missing:
        raise ValueError(
            f'CSV must have the columns {", ".join(columns)}, got {path} without '
            f'{", ".join(missing)}; {remedy}'
        )
    for line, values in rows:
        if None in values or None in values.values():
            raise ValueError(
                f'each row must have one value a column, got another number in line {line} of '
                f'{path}; {remedy}'
            )
    return rows


def _parse_row(values: dict[str, str], where: str) -> CountixRow:
    if not re.fullmatch(r'[\w-]{11}', values['video_id'], re.ASCII):
        raise ValueError(
            f'video_id must be the 11 characters of a YouTube id, got {values["video_id"]!r} '
            f'in {where}; correct it'
        )
    start_s, end_s, _ = (
        _parse_number(values, name, where, whole=True)
        for name in ('kinetics_start', 'kinetics_end', 'count')
    )
    first_s, last_s = (
        _parse_number(values, name, where) for name in ('repetition_start', 'repetition_end')
    )
    if not (start_s < end_s and first_s < last_s):
        raise ValueError(
            f'an interval must begin before it ends, got {start_s:g} to {end_s:g} s with the '
            f'repetitions from {first_s:g} to {last_s:g} s in {where}; correct it'
        )
    if first_s < start_s - _TOLERANCE_S or last_s > end_s + _TOLERANCE_S:
        raise ValueError(
            f'the repetitions must lie in the Kinetics interval, got {first_s:g} to {last_s:g} s '
            f'outside {start_s:g} to {end_s:g} s in {where}; correct it'
        )
    return CountixRow(values, CountixVideo(values['video_id'], int(start_s), int(end_s)), last_s)


def _parse_number(
    values: Mapping[str, str], name: str, where: str, *, whole: bool = False
) -> float:
    try:
        number = float(values[name])
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number >= 0) or (whole and number % 1):
        kind = 'whole number' if whole else 'number'
        raise ValueError(
            f'{name} must be a {kind} from 0 on, got {values[name]!r} in {where}; correct it'
        )
    return number
