"""From a config and a checkpoint to a predictor, and from a video to a result."""

from mmotion.inference.load import find_class_names, load_model
from mmotion.inference.predictor import Predictor, name_video

__all__ = ['Predictor', 'find_class_names', 'load_model', 'name_video']
