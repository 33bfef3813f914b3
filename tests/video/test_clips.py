"""Chosen frames, scaled while they are decoded, and files that cannot be read."""

from pathlib import Path

import numpy as np
import pytest

from mmotion.video import VideoError, clips
from mmotion.video.clips import BrokenVideos, LazyFrames, read_scaled_frames
from mmotion.video.decode import choose_decoder
from tests.video_files import encode, paint, read_number, truncate


def halve(image: np.ndarray) -> np.ndarray:
    return image[::2, ::2]


def test_frames_are_those_of_the_numbers_and_scaled(tmp_path: Path) -> None:
    path = encode(tmp_path / 'v.mp4', [paint(number) for number in range(24)])
    numbers = np.array([5, 11, 8, 8, 20, 23])
    images = read_scaled_frames(path, numbers, scale=halve)
    assert [read_number(image) for image in images] == numbers.tolist()
    assert images[0].shape == (24, 32, 3)


def test_each_frame_is_scaled_once_and_no_other(tmp_path: Path) -> None:
    path = encode(tmp_path / 'v.mp4')
    seen = []

    def note(image: np.ndarray) -> np.ndarray:
        seen.append(read_number(image))
        return image

    read_scaled_frames(path, np.array([20, 3, 3, 9]), scale=note)
    assert seen == [3, 9, 20]


def test_a_frame_that_cannot_be_decoded_is_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = encode(tmp_path / 'v.mp4')

    def lose_frames(index, numbers):
        return (f for f in choose_decoder('pyav')(index, numbers) if f.index not in (2, 9))

    monkeypatch.setattr(clips, 'choose_decoder', lambda backend: lose_frames)
    images = read_scaled_frames(path, np.array([2, 5, 9]), scale=halve)
    # there is none before the first: the one after it
    assert [read_number(image) for image in images] == [5, 5, 5]
    with pytest.raises(VideoError, match=r'frames 9 to 9 of .*v\.mp4 must be decodable, got none'):
        read_scaled_frames(path, np.array([9]), scale=halve)


@pytest.mark.parametrize('number', [pytest.param(-1, id='before'), pytest.param(24, id='after')])
def test_frames_outside_of_the_video_are_refused(tmp_path: Path, number: int) -> None:
    path = encode(tmp_path / 'v.mp4')
    with pytest.raises(VideoError, match='must be from 0 to 23, got'):
        read_scaled_frames(path, np.array([3, number]), scale=halve)


@pytest.mark.parametrize(
    ('small_bytes', 'num_passes'),
    [pytest.param(10**6, 1, id='in-one-go'), pytest.param(0, 3, id='clip-by-clip')],
)
def test_lazy_frames_of_overlapping_clips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_bytes: int, num_passes: int
) -> None:
    path = encode(tmp_path / 'v.mp4')
    passes = []

    def count_passes(index, numbers):
        passes.append(numbers)
        return choose_decoder('pyav')(index, numbers)

    monkeypatch.setattr(clips, 'choose_decoder', lambda backend: count_passes)
    monkeypatch.setattr(clips, 'SMALL_CLIP_BYTES', small_bytes)
    numbers = np.array([0, 5, 9, 3, 8, 8, 2])
    frames = LazyFrames(path, numbers)
    assert len(frames) == 7 and not passes
    images = list(frames)
    assert [read_number(image) for image in images] == numbers.tolist()
    assert len(passes) == num_passes
    # a flip in place must not turn the same array twice
    assert not any(np.shares_memory(images[4], image) for image in images[5:])


def test_lazy_frames_are_decoded_one_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = encode(tmp_path / 'v.mp4')
    decoded = []

    def note(index, numbers):
        for frame in choose_decoder('pyav')(index, numbers):
            decoded.append(frame.index)
            yield frame

    monkeypatch.setattr(clips, 'choose_decoder', lambda backend: note)
    frames = iter(LazyFrames(path, np.array([2, 9, 20])))
    for number in (2, 9, 20):
        assert read_number(next(frames)) == decoded[-1] == number


def test_lazy_frames_are_a_sequence(tmp_path: Path) -> None:
    frames = LazyFrames(encode(tmp_path / 'v.mp4'), np.array([2, 9, 4]))
    assert read_number(frames[1]) == 9
    assert [read_number(image) for image in frames[1:]] == [9, 4]
    assert np.array(frames).shape == (3, 48, 64, 3)


def test_a_file_that_is_cut_off_has_the_frames_that_are_left(tmp_path: Path) -> None:
    whole = encode(tmp_path / 'v.mkv', [paint(n % 30) for n in range(90)])
    path = truncate(whole, tmp_path / 'cut.mkv', part=0.5)
    assert read_number(read_scaled_frames(path, np.array([7]), scale=halve)[0]) == 7


def test_broken_videos_are_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[str] = []
    monkeypatch.setattr(clips, 'print_log', lambda text, **_: logged.append(text))
    broken = BrokenVideos(2)
    broken.report(Path('a.mp4'), VideoError('cut off'))
    broken.report(Path('a.mp4'), VideoError('cut off'))
    assert logged == ['1 of 2 videos are broken; passed over: cut off']
    with pytest.raises(VideoError, match='got 2 of 2 videos are broken; last: empty'):
        broken.report(Path('b.mp4'), VideoError('empty'))
