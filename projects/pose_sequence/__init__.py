"""Pose sequences: which activity is this skeleton doing?"""

from . import (
    augmentation,
    contrastive,
    data,
    encoders,
    inference,
    models,
    sequence_files,
    shapes_data,
    transforms,
)

__all__ = [
    'augmentation',
    'contrastive',
    'data',
    'encoders',
    'inference',
    'models',
    'sequence_files',
    'shapes_data',
    'transforms',
]
