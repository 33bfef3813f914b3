"""From the number of a frame to its time, and back: the one place that knows how.

Frames are numbered from 0, times are in seconds after the first frame.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmotion.structures.times import find_end, list_irregular

# rate of the videos that strides of clips are meant for; the same time is taken from others
STRIDE_FPS = 30.0
# Matroska rounds times to milliseconds: a number over the rate still finds its frame
SLACK_S = 0.000501
# the same in frames, where they are shorter than that
SLACK_FRAMES = 0.25
# a place in frames that was calculated is below a frame's by no more than this
PLACE_SLACK = 1e-4


@dataclass(frozen=True, eq=False)
class FrameTimes:
    """When each frame of a video is shown: evenly spaced, or at times that the file tells.

    Args:
        fps: Frames per second.
        listed_s: Time of each frame (N,), ascending from 0; None for `number / fps`.

    Example:
        >>> times = FrameTimes(10.0)
        >>> times.time_at(12), times.first_from(1.2), times.first_from(1.25), times.span(0.3, 0.6)
        (1.2, 12, 13, (3, 6))
    """

    fps: float
    listed_s: NDArray[np.float64] | None = None

    @property
    def slack_s(self) -> float:
        """By how much a time may be later than a frame's and still be that frame's."""
        return min(SLACK_S, SLACK_FRAMES / self.fps)

    @property
    def is_regular(self) -> bool:
        """Whether the frames are evenly spaced, whatever tells their times."""
        return self.listed_s is None or list_irregular(self.listed_s, self.fps) is None

    def time_at(self, number: int) -> float:
        """When a frame is shown; the number of frames gives the end of the last one."""
        if self.listed_s is None:
            return number / self.fps
        if number == len(self.listed_s):
            return find_end(self.listed_s, self.fps)
        return float(self.listed_s[number])

    def first_from(self, time_s: float) -> int:
        """The first frame that is shown at a time or after it.

        A time that is later than a frame's by less than half a millisecond, or a quarter of a
        frame, is that frame's.
        """
        time_s -= self.slack_s
        if self.listed_s is None:
            return max(math.ceil(time_s * self.fps), 0)
        return int(np.searchsorted(self.listed_s, time_s))

    def span(self, start_s: float, end_s: float | None) -> tuple[int, int | None]:
        """The first frame from `start_s` on, and the first that is not before `end_s`.

        Of listed times the end is at most N; of others it may lie beyond the video, or be None.
        """
        first = self.first_from(start_s)
        if end_s is not None:
            return first, max(self.first_from(end_s), first)
        return first, None if self.listed_s is None else len(self.listed_s)


def frames_at(places: NDArray[np.float64]) -> NDArray[np.int64]:
    """The frames that are shown at places between the first frame and the last, in frames.

    Other than a time that somebody gives, which begins with the next frame, a place lies within
    the frame that began last.

    Example:
        >>> frames_at(np.array([0.0, 1.5, 2.99999]))
        array([0, 1, 3])
    """
    return np.floor(places + PLACE_SLACK).astype(np.int64)


def choose_clips(
    total_frames: int,
    fps: float,
    *,
    num_frames: int,
    stride: int,
    num_clips: int = 1,
    starts: NDArray[np.float64] | None = None,
    when_short: str = 'hold',
) -> NDArray[np.int64]:
    """Choose the frames of clips, see `mmotion.transforms.SampleClip`.

    Args:
        total_frames: Frames of the video.
        fps: Its frames per second.
        num_frames: Frames in a clip T.
        stride: Frames from one to the next, at `STRIDE_FPS`.
        num_clips: Clips C.
        starts: Where they begin, as shares of what is left of the video beside a clip (C,); None
            divides it evenly.
        when_short: 'hold' or 'loop'.

    Returns:
        Their numbers (C * T,).
    """
    clip_span = num_frames * stride * fps / STRIDE_FPS
    room = max(total_frames - clip_span, 0.0)
    begins = room * np.arange(num_clips) / num_clips if starts is None else room * starts
    places = begins[:, None] + np.linspace(0, max(clip_span - 1, 0.0), num_frames)
    numbers = frames_at(places).flatten()
    if when_short == 'loop':
        numbers %= total_frames
    return np.minimum(numbers, total_frames - 1)


def check_times(start_s: float, end_s: float | None) -> None:
    """Refuse a part of a video that begins before it, or ends before it begins."""
    if not 0 <= start_s < math.inf:
        raise ValueError(f'start_s must be at least 0, got start_s={start_s}')
    if end_s is not None and not end_s > start_s:
        raise ValueError(f'end_s must be above start_s={start_s}, got end_s={end_s}')
