"""Frames one after another: checked, numbered, in chunks and in windows."""

import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from mmotion.video.decode import VideoFrame
from mmotion.video.timing import FrameTimes

Item = TypeVar('Item')
Frames: TypeAlias = Iterable['NDArray[np.uint8] | VideoFrame']
Video: TypeAlias = 'str | Path | NDArray[np.uint8] | Frames'


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


def number_frames(frames: Frames, times: FrameTimes) -> Iterator[VideoFrame]:
    """Give plain arrays an index and a time."""
    for index, frame in enumerate(frames):
        image = frame.image if isinstance(frame, VideoFrame) else frame
        yield VideoFrame(index=index, time_s=times.time_at(index), image=image)


def check_frames(frames: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
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
