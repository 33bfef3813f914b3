"""TimeSformer: which action is this?"""

from mmotion.visualization import actions  # noqa: F401  (registers how scores look)

from . import (
    attention,
    data,
    inference,
    layouts,
    models,
    recordings,
    shapes_data,
    video_backbones,
)

__all__ = [
    'attention',
    'data',
    'inference',
    'layouts',
    'models',
    'recordings',
    'shapes_data',
    'video_backbones',
]
