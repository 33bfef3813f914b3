"""What a predictor answers: one frozen dataclass a task, checked when it is made.

Frames are counted from 0, times are in seconds of the video, scores lie in [0, 1]. `to_dict` gives
plain JSON types. Shape letters in this file: N frames of the video, R repetitions.
"""

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

# slack of the checks, for values that come out of float32 sums
TOLERANCE = 1e-4
# a count that misses a whole number by rounding errors alone has reached it
COUNT_EPS = 1e-6


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
        repetition_times_s: When the count reaches 1, 2, 3, ... (R,), in order.
        strides: All strides among which `stride` was chosen, for the record.
        start_s: When the first of the N frames appears; above 0 if only a part was watched.

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

    def __post_init__(self) -> None:
        for name in ('count_per_frame', 'period_s_per_frame', 'periodicity_per_frame'):
            self._freeze(name)
        self._freeze('repetition_times_s')
        self._check_numbers()
        self._check_frames()
        self._check_order()

    @classmethod
    def from_rates(
        cls,
        rate: NDArray[np.float64],
        periodicity: NDArray[np.float64],
        *,
        fps: float,
        confidence: float,
        stride: int,
        strides: tuple[int, ...] = (),
        start_s: float = 0.0,
    ) -> 'RepetitionCount':
        """Derive everything else from what each frame adds to the count.

        Args:
            rate: Repetitions per frame (N,), 1 / period, 0 where nothing repeats.
            periodicity: Belief in [0, 1] that a frame belongs to a repetition (N,).
            fps: Frames per second, above 0.
            confidence: See the class, like the rest.
            stride: See the class.
            strides: See the class.
            start_s: See the class.

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
        period_s = np.full_like(rate, np.nan)
        np.divide(1 / fps, rate, out=period_s, where=rate > 0)
        return cls(
            count=float(count[-1]) if len(count) else 0.0,
            fps=fps,
            count_per_frame=count,
            period_s_per_frame=period_s,
            periodicity_per_frame=periodicity,
            confidence=confidence,
            stride=stride,
            segments=_find_segments(rate, fps, start_s),
            repetition_times_s=start_s + _crossings(count) / fps,
            strides=strides,
            start_s=start_s,
        )

    @property
    def num_frames(self) -> int:
        """Frames N that were watched."""
        return len(self.count_per_frame)

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain JSON types; NaN becomes None."""
        return {
            field.name: make_plain(getattr(self, field.name)) for field in dataclasses.fields(self)
        }

    def _freeze(self, name: str) -> None:
        """Replace a field by a read-only float64 copy of it."""
        array = np.array(getattr(self, name), dtype=np.float64)
        if array.ndim != 1:
            raise ValueError(f'{name} must have one dimension, got shape {array.shape}')
        array.setflags(write=False)
        object.__setattr__(self, name, array)

    def _check_numbers(self) -> None:
        check_at_least('count', self.count, 0)
        check_at_least('start_s', self.start_s, 0)
        check_fps(self.fps)
        if not 0 <= self.confidence <= 1 + TOLERANCE:
            raise ValueError(f'confidence must lie in [0, 1], got confidence={self.confidence}')
        if self.stride < 1:
            raise ValueError(f'stride must be at least 1, got stride={self.stride}')
        if self.strides and self.stride not in self.strides:
            raise ValueError(
                f'stride must be one of strides={self.strides}, got stride={self.stride}'
            )

    def _check_frames(self) -> None:
        count, period, periodicity = (
            self.count_per_frame,
            self.period_s_per_frame,
            self.periodicity_per_frame,
        )
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
        if not np.all((periodicity >= 0) & (periodicity <= 1 + TOLERANCE)):
            raise ValueError('periodicity_per_frame must lie in [0, 1]')

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

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain JSON types; NaN becomes None."""
        return {
            field.name: make_plain(getattr(self, field.name)) for field in dataclasses.fields(self)
        }


def _find_segments(
    rate: NDArray[np.float64], fps: float, start_s: float
) -> tuple[RepetitionSegment, ...]:
    """Runs of frames that repeat, see `RepetitionCount.from_rates`."""
    # first frames, and frames after the last ones, of the runs
    edges = np.flatnonzero(np.diff(rate > 0, prepend=False, append=False)).reshape(-1, 2)
    runs: list[list[int]] = []
    for first, end in edges.tolist():
        if runs and first - runs[-1][1] < 1 / rate[runs[-1][1] - 1]:
            runs[-1][1] = end
        else:
            runs.append([first, end])
    return tuple(
        RepetitionSegment(
            start_s=start_s + first / fps,
            end_s=start_s + end / fps,
            count=float(rate[first:end].sum()),
        )
        for first, end in runs
    )


def _crossings(count: NDArray[np.float64]) -> NDArray[np.float64]:
    """Positions (R,), in frames, where the count (N,) reaches 1, 2, ..., between frames linear."""
    if not len(count):
        return np.zeros(0)
    goals = np.arange(1, int(count[-1] + COUNT_EPS) + 1)
    frames = np.searchsorted(count, goals - COUNT_EPS)
    before = np.concatenate([[0.0], count])[frames]
    return frames + np.clip((goals - before) / (count[frames] - before), 0, 1)


def check_fps(fps: float) -> None:
    """Refuse a rate of frames that no video can have."""
    if not 0 < fps < math.inf:
        raise ValueError(f'fps must be above 0 and finite, got fps={fps}')


def check_segment(start_s: float, end_s: float, what: str = 'a segment') -> None:
    """Refuse a stretch of video that begins before it, or has no length."""
    if not 0 <= start_s < end_s:
        raise ValueError(
            f'{what} must start at 0 or later and end after its start, '
            f'got start_s={start_s} and end_s={end_s}'
        )


def check_score(score: float) -> None:
    """Refuse a score outside of [0, 1]."""
    if not 0 <= score <= 1 + TOLERANCE:
        raise ValueError(f'score must lie in [0, 1], got score={score}')


def check_at_least(name: str, value: float, minimum: float) -> None:
    """Refuse numbers that are too small, infinite or NaN."""
    if not minimum <= value < math.inf:
        raise ValueError(f'{name} must be at least {minimum} and finite, got {name}={value}')


def freeze_array(name: str, values: ArrayLike, dtype: type, ndim: int) -> NDArray[Any]:
    """A read-only copy of what becomes an array with so many axes."""
    array = np.array(values, dtype=dtype)
    if array.ndim != ndim:
        raise ValueError(f'{name} must have {ndim} dimensions, got shape {array.shape}')
    array.setflags(write=False)
    return array


def make_plain(value: Any) -> Any:
    """Lists, dictionaries, str, int, float and None instead of arrays, dataclasses and NaN."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, dict):
        return {key: make_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [make_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
