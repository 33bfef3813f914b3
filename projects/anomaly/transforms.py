"""What a clip goes through on its way to a backbone: the augmentation of its row, and pathways.

No step draws at random, so that a clip need be embedded once.

Shape letters in this file: V views of a clip, T fast frames, H and W height and width of a frame in
pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from einops import rearrange
from mmcv.transforms import BaseTransform
from numpy.typing import NDArray
from torchvision.transforms.v2 import functional as F

from mmotion.checks import check_choice
from mmotion.registry import TRANSFORMS

# what an `Augmentation` can change
KINDS = ('flip', 'crop', 'speed', 'color')
# by which sums of rounded shares may miss 1
CROP_SLACK = 1e-6
# fast frames for each slow one, alpha of table 1 of SlowFast
SPEED_RATIO = 4
FRAME_CHOICES = ('linspace', 'stride')


@dataclass(frozen=True)
class Augmentation:
    """What is done to a clip; written as text, so that a table can hold it.

    Attributes:
        flip: Mirror left and right.
        crop: Left and upper edge and size of the part that is shown, in shares of the frame.
        speed: Times as fast as recorded.
        color: Factors of brightness, contrast and saturation, and turn of the hue in circles.

    Example:
        >>> Augmentation.parse('flip speed=1.2')
        Augmentation(flip=True, crop=(0.0, 0.0, 1.0), speed=1.2, color=(1.0, 1.0, 1.0, 0.0))
        >>> str(Augmentation(crop=(0.1, 0.0, 0.9)))
        'crop=0.1:0.0:0.9'
    """

    flip: bool = False
    crop: tuple[float, ...] = (0.0, 0.0, 1.0)
    speed: float = 1.0
    color: tuple[float, ...] = (1.0, 1.0, 1.0, 0.0)

    def __post_init__(self) -> None:
        for name, length in (('crop', 3), ('color', 4)):
            value = getattr(self, name)
            if len(value) != length:
                raise ValueError(f'{name} must have {length} numbers, got {name}={value}')
        left, top, size = self.crop
        if not (min(left, top) >= 0 < size and max(left, top) + size <= 1 + CROP_SLACK):
            raise ValueError(f'crop must lie within the frame, 0 to 1, got crop={self.crop}')
        if not 0.1 <= self.speed <= 10:
            raise ValueError(f'speed must be from 0.1 to 10, got speed={self.speed}')
        *factors, hue = self.color
        if not (min(factors) >= 0 and abs(hue) <= 0.5):
            raise ValueError(
                'color must be three factors from 0 on and a turn within half a circle, got '
                f'color={self.color}'
            )

    @classmethod
    def parse(cls, text: str) -> 'Augmentation':
        """Read what `str` writes: words in any order, parted by spaces; '' changes nothing.

        Raises:
            ValueError: If a word is not one of flip, crop=X:Y:SIZE, speed=FACTOR and
                color=BRIGHTNESS:CONTRAST:SATURATION:HUE.
        """
        options: dict[str, Any] = {}
        for word in text.split():
            name, _, value = word.partition('=')
            try:
                numbers = tuple(map(float, value.split(':'))) if value else (True,)
            except ValueError:
                numbers = ()
            if name not in KINDS or not numbers or (name == 'flip') != (not value):
                raise ValueError(
                    'an augmentation must be flip, crop=X:Y:SIZE, speed=FACTOR or color='
                    f'BRIGHTNESS:CONTRAST:SATURATION:HUE, got {word!r} in {text!r}'
                )
            options[name] = numbers if name in ('crop', 'color') else numbers[0]
        return cls(**options)

    def __str__(self) -> str:
        words = ['flip'] if self.flip else []
        for name in ('crop', 'speed', 'color'):
            value = getattr(self, name)
            if value != getattr(Augmentation, name):
                numbers = value if isinstance(value, tuple) else (value,)
                words.append(f'{name}={":".join(map(str, numbers))}')
        return ' '.join(words)


@TRANSFORMS.register_module()
class AugmentClip(BaseTransform):
    """Do to the frames what the row of a clip says; without a row, as in prediction, nothing.

    The part of the frame that `crop` shows is scaled to the size of the frame. Colors change in
    the same way in all frames, contrast around the mean of the clip. `speed` is not done here: the
    data set scales the rate of the video with it, so that `SampleClip` goes through it faster.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change `imgs`, RGB frames (H, W, 3) uint8, by `augmentation`."""
        augmentation = results.get('augmentation')
        if augmentation is None:
            return results
        images = [_cut(image, augmentation) for image in results['imgs']]
        if augmentation.color != Augmentation.color:
            images = _color(np.stack(images), augmentation.color)
        results['imgs'] = images
        return results


@TRANSFORMS.register_module()
class PackPathways(BaseTransform):
    """Append the frames of the slow pathway to those of the fast one, every fourth of them.

    Place it behind `FormatShape(input_format='NCTHW')`.

    Args:
        frame_choice: 'linspace', from the first to the last as in pytorchvideo (of 32: 0, 4, 8, 13,
            17, 22, 26, 31), or 'stride', as in MMAction2 (0, 4, 8, ..., 28).

    Raises:
        ValueError: If `frame_choice` is another word.
    """

    def __init__(self, *, frame_choice: str = 'linspace') -> None:
        check_choice('frame_choice', frame_choice, FRAME_CHOICES)
        self.frame_choice = frame_choice

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change `imgs` from (V, 3, T, H, W) to (V, 3, T + T / 4, H, W), and `input_shape`.

        Raises:
            ValueError: If `imgs` has another shape, or T is no multiple of 4.
        """
        clips = np.asarray(results['imgs'])
        if clips.ndim != 5 or clips.shape[1] != 3 or clips.shape[2] % SPEED_RATIO:
            raise ValueError(
                f'imgs must have shape (V, 3, T, H, W) with T a multiple of {SPEED_RATIO}, got '
                f'{clips.shape}; place PackPathways behind FormatShape(input_format="NCTHW")'
            )
        slow = choose_slow_frames(clips.shape[2], self.frame_choice)
        results['imgs'] = np.concatenate([clips, clips[:, :, slow]], axis=2)
        results['input_shape'] = results['imgs'].shape
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(frame_choice={self.frame_choice!r})'


def choose_slow_frames(num_frames: int, frame_choice: str) -> list[int]:
    """Which of the fast frames the slow pathway sees, see `PackPathways`."""
    if frame_choice == 'stride':
        return list(range(0, num_frames, SPEED_RATIO))
    return torch.linspace(0, num_frames - 1, num_frames // SPEED_RATIO).long().tolist()


def _cut(image: NDArray[np.uint8], augmentation: Augmentation) -> NDArray[np.uint8]:
    """Show a part of a frame (H, W, 3) in its size, mirrored or not."""
    left, top, size = augmentation.crop
    if size < 1:
        height, width = image.shape[:2]
        rows = slice(round(top * height), max(round((top + size) * height), 1))
        columns = slice(round(left * width), max(round((left + size) * width), 1))
        image = cv2.resize(image[rows, columns], (width, height)).astype(np.uint8, copy=False)
    return np.ascontiguousarray(image[:, ::-1]) if augmentation.flip else image


def _color(frames: NDArray[np.uint8], color: Sequence[float]) -> list[NDArray[np.uint8]]:
    """Change the colors of a clip (T, H, W, 3)."""
    brightness, contrast, saturation, hue = color
    # one tall picture: contrast is changed around the mean of the clip
    picture = torch.from_numpy(rearrange(frames, 't h w c -> c (t h) w'))
    picture = F.adjust_brightness(picture, brightness)
    picture = F.adjust_contrast(picture, contrast)
    picture = F.adjust_saturation(picture, saturation)
    picture = F.adjust_hue(picture, hue)
    return [*rearrange(picture, 'c (t h) w -> t h w c', t=len(frames)).contiguous().numpy()]
