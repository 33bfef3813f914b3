"""Checks of values that several results, readers and data sets make, and plain JSON types.

A value that does not pass is a `ValueError` that names it.
"""

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

# slack of the checks, for values that come out of float32 sums
TOLERANCE = 1e-4


def check_fps(fps: float) -> None:
    """Refuse a rate of frames that no video can have."""
    if not 0 < fps < math.inf:
        raise ValueError(f'fps must be above 0 and finite, got fps={fps}')


def check_segment(start_s: float, end_s: float, what: str = 'a segment') -> None:
    """Refuse a stretch of video that begins before it, or has no length."""
    if not 0 <= start_s < end_s:
        raise ValueError(
            f'{what} must start at 0 or later and end after its start, '
            f'got start_s={start_s} and end_s={end_s}'
        )


def check_score(score: float) -> None:
    """Refuse a score outside of [0, 1]."""
    if not 0 <= score <= 1 + TOLERANCE:
        raise ValueError(f'score must lie in [0, 1], got score={score}')


def check_at_least(name: str, value: float, minimum: float) -> None:
    """Refuse numbers that are too small, infinite or NaN."""
    if not minimum <= value < math.inf:
        raise ValueError(f'{name} must be at least {minimum} and finite, got {name}={value}')


def freeze_array(name: str, values: ArrayLike, dtype: type, ndim: int) -> NDArray[Any]:
    """A read-only copy of what becomes an array with so many axes."""
    array = np.array(values, dtype=dtype)
    if array.ndim != ndim:
        raise ValueError(f'{name} must have {ndim} dimensions, got shape {array.shape}')
    array.setflags(write=False)
    return array


def make_plain(value: Any) -> Any:
    """Lists, dictionaries, str, int, float and None instead of arrays, dataclasses and NaN."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, dict):
        return {key: make_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [make_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def choose_device(device: str | None) -> str:
    """Check that a device is there; None takes a GPU if there is one.

    Raises:
        ValueError: If torch cannot use it.
    """
    # slow to import, and a check of numbers does not need it
    import torch

    if device is None:
        return 'cuda' if torch.cuda.is_available() else 'cpu'
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        # the first line says what is wrong, the rest is advice for debugging torch
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"device must be 'cpu' or a GPU, got device={device!r}: {reason}"
        ) from error
    return device
