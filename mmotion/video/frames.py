"""Frames from whatever holds them, checked: files, arrays, cameras; and in chunks and windows."""

import itertools
import math
import os
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from mmotion.checks import check_fps
from mmotion.video.reading import VideoFrame, inspect_video, iterate_frames

Item = TypeVar('Item')
Frames: TypeAlias = Iterable['NDArray[np.uint8] | VideoFrame']
Video: TypeAlias = 'str | Path | NDArray[np.uint8] | Frames'

# a time that misses a frame's by less than this, in frames, is that frame's
TIME_SLACK = 1e-3


def open_frames(
    video: Video, *, fps: float | None = None, start_s: float = 0.0, end_s: float | None = None
) -> tuple[Iterator[VideoFrame], float]:
    """Read frames from whatever holds them, and check each.

    Args:
        video: Path of a file; or frames, RGB uint8, as an array (N, H, W, 3) or anything that gives
            arrays (H, W, 3) one after another.
        fps: Frames per second if `video` is not a file.
        start_s: Time from which on frames are wanted.
        end_s: Time before which they are wanted, or None.

    Returns:
        The frames, all of one size, and their number per second. The index and time of a frame
        count from the beginning of the video.

    Raises:
        ValueError: If a time or `fps` is out of range; when it is reached, if a frame has a wrong
            shape or type.
        TypeError: If `video` is none of the above.
        VideoError: If the file cannot be read.
    """
    check_times(start_s, end_s)
    if isinstance(video, str | os.PathLike):
        if fps is not None:
            raise ValueError(f'fps must be left out for a file, which has its own, got fps={fps}')
        fps = inspect_video(video).fps
        return _check_frames(iterate_frames(video, start_s=start_s, end_s=end_s)), fps

    if fps is None:
        raise ValueError('fps must be given for frames, got fps=None; 30.0 is the most usual')
    check_fps(fps)
    if isinstance(video, np.ndarray) and (video.ndim != 4 or len(video) == 0):
        raise ValueError(
            'an array of frames must be uint8 RGB (N, H, W, 3) with N >= 1, '
            f'got dtype={video.dtype} and shape={video.shape}'
        )
    if not isinstance(video, Iterable):
        raise TypeError(
            'video must be a path, an array (N, H, W, 3) or an iterable of frames, '
            f'got {type(video).__name__}'
        )
    first = math.ceil(start_s * fps - TIME_SLACK)
    last = None if end_s is None else max(math.ceil(end_s * fps - TIME_SLACK), first)
    frames = itertools.islice(_number_frames(video, fps), first, last)
    return _check_frames(frames), fps


def check_times(start_s: float, end_s: float | None) -> None:
    """Refuse a part of a video that begins before it, or ends before it begins."""
    if not 0 <= start_s < math.inf:
        raise ValueError(f'start_s must be at least 0, got start_s={start_s}')
    if end_s is not None and not end_s > start_s:
        raise ValueError(f'end_s must be above start_s={start_s}, got end_s={end_s}')


def take_chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Group items into lists of `size`, the last one perhaps shorter.

    Example:
        >>> list(take_chunks('abcde', 2))
        [['a', 'b'], ['c', 'd'], ['e']]
    """
    items = iter(items)
    while chunk := list(itertools.islice(items, size)):
        yield chunk


def slide(items: Iterable[Item], size: int, hop: int) -> Iterator[list[Item]]:
    """Give `size` items every `hop` items; the last window ends with the last item.

    Example:
        >>> [''.join(window) for window in slide('abcdefgh', 4, 3)]
        ['abcd', 'defg', 'efgh']
        >>> [''.join(window) for window in slide('abc', 4, 3)]
        ['abc']
    """
    window: deque[Item] = deque(maxlen=size)
    number, end = 0, size
    for number, item in enumerate(items, start=1):
        window.append(item)
        if number == end:
            yield list(window)
            end += hop
    if number != end - hop or number < size:
        yield list(window)


def _number_frames(frames: Frames, fps: float) -> Iterator[VideoFrame]:
    """Give plain arrays an index and a time."""
    for index, frame in enumerate(frames):
        image = frame.image if isinstance(frame, VideoFrame) else frame
        yield VideoFrame(index=index, time_s=index / fps, image=image)


def _check_frames(frames: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
    """Refuse images of another type or layout, a change of size, and having no frame at all."""
    size = None
    for frame in frames:
        image = frame.image
        if not isinstance(image, np.ndarray):
            raise ValueError(
                f'frame {frame.index} must be an array (H, W, 3), got {type(image).__name__}'
            )
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError(
                f'frame {frame.index} must be uint8 RGB (H, W, 3), got dtype={image.dtype} and '
                f'shape={image.shape}'
            )
        if size not in (None, image.shape):
            raise ValueError(
                f'frame {frame.index} must have the size of the frames before it, got '
                f'shape={image.shape} after {size}; scale all frames to one size'
            )
        size = image.shape
        yield frame
    if size is None:
        raise ValueError(
            'video must have at least one frame between start_s and end_s, got none; '
            'check both against its duration'
        )
