"""One way to read a video, whatever holds it: a file, a folder of pictures, an array, a camera.

Data sets and prediction read by the same `VideoSource`, so that a model predicts on what it can be
trained on. Frames are numbered from 0 in the order in which they are shown. Images are RGB
(H, W, 3), uint8.

Shape letters in this file: N frames of a video, H and W height and width in pixels.
"""

import itertools
import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmotion.checks import check_fps
from mmotion.video.clips import LazyFrames
from mmotion.video.files import STREAMPIX_SUFFIX, name_video
from mmotion.video.frames import Frames, Video, check_frames, number_frames, read_ahead
from mmotion.video.pictures import Page, find_pictures, list_pages, measure_bits, read_picture
from mmotion.video.reading import VideoError, VideoFrame, iterate_frames
from mmotion.video.scan import scan_video
from mmotion.video.timing import FrameTimes, check_times

# pixels that are read before they are looked at, in frames that are as many as this or fewer, while
# a network is at work on some 50; of YUV they take 24 MB, of pictures 48 MB
AHEAD_PIXELS = 16_000_000
MAX_AHEAD = 32


class VideoSource(ABC):
    """The frames of one video.

    Attributes:
        name: What it is called in logs, results and the names of outputs.
        fps: Frames per second; None for pictures and frames if nobody has told it.
        path: File or folder; frames that lie in neither have none.
        num_frames: How many frames there are, those included that are missing from a folder or
            cannot be decoded; None for frames that come in one after another.
        numbers: Numbers of the frames that are there, ascending from 0, (N,).
        labels: The numbers in the names of pictures, (N,); of others the same as `numbers`.
        problem: What is wrong with it, although it can be used; None if nothing is known.
        num_lost: Frames that should have been there and could not be read, of those that `frames`
            was asked for last; known when all of them have been given.
        is_rereadable: Whether it can be read again, and by number.
        on_frame: What is called with each frame that `frames` gives, before it is given.

    The frames of a file or folder are read in a thread, some of them before they are asked for; it
    ends with the iterator.
    """

    path: Path
    num_frames: int | None = None
    numbers: NDArray[np.int64]
    labels: NDArray[np.int64]
    problem: str | None = None
    num_lost: int = 0
    is_rereadable = True
    on_frame: Callable[[VideoFrame], object] | None = None
    # in messages
    _kind = 'frames'
    # whether reading it takes time
    _is_stored = False

    def __init__(self, name: str, fps: float | None) -> None:
        if fps is not None:
            check_fps(fps)
        self.name, self.fps = name, fps

    @cached_property
    def size_wh(self) -> tuple[int, int]:
        """Width and height in pixels, by the first frame.

        Raises:
            VideoError: If it cannot be read.
        """
        (image,) = self.read(self.numbers[:1])
        return image.shape[1], image.shape[0]

    @property
    def times(self) -> FrameTimes:
        """When its frames are shown.

        Raises:
            ValueError: If nobody knows, as `fps` is None.
        """
        if self.fps is None:
            raise ValueError(
                f'fps must be given for {self._kind}, got fps=None; 30.0 is the most usual'
            )
        return FrameTimes(self.fps)

    def frames(self, start_s: float = 0.0, end_s: float | None = None) -> Iterator[VideoFrame]:
        """Give the frames from one time to another, checked, one after the other.

        Index and time of a frame count from the beginning of the video.

        Args:
            start_s: Time from which on frames are wanted.
            end_s: Time before which they are wanted, or None.

        Raises:
            ValueError: If a time is out of range or there is no `fps`; when it is reached, if a
                frame has a wrong shape or type, or there is none at all.
            VideoError: If a file cannot be read.
        """
        check_times(start_s, end_s)
        frames = check_frames(self._read_ahead(self._iterate(start_s, end_s)))
        return frames if self.on_frame is None else _tell_each(frames, self.on_frame)

    def read(self, numbers: NDArray[np.int64]) -> Sequence[NDArray[np.uint8]]:
        """Read frames by number, in files and folders while they are iterated over.

        Args:
            numbers: Those wanted, in any order; for one that is missing the one before is given.

        Raises:
            TypeError: If the frames can be read but once.
            VideoError: If one cannot be read, when it is its turn.
        """
        return self._read(numbers)

    def sample(self, num_frames: int) -> list[NDArray[np.uint8]]:
        """Read frames that are spread evenly over the video, as many as there are at most.

        Raises:
            VideoError: If one cannot be read.
        """
        total = len(self.numbers)
        places = np.linspace(0, total - 1, min(num_frames, total)).round().astype(int)
        return [*self.read(self.numbers[places])]

    def _read_ahead(self, frames: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
        """Let those that come from a file be read while others are looked at."""
        if not self._is_stored:
            yield from frames
            return
        for first in itertools.islice(frames, 1):
            width, height = first.size_wh
            depth = min(max(AHEAD_PIXELS // (width * height), 1), MAX_AHEAD)
            with closing(read_ahead(itertools.chain([first], frames), depth)) as read:
                yield from read

    def _count_lost(self, frames: Iterable[VideoFrame], num_expected: int) -> Iterator[VideoFrame]:
        """Pass frames on, and note at their end how many there are not."""
        num_lost = num_expected
        for frame in frames:
            num_lost -= 1
            yield frame
        self.num_lost = max(num_lost, 0)

    @abstractmethod
    def _iterate(self, start_s: float, end_s: float | None) -> Iterator[VideoFrame]:
        """See `frames`."""

    def _read(self, numbers: NDArray[np.int64]) -> Sequence[NDArray[np.uint8]]:
        """See `read`."""
        raise TypeError(
            'video must be a path or an array (N, H, W, 3) to be read by number, got '
            f'{type(self).__name__} {self.name!r}'
        )


def open_source(video: Video, *, fps: float | None = None, name: str | None = None) -> VideoSource:
    """Find out what a video is, and prepare to read it.

    Args:
        video: Path of a file or of a folder of pictures; or frames, RGB uint8, as an array
            (N, H, W, 3) or anything that gives arrays (H, W, 3) one after another, or
            `VideoFrame`s, which keep their numbers and times.
        fps: Frames per second, on average. A file has its own, and its own times; they are passed
            over where `fps` is given, as for a header that is wrong: frame n is then at n / fps.
        name: What to call it; None for the name of the file without ending, or of the folder.

    Raises:
        FileNotFoundError: If there is no such file or folder.
        ValueError: If `fps` is out of range; if an array has a wrong shape.
        TypeError: If `video` is none of the above.
        VideoError: If the file cannot be read, or the folder holds no picture.
    """
    name = name or name_video(video)
    if isinstance(video, str | os.PathLike):
        path = Path(video)
        if path.is_dir():
            return PictureFolder(path, name, fps)
        if path.is_file() and len(list_pages(path)) > 1:
            return PictureFolder(path, name, fps)
        return VideoFile(path, name, fps)
    if isinstance(video, np.ndarray):
        return FrameArray(video, name, fps)
    if not isinstance(video, Iterable):
        raise TypeError(
            'video must be a path, an array (N, H, W, 3) or an iterable of frames, '
            f'got {type(video).__name__}'
        )
    return FrameStream(video, name, fps)


def _tell_each(
    frames: Iterable[VideoFrame], tell: Callable[[VideoFrame], object]
) -> Iterator[VideoFrame]:
    for frame in frames:
        tell(frame)
        yield frame


class VideoFile(VideoSource):
    """A file that FFmpeg reads; it knows its own rate, unless another one is given."""

    _is_stored = True

    def __init__(self, path: Path, name: str, fps: float | None = None) -> None:
        if path.suffix.lower() == STREAMPIX_SUFFIX:
            raise VideoError(
                f'a video must be a file that FFmpeg reads, got path={path}, a recording of '
                'StreamPix; export it from there as AVI or as a folder of pictures'
            )
        self._given_fps = fps
        index = scan_video(path, fps)
        super().__init__(name, index.info.fps)
        self.path, self.problem = path, index.damage
        self.num_frames = index.info.num_frames
        self.numbers = self.labels = np.arange(self.num_frames)

    @cached_property
    def size_wh(self) -> tuple[int, int]:
        """Width and height in pixels, upright."""
        info = scan_video(self.path).info
        return info.width, info.height

    @property
    def times(self) -> FrameTimes:
        """When its frames are shown, by its timestamps or the rate that is given."""
        index = scan_video(self.path, self._given_fps)
        return FrameTimes(index.info.fps, index.times_s)

    def _iterate(self, start_s: float, end_s: float | None) -> Iterator[VideoFrame]:
        frames = iterate_frames(self.path, start_s=start_s, end_s=end_s, fps=self._given_fps)
        index = scan_video(self.path)
        first, end = self.times.span(start_s, end_s)
        num_expected = len(self.numbers[first:end])
        # nobody knows when they would have been shown: at the end, as far as anybody can tell
        if end == self.num_frames:
            num_expected += index.num_lost
        return self._count_lost(frames, num_expected)

    def _read(self, numbers: NDArray[np.int64]) -> Sequence[NDArray[np.uint8]]:
        return LazyFrames(self.path, numbers)


class PictureFolder(VideoSource):
    """A folder of pictures, or a TIFF of several pages, as in `mmotion.video.pictures`."""

    _kind = 'a folder of pictures'
    _is_stored = True

    def __init__(self, path: Path, name: str, fps: float | None) -> None:
        super().__init__(name, fps)
        self.path = path
        self._pages, self.numbers, self.labels, self.problem = find_pictures(path)
        self.num_frames = int(self.numbers[-1]) + 1

    @cached_property
    def _bits(self) -> int:
        return measure_bits(self._pages)

    def _iterate(self, start_s: float, end_s: float | None) -> Iterator[VideoFrame]:
        times = self.times
        if self.problem:
            warnings.warn(self.problem, stacklevel=3)
        first, end = times.span(start_s, end_s)
        limits = [first, self.numbers[-1] + 1 if end is None else end]
        places = slice(*np.searchsorted(self.numbers, limits))
        numbers = self.numbers[places].tolist()
        pictures = (
            VideoFrame(number, times.time_at(number), read_picture(page, self._bits))
            for number, page in zip(numbers, self._pages[places], strict=True)
        )
        return self._count_lost(pictures, numbers[-1] + 1 - first if numbers else 0)

    def _read(self, numbers: NDArray[np.int64]) -> Sequence[NDArray[np.uint8]]:
        places = np.searchsorted(self.numbers, numbers, side='right') - 1
        return _LazyPictures([self._pages[place] for place in places.tolist()], self._bits)


class FrameArray(VideoSource):
    """Frames in memory (N, H, W, 3)."""

    def __init__(self, images: NDArray[np.uint8], name: str, fps: float | None) -> None:
        super().__init__(name, fps)
        if images.ndim != 4 or len(images) == 0:
            raise ValueError(
                'an array of frames must be uint8 RGB (N, H, W, 3) with N >= 1, '
                f'got dtype={images.dtype} and shape={images.shape}'
            )
        self._images = images
        self.num_frames = len(images)
        self.numbers = self.labels = np.arange(self.num_frames)

    def _iterate(self, start_s: float, end_s: float | None) -> Iterator[VideoFrame]:
        return number_frames(self._images, self.times, start_s, end_s)

    def _read(self, numbers: NDArray[np.int64]) -> Sequence[NDArray[np.uint8]]:
        return [*self._images[numbers]]


class FrameStream(VideoSource):
    """Frames that come in one after another, read but once."""

    is_rereadable = False

    def __init__(self, frames: Frames, name: str, fps: float | None) -> None:
        super().__init__(name, fps)
        self._frames = frames

    def _iterate(self, start_s: float, end_s: float | None) -> Iterator[VideoFrame]:
        return number_frames(self._frames, self.times, start_s, end_s)


class _LazyPictures(Sequence[NDArray[np.uint8]]):
    """Pictures that are read one by one, when they are asked for."""

    def __init__(self, pages: Sequence[Page], bits: int) -> None:
        self.pages, self.bits = pages, bits

    def __len__(self) -> int:
        return len(self.pages)

    def __getitem__(self, item: Any) -> Any:
        if isinstance(item, slice):
            return [read_picture(page, self.bits) for page in self.pages[item]]
        return read_picture(self.pages[item], self.bits)
