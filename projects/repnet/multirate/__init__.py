"""MultiRateRepNet: counting by time, at all rates at once."""

from . import data, inference, models

__all__ = ['data', 'inference', 'models']
