"""The pictures of a folder are numbered by their names, and read whole or not at all."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from mmotion.video import VideoError
from mmotion.video.pictures import find_pictures, read_picture, write_picture


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
    pictures = find_pictures(tmp_path)
    assert pictures.numbers.tolist() == numbers
    assert pictures.problem is None
    assert len(pictures.files) == len(names)


def test_pictures_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (2, 10, 1):
        cv2.imwrite(str(tmp_path / f'{number}.png'), np.full((8, 8, 3), number, np.uint8))
    images = map(read_picture, find_pictures(tmp_path).files)
    assert [int(image.mean()) for image in images] == [1, 2, 10]


def test_what_is_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / '.hidden.png').write_bytes(b'')
    with pytest.raises(VideoError, match='a folder of pictures must hold some'):
        find_pictures(tmp_path)
    with pytest.raises(VideoError, match='one that OpenCV reads'):
        read_picture(tmp_path / '.hidden.png')


def test_a_picture_is_read_as_it_was_written(tmp_path: Path) -> None:
    image = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
    write_picture(tmp_path / 'new' / 'a.png', image)
    np.testing.assert_array_equal(read_picture(tmp_path / 'new' / 'a.png'), image)
