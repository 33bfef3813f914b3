"""Who moves in an untrimmed video, and how: doing sets, resting, talking, getting ready.

A performer gives its parts at any seconds of its scene. Within a set its pose follows the phase
exactly; between sets it goes over to a pose of rest that follows irregular knots.

Shape letters in this file: N moments, S frame size in pixels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.interpolate import CubicSpline, PchipInterpolator

from .bodies import Outfit, View, find_body, place_bar
from .exercises import (
    EXERCISES,
    GESTURES,
    LEFT_HAND,
    RIGHT_HAND,
    STAND,
    Exercise,
    make_pose,
)
from .movers import blob_or_figure, person
from .scene import FloatArray, Part
from .timing import RepetitionSet, Timeline, Wander

Span = tuple[float, float]
# what happens between sets, and seconds from one knot of the pose to the next
RESTS: dict[str, Span] = {
    'talk': (0.25, 1.0),
    'rest': (1.0, 4.0),
    'get ready': (0.5, 2.0),
    'nearly repeat': (0.25, 2.5),
}
# moments at which a performer is looked at to place it in the picture
_LOOKS = 48


def smoothstep(share: FloatArray) -> FloatArray:
    """From 0 to 1 without a kink; 0 below and 1 above."""
    share = np.clip(share, 0, 1)
    return share * share * (3 - 2 * share)


@dataclass(frozen=True, kw_only=True)
class Motion:
    """The pose of a person at any second of a scene.

    Attributes:
        timeline: When the sets are.
        exercise: What is done.
        loop: Its pose by cycles, as this person does it.
        start_phase: Where in the loop a cycle begins.
        bouts: When the exercise is done, one set or several with short rests between: start, end,
            and how long it takes into it and out of it, in seconds, a row a bout, (B, 4).
        rest: Poses between the bouts.
        walk: Where the person goes between them, and how they turn, (N, 3): x, y and radians.
        roaming: How far that is, in heights of the person and radians.
        sway: Of the whole body, always, (N, 4): x, y, z and how far the exercise is done.
    """

    timeline: Timeline
    exercise: Exercise
    loop: CubicSpline
    start_phase: float
    bouts: FloatArray
    rest: PchipInterpolator
    walk: Wander
    roaming: float
    sway: Wander

    def involvement(self, times: FloatArray) -> FloatArray:
        """1 within a set, 0 where nothing is done, between in the transitions, (N,)."""
        most = np.zeros(len(times))
        for start, end, before, after in self.bouts:
            # a transition of no length is a jump: the scene begins or ends here
            into = 1 - (start - times) / max(before, 1e-6)
            out = 1 - (times - end) / max(after, 1e-6)
            most = np.maximum(most, smoothstep(np.minimum(into, out)))
        return most

    def cycles(self, times: FloatArray) -> FloatArray:
        """Turns of the loop so far (N,), including where it begins."""
        turns = np.full(len(times), self.start_phase)
        for one in self.timeline.sets:
            done = np.interp(times, one.ends_s, np.arange(one.count + 1))
            turns += one.pose_phase(done)
        return turns

    def poses(self, times: FloatArray) -> FloatArray:
        """The pose at these seconds, (N, 6, 3)."""
        involved = self.involvement(times)[:, None, None]
        sway = self.sway(times)
        doing = self.loop(self.cycles(times))
        middle = self.loop(np.arange(8) / 8).mean(0)
        doing = middle + (doing - middle) * (1 + 0.06 * sway[:, 3, None, None])
        resting = self.rest(times)
        x, y, turn = self.roaming * self.walk(times).T
        away = np.stack([x, y, 0 * x], -1)[:, None]
        resting = _turned(resting, turn) + away
        poses = involved * doing + (1 - involved) * resting
        return poses + 0.008 * sway[:, None, :3] * [1, 1, 0.3]

    @classmethod
    def sample(
        cls, rng: np.random.Generator, name: str, timeline: Timeline, span: Span
    ) -> 'Motion':
        """Choose how somebody does an exercise, and what else they do in the span of a scene."""
        exercise = EXERCISES[name]
        # of a set that is in the scene; others are before or after it
        sets = tuple(s for s in timeline.sets if s.start_s < span[1] and s.end_s > span[0])
        lead = float(rng.uniform(0.4, 1.6) / timeline.tempo)
        pace = rng.uniform(0.8, 3) / timeline.tempo
        jitter = rng.normal(0, 0.012, exercise.poses.shape[1:])
        turned = replace(exercise, poses=exercise.poses + jitter)
        return cls(
            timeline=replace(timeline, sets=sets),
            exercise=exercise,
            loop=turned.loop(depth=rng.uniform(0.65, 1.1)),
            start_phase=float(rng.choice([0.0, 0.5, rng.random()], p=(0.7, 0.2, 0.1))),
            bouts=_join_sets(sets, span, lead),
            rest=_sample_rest(rng, exercise, timeline, span),
            walk=Wander.sample(rng, span, pace, 3),
            roaming=float(rng.choice([0.0, rng.uniform(0.1, 0.8)])),
            sway=Wander.sample(rng, span, rng.uniform(0.7, 3) / timeline.tempo, 4),
        )


def _join_sets(sets: Sequence[RepetitionSet], span: Span, lead_s: float) -> FloatArray:
    """The bouts of `Motion`; who rests for a moment only stays as they are."""
    bouts: list[list[float]] = []
    for one in sets:
        gap = one.start_s - (bouts[-1][1] if bouts else span[0])
        if bouts and gap < 1.2 * lead_s:
            bouts[-1][1] = one.end_s
            continue
        before = min(lead_s, 0.5 * gap if bouts else gap)
        if bouts:
            bouts[-1][3] = before
        bouts.append([one.start_s, one.end_s, before, 0.0])
    if bouts:
        bouts[-1][3] = min(lead_s, span[1] - bouts[-1][1])
    return np.array(bouts).reshape(-1, 4)


def _turned(poses: FloatArray, angle: FloatArray) -> FloatArray:
    """Poses (N, 6, 3) turned around the vertical by angles (N,)."""
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    x, y, z = np.moveaxis(poses, -1, 0)
    return np.stack([x * cos - y * sin, x * sin + y * cos, z], -1)


def _sample_rest(
    rng: np.random.Generator, exercise: Exercise, timeline: Timeline, span: Span
) -> PchipInterpolator:
    """Poses at irregular knots; what is done changes from one rest to the next."""
    kinds = list(RESTS)
    kind, until = '', span[0]
    times, poses = [], []
    now = span[0]
    while now < span[1] + 1 or len(times) < 2:
        if not kind or now > until:
            shares = (0.4, 0.25, 0.2, 0.15) if timeline.sets else (0.25, 0.15, 0.2, 0.4)
            kind = str(rng.choice(kinds, p=shares))
            until = now + rng.uniform(4, 20)
        times.append(now)
        poses.append(_sample_pose(rng, kind, exercise, poses[-1] if poses else STAND))
        low, high = np.log(RESTS[kind])
        now += math.exp(rng.uniform(low, high)) / timeline.tempo
    return PchipInterpolator(np.array(times), np.stack(poses))


def _sample_pose(
    rng: np.random.Generator, kind: str, exercise: Exercise, last: FloatArray
) -> FloatArray:
    """The next pose (6, 3) of somebody who rests, talks, gets ready or fools around."""
    if kind == 'rest' and rng.random() < 0.5:
        return last + rng.normal(0, 0.01, last.shape)
    if kind == 'nearly repeat':
        # the poses of an exercise, each time another part of the way and another time
        source = exercise if rng.random() < 0.65 else EXERCISES[str(rng.choice(list(EXERCISES)))]
        goal = source.poses[rng.integers(len(source.poses))]
        return last + rng.uniform(0.3, 1.1) * (goal - last)
    if kind == 'get ready' and rng.random() < 0.4:
        # to the floor and up again
        low = rng.uniform(0.15, 0.45)
        hands = (0.2, 0.05, -0.3)
        return make_pose((-0.1, 0, low), lean=rng.uniform(20, 90), hands=hands)
    left, right = (GESTURES[rng.integers(len(GESTURES))] for _ in range(2))
    hands = (left, (right[0], -right[1], right[2]))
    pose = make_pose(lean=rng.normal(4, 5), hands=hands, side=rng.normal(0, 3))
    pose[[LEFT_HAND, RIGHT_HAND]] += rng.normal(0, 0.03, (2, 3))
    return pose


@dataclass(frozen=True, kw_only=True)
class Performer:
    """A person, perhaps with a ball or a weight, or a ball alone, as it is seen.

    Attributes:
        motion: Its poses.
        outfit: Its looks.
        view: From where it is seen.
        order: Its parts from back to front.
        shift: Where it stands, in heights of a person, (3,).
    """

    motion: Motion
    outfit: Outfit
    view: View
    order: tuple[int, ...]
    shift: FloatArray

    def parts(self, times: FloatArray) -> tuple[Part, ...]:
        """What is seen of it at these seconds, from back to front."""
        drawn = self.draw(times, self.view)
        return tuple(drawn[number][1] for number in self.order)

    def joints(self, times: FloatArray) -> dict[str, FloatArray]:
        """Joints in space (N, 3), by name, and of a ball 'ball 0', ..."""
        body = find_body(self.motion.poses(times) + self.shift)
        balls = _place_balls(self.motion, times, body, self.outfit.thing_size / 2)
        return body | {f'ball {k}': ball for k, ball in enumerate(balls)}

    def draw(self, times: FloatArray, view: View) -> list[tuple[FloatArray, Part]]:
        """Each part with how near it is (N,), in no order."""
        joints, outfit = self.joints(times), self.outfit
        balls = [place for name, place in joints.items() if name.startswith('ball')]
        things = self.motion.exercise.things
        drawn = [] if things == 'bounce' else outfit.draw(joints, view)
        for ball in balls:
            placement = place_bar(ball, ball, view, outfit.thing_size)
            drawn.append((view.depth(ball), Part(outfit.thing, placement)))
        left, right = joints['left wrist'], joints['right wrist']
        if things == 'dumbbells':
            for wrist in (left, right):
                half = np.array([0.07, 0, 0])
                placement = place_bar(wrist - half, wrist + half, view, 0.5 * outfit.thing_size)
                drawn.append((view.depth(wrist), Part(outfit.thing, placement)))
        elif things == 'barbell':
            way = 1.2 * (left - right)
            placement = place_bar(right - way, left + way, view, 0.3 * outfit.thing_size)
            drawn.append((view.depth((left + right) / 2) + 0.05, Part(outfit.thing, placement)))
        return drawn

    @classmethod
    def sample(
        cls,
        rng: np.random.Generator,
        motion: Motion,
        outfit: Outfit,
        *,
        size: int,
        extent: float,
        azimuth: float,
        middle: tuple[float, float] = (0.5, 0.5),
    ) -> 'Performer':
        """Choose from where somebody is seen, so that what they do fits the picture.

        Args:
            rng: Source of the choices.
            motion: What they do.
            outfit: How they look.
            size: Of the frame S.
            extent: What part of the frame they take up, above 1 if not all is seen.
            azimuth: See `View`.
            middle: Where in the frame, in parts of it.
        """
        spans = [(one.start_s, one.end_s) for one in motion.timeline.sets]
        if not spans or rng.random() < 0.4:
            spans.append((motion.rest.x[0], motion.rest.x[-1]))
        looks = np.concatenate([np.linspace(*span, _LOOKS // len(spans) + 2) for span in spans])
        elevation = rng.choice([rng.uniform(-0.1, 0.25), rng.uniform(0.2, 1.0)], p=(0.8, 0.2))
        rough = View(
            azimuth=azimuth,
            elevation=float(elevation),
            roll=float(rng.normal(0, 0.04)),
            distance=float(math.exp(rng.uniform(math.log(2), math.log(12)))),
            scale=1.0,
            center=np.array([0, 0, 0.45]),
            middle=(0.0, 0.0),
        )
        self = cls(motion=motion, outfit=outfit, view=rough, order=(), shift=np.zeros(3))
        if motion.exercise.things == 'bounce':
            places = self.joints(looks)['ball 0'][:, None]
        else:
            places = np.stack(list(self.joints(looks).values()), 1)
        flat, _ = rough.project(places)
        low, high = flat.min((0, 1)), flat.max((0, 1))
        scale = float(extent * size / max((high - low).max(), 0.3))
        center = np.array(middle) * size - scale * (low + high) / 2
        view = replace(rough, scale=scale, middle=(float(center[0]), float(center[1])))
        near = np.array([depth.mean() for depth, _ in self.draw(looks, view)])
        return replace(self, view=view, order=tuple(np.argsort(near).tolist()))


def _place_balls(
    motion: Motion, times: FloatArray, body: dict[str, FloatArray], radius: float
) -> Sequence[FloatArray]:
    """Where the balls of an exercise are, (N, 3) each; held in the hand where it is not done."""
    kind, cycles = motion.exercise.things, motion.cycles(times)
    involved = motion.involvement(times)[:, None]
    left, right = body['left wrist'], body['right wrist']
    up = np.array([0, 0, 1.0])
    if kind == 'bounce':
        # up and down, and where nothing is done it lies or rolls about
        turn = cycles[:, None] % 1
        flying = up * (radius + 4 * 0.7 * turn * (1 - turn))
        x, y, _ = motion.roaming * motion.walk(times).T
        rolling = np.stack([x, y, np.full(len(times), radius)], -1)
        return [involved * flying + (1 - involved) * rolling]
    if kind == 'dribble':
        # from the hand to the floor and back
        share = 1 - np.abs(2 * (cycles[:, None] % 1) - 1)
        hand = right * [1, 1, 0] + up * radius
        ball = hand + up * (right[:, 2:] - radius) * (1 - share**2)
        return [involved * ball + (1 - involved) * right]
    if kind == 'keep up':
        # from one foot to the other
        turn = 2 * (cycles[:, None] % 1)
        share, starts_left = turn % 1, turn < 1
        feet = np.array([[0.33, 0.06, 0.12], [0.33, -0.06, 0.12]])
        start, end = (np.where(starts_left, *pair) for pair in (feet, feet[::-1]))
        ball = start + share * (end - start) + up * (radius + 1.6 * share * (1 - share))
        return [involved * ball + (1 - involved) * right]
    if kind == 'juggle':
        # three balls: each is thrown every third time, by the other hand, and flies two thirds
        balls = []
        for number in range(3):
            throws = (cycles[:, None] - 0.5 * number) / 1.5
            done, share = np.floor(throws), throws % 1
            from_left = (done + number) % 2 == 0
            start, end = np.where(from_left, left, right), np.where(from_left, right, left)
            fly = np.clip(share / 0.67, 0, 1)
            ball = start + fly * (end - start) + up * 2.0 * fly * (1 - fly)
            balls.append(involved * ball + (1 - involved) * right)
        return balls
    return []


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A blob, a jointed figure or a flat person of `movers`, known at even times.

    Attributes:
        pieces: Its parts, one placement a time.
        start_s: The first of the times.
        rate_hz: Times in a second.
    """

    pieces: tuple[Part, ...]
    start_s: float
    rate_hz: float

    def parts(self, times: FloatArray) -> tuple[Part, ...]:
        """What is seen of it at these seconds, from back to front."""
        last = len(self.pieces[0].placement) - 1
        place = np.clip((times - self.start_s) * self.rate_hz, 0, last)
        before = np.minimum(place.astype(int), last - 1)
        share = (place - before)[:, None, None]
        return tuple(
            replace(piece, placement=(1 - share) * way[before] + share * way[before + 1])
            for piece in self.pieces
            for way in (piece.placement,)
        )

    @classmethod
    def sample(
        cls,
        rng: np.random.Generator,
        timeline: Timeline,
        span: Span,
        size: int,
        *,
        scale: float = 1.0,
    ) -> 'Shape':
        """Choose one that repeats in the sets of a timeline and wanders elsewhere."""
        sets = [s for s in timeline.sets if s.start_s < span[1] and s.end_s > span[0]]
        period = np.median([np.median(np.diff(s.ends_s)) for s in sets]) if sets else 2.0
        # a cycle has some 24 times, at which a smooth motion can be joined by straight lines
        rate = min(24 / float(period), 8000 / (span[1] - span[0]))
        times = np.arange(span[0], span[1] + 2 / rate, 1 / rate)
        cycles, repeats = np.zeros(len(times)), np.zeros(len(times), bool)
        for one in sets:
            done = np.interp(times, one.ends_s, np.arange(one.count + 1))
            cycles += one.pose_phase(done)
            repeats |= (times >= one.start_s) & (times < one.end_s)
        kind = blob_or_figure if rng.random() < 0.5 else person
        return cls(
            pieces=kind(rng, cycles, repeats, size, scale=scale), start_s=span[0], rate_hz=rate
        )
