import struct
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmotion.video.scan import VideoError, scan_video
from tests.video_files import cut_start, encode, encode_sound, paint, truncate


@pytest.mark.parametrize(
    ('name', 'kwargs'),
    [
        pytest.param('b_frames.mp4', {}, id='b-frames'),
        pytest.param('header.mp4', {'movflags': 'frag_keyframe+empty_moov'}, id='no-frame-count'),
        pytest.param('late.mp4', {'movflags': 'frag_keyframe+delay_moov'}, id='fragmented'),
        pytest.param('matroska.mkv', {}, id='matroska'),
        pytest.param('transport.ts', {}, id='mpeg-ts'),
        pytest.param('flash.flv', {}, id='flv'),
        pytest.param('raw.h264', {}, id='raw-stream'),
        pytest.param('old.avi', {'codec': 'mpeg4'}, id='avi-b-frames'),
        pytest.param('older.mpg', {'codec': 'mpeg2video'}, id='mpeg-ps'),
        pytest.param('web.webm', {'codec': 'libvpx-vp9'}, id='vp9'),
        pytest.param('altref.webm', {'codec': 'libvpx', 'auto-alt-ref': '1'}, id='vp8-altref'),
        pytest.param('open.mkv', {'x264-params': 'open-gop=1:bframes=3'}, id='open-gop'),
        pytest.param('fields.ts', {'x264-params': 'interlaced=1'}, id='interlaced'),
    ],
)
def test_constant_rate(tmp_path: Path, name: str, kwargs: dict) -> None:
    index = scan_video(encode(tmp_path / name, **kwargs))

    assert index.info.num_frames == 24
    assert index.info.fps == 30
    assert (index.info.width, index.info.height) == (64, 48)
    assert index.info.duration_s == pytest.approx(0.8, abs=0.002)
    np.testing.assert_allclose(index.times_s, np.arange(24) / 30, atol=0.002)
    assert index.damage is None


@pytest.mark.parametrize(
    ('name', 'kwargs'),
    [
        pytest.param('raw.h264', {}, id='raw-stream'),
        pytest.param('old.avi', {'codec': 'mpeg4'}, id='avi-b-frames'),
    ],
)
def test_unreliable_times_are_not_used(tmp_path: Path, name: str, kwargs: dict) -> None:
    index = scan_video(encode(tmp_path / name, **kwargs))

    # AVI numbers frames as they are stored: XviD's packed B-frames come out 0, 1, 3, 2, ...
    assert index.timestamps is None
    assert index.keyframes.tolist() == [0]


@pytest.mark.parametrize(
    'fps',
    [
        pytest.param(Fraction(30000, 1001), id='ntsc'),
        pytest.param(Fraction(1, 2), id='slide-show'),
        pytest.param(1000, id='high-speed'),
    ],
)
def test_rate_is_not_rounded(tmp_path: Path, fps: Fraction) -> None:
    info = scan_video(encode(tmp_path / 'video.mp4', fps=fps)).info

    assert info.fps == float(fps)
    assert info.duration_s == pytest.approx(24 / fps)


@pytest.mark.parametrize('name', ['video.mp4', 'video.mkv'])
def test_variable_rate(tmp_path: Path, name: str) -> None:
    times_ms = [0, 40, 80, 500, 520, 1000]
    images = [paint(number) for number in range(6)]

    index = scan_video(encode(tmp_path / name, images, fps=25, times_ms=times_ms))

    np.testing.assert_allclose(index.times_s, np.array(times_ms) / 1000, atol=1e-3)
    # the average, where the header of the second says 25
    assert index.info.fps == pytest.approx(6 / index.info.duration_s)
    assert index.info.fps < 6


def test_header_count_is_not_believed(tmp_path: Path) -> None:
    whole = encode(tmp_path / 'whole.mp4', movflags='faststart')

    index = scan_video(cut_start(whole, tmp_path / 'edited.mp4', frames=8))

    # the header of the second still says 24; 8 are discarded by the edit list
    assert index.info.num_frames == 16
    assert index.times_s[0] == 0
    assert index.damage is None


@pytest.mark.parametrize(
    ('rotation', 'size'),
    [
        pytest.param(0, (64, 48), id='0'),
        pytest.param(90, (48, 64), id='90'),
        pytest.param(180, (64, 48), id='180'),
        pytest.param(270, (48, 64), id='270'),
    ],
)
def test_size_is_after_rotation(tmp_path: Path, rotation: int, size: tuple[int, int]) -> None:
    info = scan_video(encode(tmp_path / 'video.mp4', rotation=rotation)).info

    assert (info.width, info.height) == size


def test_stream_that_changes_its_size_has_the_first(tmp_path: Path) -> None:
    parts = [
        encode(tmp_path / f'{height}.h264', [paint(0, height=height)] * 5) for height in (48, 80)
    ]
    path = tmp_path / 'both.h264'
    path.write_bytes(b''.join(part.read_bytes() for part in parts))

    info = scan_video(path).info

    assert (info.num_frames, info.height) == (10, 48)


def test_picture_is_a_video_of_one_frame(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / 'picture.png'), paint(3, height=31, width=45))

    info = scan_video(tmp_path / 'picture.png').info

    assert (info.num_frames, info.width, info.height) == (1, 45, 31)


def test_changed_file_is_scanned_again(tmp_path: Path) -> None:
    path = tmp_path / 'video.mp4'
    counts = []
    for number in (3, 5):
        encode(path, [paint(0)] * number)
        counts.append(scan_video(path).info.num_frames)

    assert counts == [3, 5]
    assert scan_video(path) is scan_video(str(path))


@pytest.mark.parametrize(
    ('name', 'kwargs'),
    [
        pytest.param('video.mp4', {'movflags': 'faststart'}, id='mp4'),
        pytest.param('video.mkv', {}, id='mkv'),
        pytest.param('video.avi', {'codec': 'mpeg4', 'bf': '0'}, id='avi'),
    ],
)
def test_cut_file_holds_what_is_there(tmp_path: Path, name: str, kwargs: dict) -> None:
    # noise, so that the frames and not the header make up the file
    images = list(np.random.default_rng(0).integers(0, 256, (24, 48, 64, 3), np.uint8))
    whole = encode(tmp_path / name, images, **kwargs)

    index = scan_video(truncate(whole, tmp_path / f'cut_{name}', part=0.6))

    assert 4 < index.info.num_frames < 20
    assert f'cut off: it holds {index.info.num_frames} whole frames' in index.damage


def _make_nothing(path: Path) -> None:
    pass


def _make_text(path: Path) -> None:
    path.write_text('name,count\nsquat,12\n' * 50)


def _make_truncated(path: Path) -> None:
    truncate(encode(path.with_name('whole.mp4')), path, part=0.5)


@pytest.mark.parametrize(
    ('name', 'make', 'error', 'message'),
    [
        pytest.param('a.mp4', _make_nothing, FileNotFoundError, 'must exist', id='missing'),
        pytest.param('a.mp4', Path.mkdir, VideoError, 'must be a file, got', id='folder'),
        pytest.param('a.mp4', Path.touch, VideoError, 'must not be empty', id='zero-bytes'),
        pytest.param('a.mp4', _make_text, VideoError, 'FFmpeg can read', id='text-named-mp4'),
        pytest.param('a.txt', _make_text, VideoError, 'moving pictures', id='text'),
        pytest.param('a.mp4', _make_truncated, VideoError, 'FFmpeg can read', id='no-index'),
        pytest.param('a.m4a', encode_sound, VideoError, 'moving pictures', id='sound'),
        pytest.param(
            'a.mp3',
            lambda path: encode_sound(path, cover=paint(3)),
            VideoError,
            'moving pictures',
            id='sound-with-cover',
        ),
    ],
)
def test_what_is_no_video(
    tmp_path: Path, name: str, make, error: type[Exception], message: str
) -> None:
    path = tmp_path / name
    make(path)

    with pytest.raises(error, match=message) as caught:
        scan_video(path)

    assert str(path) in str(caught.value)


def test_video_without_a_decodable_frame(tmp_path: Path) -> None:
    path = encode(tmp_path / 'video.mp4', movflags='faststart')
    content = path.read_bytes()
    frames_start = content.index(b'mdat') + 4
    path.write_bytes(content[:frames_start] + bytes(len(content) - frames_start))

    with pytest.raises(VideoError, match='must have a frame that can be decoded'):
        scan_video(path)


def _list_chunks(content: bytes) -> list[tuple[int, int]]:
    """Where each frame of an AVI begins and ends, with its header of 8 bytes."""
    place, chunks = content.index(b'movi') + 4, []
    while content[place : place + 4] == b'00dc':
        (size,) = struct.unpack('<I', content[place + 4 : place + 8])
        chunks.append((place, place + 8 + size))
        place += 8 + size + size % 2
    return chunks


def test_a_frame_that_an_avi_lists_and_does_not_hold_is_lost(tmp_path: Path) -> None:
    path = encode(tmp_path / 'video.avi', codec='mjpeg', pixel_format='yuvj420p')
    content = bytearray(path.read_bytes())
    start, end = _list_chunks(content)[5]
    content[start:end] = bytes(end - start)
    path.write_bytes(content)

    index = scan_video(path)

    assert (index.info.num_frames, index.num_lost) == (23, 1)
    assert 'holds 23 frames and declares 1 more' in index.damage


def test_an_empty_frame_of_an_avi_is_not_lost(tmp_path: Path) -> None:
    # recorders write one for a frame that is like the one before
    path = encode(tmp_path / 'video.avi', codec='mjpeg', pixel_format='yuvj420p')
    content = bytearray(path.read_bytes())
    movi, index = content.index(b'movi'), content.index(b'idx1')
    start, _ = _list_chunks(content)[5]
    rows = [list(struct.unpack('<4sIII', content[index + 8 + 16 * i :][:16])) for i in range(24)]
    for row in rows[5:]:
        row[2] += 8
    rows.insert(5, [b'00dc', 0, start - movi, 0])
    content[index:] = b'idx1' + struct.pack('<I', 25 * 16)
    content += b''.join(struct.pack('<4sIII', *row) for row in rows)
    content[start:start] = b'00dc' + bytes(4)
    (size,) = struct.unpack('<I', content[movi - 4 : movi])
    content[movi - 4 : movi] = struct.pack('<I', size + 8)
    content[4:8] = struct.pack('<I', len(content) - 8)
    path.write_bytes(content)

    found = scan_video(path)

    assert (found.info.num_frames, found.num_lost, found.damage) == (24, 0, None)
    assert found.times_s[4:7] == pytest.approx([4 / 30, 6 / 30, 7 / 30])
