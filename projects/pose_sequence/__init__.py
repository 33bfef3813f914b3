"""Pose sequences: which activity is this skeleton doing?"""

from . import (
    body_shape,
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
    'body_shape',
    'contrastive',
    'data',
    'encoders',
    'inference',
    'models',
    'sequence_files',
    'shapes_data',
    'transforms',
]
