"""TimeSformer: which action is this?"""

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
