import numpy as np
import pytest

from mmotion.keypoints.drawing import MIDDLE, RIGHT, draw_people, point_color
from mmotion.keypoints.poses import Person
from mmotion.keypoints.skeletons import FIGURE, SKELETONS, Skeleton
from mmotion.visualization.drawing import ACTIVE

ARMS = Skeleton('arms', ('left_hand', 'neck', 'right_hand'), ((0, 1), (1, 2)), (2, 1, 0))


def make_person(points, scores=(1.0, 1.0, 1.0)) -> Person:
    return Person(keypoints=np.array(points, np.float32), scores=np.array(scores), score=1.0)


def draw(*people: Person, scale: float = 4.0) -> np.ndarray:
    """Every 4th pixel of a picture that is 4 times as large as the video of 100 x 200 pixels."""
    image = np.zeros((400, 800, 3), np.uint8)
    draw_people(image, people, ARMS, scale=scale)
    return image[::4, ::4]


def test_sides_have_colors_of_their_own():
    image = draw(make_person([(150, 50), (100, 50), (50, 50)]))
    assert tuple(image[50, 125]) == ACTIVE
    assert tuple(image[50, 75]) == RIGHT
    assert tuple(image[50, 100]) == MIDDLE
    assert not image[60].any()


def test_scale_enlarges():
    image = draw(make_person([(75, 25), (50, 25), (25, 25)]), scale=8.0)
    np.testing.assert_array_equal(image, draw(make_person([(150, 50), (100, 50), (50, 50)])))


@pytest.mark.parametrize(
    'hand',
    [
        pytest.param(((np.nan, np.nan), 0.0), id='missing'),
        pytest.param(((150, 50), 0.05), id='hardly seen'),
    ],
)
def test_a_point_that_is_not_there_has_no_bone(hand):
    place, score = hand
    image = draw(make_person([place, (100, 50), (50, 50)], (score, 1.0, 1.0)))
    assert not image[:, 105:].any()
    assert image[50, 75].any()


def test_what_is_less_certain_is_darker():
    sure, unsure = (
        draw(make_person([(150, 50), (100, 50), (50, 50)], (score, 1.0, 1.0)))
        for score in (0.9, 0.3)
    )
    assert 0 < unsure[50, 125].sum() < sure[50, 125].sum()


def test_nobody_and_somebody_far_outside_are_no_error():
    assert not draw().any()
    assert not draw(make_person([(1e9, -1e9), (1e9, -1e9), (1e9, -1e9)])).any()


def test_several_people_are_drawn():
    low = make_person([(150, 80), (100, 80), (50, 80)])
    image = draw(make_person([(150, 20), (100, 20), (50, 20)]), low)
    assert image[20, 125].any()
    assert image[80, 125].any()


@pytest.mark.parametrize('skeleton', SKELETONS.values(), ids=SKELETONS)
def test_every_skeleton_has_both_colors(skeleton):
    colors = {point_color(skeleton, *edge) for edge in skeleton.edges}
    assert {ACTIVE, RIGHT} <= colors <= {ACTIVE, RIGHT, MIDDLE}


def test_a_bone_to_the_middle_has_the_color_of_its_side():
    points = FIGURE.points
    neck, shoulder = points.index('neck'), points.index('left_shoulder')
    assert point_color(FIGURE, neck, shoulder) == ACTIVE
    assert point_color(FIGURE, points.index('left_hip'), points.index('right_hip')) == MIDDLE
