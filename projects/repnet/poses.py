"""RepNet on keypoints: windows of poses in place of windows of frames.

A pose is a frame of three channels, x, y and whether the point was found, as high as there are
points and one wide, so that similarity, heads and counting are those of `models.py`. Where a person
is and how large is taken out of each window as a whole. What is left is how they move, also up and
down and across.

Shape letters in this file: N frames, B windows, T frames per window, K points (13), S points of a
skeleton.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mmotion.keypoints.skeletons import SIDES, Skeleton
from mmotion.registry import MODELS
from mmotion.shapes.movers import JOINTS

from .losses import RepNetOutput
from .models import RepNet

# what generated people and those of all detectors have: a head, and the others of `JOINTS` on the
# left and on the right
HEADS = ('nose', 'head')
POINTS = tuple(f'{side}_{joint}' for joint in JOINTS[1:] for side in SIDES)
NUM_POINTS = 1 + len(POINTS)


@MODELS.register_module()
class PoseEncoder(nn.Sequential):
    """Two linear layers over all points of a pose at once, each followed by ReLU.

    Args:
        width: Numbers that each layer gives.

    Example:
        >>> PoseEncoder(width=64)(torch.zeros(2, 3, 13, 1)).shape
        torch.Size([2, 64, 1, 1])
    """

    def __init__(self, *, width: int = 128) -> None:
        super().__init__(
            nn.Flatten(),
            nn.Linear(3 * NUM_POINTS, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Unflatten(1, (width, 1, 1)),
        )
        self.num_channels = width


@MODELS.register_module()
class PoseRepNet(RepNet):
    """RepNet whose frames are poses (N, 3, K, 1): x, y, and above 0 where the point was found."""

    def encode_frames(self, frames: Tensor) -> Tensor:
        """Leave poses as they are: what they are to others depends on the window."""
        return frames

    def score_windows(self, maps: Tensor) -> RepNetOutput:
        """Find period and periodicity of windows of poses (B, T, 3, K, 1)."""
        poses = normalize_windows(maps)
        taps = super().encode_frames(poses.flatten(0, 1))
        return super().score_windows(taps.unflatten(0, maps.shape[:2]))


def make_poses(keypoints: NDArray[np.float32], skeleton: Skeleton) -> NDArray[np.float32]:
    """Choose the points that a `PoseRepNet` looks at.

    Args:
        keypoints: In any unit (N, S, 2), NaN where missing.
        skeleton: What the S points are.

    Returns:
        Frames for a pipeline (N, K, 1, 3): x, y, 1; or three times 0 where a point is missing.

    Raises:
        ValueError: If the skeleton lacks a point.
    """
    names = [next((head for head in HEADS if head in skeleton.points), HEADS[0]), *POINTS]
    lacking = [name for name in names if name not in skeleton.points]
    if lacking:
        raise ValueError(
            f'skeleton must be that of a person, got {skeleton.name!r} without '
            f'{", ".join(lacking)}; take a detector of people'
        )
    chosen = keypoints[:, [skeleton.points.index(name) for name in names], None]
    found = ~np.isnan(chosen).any(-1, keepdims=True)
    return np.concatenate([np.where(found, chosen, 0), found], axis=-1, dtype=np.float32)


def normalize_windows(windows: Tensor) -> Tensor:
    """Fill in what is missing, and take place and size out of each window.

    A point that was not found lies on a straight line between where it was before and after, and
    where it was nearest in time at the ends; one that was never found is 0. The size is the root
    mean square distance of points from the middle of their own frame.

    Args:
        windows: (B, T, 3, K, 1), as `PoseRepNet` takes them.

    Returns:
        The same shape; places in sizes of the person around their mean, then 1 where the point was
        found and 0 where not.
    """
    there = windows[:, :, 2:, :, 0] > 0
    num_frames = windows.shape[1]
    frames = torch.arange(num_frames, device=windows.device)[:, None, None]
    before = frames.where(there, -1).cummax(1).values
    after = frames.where(there, num_frames).flip(1).cummin(1).values.flip(1)
    ever = (before >= 0) | (after < num_frames)
    before, after = before.where(before >= 0, after), after.where(after < num_frames, before)
    share = (frames - before) / (after - before).clamp_min(1)
    xy = windows[:, :, :2, :, 0].float()
    first, last = (
        xy.gather(1, index.clamp(0, num_frames - 1).expand_as(xy)) for index in (before, after)
    )
    xy = (first + share * (last - first)).where(ever, 0)

    num_points = ever.sum(3, keepdim=True).clamp_min(1)
    middle = xy.sum(3, keepdim=True) / num_points
    apart = (xy - middle).square().where(ever, 0).sum((2, 3)) / num_points[:, :, 0, 0]
    size = apart.mean(1).sqrt().clamp_min(1e-6)[:, None, None, None]
    xy = ((xy - middle.mean(1, keepdim=True)) / size).where(ever, 0)
    return torch.cat([xy, there.float()], 2)[..., None]
