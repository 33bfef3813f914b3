"""Which way does the dot move? The smallest complete system, to copy and to learn from."""

from . import data, inference, losses, metrics, models, results

__all__ = ['data', 'inference', 'losses', 'metrics', 'models', 'results']
