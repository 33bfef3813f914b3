"""The people of MotionShapes as points, without pictures, and what detectors make of them.

Shape letters in this file: N frames, K joints (13).
"""

import math
from dataclasses import dataclass

import numpy as np

from mmotion.checks import check_at_least, check_choice

from .motion_shapes import SPLITS, sample_sets
from .movers import JOINTS, find_joints, person, smooth
from .scene import FloatArray

# the first joint of each limb; the others of the same side come two and four places later
LIMBS = (1, 2, 7, 8)
NUM_JOINTS = 1 + 2 * len(JOINTS[1:])
# the same joint on the other side
MIRROR = [0, *(j + 1 if j % 2 else j - 1 for j in range(1, NUM_JOINTS))]
# how often what people, cameras and detectors do comes
OFTEN, SELDOM = 0.5, 0.3


@dataclass(frozen=True)
class PersonMotion:
    """How a person moves, and the truth about it.

    Attributes:
        joints: Places in pixels, (N, K, 2): the head, then each of the other `movers.JOINTS` on the
            far and on the near side.
        cycles: Repetitions done up to the end of each frame, (N,), never falling.
        period: Length in frames of the cycle that a frame is in, 0 where nothing repeats, (N,).
    """

    joints: FloatArray
    cycles: FloatArray
    period: FloatArray


@dataclass(frozen=True, kw_only=True)
class PersonShapes:
    """An endless family of people who repeat something: an index always gives the same one.

    They move and rest as the people of `MotionShapes(in_the_wild=True)` do, seen by a camera that
    stands still. Those are flat; half of these are the weighted sum of two of them in step with
    each other, whose limbs become shorter and longer, as they do when they point at the camera.

    Args:
        split: 'train', 'val' or 'test'; their people share nothing.
        num_frames: Shortest and longest sequence, in frames.
        periods: Shortest and longest mean period, in frames.

    Raises:
        ValueError: If the split is unknown or a range is empty.

    Example:
        >>> motion = PersonShapes(split='test')[3]
        >>> motion.joints.shape == (len(motion.cycles), 13, 2), round(motion.cycles[-1])
        (True, 4)
    """

    split: str = 'train'
    num_frames: tuple[int, int] = (64, 640)
    periods: tuple[float, float] = (4.0, 120.0)

    def __post_init__(self) -> None:
        check_choice('split', self.split, SPLITS)
        for name, least in (('num_frames', 16), ('periods', 3)):
            shortest, longest = getattr(self, name)
            if not least <= shortest <= longest:
                raise ValueError(
                    f'{name} must be a range (shortest, longest) from {least} frames up, got '
                    f'{name}={(shortest, longest)}'
                )

    def __getitem__(self, index: int) -> PersonMotion:
        """Describe the person with this number, any number from 0 up."""
        check_at_least('index', index, 0)
        rng = np.random.default_rng([SPLITS[self.split], index])
        cycles, period = sample_sets(rng, self.num_frames, self.periods)
        joints = _sample_joints(rng, cycles, period)
        if rng.random() < OFTEN:
            angle = rng.uniform(0, np.pi / 2)
            other = _sample_joints(rng, cycles, period)
            joints = math.cos(angle) * joints + math.sin(angle) * other
        return PersonMotion(joints, cycles, period)


def _sample_joints(rng: np.random.Generator, cycles: FloatArray, period: FloatArray) -> FloatArray:
    # the unit is of no matter, as long as it is many pixels
    return find_joints(person(rng, cycles, period > 0, 96))


def simulate_detector(joints: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Say what a detector of keypoints would find.

    The person is seen from somewhat above or beside, and may walk about, or the camera with them.
    Points tremble and drift, some more than others; sides are taken for each other, a limb is
    guessed or out of sight, points jump or are missing, and so are whole frames.

    Args:
        joints: Exact places (N, K, 2), see `PersonMotion`; the frames may be any of the video.
        rng: Source of the choices.

    Returns:
        Places around 0 in sizes of the person, and 1 where the point was found, 0 where it was not
        and all three are 0, (N, K, 3).
    """
    num_frames = len(joints)
    shape = joints.shape[:2]
    apart = joints - joints.mean(1, keepdims=True)
    points = (joints - joints.mean((0, 1))) / np.sqrt(np.square(apart).sum(-1).mean())
    if rng.random() < OFTEN:
        points = points[:, MIRROR]
    direction = rng.uniform(0, np.pi)
    axis = np.array([np.cos(direction), np.sin(direction)])
    points = points - rng.uniform(0, 0.5) * (points @ axis)[..., None] * axis
    if rng.random() < OFTEN:
        way = smooth(rng, num_frames, rng.uniform(6, 60), 2)
        points += rng.uniform(0, 0.4) * way[:, None]

    care = np.exp(rng.normal(0, 0.6, (NUM_JOINTS, 1)))
    points += care * rng.uniform(0.005, 0.05) * rng.standard_normal(points.shape)
    drift = smooth(rng, num_frames, rng.uniform(2, 12), NUM_JOINTS, 2)
    points += care * rng.uniform(0, 0.06) * drift
    if rng.random() < SELDOM:
        limb = rng.choice(LIMBS)
        guess = rng.normal(0, 0.5, (2, 2)) + 0.3 * smooth(rng, num_frames, rng.uniform(4, 20), 2, 2)
        points[:, [limb + 2, limb + 4]] = points[:, [limb]] + guess
    if rng.random() < SELDOM:
        swapped = smooth(rng, num_frames, rng.uniform(2, 8)) > rng.uniform(0.5, 2)
        points[swapped] = points[swapped][:, MIRROR]
    jumps = rng.random(shape) < rng.choice([0, 0.01, 0.03])
    points[jumps] += rng.normal(0, 0.5, (int(jumps.sum()), 2))

    missing = rng.random(shape) < rng.choice([0, rng.uniform(0, 0.1)])
    missing |= rng.random((num_frames, 1)) < rng.choice([0, rng.uniform(0, 0.08)])
    if rng.random() < SELDOM:
        limb, first = rng.choice(LIMBS), int(rng.integers(num_frames))
        last = first + int(rng.integers(5, num_frames))
        missing[first:last, [limb + 2, limb + 4]] = True
    found = ~missing[..., None]
    return np.concatenate([points * found, found], axis=-1)
