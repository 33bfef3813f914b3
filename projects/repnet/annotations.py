"""Tables that say what repeats in real videos, and the labels of frames that follow from them.

Two kinds, CSV with a header; further columns are not read:
    Countix: `video_id,kinetics_start,kinetics_end,repetition_start,repetition_end,count`; a row is
        a stretch whose repetitions were counted, in seconds of the whole YouTube video. The files
        of the videos are those of tools/data/countix, trimmed to the Kinetics interval and named
        `<video_id>_<kinetics_start>_<kinetics_end>.mp4`, six digits each.
    Cycles (RepCount-A, UCFRep): a row is a video, with `name` (or `video_id`), `count` (or
        `counts`), and in `L1,L2,L3,...` the first frame and the end of each cycle in turn, blank
        where there are no more; UCFRep also has `start_frame,end_frame` of the part that counts.

Countix: Dwibedi et al. 2020, section 4, https://arxiv.org/abs/2006.15418
RepCount-A: Hu et al. 2022, https://arxiv.org/abs/2204.01018
UCFRep: Zhang et al. 2020, https://arxiv.org/abs/2005.08465
"""

import logging
import math
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mmengine.logging import print_log
from numpy.typing import NDArray

from mmotion.tables import read_table
from mmotion.video import VideoError
from mmotion.video.scan import FrameIndex

COUNTIX_COLUMNS = (
    'video_id',
    'kinetics_start',
    'kinetics_end',
    'repetition_start',
    'repetition_end',
    'count',
)
_LIMIT = re.compile(r'L\d+')


@dataclass(frozen=True)
class RepetitionAnnotation:
    """What a table says about one video, or about one interval of it.

    Attributes:
        file: Name of the video; its folders and its ending do not matter.
        count: True number of repetitions in the interval.
        stretches: (start, end, repetitions) of all that repeats anywhere in the video.
        interval: Start and end of what was counted; None for the whole video.
        in_seconds: Whether starts and ends are seconds, and not frame numbers from 0.
        phase_known: Whether each stretch is one cycle, so that the phase of a frame is known.
    """

    file: str
    count: float
    stretches: tuple[tuple[float, float, float], ...]
    interval: tuple[float, float] | None = None
    in_seconds: bool = False
    phase_known: bool = False


class FrameLabels(NamedTuple):
    """Labels of the N frames of a video or clip.

    Attributes:
        period: Length in frames of the cycle that a frame is in, 0 where nothing repeats, (N,).
        cycles: Repetitions done at each frame (N,), None if the phase is not known.
    """

    period: NDArray[np.float64]
    cycles: NDArray[np.float64] | None


def read_countix_csv(
    path: str | Path, *, get_by: str = 'take the official table'
) -> list[RepetitionAnnotation]:
    """Read a Countix table; an annotation has the repetitions of all rows in the same file.

    Args:
        path: `countix_train.csv` and the like; further columns are not read.
        get_by: Command or place that gets the table, for messages.

    Raises:
        FileNotFoundError: If there is no such table.
        ValueError: If a column is missing or a row is not as described; the message names the line.
    """
    rows = []
    stretches = defaultdict(list)
    for row in read_table(path, COUNTIX_COLUMNS, what='ann_file', remedy=f'get it: {get_by}'):
        numbers = [row.number(column, at_least=0) for column in COUNTIX_COLUMNS[1:]]
        begin_s, finish_s, start_s, end_s, count = numbers
        if not (start_s < end_s and count > 0):
            raise ValueError(
                'repetitions must end after they start and be more than none, got '
                f'repetition_start={start_s:g}, repetition_end={end_s:g} and count={count:g} in '
                f'{row.where}; correct it'
            )
        file = f'{row.text("video_id")}_{round(begin_s):06d}_{round(finish_s):06d}.mp4'
        interval = (max(start_s - begin_s, 0.0), end_s - begin_s)
        stretches[file].append((*interval, count))
        rows.append((file, count, interval))
    return [
        RepetitionAnnotation(file, count, tuple(stretches[file]), interval, in_seconds=True)
        for file, count, interval in rows
    ]


def read_cycles_csv(
    path: str | Path, *, first_frame: int = 0, get_by: str = 'take the official table'
) -> list[RepetitionAnnotation]:
    """Read a table of cycles; the rows that contradict themselves are logged once and used.

    A cycle that does not end after it starts is left out, and one that starts before the last one
    ends is shortened. Where `count` is not the number of cycles, it is still the true count of the
    video; where it is blank, the cycles are counted. Only a row that has neither is left out.

    Args:
        path: The table.
        first_frame: Number of the first frame of a video in the table: 0 for RepCount-A, 1 for
            UCFRep.
        get_by: Command or place that gets the table, for messages.

    Raises:
        FileNotFoundError: If there is no such table.
        ValueError: If a column is missing or a value is no number; the message names the line.
    """
    annotations, odd = [], []
    for row in read_table(path, ('L1', 'L2'), what='ann_file', remedy=f'get it: {get_by}'):
        name = row.text('name') or row.text('video_id')
        if not name:
            raise ValueError(f'a row must have a name or video_id, got neither in {row.where}')
        columns = sorted(filter(_LIMIT.fullmatch, row.values), key=lambda key: int(key[1:]))
        limits = [row.number(key, at_least=0) - first_frame for key in columns if row.text(key)]
        cycles = _pair_limits(limits)
        counts = (row.number(key, at_least=0) for key in ('count', 'counts') if row.text(key))
        count = next(counts, None)
        if count != len(cycles) or 2 * len(cycles) != len(limits):
            odd.append(f'{name} (count {count}, {len(limits)} limits, {len(cycles)} good cycles)')
        if count is None and not cycles:
            continue
        interval = None
        if 'start_frame' in row.values:
            start, last = (row.number(key, at_least=0) for key in ('start_frame', 'end_frame'))
            interval = (start - first_frame, last - first_frame + 1)
        count = float(len(cycles)) if count is None else count
        annotations.append(RepetitionAnnotation(name, count, cycles, interval, phase_known=True))
    if odd:
        print_log(
            f'{path}: {len(odd)} rows contradict themselves: {"; ".join(odd[:3])}',
            logger='current',
            level=logging.WARNING,
        )
    return annotations


def label_frames(
    annotation: RepetitionAnnotation, index: FrameIndex
) -> tuple[FrameLabels, tuple[int, int]]:
    """Label the frames of a video.

    Args:
        annotation: What is known of the video.
        index: When its frames are shown.

    Returns:
        The labels of all frames, and of the interval that was counted the first frame and the one
        after the last.

    Raises:
        VideoError: If the video ends before that interval.
    """
    num_frames = index.info.num_frames
    stretches = np.array(annotation.stretches, np.float64).reshape(-1, 3)
    limits, counts = stretches[:, :2], stretches[:, 2]
    interval = np.array(annotation.interval or (0, math.inf), np.float64)
    if annotation.in_seconds:
        times_s = [*index.times_s, max(index.info.duration_s, index.times_s[-1])]
        limits, interval = (
            np.interp(places, times_s, np.arange(num_frames + 1)) for places in (limits, interval)
        )
    first, end = np.clip(np.round(interval), 0, num_frames).astype(int).tolist()
    if first >= end:
        raise VideoError(
            f'a video must contain the interval that was counted, got interval='
            f'{annotation.interval} and {index.info.duration_s:.2f} s, {num_frames} frames in '
            f'{index.info.path}; get it again'
        )
    period = np.zeros(num_frames)
    for (start, stop), count in zip(limits, counts, strict=True):
        period[max(math.ceil(start), 0) : max(math.ceil(stop), 0)] = (stop - start) / count
    cycles = None
    if annotation.phase_known:
        done = np.arange(1, limits.size + 1) // 2
        cycles = np.interp(np.arange(num_frames), limits.ravel(), done) if done.size else period
    return FrameLabels(period, cycles), (first, end)


def _pair_limits(limits: Sequence[float]) -> tuple[tuple[float, float, float], ...]:
    """Make cycles (start, end, 1) in ascending order; what does not ascend is cut or left out."""
    cycles: list[tuple[float, float, float]] = []
    # an odd last limit has no partner
    for start, end in zip(limits[::2], limits[1::2], strict=False):
        start = max(start, cycles[-1][1]) if cycles else start
        if end > start:
            cycles.append((start, end, 1.0))
    return tuple(cycles)
