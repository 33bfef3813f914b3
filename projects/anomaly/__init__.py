"""Anomaly: is this clip unlike what normally happens here?"""

import mmotion.registry  # noqa: F401  (makes MMAction2's models importable for the modules below)

from . import (
    backbones,
    cache,
    corpus,
    data,
    hooks,
    inference,
    metrics,
    models,
    results,
    scorers,
    transforms,
)

__all__ = [
    'backbones',
    'cache',
    'corpus',
    'data',
    'hooks',
    'inference',
    'metrics',
    'models',
    'results',
    'scorers',
    'transforms',
]
