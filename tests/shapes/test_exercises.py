"""Exercises: loops close, sides take turns, and people stand on the floor."""

import numpy as np
import pytest

from mmotion.shapes.exercises import (
    EXERCISES,
    LEFT_FOOT,
    LEFT_HAND,
    RIGHT_HAND,
    STAND,
    make_pose,
    mirror,
)
from mmotion.shapes.movers import TORSO


@pytest.mark.parametrize('name', EXERCISES)
def test_a_loop_closes_and_passes_through_its_poses(name: str) -> None:
    exercise = EXERCISES[name]
    loop, number = exercise.loop(), len(exercise.poses)
    np.testing.assert_allclose(loop(np.arange(number) / number), exercise.poses, atol=1e-12)
    phase = np.linspace(0, 1, 9)
    np.testing.assert_allclose(loop(phase + 3), loop(phase), atol=1e-9)


@pytest.mark.parametrize('name', [n for n in EXERCISES if n != 'bounce'])
def test_a_cycle_is_whole_and_nothing_is_far_below_the_floor(name: str) -> None:
    poses = EXERCISES[name].loop()(np.arange(24) / 24)
    half = np.abs(poses[:12] - poses[12:]).max()
    # neither is half of it the same again
    assert half > 0.03
    # but where sides take turns, half a cycle later it is the mirror image
    if name in ('shoulder tap', 'lunge', 'high knees', 'windmill', 'side hop', 'punch'):
        np.testing.assert_allclose(poses[12:], mirror(poses[:12]), atol=1e-9)
    assert poses[..., 2].min() > -0.08


def test_depth_makes_it_smaller() -> None:
    squat = EXERCISES['squat']
    deep, shallow = (np.ptp(squat.loop(depth=d)(np.arange(20) / 20), 0).max() for d in (1, 0.5))
    assert shallow == pytest.approx(0.5 * deep)


def test_mirror_twice_is_the_same() -> None:
    pose = EXERCISES['lunge'].poses[1]
    np.testing.assert_array_equal(mirror(mirror(pose)), pose)
    np.testing.assert_array_equal(mirror(STAND), STAND)


def test_a_pose_leans_by_its_angle() -> None:
    pose = make_pose(
        (0.0, 0.0, 0.5), lean=90, hands=((0.1, 0.2, 0.0), (0.3, -0.2, 0.0)), on='floor'
    )
    np.testing.assert_allclose(pose[1], [TORSO, 0, 0.5], atol=1e-12)
    np.testing.assert_allclose(pose[[LEFT_HAND, RIGHT_HAND]], [[0.1, 0.2, 0], [0.3, -0.2, 0]])
    assert pose[LEFT_FOOT].tolist() == [0, 0.07, 0]
