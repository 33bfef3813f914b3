import itertools
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mmotion.video import decode, iterate_frames
from mmotion.video.decode import VideoFrame, choose_decoder
from mmotion.video.resizing import resize_area
from mmotion.video.scan import VideoError, scan_video
from tests.video_files import cut_start, encode, paint, read_number

# one file a way of storing: containers with and without a table of keyframes, orders, edit lists
FILES = [
    pytest.param('plain.mp4', {}, id='mp4'),
    pytest.param('plain.mkv', {}, id='mkv'),
    pytest.param('open.mkv', {'x264-params': 'open-gop=1:bframes=3'}, id='open-gop'),
    pytest.param('fragments.mp4', {'movflags': 'frag_keyframe+empty_moov'}, id='no-header'),
    pytest.param('transport.ts', {}, id='mpeg-ts'),
    pytest.param('fields.mp4', {'x264-params': 'interlaced=1'}, id='interlaced'),
    pytest.param('raw.h264', {}, id='raw-stream'),
    pytest.param('old.avi', {'codec': 'mpeg4'}, id='avi-b-frames'),
    pytest.param('ten.mkv', {'pixel_format': 'yuv420p10le'}, id='10-bit'),
    pytest.param('turned.mp4', {'rotation': 90}, id='rotated'),
    pytest.param('mirrored.mp4', {'rotation': 0, 'mirrored': True}, id='mirrored'),
]


def _textured(number: int) -> np.ndarray:
    """Frame `number` with colours and edges, as conversions differ there."""
    image = paint(number)
    image[:24, :32] = (220, 30, 8 * number)
    image[30:, 8 + number : 20 + number] = (10, 200, 90)
    return image


def _decode(path: Path, numbers: list[int], backend: str = 'pyav') -> list[VideoFrame]:
    return list(choose_decoder(backend)(scan_video(path), np.array(numbers)))


@pytest.mark.parametrize(('name', 'kwargs'), FILES)
def test_every_frame_is_found_alone(tmp_path: Path, monkeypatch, name: str, kwargs: dict) -> None:
    path = encode(tmp_path / name, **kwargs)
    in_turn = _decode(path, list(range(24)))
    # jump wherever there is a keyframe to jump to
    monkeypatch.setattr(decode, '_MAX_UNWANTED_FRAMES', 0)

    for number in range(24):
        (frame,) = _decode(path, [number])

        assert read_number(frame.image) == number
        assert (frame.index, frame.time_s) == (number, in_turn[number].time_s)
        np.testing.assert_array_equal(frame.image, in_turn[number].image)


def test_one_pass_serves_distant_frames(tmp_path: Path, monkeypatch) -> None:
    path = encode(tmp_path / 'video.mp4')
    monkeypatch.setattr(decode, '_MAX_UNWANTED_FRAMES', 3)
    decoded = []
    to_image = decode.decode_packet
    monkeypatch.setattr(
        decode, 'decode_packet', lambda packet: decoded.append(packet) or to_image(packet)
    )

    frames = _decode(path, [1, 2, 23])

    assert [frame.index for frame in frames] == [1, 2, 23]
    # the two groups of six frames (and what threads decode ahead), not all four
    assert len(decoded) < 20


def test_edit_list_hides_frames(tmp_path: Path) -> None:
    path = cut_start(encode(tmp_path / 'whole.mp4'), tmp_path / 'edited.mp4', frames=8)

    frames = _decode(path, [0, 15])

    assert [read_number(frame.image) for frame in frames] == [8, 23]


def test_joined_recordings_are_read_one_after_the_other(tmp_path: Path) -> None:
    # the second begins before the first ends, between its frames
    parts = [
        encode(tmp_path / f'{start}.ts', times_ms=[start + 40 * n for n in range(24)], fps=25)
        for start in (1000, 1515)
    ]
    path = tmp_path / 'joined.ts'
    path.write_bytes(b''.join(part.read_bytes() for part in parts))

    frames = _decode(path, list(range(48)))

    assert [frame.index for frame in frames] == list(range(48))
    assert [read_number(frame.image) for frame in frames] == [*range(24), *range(24)]


@pytest.mark.parametrize('rotation', [0, 90, 180, 270])
def test_images_are_upright(tmp_path: Path, rotation: int) -> None:
    image = paint(0)
    image[:24, :32] = 250
    path = encode(tmp_path / 'video.mp4', [image] * 3, rotation=rotation)

    (frame,) = _decode(path, [1])

    expected = np.rot90(image, rotation // 90)
    assert np.abs(frame.image - expected.astype(int)).mean() < 4


def test_mirror_is_applied(tmp_path: Path) -> None:
    image = paint(0)
    image[:24, :32] = 250
    path = encode(tmp_path / 'video.mp4', [image] * 3, rotation=0, mirrored=True)

    (frame,) = _decode(path, [1])

    assert np.abs(frame.image - image[:, ::-1].astype(int)).mean() < 4


@pytest.mark.parametrize(
    ('codec', 'pixel_format'),
    [
        pytest.param('ffv1', 'gray', id='grey'),
        pytest.param('libx264', 'yuv422p', id='yuv422'),
        pytest.param('libx264', 'yuv444p', id='yuv444'),
        pytest.param('libx264', 'yuv420p10le', id='10-bit'),
        pytest.param('ffv1', 'bgra', id='alpha'),
        pytest.param('libx264rgb', 'rgb24', id='rgb'),
        pytest.param('mjpeg', 'yuvj420p', id='full-range'),
    ],
)
@pytest.mark.parametrize('size', [(48, 64), (47, 63)], ids=['even', 'odd'])
def test_pixel_formats(
    tmp_path: Path, codec: str, pixel_format: str, size: tuple[int, int]
) -> None:
    if size == (47, 63) and pixel_format in ('yuv422p', 'yuv420p10le'):
        # x264 refuses odd sides of subsampled formats
        codec = 'ffv1'
    images = [paint(20, *size)] * 3
    path = encode(tmp_path / 'video.mkv', images, codec=codec, pixel_format=pixel_format)

    (frame,) = _decode(path, [2])

    np.testing.assert_allclose(frame.image.astype(int), images[2], atol=3)


def _draw_scene(height: int, width: int) -> np.ndarray:
    """Soft colours with a bright square, another one in each corner."""
    y, x = np.linspace(0, 1, height)[:, None], np.linspace(0, 1, width)[None]
    image = np.stack([40 + 150 * y + 0 * x, 60 + 120 * x + 0 * y, 200 - 90 * y * x], -1)
    image[height // 8 : height // 3, width // 8 : width // 3] = (225, 200, 90)
    return image.astype(np.uint8)


@pytest.mark.parametrize('size', [(180, 320), (320, 180), (181, 319), (40, 60)])
@pytest.mark.parametrize('rotation', [0, 90, 180, 270])
def test_frames_are_scaled_as_pillow_does(tmp_path: Path, size, rotation: int) -> None:
    # PNG has odd sizes as well, and MP4 turns it
    codec = {'codec': 'png', 'pixel_format': 'rgb24'} if size[0] % 2 else {}
    path = encode(tmp_path / 'video.mp4', [_draw_scene(*size)] * 3, rotation=rotation, **codec)

    (frame,) = _decode(path, [1])

    for width, height in ((32, 32), (48, 20), frame.size_wh):
        small = frame.scaled(width, height)
        assert (small.shape, small.dtype) == ((height, width, 3), np.uint8)
        assert small.flags.c_contiguous
        expected = VideoFrame(1, 0.0, frame.image).scaled(width, height)
        apart = small.astype(int) - expected
        assert np.abs(apart).mean() < 2
        # but for the edge of the square, where colours have half of the resolution
        assert np.percentile(np.abs(apart), 95) <= 4


def test_a_frame_is_the_same_whatever_was_asked_of_it_before(tmp_path: Path) -> None:
    path = encode(tmp_path / 'video.mp4', [_draw_scene(90, 160)] * 3)
    first, second = _decode(path, [0]) + _decode(path, [0])

    small, image = first.scaled(32, 32), first.image

    np.testing.assert_array_equal(second.image, image)
    np.testing.assert_array_equal(second.scaled(32, 32), small)
    np.testing.assert_array_equal(first.scaled(160, 90), image)


def test_pixels_are_converted_when_they_are_asked_for(tmp_path: Path, monkeypatch) -> None:
    path = encode(tmp_path / 'video.mp4')
    sizes = []
    convert = decode.Converter.convert
    monkeypatch.setattr(
        decode.Converter,
        'convert',
        lambda self, frame, size_wh: sizes.append(size_wh) or convert(self, frame, size_wh),
    )

    frames = _decode(path, [0, 1, 2])

    assert [frame.size_wh for frame in frames] == [(64, 48)] * 3
    assert sizes == []
    for _ in range(2):
        assert read_number(frames[1].image) == 1
    assert sizes == [(64, 48)]


def test_a_frame_can_be_sent_to_another_process(tmp_path: Path) -> None:
    (frame,) = _decode(encode(tmp_path / 'video.mp4'), [5])

    copied = pickle.loads(pickle.dumps(frame))

    assert (copied.index, copied.time_s, copied.size_wh) == (5, frame.time_s, (64, 48))
    np.testing.assert_array_equal(copied.image, frame.image)


def test_threads_may_share_the_frames_of_a_video(tmp_path: Path) -> None:
    images = [_draw_scene(90, 160) // 24 * number for number in range(24)]
    path = encode(tmp_path / 'video.mp4', images)
    sizes = [(32, 32), (160, 90), (48, 27), (64, 36)]
    expected = [frame.scaled(*size) for size in sizes for frame in _decode(path, [*range(24)])]

    frames = _decode(path, [*range(24)])
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(frame.scaled, *size) for size in sizes for frame in frames]
    for job, image in zip(jobs, expected, strict=True):
        np.testing.assert_array_equal(job.result(), image)


def test_palette(tmp_path: Path) -> None:
    path = encode(tmp_path / 'video.gif', codec='gif', pixel_format='rgb8', fps=10)

    frames = _decode(path, [0, 23])

    # 8 levels a colour
    assert abs(frames[1].image.mean() - paint(23).mean()) < 20
    assert frames[1].time_s == pytest.approx(2.3)


def test_damaged_frames_keep_their_neighbours_numbers(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = encode(tmp_path / 'video.mp4', [_textured(number) for number in range(24)])
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle - 60 : middle + 60] = rng.bytes(120)
    whole = _decode(path, list(range(24)))
    (tmp_path / 'damaged.mp4').write_bytes(content)

    frames = _decode(tmp_path / 'damaged.mp4', list(range(24)))

    assert 6 < len(frames) <= 24
    for frame in (*frames[:3], *frames[-3:]):
        np.testing.assert_array_equal(frame.image, whole[frame.index].image)


def test_no_file_stays_open(tmp_path: Path) -> None:
    path = encode(tmp_path / 'video.mp4')
    descriptors = Path('/proc/self/fd')
    if not descriptors.is_dir():
        pytest.skip('counts open files in /proc')
    before = len(list(descriptors.iterdir()))

    frames = choose_decoder('pyav')(scan_video(path), np.arange(24))
    next(frames)
    assert len(list(descriptors.iterdir())) == before + 1
    frames.close()

    assert len(list(descriptors.iterdir())) == before


def test_unknown_backend() -> None:
    with pytest.raises(VideoError, match='must be one of pyav, torchcodec, got backend=decord'):
        choose_decoder('decord')


def test_environment_names_the_backend(monkeypatch) -> None:
    monkeypatch.setenv('MMOTION_VIDEO_BACKEND', 'decord')

    with pytest.raises(VideoError, match='backend=decord'):
        choose_decoder(None)
    assert choose_decoder('pyav') is not None


def test_torchcodec_that_cannot_be_imported(tmp_path: Path, monkeypatch) -> None:
    path = encode(tmp_path / 'video.mp4')
    monkeypatch.setitem(sys.modules, 'torchcodec', None)

    with pytest.raises(VideoError, match='torchcodec must be installed'):
        _decode(path, [0], backend='torchcodec')


@pytest.fixture(scope='module')
def _torchcodec() -> None:
    """Skip where torchcodec or the FFmpeg libraries that it loads are not there."""
    pytest.importorskip('torchcodec')
    check = 'from torchcodec.decoders import VideoDecoder; VideoDecoder(b"")'
    # in a process of its own: to load another FFmpeg beside PyAV's may end it
    result = subprocess.run(
        [sys.executable, '-c', check], capture_output=True, text=True, env=os.environ
    )
    if 'libtorchcodec' in result.stderr:
        pytest.skip('torchcodec finds no FFmpeg')


@pytest.mark.usefixtures('_torchcodec')
@pytest.mark.parametrize(('name', 'kwargs'), FILES)
def test_backends_agree(tmp_path: Path, name: str, kwargs: dict) -> None:
    path = encode(tmp_path / name, [_textured(number) for number in range(24)], **kwargs)
    numbers = [0, 1, 5, 6, 7, 20, 23]

    expected = _decode(path, numbers)
    frames = _decode(path, numbers, backend='torchcodec')

    assert [(f.index, f.time_s) for f in frames] == [(f.index, f.time_s) for f in expected]
    for frame, reference in zip(frames, expected, strict=True):
        np.testing.assert_array_equal(frame.image, reference.image)


def test_old_444_is_not_green_after_a_seek(data_root: Path) -> None:
    path = data_root / 'keypoints' / 'dlc_openfield' / 'videos' / 'm3v1mp4.mp4'
    from_start = {
        frame.index: frame.image
        for frame in itertools.islice(iterate_frames(path), 205)
        if frame.index in (183, 200)
    }
    for frame in [*_decode(path, [200]), *_decode(path, [183, 200])]:
        np.testing.assert_array_equal(frame.image, from_start[frame.index])


def test_frames_of_a_damaged_header_are_in_order(tmp_path: Path) -> None:
    path = encode(tmp_path / 'video.mov', codec='mpeg4', movflags='faststart')
    content = bytearray(path.read_bytes())
    # of the last bytes that tell the decoder which order the frames are stored in
    content[content.index(b'esds') + 68] = 255
    path.write_bytes(content)

    with pytest.warns(UserWarning, match='3 of 24 frames'):
        numbers = [frame.index for frame in iterate_frames(path)]

    assert numbers == sorted(set(numbers))
    assert {18, 19, 20} <= {*numbers}


@pytest.mark.parametrize(
    ('decoded', 'given'),
    [
        pytest.param([0, 3, 1, 2, 4], [0, 1, 2, 3, 4], id='another-order'),
        pytest.param([2, 4, 3], [2, 3, 4], id='the-first-missing'),
        pytest.param([0, *range(2, 22), 1, 22], [0, *range(2, 23)], id='too-late'),
        pytest.param([0, 1, 1, 2], [0, 1, 2], id='twice'),
    ],
)
def test_decoded_frames_are_put_in_order(decoded: list[int], given: list[int]) -> None:
    numbered = [(number, None) for number in decoded]
    assert [number for number, _ in decode._put_in_order(numbered, 0)] == given


@pytest.mark.parametrize('rotation', [None, 90], ids=['upright', 'turned'])
def test_areas_are_averaged_from_what_is_stored(tmp_path: Path, rotation: int | None) -> None:
    images = [np.kron(_textured(number), np.ones((4, 4, 1), np.uint8)) for number in range(3)]
    path = encode(tmp_path / 'video.mp4', images, rotation=rotation)

    (frame,) = _decode(path, [1])
    small = frame.averaged(32)

    assert small.shape == (32, 32, 3)
    # no picture of full size was made of it
    assert 'image' not in vars(frame)
    expected = VideoFrame(1, 0.0, frame.image).averaged(32)
    assert np.abs(small.astype(int) - expected).mean() < 2
    np.testing.assert_array_equal(frame.averaged(500), resize_area(frame.image, 500))


def test_fields_are_scaled_as_one_picture(tmp_path: Path) -> None:
    # each field shows another moment: white columns that lie elsewhere in every second row
    image = np.zeros((96, 128, 3), np.uint8)
    image[::2, 16:48] = image[1::2, 64:96] = 255
    path = encode(tmp_path / 'video.mp4', [image] * 3, **{'x264-params': 'interlaced=1'})

    (frame,) = _decode(path, [1])

    plain = VideoFrame(1, 0.0, frame.image)
    np.testing.assert_array_equal(frame.scaled(48, 40), plain.scaled(48, 40))
    np.testing.assert_array_equal(frame.averaged(32), plain.averaged(32))
    # both moments are in each row
    assert frame.averaged(32)[4:-4, [8, 20]].min() > 60
