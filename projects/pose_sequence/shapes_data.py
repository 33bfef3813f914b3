"""Generated keypoint sequences of eight activities that only the order of the poses tells apart.

A person of 15 points (`mmotion.keypoints.skeletons.FIGURE`) is posed by four coordinates: how far
the knees are bent, the torso is bowed, the legs are apart, and where on their circle the arms are.
Each is a function of a phase. One of the four phases goes on and on, forwards or backwards, which
is the activity; the other three wander to and fro without getting anywhere. As knees, torso and
legs go there quickly and come back slowly, the direction of the phase can be seen: 'squat_slow_up'
goes down quickly and up slowly, 'squat_slow_down' the other way round.

Every phase is uniformly distributed in every frame of every activity. A single frame therefore says
nothing at all about the activity, and the frames without their order can at best tell which of the
four coordinates it is. An activity is another one in reverse: `ReverseSequence` must not be used on
these sequences. Mirroring changes nothing.

Around that: people with builds, elbows and a manner of moving of their own, who turn and move about
under a camera that sways; tempo and pauses; noise, points that jump or are missing, arms and legs
out of sight, frames without anybody. The splits have other people: in 'train' arms, legs and trunks
are at most 8 % longer or shorter than usual and people are turned by at most 40 degrees from the
camera, in 'val' and 'test' by 8 to 20 % and by 40 to 55 degrees; single bones differ by a few
percent more, and people turn to and fro.

Shape letters in this file: T steps of a sequence, K points.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from mmengine.dataset import Compose
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch.utils.data import Dataset

from mmotion.checks import check_at_least, check_choice, check_index, check_range
from mmotion.keypoints.skeletons import FIGURE
from mmotion.registry import DATASETS
from mmotion.shapes import SPLITS

# two for each coordinate of the pose: forwards and backwards
ACTIVITIES = (
    *('squat_slow_up', 'squat_slow_down'),
    *('bow_slow_up', 'bow_slow_down'),
    *('straddle_slow_in', 'straddle_slow_out'),
    *('circle_out', 'circle_in'),
)
FPS = 10.0
WIDTH, HEIGHT = 640, 480
# what differs between the splits: limbs, as |logarithm of the factor|, and |turn| in degrees
LIMB_RANGE = {'train': (0.0, 0.08), 'val': (0.08, 0.18), 'test': (0.08, 0.18)}
TURN_RANGE = {'train': (0.0, 40.0), 'val': (40.0, 55.0), 'test': (40.0, 55.0)}
# steps of a cycle of the activity
PERIOD = (10.0, 20.0)
# how far the phases of the others wander, in cycles
WANDER = (0.03, 0.09)
# share of a cycle in which knees, torso and legs go to their far end
QUICK_SHARE = (0.16, 0.25)
# angles of knees, torso and legs at their near and at their far end
RANGES = np.radians([[0, 0, 5], [75, 65, 40]])
# how far the person turns, and the camera sways up and down and rolls, within a sequence
SWAY_DEG = (12.0, 3.0, 5.0)
# standard deviation of the noise of points, in heights of the person
NOISE = (0.006, 0.015)
# share of the people of whom half of a limb is out of sight for a while
HIDDEN = 0.3

UP, AHEAD = np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0])
# from the middle to the left and to the right of the person
ACROSS = np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]])

FloatArray = NDArray[np.float64]


class Figure(NamedTuple):
    """A body and how it is seen; lengths in parts of the person's usual height, angles in radians.

    Attributes:
        lengths: Of torso, neck to head, half the shoulders, half the hips, upper arm, forearm,
            thigh and shin (8,).
        reach: How far knees, torso and legs go, in shares of their ranges (3,).
        elbow: How far the elbows are bent.
        quick: Share of a cycle in which knees, torso and legs go to their far end.
        turn: To the person's left as seen from above, 0 facing the camera.
        elevation: Of the camera above the horizon.
        roll: Of the camera.
    """

    lengths: FloatArray
    reach: FloatArray
    elbow: float
    quick: float
    turn: float
    elevation: float
    roll: float


# of a usual adult of height 1, in the order of `Figure.lengths`
LENGTHS = np.array([0.30, 0.13, 0.11, 0.06, 0.17, 0.16, 0.24, 0.24])


@DATASETS.register_module()
class FigureActivities(Dataset):
    """Generated keypoint sequences of `ACTIVITIES`; number i shows activity i % 8.

    Gives what `KeypointSequenceDataset` gives: `keypoints` (T, K, 2) float32 in pixels, NaN where
    missing, `scores` (T, K), `fps`, `width`, `height`, `skeleton`, `label`, `name`, and `group`,
    the name of the person. All are made at the start, 2,000 a second, and held in memory, 15 MB for
    1,000, which the data workers share.

    Args:
        split: 'train', 'val' or 'test'; their people are different ones.
        num_sequences: How many there are.
        pipeline: Transforms for each sequence.
        num_steps: Shortest and longest sequence T, at 10 steps a second.
        num_people: Different people in the split.
        label_share: Share in (0, 1] of the sequences that are used, as if the others had no label:
            as many of each activity, at least one. They are repeated, so that the length of the
            data set, and with it the number of training steps, stays the same.
        label_seed: Which ones are used.

    Raises:
        ValueError: If the split is unknown or a number is out of its range.
    """

    METAINFO = {'classes': ACTIVITIES}

    def __init__(
        self,
        *,
        split: str,
        num_sequences: int,
        pipeline: list[dict[str, Any]],
        num_steps: tuple[int, int] = (112, 128),
        num_people: int = 24,
        label_share: float = 1.0,
        label_seed: int = 0,
    ) -> None:
        check_choice('split', split, SPLITS)
        check_at_least('num_sequences', num_sequences, 1)
        check_at_least('num_people', num_people, 1)
        if not 8 <= num_steps[0] <= num_steps[1]:
            raise ValueError(
                f'num_steps must be at least 8 and not fall, got num_steps={tuple(num_steps)}'
            )
        check_range('label_share', label_share, 0, 1, ends='(]')
        self.split = split
        self.num_sequences = num_sequences
        self.pipeline = Compose(pipeline)
        self.num_steps = tuple(num_steps)
        self.people = [sample_figure(split, number) for number in range(num_people)]
        self.metainfo = dict(self.METAINFO)
        chosen = choose_labeled(num_sequences, share=label_share, seed=label_seed)
        self._sequences = [self._make_sequence(number) for number in chosen.tolist()]

    def __len__(self) -> int:
        return self.num_sequences

    def __getitem__(self, index: int) -> Any:
        """Pass a sequence through the pipeline.

        Raises:
            IndexError: If there is no sequence with this number.
        """
        check_index(index, self.num_sequences)
        return self.pipeline(dict(self._sequences[index % len(self._sequences)]))

    def _make_sequence(self, number: int) -> dict[str, Any]:
        """Make the sequence with this number, which is the same each time."""
        rng = np.random.default_rng([SPLITS[self.split], number])
        label = number % len(ACTIVITIES)
        person = int(rng.integers(len(self.people)))
        num_steps = int(rng.integers(self.num_steps[0], self.num_steps[1] + 1))
        phases = sample_phases(label, rng, num_steps)
        body = pose_body(self.people[person], phases)
        keypoints, scores = detect(look_at(body, self.people[person], rng), rng)
        return {
            'keypoints': keypoints,
            'scores': scores,
            'fps': FPS,
            'width': WIDTH,
            'height': HEIGHT,
            'skeleton': FIGURE,
            'label': label,
            'name': f'{self.split}_{number:06d}',
            'group': f'{self.split}_person_{person:03d}',
        }


def choose_labeled(num_sequences: int, *, share: float, seed: int) -> NDArray[np.int64]:
    """Choose the numbers of a share of the sequences, as many of each activity, in order.

    Example:
        >>> choose_labeled(48, share=0.2, seed=0) % 8
        array([0, 1, 2, 3, 4, 5, 6, 7])
    """
    numbers = np.arange(num_sequences)
    if share == 1:
        return numbers
    rng = np.random.default_rng(seed)
    chosen = []
    for label in range(min(len(ACTIVITIES), num_sequences)):
        of_label = numbers[label :: len(ACTIVITIES)]
        # at least one, and rounded down otherwise
        chosen.append(rng.permutation(of_label)[: max(int(share * len(of_label)), 1)])
    # in turns, so that any stretch of them has all activities
    longest = max(map(len, chosen))
    return np.array([part[i] for i in range(longest) for part in chosen if i < len(part)])


def sample_figure(split: str, number: int) -> Figure:
    """Sample a person of a split."""
    rng = np.random.default_rng([SPLITS[split], number, 1])
    # both arms, both legs, and the trunk differ as a whole
    parts = rng.uniform(*LIMB_RANGE[split], 3) * rng.choice([-1, 1], 3)
    factors = np.exp(parts[[0, 0, 0, 0, 1, 1, 2, 2]] + rng.normal(0, 0.03, len(LENGTHS)))
    low, high = TURN_RANGE[split]
    return Figure(
        lengths=LENGTHS * factors,
        reach=rng.uniform(0.8, 1, 3),
        elbow=rng.uniform(0.1, 0.6),
        quick=rng.uniform(*QUICK_SHARE),
        turn=math.radians(rng.uniform(low, high)) * float(rng.choice([-1, 1])),
        elevation=math.radians(rng.uniform(-5, 20)),
        roll=math.radians(rng.normal(0, 3)),
    )


def sample_phases(label: int, rng: np.random.Generator, num_steps: int) -> FloatArray:
    """Sample the phase of knees, torso, legs and arms in each step, in cycles (T, 4).

    That of the activity goes on, but for pauses; the others wander.
    """
    acting, backwards = divmod(label, 2)
    waves = _waves(rng, num_steps, 5)
    phases = rng.random(4) + rng.uniform(*WANDER) * waves[:, :4]
    speed = np.exp(0.15 * waves[:, 4]) / rng.uniform(*PERIOD)
    for _ in range(rng.choice(3, p=(0.6, 0.3, 0.1))):
        first = rng.integers(num_steps)
        speed[first : first + rng.integers(3, 9)] = 0
    progress = np.cumsum(speed)
    phases[:, acting] = rng.random() + (-progress if backwards else progress)
    return phases % 1


def pose_body(figure: Figure, phases: FloatArray) -> FloatArray:
    """Pose a body by its phases (T, 4).

    Returns:
        Points (T, K, 3) in heights of the person: to its left, up, and forwards; the ground is 0.
    """
    torso, head, shoulder, hip, upper_arm, forearm, thigh, shin = figure.lengths
    ways = figure.reach * _there_and_back(phases[:, :3], figure.quick)
    knees, bow, apart = (RANGES[0] + (RANGES[1] - RANGES[0]) * ways).T[..., None, None]
    circle = 2 * np.pi * phases[:, 3, None, None]

    # the trunk from the pelvis up, then left and right at once, (T, 1 or 2, 3)
    spine = np.cos(bow) * UP + np.sin(bow) * AHEAD
    neck = torso * spine
    shoulders = neck + shoulder * ACROSS
    # arms turn in the plane of the chest
    elbows = shoulders + upper_arm * (np.sin(circle) * ACROSS - np.cos(circle) * spine)
    bent = circle + figure.elbow
    wrists = elbows + forearm * (np.sin(bent) * ACROSS - np.cos(bent) * spine)
    hips = hip * ACROSS
    spread, narrow = np.sin(apart) * ACROSS, np.cos(apart)
    ahead, behind = knees, -0.8 * knees
    ends = hips + thigh * (spread + narrow * (np.sin(ahead) * AHEAD - np.cos(ahead) * UP))
    feet = ends + shin * (spread + narrow * (np.sin(behind) * AHEAD - np.cos(behind) * UP))

    pairs = [shoulders, elbows, wrists, np.broadcast_to(hips, feet.shape), ends, feet]
    points = np.concatenate([neck + head * spine, neck, 0 * neck, *pairs], axis=1)
    # the lower foot stands on the ground
    points[..., 1] -= points[..., 1].min(axis=1, keepdims=True)
    return points


def look_at(body: FloatArray, figure: Figure, rng: np.random.Generator) -> FloatArray:
    """Project a body (T, K, 3) into the picture; the person turns and moves about, (T, K, 2)."""
    waves = _waves(rng, len(body), 5)
    angles = np.stack([np.full(len(body), angle) for angle in figure[4:]], axis=1)
    angles += np.radians(SWAY_DEG) * waves[:, :3]
    turned = Rotation.from_euler('yxz', angles).as_matrix()
    points = (body - 0.5 * UP) @ turned.transpose(0, 2, 1)
    # from 3 to 5 heights away
    distance = rng.uniform(3, 5)
    size = HEIGHT * rng.uniform(0.4, 0.7)
    flat = points[..., :2] * [1, -1] * (size * distance / (distance - points[..., 2:]))
    middle = [WIDTH * rng.uniform(0.35, 0.65), HEIGHT * rng.uniform(0.45, 0.55)]
    return flat + (middle + 0.05 * size * waves[:, 3:])[:, None]


def detect(
    points: FloatArray, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Say what a detector would find of points (T, K, 2).

    Returns:
        Points with noise, NaN where missing, and scores (T, K) in [0, 1], 0 there.
    """
    shape = points.shape[:2]
    height = np.ptp(points[..., 1], axis=1).max()
    noise = height * rng.uniform(*NOISE)
    found = points + noise * rng.standard_normal(points.shape)
    scores = 0.55 + 0.45 * rng.random(shape)
    # points that jump to somewhere else
    jumps = rng.random(shape) < 0.01
    found[jumps] += 0.15 * height * rng.standard_normal((int(jumps.sum()), 2))
    scores[jumps] *= 0.5
    missing = rng.random(shape) < rng.uniform(0.03, 0.07)
    # frames without anybody
    missing |= rng.random((shape[0], 1)) < 0.02
    if rng.random() < HIDDEN:
        limb = rng.choice(['left_elbow left_wrist', 'right_elbow right_wrist', 'left_ankle'])
        first, length = rng.integers(shape[0]), rng.integers(5, shape[0] // 3)
        for name in str(limb).split():
            missing[first : first + length, FIGURE.points.index(name)] = True
    found[missing] = np.nan
    scores[missing] = 0
    return found.astype(np.float32), scores.astype(np.float32)


def _waves(rng: np.random.Generator, num_steps: int, num_waves: int) -> FloatArray:
    """Smooth curves of about unit size that go nowhere, the same in reverse, (T, num_waves)."""
    frequency = rng.uniform(1 / 70, 1 / 25, (2, num_waves))
    place = np.arange(num_steps)[:, None, None] * frequency + rng.random((2, num_waves))
    return np.sin(2 * np.pi * place).sum(axis=1)


def _there_and_back(phases: FloatArray, quick: float) -> FloatArray:
    """From 0 to 1 in the share `quick` of a cycle, and back in the rest of it."""
    place = np.where(phases < quick, phases / quick, (1 - phases) / (1 - quick))
    return 0.5 - 0.5 * np.cos(np.pi * place)
