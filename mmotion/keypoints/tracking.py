"""Tell who is who from frame to frame, by boxes that overlap; or choose one person of a frame.

Each person of the last frames is moved on as fast as it moved before, and gets the new box that
overlaps it most. Two people who pass each other keep their numbers, also if one hides the other for
up to `max_gap` frames, as long as they keep their pace. Two who meet and turn back while one is
hidden swap their numbers: boxes alone cannot tell. Somebody who comes back later gets a new number.

References:
    Bewley et al., Simple Online and Realtime Tracking, ICIP 2016, with a constant velocity in place
        of the Kalman filter, https://arxiv.org/abs/1602.00763
    Yang et al., Hard to Track Objects with Irregular Motions and Similar Appearances?, WACV 2023:
        overlap of enlarged boxes, https://arxiv.org/abs/2211.14317

Shape letters in this file: M people in a frame, P people who are tracked.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mmotion.checks import check_at_least, check_choice, check_range
from mmotion.keypoints.poses import Person

# share of their size that is added to boxes on each side before they are compared: where only every
# n-th frame is looked at, somebody who walks across the picture has left the last box
BUFFER = 0.5
KEEP = ('all', 'best', 'largest')


@dataclass
class _Track:
    """Where somebody was seen last, and what to expect; `age` counts the frames since then."""

    number: int
    box: NDArray[np.float32]
    velocity: NDArray[np.float32] | None = None
    age: int = 0

    def expect(self) -> NDArray[np.float32]:
        """Box (4,) at the next frame, xyxy in pixels."""
        if self.velocity is None:
            return self.box
        return self.box + np.tile(self.velocity, 2) * (self.age + 1)

    def move(self, box: NDArray[np.float32]) -> None:
        """Take the box of the next frame, and the mean of the speed so far and the last one."""
        velocity = (box - self.box).reshape(2, 2).mean(axis=0) / (self.age + 1)
        self.velocity = velocity if self.velocity is None else (self.velocity + velocity) / 2
        self.box, self.age = box, -1


class PoseTracker:
    """Numbers people, frame after frame.

    Args:
        min_iou: Least overlap, in (0, 1], of a box with the one that was expected, both enlarged.
        max_gap: Frames for which somebody may be missing, at least 0.

    Raises:
        ValueError: If a value is out of its range.

    Example:
        >>> tracker = PoseTracker()
        >>> person = Person(keypoints=np.ones((17, 2)), scores=np.ones(17), score=0.9,
        ...                 box_xyxy=np.array([0.0, 0.0, 10.0, 20.0]))
        >>> [tracker.update([person])[0].track for _ in range(3)]
        [0, 0, 0]
    """

    def __init__(self, *, min_iou: float = 0.2, max_gap: int = 5) -> None:
        check_range('min_iou', min_iou, 0, 1, ends='(]')
        check_at_least('max_gap', max_gap, 0)
        self.min_iou = min_iou
        self.max_gap = max_gap
        self._tracks: list[_Track] = []
        self._num_tracks = 0

    def update(self, people: Sequence[Person]) -> list[Person]:
        """Number the people of the next frame.

        Args:
            people: Those in the frame, none if it is empty.

        Returns:
            The same, in the same order, with `track` set.
        """
        # slow to import, and keypoint files, which describe tracks, need none of it
        from scipy.optimize import linear_sum_assignment

        boxes = np.array([find_box(person) for person in people]).reshape(-1, 4)
        expected = np.array([track.expect() for track in self._tracks]).reshape(-1, 4)
        overlap = measure_iou(_enlarge(expected), _enlarge(boxes))
        # too little overlap counts as none, or a good pair might be given up for two bad ones
        overlap[overlap < self.min_iou] = 0
        pairs = {
            column: self._tracks[row]
            for row, column in zip(*linear_sum_assignment(-overlap), strict=True)
            if overlap[row, column]
        }
        numbered = []
        for i, person in enumerate(people):
            track = pairs.get(i)
            if track is None:
                track = _Track(self._num_tracks, boxes[i], age=-1)
                self._num_tracks += 1
                self._tracks.append(track)
            else:
                track.move(boxes[i])
            numbered.append(replace(person, track=track.number))
        for track in self._tracks:
            track.age += 1
        self._tracks = [track for track in self._tracks if track.age <= self.max_gap]
        return numbered


def choose_people(people: Sequence[Person], keep: str) -> list[Person]:
    """Choose from the people of a frame.

    Args:
        people: Those in the frame.
        keep: 'all'; or the one with the highest score, 'best', or with the largest box, 'largest'.

    Raises:
        ValueError: If `keep` is something else.
    """
    check_choice('keep', keep, KEEP)
    if keep == 'all' or not people:
        return list(people)
    if keep == 'best':
        return [max(people, key=lambda person: person.score)]
    return [max(people, key=lambda person: person.size_px)]


def find_box(person: Person) -> NDArray[np.float32]:
    """Box of a person (4,), xyxy in pixels: the detector's, or else around the points.

    It is NaN for somebody without a box and without a point.
    """
    if person.box_xyxy is not None:
        return person.box_xyxy
    points = person.keypoints[~np.isnan(person.keypoints[:, 0])]
    if not len(points):
        return np.full(4, np.nan, np.float32)
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def measure_iou(boxes: NDArray[np.floating], others: NDArray[np.floating]) -> NDArray[np.float64]:
    """Intersection over union of each pair of boxes: torchvision's, for arrays.

    Args:
        boxes: xyxy (P, 4).
        others: xyxy (M, 4).

    Returns:
        Values in [0, 1] (P, M), 0 for boxes without an area and for NaN.

    Example:
        >>> others = np.array([[1.0, 0, 3, 2], [5, 5, 6, 6]])
        >>> measure_iou(np.array([[0.0, 0, 2, 2]]), others).round(3)
        array([[0.333, 0.   ]])
    """
    # slow to import, as in `PoseTracker.update`
    import torch
    from torchvision.ops import box_iou

    one, other = (torch.from_numpy(group.astype(np.float64)) for group in (boxes, others))
    return box_iou(one, other).nan_to_num(0).numpy()


def _enlarge(boxes: NDArray[np.floating]) -> NDArray[np.floating]:
    """Add `BUFFER` on each side of boxes (M, 4)."""
    margin = BUFFER * (boxes[:, 2:] - boxes[:, :2])
    return np.concatenate([boxes[:, :2] - margin, boxes[:, 2:] + margin], axis=1)
