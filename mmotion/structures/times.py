"""When frames appear that are not evenly spaced: phones film slower in dim light.

A result has `fps`, the average, and `frame_times_s`, the time of each frame (N,) where they do not
keep to it. Files of results have the latter only there, so that they stay as small as they can be.
All times are in seconds of the video.
"""

from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmotion.checks import TOLERANCE, freeze_array

# Matroska rounds times to milliseconds, that of the first frame as well
ROUNDING_S = 0.001002
# the same in frames, where they are shorter than that
ROUNDING_FRAMES = 0.25
# decimals of times in files
TIME_DECIMALS = 6


class Timed(Protocol):
    """What has frames on the clock of a video.

    Attributes:
        fps: Frames per second, on average.
        start_s: When the first of its frames appears.
        frame_times_s: When each of them appears (N,), ascending; None if they are evenly spaced.
    """

    @property
    def fps(self) -> float: ...  # noqa: D102

    @property
    def start_s(self) -> float: ...  # noqa: D102

    @property
    def frame_times_s(self) -> NDArray[np.float64] | None: ...  # noqa: D102


def list_irregular(
    times_s: ArrayLike, fps: float, *, regular_s: ArrayLike | None = None
) -> NDArray[np.float64] | None:
    """The times of frames if they are not evenly spaced, else None.

    Args:
        times_s: When each frame appears (N,), N >= 1.
        fps: Frames per second, on average.
        regular_s: When they would appear (N,) at that rate; None for one after the other.

    Example:
        >>> list_irregular([1.0, 1.0333, 1.0667], 30.0)
        >>> list_irregular([1.0, 1.0333, 1.1333], 30.0)
        array([1.    , 1.0333, 1.1333])
    """
    times = np.asarray(times_s, np.float64)
    if regular_s is None:
        regular_s = times[0] + np.arange(len(times)) / fps
    slack_s = min(ROUNDING_S, ROUNDING_FRAMES / fps)
    return None if np.abs(times - np.asarray(regular_s)).max() <= slack_s else times


def find_end(times_s: ArrayLike, fps: float) -> float:
    """When the last of consecutive frames (N,) disappears.

    Evenly spaced frames last as long as each other. Of others the last one lasts as long as the
    shorter of the two before it: one of those may have been a pause.

    Example:
        >>> find_end([0.0, 0.1, 0.2], 10.0), find_end([0.0, 5.0, 5.25], 10.0)
        (0.3, 5.5)
    """
    times = np.asarray(times_s, np.float64)
    if list_irregular(times, fps) is None:
        return float(times[0]) + len(times) / fps
    return float(times[-1] + np.diff(times[-3:]).min())


def measure_rate(times_s: ArrayLike, fps: float) -> float:
    """Frames per second of consecutive frames (N,); `fps` if they are evenly spaced by that.

    Example:
        >>> measure_rate([0.0, 0.1, 0.2], 10.0), measure_rate([8.0, 8.5, 9.0], 10.0)
        (10.0, 2.0)
    """
    times = np.asarray(times_s, np.float64)
    if list_irregular(times, fps) is None:
        return fps
    return float((len(times) - 1) / (times[-1] - times[0]))


def freeze_frame_times(result: Any) -> None:
    """Check the `frame_times_s` of a result that is being made, and let nobody change them.

    Raises:
        ValueError: If it is not one for each of `num_frames`, rising from `start_s` on.
    """
    if result.frame_times_s is None:
        return
    times = freeze_array('frame_times_s', result.frame_times_s, np.float64, 1)
    # written so that NaN fails as well
    if not (
        len(times) == result.num_frames
        and (np.diff(times) > 0).all()
        and abs(times[0] - result.start_s) <= TOLERANCE
    ):
        raise ValueError(
            f'frame_times_s must be a time for each of {result.num_frames} frames, rising from '
            f'start_s={result.start_s} on, got frame_times_s={times}'
        )
    object.__setattr__(result, 'frame_times_s', times)


def describe_frames(result: Any) -> dict[str, Any]:
    """The entries of a result's file that not every video needs.

    They are `num_lost`, if frames were lost, and `frame_times_s`, if they are not evenly spaced.
    """
    content: dict[str, Any] = {'num_lost': result.num_lost} if result.num_lost else {}
    if result.frame_times_s is not None:
        content['frame_times_s'] = result.frame_times_s.round(TIME_DECIMALS).tolist()
    return content
