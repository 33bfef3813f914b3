"""What the results of all systems have, and when their frames appear."""

from collections.abc import Mapping
from typing import Any, Protocol, overload

import numpy as np
from numpy.typing import NDArray


class Timed(Protocol):
    """What has frames on the clock of a video.

    Attributes:
        fps: Frames per second.
        start_s: When the first of its frames appears.
    """

    @property
    def fps(self) -> float: ...  # noqa: D102

    @property
    def start_s(self) -> float: ...  # noqa: D102


class Result(Timed, Protocol):
    """What a predictor answers for a whole video, or for a part of it.

    Drawing needs no more to find the frames again: they are `num_frames`, from `start_s` on.

    Attributes:
        num_frames: Frames that were watched.
    """

    @property
    def num_frames(self) -> int: ...  # noqa: D102

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        ...

    def describe(self) -> str:
        """The result in a line."""
        ...


@overload
def time_at(result: Timed, frame: float) -> float: ...
@overload
def time_at(result: Timed, frame: NDArray[Any]) -> NDArray[np.float64]: ...
def time_at(result: Timed, frame: Any) -> Any:
    """When frames of a result begin, in seconds of the video; the one place that knows.

    Args:
        result: What was predicted.
        frame: Number of a frame, counted from the first that was watched, or an array of them.
            Fractions lie within a frame, and `num_frames` is the end of the last one.
    """
    return result.start_s + frame / result.fps


def describe_numbers(content: Mapping[str, Any]) -> str:
    """The numbers among the entries of a result, in a line.

    Example:
        >>> describe_numbers({'count': 4.0, 'segments': [], 'fps': 29.97})
        'count 4, fps 29.97'
    """
    numbers = {key: value for key, value in content.items() if isinstance(value, int | float)}
    return ', '.join(f'{key} {value:.4g}' for key, value in numbers.items())
