"""Show another body doing the same: what contrastive learning must not tell people apart by.

Both views of a sequence show one person with one build, in one stance. Without this transform, that
is what SimCLR's encoder learns to recognise, as crops have colours in the paper (section 3.1), and
not how the person moves.

Shape letters in this file: T steps of a sequence, K points.
"""

from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform

from mmotion.registry import TRANSFORMS

from .transforms import find_center, find_size


@TRANSFORMS.register_module()
class ReshapeBody(BaseTransform):
    """Move each point by an offset of its own, the same in all steps, and stretch the picture.

    Motion stays as it is, but for the stretch; bones get other lengths.

    Args:
        offset_std: Standard deviation of the offsets in x and in y, in sizes of the person.
        max_stretch: Largest factor by which x, and by itself y, is stretched, at least 1; the
            smallest is its inverse.

    Raises:
        ValueError: If a number is out of its range.
    """

    def __init__(self, *, offset_std: float = 0.3, max_stretch: float = 1.2) -> None:
        if not 0 <= offset_std < np.inf:
            raise ValueError(f'offset_std must be at least 0, got offset_std={offset_std}')
        if not 1 <= max_stretch < np.inf:
            raise ValueError(f'max_stretch must be at least 1, got max_stretch={max_stretch}')
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
