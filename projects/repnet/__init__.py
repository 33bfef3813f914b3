"""RepNet: how many times was it repeated, how fast, and when."""

from . import data, inference, metrics, models

__all__ = ['data', 'inference', 'metrics', 'models']
