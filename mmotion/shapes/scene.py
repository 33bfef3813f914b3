"""The whole description of a short generated video, and how it is drawn.

A `Scene` holds textured backgrounds, a camera path, textured parts with one affine placement a
frame, and the truth about what repeats. Drawing is a warp and a blend a part; a scene is described
completely before the first frame is drawn. `mmotion.shapes` invents scenes.

Shape letters in this file: N frames, S frame size in pixels.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
ByteArray = NDArray[np.uint8]
# where a data set has its scenes drawn: frame by frame in the data workers, or a batch at once on
# the model's device
RENDER_ON = ('workers', 'device')


@dataclass(frozen=True)
class Part:
    """A textured piece and where it is in each frame.

    Attributes:
        sprite: Colors multiplied by opacity, and opacity, (h, w, 4).
        placement: Sprite pixels to world pixels, one affine matrix a frame, (N, 2, 3).
        on_screen: Placed in the frame instead of the world, as a logo is: the camera does not
            move it.
    """

    sprite: ByteArray
    placement: FloatArray
    on_screen: bool = False


@dataclass(frozen=True, kw_only=True)
class Look:
    """What lens, editor and codec do to all frames of a video alike.

    Attributes:
        blur_px: Standard deviation of a Gaussian blur.
        colors: Matrix (3, 3) that mixes the colors, as a filter does; None leaves them alone.
        tones: New value of each old one, a column a color, (1, 256, 3); None leaves colors alone.
        bars: Black rows or columns at the top, bottom, left and right.
        jpeg_quality: Compress each frame by itself, in 0..100, where lower is worse; None does not.
    """

    blur_px: float = 0.0
    colors: FloatArray | None = None
    tones: ByteArray | None = None
    bars: tuple[int, int, int, int] = (0, 0, 0, 0)
    jpeg_quality: int | None = None

    def apply(self, frame: Any) -> Any:
        """Change a frame (S, S, 3), uint8."""
        if self.blur_px:
            frame = cv2.GaussianBlur(frame, (0, 0), self.blur_px)
        if self.colors is not None:
            frame = cv2.transform(frame, self.colors)
        if self.tones is not None:
            frame = cv2.LUT(frame, self.tones)
        if any(self.bars):
            top, bottom, left, right = self.bars
            height, width = frame.shape[:2]
            frame[:top], frame[height - bottom :] = 0, 0
            frame[:, :left], frame[:, width - right :] = 0, 0
        if self.jpeg_quality is not None:
            _, data = cv2.imencode('.jpg', frame, [cv2.IMWRITE_JPEG_QUALITY, self.jpeg_quality])
            frame = cv2.imdecode(data, cv2.IMREAD_COLOR)
        return frame


@dataclass(frozen=True)
class Scene:
    """Everything that there is to see in a generated video, and the truth about it.

    Attributes:
        size: Width and height of a frame S in pixels.
        backgrounds: One a shot, (h, w, 3), larger than the frame; mirrored beyond its border.
        shot: Which background each frame has, (N,).
        camera: World pixels to frame pixels, (N, 2, 3).
        parts: From back to front.
        light: Brightness factor of each frame, (N,).
        noise: Standard deviation of the sensor noise in grey levels.
        cycles: Repetitions done up to the end of each frame, (N,), never falling.
        period: Length in frames of the cycle that a frame is in, 0 where nothing repeats, (N,).
        look: What lens, editor and codec do.
    """

    size: int
    backgrounds: tuple[ByteArray, ...]
    shot: NDArray[np.int64]
    camera: FloatArray
    parts: tuple[Part, ...]
    light: FloatArray
    noise: float
    cycles: FloatArray
    period: FloatArray
    look: Look = field(default_factory=Look)

    def __len__(self) -> int:
        return len(self.camera)

    @property
    def count(self) -> float:
        """Repetitions in the whole video."""
        # whole for a whole video, but for the rounding errors of a sum
        return round(float(self.cycles[-1]), 6)

    @property
    def periodicity(self) -> FloatArray:
        """1 where a frame belongs to a repetition, else 0, (N,)."""
        return (self.period > 0).astype(np.float64)

    def take(self, frames: NDArray[np.int64], *, stride: int = 1) -> 'Scene':
        """The scene at chosen frames, as if a slower camera had filmed it.

        Args:
            frames: Indices of the frames kept, ascending; one may come several times.
            stride: Distance between them, by which periods become shorter.
        """
        return replace(
            self,
            shot=self.shot[frames],
            camera=self.camera[frames],
            parts=tuple(replace(part, placement=part.placement[frames]) for part in self.parts),
            light=self.light[frames],
            cycles=self.cycles[frames],
            period=self.period[frames] / stride,
        )

    def render(self) -> ByteArray:
        """All frames, RGB, (N, S, S, 3)."""
        return np.stack(list(self.frames()))

    def show(self, render_on: str) -> dict[str, Any]:
        """What a pipeline gets: `imgs`, frames (S, S, 3), or the `scene`, see `RENDER_ON`."""
        return {'scene': self} if render_on == 'device' else {'imgs': list(self.frames())}

    def frames(self) -> Iterator[ByteArray]:
        """Draw one frame (S, S, 3) after the other."""
        shape = (self.size, self.size)
        backdrop = place_backgrounds(self)
        stencils = [_Stencil(part, self.camera, self.size) for part in self.parts]
        grain = (self.noise * grain_field(self.size)).astype(np.int16) if self.noise else None
        for i in range(len(self)):
            background = self.backgrounds[self.shot[i]]
            frame: Any = cv2.warpAffine(
                background, backdrop[i], shape, borderMode=cv2.BORDER_REFLECT
            )
            for stencil in stencils:
                stencil.blend(frame, i)
            if self.light[i] != 1:
                frame = cv2.convertScaleAbs(frame, alpha=self.light[i])
            if grain is not None:
                row, column = grain_corner(i, self.size)
                grains = grain[row : row + self.size, column : column + self.size]
                frame = cv2.add(frame, grains, dtype=cv2.CV_8U)
            yield self.look.apply(frame)


def compose(outer: FloatArray, inner: FloatArray) -> FloatArray:
    """The affine map that applies `inner`, then `outer`, (..., 2, 3)."""
    result = outer[..., :2] @ inner
    result[..., 2] += outer[..., 2]
    return result


def place_backgrounds(scene: Scene) -> FloatArray:
    """Pixels of the backgrounds to frame pixels, (N, 2, 3)."""
    # a background's center lies at the center of the world
    shift = (scene.size - np.array(scene.backgrounds[0].shape[1::-1])) / 2
    return compose(scene.camera, np.array([[1, 0, shift[0]], [0, 1, shift[1]]]))


def place_part(part: Part, camera: FloatArray) -> FloatArray:
    """Pixels of a sprite to frame pixels, (N, 2, 3)."""
    return part.placement.copy() if part.on_screen else compose(camera, part.placement)


def find_boxes(
    placement: FloatArray, sprite_shape: tuple[int, int], size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What sprites cover in frames: from which x and y on, and before which, (..., 2) each.

    Args:
        placement: Pixels of the sprites to frame pixels, (..., 2, 3).
        sprite_shape: Their height and width.
        size: S.
    """
    height, width = sprite_shape
    corners = np.array([[0, width, 0, width], [0, 0, height, height], [1, 1, 1, 1]])
    # (..., 2, 4): x and y of the four corners
    corners = placement @ corners
    start = np.clip(np.floor(corners.min(-1)), 0, size).astype(int)
    return start, np.clip(np.ceil(corners.max(-1)) + 1, 0, size).astype(int)


class _Stencil:
    """A part ready to be drawn: for each frame the box it covers and its placement in that box."""

    def __init__(self, part: Part, camera: FloatArray, size: int) -> None:
        placement = place_part(part, camera)
        start, stop = find_boxes(placement, part.sprite.shape[:2], size)
        placement[..., 2] -= start
        self.sprite, self.placement = part.sprite, placement
        self.boxes = np.concatenate([start, stop], axis=1).tolist()

    def blend(self, frame: ByteArray, i: int) -> None:
        """Draw the part as it is in frame i onto `frame` (S, S, 3), in place."""
        left, top, right, bottom = self.boxes[i]
        if right <= left or bottom <= top:
            return
        drawn = cv2.warpAffine(self.sprite, self.placement[i], (right - left, bottom - top))
        region = frame[top:bottom, left:right]
        # (region * (256 - opacity) >> 8) + color, in arrays without gaps, where NumPy is fast
        opacity = cv2.cvtColor(cv2.extractChannel(drawn, 3), cv2.COLOR_GRAY2BGR)
        mixed = np.subtract(256, opacity, dtype=np.uint16)
        mixed *= region
        mixed >>= 8
        mixed += cv2.cvtColor(drawn, cv2.COLOR_BGRA2BGR)
        region[:] = mixed


@functools.lru_cache(maxsize=4)
def grain_field(size: int) -> FloatArray:
    """Noise of unit size (2S, 2S, 3), always the same, from which each frame takes another part."""
    return np.random.default_rng(0).standard_normal((2 * size, 2 * size, 3))


def grain_corner(frame: Any, size: int) -> Any:
    """First row and column of the part of the field of noise that a frame takes, by its number."""
    return frame * 37 % size, frame * 61 % size
