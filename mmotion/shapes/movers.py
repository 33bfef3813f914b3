"""Things that move in generated videos: blobs, jointed figures and people, and their textures.

A mover's pose is a function of one phase, the repetitions done so far, so that what repeats is
known exactly; where nothing repeats it rests or wanders. A mover is a tuple of `Part`s, from back
to front.

Shape letters in this file: N frames, S frame size in pixels, J joints of a figure, K points.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from .scene import ByteArray, FloatArray, Part, compose

SPRITE_SIZE = 48
# lengths in a person of height 1, roughly those of an adult
TORSO, HEAD, UPPER_ARM, FOREARM, THIGH, SHIN = 0.32, 0.15, 0.19, 0.19, 0.25, 0.25
# of a person, each but the first on the far and on the near side
JOINTS = ('head', 'shoulder', 'elbow', 'wrist', 'hip', 'knee', 'ankle')
# pose of a person: five numbers of the whole body, lean, nod, then shoulder, elbow, hip, knee
NUM_BODY_CURVES = 7


def blob_or_figure(
    rng: np.random.Generator,
    cycles: FloatArray,
    repeats: NDArray[np.bool_],
    size: int,
    *,
    scale: float = 1.0,
) -> tuple[Part, ...]:
    """A blob or a jointed figure that repeats where it should and wanders or rests elsewhere.

    Args:
        rng: Source of the choices.
        cycles: Repetitions done up to each frame, (N,).
        repeats: Whether each frame belongs to a repetition, (N,).
        size: Width and height of the frame S.
        scale: Factor of the size of the mover.
    """
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
    center = SPRITE_SIZE / 2
    if not num_joints:
        body = similarity(x, y, angle, extent / SPRITE_SIZE, center)
        stretch = np.zeros((len(x), 2, 3))
        stretch[:, 0, 0], stretch[:, 1, 1] = growth.T
        stretch[:, :, 2] = center * (1 - growth)
        return (Part(sprite(rng, _outline(rng)), compose(body, stretch)),)
    return _figure(rng, x, y, angle - rng.uniform(0, 2 * np.pi), extent * growth[:, 0], pose[:, 5:])


def person(
    rng: np.random.Generator,
    cycles: FloatArray,
    repeats: NDArray[np.bool_],
    size: int,
    *,
    scale: float = 1.0,
) -> tuple[Part, ...]:
    """A person with head, torso and limbs of two bones, standing or lying; see `blob_or_figure`.

    Left and right limbs move together (as in a jumping jack), in turns (as in climbing, where a
    cycle is left and right), or one side alone moves.
    """
    pose = _pose_curves(rng, cycles, repeats, NUM_BODY_CURVES + 4, half_later=4, hold=True)
    height = size * scale * np.exp(rng.uniform(np.log(0.45), np.log(1.5)))
    # most stay about where they are, some run across the picture
    reach = size * rng.choice([rng.uniform(0, 0.12), rng.uniform(0.1, 0.4)], p=(0.7, 0.3))
    x = size * rng.uniform(0.3, 0.7) + reach * pose[:, 0]
    y = size * rng.uniform(0.35, 0.65) + reach * rng.uniform(0.2, 1) * pose[:, 1]
    posture = rng.choice([0.0, np.pi / 2, -np.pi / 2, rng.uniform(-np.pi, np.pi)], p=_POSTURES)
    tilt = rng.choice([rng.uniform(0, 0.15), rng.uniform(0.15, 0.8)], p=(0.6, 0.4))
    angle = posture + rng.normal(0, 0.08) + tilt * (pose[:, 2] + 0.5 * pose[:, 5])
    height = height * np.exp(rng.uniform(0, 0.12) * pose[:, 3])
    left, right = pose[:, NUM_BODY_CURVES : NUM_BODY_CURVES + 4], pose[:, NUM_BODY_CURVES + 4 :]
    sides = rng.random()
    if sides < 0.5:
        right = left
    elif sides < 0.6:
        right = np.zeros_like(left) + rng.normal(0, 0.3, 4)
    return _person_parts(rng, x, y, angle, height, 0.4 * pose[:, 6], (left, right))


def find_joints(parts: tuple[Part, ...]) -> FloatArray:
    """Where the joints of a `person` are, in the order of `JOINTS`, (N, 13, 2) in world pixels."""
    # a bone hangs down from its anchor in the middle of a frame that is a little longer than it
    ends = SPRITE_SIZE * np.array([[0.5, 0.5], [0.05, 0.95], [1 / SPRITE_SIZE] * 2])
    bones = np.stack([part.placement @ ends for part in parts], 1).swapaxes(2, 3)
    (far, _, head, near), anchor, end = np.split(np.arange(10), [4, 5, 6]), 0, 1
    sides = []
    for shin, thigh, forearm, arm in (far, near):
        places = [(arm, anchor), (arm, end), (forearm, end)]
        places += [(thigh, anchor), (thigh, end), (shin, end)]
        sides.append([bones[:, part, which] for part, which in places])
    pairs = [joint for both in zip(*sides, strict=True) for joint in both]
    return np.stack([bones[:, head[0], end], *pairs], 1)


def similarity(
    x: FloatArray, y: FloatArray, angle: FloatArray, scale: FloatArray | float, center: float
) -> FloatArray:
    """Matrices (N, 2, 3) that turn and scale around (center, center) and put it at (x, y)."""
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    matrix = np.empty((len(x), 2, 3))
    matrix[:, 0, 0], matrix[:, 0, 1] = cos, -sin
    matrix[:, 1, 0], matrix[:, 1, 1] = sin, cos
    matrix[:, 0, 2] = x - center * (cos - sin)
    matrix[:, 1, 2] = y - center * (sin + cos)
    return matrix


def smooth(rng: np.random.Generator, num_frames: int, spacing: float, *shape: int) -> FloatArray:
    """Random curves (N, *shape) of unit size that do not repeat, one knot each `spacing` frames."""
    num_knots = max(4, math.ceil(num_frames / spacing) + 3)
    knots = rng.standard_normal((num_knots, *shape))
    times = rng.uniform(0, 1) + np.arange(num_frames) / spacing
    return CubicSpline(np.arange(num_knots), knots)(times)


def texture(rng: np.random.Generator, size: int) -> ByteArray:
    """Cloudy noise in several sizes, sometimes with stripes, in a random palette, (h, w, 3)."""
    gray = np.zeros((size, size), np.float32)
    for octave in range(2, 6):
        cells = rng.standard_normal((2**octave, 2**octave)).astype(np.float32)
        cells = cv2.resize(cells, (size, size), interpolation=cv2.INTER_CUBIC)
        gray += rng.uniform(0, 1) * 0.6**octave * 4 * cells
    if rng.random() < 0.4:
        angle, wave = rng.uniform(0, np.pi), rng.uniform(4, 20)
        row, column = np.mgrid[:size, :size].astype(np.float32)
        gray += 0.5 * np.sign(np.sin((np.cos(angle) * row + np.sin(angle) * column) * 6.3 / wave))
    low, high = rng.uniform(0, 255, (2, 3))
    share = 1 / (1 + np.exp(-2 * rng.uniform(0.3, 1.5) * gray))
    image = np.empty((size, size, 3), np.uint8)
    # color by color: NumPy is slow along an axis of three
    for channel, start, span in zip(range(3), low, high - low, strict=True):
        color = span * share
        color += start
        image[..., channel] = color.clip(0, 254, out=color)
    return image


def sprite(rng: np.random.Generator, outline: FloatArray) -> ByteArray:
    """Cut a texture to an outline (K, 2) in units of the sprite, soft at the edge, (h, w, 4)."""
    mask = np.zeros((4 * SPRITE_SIZE, 4 * SPRITE_SIZE), np.uint8)
    cv2.fillPoly(mask, [np.rint(outline * 4 * SPRITE_SIZE).astype(np.int32)], 255)
    mask = cv2.resize(mask, (SPRITE_SIZE, SPRITE_SIZE), interpolation=cv2.INTER_AREA)
    color = np.multiply(texture(rng, SPRITE_SIZE), cv2.merge([mask] * 3), dtype=np.uint16)
    return np.dstack([color >> 8, mask]).astype(np.uint8)


def bar(width: float) -> FloatArray:
    """A vertical bar with round ends, (K, 2) within 0..1."""
    turn = np.linspace(0, np.pi, 12)
    r = width / 2
    top = np.stack([0.5 + r * np.cos(turn), 0.03 + r - r * np.sin(turn)], 1)
    return np.concatenate([top, 1 - top])


def _outline(rng: np.random.Generator) -> FloatArray:
    """A random closed curve: an ellipse, a polygon or a star, (K, 2) within 0..1."""
    points = int(rng.choice([3, 4, 5, 6, 8, 40]))
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False) + rng.uniform(0, 2 * np.pi)
    radius = rng.uniform(0.3, 0.47) * np.ones(points)
    if 3 < points < 40:
        radius = radius * rng.uniform(0.5, 1, points)
    aspect = rng.uniform(0.5, 1)
    return 0.5 + np.stack([radius * np.cos(angle), aspect * radius * np.sin(angle)], 1)


# share of people who stand, lie on either side, or are anywhere between
_POSTURES = (0.6, 0.13, 0.12, 0.15)


def _figure(
    rng: np.random.Generator,
    x: FloatArray,
    y: FloatArray,
    angle: FloatArray,
    extent: FloatArray,
    joints: FloatArray,
) -> tuple[Part, ...]:
    """A body with limbs; every second limb may hang on the one before it, (N, J) joint angles."""
    center = SPRITE_SIZE / 2
    upright = angle - angle.mean() if rng.random() < 0.7 else angle
    torso = similarity(x, y, upright, 0.7 * extent / SPRITE_SIZE, center)
    parts = [Part(sprite(rng, bar(rng.uniform(0.3, 0.7))), torso)]
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
        limb, end = _bone((anchor_x, anchor_y), limb_angle, length)
        parts.append(Part(sprite(rng, bar(rng.uniform(0.15, 0.35))), limb))
        (anchor_x, anchor_y), parent_angle = end, limb_angle
    return tuple(parts)


def _person_parts(
    rng: np.random.Generator,
    x: FloatArray,
    y: FloatArray,
    angle: FloatArray,
    height: FloatArray,
    nod: FloatArray,
    sides: tuple[FloatArray, FloatArray],
) -> tuple[Part, ...]:
    """Draw a person around the hips at (x, y); `sides` are shoulder, elbow, hip, knee, (N, 4)."""
    # from the side the two shoulders are one behind the other, from the front they are apart
    front = rng.uniform(0, 1)
    girth = rng.uniform(0.7, 1.4)
    skin, shirt, trousers = (sprite(rng, bar(girth * w)) for w in (0.28, 0.3, 0.32))
    torso_width = 0.35 * girth * (0.6 + 0.4 * front)
    up_x, up_y = np.sin(angle), -np.cos(angle)
    neck = (x + TORSO * height * up_x, y + TORSO * height * up_y)
    torso, _ = _bone(neck, angle, TORSO * height)
    head, _ = _bone(neck, angle + np.pi + nod, HEAD * height)
    # angles at rest and how far each joint goes, the same for both sides
    rest = rng.normal(0, (1.0, 0.7, 0.3, 0.3))
    swing = rng.uniform(0.2, (1.3, 1.2, 0.8, 0.9))
    limbs = []
    for side, joints in zip((-1, 1), sides, strict=True):
        # seen from the front the other side is a mirror image
        mirror = side if front > 0.5 else 1
        turn = mirror * (rest + swing * joints)
        across = side * front * height * girth
        side_x, side_y = across * np.cos(angle), across * np.sin(angle)
        shoulder = (neck[0] + 0.09 * side_x, neck[1] + 0.09 * side_y)
        hip = (x + 0.05 * side_x, y + 0.05 * side_y)
        arm, elbow = _bone(shoulder, angle + turn[:, 0], UPPER_ARM * height)
        forearm, _ = _bone(elbow, angle + turn[:, 0] + turn[:, 1], FOREARM * height)
        thigh, knee = _bone(hip, angle + turn[:, 2], THIGH * height)
        shin, _ = _bone(knee, angle + turn[:, 2] + turn[:, 3], SHIN * height)
        limbs.append(
            (Part(trousers, shin), Part(trousers, thigh), Part(skin, forearm), Part(shirt, arm))
        )
    far, near = limbs
    body = (Part(sprite(rng, bar(torso_width)), torso), Part(sprite(rng, bar(0.75)), head))
    return (*far, *body, *near)


def _bone(
    anchor: tuple[FloatArray, FloatArray], angle: FloatArray, length: FloatArray
) -> tuple[FloatArray, tuple[FloatArray, FloatArray]]:
    """Place a bar that hangs down from its anchor at angle 0, (N, 2, 3), and find its other end."""
    # a bar sprite is vertical and a little shorter than its frame
    half = 0.45 * length
    x, y = anchor[0] - half * np.sin(angle), anchor[1] + half * np.cos(angle)
    placement = similarity(x, y, angle, length / SPRITE_SIZE, SPRITE_SIZE / 2)
    return placement, (2 * x - anchor[0], 2 * y - anchor[1])


def _pose_curves(
    rng: np.random.Generator,
    cycles: FloatArray,
    repeats: NDArray[np.bool_],
    num_curves: int,
    *,
    half_later: int = 0,
    hold: bool = False,
) -> FloatArray:
    """Curves about 1 in size: harmonics of the phase, or smooth wandering.

    Args:
        rng: Source of the choices.
        cycles: Repetitions done up to each frame, (N,).
        repeats: Whether each frame belongs to a repetition, (N,).
        num_curves: How many.
        half_later: Give the last ones again, half a cycle later, as further curves.
        hold: In some videos stay in one position for a part of each cycle.

    Returns:
        (N, num_curves + half_later).
    """
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
    if hold and rng.random() < 0.4:
        phase = _hold(phase, rng.uniform(0.1, 0.5))
    warp, warp_offset = rng.uniform(0, 0.7), rng.uniform(0, 2 * np.pi)
    weight = np.concatenate([weight, weight[num_curves - half_later :]])
    delay = np.repeat([0, np.pi], [num_curves, half_later])
    chosen = np.r_[:num_curves, num_curves - half_later : num_curves]
    phase = phase[:, None] + delay
    phase = phase + warp * np.sin(phase + warp_offset)
    waves = np.cos(phase[..., None] * np.arange(1, 4) + offset[chosen])
    curves = (waves * amplitude[chosen]).sum(-1)
    num_curves += half_later
    if not repeats.all():
        # outside of the repeating stretches: rest, or wander at a speed like that of the cycles
        speed = rng.uniform(5, 30)
        wander = smooth(rng, num_frames, speed, num_curves)
        wander *= rng.choice([0.0, rng.uniform(0.3, 1.2)], p=(0.35, 0.65))
        curves = curves + wander * _fade(~repeats)[:, None]
    if rng.random() < 0.6:
        curves = curves * (1 + 0.15 * smooth(rng, num_frames, 20)[:, None])
    drift = 0.15 * smooth(rng, num_frames, 60, num_curves)
    return (curves + rng.choice([0, 1]) * drift) * weight


def _hold(phase: FloatArray, share: float) -> FloatArray:
    """Stay at the start of each turn for a share of it, and catch up in the rest."""
    turn, within = np.divmod(phase / (2 * np.pi), 1)
    return 2 * np.pi * (turn + np.clip((within - share) / (1 - share), 0, 1))


def _fade(mask: NDArray[np.bool_], *, width: int = 6) -> FloatArray:
    """1 inside of the mask, falling to 0 at its inner border over some frames, (N,)."""
    if not mask.any():
        return np.zeros(len(mask))
    padded = np.concatenate([[True], mask, [True]]).astype(np.uint8)[None]
    distance = cv2.distanceTransform(padded, cv2.DIST_L1, 3)[0, 1:-1]
    return np.clip(distance / width, 0, 1)
