"""Counting: from the frames of a video of any length to one number, in constant memory.

The network looks at windows of T frames, at several strides, since it cannot see a cycle longer
than half a window nor one of less than three frames. Each stride answers for the whole video, and
the stride that is surest of itself is believed. All strides and all callers (testing, predicting,
streaming) go through the one `RepetitionCounter`, which encodes each distinct frame once.

Paper: Dwibedi et al. 2020, section 3.4 (inference), https://arxiv.org/abs/2006.15418
Reference code: materight/RepNet-pytorch@c455c53, repnet/model.py `get_counts` and run.py; the
    median filter and the threshold on the whole video are those of the authors' colab.

Shape letters in this file: N frames, T frames per window, B windows, P period classes, R rows: the
frames that one stride looks at, N / stride.
"""

import dataclasses
import itertools
import math
import sys
from array import array
from collections import deque
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from mmotion.checks import check_at_least, check_choice, check_fps, check_range
from mmotion.structures.times import find_end, list_irregular, measure_rate

from .results import RepetitionCount, RunningCount

if TYPE_CHECKING:
    from torch import Tensor

# windows that are scored at once
WINDOW_BATCH = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class CountingOptions:
    """How a video is counted.

    Args:
        strides: Look at every s-th frame, for each s of these; one stride is 'single speed'.
        threshold: A frame whose score, in [0, 1], is lower repeats nothing.
        video_threshold: The count is 0 if the mean score of the best stride, in [0, 1], is lower;
            0.2 in the colab, 0 (never) in the reference code.
        stride_score: What strides are compared by: 'mean' of their scores over the video, as in the
            reference code, or 'mean_square' of them. A stride that is half sure of everything, as
            coarse ones are of slow drift, loses the latter to one that is sure of a part; the more
            strides there are, the more that matters.
        stride_tolerance: Believe the smallest stride that is lower by this than the best one by at
            most this share. Several strides see the same cycle, and the smallest sees it best; 0
            takes the best one, as the reference code does.
        period_estimate: 'argmax', the likeliest class, as the reference code has it; or 'expected',
            the mean over it and its two neighbours, which is not bound to whole frames.
        confidence_curve: Slope and offset of a logistic curve that makes of the certainty, which
            lies in [0.5, 1], how likely it is that the count is within one of the truth;
            `mmotion reliability` fits them. None reports the mean score instead.
        median_filter: Smooth rates over 5 frames within each window, as the colab does.
        tail: What happens to frames at the end that do not fill a window. 'overlap': the last
            window reaches back, and a video shorter than a window goes on with its last frame.
            'drop': they count nothing, and a stride without a full window is not used, as in the
            reference code.
        frame_batch: Frames that are encoded at once; they are kept, normalised, until then.

    Raises:
        ValueError: If an option is out of its range.

    Example:
        >>> CountingOptions(strides=[1, 2]).strides
        (1, 2)
    """

    strides: Sequence[int] = (1, 2, 3, 4, 8)
    threshold: float = 0.5
    video_threshold: float = 0.0
    stride_score: Literal['mean', 'mean_square'] = 'mean'
    stride_tolerance: float = 0.0
    period_estimate: Literal['argmax', 'expected'] = 'argmax'
    confidence_curve: Sequence[float] | None = None
    median_filter: bool = False
    tail: Literal['overlap', 'drop'] = 'overlap'
    frame_batch: int = 64

    def __post_init__(self) -> None:
        strides = tuple(self.strides)
        object.__setattr__(self, 'strides', strides)
        if not strides or min(strides) < 1 or len(set(strides)) < len(strides):
            raise ValueError(
                f'strides must be different whole numbers from 1 on, got strides={strides}'
            )
        for name in ('threshold', 'video_threshold', 'stride_tolerance'):
            check_range(name, getattr(self, name), 0, 1)
        for name, choices in (
            ('stride_score', ('mean', 'mean_square')),
            ('period_estimate', ('argmax', 'expected')),
            ('tail', ('overlap', 'drop')),
        ):
            check_choice(name, getattr(self, name), choices)
        if self.confidence_curve is not None and len(self.confidence_curve) != 2:
            raise ValueError(
                'confidence_curve must be a slope and an offset, got '
                f'confidence_curve={tuple(self.confidence_curve)}'
            )
        check_at_least('frame_batch', self.frame_batch, 1)


class WindowModel(Protocol):
    """What a model must offer to be counted with; RepNet does, and a test's oracle.

    An exported one takes and gives NumPy's arrays, and has `rate_windows` instead of
    `score_windows`: maps (B, T, ...) to what `read_logits` makes of their logits, (B, 2, T).
    """

    num_frames: int

    def encode_frames(self, frames: Any) -> Any:
        """Frames (N, 3, H, W) to N maps."""

    def score_windows(self, maps: Any) -> Any:
        """Maps (B, T, ...) to `period_logits` (B, T, P) and `periodicity_logits` (B, T)."""


class Rows(NamedTuple):
    """What one stride says of the frames it looks at, float64 (R,).

    Attributes:
        rate: Repetitions per row, 1 / period, 0 where nothing repeats.
        score: Belief in [0, 1] that the row belongs to a repetition of that period.
    """

    rate: NDArray[np.float64]
    score: NDArray[np.float64]


class Totals(NamedTuple):
    """What one stride says of the whole video.

    Attributes:
        count: Repetitions.
        mean_score: Mean over frames of their scores, in [0, 1].
        mean_square: Mean over frames of their squared scores, in [0, 1].
        certainty: Mean over frames of how far from undecided they are, max(score, 1 - score), in
            [0.5, 1]. It is high for a video that repeats all the time and for one that never does.
    """

    count: float
    mean_score: float
    mean_square: float
    certainty: float

    def confidence(self, options: CountingOptions) -> float:
        """What is reported as confidence, in [0, 1]."""
        if options.confidence_curve is None:
            return min(self.mean_score, 1.0)
        slope, offset = options.confidence_curve
        return 1 / (1 + math.exp(-(slope * self.certainty + offset)))


def read_logits(
    period_logits: 'Tensor', periodicity_logits: 'Tensor', options: CountingOptions
) -> Rows:
    """Turn what the network says of windows into rates and scores.

    Args:
        period_logits: (..., T, P).
        periodicity_logits: (..., T).
        options: `threshold`, `period_estimate` and `median_filter` are used.

    Returns:
        Rows of shape (..., T).

    Example:
        >>> import torch
        >>> logits = torch.full((1, 32), -50.0)
        >>> logits[0, 7] = 50.0
        >>> read_logits(logits, torch.full((1,), 50.0), CountingOptions())
        Rows(rate=array([0.125]), score=array([1.]))
    """
    from .losses import rate_logits

    rate, score = rate_logits(period_logits, periodicity_logits, options)
    return Rows(rate.cpu().numpy(), score.cpu().numpy())


class RepetitionCounter:
    """Count while the frames of a video arrive.

    Each frame is encoded once and its map kept, by reference, for each stride that looks at it, T
    maps a stride at most. A stride is scored whenever it has T new maps; what is left at the end
    is scored when an answer is asked for, which changes nothing: more frames may follow.

    Args:
        model: The network, in eval mode.
        fps: Frames per second of the video, on average, above 0.
        options: How to count.
        start_s: Time of the first frame in the video.
        keep_rows: Keep a number a frame, and two a frame and stride, which `result` needs. Without,
            memory stays the same for ever and only `running` answers.

    Raises:
        ValueError: If `fps` is not above 0.
    """

    def __init__(
        self,
        model: WindowModel,
        *,
        fps: float,
        options: CountingOptions,
        start_s: float = 0.0,
        keep_rows: bool = True,
    ) -> None:
        check_fps(fps)
        self.model = model
        self.fps = fps
        self.options = options
        self.start_s = start_s
        self.num_frames = 0
        # of all frames, or of those that a window can hold
        last = deque[float](maxlen=max(options.strides) * model.num_frames)
        self._times_s = array('d') if keep_rows else last
        self._num_encoded = 0
        # frames that wait to be encoded together
        self._waiting: list[Any] = []
        self._tracks = [
            _Track(stride=stride, window=model.num_frames, keep_rows=keep_rows)
            for stride in options.strides
        ]
        # full windows that wait to be scored together
        self._queue: list[tuple[_Track, list[Any]]] = []

    @property
    def end_s(self) -> float:
        """When the last frame so far disappears."""
        recent_s = itertools.islice(reversed(self._times_s), 3)
        return find_end([*recent_s][::-1], self.fps)

    def push(self, frames: Any, times_s: Sequence[float] | None = None) -> None:
        """Take the next frames of the video.

        Args:
            frames: The frames, normalised (n, 3, H, W), or as an exported model takes them.
            times_s: When each appears (n,); None for all frames if they are evenly spaced.
        """
        if times_s is None:
            first = self.num_frames
            numbers = range(first, first + len(frames))
            times_s = [self.start_s + number / self.fps for number in numbers]
        if not self.num_frames and len(times_s):
            self.start_s = times_s[0]
        self._times_s.extend(times_s)
        self._waiting.append(frames)
        self.num_frames += len(frames)
        if self.num_frames - self._num_encoded >= self.options.frame_batch:
            self._encode_waiting()

    def running(self) -> RunningCount:
        """The count so far: what `result` would say if the video ended here.

        Raises:
            ValueError: If no frame came yet.
        """
        track, tail = self._best_track()
        totals = track.totals(tail, self.num_frames)
        count = totals.count
        rate, score = tail[:, -1] if tail.shape[1] else track.last
        if totals.mean_score < self.options.video_threshold:
            count = rate = 0.0
        period_s = math.nan
        if rate > 0:
            recent_s = np.array(self._times_s)[-math.ceil(track.stride / rate) - 1 :]
            period_s = track.stride / (rate * measure_rate(recent_s, self.fps))
        return RunningCount(
            num_frames=self.num_frames,
            time_s=self.end_s,
            count=count,
            period_s=period_s,
            periodicity=float(score),
            confidence=totals.confidence(self.options),
            stride=track.stride,
        )

    def result(self) -> RepetitionCount:
        """The count of the frames so far.

        Raises:
            ValueError: If no frame came yet, or rows were not kept.
        """
        track, tail = self._best_track()
        if track.kept is None:
            raise ValueError('result must be asked of a counter with keep_rows=True; use running')
        totals = track.totals(tail, self.num_frames)
        # rows to frames: each row stands for `stride` frames, the last one perhaps for fewer
        rows = np.concatenate([*track.kept, tail], axis=1).repeat(track.stride, axis=1)
        rate, score = np.zeros((2, self.num_frames))
        covered = min(rows.shape[1], self.num_frames)
        score[:covered] = rows[1, :covered]
        if totals.mean_score >= self.options.video_threshold:
            rate[:covered] = rows[0, :covered] / track.stride
        return RepetitionCount.from_rates(
            rate,
            score,
            fps=self.fps,
            confidence=totals.confidence(self.options),
            stride=track.stride,
            strides=tuple(self.options.strides),
            start_s=self.start_s,
            frame_times_s=list_irregular(self._times_s, self.fps),
        )

    def _best_track(self) -> tuple['_Track', NDArray[np.float64]]:
        """The stride to believe and its tail (2, r)."""
        if self.num_frames == 0:
            raise ValueError('a video must have at least one frame to be counted, got none')
        self._encode_waiting()
        while self._queue:
            self._score_queue()
        tails = [np.zeros((2, 0)) for _ in self._tracks]
        open_tracks = [i for i, track in enumerate(self._tracks) if track.num_open]
        if self.options.tail == 'overlap' and open_tracks:
            scored = self._score([self._tracks[i].tail_window() for i in open_tracks])
            for i, rows in zip(open_tracks, scored, strict=True):
                tails[i] = self._tracks[i].open_rows(rows)
        totals = [
            track.totals(tail, self.num_frames)
            for track, tail in zip(self._tracks, tails, strict=True)
        ]
        squares = self.options.stride_score == 'mean_square'
        scores = [total.mean_square if squares else total.mean_score for total in totals]
        if not np.isfinite(scores).all():
            raise ValueError(
                f'scores of the strides must be finite, got {scores}; the weights of the model may '
                'not be'
            )
        enough = max(scores) * (1 - self.options.stride_tolerance)
        good = [i for i, score in enumerate(scores) if score >= enough]
        chosen = min(good, key=lambda i: self._tracks[i].stride)
        return self._tracks[chosen], tails[chosen]

    def _encode_waiting(self) -> None:
        """Encode what waits and hand the maps to the strides that look at them."""
        if not self._waiting:
            return
        frames = _join(self._waiting)
        self._waiting = []
        for start in range(0, len(frames), self.options.frame_batch):
            chunk = frames[start : start + self.options.frame_batch]
            users = [
                [track for track in self._tracks if index % track.stride == 0]
                for index in range(self._num_encoded, self._num_encoded + len(chunk))
            ]
            self._num_encoded += len(chunk)
            wanted = [i for i, tracks in enumerate(users) if tracks]
            if not wanted:
                continue
            with _without_gradients():
                maps = self.model.encode_frames(chunk[wanted])
            for i, encoded in zip(wanted, maps, strict=True):
                # a view would keep the maps of the whole chunk alive
                encoded = encoded.copy() if isinstance(encoded, np.ndarray) else encoded.clone()
                for track in users[i]:
                    if track.push(encoded):
                        self._queue.append((track, list(track.maps)))
            while len(self._queue) >= WINDOW_BATCH:
                self._score_queue()

    def _score_queue(self) -> None:
        """Score the oldest windows of the queue."""
        batch = self._queue[:WINDOW_BATCH]
        del self._queue[:WINDOW_BATCH]
        for (track, _), rows in zip(batch, self._score([maps for _, maps in batch]), strict=True):
            track.add(rows)

    def _score(self, windows: list[list[Any]]) -> NDArray[np.float64]:
        """Rates and scores (B, 2, T) of windows of T maps each."""
        maps = _join([encoded[None] for window in windows for encoded in window])
        maps = maps.reshape(len(windows), -1, *maps.shape[1:])
        if isinstance(maps, np.ndarray):
            return cast('Any', self.model).rate_windows(maps)
        with _without_gradients():
            output = self.model.score_windows(maps)
            rows = read_logits(output.period_logits, output.periodicity_logits, self.options)
        return np.stack(rows, axis=1)


def count_repetitions(
    model: WindowModel, frames: 'Tensor', *, fps: float, options: CountingOptions
) -> RepetitionCount:
    """Count the repetitions in a video that fits into memory.

    Args:
        model: The network, in eval mode.
        frames: Normalised frames (N, 3, H, W), N >= 1.
        fps: Frames per second, above 0.
        options: How to count.

    Raises:
        ValueError: If there is no frame, or `fps` is not above 0.
    """
    counter = RepetitionCounter(model, fps=fps, options=options)
    for chunk in frames.split(options.frame_batch):
        counter.push(chunk)
    return counter.result()


class _Track:
    """One stride's view of the video: its latest T maps, and sums over the rows scored so far."""

    def __init__(self, *, stride: int, window: int, keep_rows: bool) -> None:
        self.stride = stride
        self.window = window
        self.maps: deque[Any] = deque(maxlen=window)
        self.num_maps = 0
        self.num_rows = 0
        # of what `_sums` sums up
        self.sums = np.zeros(4)
        self.last = np.zeros(2)
        self.kept: list[NDArray[np.float64]] | None = [] if keep_rows else None

    @property
    def num_open(self) -> int:
        """Maps that no scored window holds yet."""
        return self.num_maps - self.num_rows

    def push(self, encoded: Any) -> bool:
        """Take the map of the next row; whether all maps now make a new window."""
        self.maps.append(encoded)
        self.num_maps += 1
        return self.num_maps % self.window == 0

    def add(self, rows: NDArray[np.float64]) -> None:
        """Take the rates and scores of a window (2, T)."""
        self.num_rows += rows.shape[1]
        self.sums += _sums(rows)
        self.last = rows[:, -1]
        if self.kept is not None:
            self.kept.append(rows)

    def tail_window(self) -> list[Any]:
        """The window that ends with the newest map; a short video goes on with its last one."""
        maps = list(self.maps)
        return maps + maps[-1:] * (self.window - len(maps))

    def open_rows(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """The rows (2, r) of the tail window (2, T) that no scored window holds yet."""
        return rows[:, len(self.maps) - self.num_open : len(self.maps)]

    def totals(self, tail: NDArray[np.float64], num_frames: int) -> Totals:
        """Count, and means over frames, with `tail` (2, r) as the newest rows."""
        num_rows = self.num_rows + tail.shape[1]
        covered = min(num_rows * self.stride, num_frames)
        last = tail[:, -1] if tail.shape[1] else self.last
        # the last row may stand for frames beyond the end of the video
        excess = num_rows * self.stride - covered
        sums = self.stride * (self.sums + _sums(tail)) - excess * _sums(last[:, None])
        rate, *scores = sums.tolist()
        # a stride without any row is undecided
        means = [total / covered for total in scores] if covered else [0.0, 0.0, 0.5]
        return Totals(max(rate, 0.0) / self.stride, *means)


def _sums(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums (4,) of rate, score, squared score and certainty over rows (2, r)."""
    rate, score = rows
    certainty = np.maximum(score, 1 - score)
    return np.stack([rate, score, score**2, certainty]).sum(axis=1)


def _join(parts: list[Any]) -> Any:
    """Join arrays along their first axis, NumPy's or torch's."""
    library = np if isinstance(parts[0], np.ndarray) else sys.modules['torch']
    return library.concatenate(parts)


def _without_gradients() -> AbstractContextManager[Any]:
    """Torch's `no_grad`; nothing where torch is not imported."""
    torch: Any = sys.modules.get('torch')
    return torch.no_grad() if torch else nullcontext()
