"""What a predictor of activities answers about keypoints, and how it looks on the video."""

import dataclasses
from typing import Any

import numpy as np

from mmotion.keypoints.poses import PoseVideo
from mmotion.structures.actions import ActionScores
from mmotion.visualization import (
    Image,
    Painter,
    make_painter,
)


# eq would compare arrays, whose truth value is undefined
@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class PoseScores(ActionScores):
    """Which activity a video shows, and the keypoints that say so.

    Args:
        poses: Who was seen in the part of the video that was watched.
    """

    poses: PoseVideo

    def to_arrays(self) -> dict[str, Any]:
        """The scores, and how often somebody was seen."""
        return {
            **super().to_arrays(),
            'detector': self.poses.detector,
            'num_steps': len(self.poses.frames),
            'num_detections': self.poses.num_detections,
        }


@make_painter.register
def paint_poses(result: PoseScores) -> Painter:
    """The skeletons of the last frame that was looked at, under the labels and the timeline."""
    from mmotion.keypoints.drawing import draw_people
    from mmotion.visualization import actions  # noqa: F401  (registers how scores look)

    paint_scores = make_painter.dispatch(ActionScores)(result)
    poses = result.poses
    first = poses.num_frames - result.num_frames

    def paint(image: Image, index: int) -> Image:
        image = image.copy()
        step = int(np.searchsorted(poses.frame_indices, first + index, side='right')) - 1
        if step >= 0:
            scale = image.shape[1] / poses.width
            draw_people(image, poses.frames[step], poses.skeleton, scale=scale)
        return paint_scores(image, index)

    return paint
