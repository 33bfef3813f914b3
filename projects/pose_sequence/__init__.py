"""Pose sequences: which activity is this skeleton doing?"""

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
