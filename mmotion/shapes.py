"""MotionShapes: generated videos with exact ground truth, which every `*_shapes` config uses.

A `Scene` is the whole description of a short video: a textured background, a camera path, and
textured parts with one affine placement a frame. Parts belong to movers (blobs and jointed
figures) whose pose is a function of one phase, so that the repetition count and the period at
each frame are known exactly, and the position of any point of a part can be computed. Rendering is
a warp and a blend a part; a scene is described completely before the first frame is drawn.

What makes it more than a toy: the background is textured and the camera drifts, turns and zooms;
periods drift, mostly within a quarter, while the video runs; amplitudes vary from cycle to cycle;
cycles are not sinusoidal; there are pauses, parts before and after that do not repeat, several
repeating stretches, other things that move without repeating, and videos without any repetition.

Shape letters in this file: N frames, S frame size in pixels, J joints of a figure.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

FloatArray = NDArray[np.float64]
ByteArray = NDArray[np.uint8]

# any other split name is refused: a misspelt one would silently give other videos
SPLITS = {'train': 0, 'val': 1, 'test': 2}
SPRITE_SIZE = 48
# share of the videos without any repetition
NO_REPETITION = 0.12


@dataclass(frozen=True)
class Part:
    """A textured piece and where it is in each frame.

    Attributes:
        sprite: Colours multiplied by opacity, and opacity, (h, w, 4).
        placement: Sprite pixels to world pixels, one affine matrix a frame, (N, 2, 3).
    """

    sprite: ByteArray
    placement: FloatArray


@dataclass(frozen=True)
class Scene:
    """Everything that there is to see in a generated video, and the truth about it.

    Attributes:
        size: Width and height of a frame S in pixels.
        background: (h, w, 3), larger than the frame; mirrored beyond its border.
        camera: World pixels to frame pixels, (N, 2, 3).
        parts: From back to front.
        light: Brightness factor of each frame, (N,).
        noise: Standard deviation of the sensor noise in grey levels.
        cycles: Repetitions done up to the end of each frame, (N,), never falling.
        period: Length in frames of the cycle that a frame is in, 0 where nothing repeats, (N,).
    """

    size: int
    background: ByteArray
    camera: FloatArray
    parts: tuple[Part, ...]
    light: FloatArray
    noise: float
    cycles: FloatArray
    period: FloatArray

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
            frames: Indices of the frames kept, ascending.
            stride: Distance between them, by which periods become shorter.
        """
        return replace(
            self,
            camera=self.camera[frames],
            parts=tuple(replace(part, placement=part.placement[frames]) for part in self.parts),
            light=self.light[frames],
            cycles=self.cycles[frames],
            period=self.period[frames] / stride,
        )

    def render(self) -> ByteArray:
        """All frames, RGB, (N, S, S, 3)."""
        return np.stack(list(self.frames()))

    def frames(self) -> Iterator[ByteArray]:
        """Draw one frame (S, S, 3) after the other."""
        shape = (self.size, self.size)
        # the background's centre lies at the centre of the world
        shift = (self.size - np.array(self.background.shape[1::-1])) / 2
        backdrop = _compose(self.camera, np.array([[1, 0, shift[0]], [0, 1, shift[1]]]))
        stencils = [_Stencil(part, self.camera, self.size) for part in self.parts]
        grain = _grain(self.size, self.noise)
        for i in range(len(self)):
            frame: Any = cv2.warpAffine(
                self.background, backdrop[i], shape, borderMode=cv2.BORDER_REFLECT
            )
            for stencil in stencils:
                stencil.blend(frame, i)
            if self.light[i] != 1:
                frame = cv2.convertScaleAbs(frame, alpha=self.light[i])
            if self.noise:
                # each frame takes another part of the field of noise
                row, column = i * 37 % self.size, i * 61 % self.size
                grains = grain[row : row + self.size, column : column + self.size]
                frame = cv2.add(frame, grains, dtype=cv2.CV_8U)
            yield frame


@dataclass(frozen=True, kw_only=True)
class MotionShapes:
    """An endless family of scenes: the same split and index always give the same video.

    Args:
        split: 'train', 'val' or 'test'; their videos share nothing.
        size: Width and height of the frames in pixels.
        num_frames: Shortest and longest video, in frames.
        periods: Shortest and longest mean period, in frames. A video holds at least two cycles,
            so that long periods only appear in long videos.

    Raises:
        ValueError: If the split is unknown or a range is empty.

    Example:
        >>> scene = MotionShapes(split='test', size=64)[3]
        >>> scene.render().shape == (len(scene), 64, 64, 3), scene.count
        (True, 69.0)
    """

    split: str = 'train'
    size: int = 64
    num_frames: tuple[int, int] = (96, 512)
    periods: tuple[float, float] = (6.0, 72.0)

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise ValueError(f'split must be one of {list(SPLITS)}, got split={self.split!r}')
        if self.size < 16:
            raise ValueError(f'size must be at least 16 pixels, got size={self.size}')
        if not 16 <= self.num_frames[0] <= self.num_frames[1]:
            raise ValueError(
                'num_frames must be a range (shortest, longest) from 16 up, '
                f'got num_frames={self.num_frames}'
            )
        if not 3 <= self.periods[0] <= self.periods[1]:
            raise ValueError(
                'periods must be a range (shortest, longest) from 3 frames up, '
                f'got periods={self.periods}'
            )

    def __getitem__(self, index: int) -> Scene:
        """Describe the scene with this number, any number from 0 up; nothing is drawn yet."""
        if index < 0:
            raise ValueError(f'index must be at least 0, got index={index}')
        rng = np.random.default_rng([SPLITS[self.split], index])
        num_frames = int(rng.integers(self.num_frames[0], self.num_frames[1] + 1))
        cycles, period = _timeline(rng, num_frames, self.periods)
        repeats = period > 0
        camera = _camera_path(rng, num_frames, self.size)
        # things that move or stand about without repeating are behind or before the mover
        parts = _mover(rng, cycles, repeats, self.size)
        for _ in range(rng.choice(3, p=(0.6, 0.3, 0.1))):
            idle = np.zeros(num_frames)
            other = _mover(rng, idle, idle > 0, self.size, scale=0.6)
            parts = other + parts if rng.random() < 0.8 else parts + other
        light = np.ones(num_frames)
        if rng.random() < 0.3:
            light = 1 + 0.12 * _smooth(rng, num_frames, rng.uniform(8, 60))
        return Scene(
            size=self.size,
            background=_texture(rng, int(1.5 * self.size)),
            camera=camera,
            parts=parts,
            light=light,
            noise=float(rng.choice([0, rng.uniform(1, 8)])),
            cycles=cycles,
            period=period,
        )


def _timeline(
    rng: np.random.Generator, num_frames: int, periods: tuple[float, float]
) -> tuple[FloatArray, FloatArray]:
    """Draw when and how fast a video repeats: cycles done (N,) and the period in frames (N,)."""
    cycles, period = np.zeros(num_frames), np.zeros(num_frames)
    if rng.random() < NO_REPETITION:
        return cycles, period
    # most of the video repeats; what is left is shared between the start, the end and pauses
    active = int(num_frames * rng.choice([1.0, rng.uniform(0.35, 1.0)], p=(0.25, 0.75)))
    longest = min(periods[1], active / 2.6)
    shortest = min(periods[0], longest)
    mean_period = math.exp(rng.uniform(math.log(shortest), math.log(longest)))
    total = max(2, round(active / mean_period))
    pieces = int(rng.integers(1, min(3, total // 2) + 1)) if rng.random() < 0.35 else 1
    counts = 2 + rng.multinomial(total - 2 * pieces, [1 / pieces] * pieces)
    lengths = np.floor(active * counts / total).astype(int)
    gaps = rng.dirichlet([0.7] * (pieces + 1)) * (num_frames - lengths.sum())
    start = 0
    for count, length, gap in zip(counts, lengths, gaps.astype(int), strict=False):
        start += gap
        # the speed drifts smoothly, mostly within a quarter
        speed = np.exp(rng.uniform(0, 0.22) * _smooth(rng, length, max(24, 2 * mean_period)))
        speed *= count / speed.sum()
        cycles[start : start + length] = speed
        period[start : start + length] = 1 / speed
        start += length
    return cycles.cumsum(), period


def _camera_path(rng: np.random.Generator, num_frames: int, size: int) -> FloatArray:
    """A slow random walk of the camera, (N, 2, 3); two in five stand still."""
    if rng.random() < 0.4:
        return np.tile(np.eye(2, 3), (num_frames, 1, 1))
    strength = rng.uniform(0, 1)
    x, y, angle, zoom = strength * _smooth(rng, num_frames, rng.uniform(25, 120), 4).T
    centre = size / 2
    return _similarity(
        centre + 0.07 * size * x,
        centre + 0.07 * size * y,
        0.08 * angle,
        np.exp(0.08 * zoom),
        centre,
    )


def _mover(
    rng: np.random.Generator,
    cycles: FloatArray,
    repeats: NDArray[np.bool_],
    size: int,
    *,
    scale: float = 1.0,
) -> tuple[Part, ...]:
    """A blob or a jointed figure that repeats where it should and wanders or rests elsewhere."""
    num_joints = 0 if rng.random() < 0.5 else int(rng.integers(2, 7))
    # pose: x, y, angle, two log sizes, then the angles of the joints
    pose = _pose_curves(rng, cycles, repeats, 5 + num_joints)
    extent = size * scale * rng.uniform(0.35, 0.9)
    reach = size * rng.uniform(0.1, 0.25)
    x = size * rng.uniform(0.25, 0.75) + reach * pose[:, 0]
    y = size * rng.uniform(0.25, 0.75) + reach * pose[:, 1]
    angle = rng.uniform(0, 2 * np.pi) + rng.uniform(0.3, 1.0) * pose[:, 2]
    if not num_joints and rng.random() < 0.15:
        angle = angle + 2 * np.pi * cycles * rng.choice([-1, 1])
    growth = np.exp(rng.uniform(0.1, 0.4) * pose[:, 3:5])
    centre = SPRITE_SIZE / 2
    if not num_joints:
        body = _similarity(x, y, angle, extent / SPRITE_SIZE, centre)
        stretch = np.zeros((len(x), 2, 3))
        stretch[:, 0, 0], stretch[:, 1, 1] = growth.T
        stretch[:, :, 2] = centre * (1 - growth)
        return (Part(_sprite(rng, _outline(rng)), _compose(body, stretch)),)
    return _figure(rng, x, y, angle - rng.uniform(0, 2 * np.pi), extent * growth[:, 0], pose[:, 5:])


def _figure(
    rng: np.random.Generator,
    x: FloatArray,
    y: FloatArray,
    angle: FloatArray,
    extent: FloatArray,
    joints: FloatArray,
) -> tuple[Part, ...]:
    """A body with limbs; every second limb may hang on the one before it, (N, J) joint angles."""
    centre = SPRITE_SIZE / 2
    upright = angle - angle.mean() if rng.random() < 0.7 else angle
    torso = _similarity(x, y, upright, 0.7 * extent / SPRITE_SIZE, centre)
    parts = [Part(_sprite(rng, _bar(rng.uniform(0.3, 0.7))), torso)]
    swing = rng.uniform(0.5, 1.4)
    anchor_x, anchor_y, parent_angle = x, y, upright
    for j in range(joints.shape[1]):
        if j % 2 == 0 or rng.random() < 0.3:
            # on the rim of the torso
            side, height = rng.choice([-1, 1]) * 0.15, rng.uniform(-0.3, 0.3)
            anchor_x = x + extent * (side * np.cos(upright) - height * np.sin(upright))
            anchor_y = y + extent * (side * np.sin(upright) + height * np.cos(upright))
            parent_angle = upright + rng.uniform(0, 2 * np.pi)
        limb_angle = parent_angle + swing * joints[:, j]
        length = rng.uniform(0.3, 0.6) * extent
        # a bar sprite is vertical: its upper end is fixed to the anchor
        half = 0.45 * length
        limb = _similarity(
            anchor_x - half * np.sin(limb_angle),
            anchor_y + half * np.cos(limb_angle),
            limb_angle,
            length / SPRITE_SIZE,
            centre,
        )
        parts.append(Part(_sprite(rng, _bar(rng.uniform(0.15, 0.35))), limb))
        anchor_x = anchor_x - 2 * half * np.sin(limb_angle)
        anchor_y = anchor_y + 2 * half * np.cos(limb_angle)
        parent_angle = limb_angle
    return tuple(parts)


def _pose_curves(
    rng: np.random.Generator, cycles: FloatArray, repeats: NDArray[np.bool_], num_curves: int
) -> FloatArray:
    """Curves (N, num_curves) about 1 in size: harmonics of the phase, or smooth wandering."""
    num_frames = len(cycles)
    # which parts of the pose move, and how strongly: at least two do so fully
    weight = rng.random(num_curves) ** 2 * (rng.random(num_curves) < 0.6)
    weight[rng.choice(num_curves, 2, replace=False)] = 1
    harmonics = np.array([1, rng.uniform(0, 0.45), rng.uniform(0, 0.25)])
    amplitude = harmonics * rng.uniform(0.6, 1, (num_curves, 3))
    offset = rng.uniform(0, 2 * np.pi, (num_curves, 3))
    if rng.random() < 0.4:
        # all parts reach their extremes together, as in a push-up
        offset[:, 0] = offset[0, 0] + np.pi * rng.integers(0, 2, num_curves)
    phase = 2 * np.pi * (cycles + rng.random())
    phase = phase + rng.uniform(0, 0.7) * np.sin(phase + rng.uniform(0, 2 * np.pi))
    waves = np.cos(phase[:, None, None] * np.arange(1, 4) + offset)
    curves = (waves * amplitude).sum(-1)
    if not repeats.all():
        # outside of the repeating stretches: rest, or wander at a speed like that of the cycles
        speed = rng.uniform(5, 30)
        wander = _smooth(rng, num_frames, speed, num_curves)
        wander *= rng.choice([0.0, rng.uniform(0.3, 1.2)], p=(0.35, 0.65))
        curves = curves + wander * _fade(~repeats)[:, None]
    if rng.random() < 0.6:
        curves = curves * (1 + 0.15 * _smooth(rng, num_frames, 20)[:, None])
    drift = 0.15 * _smooth(rng, num_frames, 60, num_curves)
    return (curves + rng.choice([0, 1]) * drift) * weight


def _fade(mask: NDArray[np.bool_], *, width: int = 6) -> FloatArray:
    """1 inside of the mask, falling to 0 at its inner border over some frames, (N,)."""
    if not mask.any():
        return np.zeros(len(mask))
    padded = np.concatenate([[True], mask, [True]]).astype(np.uint8)[None]
    distance = cv2.distanceTransform(padded, cv2.DIST_L1, 3)[0, 1:-1]
    return np.clip(distance / width, 0, 1)


def _smooth(rng: np.random.Generator, num_frames: int, spacing: float, *shape: int) -> FloatArray:
    """Random curves (N, *shape) of unit size that do not repeat, one knot each `spacing` frames."""
    num_knots = max(4, math.ceil(num_frames / spacing) + 3)
    knots = rng.standard_normal((num_knots, *shape))
    times = rng.uniform(0, 1) + np.arange(num_frames) / spacing
    return CubicSpline(np.arange(num_knots), knots)(times)


def _similarity(
    x: FloatArray, y: FloatArray, angle: FloatArray, scale: FloatArray | float, centre: float
) -> FloatArray:
    """Matrices (N, 2, 3) that turn and scale around (centre, centre) and put it at (x, y)."""
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    matrix = np.empty((len(x), 2, 3))
    matrix[:, 0, 0], matrix[:, 0, 1] = cos, -sin
    matrix[:, 1, 0], matrix[:, 1, 1] = sin, cos
    matrix[:, 0, 2] = x - centre * (cos - sin)
    matrix[:, 1, 2] = y - centre * (sin + cos)
    return matrix


def _compose(outer: FloatArray, inner: FloatArray) -> FloatArray:
    """The affine map that applies `inner`, then `outer`, (..., 2, 3)."""
    result = outer[..., :2] @ inner
    result[..., 2] += outer[..., 2]
    return result


class _Stencil:
    """A part ready to be drawn: for each frame the box it covers and its placement in that box."""

    def __init__(self, part: Part, camera: FloatArray, size: int) -> None:
        height, width = part.sprite.shape[:2]
        placement = _compose(camera, part.placement)
        corners = np.array([[0, width, 0, width], [0, 0, height, height], [1, 1, 1, 1]])
        # (N, 2, 4): x and y of the four corners in each frame
        corners = placement @ corners
        start = np.clip(np.floor(corners.min(2)), 0, size).astype(int)
        stop = np.clip(np.ceil(corners.max(2)) + 1, 0, size).astype(int)
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
        keep = 256 - drawn[..., 3:].astype(np.uint16)
        region[:] = (region * keep >> 8) + drawn[..., :3]


def _texture(rng: np.random.Generator, size: int) -> ByteArray:
    """Cloudy noise in several sizes, sometimes with stripes, in a random palette, (h, w, 3)."""
    grey = np.zeros((size, size), np.float32)
    for octave in range(2, 6):
        cells = rng.standard_normal((2**octave, 2**octave)).astype(np.float32)
        cells = cv2.resize(cells, (size, size), interpolation=cv2.INTER_CUBIC)
        grey += rng.uniform(0, 1) * 0.6**octave * 4 * cells
    if rng.random() < 0.4:
        angle, wave = rng.uniform(0, np.pi), rng.uniform(4, 20)
        row, column = np.mgrid[:size, :size].astype(np.float32)
        grey += 0.5 * np.sign(np.sin((np.cos(angle) * row + np.sin(angle) * column) * 6.3 / wave))
    low, high = rng.uniform(0, 255, (2, 3))
    share = 1 / (1 + np.exp(-2 * rng.uniform(0.3, 1.5) * grey[..., None]))
    return (low + (high - low) * share).clip(0, 254).astype(np.uint8)


def _sprite(rng: np.random.Generator, outline: FloatArray) -> ByteArray:
    """Cut a texture to an outline (K, 2) in units of the sprite, soft at the edge, (h, w, 4)."""
    mask = np.zeros((4 * SPRITE_SIZE, 4 * SPRITE_SIZE), np.uint8)
    cv2.fillPoly(mask, [np.rint(outline * 4 * SPRITE_SIZE).astype(np.int32)], 255)
    mask = cv2.resize(mask, (SPRITE_SIZE, SPRITE_SIZE), interpolation=cv2.INTER_AREA)
    colour = _texture(rng, SPRITE_SIZE)
    colour = (colour.astype(np.uint16) * mask[..., None] // 256).astype(np.uint8)
    return np.dstack([colour, mask]).astype(np.uint8)


def _outline(rng: np.random.Generator) -> FloatArray:
    """A random closed curve: an ellipse, a polygon or a star, (K, 2) within 0..1."""
    points = int(rng.choice([3, 4, 5, 6, 8, 40]))
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False) + rng.uniform(0, 2 * np.pi)
    radius = rng.uniform(0.3, 0.47) * np.ones(points)
    if 3 < points < 40:
        radius = radius * rng.uniform(0.5, 1, points)
    aspect = rng.uniform(0.5, 1)
    return 0.5 + np.stack([radius * np.cos(angle), aspect * radius * np.sin(angle)], 1)


def _bar(width: float) -> FloatArray:
    """A vertical bar with round ends, (K, 2) within 0..1."""
    turn = np.linspace(0, np.pi, 12)
    r = width / 2
    top = np.stack([0.5 + r * np.cos(turn), 0.03 + r - r * np.sin(turn)], 1)
    return np.concatenate([top, 1 - top])


def _grain(size: int, noise: float) -> NDArray[np.int16]:
    """A field of noise (2S, 2S, 3) from which each frame takes another part."""
    rng = np.random.default_rng(0)
    return (noise * rng.standard_normal((2 * size, 2 * size, 3))).astype(np.int16)
