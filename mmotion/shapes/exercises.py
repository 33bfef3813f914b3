"""Exercises as a person does them: key poses in space, and the smooth loop through them.

A pose is six points in space, from which `mmotion.shapes.bodies` finds elbows and knees: middle of
the hips, middle of the shoulders, left and right hand, left and right foot. x points forward, y to
the left, z up; the floor is at z = 0, and a person is 1 high.

A cycle is what has to happen until everything is as it was: of an exercise whose sides take turns,
it is the left and the right one together.

Shape letters in this file: N moments, K key poses.
"""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline

from .movers import TORSO
from .scene import FloatArray

POINTS = ('hips', 'shoulders', 'left hand', 'right hand', 'left foot', 'right foot')
HIPS, SHOULDERS, LEFT_HAND, RIGHT_HAND, LEFT_FOOT, RIGHT_FOOT = range(6)
# the same point of the other side
_MIRRORED = [HIPS, SHOULDERS, RIGHT_HAND, LEFT_HAND, RIGHT_FOOT, LEFT_FOOT]
# half the width of the shoulders
SHOULDER = 0.1

Place = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """What a person, or a ball, repeats.

    Attributes:
        poses: Key poses of a cycle at even distances, (K, 6, 3).
        period_s: Typical length of a cycle.
        things: What is moved besides: '', 'dumbbells', 'barbell', or how a ball goes, one of
            'dribble', 'juggle', 'keep up' and, of a ball without a person, 'bounce'.
    """

    poses: FloatArray
    period_s: float
    things: str = ''

    def loop(self, *, depth: float = 1.0) -> CubicSpline:
        """The pose (N, 6, 3) at any number of cycles (N,).

        Args:
            depth: How far it is done, 1 for fully, less around the mean pose.
        """
        mean = self.poses.mean(0)
        poses = mean + depth * (self.poses - mean)
        closed = np.concatenate([poses, poses[:1]])
        return CubicSpline(np.linspace(0, 1, len(closed)), closed, bc_type='periodic')


def mirror(poses: FloatArray) -> FloatArray:
    """Poses (..., 6, 3) with left and right exchanged."""
    return poses[..., _MIRRORED, :] * np.array([1, -1, 1])


def make_pose(
    hips: Place = (0, 0, 0.49),
    *,
    lean: float = 3.0,
    hands: Place | tuple[Place, Place] = (0.03, 0.07, -0.36),
    feet: Place | tuple[Place, Place] = (0.0, 0.07, 0.0),
    on: str = 'shoulders',
    side: float = 0.0,
) -> FloatArray:
    """A pose (6, 3).

    Args:
        hips: Middle of the hips.
        lean: From upright to the front, in degrees.
        hands: Left and right one, or the left one of a symmetric pose.
        feet: In the same way.
        on: What the hands are relative to: 'shoulders' or the 'floor'.
        side: Lean to the left, in degrees.
    """
    forward, left = np.radians([lean, side])
    torso = [np.sin(forward), np.sin(left), np.cos(forward) * np.cos(left)]
    shoulders = np.array(hips) + TORSO * np.array(torso) / np.linalg.norm(torso)
    pair = np.array([_both(hands), _both(feet)], float)
    if on == 'shoulders':
        pair[0] += shoulders + np.array([[0, SHOULDER, 0], [0, -SHOULDER, 0]])
    return np.stack([hips, shoulders, *pair[0], *pair[1]])


def _both(places: Place | tuple[Place, Place]) -> tuple[Place, Place]:
    first, second, *third = places
    if isinstance(first, tuple) and isinstance(second, tuple):
        return first, second
    x, y, z = first, second, third[0]  # of the left one
    return (x, y, z), (x, -y, z)


def _repeat(*poses: FloatArray, period_s: float, things: str = '') -> Exercise:
    return Exercise(poses=np.stack(poses), period_s=period_s, things=things)


def _in_turns(*poses: FloatArray, period_s: float, things: str = '') -> Exercise:
    """These poses, then their mirror images; the period is that of both."""
    half = np.stack(poses)
    return Exercise(
        poses=np.concatenate([half, mirror(half)]), period_s=2 * period_s, things=things
    )


STAND = make_pose()
# hands where people have them who stand and rest or talk, relative to the shoulders
GESTURES: tuple[Place, ...] = (
    (0.03, 0.07, -0.36),
    (0.08, 0.0, -0.28),
    (0.12, 0.12, -0.25),
    (0.2, 0.05, -0.2),
    (0.25, 0.15, -0.1),
    (0.15, -0.05, -0.12),
    (0.1, -0.05, 0.05),
    (0.05, 0.25, -0.2),
    (0.0, 0.08, -0.3),
    (0.3, 0.05, 0.05),
)

_PLANK = ((0.45, 0, 0.23), 66.0)
_PLANK_HANDS: Place = (0.74, 0.13, 0.0)
_PLANK_FEET: Place = (0.0, 0.05, 0.03)
_HOP_OPEN = make_pose((0, 0, 0.44), hands=(0.0, -0.02, 0.36), feet=(0, 0.2, 0))
_HOP_BETWEEN = make_pose((0, 0, 0.52), hands=(0.03, 0.36, 0.02), feet=(0, 0.12, 0.03))


def _plank(hips: Place = _PLANK[0], lean: float = _PLANK[1], **places: object) -> FloatArray:
    chosen = {'hands': _PLANK_HANDS, 'feet': _PLANK_FEET, 'on': 'floor', **places}
    return make_pose(hips, lean=lean, **chosen)


def _lie(lean: float, hands: Place, feet: Place, hips: Place = (0, 0, 0.07)) -> FloatArray:
    return make_pose(hips, lean=lean, hands=hands, feet=feet)


def _row(hands: Place) -> FloatArray:
    return make_pose((-0.12, 0, 0.42), lean=65, hands=hands, feet=(0.0, 0.09, 0))


_DOWN: Place = (0.03, 0.07, -0.36)
_CURLED: Place = (0.12, 0.02, -0.08)
_BACK: Place = (0.08, 0.0, -0.3)
_SQUAT = make_pose((-0.14, 0, 0.22), lean=40, hands=(0.36, -0.02, 0), feet=(0, 0.1, 0))

EXERCISES: dict[str, Exercise] = {
    'squat': _repeat(make_pose(feet=(0, 0.1, 0)), _SQUAT, period_s=2.8),
    'sumo squat': _repeat(
        make_pose((0, 0, 0.44), hands=(0.15, -0.08, -0.12), feet=(0, 0.22, 0)),
        make_pose((-0.05, 0, 0.25), lean=15, hands=(0.15, -0.08, -0.12), feet=(0, 0.24, 0)),
        period_s=2.4,
    ),
    'squat jump': _repeat(
        _SQUAT,
        STAND,
        make_pose((0, 0, 0.62), hands=(0.0, 0.1, -0.36), feet=(0, 0.07, 0.13)),
        STAND,
        period_s=1.5,
    ),
    'jumping jack': _repeat(
        make_pose((0, 0, 0.48), feet=(0, 0.03, 0)),
        _HOP_BETWEEN,
        _HOP_OPEN,
        _HOP_BETWEEN,
        period_s=0.9,
    ),
    'step jack': _in_turns(
        make_pose(feet=(0, 0.03, 0)),
        make_pose((0, 0.06, 0.47), hands=(0, 0, 0.36), feet=((0, 0.2, 0), (0, -0.03, 0))),
        period_s=1.0,
    ),
    'push-up': _repeat(_plank(), _plank((0.48, 0, 0.1), 83), period_s=1.9),
    'knee push-up': _repeat(
        _plank((0.32, 0, 0.2), 63, feet=(0.0, 0.05, 0.1), hands=(0.6, 0.13, 0)),
        _plank((0.33, 0, 0.12), 85, feet=(0.0, 0.05, 0.1), hands=(0.6, 0.13, 0)),
        period_s=1.9,
    ),
    'shoulder tap': _in_turns(
        _plank(),
        _plank(hands=((0.74, 0.13, 0.0), (0.72, 0.06, 0.33))),
        period_s=0.6,
    ),
    'mountain climber': _in_turns(
        _plank(feet=((0.32, 0.07, 0.1), (-0.02, -0.05, 0.03))), period_s=0.45
    ),
    'plank jack': _repeat(_plank(), _plank(feet=(0, 0.2, 0.03)), period_s=0.8),
    'sit-up': _repeat(
        _lie(-86, (0.08, -0.04, 0.1), (0.36, 0.06, 0)),
        _lie(-30, (0.1, -0.04, 0.07), (0.36, 0.06, 0)),
        _lie(22, (0.12, -0.04, 0.05), (0.36, 0.06, 0)),
        _lie(-30, (0.1, -0.04, 0.07), (0.36, 0.06, 0)),
        period_s=2.6,
    ),
    'crunch': _repeat(
        _lie(-88, (0.05, 0, 0.12), (0.34, 0.06, 0)),
        _lie(-62, (0.07, 0, 0.1), (0.34, 0.06, 0)),
        period_s=1.6,
    ),
    'bicycle crunch': _in_turns(
        make_pose(
            (0, 0, 0.07),
            lean=-65,
            side=6,
            hands=(0.05, 0.02, 0.1),
            feet=((0.45, 0.06, 0.12), (0.2, -0.06, 0.25)),
        ),
        period_s=0.8,
    ),
    'leg raise': _repeat(
        _lie(-90, (0.3, 0.1, -0.02), (0.49, 0.04, 0.05)),
        _lie(-90, (0.3, 0.1, -0.02), (0.35, 0.04, 0.42)),
        _lie(-90, (0.3, 0.1, -0.02), (0.05, 0.04, 0.55)),
        _lie(-90, (0.3, 0.1, -0.02), (0.35, 0.04, 0.42)),
        period_s=2.8,
    ),
    'bridge': _repeat(
        _lie(-90, (0.3, 0.1, -0.04), (0.33, 0.07, 0)),
        _lie(-115, (0.3, 0.1, -0.04), (0.33, 0.07, 0), (0.02, 0, 0.22)),
        period_s=2.2,
    ),
    'twist': _in_turns(
        make_pose(
            (0, 0, 0.07),
            lean=-35,
            hands=((0.15, -0.02, -0.22), (0.12, 0.22, -0.22)),
            feet=(0.38, 0.04, 0.08),
        ),
        period_s=0.8,
    ),
    'burpee': _repeat(
        STAND,
        make_pose((-0.1, 0, 0.2), lean=55, hands=(0.2, 0.12, 0), on='floor'),
        _plank((-0.1, 0, 0.2), 66, hands=(0.2, 0.12, 0), feet=(-0.55, 0.06, 0.03)),
        _plank((-0.08, 0, 0.09), 83, hands=(0.2, 0.12, 0), feet=(-0.56, 0.06, 0.03)),
        _plank((-0.1, 0, 0.2), 66, hands=(0.2, 0.12, 0), feet=(-0.55, 0.06, 0.03)),
        make_pose((-0.1, 0, 0.2), lean=55, hands=(0.2, 0.12, 0), on='floor'),
        make_pose((0, 0, 0.6), hands=(0.02, 0.0, 0.37), feet=(0, 0.06, 0.1)),
        period_s=3.4,
    ),
    'squat thrust': _repeat(
        make_pose((-0.1, 0, 0.2), lean=60, hands=(0.2, 0.12, 0), on='floor'),
        _plank((-0.1, 0, 0.2), 66, hands=(0.2, 0.12, 0), feet=(-0.55, 0.06, 0.03)),
        period_s=1.7,
    ),
    'rope': _repeat(
        make_pose((0, 0, 0.47), hands=(0.1, 0.15, -0.24), feet=(0, 0.04, 0)),
        make_pose((0, 0, 0.54), hands=(0.12, 0.13, -0.2), feet=(0, 0.04, 0.06)),
        period_s=0.5,
    ),
    'side hop': _in_turns(
        make_pose(
            (0, 0.16, 0.4), lean=12, hands=(0.05, 0.1, -0.2), feet=((0, 0.2, 0), (0, 0.12, 0))
        ),
        make_pose((0, 0, 0.56), hands=(0.05, 0.1, -0.2), feet=((0, 0.04, 0.1), (0, -0.04, 0.1))),
        period_s=0.9,
    ),
    'side shuffle': _in_turns(
        make_pose((0, 0.4, 0.4), lean=25, hands=(0.2, 0.0, -0.2), feet=((0, 0.6, 0), (0, 0.25, 0))),
        make_pose(
            (0, 0.14, 0.4), lean=20, hands=(0.2, 0, -0.2), feet=((0, 0.2, 0.03), (0, 0.05, 0))
        ),
        period_s=1.6,
    ),
    'lunge': _in_turns(
        STAND,
        make_pose(
            (0.1, 0, 0.27),
            hands=(0.05, 0.1, -0.34),
            feet=((0.36, 0.07, 0), (-0.24, -0.07, 0.03)),
        ),
        period_s=2.0,
    ),
    'split lunge': _repeat(
        make_pose((0.05, 0, 0.43), feet=((0.26, 0.07, 0), (-0.26, -0.07, 0.03))),
        make_pose((0.05, 0, 0.24), feet=((0.26, 0.07, 0), (-0.26, -0.07, 0.03))),
        period_s=2.0,
    ),
    'high knees': _in_turns(
        make_pose(
            (0, 0, 0.5),
            hands=((0.02, 0.02, -0.28), (0.2, -0.02, -0.1)),
            feet=((0.14, 0.07, 0.3), (0, -0.07, 0.0)),
        ),
        period_s=0.35,
    ),
    'butt kicks': _in_turns(
        make_pose((0, 0, 0.49), hands=(0.1, 0.1, -0.25), feet=((-0.22, 0.06, 0.28), (0, -0.06, 0))),
        period_s=0.4,
    ),
    'march': _in_turns(
        STAND,
        make_pose(
            hands=((-0.08, 0.06, -0.34), (0.15, -0.06, -0.33)),
            feet=((0.16, 0.07, 0.16), (0, -0.07, 0)),
        ),
        period_s=0.7,
    ),
    'side leg raise': _repeat(
        STAND, make_pose(feet=((0, 0.42, 0.2), (0, -0.05, 0)), side=-8), period_s=1.6
    ),
    'kick': _in_turns(
        STAND,
        make_pose(lean=-8, hands=(0.2, 0.0, -0.08), feet=((0.42, 0.05, 0.4), (0, -0.06, 0))),
        period_s=1.0,
    ),
    'windmill': _in_turns(
        make_pose((0, 0, 0.44), hands=(0, 0.37, 0.0), feet=(0, 0.25, 0)),
        make_pose(
            (-0.1, 0, 0.43),
            lean=85,
            hands=((0.03, 0.05, 0.37), (-0.15, 0.24, -0.3)),
            feet=(0, 0.25, 0),
        ),
        period_s=1.3,
    ),
    'toe touch': _repeat(
        make_pose(hands=(0.0, 0.05, 0.37)), make_pose((-0.1, 0, 0.47), lean=115), period_s=2.2
    ),
    'side bend': _in_turns(
        make_pose(side=28, hands=((0, 0.02, -0.36), (0.02, 0.12, 0.35))), period_s=1.5
    ),
    'arm raise': _repeat(
        STAND, make_pose(hands=(0.03, 0.37, 0.02)), period_s=2.0, things='dumbbells'
    ),
    'front raise': _in_turns(
        STAND,
        make_pose(hands=((0.37, 0.0, 0.02), (0.03, -0.07, -0.36))),
        period_s=1.8,
        things='dumbbells',
    ),
    'curl': _repeat(
        STAND, make_pose(hands=_BACK), make_pose(hands=_CURLED), period_s=2.4, things='dumbbells'
    ),
    'curl in turns': _in_turns(
        STAND,
        make_pose(hands=(_CURLED, (0.03, -0.07, -0.36))),
        period_s=1.8,
        things='dumbbells',
    ),
    'press': _repeat(
        make_pose(hands=(0.08, 0.1, 0.02)),
        make_pose(hands=(0.02, 0.06, 0.36)),
        period_s=2.2,
        things='barbell',
    ),
    'dead lift': _repeat(
        STAND,
        make_pose((-0.15, 0, 0.36), lean=70, hands=(0.02, 0.06, -0.34)),
        period_s=2.8,
        things='barbell',
    ),
    'row': _repeat(
        _row((0.0, 0.06, -0.36)), _row((-0.15, 0.1, -0.1)), period_s=1.8, things='barbell'
    ),
    'swing': _repeat(
        make_pose((-0.18, 0, 0.4), lean=65, hands=(-0.15, -0.08, -0.32), feet=(0, 0.13, 0)),
        make_pose((0, 0, 0.47), lean=0, hands=(0.36, -0.08, 0.0), feet=(0, 0.13, 0)),
        period_s=1.6,
    ),
    'pull-up': _repeat(
        make_pose((0, 0, 0.45), hands=(0.02, 0.2, 1.15), feet=(-0.08, 0.04, 0), on='floor'),
        make_pose((0, 0, 0.75), hands=(0.02, 0.2, 1.15), feet=(-0.08, 0.04, 0.3), on='floor'),
        period_s=2.2,
    ),
    'punch': _in_turns(
        make_pose(
            (0, 0, 0.46),
            hands=((0.12, -0.02, -0.02), (0.37, 0.05, 0.02)),
            feet=((0.12, 0.08, 0), (-0.1, -0.08, 0)),
        ),
        period_s=0.45,
    ),
    'arm circle': _repeat(
        make_pose(hands=(0.02, 0.1, 0.36)),
        make_pose(hands=(0.36, 0.05, 0.0)),
        make_pose(hands=_DOWN),
        make_pose(hands=(-0.3, 0.2, 0.0)),
        period_s=1.1,
    ),
    'clap': _repeat(
        make_pose(hands=(0.25, -0.09, -0.1)), make_pose(hands=(0.2, 0.2, -0.1)), period_s=0.5
    ),
    'wave': _repeat(
        make_pose(hands=((0.05, 0.05, 0.3), (0.03, -0.07, -0.36))),
        make_pose(hands=((0.05, 0.28, 0.22), (0.03, -0.07, -0.36))),
        period_s=0.6,
    ),
    'dribble': _repeat(
        make_pose((0, 0, 0.46), lean=20, hands=((0.1, 0.1, -0.3), (0.2, -0.06, -0.2))),
        make_pose((0, 0, 0.46), lean=20, hands=((0.1, 0.1, -0.3), (0.2, -0.06, -0.1))),
        period_s=0.7,
        things='dribble',
    ),
    'juggle': _in_turns(
        make_pose(hands=((0.22, 0.02, -0.2), (0.22, -0.02, -0.1))), period_s=0.4, things='juggle'
    ),
    'keep up': _in_turns(
        make_pose(lean=-5, hands=(0.05, 0.25, -0.15), feet=((0.25, 0.05, 0.15), (0, -0.07, 0))),
        period_s=0.6,
        things='keep up',
    ),
    'bounce': _repeat(STAND, period_s=0.8, things='bounce'),
}
