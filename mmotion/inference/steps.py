"""The steps of a test pipeline that an exported model needs, by NumPy alone.

Each does what the transform of its name does, MMAction2's or ours, and is called in the same way.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mmotion.video.resizing import resize_linear
from mmotion.video.timing import choose_clips

Results = dict[str, Any]
Step = Callable[[Results], Results]


class SampleClip:
    """See `mmotion.transforms.SampleClip`."""

    def __init__(self, **options: Any) -> None:
        self.options = {'num_frames': 8, 'stride': 32, 'num_clips': 1, **options}

    def __call__(self, results: Results) -> Results:
        """Choose the frames."""
        numbers = choose_clips(int(results['total_frames']), results['fps'], **self.options)
        sizes = {'clip_len': self.options['num_frames'], 'num_clips': self.options['num_clips']}
        return results | {'frame_inds': numbers, **sizes}


class DecodeClip:
    """Marks where frames are read, which the predictor does."""

    def __call__(self, results: Results) -> Results:
        """Leave all as it is."""
        return results


class Resize:
    """See MMAction2's `Resize`.

    Args:
        scale: Width and height in pixels; with `keep_ratio` the longest they may be, and (-1, n)
            makes the shorter side n.
        keep_ratio: Whether a frame keeps its form.
    """

    def __init__(self, *, scale: Sequence[int], keep_ratio: bool = True) -> None:
        self.scale = scale
        self.keep_ratio = keep_ratio

    def __call__(self, results: Results) -> Results:
        """Scale the frames."""
        height, width = results['img_shape']
        new_width, new_height = self.scale
        if self.keep_ratio:
            longest = math.inf if min(self.scale) == -1 else max(self.scale)
            shortest = max(self.scale) if min(self.scale) == -1 else min(self.scale)
            factor = min(longest / max(height, width), shortest / min(height, width))
            new_width, new_height = (int(side * factor + 0.5) for side in (width, height))
        images = [resize_linear(image, new_width, new_height) for image in results['imgs']]
        return results | {'imgs': images, 'img_shape': (new_height, new_width)}


class ThreeCrop:
    """See MMAction2's `ThreeCrop`: squares at both ends and in the middle of the longer side.

    Args:
        crop_size: Their side in pixels.
    """

    def __init__(self, *, crop_size: int) -> None:
        self.size = crop_size

    def __call__(self, results: Results) -> Results:
        """Cut the frames out, all of one place and then all of the next."""
        height, width = results['img_shape']
        step_y, step_x = (height - self.size) // 2, (width - self.size) // 2
        places = [(i * step_y, i * step_x) for i in (0, 2, 1)]
        images = [
            image[y : y + self.size, x : x + self.size]
            for y, x in places
            for image in results['imgs']
        ]
        return results | {'imgs': images, 'img_shape': (self.size, self.size)}


class FormatShape:
    """See MMAction2's `FormatShape`, for clips: frames to (V, 3, T, H, W)."""

    def __init__(self, *, input_format: str) -> None:
        if input_format != 'NCTHW':
            raise ValueError(f"input_format must be 'NCTHW', got {input_format=}")

    def __call__(self, results: Results) -> Results:
        """Stack the frames, the crops of a clip after those of others."""
        images = np.stack(results['imgs'])
        clips = images.reshape(-1, results['clip_len'], *images.shape[1:])
        return results | {'imgs': clips.transpose(0, 4, 1, 2, 3)}


class PackActionInputs:
    """Gives what the network takes."""

    def __init__(self, **_: Any) -> None:
        pass

    def __call__(self, results: Results) -> Results:
        """Take the clips."""
        return {'inputs': results['imgs']}


STEPS = {
    kind.__name__: kind
    for kind in (SampleClip, DecodeClip, Resize, ThreeCrop, FormatShape, PackActionInputs)
}


def build_steps(pipeline: Sequence[Mapping[str, Any]]) -> list[Step]:
    """Build the steps of a pipeline.

    Raises:
        ValueError: If there is one that takes more than NumPy.
    """
    unknown = [step['type'] for step in pipeline if step['type'] not in STEPS]
    if unknown:
        raise ValueError(
            f'test_pipeline must consist of {", ".join(STEPS)} to be exported, got '
            f'{", ".join(unknown)}; leave it out'
        )
    steps = [{k: v for k, v in step.items() if k != 'type'} for step in pipeline]
    return [STEPS[step['type']](**options) for step, options in zip(pipeline, steps, strict=True)]
