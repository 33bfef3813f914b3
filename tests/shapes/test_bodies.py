"""People in space: bones keep their length, and a view shows what is where."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from mmotion.shapes.bodies import ROUND, Outfit, View, find_body, place_bar
from mmotion.shapes.exercises import EXERCISES, STAND
from mmotion.shapes.movers import SHIN, SPRITE_SIZE, THIGH, UPPER_ARM

SIDE = View(
    azimuth=np.pi / 2,
    elevation=0.0,
    roll=0.0,
    distance=1e6,
    scale=100.0,
    center=np.zeros(3),
    middle=(50.0, 60.0),
)


@pytest.mark.parametrize('name', EXERCISES)
def test_upper_bones_keep_their_length_and_lower_ones_end_where_they_should(name: str) -> None:
    poses = EXERCISES[name].loop()(np.arange(16) / 16)
    body = find_body(poses)
    for side in ('left', 'right'):
        for start, middle, end, length in (
            ('shoulder', 'elbow', 'wrist', UPPER_ARM),
            ('hip', 'knee', 'ankle', THIGH),
        ):
            places = [body[f'{side} {joint}'] for joint in (start, middle, end)]
            for one, other in pairwise(places):
                np.testing.assert_allclose(np.linalg.norm(one - other, axis=1), length, rtol=1e-6)


def test_feet_of_who_stands_are_on_the_floor_and_knees_do_not_bend_back() -> None:
    body = find_body(STAND[None])
    assert body['left ankle'][0, 2] == pytest.approx(0, abs=0.01)
    assert body['left knee'][0, 0] > 0
    assert SHIN == THIGH


def test_from_the_left_forward_is_to_the_right_and_up_is_up() -> None:
    places, size = SIDE.project(np.array([[0.0, 0, 0], [0.1, 0, 0], [0, 0.1, 0], [0, 0, 0.1]]))
    np.testing.assert_allclose(places, [[50, 60], [60, 60], [50, 60], [50, 50]], atol=1e-3)
    np.testing.assert_allclose(size, 1, atol=1e-6)


def test_from_the_front_the_left_hand_is_at_the_right_and_forward_is_near() -> None:
    front = replace(SIDE, azimuth=0.0)
    places, _ = front.project(np.array([[0, 0.1, 0]]))
    np.testing.assert_allclose(places, [[60, 60]], atol=1e-3)
    assert front.depth(np.array([0.2, 0, 0])) == pytest.approx(0.2)


def test_what_is_near_is_larger() -> None:
    close = replace(SIDE, azimuth=0.0, distance=2.0)
    _, (far, near) = close.project(np.array([[-0.5, 0, 0], [0.5, 0, 0]]))
    assert (far, near) == (pytest.approx(2 / 2.5), pytest.approx(2 / 1.5))


def test_a_bar_reaches_from_one_place_to_the_other() -> None:
    start, end = np.array([[0.0, 0, 0]]), np.array([[0.3, 0, 0.4]])
    placement = place_bar(start, end, SIDE, 0.1)
    # a round end lies half the width beyond each place
    ends = placement @ (SPRITE_SIZE * np.array([[0.5, 0.5], [0.03, 0.97], [1 / SPRITE_SIZE] * 2]))
    way = np.array([0.6, -0.8])
    np.testing.assert_allclose(ends[0, :, 0], np.array([50, 60]) - 5 * way, atol=1e-3)
    np.testing.assert_allclose(ends[0, :, 1], np.array([80, 20]) + 5 * way, atol=1e-3)


def test_what_points_at_the_camera_is_round() -> None:
    place = np.array([[0.1, 0.0, 0.2]])
    placement = place_bar(place, place, SIDE, 0.1, share=ROUND)
    np.testing.assert_allclose(np.linalg.norm(placement[0, :, :2], axis=0) * SPRITE_SIZE * 0.94, 10)


def test_an_outfit_has_a_torso_a_head_and_four_limbs_with_feet() -> None:
    drawn = Outfit.sample(np.random.default_rng(0)).draw(find_body(STAND[None]), SIDE)
    assert len(drawn) == 2 + 2 * 5
    assert all(part.placement.shape == (1, 2, 3) and depth.shape == (1,) for depth, part in drawn)
