import tracemalloc
import warnings
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mmotion.video import VideoError, VideoWriter, inspect_video, iterate_frames, read_frames
from tests.video_files import encode, paint, read_number, truncate


@pytest.fixture(scope='module')
def video(tmp_path_factory) -> Path:
    """24 painted frames at 30 a second, with B-frames."""
    return encode(tmp_path_factory.mktemp('video') / 'video.mp4')


def test_inspect(video: Path) -> None:
    info = inspect_video(str(video))

    assert (info.path, info.fps, info.num_frames) == (video, 30, 24)
    assert (info.width, info.height, info.duration_s) == (64, 48, pytest.approx(0.8))


@pytest.mark.parametrize(
    ('kwargs', 'numbers'),
    [
        pytest.param({}, range(24), id='all'),
        pytest.param({'stride': 5}, range(0, 24, 5), id='stride'),
        pytest.param({'start_s': 10 / 30}, range(10, 24), id='from-a-frame'),
        pytest.param({'start_s': 0.34}, range(11, 24), id='from-between-frames'),
        pytest.param({'end_s': 10 / 30}, range(10), id='end-is-excluded'),
        pytest.param({'start_s': 0.5, 'end_s': 0.7, 'stride': 2}, (15, 17, 19), id='part'),
        pytest.param({'end_s': 100}, range(24), id='beyond-the-end'),
    ],
)
def test_iterate(video: Path, kwargs: dict, numbers) -> None:
    frames = list(iterate_frames(video, **kwargs))

    assert [frame.index for frame in frames] == list(numbers)
    assert [read_number(frame.image) for frame in frames] == list(numbers)
    np.testing.assert_allclose([frame.time_s for frame in frames], np.array(numbers) / 30)
    assert all(frame.image.shape == (48, 64, 3) for frame in frames)
    assert all(frame.image.dtype == np.uint8 for frame in frames)


@pytest.mark.parametrize('name', ['video.mp4', 'video.mkv'])
def test_start_at_each_frame(tmp_path: Path, name: str) -> None:
    fps = Fraction(30000, 1001)
    path = encode(tmp_path / name, fps=fps)

    starts = [next(iterate_frames(path, start_s=number / float(fps))) for number in range(24)]

    assert [frame.index for frame in starts] == list(range(24))


def test_iterate_variable_rate(tmp_path: Path) -> None:
    times_ms = [0, 40, 80, 500, 520, 1000]
    path = encode(tmp_path / 'video.mp4', [paint(n) for n in range(6)], times_ms=times_ms)

    frames = list(iterate_frames(path, start_s=0.08, end_s=1.0))

    # the number is that in the file, not time times rate
    assert [frame.index for frame in frames] == [2, 3, 4]
    assert [frame.time_s for frame in frames] == pytest.approx([0.08, 0.5, 0.52])


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        pytest.param({'start_s': 1}, 'got start_s=1 and end_s=None; the frames of', id='late'),
        pytest.param({'start_s': -1}, 'got start_s=-1', id='negative'),
        pytest.param({'start_s': float('nan')}, 'got start_s=nan', id='nan'),
        pytest.param({'start_s': 0.5, 'end_s': 0.5}, 'must enclose a frame', id='empty'),
        pytest.param({'end_s': 0}, 'must enclose a frame', id='no-length'),
        pytest.param({'stride': 0}, 'from 1 on, got stride=0', id='stride-0'),
        pytest.param({'stride': 1.5}, 'from 1 on, got stride=1.5', id='stride-1.5'),
        pytest.param({'backend': 'decord'}, 'backend=decord', id='backend'),
    ],
)
def test_iterate_refuses_at_the_call(video: Path, kwargs: dict, message: str) -> None:
    with pytest.raises(VideoError, match=message):
        iterate_frames(video, **kwargs)


@pytest.mark.parametrize(
    'indices',
    [
        pytest.param([23, 0, 7, 7, 1], id='any-order'),
        pytest.param(range(3, 24, 4), id='range'),
        pytest.param(np.array([5, 5], np.uint8), id='array'),
        pytest.param([], id='none'),
    ],
)
def test_read(video: Path, indices) -> None:
    images = read_frames(video, indices)

    assert images.shape == (len(indices), 48, 64, 3)
    assert [read_number(image) for image in images] == list(indices)


@pytest.mark.parametrize(
    ('indices', 'message'),
    [
        pytest.param([3, -1], 'from 0 to 23, got index=-1; .* has 24 frames', id='negative'),
        pytest.param([24], 'from 0 to 23, got index=24; .* has 24 frames', id='beyond'),
        pytest.param([1.5], 'whole numbers, got .* dtype=float64', id='fraction'),
        pytest.param([True], 'whole numbers, got .* dtype=bool', id='mask'),
        pytest.param([[1, 2]], r'flat sequence .* got shape=\(1, 2\)', id='nested'),
        pytest.param(3, r'flat sequence .* got shape=\(\)', id='number'),
    ],
)
def test_read_refuses(video: Path, indices, message: str) -> None:
    with pytest.raises(VideoError, match=message):
        read_frames(video, indices)


@pytest.mark.parametrize('call', [inspect_video, iterate_frames, lambda p: read_frames(p, [0])])
def test_missing_file(tmp_path: Path, call) -> None:
    with pytest.raises(FileNotFoundError, match=r'must exist, got path=.*nothing\.mp4'):
        call(tmp_path / 'nothing.mp4')


def test_cut_file_gives_what_is_there(tmp_path: Path) -> None:
    images = list(np.random.default_rng(0).integers(0, 256, (24, 48, 64, 3), np.uint8))
    whole = encode(tmp_path / 'whole.mp4', images, movflags='faststart')
    path = truncate(whole, tmp_path / 'cut.mp4', part=0.6)
    num_frames = inspect_video(path).num_frames

    with pytest.warns(UserWarning, match=f'holds {num_frames} whole frames') as caught:
        frames = list(iterate_frames(path))

    assert len(caught) == 1
    assert len(frames) == num_frames < 24
    assert caught[0].filename == __file__


def test_undecodable_frames_are_counted(tmp_path: Path) -> None:
    path = encode(tmp_path / 'whole.ts')
    # without its beginning a stream is decodable from the next keyframe on
    (tmp_path / 'joined.ts').write_bytes(path.read_bytes()[188 * 8 :])
    path = tmp_path / 'joined.ts'

    with pytest.warns(UserWarning, match=r'\d of \d\d frames of .*joined.ts cannot be') as caught:
        frames = list(iterate_frames(path))

    num_missing = int(str(caught[0].message).split()[0])
    assert len(frames) == inspect_video(path).num_frames - num_missing
    assert frames[0].index == num_missing
    with pytest.raises(VideoError, match='can be decoded, got index=0, one of 1'):
        read_frames(path, [num_missing, 0])


def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / 'long.mp4', fps=30) as writer:
        for number in range(600):
            writer.write(paint(number % 24, height=120, width=160))
    iterator = iterate_frames(tmp_path / 'long.mp4')

    tracemalloc.start()
    peaks = []
    for number, _ in enumerate(iterator):
        if number in (100, 500):
            peaks.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()

    # 400 frames of 58 kB more
    assert peaks[1] - peaks[0] < 1e6


def test_real_videos_hold_what_they_say(data_root: Path) -> None:
    paths = [*data_root.glob('reps/*.mp4'), *data_root.glob('actions/**/*.avi')]
    # a few of each, as all of them take half a minute
    for path in sorted(paths)[::10]:
        info = inspect_video(path)
        with warnings.catch_warnings():
            warnings.simplefilter('error')
            frames = [(f.index, f.time_s, f.image.shape) for f in iterate_frames(path)]

        assert [index for index, _, _ in frames] == list(range(info.num_frames)), path
        assert np.all(np.diff([time_s for _, time_s, _ in frames]) > 0), path
        assert {shape for _, _, shape in frames} == {(info.height, info.width, 3)}, path
