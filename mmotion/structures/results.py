"""What the results of all systems have, and when their frames appear."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, overload

import numpy as np
from numpy.typing import NDArray

from mmotion.structures.times import Timed, find_end

# entries that say nothing of what was found
_OF_ALL = ('fps', 'num_frames', 'start_s', 'num_lost')


class Clock(NamedTuple):
    """The times of frames without their result, see `Timed`."""

    fps: float
    start_s: float = 0.0
    frame_times_s: NDArray[np.float64] | None = None


class Result(Timed, Protocol):
    """What a predictor answers for a whole video, or for a part of it.

    Drawing needs no more to find the frames again: they are `num_frames`, from `start_s` on.

    Attributes:
        num_frames: Frames that were watched.
        num_lost: Frames that should have been there and could not be read.
    """

    @property
    def num_frames(self) -> int: ...  # noqa: D102

    @property
    def num_lost(self) -> int: ...  # noqa: D102

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        ...

    def describe(self) -> str:
        """The result in a line."""
        ...


def list_entries(result: Result) -> dict[str, Any]:
    """The entries of `to_dict` for `mmotion.structures.json_file.write_json`.

    A result that grows with its video has a method `to_arrays`, which leaves arrays as they are in
    memory, and gives iterators in place of lists. Each call makes them anew.
    """
    to_arrays = getattr(result, 'to_arrays', None)
    return to_arrays() if to_arrays else result.to_dict()


def list_rows(result: Result) -> list[dict[str, Any]]:
    """What a table of many videos says of a result, in a row or several.

    A result chooses it by a method `to_rows`: plain numbers and words that somebody understands who
    knows no more than what the video shows, by names that are words with `_` between them and end
    in their unit. Without one, it is what `to_dict` has of numbers and words.

    Example:
        >>> class Count:
        ...     def to_dict(self):
        ...         return {'count': 4, 'fps': 25.0, 'segments': []}
        >>> list_rows(Count())
        [{'count': 4}]
    """
    to_rows = getattr(result, 'to_rows', None)
    if to_rows:
        return to_rows()
    entries = list_entries(result).items()
    return [{k: v for k, v in entries if k not in _OF_ALL and isinstance(v, str | int | float)}]


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
    times = result.frame_times_s
    if times is None:
        return result.start_s + frame / result.fps
    last = len(times) - 1
    whole = np.clip(np.floor(frame).astype(np.int64), 0, last)
    following = times[np.minimum(whole + 1, last)]
    end = np.where(whole < last, following, find_end(times[-3:], result.fps))
    found = times[whole] + (frame - whole) * (end - times[whole])
    return found if np.ndim(frame) else float(found)


def part_at(result: Result, frame: int) -> float:
    """How much of the time of a result is over at the end of a frame, in [0, 1]."""
    end_s = time_at(result, result.num_frames)
    return (time_at(result, frame + 1) - result.start_s) / (end_s - result.start_s)


def describe_numbers(content: Mapping[str, Any]) -> str:
    """The numbers among the entries of a result, in a line.

    Example:
        >>> describe_numbers({'count': 4.0, 'segments': [], 'fps': 29.97})
        'count 4, fps 29.97'
    """
    numbers = {key: value for key, value in content.items() if isinstance(value, int | float)}
    return ', '.join(f'{key} {value:.4g}' for key, value in numbers.items())
