"""Windows that slide over a video: their order, and which of them speaks for a moment.

Times are in seconds of the video. Shape letters in this file: W windows of the video.
"""

from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmotion.checks import TOLERANCE
from mmotion.structures.results import time_at
from mmotion.structures.times import ROUNDING_S


def check_windows(
    window_start_s: NDArray[np.float64],
    window_end_s: NDArray[np.float64],
    *,
    start_s: float,
) -> None:
    """Refuse windows that are not in order.

    Args:
        window_start_s: When each window begins (W,); W >= 1.
        window_end_s: When each window ends (W,).
        start_s: When the first frame of the video appears.

    Raises:
        ValueError: If lengths or order do not agree, or the first begins before the video.
    """
    # written so that NaN fails as well
    rising = all((np.diff(times) > 0).all() for times in (window_start_s, window_end_s))
    if not (rising and (window_start_s < window_end_s).all()):
        raise ValueError(
            'windows must be in order and end after they start, got '
            f'window_start_s={window_start_s} and window_end_s={window_end_s}'
        )
    if window_start_s[0] < start_s - TOLERANCE:
        raise ValueError(
            f'the first window must not start before start_s={start_s}, got '
            f'window_start_s[0]={window_start_s[0]}'
        )


def cut_ends(ends_s: ArrayLike, num_frames: ArrayLike, times_s: ArrayLike) -> NDArray[np.float64]:
    """When windows end (W,): no later than the frame after their last one appears.

    How long the last frame of a window lasts is estimated, and too long behind a pause.

    Args:
        ends_s: When they end, as estimated (W,).
        num_frames: Frames of the video up to the end of each window (W,).
        times_s: When each frame of the video appears (N,).

    Example:
        >>> cut_ends([2.0, 7.0, 9.0], [2, 3, 5], [0.0, 1.0, 5.0, 6.0, 7.0])
        array([2., 6., 9.])
    """
    next_s = np.append(times_s, np.inf)[np.asarray(num_frames)]
    ends = np.asarray(ends_s, np.float64)
    # but for the rounding of times
    return np.where(ends > next_s + ROUNDING_S, next_s, ends)


def find_edges(
    window_start_s: NDArray[np.float64],
    window_end_s: NDArray[np.float64],
    *,
    start_s: float,
    end_s: float,
) -> NDArray[np.float64]:
    """Times (W + 1,) between which each window speaks for the video: from middle to middle.

    Args:
        window_start_s: When each window begins (W,), in order.
        window_end_s: When each window ends (W,), in order.
        start_s: When the video begins.
        end_s: When it ends.

    Example:
        >>> find_edges(np.array([0.0, 1.0]), np.array([2.0, 3.0]), start_s=0.0, end_s=3.0)
        array([0. , 1.5, 3. ])
    """
    middle = (window_start_s + window_end_s) / 2
    between = (middle[1:] + middle[:-1]) / 2
    return np.concatenate([[start_s], between, [end_s]])


def find_window(edges_s: NDArray[np.float64], time_s: float) -> int:
    """Number of the window that speaks for a moment, see `find_edges`."""
    place = int(np.searchsorted(edges_s, time_s, side='right')) - 1
    return min(max(place, 0), len(edges_s) - 2)


class WindowedResult:
    """Base of a frozen dataclass that says something of each window that slid over a video.

    Attributes:
        fps: Frames per second.
        num_frames: Frames of the video, or of its part that was watched.
        start_s: When the first frame appears.
        frame_times_s: When each frame appears, None if they are evenly spaced.
        window_start_s: When each window begins (W,), in order.
        window_end_s: When each window ends (W,), in order.
    """

    fps: float
    num_frames: int
    start_s: float
    frame_times_s: NDArray[np.float64] | None
    window_start_s: NDArray[np.float64]
    window_end_s: NDArray[np.float64]

    @property
    def end_s(self) -> float:
        """When the last frame that was watched disappears."""
        return time_at(self, self.num_frames)

    @cached_property
    def edges_s(self) -> NDArray[np.float64]:
        """Times (W + 1,) between which what a window says holds: from middle to middle."""
        edges = find_edges(
            self.window_start_s, self.window_end_s, start_s=self.start_s, end_s=self.end_s
        )
        edges.setflags(write=False)
        return edges

    def window_at(self, frame: int) -> int:
        """Number of the window that speaks for a frame, counted from the first watched."""
        return find_window(self.edges_s, time_at(self, frame + 0.5))
