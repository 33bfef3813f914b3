"""Videos as files and as folders of pictures, read alike.

A folder of pictures (PNG, JPEG, BMP, TIFF, WebP) is a video if their names end with numbers, one a
frame: `img_000001.jpg`. Where a number is missing there is a hole: the frames after it keep the
numbers that they would have without it. Where the numbers follow no regular step, as where somebody
has chosen the frames, they are numbered by their order.

Shape letters in this file: N frames of a video, H and W height and width in pixels.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mmotion.video.clips import LazyFrames
from mmotion.video.files import VIDEO_SUFFIXES
from mmotion.video.reading import VideoError
from mmotion.video.scan import scan_video

IMAGE_SUFFIXES = frozenset({'.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp'})
# recordings of StreamPix, which neither FFmpeg nor OpenCV reads; found, so that one is told so
STREAMPIX_SUFFIX = '.seq'


class FrameSource:
    """The frames of a video file, or of a folder of pictures.

    Attributes:
        path: File or folder.
        name: What it is called in logs and results.
        fps: Frames per second; None for pictures.
        numbers: Numbers of the frames that are there, ascending from 0, (N,).
        labels: The numbers in the names of the pictures, (N,); of a file the same as `numbers`.
        problem: What is wrong with it, although it can be used; None if nothing is known.

    Args:
        path: File or folder.
        name: See above.

    Raises:
        FileNotFoundError: If there is no such file or folder.
        VideoError: If the file cannot be read, or the folder holds no picture.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        self.fps: float | None = None
        self.problem: str | None = None
        self._files: list[Path] = []
        if path.is_dir():
            self._number_pictures()
            return
        if path.suffix.lower() == STREAMPIX_SUFFIX:
            raise VideoError(
                f'a video must be a file that FFmpeg reads, got path={path}, a recording of '
                'StreamPix; export it from there as AVI or as a folder of pictures'
            )
        index = scan_video(path)
        self.fps, self.problem = index.info.fps, index.damage
        self.numbers = self.labels = np.arange(index.info.num_frames)

    def read(self, numbers: NDArray[np.int64]) -> Iterable[NDArray[np.uint8]]:
        """Read frames one after the other, RGB (H, W, 3), while they are iterated over.

        Args:
            numbers: Those wanted, of `self.numbers`.

        Raises:
            VideoError: If one cannot be read, when it is its turn.
        """
        if not self._files:
            return LazyFrames(self.path, numbers)
        places = np.searchsorted(self.numbers, numbers)
        return (_read_picture(self._files[place]) for place in places.tolist())

    def sample(self, num_frames: int) -> list[NDArray[np.uint8]]:
        """Read frames that are spread evenly over the video, as many as there are at most.

        Raises:
            VideoError: If one cannot be read.
        """
        total = len(self.numbers)
        places = np.linspace(0, total - 1, min(num_frames, total)).round().astype(int)
        return [*self.read(self.numbers[places])]

    def _number_pictures(self) -> None:
        names = [file.name for file in self.path.iterdir() if _is_picture(file.name)]
        if not names:
            raise VideoError(
                f'a folder of pictures must hold some, got path={self.path} without any; name a '
                'folder with PNG or JPEG files'
            )
        found = sorted((_last_number(name), name) for name in names)
        self._files = [self.path / name for _, name in found]
        self.labels = np.array([label for label, _ in found])
        self.numbers = np.arange(len(found))
        steps = np.diff(self.labels)
        if not len(steps) or steps.min() < 1:
            return
        unit = int(np.median(steps))
        is_hole = steps > unit
        # more than a few: the frames were chosen, and have no regular distance
        if (steps % unit).any() or not 0 < is_hole.mean() < 0.1:
            return
        self.numbers = (self.labels - self.labels[0]) // unit
        last = self._files[int(np.argmax(is_hole))].name
        num_missing = int(self.numbers[-1]) + 1 - len(found)
        self.problem = (
            f'{self.path} has holes: {num_missing} frames are missing, first after {last}'
        )


def find_sources(data_root: str | Path, *, names: str = '') -> dict[str, Path]:
    """Find videos and folders of pictures, in the order of their names.

    Args:
        data_root: A video, a folder of pictures, or a folder with both at any depth. What is hidden
            (`.name`) is passed over.
        names: Regular expression that finds something in the names wanted.

    Returns:
        Files and folders by their paths below `data_root`, with slashes; `data_root` itself by its
        own name.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If `names` is no regular expression.
    """
    root = Path(data_root).expanduser()
    try:
        wanted = re.compile(names)
    except re.error as error:
        raise ValueError(
            f'names must be a regular expression, got names={names!r} ({error})'
        ) from None
    found = {root.name: root} if root.is_file() else {}
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith('.')]
        if any(map(_is_picture, files)):
            found[_name_below(root, Path(folder))] = Path(folder)
        for path in (Path(folder, file) for file in files if not file.startswith('.')):
            if path.suffix.lower() in VIDEO_SUFFIXES | {STREAMPIX_SUFFIX}:
                found[_name_below(root, path)] = path
    if not found:
        raise FileNotFoundError(
            'data_root must be a video, a folder of pictures, or a folder of those, got '
            f'data_root={str(data_root)!r}, where there is none; check its spelling'
        )
    chosen = {name: found[name] for name in sorted(found) if wanted.search(name)}
    if not chosen:
        raise FileNotFoundError(
            f'names must find something in the name of a video, got names={names!r} for '
            f'{min(found)!r} and {len(found) - 1} more'
        )
    return chosen


def _name_below(root: Path, path: Path) -> str:
    return root.name if path == root else path.relative_to(root).as_posix()


def _is_picture(name: str) -> bool:
    return Path(name).suffix.lower() in IMAGE_SUFFIXES and not name.startswith('.')


def _last_number(name: str) -> int:
    """The last number in a file's name; -1 without any."""
    numbers = re.findall(r'\d+', Path(name).stem)
    return int(numbers[-1]) if numbers else -1


def _read_picture(path: Path) -> NDArray[np.uint8]:
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
