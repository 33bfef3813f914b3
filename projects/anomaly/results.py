"""What the predictor of anomalies answers, and how that looks on a video and as a plot.

The error of a window says how far it is from what is normal, in units of the scorer. Its score says
the same in words that hold for any scorer: 1 minus the conformal p-value, which a normal window
exceeds `1 - a` with at most the probability a. An error that is not finite is refused: what cannot
be judged is not normal.

Shape letters in this file: N frames and W windows of the video, H and W height and width of a frame
in pixels.
"""

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmotion.checks import (
    check_at_least,
    check_fps,
    check_range,
    check_score,
    check_scores,
    check_segment,
    freeze_array,
    make_plain,
)
from mmotion.structures.results import part_at
from mmotion.structures.times import describe_frames, freeze_frame_times
from mmotion.structures.windows import WindowedResult, check_windows
from mmotion.visualization import (
    PLOT_LINE,
    Caption,
    Painter,
    StripPainter,
    make_caption,
    make_painter,
    place_legend,
    plot_result,
    plot_row,
    save_figure,
    style_axes,
)
from mmotion.visualization.drawing import (
    ALARM,
    GREY,
    INK,
    WHITE,
    Image,
    Span,
    Timeline,
    as_hex,
    draw_strip,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PLOT_ALARM = as_hex(ALARM)


@dataclasses.dataclass(frozen=True)
class Alarm:
    """A stretch of video that is unlike what is normal.

    Args:
        start_s: When it begins.
        end_s: When it ends.
        score: Highest score in it, in [0, 1].

    Raises:
        ValueError: If the end does not lie after the start, or the score is out of range.
    """

    start_s: float
    end_s: float
    score: float

    def __post_init__(self) -> None:
        check_segment(self.start_s, self.end_s, 'an alarm')
        check_score(self.score)


# eq would compare arrays, whose truth value is undefined
@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class AnomalyScores(WindowedResult):
    """How unlike anything normal a video is, over its time.

    Arrays, or anything that becomes one, are stored as read-only float64.

    Args:
        fps: Frames per second, above 0.
        num_frames: Frames of the video, or of its part that was watched, >= 1.
        window_start_s: When each window begins (W,), in order; W >= 1.
        window_end_s: When each window ends (W,), in order.
        errors: Distance of each window from what is normal (W,), by the scorer.
        scores: 1 minus the p-value of each window (W,), in [0, 1].
        threshold: Error above which a window is an alarm; infinite where the detector was
            calibrated on too few clips to raise any.
        false_alarm_rate: Share of normal windows, in (0, 1), that may raise an alarm.
        start_s: When the first frame appears; above 0 if only a part was watched.
        frame_times_s: When each frame appears (N,), None if they are evenly spaced.
        num_lost: Frames that should have been there and could not be read.

    Raises:
        ValueError: If a value is out of its range, or lengths or order do not agree.

    Example:
        >>> result = AnomalyScores(
        ...     fps=10.0,
        ...     num_frames=40,
        ...     window_start_s=[0.0, 1.0, 2.0],
        ...     window_end_s=[2.0, 3.0, 4.0],
        ...     errors=[3.0, 8.0, 9.0],
        ...     scores=[0.5, 0.96, 0.98],
        ...     threshold=7.0,
        ...     false_alarm_rate=0.05,
        ... )
        >>> result.describe()
        'alarm at 1.5-4.0 s, highest score 0.980'
    """

    fps: float
    num_frames: int
    window_start_s: NDArray[np.float64]
    window_end_s: NDArray[np.float64]
    errors: NDArray[np.float64]
    scores: NDArray[np.float64]
    threshold: float
    false_alarm_rate: float
    start_s: float = 0.0
    frame_times_s: NDArray[np.float64] | None = None
    num_lost: int = 0

    def __post_init__(self) -> None:
        for name in ('window_start_s', 'window_end_s', 'errors', 'scores'):
            object.__setattr__(self, name, freeze_array(name, getattr(self, name), np.float64, 1))
        check_fps(self.fps)
        check_at_least('num_frames', self.num_frames, 1)
        check_at_least('start_s', self.start_s, 0)
        freeze_frame_times(self)
        if math.isnan(self.threshold):
            raise ValueError(f'threshold must be a number, got threshold={self.threshold}')
        check_range('false_alarm_rate', self.false_alarm_rate, 0, 1, ends='()')
        lengths = {
            name: len(getattr(self, name))
            for name in ('window_start_s', 'window_end_s', 'errors', 'scores')
        }
        if len(set(lengths.values())) > 1 or not lengths['errors']:
            raise ValueError(
                'there must be at least one window, each with a start, an end, an error and a '
                f'score, got {", ".join(f"{name}={n}" for name, n in lengths.items())}'
            )
        check_windows(self.window_start_s, self.window_end_s, start_s=self.start_s)
        _check_errors(self.errors)
        check_scores('scores', self.scores)

    @property
    def score(self) -> float:
        """The highest score, in [0, 1]."""
        return float(self.scores.max())

    @property
    def is_alarm(self) -> NDArray[np.bool_]:
        """Whether each window is an alarm (W,)."""
        return self.errors > self.threshold

    @property
    def segments(self) -> tuple[Alarm, ...]:
        """The alarms, in order; those of neighbouring windows are one."""
        edges = self.edges_s
        runs = np.flatnonzero(np.diff(self.is_alarm, prepend=False, append=False)).reshape(-1, 2)
        return tuple(
            Alarm(float(edges[first]), float(edges[end]), float(self.scores[first:end].max()))
            for first, end in runs.tolist()
        )

    def describe(self) -> str:
        """The alarms and the highest score, in a line."""
        score = f'highest score {self.score:.3f}'
        if not self.segments:
            return f'no alarm, {score}'
        times = ', '.join(f'{s.start_s:.1f}-{s.end_s:.1f} s' for s in self.segments)
        return f'{"alarm" if len(self.segments) == 1 else "alarms"} at {times}, {score}'

    def to_rows(self) -> list[dict[str, Any]]:
        """How many alarms there were, when the first began, how long all took, highest score."""
        alarms = self.segments
        row: dict[str, Any] = {'alarms': len(alarms), 'score': self.score}
        if alarms:
            row['first_alarm_s'] = alarms[0].start_s
            row['all_alarms_s'] = sum(alarm.end_s - alarm.start_s for alarm in alarms)
        return [row]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return make_plain(self.to_arrays())

    def to_arrays(self) -> dict[str, Any]:
        """The same, a window after the other, see `mmotion.structures.results.list_entries`."""
        arrays = (
            self.window_start_s,
            self.window_end_s,
            self.errors,
            self.scores,
            self.is_alarm,
        )
        columns = zip(*(array.tolist() for array in arrays), strict=True)
        names = ('start_s', 'end_s', 'error', 'score', 'is_alarm')
        return {
            'score': self.score,
            'is_alarm': bool(self.is_alarm.any()),
            'threshold': self.threshold,
            'false_alarm_rate': self.false_alarm_rate,
            'fps': self.fps,
            'num_frames': self.num_frames,
            'start_s': self.start_s,
            **describe_frames(self),
            'segments': [dataclasses.asdict(segment) for segment in self.segments],
            'timeline': (dict(zip(names, window, strict=True)) for window in columns),
        }


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunningAnomaly:
    """How unlike anything normal a video is that still goes on.

    Args:
        num_frames: Frames seen so far, >= 1.
        start_s: When the last complete window begins.
        end_s: When it ends, which is now.
        error: Its distance from what is normal.
        score: 1 minus its p-value, in [0, 1].
        is_alarm: Whether it is an alarm.
        alarm_s: When the window began with which this alarm did; None while there is none.

    Raises:
        ValueError: If the error is not finite, or the score out of range.
    """

    num_frames: int
    start_s: float
    end_s: float
    error: float
    score: float
    is_alarm: bool
    alarm_s: float | None = None

    def __post_init__(self) -> None:
        _check_errors(self.error)
        check_score(self.score)

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain JSON types; NaN becomes None."""
        return make_plain(self)


def _check_errors(errors: ArrayLike) -> None:
    if not np.isfinite(errors).all():
        raise ValueError(
            f'errors must be finite, got {np.asarray(errors)}; look at the weights of backbone and '
            'scorer, and at the frames'
        )


# share of normal clips that raise an alarm where nobody asks for another
USUAL_RATE = 0.05


def count_needed(false_alarm_rate: float) -> int:
    """How many normal recordings it takes until a p-value can be at most this rate.

    Example:
        >>> count_needed(0.05)
        19
    """
    return math.ceil(1 / false_alarm_rate - 1e-9) - 1


@make_painter.register
def paint_anomaly(result: AnomalyScores) -> Painter:
    """Whether the moment is like what is normal, above the alarms over time."""
    spans = [Span(alarm.start_s, alarm.end_s, '', ALARM) for alarm in result.segments]
    timeline = Timeline(spans, result.start_s, result.end_s)
    is_alarm = result.is_alarm

    def draw(shape: tuple[int, ...], index: int) -> Image:
        window = result.window_at(index)
        alarm = bool(is_alarm[window])
        texts = [
            ('UNUSUAL' if alarm else 'As usual', WHITE),
            (
                f'unlike {result.scores[window]:.0%} of what is usual'.replace('%', ' %'),
                WHITE if alarm else GREY,
            ),
        ]
        ground = ALARM if alarm else INK
        return draw_strip(shape, texts, timeline, part_at(result, index), ground=ground)

    return StripPainter(draw)


@make_caption.register
def caption_anomaly(result: AnomalyScores, index: int) -> Caption:
    """The score of the moment."""
    window = result.window_at(index)
    return Caption(f'{result.scores[window]:.2f}', active=bool(result.is_alarm[window]))


@plot_result.register
def plot_anomaly(
    result: AnomalyScores, path: str | Path, *, title: str = '', truth: float | None = None
) -> None:
    """Score and error over time; `truth` is 1 for a video that has an anomaly, 0 for another."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5), layout='constrained')
    top, bottom = figure.subplots(2, 1, sharex=True)
    headline = result.describe() if len(result.segments) <= 3 else f'{len(result.segments)} alarms'
    if truth is not None:
        headline += f' ({"has an anomaly" if truth else "normal"})'
    figure.suptitle(f'{title}: {headline}' if title else headline)
    plot_row(result, top)
    bottom.stairs(result.errors, result.edges_s, color=PLOT_LINE, lw=2, baseline=None)
    if math.isfinite(result.threshold):
        bottom.axhline(result.threshold, color=PLOT_ALARM, lw=1, ls='--', label='alarm')
        place_legend(bottom)
    _shade_alarms(bottom, result)
    bottom.set_ylabel('distance')
    bottom.set_xlabel('time (s)')
    bottom.set_xlim(result.start_s, result.end_s)
    for axes in (top, bottom):
        style_axes(axes)
    save_figure(figure, path)


@plot_row.register(AnomalyScores)
def plot_anomaly_row(result: AnomalyScores, axes: 'Axes') -> str:
    """The score over time, with alarms shaded."""
    axes.stairs(result.scores, result.edges_s, color=PLOT_LINE, lw=2, baseline=None)
    axes.axhline(1 - result.false_alarm_rate, color=PLOT_ALARM, lw=1, ls='--')
    _shade_alarms(axes, result)
    axes.set_ylim(0, 1.02)
    axes.set_ylabel('how unusual')
    return result.describe()


def _shade_alarms(axes: 'Axes', result: AnomalyScores) -> None:
    for segment in result.segments:
        axes.axvspan(segment.start_s, segment.end_s, color=PLOT_ALARM, alpha=0.15, lw=0)
