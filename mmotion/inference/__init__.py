"""From a config and a checkpoint to a predictor, and from a video to a result.

What is named here is imported when it is first used: an exported model runs without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmotion.inference.abilities import DrawsAttention, Exports
    from mmotion.inference.load import load_model
    from mmotion.inference.predictor import Predictor
    from mmotion.inference.samples import find_class_names, make_sample

_PLACES = {
    'DrawsAttention': 'abilities',
    'Exports': 'abilities',
    'Predictor': 'predictor',
    'find_class_names': 'samples',
    'load_model': 'load',
    'make_sample': 'samples',
}

__all__ = [
    'DrawsAttention',
    'Exports',
    'Predictor',
    'find_class_names',
    'load_model',
    'make_sample',
]


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(f'mmotion.inference.{_PLACES[name]}'), name)
