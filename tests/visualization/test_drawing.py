import numpy as np
import pytest

from mmotion.video.writer import MAX_SIDE_PX
from mmotion.visualization.drawing import (
    DARK,
    INK,
    WHITE,
    Span,
    Timeline,
    add_strip,
    darken,
    draw_arc,
    draw_bar,
    draw_timeline,
    enlarge,
    list_colors,
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
        pytest.param((240, 320), (240, 320), id='240p'),
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
        pytest.param([50, 2, 150, 60], 60, id='below, where the picture ends'),
        pytest.param([50, 2, 150, 98], 92, id='inside at the foot'),
    ],
)
def test_outline_of_a_box(box, label_top):
    image = np.full((100, 200, 3), 100, np.uint8)
    outline_box(image, np.array(box, float), 'name: 3', WHITE)
    left, top, right, bottom = box
    assert (image[top : bottom - 10, right - 1] == 255).all()
    # the ground of the label is darker than the picture
    rows, _ = np.nonzero((image < 100).all(axis=-1))
    assert rows.min() == pytest.approx(label_top, abs=2)
    assert (image[50, left + 10 : right - 10] == 100).all()


def test_a_timeline_shows_stretches_and_how_much_is_over(image):
    image[:] = 200
    red = (255, 0, 0)
    timeline = Timeline([Span(12.0, 14.5, '', red)], 10.0, 20.0)
    draw_timeline(image, timeline, 0.75, top=40, thickness=20)
    # from 10 to 190 px: 18 px a second
    np.testing.assert_array_equal(np.flatnonzero((image[45] == red).all(1))[[0, -1]], [46, 91])
    np.testing.assert_array_equal(np.flatnonzero((image[45] == WHITE).all(1))[[0, -1]], [142, 147])
    assert (image[45, [9, 191]] == 200).all() and (image[45, [10, 190]] == DARK).all()
    rows = np.flatnonzero((image[:, 11] == DARK).all(1))
    np.testing.assert_array_equal(rows[[0, -1]], [40, 60])


def test_a_stretch_of_a_timeline_has_a_name_where_there_is_room(image):
    pictures = []
    for name, end_s in (('', 5.0), ('walk', 5.0), ('', 0.1), ('walk', 0.1)):
        picture = image.copy()
        timeline = Timeline([Span(0.0, end_s, name, (0, 0, 255))], 0.0, 10.0)
        draw_timeline(picture, timeline, 1.0, top=40, thickness=20)
        pictures.append(picture)
    assert (pictures[0] != pictures[1]).any()
    np.testing.assert_array_equal(pictures[2], pictures[3])


@pytest.mark.parametrize(
    ('size', 'num_lines'),
    [
        pytest.param((240, 320), 1, id='240p'),
        pytest.param((2160, 3840), 1, id='4K'),
        pytest.param((640, 360), 2, id='upright'),
    ],
)
def test_a_strip_is_below_the_picture_and_readable(size, num_lines):
    picture = np.full((*size, 3), 200, np.uint8)
    timeline = Timeline([Span(0.0, 1.0, '', (255, 0, 0))], 0.0, 2.0)
    drawn = add_strip(picture, [('Repetitions 12', WHITE), ('resting', WHITE)], timeline, dial=0.5)
    height, width = size
    np.testing.assert_array_equal(drawn[:height], picture)
    strip = drawn[height:]
    assert len(strip) == pytest.approx((9 * num_lines + 5.5) * min(size) / 100, abs=1)
    # letters of at least 10 pixels
    line = strip[: round(0.09 * min(size)), width // 8 : width // 3]
    rows = np.flatnonzero((line > 200).all(-1).any(1))
    assert np.ptp(rows) + 1 >= max(10, 0.042 * min(size))
    # only words need fewer rows, and a strip never makes a picture too large for a video
    assert len(add_strip(picture, [('word', WHITE)])) < len(drawn)
    tall = np.zeros((MAX_SIDE_PX, 8, 3), np.uint8)
    for room in (0, 1, 2):
        drawn = add_strip(tall[: MAX_SIDE_PX - room], [('word', WHITE)])
        assert MAX_SIDE_PX - room <= len(drawn) <= MAX_SIDE_PX


def test_letters_of_other_languages_are_written(image):
    pictures = []
    for text in ('Ж', 'é', '?'):
        picture = image.copy()
        write_text(picture, text, (50, 80), 40, WHITE, 200)
        pictures.append(picture)
    assert (pictures[0] != pictures[1]).any() and (pictures[0] != pictures[2]).any()


def test_text_beyond_the_image_is_left_out(image):
    for place in ((-20, 60), (190, 60), (50, 5), (50, 120), (500, 500), (-500, -500)):
        write_text(image, 'word', place, 30, WHITE, 200)
    assert image.any()


def test_colors_are_all_different():
    assert len(set(list_colors(28))) == 28
    assert not {WHITE, INK} & set(list_colors(28))
