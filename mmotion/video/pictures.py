"""Folders of pictures that are videos: PNG, JPEG, BMP, TIFF or WebP, one a frame.

Their names end with numbers: `img_000001.jpg`. Where a number is missing there is a hole: the
frames after it keep the numbers that they would have without it. Where the numbers follow no
regular step, as where somebody has chosen the frames, they are numbered by their order.

Shape letters in this file: N pictures of a folder, H and W height and width in pixels.
"""

import re
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mmotion.atomic import write_atomically
from mmotion.video.files import is_picture
from mmotion.video.scan import VideoError


class Pictures(NamedTuple):
    """The pictures of a folder in the order of their numbers.

    Attributes:
        files: The files (N).
        numbers: Their numbers as frames, ascending from 0 (N,).
        labels: The numbers in their names (N,).
        problem: What is missing, None if nothing is known to be.
    """

    files: list[Path]
    numbers: NDArray[np.int64]
    labels: NDArray[np.int64]
    problem: str | None


def find_pictures(folder: Path) -> Pictures:
    """Find and number the pictures of a folder.

    Raises:
        VideoError: If there is none.
    """
    names = [file.name for file in folder.iterdir() if is_picture(file.name)]
    if not names:
        raise VideoError(
            f'a folder of pictures must hold some, got path={folder} without any; name a '
            'folder with PNG or JPEG files'
        )
    found = sorted((_last_number(name), name) for name in names)
    files = [folder / name for _, name in found]
    labels = np.array([label for label, _ in found])
    in_order = Pictures(files, np.arange(len(found)), labels, None)
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
    return Pictures(files, numbers, labels, problem)


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Read a picture, RGB (H, W, 3).

    Raises:
        VideoError: If it cannot be read.
    """
    # imread neither raises nor takes all paths
    try:
        content = np.fromfile(path, np.uint8)
    except OSError as error:
        raise VideoError(
            f'a picture must be readable, got path={path} ({error.strerror}); copy it again'
        ) from error
    image = cv2.imdecode(content, cv2.IMREAD_COLOR) if len(content) else None
    if image is None:
        raise VideoError(
            f'a picture must be one that OpenCV reads, got path={path}; it is damaged, copy it '
            'again'
        )
    # IMREAD_COLOR_RGB is younger than the oldest OpenCV that is supported
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def write_picture(path: Path, image: NDArray[np.uint8]) -> None:
    """Write an RGB picture (H, W, 3) as a PNG that is whole or not there."""
    with write_atomically(path) as temporary:
        _, content = cv2.imencode('.png', cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        temporary.write_bytes(content.tobytes())


def _last_number(name: str) -> int:
    """The last number in a file's name; -1 without any."""
    numbers = re.findall(r'\d+', Path(name).stem)
    return int(numbers[-1]) if numbers else -1
