"""Objects as plain data and back: what a checkpoint holds without any class to be imported.

A loss history of mmengine is stored as `{'history_buffer': values (N,), 'counts': (N,),
'max_length': int}`, with float64 or int64 tensors.
"""

import logging
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer, print_log
from torch import Tensor

_HISTORY = 'history_buffer'
_PLAIN_TYPES: tuple[Any, ...] = (bool, int, float, str, bytes)


class StandIn:
    """Stands for an object whose class is not known to be safe; does nothing."""

    def __init__(self, *args: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


def to_plain(value: Any, place: str = '') -> Any:
    """Turn a value into tensors, numbers, strings, lists, tuples and dicts.

    Loss histories become dicts (restored on reading), numpy scalars become numbers, numpy arrays
    become tensors, or lists where torch has no such type, and paths become strings. Anything else
    is left out with a warning: a checkpoint that cannot be read back safely is worth less than one
    without a detail.

    Args:
        value: Any value.
        place: Its place in the checkpoint, for the warning.

    Returns:
        The plain value; tensors are not copied.
    """
    if value is None or isinstance(value, (Tensor, torch.Size, torch.dtype, torch.device)):
        return value
    if isinstance(value, np.generic):
        value = value.item()
    for plain_type in _PLAIN_TYPES:
        # a subclass would be pickled by the name of its class
        if isinstance(value, plain_type):
            return plain_type(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.copy()) if value.dtype.kind in 'biuf' else value.tolist()
    if isinstance(value, HistoryBuffer):
        history, counts = (torch.from_numpy(array.copy()) for array in value.data)
        return {_HISTORY: history, 'counts': counts, 'max_length': value.max_length}
    if isinstance(value, Mapping):
        return _map_items(value, lambda item, key: to_plain(item, _join(place, key)))
    if isinstance(value, (list, tuple, set, frozenset)):
        items = [to_plain(item, _join(place, i)) for i, item in enumerate(value)]
        return tuple(items) if isinstance(value, tuple) else items
    print_log(
        f'not saved in the checkpoint: {place}, as reading {type_name(value)} back would run code',
        logger='current',
        level=logging.WARNING,
    )
    return None


def read_back(value: Any, place: str, left_out: dict[str, str]) -> Any:
    """Restore loss histories; stand-ins become None.

    Args:
        value: What was loaded from a checkpoint.
        place: Its place in the checkpoint.
        left_out: Receives the name of the class of each stand-in, by its place.

    Returns:
        The value.
    """
    if isinstance(value, StandIn) or (isinstance(value, type) and issubclass(value, StandIn)):
        left_out[place] = type_name(value)
        return None
    if isinstance(value, dict):
        if value.keys() == {_HISTORY, 'counts', 'max_length'}:
            history, counts = (value[key].cpu().numpy() for key in (_HISTORY, 'counts'))
            return HistoryBuffer(history, counts, value['max_length'])
        return _map_items(value, lambda item, key: read_back(item, _join(place, key), left_out))
    if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
        return type(value)(read_back(v, _join(place, i), left_out) for i, v in enumerate(value))
    return value


def _map_items(mapping: Mapping, function: Callable[[Any, Any], Any]) -> dict:
    """Apply `function(value, key)` to all values; OrderedDicts and Counters stay what they are."""
    result: dict = {}
    for kind in (OrderedDict, Counter):
        if isinstance(mapping, kind):
            result = kind()
    for key, value in mapping.items():
        result[to_plain(key, 'a key')] = function(value, key)
    if isinstance(mapping, OrderedDict):
        # a state_dict carries the versions of its layers in an attribute
        vars(result).update(_map_items(vars(mapping), function))
    return result


def _join(place: str, key: Any) -> str:
    return f'{place}.{key}' if place else str(key)


def type_name(value: Any) -> str:
    """Full name of the class of a value, or of the value if it is a class."""
    kind = value if isinstance(value, type) else type(value)
    return f'{kind.__module__}.{kind.__qualname__}'
