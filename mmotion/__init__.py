"""mmotion: understand motion in video with registered modules and Python configs."""

__version__ = '0.1.0'
