"""Inspect, iterate, sample by index and write video; see `mmotion.video.reading`."""

from mmotion.video.decode import VideoFrame
from mmotion.video.reading import inspect_video, iterate_frames, read_frames
from mmotion.video.scan import VideoError, VideoInfo
from mmotion.video.writer import VideoWriter

__all__ = [
    'VideoError',
    'VideoFrame',
    'VideoInfo',
    'VideoWriter',
    'inspect_video',
    'iterate_frames',
    'read_frames',
]
