"""Decode chosen frames of a video, with PyAV or with torchcodec.

A decoder takes the index of a video and the ascending numbers of the frames that are wanted, and
gives these frames one after the other. To find the next one it decodes from the last keyframe
before it on, and leaves out what cannot be decoded.
"""

import multiprocessing
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, dropwhile
from pathlib import Path
from threading import Lock

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from mmotion.video.picking import choose_threads, name_encoder, pick_frames, seek, split_runs
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
# of libswscale: triangles as wide as two new pixels, or areas, with flags that PyAV 17 lacks:
# SWS_FULL_CHR_H_INT (without it all is a level or two too dark), SWS_FULL_CHR_H_INP and
# SWS_ACCURATE_RND
_EXACT = 0x2000 | 0x4000 | 0x40000
_SHRINKING, _AVERAGING = Interpolation.BILINEAR | _EXACT, Interpolation.AREA | _EXACT


@dataclass(frozen=True, eq=False)
class VideoFrame:
    """One frame of a video.

    Attributes:
        index: Number of the frame in the file, from 0, whatever was left out before it.
        time_s: When it is shown, in seconds after the first frame.
        image: RGB (H, W, 3), uint8.
    """

    index: int
    time_s: float
    image: np.ndarray

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height in pixels."""
        height, width = self.image.shape[:2]
        return width, height

    def scaled(self, width: int, height: int) -> np.ndarray:
        """Scale the image, without keeping its form, by a filter that averages where it shrinks.

        A frame that was just decoded goes straight from its YUV to that size, by libswscale's
        bilinear filter, and another one, an array or interlaced, by Pillow's, which weighs in the
        same way. Of the same frame they differ by a grey level or two: FFmpeg's fast conversion to
        RGB, by which `image` is made, is a level too dark, and this is not.

        Args:
            width: Of what is given, in pixels.
            height: Of what is given, in pixels.

        Returns:
            RGB (height, width, 3), uint8; of the same size as before, `image` itself.
        """
        from mmotion.video.resizing import resize_bilinear

        return resize_bilinear(self.image, width, height)

    def averaged(self, size: int) -> np.ndarray:
        """Scale the image to a square by OpenCV's `INTER_AREA`, or linearly where it grows.

        A frame that was just decoded goes straight from its YUV to that size, see `scaled`.

        Args:
            size: Of both sides, in pixels.

        Returns:
            RGB (size, size, 3), uint8.
        """
        from mmotion.video.resizing import resize_area

        return resize_area(self.image, size)


class DecodedFrame(VideoFrame):
    """A frame whose pixels are converted when they are asked for, and not before.

    A copy of it in another process has its `image` alone.

    Args:
        index: See `VideoFrame`, like the next one.
        time_s: See `VideoFrame`.
        stored: The frame as its decoder gave it.
        converter: What makes pictures of all frames of the video.
    """

    def __init__(
        self, index: int, time_s: float, *, stored: av.VideoFrame, converter: 'Converter'
    ) -> None:
        vars(self).update(index=index, time_s=time_s, _stored=stored, _converter=converter)

    def __reduce__(self) -> tuple[type[VideoFrame], tuple[int, float, np.ndarray]]:
        return VideoFrame, (self.index, self.time_s, self.image)

    @cached_property
    def image(self) -> np.ndarray:  # pyright: ignore[reportIncompatibleVariableOverride]
        """RGB (H, W, 3), uint8.

        Raises:
            VideoError: If FFmpeg cannot convert its pixels.
        """
        return self._converter.convert(self._stored, self.size_wh)

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self._converter.size_wh

    @property
    def yuv(self) -> av.VideoFrame | None:
        """The frame as stored, upright yuv420p, progressive, with even sides; None if it is not."""
        stored, (width, height) = self._stored, self.size_wh
        is_plain = self._converter.orientation == (False, 1, 1) and stored.format.name == 'yuv420p'
        is_plain = is_plain and not stored.interlaced_frame
        is_whole = (stored.width, stored.height) == (width, height)
        return stored if is_plain and is_whole and not width % 2 and not height % 2 else None

    def scaled(self, width: int, height: int) -> np.ndarray:
        """See `VideoFrame`."""
        if (width, height) == self.size_wh:
            return self.image
        # libswscale scales each field of such a frame by itself, and keeps their combs
        if self._stored.interlaced_frame:
            return super().scaled(width, height)
        return self._converter.convert(self._stored, (width, height))

    def averaged(self, size: int) -> np.ndarray:
        """See `VideoFrame`."""
        is_larger = size > min(self.size_wh) or (size, size) == self.size_wh
        if is_larger or self._stored.interlaced_frame:
            return super().averaged(size)
        return self._converter.convert(self._stored, (size, size), _AVERAGING)


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
    converter = Converter(
        size_wh=(index.info.width, index.info.height),
        orientation=index.orientation,
        name=index.info.path,
    )

    def give(number: int, frame: av.VideoFrame) -> VideoFrame:
        time_s = float(index.times_s[number])
        return DecodedFrame(number, time_s, stored=frame, converter=converter)

    last_given = -1
    # of frames that follow one another none is left out
    is_sparse = len(numbers) <= max(numbers[-1] - numbers[0], 1)
    if is_sparse and index.is_plain and not index.damage:
        with closing(pick_frames(index, numbers)) as picked:
            for last_given, frame in picked:
                yield give(last_given, frame)
    for run, keyframe in split_runs(index, numbers, _MAX_UNWANTED_FRAMES):
        # what was not picked; its neighbors are decoded again, as it may come only with them
        wanted = set(run[run > last_given].tolist())
        if not wanted:
            continue
        with closing(_decode_from(index, keyframe)) as decoded:
            for number, frame in _put_in_order(decoded, keyframe):
                if number in wanted:
                    wanted.remove(number)
                    yield give(number, frame)
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
        choose_threads(stream, index)
        if timestamp is None:
            yield from demux(stream)
            return
        name_encoder(stream)
        packets = seek(stream, timestamp)
        if packets is not None:
            yield from packets
            return
    # a format without a table of keyframes (MPEG-TS) sought elsewhere: read on from its beginning
    yield from dropwhile(lambda packet: packet.pts != timestamp, _demux_from(index, None))


class Converter:
    """Makes upright pictures of decoded frames, which may differ in size; safe to share by threads.

    Args:
        size_wh: Width and height of the video in pixels, upright.
        orientation: How the stored pixels are turned.
        name: Of the video, in errors.
    """

    def __init__(
        self, *, size_wh: tuple[int, int], orientation: Orientation, name: str | Path
    ) -> None:
        self.size_wh, self.orientation, self.name = size_wh, orientation, name
        # one for all frames: a new one for each takes five times as long
        self._whole, self._small = VideoReformatter(), VideoReformatter()
        self._lock = Lock()

    def convert(
        self, frame: av.VideoFrame, size_wh: tuple[int, int], shrinking: int = _SHRINKING
    ) -> np.ndarray:
        """Make a picture of this width and height, RGB (H, W, 3), uint8.

        Args:
            frame: As it is stored.
            size_wh: Of the picture.
            shrinking: How libswscale scales, where that is another size.

        Raises:
            VideoError: If FFmpeg cannot convert its pixels.
        """
        transposed, down, across = self.orientation
        width, height = reversed(size_wh) if transposed else size_wh
        # bicubic for the colours of whole frames, as torchcodec has it
        reformatter, how = (
            (self._whole, Interpolation.BICUBIC)
            if size_wh == self.size_wh
            else (self._small, shrinking)
        )
        try:
            with self._lock:
                rgb = reformatter.reformat(frame, width, height, 'rgb24', interpolation=how)
        except av.FFmpegError as error:
            raise VideoError(
                'the pixels of a video must be convertible to RGB, got '
                f'format={frame.format.name} in {self.name} ({error.strerror}); encode it again as '
                'yuv420p'
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
