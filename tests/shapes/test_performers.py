"""Performers: in a set they follow the phase, outside of it they do something else."""

import numpy as np
import pytest

from mmotion.shapes.bodies import Outfit
from mmotion.shapes.performers import Motion, Performer, Shape, smoothstep
from mmotion.shapes.timing import RepetitionSet, Timeline

SPAN = (0.0, 20.0)


def one_set(start: float = 6.0, count: int = 8, later: float | None = None) -> Timeline:
    starts = [start] if later is None else [start, later]
    sets = tuple(RepetitionSet(s + np.arange(count + 1.0), np.zeros(count)) for s in starts)
    return Timeline(duration_s=20.0, sets=sets)


def perform(name: str, timeline: Timeline, seed: int = 0) -> Performer:
    rng = np.random.default_rng(seed)
    motion = Motion.sample(rng, name, timeline, SPAN)
    return Performer.sample(rng, motion, Outfit.sample(rng), size=96, extent=0.8, azimuth=np.pi / 2)


@pytest.mark.parametrize('name', ['squat', 'sit-up', 'jumping jack', 'dribble', 'keep up'])
def test_all_is_back_after_a_cycle(name: str) -> None:
    performer = perform(name, one_set())
    times = np.linspace(6.2, 12.8, 60)
    here, later = performer.joints(times), performer.joints(times + 1)
    for joint, places in here.items():
        # but for sway and how far each repetition goes
        assert np.abs(later[joint] - places).max() < 0.13, joint


def test_three_balls_look_the_same_after_two_throws() -> None:
    performer = perform('juggle', one_set())
    times = np.linspace(6.2, 12.8, 50)
    balls = [
        np.stack([performer.joints(t)[f'ball {k}'] for k in range(3)], 1)
        for t in (times, times + 1)
    ]
    apart = np.linalg.norm(balls[0][:, :, None] - balls[1][:, None], axis=-1)
    # each one is where another one was
    assert apart.min(2).max() < 0.15


def test_nobody_jumps_between_set_and_rest() -> None:
    for seed in range(20):
        motion = Motion.sample(np.random.default_rng(seed), 'push-up', one_set(), SPAN)
        step = np.diff(motion.poses(np.linspace(*SPAN, 4001)), axis=0)
        assert np.abs(step).max() < 0.05


def test_involvement_is_full_in_sets_and_in_a_moment_between_them() -> None:
    motion = Motion.sample(np.random.default_rng(0), 'squat', one_set(2.0, 4, 6.1), SPAN)
    np.testing.assert_array_equal(motion.involvement(np.array([2.0, 5.9, 6.05, 8.0, 10.1])), 1)
    np.testing.assert_array_equal(motion.involvement(np.array([0.0, 19.0])), 0)


def test_parts_do_not_depend_on_what_else_is_asked_for() -> None:
    performer = perform('burpee', one_set())
    times = np.linspace(0, 19, 30)
    for some, every in zip(performer.parts(times[7:9]), performer.parts(times), strict=True):
        np.testing.assert_allclose(some.placement, every.placement[7:9], atol=1e-9)


def test_a_ball_alone_has_no_body() -> None:
    assert len(perform('bounce', one_set()).parts(np.array([7.0]))) == 1


def test_who_performs_is_in_the_picture() -> None:
    for seed, name in enumerate(['squat', 'push-up', 'side shuffle', 'pull-up']):
        performer = perform(name, one_set(), seed)
        joints = np.stack(list(performer.joints(np.linspace(6, 13.9, 40)).values()), 1)
        places, _ = performer.view.project(joints)
        assert (places.min((0, 1)) > -10).all()
        assert (places.max((0, 1)) < 106).all()


def test_a_shape_moves_smoothly_between_its_times() -> None:
    shape = Shape.sample(np.random.default_rng(1), one_set(), SPAN, 64)
    placement = shape.parts(np.linspace(6, 14, 1000))[0].placement
    assert np.isfinite(placement).all()
    assert np.abs(np.diff(placement[..., 2], axis=0)).max() < 6


def test_smoothstep_stays_in_its_range() -> None:
    np.testing.assert_allclose(smoothstep(np.array([-1, 0, 0.5, 1, 2])), [0, 0, 0.5, 1, 1])
