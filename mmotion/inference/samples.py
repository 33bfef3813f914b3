"""What a test pipeline is given of frames that come from no data set, and names for its answers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmotion.tables import read_text


def make_sample(
    images: Sequence[NDArray[np.uint8]] = (), *, fps: float, num_frames: int | None = None
) -> dict[str, Any]:
    """Say of frames what transforms read, in MMAction2's words.

    Args:
        images: The frames (H, W, 3), all of one size; none where the pipeline chooses first which
            of them it wants.
        fps: Frames per second.
        num_frames: How many frames there are to choose from; None for those of `images`.

    Returns:
        The entries, to which a system adds what its own transforms need.

    Example:
        >>> sample = make_sample([np.zeros((4, 6, 3), np.uint8)] * 5, fps=25.0)
        >>> sample['total_frames'], sample['clip_len'], sample['img_shape']
        (5, 5, (4, 6))
    """
    num_frames = len(images) if num_frames is None else num_frames
    sample: dict[str, Any] = {
        'fps': fps,
        'total_frames': num_frames,
        'start_index': 0,
        'clip_len': num_frames,
        'num_clips': 1,
        'modality': 'RGB',
    }
    if len(images):
        sample |= describe_images(images, images[0].shape[:2])
    return sample


def describe_images(
    images: Sequence[NDArray[np.uint8]], shape_hw: tuple[int, ...]
) -> dict[str, Any]:
    """The entries that say of frames what they look like, before any transform."""
    return {'imgs': images, 'img_shape': shape_hw, 'original_shape': shape_hw}


def find_class_names(config: Any, model: Any, num_classes: int) -> tuple[str, ...]:
    """Names of the classes: from the checkpoint, else from the config's test set, else numbers.

    Args:
        config: Its `test_dataloader.dataset` may have `classes`, or `metainfo` with them.
        model: From `load_model`, which notes what the checkpoint says.
        num_classes: Names of another number of classes are not taken.
    """
    dataset = (config.get('test_dataloader') or {}).get('dataset') or {}
    for source in (
        getattr(model, 'dataset_meta', None) or {},
        dataset,
        dataset.get('metainfo') or {},
    ):
        names = source.get('classes') or ()
        if isinstance(names, str):
            # a file with a name a line, which need not be where videos are predicted
            file = Path(names)
            text = read_text(file, what='classes must be text in UTF-8') if file.is_file() else ''
            names = text.split('\n')
            names = [name.strip() for name in names if name.strip()]
        if isinstance(names, list | tuple) and len(names) == num_classes:
            return tuple(map(str, names))
    return tuple(map(str, range(num_classes)))
