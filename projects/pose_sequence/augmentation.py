"""Random changes of keypoint sequences, for training.

What a sequence is, and what transforms may do to it, is described in `transforms.py`. All choices
are drawn from torch's generator, which each data worker has seeded.

Shape letters in this file: T steps of a sequence, K points.
"""

from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform

from mmotion.checks import check_at_least, check_range
from mmotion.registry import TRANSFORMS

from .transforms import find_center, find_size, resample

# different speeds in a warped sequence
WARP_SEGMENTS = 4


@TRANSFORMS.register_module()
class ReverseSequence(BaseTransform):
    """Play a sequence backwards; not for activities that only their order tells apart.

    Args:
        prob: Share of the sequences that are reversed.

    Raises:
        ValueError: If `prob` is not in [0, 1].
    """

    def __init__(self, *, prob: float = 0.5) -> None:
        check_range('prob', prob, 0, 1)
        self.prob = prob

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Turn `keypoints` and `scores` around."""
        if torch.rand(()) < self.prob:
            for key in ('keypoints', 'scores'):
                results[key] = results[key][::-1].copy()
        return results


@TRANSFORMS.register_module()
class JitterPose(BaseTransform):
    """Move each point of each step a little, as a detector does.

    Args:
        std: Standard deviation of the Gaussian noise in x and in y, in sizes of the person.

    Raises:
        ValueError: If `std` is negative.
    """

    def __init__(self, *, std: float = 0.02) -> None:
        check_at_least('std', std, 0)
        self.std = std

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change `keypoints`."""
        keypoints = results['keypoints']
        noise = torch.randn(keypoints.shape).numpy()
        results['keypoints'] = keypoints + self.std * find_size(keypoints) * noise
        return results


@TRANSFORMS.register_module()
class CropSequence(BaseTransform):
    """Keep a part of a sequence: its beginning or its end, one as often as the other.

    Args:
        min_share: Smallest share of the steps that is kept, in (0, 1].

    Raises:
        ValueError: If `min_share` is out of its range.
    """

    def __init__(self, *, min_share: float = 0.5) -> None:
        check_range('min_share', min_share, 0, 1, ends='(]')
        self.min_share = min_share

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Cut `keypoints` and `scores`; a step at least is left."""
        num_steps = len(results['keypoints'])
        share = self.min_share + (1 - self.min_share) * float(torch.rand(()))
        kept = max(round(share * num_steps), min(num_steps, 1))
        first = 0 if torch.rand(()) < 0.5 else num_steps - kept
        for key in ('keypoints', 'scores'):
            results[key] = results[key][first : first + kept]
        return results


@TRANSFORMS.register_module()
class MirrorPose(BaseTransform):
    """Show a person as in a mirror, around their centre.

    What was the left hand is then a right hand, and is at its place in the arrays, so a mirrored
    sequence is one that a detector could have given.

    Args:
        prob: Share of the sequences that are mirrored.

    Raises:
        ValueError: If `prob` is not in [0, 1].
    """

    def __init__(self, *, prob: float = 0.5) -> None:
        check_range('prob', prob, 0, 1)
        self.prob = prob

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change `keypoints` and `scores`."""
        if torch.rand(()) < self.prob:
            keypoints, skeleton = results['keypoints'], results['skeleton']
            center_x = find_center(keypoints)[0]
            mirrored = np.stack([2 * center_x - keypoints[..., 0], keypoints[..., 1]], axis=-1)
            results['keypoints'] = skeleton.swap_sides(mirrored)
            results['scores'] = skeleton.swap_sides(results['scores'][..., None])[..., 0]
        return results


@TRANSFORMS.register_module()
class RotatePose(BaseTransform):
    """Turn a sequence around its centre, all steps by one angle, as a camera that is not level.

    Args:
        max_deg: Largest angle to either side, in degrees.

    Raises:
        ValueError: If `max_deg` is not in [0, 180].
    """

    def __init__(self, *, max_deg: float = 15.0) -> None:
        check_range('max_deg', max_deg, 0, 180)
        self.max_deg = max_deg

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change `keypoints`."""
        keypoints = results['keypoints']
        angle = np.deg2rad(self.max_deg) * (2 * float(torch.rand(())) - 1)
        cos, sin = np.cos(angle), np.sin(angle)
        turn = np.array([[cos, sin], [-sin, cos]], dtype=np.float32)
        center = find_center(keypoints)
        results['keypoints'] = (keypoints - center) @ turn + center
        return results


@TRANSFORMS.register_module()
class WarpTime(BaseTransform):
    """Play the parts of a sequence at speeds of their own; first, last and number of steps stay.

    Args:
        max_speed: Largest speed that is drawn for a part, at least 1; the smallest is its inverse.

    Raises:
        ValueError: If `max_speed` is below 1.
    """

    def __init__(self, *, max_speed: float = 1.5) -> None:
        check_at_least('max_speed', max_speed, 1)
        self.max_speed = max_speed

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change `keypoints` and `scores`."""
        num_steps = len(results['keypoints'])
        speeds = self.max_speed ** (2 * torch.rand(WARP_SEGMENTS, dtype=torch.float64) - 1).numpy()
        # where the borders of parts that take the same time come from
        borders = np.concatenate([[0.0], np.cumsum(speeds)]) * (num_steps - 1) / speeds.sum()
        times = np.linspace(0, num_steps - 1, WARP_SEGMENTS + 1)
        return resample(results, np.interp(np.arange(num_steps), times, borders))


@TRANSFORMS.register_module()
class ReshapeBody(BaseTransform):
    """Move each point by an offset of its own, the same in all steps, and stretch the picture.

    Motion stays as it is, but for the stretch; bones get other lengths. For contrastive learning:
    both views of a sequence show one person with one build, in one stance, and without this that is
    what an encoder learns to recognise, as it does by the colours of crops in section 3.1 of
    https://arxiv.org/abs/2002.05709.

    Args:
        offset_std: Standard deviation of the offsets in x and in y, in sizes of the person.
        max_stretch: Largest factor by which x, and by itself y, is stretched, at least 1; the
            smallest is its inverse.

    Raises:
        ValueError: If a number is out of its range.
    """

    def __init__(self, *, offset_std: float = 0.3, max_stretch: float = 1.2) -> None:
        check_at_least('offset_std', offset_std, 0)
        check_at_least('max_stretch', max_stretch, 1)
        self.offset_std = offset_std
        self.max_stretch = max_stretch

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change `keypoints` (T, K, 2)."""
        keypoints = results['keypoints']
        stretch = self.max_stretch ** (2 * torch.rand(2) - 1).numpy()
        offsets = self.offset_std * torch.randn(keypoints.shape[1:]).numpy()
        center = find_center(keypoints)
        moved = (keypoints - center) * stretch + find_size(keypoints) * offsets
        results['keypoints'] = (moved + center).astype(np.float32)
        return results
