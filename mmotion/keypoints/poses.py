"""The people that a detector saw in a video: their keypoints, frame by frame.

Frames are counted from 0, points and boxes are in pixels of the video, scores lie in [0, 1]. A
frame that was looked at and shows nobody is there, empty; a video with nobody in it is a
`PoseVideo` of empty frames, not an error.

Shape letters in this file: N frames that were looked at, K points of the skeleton.
"""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from mmotion.checks import check_at_least, check_fps, check_score, check_scores, freeze_array
from mmotion.keypoints.skeletons import Skeleton

# keypoints that are all closer to the corner than this are none in pixels: shares of the picture
# go a little beyond 1 at its border, meters around the hips to about 1
MIN_SPAN_PX = 2.0


# eq would compare arrays, whose truth value is undefined
@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Person:
    """One person in one frame.

    Arrays, or anything that becomes one, are stored as read-only float32. A point of which one
    coordinate is missing is missing: both are NaN and its score is 0.

    Args:
        keypoints: x to the right and y down, in pixels (K, 2), NaN where missing.
        scores: Belief in each point (K,), in [0, 1].
        score: Belief in the person, in [0, 1].
        track: Number that the same person has in other frames, >= 0, None if nobody tracked.
        box_xyxy: Left, top, right and bottom in pixels (4,), None if the detector gives no boxes.

    Raises:
        ValueError: If a shape or a value is not as above.
    """

    keypoints: NDArray[np.float32]
    scores: NDArray[np.float32]
    score: float
    track: int | None = None
    box_xyxy: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        keypoints = np.array(self.keypoints, dtype=np.float32)
        scores = np.array(self.scores, dtype=np.float32)
        if keypoints.ndim != 2 or keypoints.shape[1] != 2:
            raise ValueError(f'keypoints must have the shape (K, 2), got {keypoints.shape}')
        if np.isinf(keypoints).any():
            raise ValueError('keypoints must be finite, or NaN where missing, got infinite ones')
        if scores.shape != keypoints.shape[:1]:
            raise ValueError(
                f'scores must have one value for each of {len(keypoints)} keypoints, got the shape '
                f'{scores.shape}'
            )
        missing = np.isnan(keypoints).any(axis=1)
        keypoints[missing] = np.nan
        scores[missing] = 0
        self._set('keypoints', keypoints)
        check_scores('scores', scores)
        check_score(self.score)
        # what rounding added is taken off
        self._set('scores', np.clip(scores, 0, 1))
        object.__setattr__(self, 'score', float(np.clip(self.score, 0, 1)))
        if self.track is not None:
            check_at_least('track', self.track, 0)
        if self.box_xyxy is not None:
            box = np.array(self.box_xyxy, dtype=np.float32)
            if box.shape != (4,) or not np.isfinite(box).all() or (box[:2] > box[2:]).any():
                raise ValueError(
                    'box_xyxy must be left, top, right and bottom in this order, got '
                    f'box_xyxy={box.tolist()}'
                )
            self._set('box_xyxy', box)

    @property
    def size_px(self) -> float:
        """Diagonal of the box, or of the box around the points, in pixels; 0 without any point."""
        if self.box_xyxy is not None:
            return float(np.hypot(*(self.box_xyxy[2:] - self.box_xyxy[:2])))
        points = self.keypoints[~np.isnan(self.keypoints[:, 0])]
        return float(np.hypot(*np.ptp(points, axis=0))) if len(points) else 0.0

    def _set(self, name: str, array: NDArray[np.float32]) -> None:
        array.setflags(write=False)
        object.__setattr__(self, name, array)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class PoseVideo:
    """What a detector saw in a video.

    Args:
        source: Path or name of the video.
        fps: Frames per second of the video, above 0.
        width: Of the video, in pixels.
        height: Of the video, in pixels.
        num_frames: Frames of the video, not only those that were looked at.
        detector: What found the points.
        skeleton: What the K points are.
        frame_indices: The frames that were looked at (N,) int64, rising; N >= 1.
        frames: The people in each of them (N), none where nobody was found.
        labels: What is known about the video by name, such as 'label' and 'group'.
        frame_times_s: When each of them is shown (N,), rising; None for `frame_indices / fps`.

    Raises:
        ValueError: If a value is out of its range, or lengths do not agree.

    Example:
        >>> from mmotion.keypoints.skeletons import COCO17
        >>> empty = PoseVideo(
        ...     source='yard.mp4', fps=25.0, width=640, height=480, num_frames=10,
        ...     detector='none', skeleton=COCO17, frame_indices=[0, 5], frames=((), ()),
        ... )
        >>> empty.main_track()[0].shape, empty.num_detections
        ((2, 17, 2), 0)
    """

    source: str
    fps: float
    width: int
    height: int
    num_frames: int
    detector: str
    skeleton: Skeleton
    frame_indices: NDArray[np.int64]
    frames: tuple[tuple[Person, ...], ...]
    labels: dict[str, str] = dataclasses.field(default_factory=dict)
    frame_times_s: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        check_fps(self.fps)
        for name in ('width', 'height', 'num_frames'):
            check_at_least(name, getattr(self, name), 1)
        indices = np.array(self.frame_indices, dtype=np.int64)
        if indices.ndim != 1 or not len(indices):
            raise ValueError(f'frame_indices must be a list of frames, got shape {indices.shape}')
        if not (indices[0] >= 0 and indices[-1] < self.num_frames and (np.diff(indices) > 0).all()):
            raise ValueError(
                f'frame_indices must rise within the {self.num_frames} frames of the video, got '
                f'frame_indices={indices.tolist()}'
            )
        indices.setflags(write=False)
        object.__setattr__(self, 'frame_indices', indices)
        if self.frame_times_s is not None:
            times = freeze_array('frame_times_s', self.frame_times_s, np.float64, 1)
            # written so that NaN fails as well
            if len(times) != len(indices) or not (np.diff(times, prepend=-1e-9) > 0).all():
                raise ValueError(
                    'frame_times_s must be a time for each of frame_indices, rising from 0 on, got '
                    f'frame_times_s={times}'
                )
            object.__setattr__(self, 'frame_times_s', times)
        object.__setattr__(self, 'frames', tuple(map(tuple, self.frames)))
        if len(self.frames) != len(indices):
            raise ValueError(
                f'frames must be as many as frame_indices, got {len(self.frames)} frames for '
                f'{len(indices)} indices'
            )
        for i, persons in enumerate(self.frames):
            for j, person in enumerate(persons):
                if len(person.keypoints) != self.skeleton.num_points:
                    raise ValueError(
                        f'frames[{i}].persons[{j}].keypoints must be the '
                        f'{self.skeleton.num_points} points of the skeleton '
                        f'{self.skeleton.name!r}, got {len(person.keypoints)}'
                    )
            tracks = [person.track for person in persons if person.track is not None]
            if len(set(tracks)) != len(tracks):
                raise ValueError(
                    f'frames[{i}].persons must have a track of their own each, got tracks={tracks}'
                )

    @property
    def times_s(self) -> NDArray[np.float64]:
        """When each of the frames that were looked at is shown (N,), in seconds of the video."""
        return self.frame_indices / self.fps if self.frame_times_s is None else self.frame_times_s

    @property
    def num_detections(self) -> int:
        """Frames in which somebody was found."""
        return sum(map(bool, self.frames))

    @property
    def tracks(self) -> tuple[int, ...]:
        """The numbers of the tracked persons, in order."""
        numbers = {person.track for persons in self.frames for person in persons}
        return tuple(sorted(number for number in numbers if number is not None))

    def time_every_frame(self) -> NDArray[np.float64]:
        """When each frame from 0 to the last of them is shown (T,); those between, in between."""
        every = np.arange(int(self.frame_indices[-1]) + 1)
        if self.frame_times_s is None:
            return every / self.fps
        first = int(self.frame_indices[0])
        times_s = np.interp(every, self.frame_indices, self.times_s)
        # nobody knows more about what was left out at the beginning than when it ended
        times_s[:first] = times_s[first] * every[:first] / max(first, 1)
        return times_s

    def check_pixels(self) -> None:
        """Refuse points that are shares of the picture or meters, as those of MediaPipe are.

        Raises:
            ValueError: If all points lie within two pixels.
        """
        points = [person.keypoints for persons in self.frames for person in persons]
        farthest = np.nanmax(np.abs(points), initial=0)
        if 0 < farthest < MIN_SPAN_PX:
            raise ValueError(
                f'keypoints must be in pixels, got none beyond {farthest:.3g}; if they are shares '
                'of the picture, multiply x by its width and y by its height'
            )

    def track(self, number: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Follow one person.

        Args:
            number: One of `tracks`.

        Returns:
            Keypoints (N, K, 2) in pixels, NaN where they are missing, and their scores (N, K), 0
            there.

        Raises:
            ValueError: If no person has this number.
        """
        if number not in self.tracks:
            known = ', '.join(map(str, self.tracks)) or 'none'
            raise ValueError(f'number must be a track of {self.source} ({known}), got {number}')
        return self.stack(
            [next((p for p in persons if p.track == number), None) for persons in self.frames]
        )

    def rank_tracks(self) -> tuple[int, ...]:
        """The numbers of the tracked persons, those that the video is about first.

        They are ordered by the sum of score x size over their frames, so somebody who passes by
        close to the camera does not win over somebody who stays.
        """
        weight = dict.fromkeys(self.tracks, 0.0)
        for persons in self.frames:
            for person in persons:
                if person.track is not None:
                    weight[person.track] += _prominence(person)
        return tuple(sorted(weight, key=lambda number: -weight[number]))

    def main_track(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Follow the person that the video is about.

        That is the first one of `rank_tracks`. Where nobody is tracked, it is the person with the
        largest score x size of each frame: if two people cross, this can be one person before and
        the other one after.

        Returns:
            Keypoints (N, K, 2) in pixels, NaN where they are missing, and their scores (N, K), 0
            there; all missing if nobody is in the video.
        """
        if self.tracks:
            return self.track(self.rank_tracks()[0])
        return self.stack([max(persons, key=_prominence, default=None) for persons in self.frames])

    def stack(
        self, persons: list[Person | None]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Put one person a frame, None for nobody, into arrays as those of `track`."""
        num_points = self.skeleton.num_points
        keypoints = np.full((len(persons), num_points, 2), np.nan, dtype=np.float32)
        scores = np.zeros((len(persons), num_points), dtype=np.float32)
        for i, person in enumerate(persons):
            if person is not None:
                keypoints[i], scores[i] = person.keypoints, person.scores
        return keypoints, scores


def _prominence(person: Person) -> float:
    return person.score * person.size_px
