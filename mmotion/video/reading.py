"""Inspect, iterate, sample by index and write video.

Frames are numbered from 0 in the order in which they are shown; times are in seconds after the
first frame, also where the rate varies. Images are RGB (H, W, 3), uint8, upright, in stored pixels
(a pixel aspect ratio is not applied). Memory does not grow with the length of a video, but for an
index of its frames, some 30 MB an hour (see `mmotion.video.scan`).

What cannot be read raises `VideoError` with the path and what to do. Of a damaged file the frames
that can be decoded are given, and a warning counts what is missing.

PyAV decodes; torchcodec does, with the same result, if it is installed and chosen by
`backend='torchcodec'` or by the environment variable MMOTION_VIDEO_BACKEND.
"""

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mmotion.video.decode import Decoder, VideoFrame, choose_decoder
from mmotion.video.scan import FrameIndex, VideoError, VideoInfo, scan_video
from mmotion.video.timing import FrameTimes
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


def inspect_video(path: str | Path, fps: float | None = None) -> VideoInfo:
    """Measure a video by its packets, decoding a single frame.

    Args:
        path: Video file.
        fps: Frames per second where those of the file are wrong, see `scan_video`.

    Raises:
        FileNotFoundError: If there is no such file.
        VideoError: If it holds no video that can be read.
    """
    return scan_video(path, fps).info


def iterate_frames(
    path: str | Path,
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
    stride: int = 1,
    fps: float | None = None,
    backend: str | None = None,
) -> Iterator[VideoFrame]:
    """Give the frames with `start_s <= time_s < end_s` in the order in which they are shown.

    Arguments and file are checked at the call, before the first frame is asked for.

    Args:
        path: Video file, or any other file that FFmpeg reads as one (GIF, PNG).
        start_s: Seconds after the first frame, at least 0.
        end_s: Seconds after the first frame, above `start_s`; None for the end of the video.
        stride: Give every `stride`-th frame, beginning with the first one in the range.
        fps: Frames per second where those of the file are wrong, see `scan_video`.
        backend: 'pyav' or 'torchcodec'; None for $MMOTION_VIDEO_BACKEND, and 'pyav' without it.

    Raises:
        FileNotFoundError: If there is no such file.
        VideoError: If it holds no video that can be read, or no frame in that range.
    """
    decode = choose_decoder(backend)
    if stride < 1 or stride != int(stride):
        raise VideoError(
            f'stride must be a whole number from 1 on, got stride={stride}; 1 gives every frame'
        )
    index = scan_video(path, fps)
    first, last = FrameTimes(index.info.fps, index.times_s).span(start_s, end_s)
    if not (start_s >= 0 and last is not None and first < last):
        raise VideoError(
            f'start_s and end_s must enclose a frame, got start_s={start_s} and end_s={end_s}; '
            f'the frames of {path} are from 0 to {index.times_s[-1]:.3f} s'
        )
    if index.damage:
        warnings.warn(index.damage, stacklevel=2)
    return _warn_of_missing(decode, index, np.arange(first, last, int(stride)))


def read_frames(
    path: str | Path, indices: Sequence[int] | np.ndarray, *, backend: str | None = None
) -> np.ndarray:
    """Decode the frames of the given numbers, each from the last keyframe before it on.

    Args:
        path: Video file.
        indices: Frame numbers (N,), in any order, repeated or not.
        backend: As for `iterate_frames`.

    Returns:
        RGB images (N, H, W, 3), uint8, in the order of `indices`.

    Raises:
        FileNotFoundError: If there is no such file.
        VideoError: If it holds no video that can be read, or one of the frames is not in it or
            cannot be decoded.
    """
    decode = choose_decoder(backend)
    numbers = np.asarray(indices)
    if numbers.ndim != 1 or (numbers.size and numbers.dtype.kind not in 'iu'):
        raise VideoError(
            'indices must be a flat sequence of whole numbers, '
            f'got shape={numbers.shape} and dtype={numbers.dtype}; number frames from 0 on'
        )
    index = scan_video(path)
    info = index.info
    outside = numbers[(numbers < 0) | (numbers >= info.num_frames)]
    if outside.size:
        raise VideoError(
            f'indices must be from 0 to {info.num_frames - 1}, got index={outside[0]}; '
            f'{path} has {info.num_frames} frames'
        )
    images = np.empty((numbers.size, info.height, info.width, 3), np.uint8)
    missing = np.ones(numbers.size, bool)
    for frame in decode(index, np.unique(numbers)) if numbers.size else ():
        places = numbers == frame.index
        images[places] = frame.image
        missing[places] = False
    if missing.any():
        raise VideoError(
            f'indices must name frames that can be decoded, got index={numbers[missing][0]}, one '
            f'of {missing.sum()} that cannot; {path} is damaged, copy or encode it again'
        )
    return images


def _warn_of_missing(
    decode: Decoder, index: FrameIndex, numbers: np.ndarray
) -> Iterator[VideoFrame]:
    num_missing = len(numbers)
    for frame in decode(index, numbers):
        num_missing -= 1
        yield frame
    if num_missing:
        warnings.warn(
            f'{num_missing} of {len(numbers)} frames of {index.info.path} cannot be decoded and '
            'are left out; the file is damaged, copy or encode it again',
            stacklevel=2,
        )
