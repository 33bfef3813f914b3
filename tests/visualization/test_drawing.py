import numpy as np
import pytest

from mmotion.visualization.drawing import (
    WHITE,
    darken,
    draw_arc,
    draw_bar,
    draw_timeline,
    enlarge,
    outline_box,
    write_text,
)


@pytest.fixture
def image():
    return np.zeros((100, 200, 3), np.uint8)


def drawn(image):
    """Left, top, right and bottom edge of what is not black."""
    rows, columns = np.nonzero(image.any(axis=-1))
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


@pytest.mark.parametrize(
    ('size', 'enlarged'),
    [
        pytest.param((64, 64), (256, 256), id='4 times'),
        pytest.param((100, 130), (300, 390), id='a whole number of times'),
        pytest.param((256, 300), (256, 300), id='large enough'),
        pytest.param((8, 8000), (16, 16000), id='as long as x264 takes'),
        pytest.param((8, 20000), (8, 20000), id='longer than that'),
    ],
)
def test_enlarge(size, enlarged):
    assert enlarge(np.zeros((*size, 3), np.uint8)).shape == (*enlarged, 3)


def test_darken():
    image = np.full((10, 10, 3), 200, np.uint8)
    darken(image, 2, 3, 4, 100)
    assert (image[3:, 2:6] == 50).all()
    assert (image == 50).mean() == 0.28


def test_bar_fills_its_part(image):
    draw_bar(image, 10, 20, 100, 6, 0.5, WHITE)
    assert drawn(image) == [10, 20, 61, 27]
    draw_bar(image, 0, 0, 100, 6, 0.0, WHITE)
    assert drawn(image) == [10, 20, 61, 27]


def test_arc_goes_clockwise_from_the_top(image):
    draw_arc(image, (100, 50), 30, 0.0, WHITE, 2)
    assert not image.any()
    draw_arc(image, (100, 50), 30, 0.25, WHITE, 2)
    assert drawn(image) == pytest.approx([100, 20, 130, 50], abs=3)


def test_text_is_as_high_as_wanted_or_as_wide_as_may_be(image):
    write_text(image, 'AAA', (10, 60), 30, WHITE, 200)
    left, top, _, bottom = drawn(image)
    assert (left, bottom) == pytest.approx((10, 60), abs=3)
    assert 30 <= top <= 40
    image[:] = 0
    write_text(image, 'AAAAAAAAAA', (10, 60), 30, WHITE, 100)
    assert drawn(image)[2] <= 112


@pytest.mark.parametrize(
    ('box', 'label_top'),
    [
        pytest.param([50, 40, 150, 90], 30, id='above'),
        pytest.param([50, 2, 150, 90], 2, id='inside, where the picture ends'),
    ],
)
def test_outline_of_a_box(box, label_top):
    image = np.full((100, 200, 3), 100, np.uint8)
    outline_box(image, np.array(box, float), 'name: 3', 1.0, WHITE)
    left, top, right, bottom = box
    assert (image[bottom - 1, left:right] == 255).all()
    assert (image[top:bottom, right - 1] == 255).all()
    # the ground of the label is darker than the picture
    rows, _ = np.nonzero((image < 100).all(axis=-1))
    assert rows.min() == pytest.approx(label_top, abs=2)
    assert (image[60, left + 10 : right - 10] == 100).all()


def test_a_timeline_shows_stretches_and_how_much_is_over(image):
    image[:] = 200
    red = (255, 0, 0)
    draw_timeline(
        image,
        [(12.0, 14.5, '', red)],
        start_s=10.0,
        duration_s=10.0,
        part=0.75,
        margin=10,
        rise=20,
        thickness=5,
    )
    # from 10 to 190 px: 18 px a second
    np.testing.assert_array_equal(np.flatnonzero((image[82] == red).all(1))[[0, -1]], [46, 91])
    np.testing.assert_array_equal(np.flatnonzero((image[82] == WHITE).all(1)), [144, 145])
    strip = image[82]
    assert (strip[[8, 191]] == 200).all() and (strip[[9, 190]] == 50).all()
    rows = np.flatnonzero((image[:, 11] == 50).all(1))
    np.testing.assert_array_equal(rows[[0, -1]], [79, 85])


def test_a_stretch_of_a_timeline_has_a_name_where_there_is_room(image):
    pictures = []
    for name, end_s in (('', 5.0), ('walk', 5.0), ('', 0.1), ('walk', 0.1)):
        picture = image.copy()
        where = dict(start_s=0.0, duration_s=10.0, part=1.0, margin=3, rise=10, thickness=6)
        draw_timeline(picture, [(0.0, end_s, name, (0, 0, 255))], **where)
        pictures.append(picture)
    assert (pictures[0] != pictures[1]).any()
    np.testing.assert_array_equal(pictures[2], pictures[3])
