"""What RepNet answers: how many times something was repeated, how fast, when; and how it looks.

Frames are counted from 0, times are in seconds of the video, scores lie in [0, 1]. `to_dict` gives
plain JSON types. Shape letters in this file: N frames of the video, R repetitions.
"""

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mmotion.checks import (
    TOLERANCE,
    check_at_least,
    check_fps,
    check_scores,
    check_segment,
    freeze_array,
    make_plain,
)
from mmotion.structures.results import Clock, Timed, describe_numbers, part_at, time_at
from mmotion.structures.times import describe_frames, freeze_frame_times
from mmotion.visualization import (
    PLOT_LINE,
    PLOT_TRUTH,
    Caption,
    Painter,
    StripPainter,
    describe_certainty,
    make_caption,
    make_painter,
    place_legend,
    plot_result,
    plot_row,
    save_figure,
    style_axes,
)
from mmotion.visualization.drawing import ACTIVE, GREY, WHITE, Image, Span, Timeline, draw_strip
from mmotion.visualization.results import PLOT_ACTIVE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# a count that misses a whole number by rounding errors alone has reached it
COUNT_EPS = 1e-6
# another count that is this part as likely may be meant as well, if it is another one
RIVAL, MIN_DIFFERENCE = 0.5, 0.5


@dataclasses.dataclass(frozen=True)
class RepetitionSegment:
    """A stretch of video in which something repeats.

    Args:
        start_s: When its first frame appears.
        end_s: When its last frame disappears.
        count: Repetitions in it, >= 0, need not be whole.

    Raises:
        ValueError: If the end does not lie after the start, or the count is negative.
    """

    start_s: float
    end_s: float
    count: float

    def __post_init__(self) -> None:
        check_segment(self.start_s, self.end_s)
        check_at_least('count', self.count, 0)


# eq would compare arrays, whose truth value is undefined
@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class RepetitionCount:
    """How many times something was repeated in a video, how fast, and when.

    Arrays, or anything that becomes one, are stored as read-only float64.

    Args:
        count: Repetitions in the whole video, the last of `count_per_frame`.
        fps: Frames per second, above 0.
        count_per_frame: Repetitions up to the end of each frame (N,), never falling.
        period_s_per_frame: Length of the cycle around each frame (N,), NaN where nothing repeats.
        periodicity_per_frame: Belief in [0, 1] that a frame belongs to a repetition (N,).
        confidence: Mean belief in [0, 1] at the stride that was chosen.
        stride: Every how many frames the video was looked at, >= 1.
        segments: The repeating stretches, in order, not overlapping.
        repetition_times_s: When repetition 1, 2, 3, ... is done, as a person counts them (R,), in
            order: when the count reaches 1, 2, 3, ...; and at the end of a set, which mostly is cut
            short, if more than half of the last one was done. So R is the count, rounded. All that
            is shown counts these times.
        strides: All strides among which `stride` was chosen, for the record.
        start_s: When the first of the N frames appears; above 0 if only a part was watched.
        frame_times_s: When each frame appears (N,), None if they are evenly spaced.
        num_lost: Frames that should have been there and could not be read.
        alternatives: Counts that may be meant and how likely each is, where the model tells.

    Raises:
        ValueError: If a value is out of its range, or lengths or order do not agree.

    Example:
        >>> result = RepetitionCount(
        ...     count=1.0,
        ...     fps=2.0,
        ...     count_per_frame=[0.0, 0.5, 1.0],
        ...     period_s_per_frame=[np.nan, 1.0, 1.0],
        ...     periodicity_per_frame=[0.1, 0.9, 0.9],
        ...     confidence=0.63,
        ...     stride=1,
        ...     segments=(RepetitionSegment(start_s=0.5, end_s=1.5, count=1.0),),
        ...     repetition_times_s=[1.5],
        ... )
        >>> result.to_dict()['period_s_per_frame']
        [None, 1.0, 1.0]
    """

    count: float
    fps: float
    count_per_frame: NDArray[np.float64]
    period_s_per_frame: NDArray[np.float64]
    periodicity_per_frame: NDArray[np.float64]
    confidence: float
    stride: int
    segments: tuple[RepetitionSegment, ...]
    repetition_times_s: NDArray[np.float64]
    strides: tuple[int, ...] = ()
    start_s: float = 0.0
    frame_times_s: NDArray[np.float64] | None = None
    num_lost: int = 0
    alternatives: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        for name in (
            'count_per_frame',
            'period_s_per_frame',
            'periodicity_per_frame',
            'repetition_times_s',
        ):
            object.__setattr__(self, name, freeze_array(name, getattr(self, name), np.float64, 1))
        self._check_numbers()
        self._check_frames()
        self._check_order()
        freeze_frame_times(self)

    @classmethod
    def from_rates(
        cls,
        rate: NDArray[np.float64],
        periodicity: NDArray[np.float64],
        *,
        cycle_rate: NDArray[np.float64] | None = None,
        fps: float,
        confidence: float,
        stride: int,
        strides: tuple[int, ...] = (),
        start_s: float = 0.0,
        frame_times_s: NDArray[np.float64] | None = None,
    ) -> 'RepetitionCount':
        """Derive everything else from what each frame adds to the count.

        Args:
            rate: Repetitions per frame (N,), 1 / period, 0 where nothing repeats.
            periodicity: Belief in [0, 1] that a frame belongs to a repetition (N,).
            cycle_rate: 1 / period (N,), where `rate` was changed to make sets whole.
            fps: Frames per second, above 0.
            confidence: See the class, like the rest.
            stride: See the class.
            strides: See the class.
            start_s: See the class.
            frame_times_s: See the class.

        Returns:
            The count as the sum of the rates; segments as longest runs of frames with a rate above
            0, joined where the gap between two is shorter than the cycle before it.

        Example:
            >>> result = RepetitionCount.from_rates(
            ...     np.array([0.0, 0.25, 0.25, 0.25, 0.25, 0.25]),
            ...     np.ones(6),
            ...     fps=4.0,
            ...     confidence=1.0,
            ...     stride=1,
            ... )
            >>> result.count, result.segments, result.repetition_times_s
            (1.25, (RepetitionSegment(start_s=0.25, end_s=1.5, count=1.25),), array([1.25]))
        """
        rate = np.asarray(rate, dtype=np.float64)
        count = np.cumsum(rate)
        clock = Clock(fps, start_s, frame_times_s)
        return cls(
            count=float(count[-1]) if len(count) else 0.0,
            fps=fps,
            count_per_frame=count,
            period_s_per_frame=_find_periods(rate if cycle_rate is None else cycle_rate, clock),
            periodicity_per_frame=periodicity,
            confidence=confidence,
            stride=stride,
            segments=_find_segments(rate, clock),
            repetition_times_s=time_at(clock, _completions(count, rate)),
            strides=strides,
            start_s=start_s,
            frame_times_s=frame_times_s,
        )

    @property
    def num_frames(self) -> int:
        """Frames N that were watched."""
        return len(self.count_per_frame)

    @property
    def repetitions(self) -> int:
        """How many there were, as a person counts them."""
        return len(self.repetition_times_s)

    @property
    def rival(self) -> float | None:
        """Another count that is nearly as likely, None if there is none; see `alternatives`."""
        likely = max((chance for _, chance in self.alternatives), default=0.0)
        others = [
            other
            for other in self.alternatives
            if abs(other[0] - self.count) > MIN_DIFFERENCE and other[1] >= RIVAL * likely
        ]
        return max(others, key=lambda other: other[1])[0] if others else None

    def repetitions_at(self, index: int) -> int:
        """How many were done when a frame disappears; `index` counts those that were watched."""
        end_s = time_at(self, index + 1)
        return int(np.searchsorted(self.repetition_times_s, end_s + COUNT_EPS, side='right'))

    def describe(self) -> str:
        """The count as a person counts, and what belongs to it, in a line."""
        entries = self.to_arrays()
        count = describe_numbers({'count': self.repetitions})
        if self.rival is not None:
            count = f'{describe_numbers({"count": self.count})}, perhaps {self.rival:.1f}'
        del entries['count'], entries['repetitions']
        return f'{count}, {describe_numbers(entries)}'

    def to_rows(self) -> list[dict[str, Any]]:
        """The count, how sure it is, and in how many sets."""
        return [dict(count=self.repetitions, confidence=self.confidence, sets=len(self.segments))]

    def to_dict(self) -> dict[str, Any]:
        """All fields and `repetitions` as plain JSON types; NaN becomes None."""
        return make_plain(self.to_arrays())

    def to_arrays(self) -> dict[str, Any]:
        """The same with arrays, see `mmotion.structures.results.list_entries`."""
        values = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in ('frame_times_s', 'num_lost')
            and (field.name != 'alternatives' or self.alternatives)
        }
        content = {k: v if isinstance(v, np.ndarray) else make_plain(v) for k, v in values.items()}
        first = {'count': self.count, 'repetitions': self.repetitions}
        return first | content | describe_frames(self)

    def _check_numbers(self) -> None:
        check_at_least('count', self.count, 0)
        check_at_least('start_s', self.start_s, 0)
        check_fps(self.fps)
        check_scores('confidence', self.confidence)
        check_at_least('stride', self.stride, 1)
        if self.strides and self.stride not in self.strides:
            raise ValueError(
                f'stride must be one of strides={self.strides}, got stride={self.stride}'
            )

    def _check_frames(self) -> None:
        count, periodicity = self.count_per_frame, self.periodicity_per_frame
        period = self.period_s_per_frame
        if not 1 <= len(count) == len(period) == len(periodicity):
            raise ValueError(
                'the arrays per frame must have one value for each of at least one frame, got '
                f'lengths count_per_frame={len(count)}, period_s_per_frame={len(period)}, '
                f'periodicity_per_frame={len(periodicity)}'
            )
        # written so that NaN fails as well
        if not (count[0] >= -TOLERANCE and np.all(np.diff(count) >= -TOLERANCE)):
            raise ValueError('count_per_frame must start at 0 or above and never fall')
        if not abs(count[-1] - self.count) <= TOLERANCE * max(1.0, self.count):
            raise ValueError(
                f'count must be the last of count_per_frame={count[-1]}, got count={self.count}'
            )
        if not np.all(np.isnan(period) | ((period > 0) & np.isfinite(period))):
            raise ValueError('period_s_per_frame must be above 0 and finite, or NaN')
        check_scores('periodicity_per_frame', periodicity)

    def _check_order(self) -> None:
        for i, (one, other) in enumerate(zip(self.segments, self.segments[1:], strict=False)):
            if other.start_s < one.end_s:
                raise ValueError(
                    f'segments must be in order and not overlap, got segment {i} ending at '
                    f'{one.end_s} s and segment {i + 1} starting at {other.start_s} s'
                )
        if not np.all(np.diff(self.repetition_times_s) >= 0):
            raise ValueError('repetition_times_s must be in order')


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunningCount:
    """The count of a video that still goes on: what it would be if the video ended here.

    Args:
        num_frames: Frames seen so far, >= 1.
        time_s: When the last of them disappears.
        count: Repetitions so far, >= 0. May fall when another stride becomes the better one.
        period_s: Length of the present cycle, NaN when nothing repeats now.
        periodicity: Belief in [0, 1] that the last frame belongs to a repetition.
        confidence: Mean belief in [0, 1] so far, at the stride that is the best one so far.
        stride: That stride, >= 1.
    """

    num_frames: int
    time_s: float
    count: float
    period_s: float
    periodicity: float
    confidence: float
    stride: int

    @property
    def repetitions(self) -> int:
        """As a person counts them: `RepetitionCount.repetitions`, if the video ended here."""
        return round_count(self.count)

    def to_dict(self) -> dict[str, Any]:
        """All fields and `repetitions` as plain JSON types; NaN becomes None."""
        return make_plain({**vars(self), 'repetitions': self.repetitions})


def _find_periods(rate: NDArray[np.float64], clock: Timed) -> NDArray[np.float64]:
    """How long the cycle around each frame lasts (N,), NaN where nothing repeats.

    Of frames that are not evenly spaced it is that part of the cycle which the video shows, taken
    as long as it would be whole.
    """
    period = np.full_like(rate, np.nan)
    if clock.frame_times_s is None:
        return np.divide(1 / clock.fps, rate, out=period, where=rate > 0)
    np.divide(1.0, rate, out=period, where=rate > 0)
    middle = np.arange(len(rate)) + 0.5
    begin = np.fmax(middle - period / 2, 0)
    end = np.fmin(middle + period / 2, len(rate))
    return period * (time_at(clock, end) - time_at(clock, begin)) / (end - begin)


def _find_segments(rate: NDArray[np.float64], clock: Timed) -> tuple[RepetitionSegment, ...]:
    """Runs of frames that repeat, see `RepetitionCount.from_rates`."""
    return tuple(
        RepetitionSegment(
            start_s=time_at(clock, first),
            end_s=time_at(clock, end),
            count=float(rate[first:end].sum()),
        )
        for first, end in find_sets(rate)
    )


def find_sets(rate: NDArray[np.float64]) -> list[list[int]]:
    """First frame, and frame after the last one, of each run of frames that repeat."""
    # first frames, and frames after the last ones, of the runs
    edges = np.flatnonzero(np.diff(rate > 0, prepend=False, append=False)).reshape(-1, 2)
    runs: list[list[int]] = []
    for first, end in edges.tolist():
        if runs and first - runs[-1][1] < 1 / rate[runs[-1][1] - 1]:
            runs[-1][1] = end
        else:
            runs.append([first, end])
    return runs


def _crossings(count: NDArray[np.float64]) -> NDArray[np.float64]:
    """Positions (R,), in frames, where the count (N,) reaches 1, 2, ..., between frames linear."""
    if not len(count):
        return np.zeros(0)
    goals = np.arange(1, int(count[-1] + COUNT_EPS) + 1)
    frames = np.searchsorted(count, goals - COUNT_EPS)
    before = np.concatenate([[0.0], count])[frames]
    return frames + np.clip((goals - before) / (count[frames] - before), 0, 1)


def round_count(count: float) -> int:
    """Repetitions at the end of a set, of which the last may lack up to half of a cycle."""
    return max(math.ceil(count - 0.5 - COUNT_EPS), 0)


def _completions(count: NDArray[np.float64], rate: NDArray[np.float64]) -> NDArray[np.float64]:
    """Positions (R,), in frames, where repetitions are done, see `repetition_times_s`."""
    times = [*_crossings(count).tolist()]
    for _, end in find_sets(rate):
        done = round_count(count[end - 1])
        if done > len(times):
            times.append(end)
        elif done:
            # its rest came in a later set
            times[done - 1] = min(times[done - 1], end)
    return np.array(times, dtype=np.float64)


@make_painter.register
def paint_count(result: RepetitionCount) -> Painter:
    """A dial of the cycle, the count, how fast it goes and how sure that is, above a timeline."""
    spans = [Span(segment.start_s, segment.end_s, '', ACTIVE) for segment in result.segments]
    timeline = Timeline(spans, result.start_s, time_at(result, result.num_frames))
    sure = describe_certainty(result.confidence)
    doubt = sure if result.rival is None else f'perhaps {result.rival:.1f}'

    def draw(shape: tuple[int, ...], index: int) -> Image:
        count = float(result.count_per_frame[index]) + COUNT_EPS
        period_s = float(result.period_s_per_frame[index])
        goes_on = period_s > 0
        texts = [
            (f'Repetitions {result.repetitions_at(index)}', ACTIVE if goes_on else WHITE),
            (f'every {period_s:.1f} s' if goes_on else 'resting', WHITE if goes_on else GREY),
            (doubt, GREY),
        ]
        return draw_strip(shape, texts, timeline, part_at(result, index), dial=count % 1)

    return StripPainter(draw)


@make_caption.register
def caption_count(result: RepetitionCount, index: int) -> Caption:
    """The count so far."""
    count = str(result.repetitions_at(index))
    return Caption(count, active=bool(result.period_s_per_frame[index] > 0))


@plot_result.register
def plot_count(
    result: RepetitionCount, path: str | Path, *, title: str = '', truth: float | None = None
) -> None:
    """The count over time, how long each takes and whether it goes on, with sets shaded."""
    from matplotlib.figure import Figure

    # ends of the frames, as counts are up to the end of a frame
    times = time_at(result, np.arange(1, result.num_frames + 1))
    figure = Figure(figsize=(9, 6), layout='constrained')
    top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=[3, 1.3, 1.3])
    headline = _headline(result)
    figure.suptitle(f'{title}: {headline}' if title else headline, fontsize=13)

    top.plot(times, result.count_per_frame, color=PLOT_LINE, lw=2, label='counted')
    if truth is not None:
        top.axhline(truth, color=PLOT_TRUTH, lw=1.5, ls='--', label=f'true count {truth:g}')
        place_legend(top)
    marks = np.arange(1, len(result.repetition_times_s) + 1)
    if len(marks) <= 100:
        top.plot(result.repetition_times_s, marks, 'o', color=PLOT_LINE, ms=4)
    highest = max(1.0, result.count, truth or 0)
    top.set_ylim(-0.02 * highest, 1.08 * highest)
    top.locator_params(axis='y', integer=True)
    top.set_ylabel('repetitions')
    middle.plot(times, result.period_s_per_frame, color=PLOT_LINE, lw=2)
    middle.set_ylabel('seconds each')
    if np.isfinite(result.period_s_per_frame).any():
        middle.set_ylim(0, 1.2 * np.nanmax(result.period_s_per_frame))
    else:
        middle.set_yticks([])
        middle.text(0.5, 0.5, 'resting', transform=middle.transAxes, ha='center')
    bottom.fill_between(times, result.periodicity_per_frame, color=PLOT_LINE, alpha=0.3, lw=0)
    bottom.plot(times, result.periodicity_per_frame, color=PLOT_LINE, lw=1)
    bottom.set(xlabel='time (s)', xlim=(result.start_s, times[-1]))
    bottom.set(ylabel='repeating', ylim=(0, 1), yticks=[0, 1], yticklabels=['no', 'yes'])
    for axes in (top, middle, bottom):
        style_axes(axes)
        _shade_segments(axes, result)
    save_figure(figure, path)


@plot_row.register(RepetitionCount)
def plot_count_row(result: RepetitionCount, axes: 'Axes') -> str:
    """The count, with repeating stretches shaded."""
    times = time_at(result, np.arange(1, result.num_frames + 1))
    axes.plot(times, result.count_per_frame, color=PLOT_LINE, lw=2)
    _shade_segments(axes, result)
    highest = max(1.0, result.count)
    axes.set_ylim(-0.02 * highest, 1.08 * highest)
    axes.locator_params(axis='y', integer=True)
    axes.set_ylabel('repetitions')
    return _headline(result)


def _headline(result: RepetitionCount) -> str:
    """The count and how sure it is, in a client's words."""
    doubt = '' if result.rival is None else f' (perhaps {result.rival:.1f})'
    noun = 'repetition' if result.repetitions == 1 else 'repetitions'
    return f'{result.repetitions} {noun}{doubt}, {describe_certainty(result.confidence)}'


def _shade_segments(axes: 'Axes', result: RepetitionCount) -> None:
    for segment in result.segments:
        axes.axvspan(segment.start_s, segment.end_s, color=PLOT_ACTIVE, alpha=0.18, lw=0)
