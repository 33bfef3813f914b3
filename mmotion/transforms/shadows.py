"""Take the shadow out of pictures of something that moves, in four ways.

A shadow moves with what casts it, so that a method that looks for motion finds both. No way suits
all videos; `tools/data/remove_shadows.py --preview` shows them side by side.

hsv: keeps what has the color of the object and blackens the rest. For an object of one color that
    is brighter than the background. Ranges of hue, saturation and value are given, or estimated.
ssim: keeps what has changed in structure against another frame, and what that encloses, and
    blackens the rest. A shadow darkens but leaves the structure. An object that rests is lost.
filter: divides the brightness by that of the surroundings, which takes away soft shadows, and
    gradients of light, and leaves edges.
background: puts the empty background in the place of pixels that are darkened copies of it,
    according to OpenCV's mixture of Gaussians (MOG2). For a static camera. Parts of the object
    that are like a darker background, down to half as bright, are taken for shadow.

Background: Zivkovic and van der Heijden, Efficient adaptive density estimation per image pixel for
    the task of background subtraction, Pattern Recognition Letters 27 (2006), and Prati et al.,
    Detecting moving shadows: algorithms and evaluation, PAMI 25 (2003), as OpenCV has them.

Shape letters in this file: H and W height and width of a frame in pixels.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mmotion.checks import check_choice, check_range

Image = NDArray[np.uint8]

# frames from which a background or a color is learned
NUM_FRAMES = 40
# by how many levels of value an object is brighter than the background, in 0..255
BRIGHTER = 25
# pixels of the object that an estimate of its color needs, in all frames
MIN_PIXELS = 50
# below this saturation, in 0..255, a hue is that of noise
MIN_SATURATION = 40
# values of hue in OpenCV's 8-bit pictures
HUES = 180
# of SSIM: the constant that keeps flat areas stable, and the window
SSIM_C2 = (0.03 * 255) ** 2
SSIM_SIGMA_PX = 1.5
# what MOG2 gives for a shadow
SHADOW = 127


class ShadowRemover(ABC):
    """One way to remove shadows; `fit` it once to a video, then `remove` from its frames.

    Attributes:
        needs_frames: Whether `fit` must be called before `remove`.
    """

    needs_frames = False

    def fit(self, frames: Sequence[Image]) -> None:
        """Learn from some frames of a video, RGB (H, W, 3); a method that need not does nothing."""
        del frames

    @abstractmethod
    def remove(self, frame: Image, other: Image | None) -> Image:
        """Remove the shadows of a frame.

        Args:
            frame: RGB (H, W, 3).
            other: A frame of the video at another time; None if there is none.

        Returns:
            A new frame of this shape.
        """


class ColorMask(ShadowRemover):
    """Keep what has the color of the object ('hsv').

    Args:
        low: Lowest hue (0 to 179), saturation and value (0 to 255); a hue above that of `high`
            means the range over the end, as red has it. None is estimated by `fit`.
        high: The highest ones.

    Raises:
        ValueError: If one of them is given alone, or is out of range.
    """

    def __init__(self, low: Sequence[int] | None = None, high: Sequence[int] | None = None) -> None:
        if (low is None) != (high is None):
            raise ValueError(f'low and high must be given together, got low={low} and high={high}')
        for name, bound in (('low', low), ('high', high)):
            if bound is not None and not (
                len(bound) == 3
                and all(0 <= v <= m for v, m in zip(bound, (HUES - 1, 255, 255), strict=True))
            ):
                raise ValueError(
                    f'{name} must be hue, saturation and value up to 179, 255 and 255, got '
                    f'{name}={bound}'
                )
        self.low, self.high = low, high
        self.needs_frames = low is None

    def fit(self, frames: Sequence[Image]) -> None:
        """Estimate the ranges, unless they are given.

        Raises:
            ValueError: If nothing is brighter than the background.
        """
        if self.needs_frames:
            self.low, self.high = estimate_color(frames)

    def remove(self, frame: Image, other: Image | None) -> Image:
        """See `ShadowRemover.remove`."""
        if self.low is None or self.high is None:
            raise ValueError('low and high must be given or estimated, got None; call fit first')
        hsv = cv2.cvtColor(frame, cv2.COLOR_RGB2HSV)
        low, high = np.array(self.low, np.uint8), np.array(self.high, np.uint8)
        if low[0] <= high[0]:
            mask = cv2.inRange(hsv, low, high)
        else:
            upper = cv2.inRange(hsv, low, np.array([HUES - 1, *high[1:]], np.uint8))
            lower = cv2.inRange(hsv, np.array([0, *low[1:]], np.uint8), high)
            mask = cv2.bitwise_or(upper, lower)
        return _cut(frame, mask)


class ChangeMask(ShadowRemover):
    """Keep what has changed in structure against another frame ('ssim').

    Args:
        threshold: Similarity, the contrast and structure part of SSIM, below which a pixel has
            changed, in (0, 1). A shadow of half the light has 0.8, noise on flat ground 0.7.

    Raises:
        ValueError: If the threshold is not between 0 and 1.
    """

    def __init__(self, threshold: float = 0.6) -> None:
        check_range('threshold', threshold, 0, 1, ends='()')
        self.threshold = threshold

    def remove(self, frame: Image, other: Image | None) -> Image:
        """See `ShadowRemover.remove`.

        Raises:
            ValueError: If there is no other frame.
        """
        if other is None:
            raise ValueError(
                "method='ssim' must have another frame to compare with, got a single one; use "
                'another method, or remove the shadows of the whole video beforehand'
            )
        changed = (structural_similarity(frame, other) < self.threshold).astype(np.uint8)
        changed = cv2.morphologyEx(changed, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
        # what is flat inside changes at its outline alone
        outlines, _ = cv2.findContours(changed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        changed = cv2.drawContours(changed, outlines, -1, (1,), cv2.FILLED)
        return _cut(frame, changed)


class LightFilter(ShadowRemover):
    """Divide the brightness by that of the surroundings ('filter').

    Args:
        radius: Standard deviation of the surroundings in widths of the frame, in (0, 1).

    Raises:
        ValueError: If the radius is not between 0 and 1.
    """

    def __init__(self, radius: float = 0.06) -> None:
        check_range('radius', radius, 0, 1, ends='()')
        self.radius = radius

    def remove(self, frame: Image, other: Image | None) -> Image:
        """See `ShadowRemover.remove`."""
        hsv = cv2.cvtColor(frame, cv2.COLOR_RGB2HSV)
        value = hsv[..., 2].astype(np.float32) + 1
        around = cv2.GaussianBlur(value, (0, 0), self.radius * frame.shape[1])
        # as bright as before on the whole
        flat = value / around * float(value.mean()) - 1
        hsv[..., 2] = np.clip(np.rint(flat), 0, 255)
        return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB).astype(np.uint8, copy=False)


class BackgroundModel(ShadowRemover):
    """Replace what is a darkened copy of the background by the background ('background').

    Args:
        darkest: Brightness of the darkest shadow in parts of that of the background, in (0, 1).

    Raises:
        ValueError: If `darkest` is not between 0 and 1.
    """

    needs_frames = True

    def __init__(self, darkest: float = 0.5) -> None:
        check_range('darkest', darkest, 0, 1, ends='()')
        self.darkest = darkest
        self._model: Any = None

    def fit(self, frames: Sequence[Image]) -> None:
        """Learn the background from frames that are spread over the video."""
        self._model = cv2.createBackgroundSubtractorMOG2(len(frames), detectShadows=True)
        self._model.setShadowThreshold(self.darkest)
        # of what a pixel shows, only the most frequent: not a shadow that has stayed for a while
        self._model.setBackgroundRatio(0.5)
        for frame in frames:
            self._model.apply(frame)

    def remove(self, frame: Image, other: Image | None) -> Image:
        """See `ShadowRemover.remove`."""
        if self._model is None:
            raise ValueError('the background must be known, got no frame yet; call fit first')
        mask = self._model.apply(frame, learningRate=0)
        # single pixels of the object that happen to look like shadow stay
        shadow = cv2.medianBlur((mask == SHADOW).astype(np.uint8), 5).astype(bool)
        return np.where(shadow[..., None], self._model.getBackgroundImage(), frame)


METHODS: dict[str, type[ShadowRemover]] = {
    'hsv': ColorMask,
    'ssim': ChangeMask,
    'filter': LightFilter,
    'background': BackgroundModel,
}


def build_remover(method: str, **options: Any) -> ShadowRemover:
    """Build the remover of a method.

    Args:
        method: One of `METHODS`.
        options: Arguments of its class.

    Raises:
        ValueError: If there is no such method or option, or an option is out of range.
    """
    check_choice('method', method, METHODS)
    try:
        return METHODS[method](**options)
    except TypeError as error:
        raise ValueError(f'options must be those of method={method!r}, got {error}') from None


def estimate_color(
    frames: Sequence[Image],
) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Estimate the range of color of an object that is brighter than the background.

    Args:
        frames: RGB (H, W, 3), of one video, spread over it; the object is where the value is
            above the median of all frames.

    Returns:
        Lowest and highest hue, saturation and value, as `ColorMask` takes them: what 96 % of its
        pixels have, and a little more.

    Raises:
        ValueError: If nothing is brighter than the background.
    """
    hsv = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2HSV) for frame in frames])
    value = hsv[..., 2].astype(np.int16)
    pixels = hsv[value > np.median(value, axis=0) + BRIGHTER]
    if len(pixels) < MIN_PIXELS:
        raise ValueError(
            f'an object must be brighter than the background by {BRIGHTER} of 255 to find its '
            f'color, got {len(pixels)} such pixels in {len(frames)} frames; give low and high, '
            'or use another method'
        )
    low_s, low_v = np.percentile(pixels[:, 1:], 2, axis=0) - 15
    high_s, high_v = np.percentile(pixels[:, 1:], 98, axis=0) + 15
    low_h, high_h = 0, HUES - 1
    if np.median(pixels[:, 1]) >= MIN_SATURATION:
        angle = pixels[:, 0] * (2 * np.pi / HUES)
        middle = np.angle(np.exp(1j * angle).mean())
        # hues around their mean, so that those of red are not torn apart
        away = np.angle(np.exp(1j * (angle - middle)))
        edges = (middle + np.percentile(away, [2, 98])) * HUES / (2 * np.pi) + [-5, 5]
        low_h, high_h = (int(edge) for edge in np.rint(edges) % HUES)
    low = (low_h, int(max(low_s, 0)), int(max(low_v, 0)))
    return low, (high_h, int(min(high_s, 255)), int(min(high_v, 255)))


def structural_similarity(one: Image, other: Image) -> NDArray[np.float32]:
    """The contrast and structure part of SSIM between two frames, (H, W), about in [-1, 1]."""
    x, y = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) for image in (one, other))

    def blur(image: NDArray[np.float32]) -> Any:
        return cv2.GaussianBlur(image, (11, 11), SSIM_SIGMA_PX)

    mean_x, mean_y = blur(x), blur(y)
    variance = blur(x * x) - mean_x**2 + blur(y * y) - mean_y**2
    covariance = blur(x * y) - mean_x * mean_y
    return (2 * covariance + SSIM_C2) / (variance + SSIM_C2)


def _cut(frame: Image, mask: Any) -> Image:
    """Blacken what is outside of a mask (H, W)."""
    return cv2.bitwise_and(frame, frame, mask=mask).astype(np.uint8, copy=False)
