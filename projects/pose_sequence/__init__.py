"""Pose sequences: which activity is this skeleton doing?"""

from mmotion.visualization import actions  # noqa: F401  (registers how scores look)

from . import (
    augmentation,
    data,
    encoders,
    hooks,
    inference,
    losses,
    models,
    results,
    sequence_files,
    shapes_data,
    transforms,
)

__all__ = [
    'augmentation',
    'data',
    'encoders',
    'hooks',
    'inference',
    'losses',
    'models',
    'results',
    'sequence_files',
    'shapes_data',
    'transforms',
]
