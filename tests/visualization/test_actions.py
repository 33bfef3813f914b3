import dataclasses

import cv2
import numpy as np
import pytest

from mmotion.regions import Region, RegionResults
from mmotion.structures.actions import ActionScores
from mmotion.video import VideoFrame, inspect_video, read_frames
from mmotion.visualization import draw_result, make_caption, make_painter, plot_result
from mmotion.visualization.actions import (
    HeatMap,
    blend_heat,
    draw_heat,
    join_views,
    plot_heat,
)
from mmotion.visualization.drawing import ACTIVE


@pytest.fixture
def result():
    """40 frames: walking for 3 of 4 s, then sitting."""
    return ActionScores(
        classes=('sit', 'walk', 'run'),
        scores=[0.3, 0.6, 0.1],
        views='4 windows',
        fps=10.0,
        num_frames=40,
        window_start_s=np.arange(4.0),
        window_end_s=np.arange(1.0, 5.0),
        window_scores=[[0.1, 0.8, 0.1], [0.0, 0.9, 0.1], [0.1, 0.7, 0.2], [0.8, 0.1, 0.1]],
        min_score=0.5,
    )


def find(image, color, tolerance=2):
    return np.abs(image.astype(int) - color).max(axis=-1) <= tolerance


def read_png(path):
    image = cv2.imread(str(path))
    assert image is not None
    return image


@pytest.mark.parametrize(
    'size', [pytest.param((256, 256), id='256 px'), pytest.param((1080, 1920), id='full HD')]
)
def test_painter_shows_labels_and_timeline(result, size):
    frame = np.full((*size, 3), 200, np.uint8)
    painted = make_painter(result)(frame, 5)
    height, width = size
    assert painted.shape[1] == width and painted.dtype == np.uint8
    # the picture is as it was, and the strip below it is small
    assert (frame == 200).all()
    np.testing.assert_array_equal(painted[:height], frame)
    assert 1.1 * height < len(painted) < 1.27 * height


def test_painter_shows_the_moment(result):
    frame = np.zeros((300, 300, 3), np.uint8)
    walking, sitting = (make_painter(result)(frame, index)[300:] for index in (5, 35))
    # the most frequent class has the first color: its name is written while it goes on
    assert find(walking[:28], ACTIVE).sum() > 100
    assert find(sitting[:28], ACTIVE).sum() == 0
    # three quarters of the timeline
    covered = find(walking[-15:], ACTIVE).any(axis=0)
    assert covered.nonzero()[0].max() == pytest.approx(222, abs=3)


def test_a_second_class_is_said_where_it_is_nearly_as_likely(result, monkeypatch):
    written = []
    monkeypatch.setattr(
        'mmotion.visualization.drawing.write_text', lambda *args: written.append(args[1])
    )
    close = dataclasses.replace(result, window_scores=[[0.3, 0.6, 0.1]] * 4)
    for scores in (result, close):
        make_painter(scores)(np.zeros((300, 600, 3), np.uint8), 5)
    said = [text for text in written if text not in ('walk', 'sit', 'run', '')]
    assert said == ['sure: 80 %', 'sure: 60 %', 'perhaps sit']


def test_painter_names_more_classes_than_colors():
    many = ActionScores(
        classes=[f'class {i}' for i in range(30)],
        scores=np.full(30, 1 / 30),
        views='30 windows',
        fps=1.0,
        num_frames=30,
        window_start_s=np.arange(30),
        window_end_s=np.arange(1, 31),
        window_scores=np.eye(30),
    )
    assert make_painter(many)(np.zeros((256, 256, 3), np.uint8), 29).any()


def test_draw_result_writes_each_frame(result, tmp_path):
    draw_result(np.zeros((40, 48, 64, 3), np.uint8), result, tmp_path / 'overlay.mp4')
    assert inspect_video(tmp_path / 'overlay.mp4').num_frames == 40


def test_caption_is_the_class_of_the_moment(result):
    assert make_caption(result, 0) == ('walk', True)
    assert make_caption(result, 39) == ('sit', True)


@pytest.mark.parametrize('truth', [None, 0])
def test_plot(result, tmp_path, truth):
    plot_result(result, tmp_path / 'new' / 'plot.png', title='clip', truth=truth)
    assert read_png(tmp_path / 'new' / 'plot.png').shape == (720, 1080, 3)


def test_regions_are_drawn_and_plotted(result, tmp_path):
    region = Region(name='left', boxes_xyxy=[[10, 60, 100, 200]])
    results = RegionResults(
        regions=[region], results=[result], fps=10.0, frames=np.arange(40), start_s=0.0,
        width=300, height=200,
    )  # fmt: skip
    assert make_painter(results)(np.zeros((200, 300, 3), np.uint8), 0).any()
    plot_result(results, tmp_path / 'plot.png')
    assert read_png(tmp_path / 'plot.png').std() > 5


# where a model looks


def test_blend_colors_what_is_hot():
    image = np.full((64, 96, 3), 100, np.uint8)
    heat = np.zeros((4, 6))
    heat[1, 4] = 1
    blended = blend_heat(image, heat).astype(int)
    assert blended.shape == image.shape and (image == 100).all()
    # yellow where it is hot, and blue elsewhere
    assert blended[24, 72, 0] > blended[24, 72, 2] + 40
    assert blended[24, 8, 2] > blended[24, 8, 0]


def test_views_are_laid_where_they_were_cropped():
    # three crops of 8x8 in a frame of 8x16: left, right, middle; two frames
    maps = np.zeros((3, 2, 1, 1))
    maps[:, 0, 0, 0] = [1, 3, 2]
    boxes = np.array([[0, 0, 8, 8], [8, 0, 16, 8], [4, 0, 12, 8]]).repeat(2, axis=0)
    joined = join_views(maps, boxes, num_clips=1, size=(8, 16), scale=0.5)
    assert joined.shape == (2, 4, 8)
    # where two crops overlap, their mean; 3 is the largest
    np.testing.assert_allclose(joined[0, 0], np.repeat([1, 1.5, 2.5, 3], 2) / 3, rtol=1e-6)
    assert not joined[1].any()


def test_views_of_several_clips():
    # crops first, then clips, then frames
    maps = np.arange(8.0).reshape(4, 2, 1, 1)
    boxes = np.array([[0, 0, 8, 8], [8, 0, 16, 8]]).repeat(4, axis=0)
    joined = join_views(maps, boxes, num_clips=2, size=(8, 16), scale=1 / 8)
    np.testing.assert_allclose(joined[:, 0] * 7, [[0, 4], [1, 5], [2, 6], [3, 7]], rtol=1e-6)


def test_a_centre_crop_has_one_box():
    joined = join_views(
        np.array([2.0, 6.0]).reshape(1, 2, 1, 1),
        np.array([[4, 0, 12, 8]]),
        num_clips=1,
        size=(8, 16),
        scale=0.5,
    )
    np.testing.assert_array_equal(joined[:, 0].max(axis=1), [0, 1])
    np.testing.assert_array_equal(joined[1, 0], [0, 0, 1, 1, 1, 1, 0, 0])


def test_views_without_contrast():
    joined = join_views(np.ones((1, 2, 3, 3)), np.array([[0, 0, 8, 8]]), num_clips=1, size=(8, 8))
    assert not joined.any()


def test_heat_changes_steadily_between_frames(tmp_path):
    frames = [
        VideoFrame(index=number, time_s=number / 10, image=np.zeros((256, 256, 3), np.uint8))
        for number in range(2, 12)
    ]
    heat = [HeatMap(3, np.zeros((2, 2))), HeatMap(5, np.ones((2, 2))), HeatMap(9, np.zeros((2, 2)))]
    draw_heat(iter(frames), iter(heat), tmp_path / 'heat.mp4', fps=10.0)
    images = read_frames(tmp_path / 'heat.mp4', range(10))
    yellow = images[..., 1].mean(axis=(1, 2)) > images[..., 2].mean(axis=(1, 2))
    # hot from more than half on: frames 5 and 6
    assert yellow.tolist() == [False, False, False, True, True, False, False, False, False, False]


def test_plot_heat(tmp_path):
    images = [np.full((60, 80, 3), 120, np.uint8)] * 4
    heat = [HeatMap(index, np.full((2, 2), index / 3)) for index in range(4)]
    plot_heat(images, heat, tmp_path / 'heat.png', title='clip')
    image = read_png(tmp_path / 'heat.png')
    assert image.shape[1] > 2 * image.shape[0]
