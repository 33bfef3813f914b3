"""BKinD: where are the moving parts, without labels?"""

from . import (
    data,
    export,
    inference,
    labeled_data,
    losses,
    models,
    networks,
    results,
    transforms,
)

__all__ = [
    'data',
    'export',
    'inference',
    'labeled_data',
    'losses',
    'models',
    'networks',
    'results',
    'transforms',
]
