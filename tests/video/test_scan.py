import struct
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from mmotion.video import iterate_frames, read_frames
from mmotion.video.scan import VideoError, forget_videos, scan_video
from mmotion.video.sources import open_source
from tests.video_files import (
    copy_photos,
    cut_start,
    encode,
    encode_sound,
    paint,
    read_number,
    trim,
    truncate,
)


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


@pytest.mark.parametrize('suffix', ['.avi', '.mkv', '.mov'])
@pytest.mark.parametrize(
    ('orientation', 'size'),
    [pytest.param(1, (64, 48), id='upright'), pytest.param(6, (48, 64), id='turned')],
)
def test_photos_with_exif_are_read_through_every_door(
    tmp_path: Path, suffix: str, orientation: int, size: tuple[int, int]
) -> None:
    # PyAV has no name for the EXIF that FFmpeg hands over beside the picture
    video = copy_photos(tmp_path / f'lapse{suffix}', orientation=orientation)

    info = scan_video(video).info
    assert (info.num_frames, info.width, info.height) == (24, *size)
    assert [read_number(frame.image) for frame in iterate_frames(video)] == [*range(24)]
    assert [read_number(image) for image in read_frames(video, [7, 23])] == [7, 23]
    assert [frame.index for frame in open_source(video).frames(0.5)] == [*range(15, 24)]


@pytest.mark.parametrize('suffix', ['.mp4', '.mkv', '.mov'])
def test_titles_chapters_and_covers_do_not_stop_a_file(tmp_path: Path, suffix: str) -> None:
    source, video = encode(tmp_path / 'source.mp4'), tmp_path / f'video{suffix}'
    with av.open(str(source)) as reader, av.open(str(video), 'w') as writer:
        stream = writer.add_stream_from_template(reader.streams.video[0])
        cover = writer.add_stream('mjpeg', rate=1)
        cover.height, cover.width, cover.pix_fmt = 48, 64, 'yuvj420p'
        cover.disposition = av.stream.Disposition.attached_pic
        chapter = {'id': 1, 'start': 0, 'end': 500, 'time_base': Fraction(1, 1000)}
        writer.set_chapters([{**chapter, 'metadata': {'title': 'TITLE'}}])
        stream.metadata['title'] = writer.metadata['title'] = 'TITLE'
        writer.mux(cover.encode(av.VideoFrame.from_ndarray(paint(3), format='rgb24')))
        writer.mux(cover.encode(None))
        for packet in reader.demux(reader.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                writer.mux(packet)
    # such as Latin-1, which no UTF-8 is
    video.write_bytes(video.read_bytes().replace(b'TITLE', b'T\xe9\xff\xc3!'))

    assert [read_number(frame.image) for frame in iterate_frames(video)] == [*range(24)]


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
    assert index.num_lost == 24 - index.info.num_frames


def test_avi_that_ends_between_two_frames_is_cut_off(tmp_path: Path) -> None:
    """Its duration is that of what is there, and nothing was said."""
    whole = encode(tmp_path / 'whole.avi', codec='mpeg4', bf='0')
    with av.open(str(whole)) as container:
        positions = [packet.pos for packet in container.demux(video=0) if packet.size]
    part = positions[14] / whole.stat().st_size
    index = scan_video(truncate(whole, tmp_path / 'cut.avi', part=part + 1e-9))
    assert (index.info.num_frames, index.num_lost, index.info.fps) == (14, 10, 30)
    assert 'cut.avi holds 14 frames, and 10 more are lost' in str(index.damage)


def test_gap_in_a_broadcast_is_counted(tmp_path: Path) -> None:
    """Its frames were fewer, and the rate was taken for a lower one."""
    images = list(np.random.default_rng(0).integers(0, 256, (24, 48, 64, 3), np.uint8))
    content = encode(tmp_path / 'whole.ts', images, g='1', bf='0').read_bytes()
    packets = [content[at : at + 188] for at in range(0, len(content), 188)]
    (tmp_path / 'gap.ts').write_bytes(b''.join(packets[: len(packets) // 3] + packets[-50:]))
    index = scan_video(tmp_path / 'gap.ts')
    assert index.info.num_frames < 20
    assert (index.info.num_frames + index.num_lost, index.info.fps) == (24, 30)
    assert f'and {index.num_lost} more are lost' in str(index.damage)
    assert scan_video(tmp_path / 'whole.ts').num_lost == 0


def set_table(path: Path, table: str, offset: int, value: int) -> None:
    """Set 32 bits of a table of an MP4 file, counted from its first entry."""
    content = bytearray(path.read_bytes())
    place = content.index(table.encode()) + 12 + offset
    content[place : place + 4] = value.to_bytes(4, 'big')
    path.write_bytes(content)


@pytest.mark.parametrize('times_ms', [None, [*range(0, 400, 33), *range(400, 1600, 100)]])
@pytest.mark.parametrize(
    ('table', 'offset', 'value'),
    [
        # of some frame, count and offset: it is shown hours later
        pytest.param('ctts', 8 * 5 + 4, 1 << 29, id='shown-late'),
        # of the first frames, count and length: all others come hours later
        pytest.param('stts', 4, 1 << 27, id='too-long'),
    ],
)
def test_frames_that_broken_tables_hide_are_lost(
    tmp_path: Path, table: str, offset: int, value: int, times_ms: list[int] | None
) -> None:
    num_frames = len(times_ms or range(24))
    path = encode(tmp_path / 'video.mp4', [paint(i) for i in range(num_frames)], times_ms=times_ms)
    assert scan_video(path).num_lost == 0
    set_table(path, table, offset, value)

    index = scan_video(path)

    assert index.info.num_frames < num_frames
    assert index.info.num_frames + index.num_lost == num_frames
    assert f'holds {index.info.num_frames} frames, and {index.num_lost} more are lost' in (
        index.damage or ''
    )


def test_an_edit_list_that_leaves_no_frame_is_broken(tmp_path: Path) -> None:
    path = encode(tmp_path / 'video.mp4')
    # of the one entry, how long it is shown, in milliseconds
    set_table(path, 'elst', 0, 1)

    index = scan_video(path)

    assert index.info.num_frames + index.num_lost == 24


def test_avi_declares_its_frames(tmp_path: Path) -> None:
    path = encode(tmp_path / 'video.avi', codec='mjpeg', pixel_format='yuvj420p')
    content = path.read_bytes()
    # the header of a frame in the middle, and all after it
    place = content.index(b'00dc', len(content) // 2)
    path.write_bytes(content[:place])

    index = scan_video(path)

    assert 0 < index.num_lost == 24 - index.info.num_frames


def test_frames_that_are_not_whole_are_said(tmp_path: Path) -> None:
    images = list(np.random.default_rng(0).integers(0, 256, (24, 48, 64, 3), np.uint8))
    path = encode(tmp_path / 'video.ts', images)
    content = bytearray(path.read_bytes())
    # packets of 188 bytes, which are counted; nobody knows how many frames there should be
    place = len(content) // 188 // 2 * 188
    path.write_bytes(content[:place] + content[place + 3 * 188 :])

    index = scan_video(path)

    assert (index.info.num_frames, index.num_lost) == (23, 1)
    assert 'holds 23 frames, and 1 more are lost' in str(index.damage)


@pytest.mark.parametrize('start_ms', [50, 333, 700, 1250])
@pytest.mark.parametrize('end_ms', [1800, 2400, 9999])
def test_a_trimmed_file_has_lost_nothing(tmp_path: Path, start_ms: int, end_ms: int) -> None:
    times_ms = [*range(0, 1000, 100), *range(1000, 1500, 33), 2000, 2100, 2600, 2633, 2700]
    whole = encode(
        tmp_path / 'whole.mp4', [paint(i) for i in range(len(times_ms))], times_ms=times_ms, g='50'
    )

    index = scan_video(trim(whole, tmp_path / 'part.mp4', start_ms=start_ms, end_ms=end_ms))

    assert (index.num_lost, index.damage) == (0, None)


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
    assert 'holds 23 frames, and 1 more are lost' in str(index.damage)


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


def test_forgotten_videos_are_read_again(tmp_path: Path) -> None:
    path = encode(tmp_path / 'video.mp4')
    first = scan_video(path)
    assert scan_video(path) is first

    forget_videos()

    assert scan_video(path) is not first
