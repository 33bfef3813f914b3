"""What the points of a body are called, which of them a bone joins, and which swap in a mirror.

Left and right are those of the person, not of the picture.

Sources of the orders:
    COCO17: person_keypoints_*.json of COCO 2017, https://cocodataset.org/#format-data
    MEDIAPIPE33: Pose Landmarker, https://ai.google.dev/edge/mediapipe/solutions/vision/pose_landmarker
    OPENPOSE18: POSE_COCO of OpenPose, doc/02_output.md

Shape letters in this file: K points of a skeleton.
"""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

SIDES = ('left', 'right')


@dataclass(frozen=True)
class Skeleton:
    """The points of a body and how they belong together.

    Args:
        name: What files and messages call it.
        points: Names of the K points, in the order of every array of keypoints.
        edges: Pairs of indices of points that a bone joins.
        mirror: Index (K,) of the same point on the other side; a point of the middle has its own.

    Raises:
        ValueError: If a name is there twice, an index is out of range, the mirror does not swap
            in pairs, or an edge has no mirror image.

    Example:
        >>> import numpy as np
        >>> points = ('left_hand', 'neck', 'right_hand')
        >>> arms = Skeleton('arms', points, edges=((0, 1), (1, 2)), mirror=(2, 1, 0))
        >>> arms.swap_sides(np.array([[0.0, 5.0], [1.0, 6.0], [2.0, 7.0]])).tolist()
        [[2.0, 7.0], [1.0, 6.0], [0.0, 5.0]]
    """

    name: str
    points: tuple[str, ...]
    edges: tuple[tuple[int, int], ...]
    mirror: tuple[int, ...]

    def __post_init__(self) -> None:
        twice = sorted({point for point in self.points if self.points.count(point) > 1})
        if not self.points or twice:
            raise ValueError(
                f'points of skeleton {self.name!r} must be at least one name, each there once, got '
                + (f'{", ".join(twice)} several times' if twice else 'none')
            )
        num_points = len(self.points)
        if sorted(self.mirror) != list(range(num_points)) or any(
            self.mirror[other] != i for i, other in enumerate(self.mirror)
        ):
            raise ValueError(
                f'mirror of skeleton {self.name!r} must swap its {num_points} points in pairs, got '
                f'mirror={self.mirror}'
            )
        joined = {frozenset(edge) for edge in self.edges}
        for i, edge in enumerate(self.edges):
            if not all(0 <= end < num_points for end in edge) or len(set(edge)) != 2:
                raise ValueError(
                    f'edges of skeleton {self.name!r} must join two of its {num_points} points, '
                    f'got edges[{i}]={edge}'
                )
            if frozenset(self.mirror[end] for end in edge) not in joined:
                raise ValueError(
                    f'edges of skeleton {self.name!r} must have their mirror images, got '
                    f'edges[{i}]={edge} ({" to ".join(self.points[end] for end in edge)}) without'
                )

    @property
    def num_points(self) -> int:
        """Points K."""
        return len(self.points)

    def swap_sides(self, values: NDArray[Any]) -> NDArray[Any]:
        """Give each point the values of the same point on the other side.

        Args:
            values: One row a point, (..., K, C).
        """
        return values[..., list(self.mirror), :]


def find_mirror(points: tuple[str, ...]) -> tuple[int, ...]:
    """Find the `mirror` of a skeleton by the words left and right in the names of its points.

    Raises:
        ValueError: If one side has a point that the other has not.

    Example:
        >>> find_mirror(('nose', 'left_eye', 'right_eye'))
        (0, 2, 1)
    """
    swap = {SIDES[0]: SIDES[1], SIDES[1]: SIDES[0]}
    others = ['_'.join(swap.get(word, word) for word in point.split('_')) for point in points]
    alone = [point for point, other in zip(points, others, strict=True) if other not in points]
    if alone:
        raise ValueError(
            f'points must have their other side, got {", ".join(alone)} without; give the mirror'
        )
    return tuple(points.index(other) for other in others)


def _make(name: str, points: str, edges: tuple[tuple[int, int], ...]) -> Skeleton:
    """Make a skeleton whose names, separated by spaces, tell the sides."""
    names = tuple(points.split())
    return Skeleton(name, names, edges, find_mirror(names))


# fmt: off
COCO17 = _make(
    'coco17',
    'nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow '
    'right_elbow left_wrist right_wrist left_hip right_hip left_knee right_knee left_ankle '
    'right_ankle',
    (
        (15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (6, 8),
        (7, 9), (8, 10), (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6),
    ),
)
MEDIAPIPE33 = _make(
    'mediapipe33',
    'nose left_eye_inner left_eye left_eye_outer right_eye_inner right_eye right_eye_outer '
    'left_ear right_ear mouth_left mouth_right left_shoulder right_shoulder left_elbow right_elbow '
    'left_wrist right_wrist left_pinky right_pinky left_index right_index left_thumb right_thumb '
    'left_hip right_hip left_knee right_knee left_ankle right_ankle left_heel right_heel '
    'left_foot_index right_foot_index',
    (
        (0, 1), (1, 2), (2, 3), (3, 7), (0, 4), (4, 5), (5, 6), (6, 8), (9, 10), (11, 12), (11, 13),
        (13, 15), (15, 17), (15, 19), (15, 21), (17, 19), (12, 14), (14, 16), (16, 18), (16, 20),
        (16, 22), (18, 20), (11, 23), (12, 24), (23, 24), (23, 25), (24, 26), (25, 27), (26, 28),
        (27, 29), (28, 30), (29, 31), (30, 32), (27, 31), (28, 32),
    ),
)
OPENPOSE18 = _make(
    'openpose18',
    'nose neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist '
    'right_hip right_knee right_ankle left_hip left_knee left_ankle right_eye left_eye right_ear '
    'left_ear',
    (
        (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12),
        (12, 13), (1, 0), (0, 14), (14, 16), (0, 15), (15, 17),
    ),
)
# the jointed person of generated sequences
FIGURE = _make(
    'figure',
    'head neck pelvis left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist '
    'left_hip right_hip left_knee right_knee left_ankle right_ankle',
    (
        (0, 1), (1, 2), (1, 3), (1, 4), (3, 5), (4, 6), (5, 7), (6, 8), (2, 9), (2, 10), (9, 11),
        (10, 12), (11, 13), (12, 14),
    ),
)
# fmt: on
SKELETONS = {skeleton.name: skeleton for skeleton in (COCO17, MEDIAPIPE33, OPENPOSE18, FIGURE)}
