import dataclasses
import os

import av
import cv2
import numpy as np
import pytest

from mmotion.regions import Region, RegionResults
from mmotion.video import VideoError, VideoWriter, inspect_video, read_frames
from mmotion.visualization import (
    draw_result,
    make_caption,
    make_painter,
    plot_result,
    plot_row,
    plot_similarity,
)
from mmotion.visualization.drawing import ACTIVE, GREY, MIN_SIDE_PX
from projects.repnet.results import RepetitionCount


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
    height, width = size
    assert painted.shape[1:] == (width, 3) and painted.dtype == np.uint8
    # nothing is drawn on the picture, and the frame itself is left alone
    assert (frame == 200).all()
    np.testing.assert_array_equal(painted[:height], frame)
    assert len(painted) - height < 0.26 * min(size)


def test_painter_shows_progress(result):
    paint = make_painter(result)
    frame = np.zeros((300, 300, 3), np.uint8)
    # 0.2, 0.4, 0.6, 0.8 and 1.0 of a cycle, in the dial alone
    filled = [count_active(paint(frame, 20 + i)[300:328, :30]) for i in range(5)]
    assert filled[0] < filled[1] < filled[2] < filled[3]
    assert filled[4] < 10
    # and nothing in the color of repetition before it starts
    assert count_active(paint(frame, 10)[300:328]) == 0


def test_painter_marks_the_segments_on_the_timeline(result, still):
    frame = np.zeros((300, 400, 3), np.uint8)
    below = make_painter(result)(frame, 5)[-15:]
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
    # 48 x 64 is enlarged five-fold to at least 240, and a strip is below
    assert (info.num_frames, info.fps, info.height, info.width) == (40, 10.0, 276, 320)
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


@pytest.mark.parametrize('fps', [10.0, 5.0], ids=['its own rate', 'another rate'])
def test_a_copy_keeps_the_sound_and_stays_small(result, tmp_path, fps):
    """Copies of real videos were up to 15 times as large as these, and silent."""
    frames = np.random.default_rng(0).integers(0, 256, (40, 24, 32, 3)).astype(np.uint8)
    frames = frames.repeat(10, axis=1).repeat(10, axis=2)
    video, out = tmp_path / 'noise.mp4', tmp_path / 'overlay.mp4'
    with av.open(str(video), 'w') as container:
        stream = container.add_stream('libx264', rate=10, options={'crf': '40'})
        stream.width, stream.height, stream.pix_fmt = 320, 240, 'yuv420p'
        sound = container.add_stream('aac', rate=48_000, layout='mono')
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format='rgb24')))
        container.mux(stream.encode(None))
        for number in range(4 * 48_000 // 1024):
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), 'fltp', 'mono')
            silence.sample_rate, silence.pts = 48_000, 1024 * number
            container.mux(sound.encode(silence))
        container.mux(sound.encode(None))
    draw_result(video, dataclasses.replace(result, fps=fps), out)
    assert out.stat().st_size < 2 * video.stat().st_size
    with av.open(str(out)) as container:
        assert len(container.streams.audio) == (fps == 10.0)


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


def test_a_name_with_dollars_is_no_formula(result, tmp_path):
    # what stands between two $ would be read as a formula, and an open brace is an error there
    title = 'clip $\\frac{$ 2'
    plot_result(result, tmp_path / 'plot.png', title=title)
    plot_similarity(np.eye(4), tmp_path / 'matrix.png', title=title)
    assert read_png(tmp_path / 'plot.png').shape == (720, 1080, 3)


def test_a_name_that_is_no_text_is_shown_as_far_as_it_is(result, tmp_path):
    plot_result(result, tmp_path / 'plot.png', title=os.fsdecode(b'clip\xff'))
    plot_result(result, tmp_path / 'same.png', title='clip?')
    assert (tmp_path / 'plot.png').read_bytes() == (tmp_path / 'same.png').read_bytes()


def test_a_long_and_narrow_video_is_drawn_on(result, tmp_path):
    draw_result(iter(np.zeros((40, 8, 8000, 3), np.uint8)), result, tmp_path / 'overlay.mp4')
    info = inspect_video(tmp_path / 'overlay.mp4')
    assert (info.num_frames, info.height, info.width) == (40, 18, 16000)


def test_plot_similarity(tmp_path):
    frames = np.arange(64)
    matrix = np.exp(np.cos((frames[:, None] - frames) * 2 * np.pi / 16))
    plot_similarity(matrix / matrix.sum(1, keepdims=True), tmp_path / 'matrix.png', frame_s=0.1)
    assert read_png(tmp_path / 'matrix.png').std() > 40


def test_plot_similarity_of_another_shape(tmp_path):
    with pytest.raises(ValueError, match=r'square \(T, T\), got shape=\(3, 4\)'):
        plot_similarity(np.zeros((3, 4)), tmp_path / 'matrix.png')


# regions


def find_color(image, color):
    """Left, top, right and bottom pixel of a color."""
    rows, columns = np.nonzero(np.abs(image.astype(int) - color).max(axis=-1) < 40)
    return np.array([columns.min(), rows.min(), columns.max(), rows.max()])


@pytest.fixture
def make_regions():
    """Results of a video of 300 x 200 pixels, of which frames 10 to 49 were watched."""

    def make(**results):
        places = {
            'fixed': Region(name='fixed', boxes_xyxy=[[20, 60, 120, 160]]),
            'track': Region(
                name='track', boxes_xyxy=[[150, 80, 190, 150], [200, 80, 240, 150]], frames=[10, 49]
            ),
        }
        return RegionResults(
            regions=[places[name] for name in results],
            results=list(results.values()),
            fps=10.0,
            frames=np.arange(10, 50),
            start_s=1.0,
            width=300,
            height=200,
        )

    return make


@pytest.mark.parametrize('scale', [1, 3])
def test_painter_outlines_each_region(make_regions, result, still, scale):
    frame = np.zeros((200 * scale, 300 * scale, 3), np.uint8)
    paint = make_painter(make_regions(fixed=still, track=result))
    for index, right in ((24, 221), (39, 240)):
        painted = paint(frame, index)
        assert not frame.any() and painted.shape == frame.shape
        grey, active = find_color(painted, GREY), find_color(painted, ACTIVE)
        assert grey[[0, 3]] == pytest.approx([20 * scale, 160 * scale], abs=3 * scale)
        assert active[3] == pytest.approx(150 * scale, abs=3 * scale)
        # the label, which stands above, may be wider than the box
        assert 60 * scale < active[1] < 78 * scale
        box = find_color(painted[100 * scale :], ACTIVE)
        assert box[[0, 2]] == pytest.approx([(right - 40) * scale, right * scale], abs=3 * scale)


def test_caption_is_the_running_count(result):
    assert [make_caption(result, i) for i in (0, 24, 39)] == [
        ('0', False),
        ('1', True),
        ('4', True),
    ]
    assert make_caption({}, 0).text == ''


def test_labels_stay_in_the_picture(result):
    """Beside every edge, with a name that is too long for the picture."""
    boxes = [[0, 0, 300, 200], [-50, -50, 20, 20], [280, 190, 400, 300]]
    names = ['whole', 'upper left', 'the name of this region is very, very long ' * 3]
    regions = RegionResults(
        regions=[
            Region(name=name, boxes_xyxy=[box]) for name, box in zip(names, boxes, strict=True)
        ],
        results=[result] * 3,
        fps=10.0,
        frames=np.arange(40),
        start_s=0.0,
        width=300,
        height=200,
    )
    painted = make_painter(regions)(np.zeros((200, 300, 3), np.uint8), 30)
    assert count_active(painted) > 1000


def test_draw_and_plot_regions(make_regions, result, still, tmp_path):
    regions = make_regions(fixed=still, track=result)
    draw_result(np.zeros((40, 200, 300, 3), np.uint8), regions, tmp_path / 'overlay.mp4')
    assert inspect_video(tmp_path / 'overlay.mp4').num_frames == 40
    plot_result(regions, tmp_path / 'two.png', title='clip')
    plot_result(make_regions(track=result), tmp_path / 'one.png')
    two, one = read_png(tmp_path / 'two.png'), read_png(tmp_path / 'one.png')
    assert two.shape[1] == one.shape[1] and two.shape[0] > 1.5 * one.shape[0]


def test_a_region_that_cannot_be_plotted():
    with pytest.raises(TypeError, match='in a row, got dict; register a function'):
        plot_row({}, None)
