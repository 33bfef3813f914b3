"""MotionShapes: generated videos with exact ground truth, which every `*_shapes` config uses.

A video shows a mover (`mmotion.shapes.movers`) over a textured background. Its pose is a function
of one phase, so that the repetition count and the period at each frame are known exactly, and the
position of any point of a part can be computed.

What makes it more than a toy: the background is textured and the camera drifts, turns and zooms;
periods drift, mostly within a quarter, while the video runs; amplitudes vary from cycle to cycle;
cycles are not sinusoidal; there are pauses, parts before and after that do not repeat, several
repeating stretches, other things that move without repeating, and videos without any repetition.
`in_the_wild` adds what else ordinary videos of people have.

Shape letters in this file: N frames, S frame size in pixels.
"""

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from mmotion.checks import check_at_least, check_choice

from .movers import SPRITE_SIZE, bar, blob_or_figure, person, similarity, smooth, sprite, texture
from .scene import ByteArray, FloatArray, Look, Part, Scene

# any other split name is refused: a misspelt one would silently give other videos
SPLITS = {'train': 0, 'val': 1, 'test': 2}
# share of the videos without any repetition
NO_REPETITION = 0.12
MAX_COUNT = 40
# what repeats in a video moves by this standard deviation at least, in widths of the frame
MIN_MOTION = 0.03


@dataclass(frozen=True, kw_only=True)
class MotionShapes:
    """An endless family of scenes: the same split and index always give the same video.

    Args:
        split: 'train', 'val' or 'test'; their videos share nothing.
        size: Width and height of the frames in pixels.
        num_frames: Shortest and longest video, in frames.
        periods: Shortest and longest mean period, in frames. A video holds at least two cycles,
            so that long periods only appear in long videos.
        in_the_wild: Show what ordinary videos of people have besides: people, close and far,
            standing and lying, in turns left and right, resting between cycles or tiring; half of
            the videos with parts that do not repeat, at most 40 repetitions; cuts to other scenes,
            furniture, letterboxes, logos, soft focus, shaking cameras, odd colors, compression,
            and frames shown twice.

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
    in_the_wild: bool = False

    def __post_init__(self) -> None:
        check_choice('split', self.split, SPLITS)
        check_at_least('size', self.size, 16)
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
        check_at_least('index', index, 0)
        rng = np.random.default_rng([SPLITS[self.split], index])
        if self.in_the_wild:
            return _wild_scene(rng, self.size, self.num_frames, self.periods)
        num_frames = int(rng.integers(self.num_frames[0], self.num_frames[1] + 1))
        cycles, period = _timeline(rng, num_frames, self.periods)
        repeats = period > 0
        camera = sample_camera(rng, num_frames, self.size)
        # things that move or stand about without repeating are behind or before the mover
        parts = blob_or_figure(rng, cycles, repeats, self.size)
        for _ in range(rng.choice(3, p=(0.6, 0.3, 0.1))):
            idle = np.zeros(num_frames)
            other = blob_or_figure(rng, idle, idle > 0, self.size, scale=0.6)
            parts = other + parts if rng.random() < 0.8 else parts + other
        light = np.ones(num_frames)
        if rng.random() < 0.3:
            light = 1 + 0.12 * smooth(rng, num_frames, rng.uniform(8, 60))
        return Scene(
            size=self.size,
            backgrounds=(texture(rng, int(1.5 * self.size)),),
            shot=np.zeros(num_frames, np.int64),
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
    """Sample when and how fast a video repeats: cycles done (N,) and the period in frames (N,)."""
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
        speed = np.exp(rng.uniform(0, 0.22) * smooth(rng, length, max(24, 2 * mean_period)))
        speed *= count / speed.sum()
        cycles[start : start + length] = speed
        period[start : start + length] = 1 / speed
        start += length
    return cycles.cumsum(), period


def sample_camera(rng: np.random.Generator, num_frames: int, size: int) -> FloatArray:
    """A slow random walk of the camera, (N, 2, 3); two in five stand still."""
    if rng.random() < 0.4:
        return np.tile(np.eye(2, 3), (num_frames, 1, 1))
    strength = rng.uniform(0, 1)
    x, y, angle, zoom = strength * smooth(rng, num_frames, rng.uniform(25, 120), 4).T
    center = size / 2
    return similarity(
        center + 0.07 * size * x,
        center + 0.07 * size * y,
        0.08 * angle,
        np.exp(0.08 * zoom),
        center,
    )


def _wild_scene(
    rng: np.random.Generator,
    size: int,
    num_frames: tuple[int, int],
    periods: tuple[float, float],
) -> Scene:
    """Describe a video with all that ordinary videos have."""
    cycles, period = sample_sets(rng, num_frames, periods)
    length = len(cycles)
    repeats = period > 0
    camera = sample_camera(rng, length, size)
    if rng.random() < 0.3:
        # held by hand
        shake = 0.012 * size * rng.uniform(0, 1) * smooth(rng, length, rng.uniform(2, 8), 2)
        camera[..., 2] += shake
    look = sample_look(rng, size)
    kind = blob_or_figure if rng.random() < 0.4 else person
    parts = kind(rng, cycles, repeats, size, scale=rng.uniform(0.6, 1.3))
    while repeats.any() and visible_motion(parts, repeats, size, look) < MIN_MOTION * size:
        parts = kind(rng, cycles, repeats, size, scale=rng.uniform(0.6, 1.3))
    if rng.random() < 0.1:
        # somebody beside does the same
        parts = kind(rng, cycles, repeats, size, scale=rng.uniform(0.5, 1)) + parts
    idle = np.zeros(length)
    for _ in range(rng.choice(4, p=(0.5, 0.3, 0.15, 0.05))):
        other_kind = blob_or_figure if rng.random() < 0.6 else person
        other = other_kind(rng, idle, idle > 0, size, scale=rng.uniform(0.3, 0.8))
        parts = other + parts if rng.random() < 0.75 else parts + other
    backgrounds, shot = [sample_room(rng, size)], np.zeros(length, np.int64)
    if not repeats.all() and rng.random() < 0.5:
        # a title or another scene before, between or after what repeats
        shot[~repeats & (np.arange(length) >= rng.integers(length) * rng.integers(2))] = 1
        backgrounds.append(sample_room(rng, size))
        talk = person(rng, idle, idle > 0, size) if rng.random() < 0.6 else ()
        parts = _shown(parts, shot == 0) + _shown(talk, shot == 1)
    parts = parts + sample_overlays(rng, length, size)
    light = np.ones(length)
    if rng.random() < 0.3:
        light = 1 + rng.uniform(0, 0.2) * smooth(rng, length, rng.uniform(3, 60))
    scene = Scene(
        size=size,
        backgrounds=tuple(backgrounds),
        shot=shot,
        camera=camera,
        parts=parts,
        light=light,
        noise=float(rng.choice([0, rng.uniform(1, 12)])),
        cycles=cycles,
        period=period,
        look=look,
    )
    if rng.random() < 0.15:
        # filmed or encoded at a lower frame rate than the video has
        held = np.arange(length) // rng.uniform(1, 3)
        first = np.searchsorted(held, held)
        scene = replace(scene.take(first), cycles=cycles, period=period)
    return scene


def visible_motion(
    parts: tuple[Part, ...], repeats: NDArray[np.bool_], size: int, look: Look
) -> float:
    """Standard deviation in pixels of what moves most, as far as it is in the picture."""
    top, bottom, left, right = look.bars
    low, high = np.array([left, top]), np.array([size - right, size - bottom])
    # of each part the two ends of its longer axis
    ends = SPRITE_SIZE * np.array([[0.5, 0.5], [0.2, 0.8], [1 / SPRITE_SIZE] * 2])
    most = 0.0
    for part in parts:
        places = (part.placement[repeats] @ ends).swapaxes(1, 2)
        seen = places.clip(low, high)
        most = max(most, float(seen.std(0).max()))
    return most


def sample_sets(
    rng: np.random.Generator, num_frames: tuple[int, int], periods: tuple[float, float]
) -> tuple[FloatArray, FloatArray]:
    """Sample one to three sets of repetitions as people do them: like `_timeline`, any length N."""
    shortest, longest = num_frames
    if rng.random() < NO_REPETITION:
        length = int(rng.integers(shortest, longest + 1))
        return np.zeros(length), np.zeros(length)
    period = np.exp(rng.uniform(*np.log(periods)))
    period = min(period, longest / 2.6)
    with_gaps = rng.random() < 0.5
    most = max(2, min(MAX_COUNT, int(0.8 * longest / period)))
    fewest = 2 if with_gaps else min(most, max(2, math.ceil(shortest / period)))
    total = round(np.exp(rng.uniform(np.log(fewest), np.log(most))))
    num_sets = int(rng.integers(1, min(3, total // 2) + 1)) if with_gaps else 1
    counts = 2 + rng.multinomial(total - 2 * num_sets, [1 / num_sets] * num_sets)
    ends = [_cycle_ends(rng, count, period) for count in counts]
    active = sum(round(end[-1]) for end in ends)
    gaps = np.zeros(num_sets + 1, int)
    if with_gaps or active < shortest:
        room = max(shortest - active, int(active * rng.uniform(0.1, 1.0)), 1)
        gaps = (rng.dirichlet([0.7] * (num_sets + 1)) * room).astype(int)
    speeds = [np.zeros(gaps[0])]
    for end, gap in zip(ends, gaps[1:], strict=True):
        # what is done at the end of each frame, a smooth curve through the ends of the cycles
        end = end * round(end[-1]) / end[-1]
        done = PchipInterpolator(end, np.arange(len(end)))(np.arange(round(end[-1]) + 1))
        speeds += [np.diff(done), np.zeros(gap)]
    speed = np.concatenate(speeds)
    return speed.cumsum(), np.divide(1, speed, out=np.zeros(len(speed)), where=speed > 0)


def _cycle_ends(rng: np.random.Generator, count: int, period: float) -> FloatArray:
    """When the cycles of a set end, in frames, from 0 on, (count + 1,)."""
    lengths = np.exp(rng.uniform(0, 0.12) * rng.standard_normal(count) + rng.normal(0, 0.08))
    if rng.random() < 0.4:
        # getting tired, or faster
        lengths *= np.linspace(1, np.exp(rng.uniform(-0.3, 0.4)), count)
    return np.concatenate([[0], (period * lengths).cumsum()])


def sample_room(rng: np.random.Generator, size: int) -> ByteArray:
    """A background (h, w, 3): a texture, mostly with walls, floor and furniture before it."""
    room = texture(rng, int(1.5 * size))
    num_things = int(rng.integers(1, 8)) if rng.random() < 0.7 else 0
    for _ in range(num_things):
        color = rng.uniform(0, 255, 3)
        if rng.random() < 0.5:
            corner = rng.integers(0, len(room), 2)
            far = corner + rng.integers(4, len(room), 2)
            cv2.rectangle(room, corner.tolist(), far.tolist(), color.tolist(), -1)
        else:
            points = rng.integers(-len(room) // 4, len(room) * 5 // 4, (4, 2)).astype(np.int32)
            cv2.fillConvexPoly(room, cv2.convexHull(points), color.tolist(), cv2.LINE_AA)
    return room


def _shown(parts: tuple[Part, ...], mask: NDArray[np.bool_]) -> tuple[Part, ...]:
    """Parts that are only there in some frames (N,)."""
    far_away = np.where(mask, 0, 1e6)[:, None, None] * np.array([[0, 0, 1], [0, 0, 1]])
    return tuple(replace(part, placement=part.placement + far_away) for part in parts)


def sample_overlays(rng: np.random.Generator, num_frames: int, size: int) -> tuple[Part, ...]:
    """Logos and captions, some of which come and go."""
    parts: tuple[Part, ...] = ()
    for _ in range(rng.choice(3, p=(0.75, 0.18, 0.07))):
        x, y = np.tile(size * rng.uniform(0, 1, (2, 1)), num_frames)
        extent = rng.uniform(0.15, 0.5) * size / SPRITE_SIZE
        angle = np.full(num_frames, rng.choice([0, np.pi / 2]))
        placement = similarity(x, y, angle, extent, SPRITE_SIZE / 2)
        logo = (Part(sprite(rng, bar(rng.uniform(0.15, 0.5))), placement, on_screen=True),)
        if rng.random() < 0.5:
            start, stop = np.sort(rng.integers(0, num_frames, 2))
            frames = np.arange(num_frames)
            logo = _shown(logo, (frames >= start) & (frames < stop))
        parts += logo
    return parts


def sample_look(rng: np.random.Generator, size: int) -> Look:
    """Sample what lens, editor and codec do."""
    bars = [0, 0, 0, 0]
    if rng.random() < 0.15:
        first = 2 * int(rng.integers(2))
        bars[first : first + 2] = [int(size * rng.uniform(0.05, 0.3))] * 2
    colors = None
    if rng.random() < 0.7:
        # most rooms have less color than a palette drawn at random
        saturation = rng.uniform(0, 0.8)
        colors = saturation * np.eye(3) + (1 - saturation) / 3
    tones = None
    if rng.random() < 0.4:
        # gamma and contrast, a little different for each color
        gamma = np.exp(rng.normal(0, 0.35) + rng.normal(0, 0.08, 3))
        low = rng.uniform(0, 60)
        high = rng.uniform(140, 255)
        curve = np.linspace(0, 1, 256)[:, None] ** gamma
        tones = (low + (high - low) * curve).astype(np.uint8)[None]
    return Look(
        blur_px=size / 96 * rng.uniform(0.4, 1.6) if rng.random() < 0.25 else 0.0,
        colors=colors,
        tones=tones,
        bars=(bars[0], bars[1], bars[2], bars[3]),
        jpeg_quality=int(rng.integers(15, 80)) if rng.random() < 0.25 else None,
    )
