"""Files and folders of pictures are found, numbered and read alike."""

import threading
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from mmotion.video import VideoError, sources
from mmotion.video.frames import read_ahead
from mmotion.video.sources import open_source
from tests.moving_boxes import draw_frames, write_pictures, write_video
from tests.video_files import encode, paint, read_number, truncate


def test_a_file_and_its_pictures_are_read_alike(tmp_path: Path) -> None:
    file = open_source(write_video(tmp_path / 'a.mp4', 12), name='a')
    pictures = open_source(write_pictures(tmp_path / 'a', 12), name='a')
    assert file.numbers.tolist() == pictures.numbers.tolist() == list(range(12))
    assert (file.fps, pictures.fps) == (30, None)
    wanted = np.array([3, 7])
    for one, other, drawn in zip(
        file.read(wanted), pictures.read(wanted), np.array(draw_frames(12))[wanted], strict=True
    ):
        np.testing.assert_array_equal(other, drawn)
        assert np.abs(one.astype(int) - other).mean() < 5


def test_frames_keep_their_numbers_across_a_hole(tmp_path: Path) -> None:
    source = open_source(write_pictures(tmp_path / 'a', 30, leave_out=(1, 11, 12)), name='a')
    # the second picture is the first that is there, and has the number 0
    assert source.numbers.tolist() == [*range(9), *range(11, 29)]
    assert source.labels[9] == 13
    assert 'holes: 2 frames are missing, first after img_000010.png' in str(source.problem)
    (image,) = source.read(np.array([11]))
    np.testing.assert_array_equal(image, draw_frames(30)[12])


def test_a_sample_is_spread_over_the_video(tmp_path: Path) -> None:
    source = open_source(write_pictures(tmp_path / 'a', 24, leave_out=(11,)), name='a')
    drawn = draw_frames(24)
    for image, number in zip(source.sample(3), (0, 12, 23), strict=True):
        np.testing.assert_array_equal(image, drawn[number])


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / 'a.seq').write_bytes(b'\xed\xfe')
    with pytest.raises(VideoError, match=r'a\.seq, a recording of StreamPix; export it'):
        open_source(tmp_path / 'a.seq', name='a')
    with pytest.raises(VideoError, match='a folder of pictures must hold some'):
        open_source(tmp_path, name='a')
    source = open_source(write_pictures(tmp_path / 'b', 3), name='b')
    (tmp_path / 'b' / 'img_000002.png').write_bytes(b'no picture')
    with pytest.raises(VideoError, match=r'one that OpenCV reads, got path=.*img_000002\.png'):
        [*source.read(np.array([1]))]
    (tmp_path / 'b' / 'img_000003.png').unlink()
    with pytest.raises(VideoError, match=r'a picture must be readable, got path=.*img_000003'):
        [*source.read(np.array([2]))]


# whatever holds a video, it is read alike


@pytest.mark.parametrize('holder', ['file', 'pictures', 'array', 'stream'])
def test_a_part_of_any_video(tmp_path: Path, holder: str) -> None:
    images = np.array(draw_frames(12))
    source = {
        'file': lambda: open_source(write_video(tmp_path / 'a.mp4', 12)),
        'pictures': lambda: open_source(write_pictures(tmp_path / 'a', 12), fps=30.0),
        'array': lambda: open_source(images, fps=30.0, name='a'),
        'stream': lambda: open_source(iter(images), fps=30.0, name='a'),
    }[holder]()
    assert (source.name, source.fps) == ('a', 30)
    assert source.is_rereadable == (holder != 'stream')
    assert source.num_frames == (None if holder == 'stream' else 12)
    frames = list(source.frames(0.1, 0.3))
    assert [frame.index for frame in frames] == list(range(3, 9))
    assert [frame.time_s for frame in frames] == pytest.approx(np.arange(3, 9) / 30)
    for frame, drawn in zip(frames, images[3:9], strict=True):
        assert np.abs(frame.image.astype(int) - drawn).mean() < 5
    if source.is_rereadable:
        assert source.size_wh == (96, 64)
        assert len(list(source.frames())) == 12
        np.testing.assert_array_equal(
            np.stack([*source.read(np.array([7, 3]))]), [frames[4].image, frames[0].image]
        )
    else:
        with pytest.raises(TypeError, match="to be read by number, got FrameStream 'a'"):
            source.read(np.array([0]))


def test_frames_of_pictures_keep_their_times_across_a_hole(tmp_path: Path) -> None:
    source = open_source(write_pictures(tmp_path / 'a', 30, leave_out=(12, 13)), fps=10.0)
    assert source.num_frames == 30
    with pytest.warns(UserWarning, match='holes: 2 frames are missing'):
        frames = list(source.frames(1.0, 1.5))
    assert [(frame.index, frame.time_s) for frame in frames] == [(10, 1.0), (13, 1.3), (14, 1.4)]
    # by number, the one before stands for one that is missing, as in a damaged file
    images = source.read(np.array([10, 11, 12, 13]))
    assert len(images) == 4
    np.testing.assert_array_equal(images[2], images[0])
    np.testing.assert_array_equal(images[1:][2], draw_frames(30)[13])


def test_the_rate_belongs_to_a_file_and_is_asked_of_others(tmp_path: Path) -> None:
    write_video(tmp_path / 'a.mp4', 4)
    with pytest.raises(ValueError, match='fps must be above 0'):
        open_source(tmp_path / 'a.mp4', fps=float('nan'))
    with pytest.raises(ValueError, match='fps must be given for a folder of pictures, got fps='):
        open_source(write_pictures(tmp_path / 'a', 4)).frames()
    with pytest.raises(ValueError, match='fps must be above 0'):
        open_source(tmp_path / 'a', fps=0)


def test_a_rate_that_is_given_passes_over_the_times_of_a_file(tmp_path: Path) -> None:
    images = [paint(number) for number in range(12)]
    times_ms = [*range(0, 1000, 100), 1000, 5000]
    for name in ('a.mp4', 'a.mkv', 'a.avi'):
        codec = 'mpeg4' if name == 'a.avi' else 'libx264'
        times = None if name == 'a.avi' else times_ms
        video = encode(tmp_path / name, images, codec=codec, times_ms=times)
        source = open_source(video, fps=4.0)
        assert (source.fps, source.num_frames, source.times.time_at(12)) == (4.0, 12, 3.0)
        frames = [*source.frames(1.0, 2.5)]
        assert [frame.index for frame in frames] == [4, 5, 6, 7, 8, 9]
        assert [frame.time_s for frame in frames] == [1.0, 1.25, 1.5, 1.75, 2.0, 2.25]
        assert [read_number(frame.image) for frame in frames] == [4, 5, 6, 7, 8, 9]


def test_lost_frames_are_counted(tmp_path: Path) -> None:
    """A file of which 4 of 40 frames could be decoded changed a count without a word."""
    whole = encode(tmp_path / 'whole.mp4', movflags='faststart')
    with av.open(str(whole)) as container:
        spans = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    content = bytearray(whole.read_bytes())
    for start, size in spans[18:]:
        content[start : start + size] = bytes(size)
    (tmp_path / 'broken.mp4').write_bytes(content)
    broken = open_source(tmp_path / 'broken.mp4')
    with pytest.warns(UserWarning, match='cannot be decoded'):
        num_good = len([*broken.frames()])
    assert num_good < 24
    assert broken.num_lost == 24 - num_good
    # of a part without the broken end there is nothing to say
    assert len([*broken.frames(0.0, 0.3)]) == 9
    assert broken.num_lost == 0

    short = open_source(truncate(whole, tmp_path / 'short.mp4', part=0.9))
    with pytest.warns(UserWarning, match='cut off'):
        num_good = len([*short.frames()])
    assert num_good < 24
    assert short.num_lost == 24 - num_good

    good = open_source(whole)
    assert (len([*good.frames()]), good.num_lost) == (24, 0)


def test_pictures_that_are_missing_are_counted(tmp_path: Path) -> None:
    for number in range(40):
        if number != 17:
            cv2.imwrite(str(tmp_path / f'{number:04d}.png'), paint(0))
    folder = open_source(tmp_path, fps=10.0)
    with pytest.warns(UserWarning, match='1 frames are missing'):
        assert len([*folder.frames()]) == 39
    assert folder.num_lost == 1


@pytest.mark.parametrize('kind', ['file', 'pictures'])
def test_stored_frames_are_read_in_a_thread_of_their_own(tmp_path: Path, monkeypatch, kind) -> None:
    if kind == 'file':
        source = open_source(write_video(tmp_path / 'a.mp4', 12))
    else:
        source = open_source(write_pictures(tmp_path / 'a', 12), fps=10.0)
    readers, listeners, before = [], [], set(threading.enumerate())
    iterate = source._iterate

    def note_reader(*span):
        for frame in iterate(*span):
            readers.append(threading.current_thread())
            yield frame

    monkeypatch.setattr(source, '_iterate', note_reader)
    source.on_frame = lambda frame: listeners.append(threading.current_thread())

    frames = source.frames()
    assert next(frames).index == 0
    frames.close()

    # the first tells how many the memory may hold
    assert {*readers[1:]} & before == set()
    assert listeners == [threading.current_thread()]
    assert set(threading.enumerate()) == before
    assert [frame.index for frame in source.frames()] == [*range(12)]


def test_large_frames_are_not_read_far_ahead(tmp_path: Path, monkeypatch) -> None:
    path = write_video(tmp_path / 'a.mp4', 24)
    depths = []
    monkeypatch.setattr(
        sources, 'read_ahead', lambda frames, depth: depths.append(depth) or read_ahead(frames)
    )
    for pixels in (sources.AHEAD_PIXELS, 64 * 64 * 5, 1):
        monkeypatch.setattr(sources, 'AHEAD_PIXELS', pixels)
        width, height = open_source(path).size_wh
        assert len([*open_source(path).frames()]) == 24
        assert depths[-1] == min(max(pixels // (width * height), 1), sources.MAX_AHEAD)
    assert depths[0] == sources.MAX_AHEAD
    assert depths[2] == 1


def test_frames_that_are_there_are_not_read_ahead() -> None:
    before = set(threading.enumerate())
    for video in (np.zeros((5, 4, 4, 3), np.uint8), iter(np.zeros((5, 4, 4, 3), np.uint8))):
        frames = open_source(video, fps=10.0).frames()
        next(frames)
        assert set(threading.enumerate()) == before
