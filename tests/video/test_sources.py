"""Files and folders of pictures are found, numbered and read alike."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from mmotion.video import VideoError
from mmotion.video.sources import FrameSource, find_sources
from tests.moving_boxes import draw_frames, write_pictures, write_video


def test_a_file_and_its_pictures_are_read_alike(tmp_path: Path) -> None:
    file = FrameSource(write_video(tmp_path / 'a.mp4', 12), 'a')
    pictures = FrameSource(write_pictures(tmp_path / 'a', 12), 'a')
    assert file.numbers.tolist() == pictures.numbers.tolist() == list(range(12))
    assert (file.fps, pictures.fps) == (30, None)
    wanted = np.array([3, 7])
    for one, other, drawn in zip(
        file.read(wanted), pictures.read(wanted), np.array(draw_frames(12))[wanted], strict=True
    ):
        np.testing.assert_array_equal(other, drawn)
        assert np.abs(one.astype(int) - other).mean() < 5


def test_frames_keep_their_numbers_across_a_hole(tmp_path: Path) -> None:
    source = FrameSource(write_pictures(tmp_path / 'a', 30, leave_out=(1, 11, 12)), 'a')
    # the second picture is the first that is there, and has the number 0
    assert source.numbers.tolist() == [*range(9), *range(11, 29)]
    assert source.labels[9] == 13
    assert 'holes: 2 frames are missing, first after img_000010.png' in str(source.problem)
    (image,) = source.read(np.array([11]))
    np.testing.assert_array_equal(image, draw_frames(30)[12])


@pytest.mark.parametrize(
    ('names', 'numbers'),
    [
        pytest.param(['f_5.png', 'f_10.png', 'f_15.png'], [0, 1, 2], id='every fifth'),
        pytest.param(['f_1.png', 'f_64.png', 'f_90.png', 'f_91.png'], [0, 1, 2, 3], id='chosen'),
        pytest.param(['b.png', 'a.png'], [0, 1], id='without numbers'),
        pytest.param(['f_1.png'], [0], id='one'),
    ],
)
def test_pictures_without_a_regular_step_are_numbered_in_order(tmp_path, names, numbers) -> None:
    for name in names:
        cv2.imwrite(str(tmp_path / name), np.zeros((8, 8, 3), np.uint8))
    source = FrameSource(tmp_path, 'v')
    assert source.numbers.tolist() == numbers
    assert source.problem is None
    assert len(source.sample(5)) == len(names)


def test_pictures_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (2, 10, 1):
        cv2.imwrite(str(tmp_path / f'{number}.png'), np.full((8, 8, 3), number, np.uint8))
    frames = [*FrameSource(tmp_path, 'v').read(np.array([0, 1]))]
    assert [int(frame.mean()) for frame in frames] == [1, 2]


def test_a_sample_is_spread_over_the_video(tmp_path: Path) -> None:
    source = FrameSource(write_pictures(tmp_path / 'a', 24, leave_out=(11,)), 'a')
    drawn = draw_frames(24)
    for image, number in zip(source.sample(3), (0, 12, 23), strict=True):
        np.testing.assert_array_equal(image, drawn[number])


def test_videos_are_found_at_any_depth(tmp_path: Path) -> None:
    write_video(tmp_path / 'mice' / 'one.mp4', 4)
    write_pictures(tmp_path / 'mice' / 'two', 4)
    write_pictures(tmp_path / '.hidden', 4)
    (tmp_path / 'mice' / 'notes.txt').write_text('none')
    (tmp_path / 'old.seq').write_bytes(b'\xed\xfe\x00\x00')
    assert [*find_sources(tmp_path)] == ['mice/one.mp4', 'mice/two', 'old.seq']
    assert [*find_sources(tmp_path, names='^mice/t')] == ['mice/two']
    assert find_sources(tmp_path / 'mice' / 'two') == {'two': tmp_path / 'mice' / 'two'}
    assert [*find_sources(tmp_path / 'mice' / 'one.mp4')] == ['one.mp4']


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"data_root must be a video.*got data_root='.*no'"):
        find_sources(tmp_path / 'no')
    write_pictures(tmp_path / 'a', 2)
    with pytest.raises(FileNotFoundError, match=r"names must find .*names='x' for 'a' and 0 more"):
        find_sources(tmp_path, names='x')
    with pytest.raises(ValueError, match=r"names must be a regular expression, got names='\('"):
        find_sources(tmp_path, names='(')


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / 'a.seq').write_bytes(b'\xed\xfe')
    with pytest.raises(VideoError, match=r'a\.seq, a recording of StreamPix; export it'):
        FrameSource(tmp_path / 'a.seq', 'a')
    with pytest.raises(VideoError, match='a folder of pictures must hold some'):
        FrameSource(tmp_path, 'a')
    source = FrameSource(write_pictures(tmp_path / 'b', 3), 'b')
    (tmp_path / 'b' / 'img_000002.png').write_bytes(b'no picture')
    with pytest.raises(VideoError, match=r'one that OpenCV reads, got path=.*img_000002\.png'):
        [*source.read(np.array([1]))]
    (tmp_path / 'b' / 'img_000003.png').unlink()
    with pytest.raises(VideoError, match=r'a picture must be readable, got path=.*img_000003'):
        [*source.read(np.array([2]))]
