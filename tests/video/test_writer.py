from pathlib import Path

import av
import numpy as np
import pytest

from mmotion.video import VideoFrame, iterate_frames
from mmotion.video.scan import VideoError, scan_video
from mmotion.video.writer import VideoWriter
from tests.video_files import encode, paint, read_number


def _decode(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format='rgb24') for frame in container.decode(video=0)])


@pytest.mark.parametrize('name', ['video.mp4', 'video.mov', 'video.mkv', 'unicode 动作 é.MP4'])
def test_frames_come_back(tmp_path: Path, name: str) -> None:
    images = [paint(number) for number in range(24)]

    with VideoWriter(tmp_path / 'new folder' / name, fps=25) as writer:
        for image in images:
            writer.write(image)

    decoded = _decode(tmp_path / 'new folder' / name)
    np.testing.assert_allclose(decoded.astype(int), images, atol=3)


@pytest.mark.parametrize('color', [(220, 30, 60), (10, 200, 90), (30, 60, 250)])
def test_colors_come_back(tmp_path: Path, color: tuple[int, int, int]) -> None:
    image = np.full((48, 64, 3), color, np.uint8)

    with VideoWriter(tmp_path / 'video.mp4', fps=25) as writer:
        writer.write(image)

    np.testing.assert_allclose(_decode(tmp_path / 'video.mp4')[0].astype(int), image, atol=3)


def test_it_plays_everywhere(tmp_path: Path) -> None:
    path = tmp_path / 'video.mp4'

    with VideoWriter(path, fps=25) as writer:
        writer.write(paint(1))

    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ('h264', 'yuv420p')
        # BT.709 in the limited range
        assert (context.colorspace, context.color_range) == (1, 1)
    content = path.read_bytes()
    # the table of frames stands before them
    assert content.index(b'moov') < content.index(b'mdat')


@pytest.mark.parametrize(
    ('size', 'stored'),
    [
        pytest.param((47, 63), (48, 64), id='odd'),
        pytest.param((47, 64), (48, 64), id='odd-height'),
        pytest.param((1, 1), (2, 2), id='one-pixel'),
    ],
)
def test_odd_sides_repeat_the_last_pixel(tmp_path: Path, size: tuple, stored: tuple) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 1), np.uint8).repeat(3, axis=2)

    with VideoWriter(tmp_path / 'video.mp4', fps=25) as writer:
        writer.write(image)

    decoded = _decode(tmp_path / 'video.mp4')[0].astype(int)
    assert decoded.shape[:2] == stored
    expected = np.pad(image, ((0, size[0] % 2), (0, size[1] % 2), (0, 0)), mode='edge')
    assert np.abs(decoded - expected).mean() < 8


def test_haste_costs_some_size_and_not_looks(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 60, (120, 160, 1), np.uint8)
    images = [np.roll(noise, 3 * number, axis=1).repeat(3, axis=2) + 90 for number in range(24)]
    sizes = []
    for hasty in (False, True):
        with VideoWriter(tmp_path / 'video.mp4', fps=25, hasty=hasty) as writer:
            for image in images:
                writer.write(image)
        sizes.append((tmp_path / 'video.mp4').stat().st_size)
        apart = _decode(tmp_path / 'video.mp4').astype(int) - images
        assert np.abs(apart).mean() < 4
    assert sizes[1] < 2 * sizes[0]


@pytest.mark.parametrize('fps', [29.97, 30000 / 1001, 12.3456, 0.5, 1000.0, 1 / 3])
def test_rate_is_kept(tmp_path: Path, fps: float) -> None:
    with VideoWriter(tmp_path / 'video.mp4', fps=fps) as writer:
        for number in range(5):
            writer.write(paint(number))

    info = scan_video(tmp_path / 'video.mp4').info
    assert info.fps == pytest.approx(fps, rel=1e-9)
    assert info.num_frames == writer.num_frames == 5


def test_views_are_written_as_they_look(tmp_path: Path) -> None:
    image = paint(0)
    image[:24, :32] = 250

    with VideoWriter(tmp_path / 'video.mp4', fps=25) as writer:
        writer.write(image[::-1, ::-1])

    assert _decode(tmp_path / 'video.mp4')[0, -1, -1, 0] > 240


def _paint_corner(number: int, size: tuple[int, int]) -> np.ndarray:
    image = paint(number, *size)
    image[: size[0] // 2, : size[1] // 2] = (200, 60, 30)
    return image


@pytest.mark.parametrize(
    ('kwargs', 'is_copied'),
    [
        pytest.param({'colorspace': '1', 'color_range': '1'}, True, id='bt709'),
        pytest.param({'colorspace': '5', 'color_range': '1'}, True, id='bt601'),
        pytest.param({}, True, id='unknown'),
        pytest.param({'color_range': '2'}, False, id='full-range'),
        pytest.param({'pixel_format': 'yuv444p'}, False, id='yuv444'),
        pytest.param({'rotation': 90}, False, id='rotated'),
        pytest.param({'x264-params': 'interlaced=1'}, False, id='interlaced'),
        pytest.param({'codec': 'ffv1', 'size': (47, 63), 'name': 'a.mkv'}, False, id='odd'),
    ],
)
def test_frames_are_written_above_a_strip(tmp_path: Path, kwargs: dict, is_copied: bool) -> None:
    size, name = kwargs.pop('size', (48, 64)), kwargs.pop('name', 'a.mp4')
    images = [_paint_corner(number, size) for number in range(24)]
    frames = [*iterate_frames(encode(tmp_path / name, images, **kwargs))]
    width, height = frames[0].size_wh
    strip = np.full((9, width, 3), (20, 90, 210), np.uint8)

    assert (frames[0].yuv is not None) == is_copied
    with VideoWriter(tmp_path / 'video.mp4', fps=30) as writer:
        for frame in frames:
            writer.write_above(frame, strip)

    copied = [*iterate_frames(tmp_path / 'video.mp4')]
    assert len(copied) == writer.num_frames == 24
    assert copied[0].image.shape == (height + 9 + (height + 9) % 2, width + width % 2, 3)
    for frame, copy in zip(frames, copied, strict=True):
        # smeared by the codec where colours change
        apart = copy.image[:height, :width].astype(int) - frame.image
        assert np.median(np.abs(apart)) <= 3
        below = copy.image[height + 2 : height + 8, 4:-4].astype(int)
        assert np.abs(below - strip[0, 0]).max() <= 6
    colors = [(f.yuv.colorspace, f.yuv.color_range) for f in (frames[0], copied[0]) if f.yuv]
    assert colors[-1] == (colors[0] if is_copied else (1, 1))


def test_a_strip_may_be_empty_or_wrong(tmp_path: Path) -> None:
    frames = [*iterate_frames(encode(tmp_path / 'a.mp4'))]
    with VideoWriter(tmp_path / 'video.mp4', fps=30) as writer:
        writer.write_above(frames[0], np.empty((0, 64, 3), np.uint8))
        # of another size, another type, and of an array
        with pytest.raises(VideoError, match=r'shape of the first one, \(48, 64, 3\), got'):
            writer.write_above(frames[1], np.zeros((2, 64, 3), np.uint8))
        with pytest.raises(VideoError, match='dtype=float64'):
            writer.write_above(frames[1], np.zeros((2, 64, 3)))
        array = VideoFrame(2, 0.1, frames[2].image)
        writer.write_above(array, np.empty((0, 64, 3), np.uint8))
    written = _decode(tmp_path / 'video.mp4')
    assert [read_number(image) for image in written] == [0, 2]


@pytest.mark.parametrize('hasty', [False, True])
def test_a_limit_gives_the_same_file_each_time(tmp_path: Path, hasty: bool) -> None:
    rng = np.random.default_rng(0)
    images = [np.full((290, 256, 3), 10 * level, np.uint8) for level in range(20)]
    for image in images:
        image[60:100, 40:90] = rng.integers(0, 255, (40, 50, 3))
    written = set()
    for _ in range(4):
        with VideoWriter(tmp_path / 'video.mp4', fps=10, max_rate=20_000, hasty=hasty) as writer:
            for image in images:
                writer.write(image)
        written.add((tmp_path / 'video.mp4').read_bytes())
    assert len(written) == 1


@pytest.mark.parametrize('max_rate', [-5.0, 20_000.0, 200_000.0, 1e10, None])
def test_pictures_take_no_more_than_they_may(tmp_path: Path, max_rate: float | None) -> None:
    images = np.random.default_rng(0).integers(0, 256, (50, 48, 64, 3), np.uint8)

    with VideoWriter(tmp_path / 'video.mp4', fps=25, max_rate=max_rate) as writer:
        for image in images:
            writer.write(image)

    rate = 8 * (tmp_path / 'video.mp4').stat().st_size / 2
    assert len(_decode(tmp_path / 'video.mp4')) == 50
    if max_rate == 200_000:
        assert 0.5 * max_rate < rate < 1.3 * max_rate
    elif max_rate is None or max_rate == 1e10:
        assert rate > 300_000
    else:
        # what noise takes where as little as possible is kept
        assert rate < 100_000


@pytest.mark.parametrize('existing', [False, True])
def test_error_in_the_block_leaves_no_file(tmp_path: Path, existing: bool) -> None:
    path = tmp_path / 'video.mp4'
    if existing:
        path.write_text('the last good one')

    with pytest.raises(KeyError, match='stop'), VideoWriter(path, fps=25) as writer:
        writer.write(paint(0))
        raise KeyError('stop')

    assert [file.read_text() for file in tmp_path.iterdir()] == ['the last good one'] * existing


def test_video_without_frames(tmp_path: Path) -> None:
    with (
        pytest.raises(VideoError, match=r'at least one frame, got none for path=.*empty\.mp4'),
        VideoWriter(tmp_path / 'empty.mp4', fps=25),
    ):
        pass

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ('image', 'message'),
    [
        pytest.param(np.zeros((48, 64), np.uint8), r'got shape=\(48, 64\)', id='grey'),
        pytest.param(np.zeros((48, 64, 4), np.uint8), r'got shape=\(48, 64, 4\)', id='alpha'),
        pytest.param(np.zeros((48, 64, 3)), 'dtype=float64', id='float'),
        pytest.param(np.zeros((0, 64, 3), np.uint8), r'got shape=\(0, 64, 3\)', id='empty'),
        pytest.param(
            np.zeros((64, 48, 3), np.uint8),
            r'shape of the first one, \(48, 64, 3\), got shape=\(64, 48, 3\) as frame 1',
            id='other-size',
        ),
    ],
)
def test_images_that_do_not_fit(tmp_path: Path, image: np.ndarray, message: str) -> None:
    with (
        pytest.raises(VideoError, match=message),
        VideoWriter(tmp_path / 'video.mp4', fps=25) as writer,
    ):
        writer.write(paint(0))
        writer.write(image)


@pytest.mark.parametrize(
    ('name', 'fps', 'message'),
    [
        pytest.param('video.gif', 25, 'must end in .mp4, .mov or .mkv', id='ending'),
        pytest.param('video', 25, 'must end in .mp4, .mov or .mkv', id='no-ending'),
        pytest.param('video.mp4', 0, 'at least 0.001, got fps=0', id='zero-rate'),
        pytest.param('video.mp4', float('nan'), 'at least 0.001, got fps=nan', id='nan-rate'),
    ],
)
def test_arguments(tmp_path: Path, name: str, fps: float, message: str) -> None:
    with pytest.raises(VideoError, match=message):
        VideoWriter(tmp_path / name, fps=fps)


def test_write_outside_the_block(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match='inside the with block'):
        VideoWriter(tmp_path / 'video.mp4', fps=25).write(paint(0))


def test_disk_that_is_full(tmp_path: Path, monkeypatch) -> None:
    if not Path('/dev/full').exists():
        pytest.skip('writes to /dev/full')
    full = tmp_path / '.video.partial.mkv'
    full.symlink_to('/dev/full')
    monkeypatch.setattr('mmotion.atomic._name_temporary', lambda path: full)

    with (
        pytest.raises(VideoError, match='must be writable'),
        VideoWriter(tmp_path / 'video.mkv', fps=25) as writer,
    ):
        writer.write(paint(0))

    assert not list(tmp_path.iterdir())


def test_a_limit_spoils_no_frame_of_a_hasty_file(tmp_path: Path) -> None:
    y, x = np.mgrid[:256, :256]
    images = [
        np.stack([x, y, np.full_like(x, 9 * number % 256)], -1).astype(np.uint8)
        for number in range(60)
    ]
    for number, image in enumerate(images):
        image[85:136, 3 * number : 3 * number + 40] = (250, 30, 20)
    with VideoWriter(tmp_path / 'video.mp4', fps=25, max_rate=40_000, hasty=True) as writer:
        for image in images:
            writer.write(image)

    written = _decode(tmp_path / 'video.mp4')

    apart = [np.abs(a.astype(int) - b).mean() for a, b in zip(images, written, strict=True)]
    assert max(apart) < 25
