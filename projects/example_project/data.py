"""Generated clips of a dot that moves to the left or to the right.

Shape letters in this file: T frames, H and W height and width in pixels (both are `size`).
"""

import numpy as np
import torch
from mmengine.structures import BaseDataElement
from torch.utils.data import Dataset

from mmotion.registry import DATASETS

CLASSES = ('left', 'right')


@DATASETS.register_module()
class MovingDots(Dataset):
    """Clips of a bright dot on a noisy background, labelled by its direction.

    The dot starts anywhere and leaves on one side to come back on the other, so no single frame
    tells the label. A clip depends on `seed` and its index alone.

    Args:
        num_clips: Clips in the data set.
        seed: Another seed is another, disjoint split.
        num_frames: Frames of a clip T.
        size: Height and width in pixels.

    Raises:
        ValueError: If a number is below 1.

    Example:
        >>> sample = MovingDots(num_clips=4, seed=0)[3]
        >>> sample['inputs'].shape, sample['data_samples'].gt_label
        (torch.Size([3, 8, 16, 16]), 1)
    """

    metainfo = {'classes': CLASSES}

    def __init__(self, *, num_clips: int, seed: int, num_frames: int = 8, size: int = 16) -> None:
        for name, value in dict(num_clips=num_clips, num_frames=num_frames, size=size).items():
            if value < 1:
                raise ValueError(f'{name} must be at least 1, got {name}={value}')
        self.num_clips = num_clips
        self.seed = seed
        self.num_frames = num_frames
        self.size = size

    def __len__(self) -> int:
        return self.num_clips

    def __getitem__(self, index: int) -> dict:
        """Render one clip.

        Args:
            index: Which clip, in [0, num_clips).

        Returns:
            `inputs`, RGB uint8 (3, T, H, W), and `data_samples` with `gt_label`, an index
            into CLASSES.

        Raises:
            IndexError: If `index` is out of range.
        """
        if not 0 <= index < self.num_clips:
            raise IndexError(f'index must be in [0, {self.num_clips}), got index={index}')
        rng = np.random.default_rng((self.seed, index))
        label = int(rng.integers(len(CLASSES)))
        row, start = rng.integers(self.size, size=2)
        frames = rng.integers(0, 64, (3, self.num_frames, self.size, self.size), dtype=np.uint8)
        times = np.arange(self.num_frames)
        columns = (start + (times if CLASSES[label] == 'right' else -times)) % self.size
        frames[:, times, row, columns] = 255
        return dict(inputs=torch.from_numpy(frames), data_samples=BaseDataElement(gt_label=label))
