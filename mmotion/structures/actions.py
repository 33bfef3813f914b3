"""What a predictor of actions answers: how likely each class is, in a video and over its time.

As in `mmotion.structures`: frozen dataclasses, checked when they are made, frames counted from 0,
times in seconds of the video, scores in [0, 1], and `to_dict` gives plain JSON types.

Shape letters in this file: C classes, N frames and W windows of the video.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
from mmotion.structures.times import describe_frames, freeze_frame_times
from mmotion.structures.windows import WindowedResult, check_windows

# classes that are named in summaries
TOP = 5
# for scores that are none
REMEDY = "average the views by average_clips='prob', and look at the weights of the model"


@dataclasses.dataclass(frozen=True)
class ActionSegment:
    """A stretch of video in which one class has the highest score.

    Args:
        start_s: When it begins.
        end_s: When it ends.
        label: Name of the class.
        score: Mean score of that class in it, in [0, 1].

    Raises:
        ValueError: If the end does not lie after the start, or the score is out of range.
    """

    start_s: float
    end_s: float
    label: str
    score: float

    def __post_init__(self) -> None:
        check_segment(self.start_s, self.end_s)
        check_score(self.score)


# eq would compare arrays, whose truth value is undefined
@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ActionScores(WindowedResult):
    """Which action a video shows, and which one when.

    Arrays, or anything that becomes one, are stored as read-only float32 (times: float64).

    Args:
        classes: Names of the classes (C,).
        scores: Score of each class for the whole video (C,), in [0, 1].
        views: What of the video these scores were taken from, in words.
        fps: Frames per second, above 0.
        num_frames: Frames of the video, or of its part that was watched, >= 1.
        window_start_s: When each window begins (W,), in order; W >= 1.
        window_end_s: When each window ends (W,), in order.
        window_scores: Score of each class around the middle of each window (W, C), in [0, 1].
        start_s: When the first frame appears; above 0 if only a part was watched.
        frame_times_s: When each frame appears (N,), None if they are evenly spaced.
        num_lost: Frames that should have been there and could not be read.
        min_score: The score in [0, 1] that a class must reach to make a segment.

    Raises:
        ValueError: If a value is out of its range, or lengths or order do not agree.

    Example:
        >>> result = ActionScores(
        ...     classes=('sit', 'walk'),
        ...     scores=[0.3, 0.7],
        ...     views='mean of 3 windows',
        ...     fps=10.0,
        ...     num_frames=40,
        ...     window_start_s=[0.0, 1.0, 2.0],
        ...     window_end_s=[2.0, 3.0, 4.0],
        ...     window_scores=[[0.75, 0.25], [0.25, 0.75], [0.0, 1.0]],
        ... )
        >>> result.label, [(s.start_s, s.end_s, s.label) for s in result.segments]
        ('walk', [(0.0, 1.5, 'sit'), (1.5, 4.0, 'walk')])
    """

    classes: tuple[str, ...]
    scores: NDArray[np.float32]
    views: str
    fps: float
    num_frames: int
    window_start_s: NDArray[np.float64]
    window_end_s: NDArray[np.float64]
    window_scores: NDArray[np.float32]
    start_s: float = 0.0
    frame_times_s: NDArray[np.float64] | None = None
    num_lost: int = 0
    min_score: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, 'classes', tuple(self.classes))
        for name, dtype, ndim in (
            ('scores', np.float32, 1),
            ('window_start_s', np.float64, 1),
            ('window_end_s', np.float64, 1),
            ('window_scores', np.float32, 2),
        ):
            object.__setattr__(self, name, freeze_array(name, getattr(self, name), dtype, ndim))
        check_fps(self.fps)
        check_at_least('num_frames', self.num_frames, 1)
        check_at_least('start_s', self.start_s, 0)
        freeze_frame_times(self)
        check_range('min_score', self.min_score, 0, 1)
        self._check_windows()
        for name in ('scores', 'window_scores'):
            check_scores(name, getattr(self, name), REMEDY)

    @property
    def label(self) -> str:
        """Name of the class with the highest score."""
        return self.classes[int(self.scores.argmax())]

    @property
    def score(self) -> float:
        """The highest score, in [0, 1]."""
        return float(self.scores.max())

    @property
    def segments(self) -> tuple[ActionSegment, ...]:
        """The stretches with one and the same best class, in order.

        Neighbouring windows of one class are merged; one whose best score is below `min_score` is
        left out.
        """
        edges = self.edges_s
        best = self.window_scores.argmax(axis=1)
        score = self.window_scores.max(axis=1)
        best[score < self.min_score] = -1
        firsts = np.flatnonzero(np.diff(best, prepend=-2))
        ends = [*firsts[1:], len(best)]
        return tuple(
            ActionSegment(
                start_s=float(edges[first]),
                end_s=float(edges[end]),
                label=self.classes[best[first]],
                score=float(np.average(score[first:end], weights=np.diff(edges[first : end + 1]))),
            )
            for first, end in zip(firsts.tolist(), ends, strict=True)
            if best[first] >= 0
        )

    def top(self, k: int = TOP) -> list[tuple[str, float]]:
        """The k classes with the highest scores, best first."""
        return rank_classes(self.classes, self.scores, k)

    def describe(self) -> str:
        """The best classes with their scores, in a line."""
        return ', '.join(f'{label} {score:.3f}' for label, score in self.top())

    def to_rows(self) -> list[dict[str, Any]]:
        """The best class, and the next one, with their scores."""
        row: dict[str, Any] = {'label': self.label, 'score': self.score}
        for label, score in self.top(2)[1:]:
            row |= {'next_label': label, 'next_score': score}
        return [row]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; of each window the best classes alone, as C may be some hundreds."""
        return make_plain(self.to_arrays())

    def to_arrays(self) -> dict[str, Any]:
        """The same, a window after the other, see `mmotion.structures.results.list_entries`."""
        times_s = zip(self.window_start_s.tolist(), self.window_end_s.tolist(), strict=True)
        timeline = (
            {
                'start_s': start_s,
                'end_s': end_s,
                'top': _as_entries(rank_classes(self.classes, scores, TOP)),
            }
            for (start_s, end_s), scores in zip(times_s, self.window_scores, strict=True)
        )
        return {
            'label': self.label,
            'score': self.score,
            'top': _as_entries(self.top()),
            'scores': dict(zip(self.classes, self.scores.tolist(), strict=True)),
            'views': self.views,
            'fps': self.fps,
            'num_frames': self.num_frames,
            'start_s': self.start_s,
            **describe_frames(self),
            'min_score': self.min_score,
            'segments': [dataclasses.asdict(segment) for segment in self.segments],
            'timeline': timeline,
        }

    def _check_windows(self) -> None:
        num_classes = len(self.classes)
        lengths = (len(self.window_start_s), len(self.window_end_s), len(self.window_scores))
        if not num_classes or self.scores.shape != (num_classes,):
            raise ValueError(
                f'scores must have one value for each of at least one class, got {num_classes} '
                f'classes and scores of shape {self.scores.shape}'
            )
        if len(set(lengths)) > 1 or not lengths[0] or self.window_scores.shape[1] != num_classes:
            raise ValueError(
                'there must be at least one window, each with a start, an end and a score for '
                f'each of {num_classes} classes, got window_start_s={lengths[0]}, '
                f'window_end_s={lengths[1]}, window_scores={self.window_scores.shape}'
            )
        check_windows(self.window_start_s, self.window_end_s, start_s=self.start_s)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class RunningScores:
    """The action of a video that still goes on.

    Args:
        classes: Names of the classes (C,).
        num_frames: Frames seen so far, >= 1.
        start_s: When the last complete window begins.
        end_s: When it ends, which is now.
        scores: Score of each class in that window (C,), in [0, 1]: a row of
            `ActionScores.window_scores`.
        mean_scores: Score of each class in all windows so far (C,).

    Raises:
        ValueError: If a score lies outside of [0, 1].
    """

    classes: tuple[str, ...]
    num_frames: int
    start_s: float
    end_s: float
    scores: NDArray[np.float32]
    mean_scores: NDArray[np.float32]

    def __post_init__(self) -> None:
        for name in ('scores', 'mean_scores'):
            check_scores(name, getattr(self, name), REMEDY)

    @property
    def label(self) -> str:
        """Name of the class with the highest score now."""
        return self.classes[int(self.scores.argmax())]

    @property
    def score(self) -> float:
        """The highest score now, in [0, 1]."""
        return float(self.scores.max())

    def top(self, k: int = TOP) -> list[tuple[str, float]]:
        """The k classes with the highest scores now, best first."""
        return rank_classes(self.classes, self.scores, k)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        entries = {'label': self.label, 'score': self.score, 'top': _as_entries(self.top())}
        return entries | {
            field.name: make_plain(getattr(self, field.name)) for field in dataclasses.fields(self)
        }


def rank_classes(
    classes: Sequence[str], scores: NDArray[np.floating], k: int
) -> list[tuple[str, float]]:
    """The k names with the highest scores, best first.

    Example:
        >>> rank_classes(('sit', 'walk', 'run'), np.array([0.25, 0.5, 0.25]), 2)
        [('walk', 0.5), ('sit', 0.25)]
    """
    order = np.argsort(-scores, kind='stable')[:k]
    return [(str(classes[i]), float(scores[i])) for i in order.tolist()]


def describe_views(shape: Sequence[int], num_clips: int | None = None) -> str:
    """Name the views of a video by the shape of its clips (V, 3, T, H, W).

    Example:
        >>> describe_views((30, 3, 8, 224, 224), num_clips=10)
        '10 clips x 3 crops of 8x224x224'
        >>> describe_views((1, 3, 8, 224, 224))
        '1 view of 8x224x224'
    """
    num_views, size = shape[0], 'x'.join(map(str, shape[2:]))
    if num_clips is None or num_views % num_clips:
        return f'{_plural(num_views, "view")} of {size}'
    crops = _plural(num_views // num_clips, 'crop')
    return f'{_plural(num_clips, "clip")} x {crops} of {size}'


def _plural(number: int, noun: str) -> str:
    return f'{number} {noun}' if number == 1 else f'{number} {noun}s'


def _as_entries(ranked: Sequence[tuple[str, float]]) -> list[dict[str, Any]]:
    return [{'label': label, 'score': score} for label, score in ranked]
