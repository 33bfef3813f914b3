import cv2
import numpy as np
import pytest

from mmotion.structures import RepetitionCount
from mmotion.video import VideoError, VideoWriter, inspect_video, read_frames
from mmotion.visualization import (
    ACTIVE,
    MIN_SIDE_PX,
    draw_result,
    make_painter,
    plot_result,
    plot_similarity,
)


@pytest.fixture
def result():
    """Nothing repeats in the first half of 40 frames; 4 repetitions in the other."""
    rate = np.repeat([0, 0.2], 20)
    return RepetitionCount.from_rates(
        rate, np.repeat([0.1, 0.9], 20), fps=10.0, confidence=0.5, stride=1
    )


@pytest.fixture
def still():
    return RepetitionCount.from_rates(
        np.zeros(40), np.zeros(40), fps=10.0, confidence=0.0, stride=1
    )


def read_png(path):
    image = cv2.imread(str(path))
    assert image is not None
    return image


def count_active(image):
    """Pixels in the color of what repeats."""
    return int((np.abs(image.astype(int) - ACTIVE).max(axis=-1) < 40).sum())


# on the video


@pytest.mark.parametrize(
    'size',
    [
        pytest.param((256, 256), id='256 px'),
        pytest.param((257, 455), id='odd size'),
        pytest.param((640, 360), id='upright'),
        pytest.param((2160, 3840), id='4K'),
    ],
)
def test_painter_scales_with_the_frame(result, size):
    frame = np.full((*size, 3), 200, np.uint8)
    painted = make_painter(result)(frame, 34)
    assert painted.shape == frame.shape and painted.dtype == np.uint8
    # the frame itself is left alone
    assert (frame == 200).all()
    changed = (painted != 200).any(axis=-1)
    side = min(size)
    # the dial is above, the timeline below, and the middle is free
    assert changed[: side // 3, : 2 * side // 3].mean() > 0.5
    assert changed[-side // 10 :].mean() > 0.3
    assert not changed[side // 3 : -side // 10].any()


def test_painter_shows_progress(result):
    paint = make_painter(result)
    frame = np.zeros((300, 300, 3), np.uint8)
    # 0.2, 0.4, 0.6, 0.8 and 1.0 of a cycle, in the dial alone
    filled = [count_active(paint(frame, 20 + i)[:90, :90]) for i in range(5)]
    assert filled[0] < filled[1] < filled[2] < filled[3]
    assert filled[4] < 10
    # and nothing in the color of repetition before it starts
    assert count_active(paint(frame, 10)[:90]) == 0


def test_painter_marks_the_segments_on_the_timeline(result, still):
    frame = np.zeros((300, 400, 3), np.uint8)
    below = make_painter(result)(frame, 5)[-30:]
    left, right = count_active(below[:, :195]), count_active(below[:, 205:])
    assert left == 0 and right > 1000
    assert count_active(make_painter(still)(frame, 5)) == 0


@pytest.mark.parametrize('source', ['file', 'frames'])
def test_draw_result_writes_each_frame(result, tmp_path, source):
    frames = np.full((40, 48, 64, 3), 120, np.uint8)
    video = frames
    if source == 'file':
        video = tmp_path / 'grey.mp4'
        with VideoWriter(video, fps=10.0) as writer:
            for frame in frames:
                writer.write(frame)
    out = tmp_path / 'out' / 'overlay.mp4'
    draw_result(video if source == 'file' else iter(video), result, out)
    info = inspect_video(out)
    # 48 x 64 is enlarged six-fold to at least 256
    assert (info.num_frames, info.fps, info.height, info.width) == (40, 10.0, 288, 384)
    assert info.height >= MIN_SIDE_PX
    last = read_frames(out, [39])[0]
    assert count_active(last) > 500
    assert abs(int(last[150, 200].mean()) - 120) < 6


def test_draw_result_starts_where_the_result_starts(tmp_path):
    path, out = tmp_path / 'levels.mp4', tmp_path / 'overlay.mp4'
    with VideoWriter(path, fps=10.0) as writer:
        for level in range(40, 240, 10):
            writer.write(np.full((256, 256, 3), level, np.uint8))
    part = RepetitionCount.from_rates(
        np.zeros(5), np.zeros(5), fps=10.0, confidence=0.0, stride=1, start_s=1.0
    )
    draw_result(path, part, out)
    images = read_frames(out, range(5))
    np.testing.assert_allclose(images[:, 150, 150].mean(-1), range(140, 190, 10), atol=5)


def test_draw_result_of_too_few_frames(result, tmp_path):
    with pytest.raises(ValueError, match='must have the 40 frames of its result, got 39'):
        draw_result(np.zeros((39, 256, 256, 3), np.uint8), result, tmp_path / 'out.mp4')
    assert list(tmp_path.iterdir()) == []


def test_draw_result_of_a_missing_file(result, tmp_path):
    with pytest.raises((VideoError, FileNotFoundError), match=r'none\.mp4'):
        draw_result(tmp_path / 'none.mp4', result, tmp_path / 'out.mp4')


def test_what_cannot_be_drawn():
    with pytest.raises(TypeError, match='can be drawn, got dict; register a function'):
        make_painter({})
    with pytest.raises(TypeError, match='can be plotted, got dict; register a function'):
        plot_result({}, 'plot.png')


# plots


@pytest.mark.parametrize('name', ['result', 'still'])
def test_plot_result(request, tmp_path, name):
    path = tmp_path / 'new' / 'plot.png'
    plot_result(request.getfixturevalue(name), path, title='clip', truth=4)
    image = read_png(path)
    assert image.shape == (720, 1080, 3)
    # shaded where something repeats
    shaded = (image == image[image.shape[0] // 4, -200]).all(axis=-1)
    assert (name == 'result') == (0.05 < shaded.mean() < 0.5)
    assert [file.name for file in path.parent.iterdir()] == ['plot.png']


def test_plot_similarity(tmp_path):
    frames = np.arange(64)
    matrix = np.exp(np.cos((frames[:, None] - frames) * 2 * np.pi / 16))
    plot_similarity(matrix / matrix.sum(1, keepdims=True), tmp_path / 'matrix.png', frame_s=0.1)
    assert read_png(tmp_path / 'matrix.png').std() > 40


def test_plot_similarity_of_another_shape(tmp_path):
    with pytest.raises(ValueError, match=r'square \(T, T\), got shape=\(3, 4\)'):
        plot_similarity(np.zeros((3, 4)), tmp_path / 'matrix.png')
