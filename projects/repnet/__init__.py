"""RepNet: how many times was it repeated, how fast, and when?"""

from . import data, inference, metrics, models, poses, table_data, video_data

__all__ = ['data', 'inference', 'metrics', 'models', 'poses', 'table_data', 'video_data']

# what a server offers first
DEFAULT_CONFIG = 'repnet_small'
