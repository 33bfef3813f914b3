"""BKinD: where are the moving parts, without labels."""

from . import data, export, inference, losses, models, networks, shapes_data, tracks, transforms

__all__ = [
    'data',
    'export',
    'inference',
    'losses',
    'models',
    'networks',
    'shapes_data',
    'tracks',
    'transforms',
]
