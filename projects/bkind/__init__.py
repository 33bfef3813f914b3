"""BKinD: where are the moving parts, without labels?"""

from . import (
    data,
    export,
    hooks,
    inference,
    labeled_data,
    losses,
    metrics,
    models,
    networks,
    results,
    transforms,
)

__all__ = [
    'data',
    'export',
    'hooks',
    'inference',
    'labeled_data',
    'losses',
    'metrics',
    'models',
    'networks',
    'results',
    'transforms',
]
