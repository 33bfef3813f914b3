"""Checks of values that several results, readers and data sets make, and plain JSON types.

A value that does not pass is a `ValueError` that names it.
"""

import dataclasses
import math
import os
from collections.abc import Collection, Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

# slack of the checks, for values that come out of float32 sums
TOLERANCE = 1e-4


def check_segment(start_s: float, end_s: float, what: str = 'a segment') -> None:
    """Refuse a stretch of video that begins before it, or has no length."""
    if not 0 <= start_s < end_s:
        raise ValueError(
            f'{what} must start at 0 or later and end after its start, '
            f'got start_s={start_s} and end_s={end_s}'
        )


def check_score(score: float) -> None:
    """Refuse a score outside of [0, 1]."""
    check_scores('score', score)


def check_scores(name: str, scores: ArrayLike, remedy: str = '') -> None:
    """Refuse scores of any shape of which one lies outside of [0, 1], or is NaN."""
    values = np.asarray(scores)
    # written so that NaN fails as well; what rounding added is no fault
    if not ((values >= -TOLERANCE) & (values <= 1 + TOLERANCE)).all():
        got = f'{name}={values}' if values.ndim == 0 else f'{values.min()} to {values.max()}'
        raise ValueError(f'{name} must lie in [0, 1], got {got}{remedy and f"; {remedy}"}')


def check_number(name: str, value: Any) -> None:
    """Refuse what is no number, as a config may name anything."""
    if value is None or isinstance(value, bool | str | list | tuple | dict):
        raise ValueError(f'{name} must be a number, got {name}={value!r}')


def check_positive(name: str, value: float) -> None:
    """Refuse numbers that are not above 0, infinite or NaN."""
    check_number(name, value)
    if not 0 < value < math.inf:
        raise ValueError(f'{name} must be above 0 and finite, got {name}={value}')


def check_fps(fps: float) -> None:
    """Refuse a rate of frames that no video can have."""
    check_positive('fps', fps)


def check_at_least(name: str, value: float, minimum: float) -> None:
    """Refuse numbers that are too small, infinite or NaN."""
    check_number(name, value)
    if not minimum <= value < math.inf:
        finite = '' if value < minimum else ' and finite'
        raise ValueError(f'{name} must be at least {minimum}{finite}, got {name}={value}')


def check_range(
    name: str,
    value: float,
    low: float,
    high: float,
    *,
    ends: Literal['[]', '[)', '(]', '()'] = '[]',
) -> None:
    """Refuse numbers outside of a range.

    Args:
        name: What the number is.
        value: The number.
        low: Lower end.
        high: Upper end; none if it is infinite.
        ends: Which ends belong to the range.

    Example:
        >>> check_range('dropout', 1.0, 0, 1, ends='[)')
        Traceback (most recent call last):
        ValueError: dropout must lie in [0, 1), got dropout=1.0
    """
    if high == math.inf and ends[0] == '[':
        check_at_least(name, value, low)
        return
    check_number(name, value)
    is_excluded = (ends[0] == '(' and value == low) or (ends[1] == ')' and value == high)
    # written so that NaN fails as well
    if is_excluded or not low <= value <= high:
        raise ValueError(
            f'{name} must lie in {ends[0]}{low:g}, {high:g}{ends[1]}, got {name}={value}'
        )


def check_choice(name: str, value: Any, choices: Collection[Any]) -> None:
    """Refuse what is none of some words."""
    if value not in choices:
        raise ValueError(
            f'{name} must be one of {", ".join(map(str, choices))}, got {name}={value!r}'
        )


def check_timm_model(name: str) -> None:
    """Refuse a name that timm knows no image network by, with similar ones."""
    # it takes 200 MB and a second, which other checks need not spend
    import timm

    if not timm.is_model(name):
        near = ', '.join(timm.list_models(f'*{name.split("_")[0][:6]}*')[:5]) or 'none'
        raise ValueError(f'name must be a model of timm, got {name=}; similar: {near}')


def check_index(index: int, length: int) -> None:
    """Refuse a number that no item of a data set has, so that iterating over it ends.

    Raises:
        IndexError: If `index` is not from 0 to `length - 1`.
    """
    if not 0 <= index < length:
        raise IndexError(f'index must lie in 0..{length - 1}, got index={index}')


def freeze_array(name: str, values: ArrayLike, dtype: type, ndim: int) -> NDArray[Any]:
    """A read-only copy of what becomes an array with so many axes."""
    array = np.array(values, dtype=dtype)
    if array.ndim != ndim:
        raise ValueError(
            f'{name} must have {ndim} dimension{"s" * (ndim > 1)}, got shape {array.shape}'
        )
    array.setflags(write=False)
    return array


def make_plain(value: Any) -> Any:
    """Lists, dictionaries and plain values instead of arrays, iterators, dataclasses and NaN."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, dict):
        return {key: make_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | Iterator):
        return [make_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def read_num_threads() -> int:
    """How many threads OMP_NUM_THREADS asks for, '4' or '4,2'; 0 if it asks for nothing."""
    wanted = os.environ.get('OMP_NUM_THREADS', '').partition(',')[0].strip()
    return int(wanted) if wanted.isdecimal() else 0


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
