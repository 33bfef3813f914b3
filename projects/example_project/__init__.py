"""Which way does the dot move? The smallest complete system, to copy and to learn from."""

from . import data, losses, metrics, models

__all__ = ['data', 'losses', 'metrics', 'models']
