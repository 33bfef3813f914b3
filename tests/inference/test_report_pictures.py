import base64
import json
from xml.etree.ElementTree import tostring

import cv2
import numpy as np
import pytest

from mmotion.inference.report_pictures import draw_curve, find_curves, make_pictures
from mmotion.video.pictures import write_picture
from mmotion.video.writer import VideoWriter


def decode(element):
    """The images of a figure (H, W, 3)."""
    for image in element:
        content = base64.b64decode(image.get('src').partition(',')[2])
        yield cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)


@pytest.fixture
def video(tmp_path):
    """Twelve frames that get brighter, 640 pixels wide."""
    with VideoWriter(tmp_path / 'clip.mp4', fps=10.0) as writer:
        for level in range(12):
            writer.write(np.full((320, 640, 3), 20 * level, np.uint8))
    return tmp_path / 'clip.mp4'


@pytest.fixture
def plot(tmp_path):
    write_picture(tmp_path / 'plot.png', np.random.default_rng(0).integers(
        0, 255, (300, 400, 3)).astype(np.uint8))  # fmt: skip
    return tmp_path / 'plot.png'


def test_stills_are_evenly_spaced_and_small(video, plot, tmp_path):
    broken = tmp_path / 'broken.mp4'
    broken.write_bytes(b'no video')
    stills, plots = make_pictures([tmp_path / 'gone.mp4', broken, video], [plot], 10_000_000)
    images = list(decode(stills))
    assert [image.shape for image in images] == [(240, 480, 3)] * 6
    levels = [image.mean() for image in images]
    assert levels == pytest.approx([20, 60, 100, 140, 180, 220], abs=4)
    # a plot is as it was
    (image,) = plots
    assert (
        image.get('src') == f'data:image/png;base64,{base64.b64encode(plot.read_bytes()).decode()}'
    )


def test_pictures_get_smaller_until_they_fit(video, plot):
    sizes = []
    for max_bytes in (10_000_000, 300_000, 60_000):
        figures = make_pictures([video], [plot], max_bytes)
        assert sum(len(image.get('src')) for figure in figures for image in figure) <= max_bytes
        sizes.append([next(decode(figure)).shape[1] for figure in figures])
    assert sizes[0] == [480, 400]
    assert sizes[0] > sizes[1] > sizes[2]
    assert make_pictures([video], [plot], 100) == []
    assert make_pictures([], [], 100) == []


def test_curves_are_found_in_what_was_written(tmp_path):
    frames = {'fps': 2.0, 'start_s': 1.0, 'count_per_frame': [0, 1, 2], 'x_per_frame': [None] * 3}
    (curve,) = find_curves(frames)
    assert curve.name == 'count'
    assert curve.times_s.tolist() == [1.0, 1.5, 2.0] and curve.values.tolist() == [0, 1, 2]
    (curve,) = find_curves({**frames, 'frame_times_s': [0, 4, 5]})
    assert curve.times_s.tolist() == [0, 4, 5]
    top = [{'label': 'sit', 'score': 0.75}, {'label': 'run', 'score': 0.25}]
    for window in ({'score': 0.75}, {'top': top}):
        (curve,) = find_curves({'timeline': [{'start_s': 0.0, 'end_s': 2.0, **window}]})
        assert (curve.times_s.tolist(), curve.values.tolist()) == ([1.0], [0.75])
    assert find_curves(json.loads('{"keypoints": [[1, 2]], "fps": 3.0}')) == []


def test_a_curve_has_gaps_where_there_is_nothing():
    values = [0.0, 1.0, None, 2.0, 2.0]
    (curve,) = find_curves({'fps': 1.0, 'period_s_per_frame': values})
    figure = draw_curve(curve)
    assert figure.find('figcaption').text == 'period s: 0 to 2, from 0.0 s to 4.0 s'
    lines = [line.get('points') for line in figure.iter('polyline')]
    assert lines == ['0.0,118.0 200.0,60.0', '600.0,2.0 800.0,2.0']
    # of a long video it has no more points than can be seen
    (curve,) = find_curves({'fps': 30.0, 'count_per_frame': list(range(100_000))})
    assert len(tostring(draw_curve(curve))) < 8000
    (curve,) = find_curves({'fps': 30.0, 'count_per_frame': [0]})
    assert 'nan' not in tostring(draw_curve(curve)).decode()
