"""Two tables: the official Countix CSV, and the manifest of what became of its videos.

A row of Countix is a stretch of repetitions: `video_id,class,kinetics_start,kinetics_end,
repetition_start,repetition_end,count`, with times in seconds of the whole YouTube video. The test
file of the authors has no `class`. Several rows may lie in one video, and in one interval of it.

The manifest has a row a file: `video_id`; `status`, which is done or failed; `reason` of a failure,
its kind and what yt-dlp said (`private: Private video. Sign in if ...`); `file`, the name of the
file, or the one that it would have; `seconds`, how long the file is.

Data: Dwibedi et al., Counting Out Time, CVPR 2020, section 4, https://arxiv.org/abs/2006.15418
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from mmotion.tables import Row, read_table, write_table

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

    values: Mapping[str, str]
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
            remedy = 'delete it, the videos stay'
            for row in read_table(
                path, names, what='the manifest', remedy=remedy, may_be_empty=True
            ):
                self.outcomes[row.text('file')] = Outcome(
                    **{name: row.text(name) for name in names}
                )

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
    remedy = 'take the official file, such as countix_val.csv'
    return [_parse_row(row) for row in read_table(path, _COLUMNS, what='CSV', remedy=remedy)]


def describe_kinds(failures: Iterable[Outcome]) -> str:
    """Count failures by kind, the most frequent first.

    Example:
        >>> describe_kinds([Outcome('a', 'failed', 'private: no', 'a.mp4')] * 2)
        '2 private'
    """
    kinds = Counter(outcome.kind for outcome in failures)
    return ', '.join(f'{number:,} {kind}' for kind, number in kinds.most_common())


def _parse_row(row: Row) -> CountixRow:
    video_id = row.text('video_id')
    if not re.fullmatch(r'[\w-]{11}', video_id, re.ASCII):
        raise ValueError(
            f'video_id must be the 11 characters of a YouTube id, got {video_id!r} in {row.where}; '
            'correct it'
        )
    start_s, end_s, _ = (
        row.whole(name, at_least=0) for name in ('kinetics_start', 'kinetics_end', 'count')
    )
    first_s, last_s = (
        row.number(name, at_least=0) for name in ('repetition_start', 'repetition_end')
    )
    if not (start_s < end_s and first_s < last_s):
        raise ValueError(
            f'an interval must begin before it ends, got {start_s} to {end_s} s with the '
            f'repetitions from {first_s:g} to {last_s:g} s in {row.where}; correct it'
        )
    if first_s < start_s - _TOLERANCE_S or last_s > end_s + _TOLERANCE_S:
        raise ValueError(
            f'the repetitions must lie in the Kinetics interval, got {first_s:g} to {last_s:g} s '
            f'outside {start_s} to {end_s} s in {row.where}; correct it'
        )
    return CountixRow(row.values, CountixVideo(video_id, start_s, end_s), last_s)
