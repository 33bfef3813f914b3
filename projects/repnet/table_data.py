"""Real videos with a count each: a table of them, read by itself or as a data set for evaluation.

The table is a CSV file with one row for each stretch of a video:
    file: the video, relative to the folder of the table
    start_s, end_s: the stretch, in seconds after the first frame of the video
    count: repetitions in it, at least 0, need not be whole
Further columns are not read.
"""

import itertools
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.dataset import Compose
from mmengine.logging import print_log
from torch.utils.data import ConcatDataset, Dataset

from mmotion.checks import check_at_least
from mmotion.registry import DATASETS
from mmotion.tables import read_table
from mmotion.video import VideoError, inspect_video, iterate_frames
from mmotion.video.files import find_named

from .data import resize_pillow

COLUMNS = ('file', 'start_s', 'end_s', 'count')
# of the names of samples, to tell them from generated ones
NAME_PREFIX = 'real/'


@dataclass(frozen=True, kw_only=True)
class CountedClip:
    """A stretch of a video with its true count.

    Args:
        path: Of the video.
        count: Repetitions in the stretch.
        start_s: First second that belongs to it.
        end_s: First second that no longer does; None for the end of the video.

    Raises:
        ValueError: If a number is out of its range.

    Example:
        >>> CountedClip(path=Path('reps/squat.mp4'), count=5, start_s=2.5, end_s=18).name
        'squat 2.5-18 s'
    """

    path: Path
    count: float
    start_s: float = 0.0
    end_s: float | None = None

    def __post_init__(self) -> None:
        check_at_least('count', self.count, 0)
        if not 0 <= self.start_s < (math.inf if self.end_s is None else self.end_s):
            raise ValueError(
                'start_s must be at least 0 and below end_s, '
                f'got start_s={self.start_s} and end_s={self.end_s}'
            )

    @property
    def name(self) -> str:
        """Stem of the video and the stretch, unique in a table."""
        if self.end_s is None:
            return self.path.stem
        return f'{self.path.stem} {self.start_s:g}-{self.end_s:g} s'


def read_counts_table(path: str | Path) -> list[CountedClip]:
    """Read a table of counts, see the module's docstring.

    Args:
        path: Of the CSV file.

    Returns:
        A clip a row; nothing is known yet about the videos.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a column is missing, or a row cannot be understood.
    """
    clips = []
    for row in read_table(path, COLUMNS, what='a table of counts', may_be_empty=True):
        start_s, end_s, count = (row.number(name) for name in COLUMNS[1:])
        video = find_named(row.path.parent / row.text('file'))
        try:
            clips.append(CountedClip(path=video, count=count, start_s=start_s, end_s=end_s))
        except ValueError as error:
            raise ValueError(f'{error}; in {row.where}') from error
    return clips


def join_clips(clips: Sequence[CountedClip]) -> list[CountedClip]:
    """Whole videos instead of stretches of them: one clip a file, with the sum of its counts.

    Raises:
        ValueError: If two stretches of a video overlap, whose sum counts repetitions twice.
    """
    videos: dict[Path, list[CountedClip]] = {}
    for clip in clips:
        videos.setdefault(clip.path.resolve(), []).append(clip)
    for stretches in videos.values():
        ordered = sorted(stretches, key=lambda clip: clip.start_s)
        for one, other in itertools.pairwise(ordered):
            if one.end_s is None or other.start_s < one.end_s:
                raise ValueError(
                    'stretches of a video must not overlap to be summed, got '
                    f'{one.name!r} and {other.name!r} of {other.path}; keep one of them'
                )
    return [
        CountedClip(path=stretches[0].path, count=sum(clip.count for clip in stretches))
        for stretches in videos.values()
    ]


@DATASETS.register_module()
class CountsTableDataset(Dataset):
    """The clips of a table of counts, for evaluation: there is a count, but no label a frame.

    What is not there does not stop a run. Without the table the data set is empty; a clip whose
    video is missing or cannot be read is left out. Both are logged.

    Args:
        csv_file: Table of counts.
        pipeline: Transforms for each clip.
        size: Width and height in pixels to which frames are scaled while they are read, as
            `ResizeFrames` scales them, so that large frames are never in memory together.
    """

    def __init__(self, *, csv_file: str, pipeline: list[dict[str, Any]], size: int) -> None:
        self.size = size
        self.pipeline = Compose(pipeline)
        self.clips: list[CountedClip] = []
        if not Path(csv_file).is_file():
            _warn(f'no clips are evaluated from the table {csv_file}, which is not there')
            return
        clips, problems = read_counts_table(csv_file), []
        for clip in clips:
            try:
                # looks at the file and the times, and decodes nothing before a frame is asked for
                iterate_frames(clip.path, start_s=clip.start_s, end_s=clip.end_s)
            except (VideoError, OSError) as error:
                problems.append(f'{clip.name}: {error}')
            else:
                self.clips.append(clip)
        if problems:
            summary = f'{len(self.clips)} of {len(clips)} clips of {csv_file} can be evaluated'
            _warn('\n  '.join([f'{summary}, without', *problems]))

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Read a clip and pass it through the pipeline.

        Raises:
            IndexError: If there is no clip with this number.
            VideoError: If the video has become unreadable.
        """
        clip = self.clips[index]
        frames = iterate_frames(clip.path, start_s=clip.start_s, end_s=clip.end_s)
        item: Any = self.pipeline(
            {
                'imgs': [resize_pillow(frame.image, self.size) for frame in frames],
                'fps': inspect_video(clip.path).fps,
                'name': f'{NAME_PREFIX}{clip.name}',
                'gt_count': clip.count,
            }
        )
        return item


@DATASETS.register_module()
class JoinedRepetitionDataset(ConcatDataset):
    """Several data sets one after another, of which some may be empty.

    mmengine's ConcatDataset asks for mmengine's own kind of data sets; this one takes any.

    Args:
        datasets: Config of each.
    """

    def __init__(self, *, datasets: list[dict[str, Any]]) -> None:
        super().__init__([DATASETS.build(dataset) for dataset in datasets])


def _warn(message: str) -> None:
    print_log(message, logger='current', level=logging.WARNING)
