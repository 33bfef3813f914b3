"""Read chosen frames of a video, each scaled as soon as it is decoded, and note broken files.

A video is never in memory in its full size, and only what leads to a chosen frame is decoded.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmotion.compat import print_log
from mmotion.video.decode import choose_decoder
from mmotion.video.reading import VideoError
from mmotion.video.scan import FrameIndex, scan_video

# frames up to this much are held in memory rather than decoded again
SMALL_CLIP_BYTES = 64 * 1024**2


class BrokenVideos:
    """Remembers which files cannot be read, and says so once for each.

    Args:
        num_videos: How many files there are.
    """

    def __init__(self, num_videos: int) -> None:
        self.num_videos = num_videos
        self.paths: set[Path] = set()

    def report(self, path: Path, error: Exception) -> None:
        """Log that a file is passed over.

        Raises:
            VideoError: If no file is left.
        """
        is_known = path in self.paths
        self.paths.add(path)
        so_far = f'{len(self.paths):,} of {self.num_videos:,} videos are broken'
        if len(self.paths) >= self.num_videos:
            raise VideoError(f'a video at least must be readable, got {so_far}; last: {error}')
        if not is_known:
            print_log(f'{so_far}; passed over: {error}', logger='current', level=logging.WARNING)


class LazyFrames(Sequence[NDArray[np.uint8]]):
    """Chosen frames of a video, decoded while they are iterated over.

    A transform that goes through them once, scaling each, holds one frame of full size at a time.
    Frames that go back, as those of overlapping clips do, are decoded in one go if all of them are
    small, and else in several. Single items can be had too, at the price of a seek each.

    Args:
        path: Video file.
        numbers: Frame numbers (T,), in any order, repeated or not.
    """

    def __init__(self, path: Path, numbers: NDArray[np.int64]) -> None:
        self.path = path
        self.numbers = numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, item: Any) -> Any:
        """One frame, or a list of those in a slice."""
        numbers = self.numbers[item]
        frames = [*LazyFrames(self.path, np.atleast_1d(numbers))]
        return frames if np.ndim(numbers) else frames[0]

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """Give each frame as an array of its own, see `read_scaled_frames` for what it raises."""
        index = _find_frames(self.path, self.numbers)
        runs = np.split(self.numbers, np.flatnonzero(np.diff(self.numbers) < 0) + 1)
        num_bytes = 3 * index.info.width * index.info.height * len(np.unique(self.numbers))
        if len(runs) > 1 and num_bytes <= SMALL_CLIP_BYTES:
            images = read_scaled_frames(self.path, self.numbers, scale=np.asarray)
            yield from (image.copy() for image in images)
            return
        for run in runs:
            yield from _decode(index, run)


def read_scaled_frames(
    path: Path,
    numbers: NDArray[np.int64],
    *,
    scale: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
) -> list[NDArray[np.uint8]]:
    """Decode frames of a video, each scaled at once; one that cannot be decoded is the one before.

    Args:
        path: Video file.
        numbers: Frame numbers (T,), in any order, repeated or not.
        scale: Gives the frame to keep for a decoded one (H, W, 3).

    Returns:
        The T scaled frames; one that is repeated is the same array each time.

    Raises:
        FileNotFoundError: If there is no such file.
        VideoError: If the video, or none of the frames, can be read, or a number is not in it.
    """
    wanted = np.unique(numbers)
    decoded = _decode(_find_frames(path, numbers), wanted)
    images = dict(zip(wanted.tolist(), map(scale, decoded), strict=True))
    return [images[number] for number in numbers.tolist()]


def _find_frames(path: Path, numbers: NDArray[np.int64]) -> FrameIndex:
    """Scan a video and check that it has these frames."""
    index = scan_video(path)
    num_frames = index.info.num_frames
    if len(numbers) and not 0 <= numbers.min() <= numbers.max() < num_frames:
        raise VideoError(
            f'frames to read must be from 0 to {num_frames - 1}, got {numbers.min()} to '
            f'{numbers.max()} of {path}; limit them to its length'
        )
    return index


def _decode(index: FrameIndex, numbers: NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
    """Give a frame for each of ascending numbers; for a lost one that before, or else after it."""
    waiting = deque(numbers.tolist())
    image = None
    for frame in choose_decoder(None)(index, np.unique(numbers)):
        while waiting and waiting[0] < frame.index:
            waiting.popleft()
            yield (frame.image if image is None else image).copy()
        image = frame.image
        yield image
        waiting.popleft()
        while waiting and waiting[0] == frame.index:
            waiting.popleft()
            yield image.copy()
    if image is None and waiting:
        raise VideoError(
            f'frames {waiting[0]} to {waiting[-1]} of {index.info.path} must be decodable, got '
            'none; copy or encode the file again'
        )
    yield from (image.copy() for _ in waiting if image is not None)
