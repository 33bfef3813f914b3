"""Decode chosen frames of a video, with PyAV or with torchcodec.

A decoder takes the index of a video and the ascending numbers of the frames that are wanted, and
gives these frames one after the other. To find the next one it decodes from the last keyframe
before it on, and leaves out what cannot be decoded.
"""

import multiprocessing
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import chain, dropwhile, islice
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from mmotion.video.scan import (
    FrameIndex,
    Orientation,
    VideoError,
    decode_packet,
    demux,
    open_video,
)

# unwanted frames that are decoded on the way to a wanted one; to pass over more, the file is opened
# anew at the next keyframe, which takes about as long as decoding this many
_MAX_UNWANTED_FRAMES = 32
# as many as H.264 lets come between a frame and its turn
_MAX_WAITING_FRAMES = 16
_TORCHCODEC_BATCH = 16


@dataclass(frozen=True, eq=False)
class VideoFrame:
    """One decoded frame.

    Attributes:
        index: Number of the frame in the file, from 0, whatever was left out before it.
        time_s: When it is shown, in seconds after the first frame.
        image: RGB (H, W, 3), uint8.
    """

    index: int
    time_s: float
    image: np.ndarray


Decoder = Callable[[FrameIndex, np.ndarray], Iterator[VideoFrame]]


def choose_decoder(backend: str | None) -> Decoder:
    """Give the decoder of that name: 'pyav' or 'torchcodec'.

    Args:
        backend: Name; None for the one in $MMOTION_VIDEO_BACKEND, and 'pyav' without it.

    Raises:
        VideoError: If there is no decoder of that name.
    """
    backend = backend or os.environ.get('MMOTION_VIDEO_BACKEND') or 'pyav'
    if backend not in _DECODERS:
        raise VideoError(
            f'backend (or $MMOTION_VIDEO_BACKEND) must be one of {", ".join(_DECODERS)}, '
            f'got backend={backend}'
        )
    return _DECODERS[backend]


def _decode_with_pyav(index: FrameIndex, numbers: np.ndarray) -> Iterator[VideoFrame]:
    """Give the frames of these numbers (N,), N > 0, ascending; leave out what is undecodable."""
    # one converter to RGB for all frames: a new one for each takes five times as long
    reformatter = VideoReformatter()
    keyframes = index.keyframes[np.searchsorted(index.keyframes, numbers, side='right') - 1]
    jumps = np.flatnonzero(keyframes[1:] - numbers[:-1] > _MAX_UNWANTED_FRAMES) + 1
    for run, keyframe in zip(np.split(numbers, jumps), keyframes[[0, *jumps]], strict=True):
        wanted = set(run.tolist())
        with closing(_decode_from(index, int(keyframe))) as decoded:
            for number, frame in _put_in_order(decoded, int(keyframe)):
                if number in wanted:
                    wanted.remove(number)
                    image = to_image(
                        frame,
                        reformatter,
                        size_wh=(index.info.width, index.info.height),
                        orientation=index.orientation,
                        name=index.info.path,
                    )
                    yield VideoFrame(number, float(index.times_s[number]), image)
                if number >= run[-1]:
                    break


def _decode_from(
    index: FrameIndex, keyframe: int
) -> Generator[tuple[int, av.VideoFrame], None, None]:
    """Number the frames that are decoded from a keyframe on, by the order of showing."""
    timestamps = index.timestamps
    start = int(timestamps[keyframe]) if timestamps is not None and keyframe else None
    with closing(_demux_from(index, start)) as packets:
        frames = chain.from_iterable(map(decode_packet, packets))
        if timestamps is None:
            yield from enumerate(frames)
            return
        for frame in frames:
            number = int(np.searchsorted(timestamps, frame.pts or 0))
            # any other frame is of a packet that was cut off, which the scan did not count
            if number < len(timestamps) and timestamps[number] == frame.pts:
                yield number, frame


def _put_in_order(
    numbered: Iterable[tuple[int, av.VideoFrame]], first: int
) -> Iterator[tuple[int, av.VideoFrame]]:
    """Give frames from number `first` on by their numbers, without those that come too late.

    Decoders give them so, unless what tells them the order is damaged.
    """
    waiting: dict[int, av.VideoFrame] = {}
    for number, frame in numbered:
        if number >= first:
            waiting[number] = frame
        # in a whole file no frame waits
        while first in waiting or len(waiting) > _MAX_WAITING_FRAMES:
            first = min(waiting)
            yield first, waiting.pop(first)
            first += 1
    yield from sorted(waiting.items())


def _demux_from(index: FrameIndex, timestamp: int | None) -> Generator[av.Packet, None, None]:
    """Give the packets from the keyframe that is shown at `timestamp` on; None: all packets."""
    with open_video(index.info.path) as stream:
        # a data worker leaves the other cores to its neighbours; a broken packet, in threads, takes
        # whole frames with it
        single = index.damage or multiprocessing.parent_process()
        stream.thread_type = 'NONE' if single else 'AUTO'
        if timestamp is None:
            yield from demux(stream)
            return
        # the first packet may name the encoder: without that, FFmpeg turns 4:4:4 of x264 before
        # build 151 green
        for packet in islice(demux(stream), 1):
            decode_packet(packet)
        with suppress(av.FFmpegError):
            stream.container.seek(timestamp, stream=stream)
        packets = demux(stream)
        first = next(packets, None)
        if first is not None and first.pts == timestamp:
            yield from chain([first], packets)
            return
    # a format without a table of keyframes (MPEG-TS) sought elsewhere: read on from its beginning
    yield from dropwhile(lambda packet: packet.pts != timestamp, _demux_from(index, None))


def to_image(
    frame: av.VideoFrame,
    reformatter: VideoReformatter,
    *,
    size_wh: tuple[int, int],
    orientation: Orientation,
    name: str | Path,
) -> np.ndarray:
    """Make an upright picture of a decoded frame.

    Args:
        frame: The frame, which may have another size than those before it.
        reformatter: The converter to RGB, one for all frames of a video.
        size_wh: Width and height of the picture in pixels.
        orientation: How the stored pixels are turned.
        name: Of the video, in errors.

    Returns:
        RGB (H, W, 3), uint8.

    Raises:
        VideoError: If FFmpeg cannot convert its pixels.
    """
    transposed, down, across = orientation
    width, height = reversed(size_wh) if transposed else size_wh
    try:
        # to one size: streams may change it; bicubic for their colours, as torchcodec has it
        rgb = reformatter.reformat(frame, width, height, 'rgb24', interpolation='BICUBIC')
    except av.FFmpegError as error:
        raise VideoError(
            f'the pixels of a video must be convertible to RGB, got format={frame.format.name} in '
            f'{name} ({error.strerror}); encode it again as yuv420p'
        ) from error
    image = rgb.to_ndarray()
    if transposed:
        image = image.swapaxes(0, 1)
    return np.ascontiguousarray(image[::down, ::across])


def _decode_with_torchcodec(index: FrameIndex, numbers: np.ndarray) -> Iterator[VideoFrame]:
    """Do the same with torchcodec, and leave to PyAV what torchcodec refuses or does otherwise."""
    path = index.info.path
    if not index.is_plain:
        yield from _decode_with_pyav(index, numbers)
        return
    try:
        from torchcodec.decoders import VideoDecoder

        threads = 0 if multiprocessing.parent_process() is None else 1
        decoder = VideoDecoder(path, dimension_order='NHWC', num_ffmpeg_threads=threads)
    except (ImportError, OSError, RuntimeError) as error:
        raise VideoError(
            f'torchcodec must be installed, with FFmpeg, to read {path} by backend=torchcodec '
            f"({str(error).splitlines()[0]}); pip install 'mmotion[codec]', or leave backend out"
        ) from error
    first_s = decoder.metadata.begin_stream_seconds
    for start in range(0, len(numbers), _TORCHCODEC_BATCH):
        batch = numbers[start : start + _TORCHCODEC_BATCH]
        times_s = index.times_s[batch]
        # in place of a frame that cannot be decoded it raises, or gives another one: ask PyAV
        try:
            frames = decoder.get_frames_at(batch.tolist())
        except RuntimeError:
            frames = None
        if frames is None or np.abs(frames.pts_seconds.numpy() - first_s - times_s).max() > 1e-5:
            yield from _decode_with_pyav(index, numbers[start:])
            return
        for number, time_s, image in zip(batch, times_s, frames.data.numpy(), strict=True):
            yield VideoFrame(int(number), float(time_s), image)


_DECODERS: dict[str, Decoder] = {'pyav': _decode_with_pyav, 'torchcodec': _decode_with_torchcodec}
