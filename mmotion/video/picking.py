"""Pick frames out of a whole video, and decode as few others as they need.

What lies before a wanted frame is decoded from the last keyframe on, but for the frames from which
no other is predicted: of H.264 and HEVC with B-frames about half. Decoders give a frame late, as
another may have to be shown before it; here the last one of a run is not waited for: the decoder is
emptied as soon as it has all that it needs.
"""

import multiprocessing
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from itertools import chain, islice

import av
import numpy as np

from mmotion.video.scan import FrameIndex, decode_packet, demux, open_video

# unwanted frames that are decoded on the way to a wanted one, where a keyframe lies between; to
# seek to that takes about as long as decoding this many
MAX_PASSED_FRAMES = 4
# ISO/IEC 14496-15, 8.3.3.1: the byte of a HEVC configuration that has `numTemporalLayers`
_HEVC_LAYERS_BYTE = 21


def split_runs(
    index: FrameIndex, numbers: np.ndarray, max_passed: int
) -> Iterator[tuple[np.ndarray, int]]:
    """Split what is wanted into runs, each of which is decoded in one go.

    Args:
        index: The frames of the video.
        numbers: Those that are wanted (N,), N >= 0, ascending.
        max_passed: Go on decoding where so many frames or fewer lie before the next keyframe.

    Yields:
        Numbers (n,), and that of the keyframe with which to begin.
    """
    keyframes = index.keyframes[np.searchsorted(index.keyframes, numbers, side='right') - 1]
    jumps = np.flatnonzero(keyframes[1:] - numbers[:-1] > max_passed) + 1
    for run in np.split(np.arange(len(numbers)), jumps) if len(numbers) else ():
        yield numbers[run], int(keyframes[run[0]])


def choose_threads(stream: av.VideoStream, index: FrameIndex) -> None:
    """Let FFmpeg decode in threads, where nothing speaks against it."""
    # a data worker leaves the other cores to its neighbours; a broken packet, in threads, takes
    # whole frames with it
    single = index.damage or multiprocessing.parent_process()
    stream.thread_type = 'NONE' if single else 'AUTO'


def name_encoder(stream: av.VideoStream) -> None:
    """Decode the first packet of an opened file, before seeking.

    It may name the encoder: without that, FFmpeg turns 4:4:4 of x264 before build 151 green.
    """
    for packet in islice(demux(stream), 1):
        decode_packet(packet)


def seek(stream: av.VideoStream, timestamp: int) -> Iterator[av.Packet] | None:
    """Give the packets from the keyframe that is shown at `timestamp` on, None if it is missed."""
    with suppress(av.FFmpegError):
        stream.container.seek(timestamp, stream=stream)
    packets = demux(stream)
    first = next(packets, None)
    if first is None or first.pts != timestamp:
        return None
    return chain([first], packets)


def pick_frames(
    index: FrameIndex, numbers: np.ndarray
) -> Generator[tuple[int, av.VideoFrame], None, None]:
    """Decode frames with their numbers; end before the first that does not come in its turn.

    Args:
        index: Of a video with reliable times.
        numbers: Those that are wanted (N,), ascending.
    """
    timestamps = index.timestamps
    if timestamps is None:
        return
    with open_video(index.info.path) as stream:
        choose_threads(stream, index)
        packets: Iterator[av.Packet] | None = None
        for run, keyframe in split_runs(index, numbers, MAX_PASSED_FRAMES):
            if not keyframe:
                packets = demux(stream)
            else:
                if packets is None:
                    name_encoder(stream)
                packets = seek(stream, int(timestamps[keyframe]))
            if packets is None:
                return
            waiting = deque(zip(timestamps[run].tolist(), run.tolist(), strict=True))
            for frame in _decode_needed(stream, packets, {pts for pts, _ in waiting}):
                if waiting and frame.pts == waiting[0][0]:
                    yield waiting.popleft()[1], frame
            if waiting:
                return


def _decode_needed(
    stream: av.VideoStream, packets: Iterable[av.Packet], wanted: set[int]
) -> Iterator[av.VideoFrame]:
    """Decode what the frames with these timestamps need, which are used up, and empty the decoder.

    Other frames come too.
    """
    context = stream.codec_context
    skips = _can_skip(context)
    for packet in packets:
        if skips:
            context.skip_frame = 'DEFAULT' if packet.pts in wanted else 'NONREF'
        yield from decode_packet(packet)
        wanted.discard(packet.pts)
        if not wanted:
            break
    # also at the end of the file, where it is empty
    with suppress(av.FFmpegError):
        yield from context.decode(None)


def _can_skip(context: av.VideoCodecContext) -> bool:
    """Whether FFmpeg leaves out no frame from which another one is predicted.

    Of HEVC it leaves out what no frame of the same temporal layer refers to.
    """
    if context.name != 'hevc':
        return context.name == 'h264'
    settings = context.extradata or b''
    return len(settings) > _HEVC_LAYERS_BYTE and settings[_HEVC_LAYERS_BYTE] >> 3 & 7 == 1
