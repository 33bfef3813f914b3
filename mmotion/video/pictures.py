"""Folders of pictures that are videos: PNG, JPEG, BMP, TIFF or WebP, one a frame.

Their names end with numbers: `img_000001.jpg`. Where a number is missing there is a hole: the
frames after it keep the numbers that they would have without it. Where the numbers follow no
regular step, as where somebody has chosen the frames, they are numbered by their order. Each page
of a TIFF with several is a frame; several of those are one recording, in the order of their names.

Pictures of 16 bits hold what a camera of 10, 12, 14 or 16 bits saw: they are scaled by the fewest
of these that hold the brightest value of the whole folder, so that frames stay comparable.

Shape letters in this file: N pictures of a folder, H and W height and width in pixels.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmotion.atomic import write_atomically
from mmotion.video.files import is_picture
from mmotion.video.scan import VideoError

# bits of a value, by the cameras that there are
_BITS = (8, 10, 12, 14, 16)
_PAGED_SUFFIXES = ('.tif', '.tiff')


class Page(NamedTuple):
    """Where a frame is: a file, and for a TIFF with several the number of its page, from 0."""

    path: Path
    number: int = 0


class Pictures(NamedTuple):
    """The pictures of a folder in the order of their numbers.

    Attributes:
        pages: Where they are (N).
        numbers: Their numbers as frames, ascending from 0 (N,).
        labels: The numbers in their names (N,).
        problem: What is missing, None if nothing is known to be.
    """

    pages: list[Page]
    numbers: NDArray[np.int64]
    labels: NDArray[np.int64]
    problem: str | None


def find_pictures(folder: Path) -> Pictures:
    """Find and number the pictures of a folder, or the pages of a file.

    Raises:
        VideoError: If there is none.
    """
    if folder.is_file():
        pages = list_pages(folder)
        numbers = np.arange(len(pages))
        return Pictures(pages, numbers, numbers, None)
    names = [file.name for file in folder.iterdir() if is_picture(file.name)]
    if not names:
        raise VideoError(
            f'a folder of pictures must hold some, got path={folder} without any; name a '
            'folder with PNG or JPEG files'
        )
    found = sorted((_last_number(name), name) for name in names)
    files = [folder / name for _, name in found]
    pages = [page for file in files for page in list_pages(file)]
    if len(pages) > len(files):
        numbers = np.arange(len(pages))
        return Pictures(pages, numbers, numbers, None)
    labels = np.array([label for label, _ in found])
    in_order = Pictures(pages, np.arange(len(found)), labels, None)
    steps = np.diff(labels)
    if not len(steps) or steps.min() < 1:
        return in_order
    unit = int(np.median(steps))
    is_hole = steps > unit
    # more than a few: the frames were chosen, and have no regular distance
    if (steps % unit).any() or not 0 < is_hole.mean() < 0.1:
        return in_order
    numbers = (labels - labels[0]) // unit
    num_missing = int(numbers[-1]) + 1 - len(found)
    last = files[int(np.argmax(is_hole))].name
    problem = f'{folder} has holes: {num_missing} frames are missing, first after {last}'
    return Pictures(pages, numbers, labels, problem)


def list_pages(path: Path) -> list[Page]:
    """The pages of a picture: one, but for some TIFF."""
    num_pages = 1
    if path.suffix.lower() in _PAGED_SUFFIXES:
        import cv2

        num_pages = max(cv2.imcount(str(path)), 1)
    return [Page(path, number) for number in range(num_pages)]


def measure_bits(pages: Iterable[Page]) -> int:
    """Bits of a value in pictures that are one recording; those of 8 bits are not all read."""
    highest = 0
    for page in pages:
        image = _decode(page)
        if image.dtype == np.uint8:
            return _BITS[0]
        highest = max(highest, int(image.max()))
    return next(bits for bits in _BITS if highest < 1 << bits)


def read_picture(page: Page, bits: int = 8) -> NDArray[np.uint8]:
    """Read a picture, RGB (H, W, 3).

    Args:
        page: Where it is.
        bits: Of its values, if they have more than 8, see `measure_bits`.

    Raises:
        VideoError: If it cannot be read, or has values of more bits.
    """
    import cv2

    image = _decode(page)
    if image.dtype == np.uint16:
        if image.max() >> bits:
            raise VideoError(
                f'pictures of one folder must have values of as many bits, got {image.max()} in '
                f'path={page.path} and others of {bits} bits; take out those that are no frames'
            )
        image = (image >> (bits - 8)).astype(np.uint8)
    # IMREAD_COLOR_RGB is younger than the oldest OpenCV that is supported
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def _decode(page: Page) -> NDArray[Any]:
    """Read a picture, BGR (H, W, 3), uint8 or uint16."""
    import cv2

    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
    path, number = page
    # imread neither raises nor takes all paths
    try:
        content = np.fromfile(path, np.uint8)
    except OSError as error:
        raise VideoError(
            f'a picture must be readable, got path={path} ({error.strerror}); copy it again'
        ) from error
    image = None
    if len(content) and not number:
        image = cv2.imdecode(content, flags)
        # OpenCV makes no color of floating-point numbers
        image = cv2.imdecode(content, cv2.IMREAD_UNCHANGED) if image is None else image
    elif len(content):
        _, images = cv2.imreadmulti(str(path), number, 1, flags=flags)
        image = images[0] if images else None
    if image is None:
        raise VideoError(
            f'a picture must be one that OpenCV reads, got path={path}; it is damaged, copy it '
            'again'
        )
    if image.dtype not in (np.uint8, np.uint16):
        raise VideoError(
            f'a picture must have values of 8 or 16 bits, got {image.dtype} in path={path}, whose '
            'white nobody knows; write it as 16-bit PNG or TIFF'
        )
    return image


def write_picture(path: Path, image: NDArray[np.uint8]) -> None:
    """Write an RGB picture (H, W, 3) as a PNG that is whole or not there."""
    import cv2

    with write_atomically(path) as temporary:
        _, content = cv2.imencode('.png', cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        temporary.write_bytes(content.tobytes())


def _last_number(name: str) -> int:
    """The last number in a file's name; -1 without any."""
    numbers = re.findall(r'\d+', Path(name).stem)
    return int(numbers[-1]) if numbers else -1
