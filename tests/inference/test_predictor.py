import dataclasses
import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmotion.inference import Predictor, make_sample
from mmotion.regions import Region
from mmotion.video import VideoError, VideoFrame, VideoWriter, inspect_video, iterate_frames
from mmotion.visualization import make_painter, plot_result
from tests.video_files import encode, paint


@pytest.fixture
def frames():
    """Ten frames (10, 6, 8, 3) whose brightness is their number."""
    return np.arange(10, dtype=np.uint8)[:, None, None, None].repeat(6, 1).repeat(8, 2).repeat(3, 3)


# what a video can be


@pytest.mark.parametrize(
    'wrap',
    [
        pytest.param(lambda frames: frames, id='array'),
        pytest.param(list, id='list'),
        pytest.param(iter, id='iterator'),
        pytest.param(
            lambda frames: (
                VideoFrame(index=7 + n, time_s=9 + n / 10, image=frame)
                for n, frame in enumerate(frames)
            ),
            id='VideoFrames',
        ),
    ],
)
def test_frames_of_any_kind(predictor, frames, wrap):
    assert predictor.predict(wrap(frames), fps=10.0) == list(range(10))
    assert list(predictor.stream(wrap(frames), fps=10.0))[-1] == list(range(10))


@pytest.mark.parametrize('kind', [str, Path])
def test_a_file(predictor, tmp_path, kind):
    path = tmp_path / 'levels.mp4'
    with VideoWriter(path, fps=10.0) as writer:
        for level in range(0, 250, 25):
            writer.write(np.full((64, 64, 3), level, np.uint8))
    brightness = predictor.predict(kind(path))
    np.testing.assert_allclose(brightness, np.arange(0, 250, 25), atol=4)
    assert predictor.predict(kind(path), start_s=0.3, end_s=0.6) == brightness[3:6]
    assert list(predictor.stream(kind(path)))[-1] == brightness


@pytest.mark.parametrize(
    ('start_s', 'end_s', 'expected'),
    [
        pytest.param(0, None, range(10), id='all'),
        pytest.param(0.7, None, range(7, 10), id='0.7 times 10 is above 7'),
        pytest.param(0.31, None, range(4, 10), id='within a frame'),
        pytest.param(0, 0.6, range(6), id='the frame at the end is left out'),
        pytest.param(0.25, 99, range(3, 10), id='end beyond the video'),
    ],
)
def test_start_and_end(predictor, frames, start_s, end_s, expected):
    result = predictor.predict(frames, fps=10.0, start_s=start_s, end_s=end_s)
    assert result == list(expected)


def test_a_stream_of_a_part(predictor, frames):
    assert list(predictor.stream(frames, fps=10.0, start_s=0.3, end_s=0.6))[-1] == [3, 4, 5]


def test_a_stream_is_read_one_frame_at_a_time(predictor, frames):
    source = iter(frames)
    stream = predictor.stream(source, fps=10.0)
    assert next(stream) == [0]
    assert next(source)[0, 0, 0] == 1


# regions


@pytest.fixture
def noise():
    """Thirty frames (30, 40, 60, 3) of noise."""
    return np.random.default_rng(0).integers(0, 256, (30, 40, 60, 3), dtype=np.uint8)


REGIONS = (
    Region(name='left', boxes_xyxy=[[0, 0, 30, 40]]),
    Region(name='right', boxes_xyxy=[[30, 10, 58, 40]]),
)


def test_regions_are_predicted_like_cropped_videos(predictor, noise):
    answer = predictor.predict_regions(noise, REGIONS, fps=10.0, margin=0)
    left, right = answer.results
    assert left == predictor.predict(noise[:, :, :30], fps=10.0)
    assert right == predictor.predict(noise[:, 10:, 30:58], fps=10.0)
    assert [region.name for region in answer.regions] == ['left', 'right']
    assert (answer.num_frames, answer.fps, answer.start_s) == (30, 10.0, 0.0)
    assert (answer.width, answer.height) == (60, 40)


def test_regions_of_a_part(predictor, noise):
    part = predictor.predict_regions(noise, REGIONS, fps=10.0, start_s=1.0, end_s=2.5, margin=0)
    assert part.results[0] == predictor.predict(noise[10:25, :, :30], fps=10.0)
    assert part.frames.tolist() == list(range(10, 25))
    assert part.start_s == 1.0


def test_a_moving_region_is_at_its_frame(predictor):
    """A bright square moves steadily, and the region with it, also if the video starts later."""
    video = np.zeros((200, 40, 300, 3), np.uint8)
    for i, frame in enumerate(video):
        frame[:, i + 20 : i + 60] = 200
    boxes = [[i + 20, 0, i + 60, 40] for i in (0, 199)]
    region = Region(name='a', boxes_xyxy=boxes, frames=[0, 199])
    options = dict(fps=10.0, start_s=8.0, end_s=12.0, margin=0)
    (brightness,) = predictor.predict_regions(video, [region], **options).results
    np.testing.assert_allclose(brightness, 200, atol=6)


def test_regions_of_a_file_are_decoded_once(predictor, tmp_path, monkeypatch):
    path = tmp_path / 'levels.mp4'
    with VideoWriter(path, fps=10.0) as writer:
        for level in range(0, 250, 10):
            writer.write(np.full((64, 64, 3), level, np.uint8))
    decoded = []

    def count(*args, **kwargs):
        for frame in iterate_frames(*args, **kwargs):
            decoded.append(frame.index)
            yield frame

    monkeypatch.setattr('mmotion.video.sources.iterate_frames', count)
    regions = [Region(name=str(x), boxes_xyxy=[[x, 0, x + 32, 64]]) for x in (0, 16, 32)]
    answer = predictor.predict_regions(path, regions, start_s=0.5)
    assert decoded == answer.frames.tolist() == list(range(5, 25))
    assert answer.results[2] == pytest.approx(range(50, 250, 10), abs=4)


@pytest.mark.parametrize(
    ('video', 'regions', 'error', 'message'),
    [
        pytest.param(None, [], ValueError, 'at least one region', id='no region'),
        pytest.param(
            None, [Region(name='a', boxes_xyxy=[[99, 0, 130, 40]])], ValueError,
            "region 'a' must lie in the video of 60 x 40", id='outside',
        ),
        pytest.param(
            None, [Region(name='a', boxes_xyxy=[[0, 0, 30, 40]] * 2, frames=[0, 30])], ValueError,
            'from 0 to 29, got frame=30', id='after the end',
        ),
        pytest.param([], REGIONS, TypeError, 'must be a path or an array .* got list', id='list'),
    ],
)  # fmt: skip
def test_bad_regions(predictor, noise, video, regions, error, message):
    with pytest.raises(error, match=message):
        predictor.predict_regions(noise if video is None else video, regions, fps=10.0)


# the pipeline


def test_preprocess_runs_the_test_pipeline(predictor, frames):
    batch = predictor.preprocess([make_sample(frames[:3], fps=10.0)])
    np.testing.assert_array_equal(batch['inputs'][0], frames[:3, ::2, ::2])
    assert batch['data_samples'] == [10.0]


# bad input


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        pytest.param({}, 'fps must be given for frames, got fps=None', id='no fps'),
        pytest.param({'fps': 0}, 'fps must be above 0 and finite, got fps=0', id='fps 0'),
        pytest.param({'fps': math.nan}, 'fps must be above 0 and finite', id='fps NaN'),
        pytest.param({'fps': 10, 'start_s': -1}, 'start_s must be at least 0', id='negative start'),
        pytest.param(
            {'fps': 10, 'start_s': 2, 'end_s': 1}, 'end_s must be above start_s=2', id='='
        ),
        pytest.param({'fps': 10, 'start_s': 5}, 'at least one frame between', id='start after end'),
    ],
)
def test_bad_options(predictor, frames, options, message):
    with pytest.raises(ValueError, match=message):
        predictor.predict(frames, **options)


def test_a_file_that_is_no_video(predictor, tmp_path):
    path = tmp_path / 'text.mp4'
    path.write_text('text')
    with pytest.raises(VideoError, match=r'text\.mp4'):
        predictor.predict(path)


@pytest.mark.parametrize(
    ('video', 'message'),
    [
        pytest.param(np.zeros((0, 4, 4, 3), np.uint8), 'with N >= 1', id='empty array'),
        pytest.param(np.zeros((4, 4, 3), np.uint8), r'shape=\(4, 4, 3\)', id='one image'),
        pytest.param(np.zeros((2, 4, 4, 3)), 'frame 0 must be uint8 .* dtype=float64', id='float'),
        pytest.param(np.zeros((2, 4, 4), np.uint8), r'got dtype=uint8 and shape', id='grey'),
        pytest.param(np.zeros((2, 4, 4, 4), np.uint8), r'shape=\(4, 4, 4\)', id='alpha'),
        pytest.param(np.zeros((2, 3, 4, 4), np.uint8), r'shape=\(3, 4, 4\)', id='channels first'),
        pytest.param(np.zeros((2, 0, 4, 3), np.uint8), r'shape=\(0, 4, 3\)', id='no rows'),
        pytest.param([], 'at least one frame', id='empty list'),
        pytest.param([None], r'frame 0 must be an array \(H, W, 3\), got NoneType', id='None'),
        pytest.param(
            [np.zeros((4, 4, 3), np.uint8), np.zeros((5, 4, 3), np.uint8)],
            r'frame 1 must have the size of the frames before it, got shape=\(5, 4, 3\)',
            id='change of size',
        ),
    ],
)
def test_bad_frames(predictor, video, message):
    with pytest.raises(ValueError, match=message):
        predictor.predict(video, fps=10.0)
    with pytest.raises(ValueError, match=message):
        list(predictor.stream(video, fps=10.0))


def test_bad_kind_of_video(predictor):
    with pytest.raises(TypeError, match=r'video must be a path, an array .* got int'):
        predictor.predict(3, fps=10.0)


def test_arguments_of_a_stream_are_checked_at_the_call(predictor, frames):
    with pytest.raises(ValueError, match='fps must be given'):
        predictor.stream(frames)


# drawing


@dataclasses.dataclass(frozen=True)
class Seen:
    """The smallest result."""

    fps: float
    num_frames: int
    start_s: float
    frame_times_s: None = None
    num_lost: int = 0

    def describe(self):
        return f'{self.num_frames} frames'

    def to_dict(self):
        return dataclasses.asdict(self)


@make_painter.register
def paint_seen(result: Seen):
    return lambda image, index: image


@plot_result.register
def plot_seen(result: Seen, path, *, title='', truth=None):
    Path(path).write_text(title)


class Watcher(Predictor[Seen]):
    """Says which frames it has seen."""

    def _predict_frames(self, frames, fps):
        first = next(frames)
        return Seen(fps=fps, num_frames=1 + sum(1 for _ in frames), start_s=first.time_s)

    def _stream_frames(self, frames, fps):
        yield self._predict_frames(frames, fps)


@pytest.fixture
def watcher(predictor):
    return Watcher(config=predictor.config, model=predictor.model)


def hold_video(folder, holder):
    """Thirty frames at 10 a second as a file, an array or a folder of pictures, and their rate."""
    levels = np.arange(0, 240, 8, dtype=np.uint8)
    images = levels[:, None, None, None].repeat(256, 1).repeat(256, 2).repeat(3, 3)
    if holder == 'array':
        return images, 10.0
    if holder == 'file':
        with VideoWriter(folder / 'cage.mp4', fps=10.0) as writer:
            for image in images:
                writer.write(image)
        return folder / 'cage.mp4', None
    (folder / 'cage').mkdir()
    for number, image in enumerate(images):
        cv2.imwrite(str(folder / 'cage' / f'{number:03d}.png'), image)
    return folder / 'cage', 10.0


@pytest.mark.parametrize('holder', ['file', 'array', 'pictures'])
@pytest.mark.parametrize(
    ('end_s', 'numbers'), [(None, range(20, 30)), (2.5, range(20, 25))], ids=['to the end', 'part']
)
def test_a_result_is_drawn_on_the_frames_that_were_predicted(
    watcher, tmp_path, holder, end_s, numbers
):
    video, fps = hold_video(tmp_path, holder)
    result = watcher.predict(video, fps=fps, start_s=2.0, end_s=end_s)
    overlay, plot = watcher.draw(video, result, tmp_path / 'out')
    drawn = [frame.image.mean() for frame in iterate_frames(overlay)]
    # the frame at 2.0 s has the level 8 x 20, and once the first one was drawn, level 0
    assert drawn == pytest.approx([8 * number for number in numbers], abs=3)
    stem = 'video' if holder == 'array' else 'cage'
    assert [overlay.name, plot.name] == [f'{stem}_overlay.mp4', f'{stem}_result.png']


@pytest.mark.parametrize('holder', ['file', 'array', 'pictures'])
def test_regions_are_drawn_on_the_frames_that_were_predicted(watcher, tmp_path, holder):
    video, fps = hold_video(tmp_path, holder)
    region = Region(name='a', boxes_xyxy=[[0, 0, 40, 40]])
    result = watcher.predict_regions(video, [region], fps=fps, start_s=2.0, end_s=2.5)
    assert result.describe() == 'a: 5 frames'
    with pytest.raises(TypeError, match='class that can be plotted in a row, got Seen'):
        watcher.draw_regions(video, result, tmp_path / 'out')
    (overlay,) = (tmp_path / 'out').iterdir()
    corners = [frame.image[-60:, -60:].mean() for frame in iterate_frames(overlay)]
    assert corners == pytest.approx([8 * number for number in range(20, 25)], abs=3)


def test_the_rate_of_a_file_can_be_given(watcher, tmp_path):
    # ten frames in the first second and two in the next, of which the header makes six a second
    times_ms = [*range(0, 1000, 100), 1000, 1500]
    images = [paint(number) for number in range(12)]
    video = encode(tmp_path / 'video.mp4', images, times_ms=times_ms)
    assert watcher.predict(video, start_s=1.0).num_frames == 2

    result = watcher.predict(video, fps=4.0, start_s=1.0)
    assert (result.fps, result.num_frames, result.start_s) == (4.0, 8, 1.0)
    assert result.frame_times_s is None
    overlay, _ = watcher.draw(video, result, tmp_path)
    drawn = inspect_video(overlay)
    assert (drawn.num_frames, drawn.fps) == (8, 4.0)
    *_, last = watcher.stream(video, fps=4.0, start_s=1.0)
    assert (last.fps, last.num_frames) == (4.0, 8)
    (region,) = watcher.predict_regions(
        video, [Region(name='all', boxes_xyxy=[[0, 0, 64, 48]])], fps=4.0, start_s=1.0
    ).results
    assert (region.fps, region.num_frames) == (4.0, 8)


def test_what_cannot_be_read_again_cannot_be_drawn_on(watcher, frames, tmp_path):
    result = watcher.predict(iter(frames), fps=10.0)
    with pytest.raises(TypeError, match='as it is read again, got generator'):
        watcher.draw((frame for frame in frames), result, tmp_path)


@pytest.mark.parametrize('regions', [False, True], ids=['whole', 'regions'])
def test_plots_do_not_become_frames_of_the_pictures(watcher, tmp_path, regions):
    folder, fps = hold_video(tmp_path, 'pictures')
    there = sorted(folder.iterdir())
    if regions:
        draw, result = watcher.draw_regions, watcher.predict_regions(folder, REGIONS[:1], fps=fps)
    else:
        draw, result = watcher.draw, watcher.predict(folder, fps=fps)
    with pytest.raises(ValueError, match='out_dir must not be the folder of pictures that is dra'):
        draw(folder, result, folder / '..' / folder.name)
    assert sorted(folder.iterdir()) == there


def test_pictures_are_predicted_like_the_array_of_them(predictor, tmp_path):
    folder, fps = hold_video(tmp_path, 'pictures')
    images, _ = hold_video(tmp_path, 'array')
    part = {'start_s': 0.5, 'end_s': 1.0}
    assert predictor.predict(folder, fps=fps, **part) == predictor.predict(images, fps=fps, **part)
    assert [*predictor.stream(folder, fps=fps)][-1] == predictor.predict(images, fps=fps)
    with pytest.raises(ValueError, match='fps must be given for a folder of pictures'):
        predictor.predict(folder)
