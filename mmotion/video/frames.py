"""Frames one after another: checked, numbered, in chunks and in windows."""

import itertools
import math
from array import array
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from mmotion.structures.times import find_end
from mmotion.video.decode import DecodedFrame, VideoFrame
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


def read_ahead(items: Iterable[Item], depth: int = 1) -> Generator[Item, None, None]:
    """Get the next items in a thread while the one before is used; `close` ends the thread.

    What the items raise is raised here, when it is their turn.

    Args:
        items: What is read.
        depth: How many are got ready at most, which are in memory beside the one in use.

    Example:
        >>> list(read_ahead('abc', depth=2))
        ['a', 'b', 'c']
    """
    items, end = iter(items), object()
    with ThreadPoolExecutor(1) as pool:
        waiting = deque(pool.submit(next, items, end) for _ in range(depth))
        try:
            while (item := waiting.popleft().result()) is not end:
                waiting.append(pool.submit(next, items, end))
                yield cast('Item', item)
        finally:
            for future in waiting:
                future.cancel()


def slide(
    items: Iterable[Item],
    time_of: Callable[[Item], float],
    *,
    size_s: float,
    hop_s: float,
    fps: float,
) -> Iterator[list[Item]]:
    """Give the items of a stretch of time, again and again; the last one ends with the last item.

    The stretches begin at the first item and at every `hop_s` after it. An item belongs to one if
    it begins within it, or before it by less than half of the time that it lasts. Of stretches that
    begin with the same item, behind a pause, the longest is given.

    Args:
        items: In the order of their times.
        time_of: When an item begins, in seconds.
        size_s: How long a stretch is. If all the items are shorter there is a single one.
        hop_s: Time from the begin of a stretch to the begin of the next.
        fps: Items per second, on average.

    Example:
        >>> [''.join(window) for window in slide('abcdefgh', ord, size_s=4, hop_s=3, fps=1)]
        ['abcd', 'defg', 'efgh']
        >>> [''.join(window) for window in slide('abcegikm', ord, size_s=4, hop_s=2, fps=1)]
        ['abc', 'ce', 'eg', 'gi', 'ik', 'km']
        >>> [''.join(window) for window in slide('abcmnopq', ord, size_s=4, hop_s=2, fps=1)]
        ['abc', 'mnop', 'nopq']
        >>> list(slide('', ord, size_s=4, hop_s=3, fps=1))
        []
    """
    # each with its begin, and half of the time that it lasts
    window: deque[tuple[float, float, Item]] = deque()
    first_s, number, last_given, last_begin = 0.0, 0, -math.inf, -math.inf
    time_s = end_s = half_s = 0.0
    for item in items:
        time_s = time_of(item)
        first_s = first_s if window else time_s
        recent_s = [entry[0] for entry in itertools.islice(reversed(window), 2)][::-1]
        end_s = find_end([*recent_s, time_s], fps)
        half_s = (end_s - time_s) / 2
        window.append((time_s, half_s, item))
        while (limit_s := first_s + number * hop_s + size_s) <= end_s + half_s:
            found = [entry for entry in window if limit_s - size_s <= entry[0] + entry[1] < limit_s]
            # in a pause nothing comes in, and behind it the next stretch may show the same and more
            next_s = limit_s - size_s + hop_s
            if found and found[-1][0] > last_given and found[0][0] + found[0][1] < next_s:
                yield [entry[-1] for entry in found]
                last_begin, last_given = found[0][0], found[-1][0]
            number += 1
        # beside the last stretch, those are kept that tell how long an item lasts
        while len(window) > 3 and window[0][0] < end_s - size_s - half_s:
            window.popleft()
    if window and time_s > last_given:
        yield [
            item
            for begin_s, half_s, item in window
            if begin_s + half_s >= end_s - size_s and begin_s > last_begin
        ]


def number_frames(
    frames: Frames, times: FrameTimes, start_s: float = 0.0, end_s: float | None = None
) -> Iterator[VideoFrame]:
    """Give plain arrays a number and a time; a `VideoFrame` keeps its own.

    Args:
        frames: All arrays, or all `VideoFrame`s, of which some may be left out.
        times: Of the arrays.
        start_s: Give frames from this time on.
        end_s: Give frames before this time; None gives all.

    Raises:
        ValueError: When it is reached, if a frame is of the other kind, or is not
            after the one before.
    """
    items = iter(frames)
    head = list(itertools.islice(items, 1))
    if not head or not isinstance(head[0], VideoFrame):
        wanted = itertools.islice(
            enumerate(itertools.chain(head, items)), *times.span(start_s, end_s)
        )
        for index, image in wanted:
            if isinstance(image, VideoFrame):
                raise _mixed(index)
            yield VideoFrame(index=index, time_s=times.time_at(index), image=image)
        return
    before = None
    for place, frame in enumerate(itertools.chain(head, items)):
        if not isinstance(frame, VideoFrame):
            raise _mixed(place)
        if before and not (frame.index > before.index and frame.time_s > before.time_s):
            raise ValueError(
                'frames must come in the order in which they are shown, got frame '
                f'{frame.index} at {frame.time_s:g} s after frame {before.index} at '
                f'{before.time_s:g} s; give the frames of one video, or their images alone'
            )
        before = frame
        if end_s is not None and frame.time_s >= end_s - times.slack_s:
            return
        if frame.time_s >= start_s - times.slack_s:
            yield frame


def _mixed(place: int) -> ValueError:
    return ValueError(
        'frames must be all arrays or all VideoFrames, got one of the other kind at place '
        f'{place}; give the images alone'
    )


def note_times(frames: Iterable[VideoFrame], times_s: 'array[float]') -> Iterator[VideoFrame]:
    """Pass frames on, and append their times to an array of doubles, 8 bytes a frame."""
    for frame in frames:
        times_s.append(frame.time_s)
        yield frame


def check_frames(frames: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
    """Refuse images of another type or layout, a change of size, and having no frame at all."""
    size = None
    for frame in frames:
        # a decoder gives nothing else, and converts what is looked at
        if not isinstance(frame, DecodedFrame):
            _check_image(frame)
        width, height = frame.size_wh
        shape = height, width, 3
        if size not in (None, shape):
            raise ValueError(
                f'frame {frame.index} must have the size of the frames before it, got '
                f'shape={shape} after {size}; scale all frames to one size'
            )
        size = shape
        yield frame
    if size is None:
        raise ValueError(
            'video must have at least one frame between start_s and end_s, got none; '
            'check both against its duration'
        )


def _check_image(frame: VideoFrame) -> None:
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
