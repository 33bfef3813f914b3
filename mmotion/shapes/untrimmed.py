"""UntrimmedShapes: generated videos as people upload them, with exact truth in seconds.

They are harder than `MotionShapes` where counters fail on real ones: people who exercise, seen from
any side, whose left and right limbs take turns or look alike; balls that bounce and are juggled;
sets with rests, talk and getting ready between them; cuts and dissolves to other views and scenes;
cameras held by hand; wandering that nearly repeats; slow motion and time lapse; a second mover with
another period; holds within a cycle; frame rates from 10 to 240, even and uneven.

A video is described first. Then its pictures and labels can be had at any seconds, so that two
pictures a second of a video at 240 frames a second cost what two pictures cost.

Shape letters in this file: N frames or moments, S frame size in pixels.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from mmotion.checks import check_at_least, check_choice

from .bodies import Outfit
from .exercises import EXERCISES
from .motion_shapes import (
    MIN_MOTION,
    SPLITS,
    sample_look,
    sample_overlays,
    sample_room,
    visible_motion,
)
from .movers import similarity
from .performers import Motion, Performer, Shape, Span
from .scene import ByteArray, FloatArray, Look, Scene
from .timing import (
    LONGEST_S,
    RepetitionLabels,
    RepetitionSet,
    Timeline,
    Wander,
    sample_frame_times,
    sample_tempo,
    sample_timeline,
)

# share of the videos in which a blob, a jointed figure or a flat person repeats
SHAPES = 0.2
# share of the videos whose pictures are fewer than their frames, and are shown again
HELD = 0.08


@dataclass(frozen=True, kw_only=True)
class Shot:
    """What one camera sees, from a cut to the next, at any seconds.

    Attributes:
        room: Background, see `Scene`.
        drift: Camera's slow way: x, y, turn and zoom, (N, 4).
        shake: The trembling of the hand that holds it, (N, 2).
        strength: Of both, in parts of the frame.
        light: Brightness, (N,), and how strongly it changes.
        performers: From back to front; the first to be counted is `mover`.
        logos: On the screen.
    """

    room: ByteArray
    drift: Wander
    shake: Wander
    strength: tuple[float, float]
    light: Wander
    flicker: float
    performers: tuple[Performer | Shape, ...]
    logos: tuple[Shape, ...]

    def describe(self, times: FloatArray, *, size: int, noise: float, look: Look) -> Scene:
        """The scene at these seconds (N,)."""
        drift, shake = self.strength
        x, y, angle, zoom = (drift * self.drift(times)).T
        hand = shake * self.shake(times).T
        center = size / 2
        camera = similarity(
            center + size * (0.07 * x + hand[0]),
            center + size * (0.07 * y + hand[1]),
            0.06 * angle,
            np.exp(0.07 * zoom),
            center,
        )
        parts = tuple(part for one in self.performers for part in one.parts(times))
        return Scene(
            size=size,
            backgrounds=(self.room,),
            shot=np.zeros(len(times), np.int64),
            camera=camera,
            parts=parts + tuple(part for one in self.logos for part in one.parts(times)),
            light=1 + self.flicker * self.light(times),
            noise=noise,
            cycles=np.zeros(len(times)),
            period=np.zeros(len(times)),
            look=look,
        )


@dataclass(frozen=True, kw_only=True)
class UntrimmedVideo:
    """A described video; see `UntrimmedShapes`.

    Attributes:
        size: Width and height of its frames S in pixels.
        timeline: When what repeats.
        times_s: When its frames are taken (N,), from 0 on.
        shots: One more than there are cuts.
        noise: Standard deviation of the sensor noise in grey levels.
        look: What lens, editor and codec do.
        held_s: How long each picture is shown, 0 for a new one at any time.
        name: What repeats, for the people who look at it.
    """

    size: int
    timeline: Timeline
    times_s: FloatArray
    shots: tuple[Shot, ...]
    noise: float
    look: Look
    held_s: float
    name: str

    def __len__(self) -> int:
        return len(self.times_s)

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.timeline.duration_s

    @property
    def fps(self) -> float:
        """Frames per second, on average."""
        return len(self) / self.duration_s

    @property
    def sets(self) -> tuple[RepetitionSet, ...]:
        """What is to be counted."""
        return self.timeline.sets

    @property
    def count(self) -> int:
        """Repetitions in the whole video."""
        return sum(one.count for one in self.sets)

    def label(self, times_s: FloatArray | None = None) -> RepetitionLabels:
        """The truth at these seconds (M,), or at each frame."""
        return self.timeline.label(self.times_s if times_s is None else times_s)

    def render(self, times_s: FloatArray | None = None) -> ByteArray:
        """The pictures at these seconds, or all frames, RGB, (M, S, S, 3)."""
        return np.stack(list(self.frames(times_s)))

    def frames(self, times_s: FloatArray | None = None) -> Iterator[ByteArray]:
        """Draw one picture (S, S, 3) after the other.

        Args:
            times_s: Seconds in ascending order (M,), not only those of the frames; None for these.

        Raises:
            ValueError: If they are not in ascending order.
        """
        times = self.times_s if times_s is None else np.asarray(times_s, float)
        if (np.diff(times) < 0).any():
            raise ValueError('times_s must be in ascending order, got some that are not')
        if self.held_s:
            times = np.floor(times / self.held_s) * self.held_s
        weights = self._weigh_shots(times)
        drawn = []
        for shot, weight in zip(self.shots, weights, strict=True):
            seen = times[weight > 0]
            scene = shot.describe(seen, size=self.size, noise=self.noise, look=self.look)
            drawn.append(scene.frames())
        for moment in weights.T:
            frame = None
            for number in np.flatnonzero(moment):
                picture = next(drawn[number])
                share = float(moment[number])
                # the second of a dissolve comes in as the first one goes
                frame = (
                    picture
                    if frame is None
                    else cv2.addWeighted(frame, 1 - share, picture, share, 0)
                )
            yield frame

    def _weigh_shots(self, times: FloatArray) -> FloatArray:
        """How much of each shot is seen at these seconds (N,), (shots, N)."""
        weights = np.ones((len(self.shots), len(times)))
        for number, (cut, length) in enumerate(
            zip(self.timeline.cuts_s, self.timeline.dissolves_s, strict=True)
        ):
            # a hard cut is a dissolve that takes no time
            come = np.clip((times - cut) / max(length, 1e-9) + 0.5, 0, 1)
            weights[number] *= 1 - come
            weights[number + 1] *= come
        return weights


@dataclass(frozen=True, kw_only=True)
class UntrimmedShapes:
    """An endless family of untrimmed videos: the same split and index always give the same one.

    The label is that of the mover who is the largest and in front; what others do beside it or
    behind it is not counted. A cycle ends when everything is as it was, so that left and right are
    one cycle together, and so are there and back.

    Args:
        split: 'train', 'val' or 'test'; their videos share nothing.
        size: Width and height of the frames S in pixels.
        duration_s: Shortest and longest video, about, in seconds.

    Raises:
        ValueError: If the split is unknown or a range is empty.

    Example:
        >>> video = UntrimmedShapes(split='test', size=64)[3]
        >>> twice_a_second = np.arange(0, video.duration_s, 0.5)
        >>> video.render(twice_a_second[:4]).shape, video.count
        ((4, 64, 64, 3), 40)
    """

    split: str = 'train'
    size: int = 96
    duration_s: tuple[float, float] = (6.0, 90.0)

    def __post_init__(self) -> None:
        check_choice('split', self.split, SPLITS)
        check_at_least('size', self.size, 16)
        if not 2 <= self.duration_s[0] <= self.duration_s[1]:
            raise ValueError(
                'duration_s must be a range (shortest, longest) from 2 up, '
                f'got duration_s={self.duration_s}'
            )

    def __getitem__(self, index: int) -> UntrimmedVideo:
        """Describe the video with this number, any number from 0 up; nothing is drawn yet."""
        check_at_least('index', index, 0)
        rng = np.random.default_rng([SPLITS[self.split], index])
        name = str(rng.choice(list(EXERCISES)))
        is_shape = rng.random() < SHAPES
        period_s = EXERCISES[name].period_s
        if is_shape:
            period_s = math.exp(rng.uniform(math.log(0.4), math.log(8)))
        elif rng.random() < 0.08:
            # done as slowly as nobody does it
            period_s = math.exp(rng.uniform(math.log(4), math.log(LONGEST_S)))
        timeline = sample_timeline(rng, self.duration_s, period_s, sample_tempo(rng))
        look = sample_look(rng, self.size)
        return UntrimmedVideo(
            size=self.size,
            timeline=timeline,
            times_s=sample_frame_times(rng, timeline.duration_s),
            shots=_sample_shots(rng, timeline, '' if is_shape else name, self.size, look),
            noise=float(rng.choice([0, rng.uniform(1, 10)])),
            look=look,
            held_s=1 / rng.uniform(6, 15) if rng.random() < HELD else 0.0,
            name='shape' if is_shape else name,
        )


def _sample_shots(
    rng: np.random.Generator, timeline: Timeline, name: str, size: int, look: Look
) -> tuple[Shot, ...]:
    """A shot between any two cuts; no name means a shape instead of a person."""
    outfit = Outfit.sample(rng)
    extent = math.exp(rng.uniform(math.log(0.4), math.log(1.1)))
    room = _sample_room(rng, size)
    shots = []
    for span in pairwise([0.0, *timeline.cuts_s, timeline.duration_s]):
        mover: tuple[Performer | Shape, ...] = ()
        repeats = any(s.start_s < span[1] and s.end_s > span[0] for s in timeline.sets)
        # another scene need not show anybody
        if repeats or rng.random() < (0.6 if timeline.sets else 0.9):
            mover = (_sample_mover(rng, name, timeline, span, outfit, (extent, size), look),)
        behind, before = _sample_others(rng, timeline, span, size, extent)
        shots.append(
            Shot(
                room=room,
                drift=Wander.sample(rng, span, rng.uniform(1, 6), 4),
                shake=Wander.sample(rng, span, rng.uniform(0.08, 0.4), 2),
                strength=_sample_hand(rng),
                light=Wander.sample(rng, span, rng.uniform(0.1, 3)),
                flicker=float(rng.choice([0, rng.uniform(0, 0.2)], p=(0.7, 0.3))),
                performers=(*behind, *mover, *before),
                logos=_sample_logos(rng, span, size),
            )
        )
        # after the cut another place, or only another view of this one
        if rng.random() < 0.5:
            room = _sample_room(rng, size)
        extent *= math.exp(rng.uniform(-0.4, 0.4))
    return tuple(shots)


def _sample_mover(
    rng: np.random.Generator,
    name: str,
    timeline: Timeline,
    span: Span,
    outfit: Outfit,
    extent_size: tuple[float, int],
    look: Look,
) -> Performer | Shape:
    """Who is counted, large enough that what they do can be seen."""
    extent, size = extent_size
    sets = [s for s in timeline.sets if s.start_s < span[1] and s.end_s > span[0]]
    # some moments of the first cycles
    moments = [s.ends_s[0] + np.arange(16) / 8 * (s.ends_s[1] - s.ends_s[0]) for s in sets[:1]]
    for _ in range(8):
        if name:
            mover = Performer.sample(
                rng,
                Motion.sample(rng, name, timeline, span),
                outfit,
                size=size,
                extent=extent,
                azimuth=_sample_azimuth(rng),
                middle=(rng.uniform(0.35, 0.65), rng.uniform(0.42, 0.58)),
            )
        else:
            mover = Shape.sample(rng, timeline, span, size, scale=extent + 0.2)
        if not sets:
            break
        parts, all_of_them = mover.parts(moments[0]), np.ones(len(moments[0]), bool)
        if visible_motion(parts, all_of_them, size, look) >= MIN_MOTION * size:
            break
        extent = min(1.15 * extent, 1.2)
    return mover


def _sample_azimuth(rng: np.random.Generator) -> float:
    """From the front, from either side, from the back, or from anywhere."""
    exact = rng.choice([0, np.pi / 2, -np.pi / 2, np.pi], p=(0.3, 0.3, 0.3, 0.1))
    return float(exact + rng.normal(0, 0.15) if rng.random() < 0.6 else rng.uniform(-np.pi, np.pi))


def _sample_hand(rng: np.random.Generator) -> tuple[float, float]:
    """How strongly a camera drifts and shakes: on a tripod, or held by hand."""
    if rng.random() < 0.5:
        return 0.0, 0.0
    return rng.uniform(0, 1), float(rng.choice([0, rng.uniform(0, 0.012)]))


def _sample_room(rng: np.random.Generator, size: int) -> ByteArray:
    """Any room, or a wall and a floor of one color."""
    if rng.random() < 0.6:
        return sample_room(rng, size)
    side = int(1.5 * size)
    wall, floor = rng.uniform(20, 250, (2, 3)) * [[1], [rng.uniform(0.5, 1)]]
    row = np.arange(side)[:, None, None] / side
    room = np.where(row < rng.uniform(0.55, 0.9), wall, floor)
    shade = (
        1
        + rng.uniform(-0.3, 0.3) * (row - 0.5)
        + rng.uniform(-0.3, 0.3) * (row.swapaxes(0, 1) - 0.5)
    )
    return (room * shade).clip(0, 254).astype(np.uint8)


def _sample_others(
    rng: np.random.Generator, timeline: Timeline, span: Span, size: int, extent: float
) -> tuple[list[Performer | Shape], list[Performer | Shape]]:
    """Who else is there, behind and before the mover: idle, in step, or at another pace."""
    behind: list[Performer | Shape] = []
    before: list[Performer | Shape] = []
    idle = Timeline(duration_s=timeline.duration_s, sets=(), tempo=timeline.tempo)
    if timeline.sets and rng.random() < 0.12:
        # smaller and behind: this is not counted
        period = float(np.median(np.diff(timeline.sets[0].ends_s)))
        period *= rng.choice([rng.uniform(0.4, 0.75), rng.uniform(1.35, 2.5)])
        count = max(2, int((span[1] - span[0]) / period))
        ends = span[0] + period * np.arange(count + 1)
        pace = Timeline(
            duration_s=timeline.duration_s,
            sets=(RepetitionSet(ends, np.zeros(count)),),
            tempo=timeline.tempo,
        )
        behind.append(_sample_person(rng, pace, span, size, extent * rng.uniform(0.25, 0.5)))
    if rng.random() < 0.2:
        who = _sample_person(rng, idle, span, size, extent * rng.uniform(0.3, 0.8))
        (behind if rng.random() < 0.8 else before).append(who)
    if rng.random() < 0.2:
        behind.append(Shape.sample(rng, idle, span, size, scale=rng.uniform(0.2, 0.6)))
    return behind, before


def _sample_person(
    rng: np.random.Generator, timeline: Timeline, span: Span, size: int, extent: float
) -> Performer:
    """Somebody at the left or right."""
    motion = Motion.sample(rng, str(rng.choice(list(EXERCISES))), timeline, span)
    x = rng.choice([rng.uniform(0.05, 0.3), rng.uniform(0.7, 0.95)])
    return Performer.sample(
        rng,
        motion,
        Outfit.sample(rng),
        size=size,
        extent=extent,
        azimuth=_sample_azimuth(rng),
        middle=(float(x), rng.uniform(0.3, 0.6)),
    )


def _sample_logos(rng: np.random.Generator, span: Span, size: int) -> tuple[Shape, ...]:
    """Logos and captions, known at even times of the shot."""
    rate = min(8.0, 500 / (span[1] - span[0]))
    pieces = sample_overlays(rng, int(rate * (span[1] - span[0])) + 3, size)
    if not pieces:
        return ()
    return (Shape(pieces=pieces, start_s=span[0], rate_hz=rate),)
