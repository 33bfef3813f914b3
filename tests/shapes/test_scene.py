"""Scenes: what is described is what is drawn."""

from dataclasses import replace

import numpy as np
import pytest

from mmotion.shapes.scene import Look, Part, Scene


@pytest.fixture
def scene() -> Scene:
    """A red square on grey that is cut by the border in the second frame; the third is a cut."""
    sprite = np.zeros((4, 4, 4), np.uint8)
    sprite[..., 0] = sprite[..., 3] = 255
    places = [(10, 20), (29, -2), (10, 20)]
    placement = np.array([[[1.0, 0, x], [0, 1.0, y]] for x, y in places])
    return Scene(
        size=32,
        backgrounds=(np.full((48, 48, 3), 100, np.uint8), np.full((48, 48, 3), 30, np.uint8)),
        shot=np.array([0, 0, 1]),
        camera=np.tile(np.eye(2, 3), (3, 1, 1)),
        parts=(Part(sprite, placement),),
        light=np.ones(3),
        noise=0.0,
        cycles=np.array([0.25, 0.5, 0.5]),
        period=np.array([4.0, 4.0, 0.0]),
    )


def red_box(frame: np.ndarray) -> list[list[int]]:
    """First and last row and column of what is red."""
    places = np.argwhere((frame[..., 0] > 200) & (frame[..., 1] < 10))
    return [places.min(0).tolist(), places.max(0).tolist()] if len(places) else []


def test_part_is_drawn_where_it_is_placed_and_cut_at_the_border(scene: Scene) -> None:
    first, second, _ = scene.render()
    assert red_box(first) == [[20, 10], [23, 13]]
    assert red_box(second) == [[0, 29], [1, 31]]


def test_each_shot_has_its_background(scene: Scene) -> None:
    assert [frame[31, 0, 1] for frame in scene.frames()] == [100, 100, 30]


def test_camera_moves_the_world_but_not_what_is_on_screen(scene: Scene) -> None:
    camera = scene.camera.copy()
    camera[..., 0, 2] += 5
    moved = replace(scene, camera=camera)
    assert red_box(moved.render()[0]) == [[20, 15], [23, 18]]
    logo = replace(scene.parts[0], on_screen=True)
    assert red_box(replace(moved, parts=(logo,)).render()[0]) == [[20, 10], [23, 13]]


def test_drawing_does_not_change_the_scene(scene: Scene) -> None:
    logo = replace(scene, parts=(replace(scene.parts[0], on_screen=True),))
    np.testing.assert_array_equal(logo.render(), logo.render())


def test_frames_taken_twice_look_alike_and_keep_their_labels(scene: Scene) -> None:
    taken = scene.take(np.array([0, 0, 2]), stride=2)
    first, again, last = taken.render()
    np.testing.assert_array_equal(first, again)
    assert last[31, 0, 1] == 30
    assert taken.period.tolist() == [2, 2, 0]
    assert taken.periodicity.tolist() == [1, 1, 0]


@pytest.mark.parametrize(
    ('look', 'places', 'expected'),
    [
        pytest.param(
            Look(bars=(2, 3, 0, 0)), [(1, 9), (2, 9), (28, 9), (29, 9)], [0, 100, 100, 0], id='rows'
        ),
        pytest.param(
            Look(bars=(0, 0, 2, 3)),
            [(9, 1), (9, 2), (9, 28), (9, 29)],
            [0, 100, 100, 0],
            id='columns',
        ),
        pytest.param(
            Look(tones=np.full((1, 256, 3), 7, np.uint8)), [(9, 9), (31, 0)], [7, 7], id='tones'
        ),
        # (100 + 100 + 100) / 2 in each color
        pytest.param(Look(colors=np.full((3, 3), 0.5)), [(9, 9)], [150], id='colors'),
    ],
)
def test_look_changes_frames(scene: Scene, look: Look, places: list, expected: list) -> None:
    frame = replace(scene, look=look).render()[0]
    assert [frame[place].tolist() for place in places] == [[value] * 3 for value in expected]


@pytest.mark.parametrize('look', [Look(blur_px=1.5), Look(jpeg_quality=10)], ids=['blur', 'jpeg'])
def test_lens_and_codec_lose_detail(scene: Scene, look: Look) -> None:
    rng = np.random.default_rng(0)
    noisy = replace(scene, backgrounds=(rng.integers(0, 255, (48, 48, 3), dtype=np.uint8),) * 2)
    sharp, soft = (np.float64(replace(noisy, look=one).render()) for one in (Look(), look))
    # close to the picture, with less of its noise
    assert np.abs(np.diff(soft, axis=2)).mean() < 0.8 * np.abs(np.diff(sharp, axis=2)).mean()
    assert abs(soft.mean() - sharp.mean()) < 4
