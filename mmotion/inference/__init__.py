"""From a config and a checkpoint to a predictor, and from a video to a result."""

from mmotion.inference.abilities import DrawsAttention, Exports
from mmotion.inference.load import find_class_names, load_model
from mmotion.inference.predictor import Predictor
from mmotion.inference.samples import make_sample

__all__ = [
    'DrawsAttention',
    'Exports',
    'Predictor',
    'find_class_names',
    'load_model',
    'make_sample',
]
