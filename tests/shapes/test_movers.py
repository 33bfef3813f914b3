"""Movers: their pose is a function of the phase, and limbs hang together."""

from collections.abc import Callable

import numpy as np
import pytest

from mmotion.shapes.movers import (
    JOINTS,
    SPRITE_SIZE,
    _bone,
    _hold,
    _pose_curves,
    bar,
    blob_or_figure,
    find_joints,
    person,
    smooth,
    sprite,
    texture,
)


@pytest.mark.parametrize('mover', [blob_or_figure, person])
def test_a_cycle_later_everything_is_nearly_back(mover: Callable) -> None:
    """Without pauses only drift and the changing amplitude tell one cycle from the next."""
    cycles = np.arange(160) / 16
    nearer = []
    for seed in range(30):
        parts = mover(np.random.default_rng(seed), cycles, np.ones(160, bool), 64)
        # where the middle of each part is, (N, parts * 2)
        middle = np.array([SPRITE_SIZE / 2, SPRITE_SIZE / 2, 1])
        places = np.concatenate([part.placement @ middle for part in parts], axis=1)
        cycle, half = (np.linalg.norm(places[k:] - places[:-k], axis=1).mean() for k in (16, 8))
        # turning on the spot alone leaves the middle where it is
        if half > 0.5:
            nearer.append(cycle < 0.6 * half)
    assert len(nearer) >= 15
    assert np.mean(nearer) > 0.8


def test_a_person_has_two_arms_and_legs_of_two_bones_a_torso_and_a_head() -> None:
    parts = person(np.random.default_rng(0), np.zeros(4), np.zeros(4, bool), 64)
    assert len(parts) == 2 * 4 + 2
    assert all(part.placement.shape == (4, 2, 3) for part in parts)


def test_bone_starts_at_its_anchor_and_ends_where_it_says() -> None:
    anchor = (np.array([10.0, 10.0]), np.array([20.0, 20.0]))
    placement, (x, y) = _bone(anchor, np.array([0.0, np.pi / 2]), np.array([8.0, 8.0]))
    # hangs down, then points to the left; a bar fills nine tenths of its sprite
    np.testing.assert_allclose(x, [10, 10 - 0.9 * 8], atol=1e-12)
    np.testing.assert_allclose(y, [20 + 0.9 * 8, 20], atol=1e-12)
    top = placement @ np.array([SPRITE_SIZE / 2, 0.05 * SPRITE_SIZE, 1])
    np.testing.assert_allclose(top, [[10, 20], [10, 20]], atol=1e-12)


def test_joints_are_where_the_bones_of_a_person_meet() -> None:
    parts = person(np.random.default_rng(3), np.arange(20) / 10, np.ones(20, bool), 96)
    joints = find_joints(parts)
    assert joints.shape == (20, 1 + 2 * len(JOINTS[1:]), 2)
    # far, then near: shin, thigh, forearm, arm; each bar hangs from its joint to the next
    for side, bones in enumerate((parts[:4], parts[6:])):
        for bone, place in zip(bones, (9, 7, 3, 1), strict=True):
            for share, joint in ((0.05, place), (0.95, place + 2)):
                end = bone.placement @ np.array([SPRITE_SIZE / 2, share * SPRITE_SIZE, 1])
                np.testing.assert_allclose(end, joints[:, joint + side], atol=1e-9)
    upper = np.linalg.norm(joints[:, 1] - joints[:, 3], axis=1)
    lower = np.linalg.norm(joints[:, 3] - joints[:, 5], axis=1)
    # upper arm and forearm are of one length
    np.testing.assert_allclose(upper, lower)


def test_curves_given_half_a_cycle_later_are_the_same_curves() -> None:
    cycles = np.arange(80) / 20
    found = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        curves = _pose_curves(rng, cycles, np.ones(80, bool), 6, half_later=2)
        assert curves.shape == (80, 8)
        # amplitudes change slowly with time, so that the match is not perfect
        here, later = curves[10:, 4:6], curves[:-10, 6:8]
        if np.abs(here).max() > 0.3:
            found += np.abs(here - later).mean() < 0.35 * np.abs(here).max()
            assert not np.allclose(curves[:, 4:6], curves[:, 6:8])
    assert found >= 8


def test_hold_stays_and_catches_up() -> None:
    phase = 2 * np.pi * np.array([3.0, 3.2, 3.25, 3.625, 3.9999999])
    np.testing.assert_allclose(_hold(phase, 0.25) / (2 * np.pi), [3, 3, 3, 3.5, 4], atol=1e-6)


def test_smooth_curves_have_unit_size_and_do_not_jump() -> None:
    curve = smooth(np.random.default_rng(0), 4000, 20.0)
    assert curve.std() == pytest.approx(1, abs=0.2)
    assert np.abs(np.diff(curve)).max() < 0.4


def test_sprite_is_transparent_outside_of_its_outline() -> None:
    piece = sprite(np.random.default_rng(0), bar(0.4))
    assert piece.shape == (SPRITE_SIZE, SPRITE_SIZE, 4)
    assert piece[24, 24, 3] == 255
    assert (piece[:, :8] == 0).all()
    # colors are multiplied by opacity
    assert (piece[..., :3].max(-1) <= piece[..., 3]).all()


def test_textures_differ_and_are_not_flat() -> None:
    first, second = (texture(np.random.default_rng(seed), 40) for seed in (0, 1))
    assert first.shape == (40, 40, 3)
    assert first.std() > 1
    assert (first != second).any()
