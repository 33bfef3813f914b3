import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mmotion.video import decode, iterate_frames
from mmotion.video.decode import VideoFrame, choose_decoder
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
