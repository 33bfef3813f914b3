"""The pictures of a folder are numbered by their names, and read whole or not at all."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mmotion.video import VideoError
from mmotion.video.pictures import Page, find_pictures, list_pages, read_picture, write_picture
from mmotion.video.scan import scan_video
from mmotion.video.sources import open_source


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
    assert len(pictures.pages) == len(names)


def test_pictures_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (2, 10, 1):
        cv2.imwrite(str(tmp_path / f'{number}.png'), np.full((8, 8, 3), number, np.uint8))
    images = map(read_picture, find_pictures(tmp_path).pages)
    assert [int(image.mean()) for image in images] == [1, 2, 10]


def test_what_is_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / '.hidden.png').write_bytes(b'')
    with pytest.raises(VideoError, match='a folder of pictures must hold some'):
        find_pictures(tmp_path)
    with pytest.raises(VideoError, match='one that OpenCV reads'):
        read_picture(Page(tmp_path / '.hidden.png'))


@pytest.mark.parametrize('ending', ['.png', '.tif'])
@pytest.mark.parametrize('bits', [8, 10, 12, 14, 16])
def test_values_are_scaled_by_the_bits_of_the_camera(
    tmp_path: Path, ending: str, bits: int
) -> None:
    """Pictures of 12 bits in files of 16 were read as grey 2 to 13 of 255."""
    # the first alone would be taken for fewer bits
    levels = [0.1, 0.5, 0.98]
    for number, level in enumerate(levels):
        image = np.full((8, 8), level * (2**bits - 1), np.uint16)
        cv2.imwrite(str(tmp_path / f'{number}{ending}'), image)
    source = open_source(tmp_path, fps=10.0)
    expected = [255 * level for level in levels]
    streamed = [frame.image.mean() for frame in source.frames()]
    assert streamed == pytest.approx(expected, abs=1)
    read = [image.mean() for image in source.read(source.numbers)]
    assert read == pytest.approx(expected, abs=1)


@pytest.mark.parametrize('name', ['0.png', '9.png'], ids=['first', 'last'])
def test_pictures_of_8_bits_among_others_are_refused(tmp_path: Path, name: str) -> None:
    """One of 8 bits, such as a mask, made all of 16 bits white."""
    for number in range(1, 4):
        cv2.imwrite(str(tmp_path / f'{number}.png'), np.full((8, 8), 1000 * number, np.uint16))
    cv2.imwrite(str(tmp_path / name), np.full((8, 8), 100, np.uint8))
    with pytest.raises(VideoError, match=r'of as many bits, got 1000 in .* of 8 bits; take'):
        [*open_source(tmp_path, fps=10.0).frames()]


def test_the_pages_of_a_stack_are_its_frames(tmp_path: Path) -> None:
    """Of a TIFF with 60 pages the first alone was read."""
    pages = [np.full((8, 8), number, np.uint8) for number in range(60)]
    for name in ('rec1.tif', 'rec2.tif'):
        cv2.imwritemulti(str(tmp_path / name), pages)
    assert len(list_pages(tmp_path / 'rec1.tif')) == 60
    stack = open_source(tmp_path / 'rec1.tif', fps=10.0)
    assert [frame.image.mean() for frame in stack.frames()] == [*range(60)]
    assert [image.mean() for image in stack.read(np.array([59, 3]))] == [59, 3]
    both = open_source(tmp_path, fps=10.0)
    assert [frame.image.mean() for frame in both.frames(5.5, 6.5)] == [*range(55, 60), *range(5)]
    with pytest.raises(ValueError, match='fps must be given'):
        open_source(tmp_path / 'rec1.tif').times  # noqa: B018


def test_floating_point_numbers_are_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / '0.tif'), np.full((8, 8), 0.5, np.float32))
    with pytest.raises(VideoError, match='values of 8 or 16 bits, got float32'):
        next(open_source(tmp_path, fps=10.0).frames())


def test_an_animated_webp_is_called_what_it_is(tmp_path: Path) -> None:
    images = [Image.new('RGB', (16, 16), (30 * number, 0, 0)) for number in range(5)]
    path = tmp_path / 'wave.webp'
    images[0].save(path, save_all=True, append_images=images[1:], duration=100)
    try:
        assert scan_video(path).info.num_frames == 5
    except VideoError as error:
        # as long as FFmpeg cannot
        assert 'an animated WebP; write it as GIF or MP4' in str(error)


def test_a_picture_is_read_as_it_was_written(tmp_path: Path) -> None:
    image = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
    write_picture(tmp_path / 'new' / 'a.png', image)
    np.testing.assert_array_equal(read_picture(Page(tmp_path / 'new' / 'a.png')), image)
