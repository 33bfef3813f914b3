"""Read the packets of a video, without decoding them, and know all of its frames.

A container's header may hold a wrong frame rate, a wrong number of frames or none at all. The
packets hold the truth, and reading them takes milliseconds a minute of video: one packet is one
frame, with the time at which it is shown, in the order in which it is stored. Where frames are
stored in another order than they are shown (B-frames), sorting the times gives the latter.

Some files have no times to rely on: raw streams (.h264), recordings that were joined byte by byte
(.ts), and AVI with B-frames, which numbers them as they are stored. Their frames are taken as
evenly spaced and decoded from the first one on.
"""

import dataclasses
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.stream import Disposition

from mmotion.checks import check_fps
from mmotion.compat import accept_any_tags, read_display_matrix

# frames per second of a stream that names no rate; FFmpeg assumes the same
_DEFAULT_FPS = 25.0
# a file was cut off if it lacks more than both of what its header announces; headers round, and
# some count from the first sound
_TOLERATED_LACK_S = 0.25
_TOLERATED_LACK_PART = 0.05
# frames by which H.264 and its kin may store one earlier than it is shown
_MAX_REORDERED = 16
# FFmpeg draws text files (.txt, .nfo, .asc) as video
_TEXT_FORMAT = 'tty'
# FFmpeg's names for MP4 and its kin, and for Matroska and WebM
_PLAIN_FORMATS = ('mov,mp4,m4a,3gp,3g2,mj2', 'matroska,webm')


class VideoError(ValueError):
    """A video cannot be read, sampled or written as asked; the message says what to do."""


@dataclass(frozen=True)
class VideoInfo:
    """What a video is, measured on its packets and its first frame.

    Attributes:
        path: The file.
        fps: Average frames per second, not rounded: 30000/1001 is 29.97002997.
        num_frames: Number of frames that the file holds.
        width: Width in pixels after rotation.
        height: Height in pixels after rotation.
        duration_s: From the start of the first frame to the end of the last one.
    """

    path: Path
    fps: float
    num_frames: int
    width: int
    height: int
    duration_s: float


class Orientation(NamedTuple):
    """How stored pixels become an upright image: `image[::down, ::across]`, transposed before."""

    transposed: bool
    down: int
    across: int


@dataclass(frozen=True, eq=False)
class FrameIndex:
    """When each of the N frames of a video is shown, and where decoding can start.

    Attributes:
        info: Size, rate and length of the video.
        times_s: Seconds after the first frame (N,), ascending.
        timestamps: The same in the units of the stream (N,), as decoded frames carry them; None for
            a file without reliable ones.
        keyframes: Numbers of the frames at which decoding can start (K,), ascending; 0 is the
            beginning of the file.
        orientation: Rotation and mirroring by the display matrix.
        is_plain: Whether it is a progressive 8-bit video in MP4 or Matroska with reliable times and
            without mirroring, which all decoders give alike.
        damage: What is missing from the file, None if nothing is known to be.
        num_lost: Frames that should be in the file, as far as it tells, and are not.
    """

    info: VideoInfo
    times_s: np.ndarray
    timestamps: np.ndarray | None
    keyframes: np.ndarray
    orientation: Orientation
    is_plain: bool
    damage: str | None
    num_lost: int


def scan_video(path: str | Path, fps: float | None = None) -> FrameIndex:
    """Read all packets of a video and decode its first frame.

    The results for the last 16 files are kept, each for as long as its file does not change.

    Args:
        path: The file.
        fps: Frames per second, where the times in the file are wrong: frame n is shown at n / fps.
            None believes the file.

    Raises:
        ValueError: If `fps` is not above 0 and finite.
        FileNotFoundError: If there is no such file.
        VideoError: If it is not a file, or holds no video that can be read.
    """
    path = Path(path)
    if not os.path.exists(path):
        raise FileNotFoundError(f'a video must exist, got path={path}; check its spelling')
    if not path.is_file():
        raise VideoError(
            f'a video must be a file, got path={path}, a folder or device; name a file'
        )
    status = path.stat()
    if not status.st_size:
        raise VideoError(f'a video must not be empty, got path={path} of 0 bytes; copy it again')
    index = _scan(path, status.st_size, status.st_mtime_ns)
    return index if fps is None else _set_rate(index, fps)


def forget_videos() -> None:
    """Drop what is kept of the files that were read, to time reading them."""
    _scan.cache_clear()


@contextmanager
def open_video(path: Path, **options: str) -> Iterator[av.VideoStream]:
    """Open a file and give its video stream; the file is closed when the block ends.

    Args:
        path: The file.
        options: Of FFmpeg's reader of the format.

    Raises:
        VideoError: If FFmpeg cannot read the file, or it holds no video.
    """
    try:
        # absolute, as FFmpeg takes 'a:b.mp4' for a protocol
        container = av.open(str(path.absolute()), options=options, **accept_any_tags())
    except av.FFmpegError as error:
        raise VideoError(
            f'a video must be a file that FFmpeg can read, got path={path} ({error.strerror}); '
            'it is of another kind or cut off: copy or encode it again'
        ) from error
    with container:
        streams = [
            stream
            for stream in container.streams.video
            # the cover picture of a song is no video
            if not stream.disposition & Disposition.attached_pic
        ]
        if not streams or container.format.name == _TEXT_FORMAT:
            raise VideoError(
                f'a video must have moving pictures, got path={path}, where FFmpeg finds none; '
                'name a video file'
            )
        yield streams[0]


def demux(stream: av.VideoStream) -> Iterator[av.Packet]:
    """Give the packets as they are stored, then an empty one that flushes the decoder.

    Ends early where the file can no longer be read.
    """
    # an empty packet that has a time means 'the last frame once more'
    return (packet for packet in _demux_all(stream) if packet.size or packet.dts is None)


def decode_packet(packet: av.Packet) -> list[av.VideoFrame]:
    """Give the frames that the packet completes; none if the decoder cannot use it."""
    try:
        return packet.decode()
    except av.FFmpegError:
        return []


def _demux_all(stream: av.VideoStream) -> Iterator[av.Packet]:
    try:
        yield from stream.container.demux(stream)
    except av.FFmpegError:
        return


class _PacketFacts(NamedTuple):
    timestamp: int | None
    decoding_timestamp: int | None
    duration: int
    is_keyframe: bool
    is_cut: bool
    is_hidden: bool


@lru_cache(maxsize=16)
def _scan(path: Path, _size: int, _mtime_ns: int) -> FrameIndex:
    stored: list[_PacketFacts] = []
    first_frame, num_repeats = None, 0
    with open_video(path) as stream:
        for packet in _demux_all(stream):
            if not packet.size and packet.dts is not None:
                num_repeats += 1
                continue
            first_frame = first_frame or next(iter(decode_packet(packet)), None)
            if packet.size:
                stored.append(
                    _PacketFacts(
                        packet.pts,
                        packet.dts,
                        packet.duration or 0,
                        packet.is_keyframe,
                        packet.is_corrupt,
                        # an edit list hides frames that are only there to decode others
                        packet.is_discard,
                    )
                )
        packets = [packet for packet in stored if not packet.is_hidden]
        is_cut = bool(packets) and packets[-1].is_cut
        if is_cut:
            stored.remove(packets.pop())
        if (first_frame is None or not packets) and _is_webp(path):
            raise VideoError(
                f'a video must be of a kind that FFmpeg decodes, got path={path}, an animated '
                'WebP; write it as GIF or MP4, or its frames as a folder of PNG files'
            )
        if first_frame is None or not packets:
            raise VideoError(
                f'a video must have a frame that can be decoded, got none in path={path}; '
                'it is damaged or cut off: copy or encode it again'
            )
        index = _build_index(path, stream, first_frame, packets)
        num_lost = max(_count_lost(path, stream, stored, num_repeats), index.num_lost)
        announced_s, lack_s = _find_lack(stream, index.info.duration_s, stored)
    if is_cut or lack_s:
        num_lost = num_lost or max(round(lack_s * index.info.fps), 1)
        damage = (
            f'{path} is cut off: it holds {len(packets)} whole frames, '
            f'{index.info.duration_s:.2f} s, of {announced_s:.2f} s that it announces; copy it '
            'again to have the rest'
        )
    elif num_lost:
        damage = (
            f'{path} holds {len(packets)} frames, and {num_lost} more are lost; it is damaged, '
            'copy or encode it again'
        )
    elif num_broken := sum(packet.is_cut for packet in packets):
        damage = (
            f'{path} is damaged: {num_broken} of its {len(packets)} frames are not whole, and more '
            'may be missing; copy or encode it again'
        )
    else:
        return index
    return dataclasses.replace(index, num_lost=num_lost, damage=damage)


def _set_rate(index: FrameIndex, fps: float) -> FrameIndex:
    """The same frames, evenly spaced; they are still found by the timestamps of the file."""
    check_fps(fps)
    num_frames = index.info.num_frames
    return dataclasses.replace(
        index,
        info=dataclasses.replace(index.info, fps=fps, duration_s=num_frames / fps),
        times_s=np.arange(num_frames) / fps,
        # torchcodec's times are compared with these
        is_plain=False,
    )


def _is_webp(path: Path) -> bool:
    with path.open('rb') as file:
        return file.read(12)[8:] == b'WEBP'


def _count_lost(
    path: Path, stream: av.VideoStream, stored: list[_PacketFacts], num_repeats: int
) -> int:
    """Count the frames that the tables of a file declare and that it does not hold or hides."""
    num_stored, name = len(stored) + num_repeats, stream.container.format.name
    if name == 'avi':
        # the header and the index may each be broken by itself
        return max(stream.frames, len(stream.index_entries), num_stored) - num_stored
    # MP4 has a table of all frames; others guess, or say nothing
    if name != _PLAIN_FORMATS[0]:
        return 0
    num_lost = max(len(stream.index_entries) - num_stored, _count_displaced(stored))
    num_shown = sum(not packet.is_hidden for packet in stored)
    # an edit list that leaves less than half of a frame is broken itself
    if 2 * (stream.duration or 0) < stored[0].duration:
        return max(stream.frames, num_stored) - num_shown
    if num_shown < stream.frames:
        num_lost = max(num_lost, _count_unlisted(path, stream.frames, num_shown))
    return num_lost


def _count_displaced(stored: list[_PacketFacts]) -> int:
    """Count the hidden frames whose time of showing is not where it could be.

    Of what an edit list cuts off, it is as near to the time of decoding as that of other frames.
    """
    is_hidden = np.array([packet.is_hidden for packet in stored])
    if not is_hidden.any():
        return 0
    times = np.array([(p.timestamp or 0, p.decoding_timestamp or 0) for p in stored], np.int64)
    delays = times[:, 0] - times[:, 1]
    limit = _MAX_REORDERED * np.diff(times[:, 1]).max(initial=0)
    return int((is_hidden & (np.abs(delays - np.median(delays)) > limit)).sum())


def _count_unlisted(path: Path, num_declared: int, num_shown: int) -> int:
    """Count the frames of an MP4 file that are not shown although no edit list cuts them off."""
    with open_video(path, ignore_editlist='1') as stream:
        starts = [entry.timestamp for entry in stream.index_entries]
        tick_s = float(stream.time_base or 0)
        announced_s = (stream.duration or 0) * tick_s
    lasts_s = (starts[-1] - starts[0]) * tick_s if starts else 0.0
    # where the times are broken, the edit list cuts off whatever it meets
    if lasts_s > (1 + _TOLERATED_LACK_PART) * announced_s + _TOLERATED_LACK_S:
        return num_declared - num_shown
    return num_declared - len(starts)


def _build_index(
    path: Path,
    stream: av.VideoStream,
    first_frame: av.VideoFrame,
    packets: list[_PacketFacts],
) -> FrameIndex:
    """Order what the packets say by the time of showing (see the head of this file)."""
    num_gone = 0
    tick_s = float(stream.time_base or 0)
    rates = [float(rate) for rate in (stream.average_rate, stream.guessed_rate) if rate]
    if not _are_times_reliable(stream, packets):
        fps = rates[-1] if rates else _DEFAULT_FPS
        timestamps, keyframes = None, np.zeros(1, np.int64)
        times_s = np.arange(len(packets)) / fps
        duration_s = len(packets) / fps
    else:
        packets = sorted(packets)
        timestamps = np.array([packet.timestamp for packet in packets], np.int64)
        keyframes = np.union1d([0], np.flatnonzero([packet.is_keyframe for packet in packets]))
        times_s = (timestamps - timestamps[0]) * tick_s
        last_s = packets[-1].duration * tick_s or _mean_gap_s(times_s, rates)
        duration_s = float(times_s[-1]) + last_s
        if rates and any(packet.is_cut for packet in packets):
            num_gone = _count_gone(times_s, rates[0])
        # a header is believed if it explains the times to within a frame
        num_sent = len(packets) + num_gone
        believed = [rate for rate in rates if abs(num_sent / rate - duration_s) <= 1 / rate]
        fps = believed[0] if believed else num_sent / duration_s

    orientation = read_orientation(first_frame)
    size = (first_frame.width, first_frame.height)
    width, height = reversed(size) if orientation.transposed else size
    is_plain = (
        timestamps is not None
        and stream.container.format.name in _PLAIN_FORMATS
        and not first_frame.interlaced_frame
        and max(component.bits for component in first_frame.format.components) == 8
        and (orientation.down == orientation.across) != orientation.transposed
    )
    return FrameIndex(
        info=VideoInfo(path, fps, len(packets), width, height, duration_s),
        times_s=times_s,
        timestamps=timestamps,
        keyframes=keyframes,
        orientation=orientation,
        is_plain=is_plain,
        damage=None,
        num_lost=num_gone,
    )


def _count_gone(times_s: np.ndarray, rate: float) -> int:
    """Count the frames that are missing from a recording of a broadcast, by the gaps they leave."""
    frames = np.rint(np.diff(times_s) * rate).astype(int)
    # a rate that frames do not keep to tells nothing
    return int(np.maximum(frames - 1, 0).sum()) if np.median(frames) == 1 else 0


def _are_times_reliable(stream: av.VideoStream, packets: list[_PacketFacts]) -> bool:
    distinct = {packet.timestamp for packet in packets}
    decoding = [p.decoding_timestamp for p in packets if p.decoding_timestamp is not None]
    numbered_as_stored = stream.container.format.name == 'avi' and stream.codec_context.has_b_frames
    return (
        None not in distinct
        and len(distinct) == len(packets)
        and decoding == sorted(decoding)
        and not numbered_as_stored
    )


def _mean_gap_s(times_s: np.ndarray, rates: list[float]) -> float:
    if len(times_s) > 1:
        return float(times_s[-1]) / (len(times_s) - 1)
    return 1 / (rates[0] if rates else _DEFAULT_FPS)


def read_orientation(frame: av.VideoFrame) -> Orientation:
    """Read the display matrix: pixel (x, y) is shown at (a x + c y, b x + d y)."""
    matrix = read_display_matrix(frame)
    if matrix is None:
        return Orientation(transposed=False, down=1, across=1)
    a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5].tolist()
    if abs(b) > abs(a):
        return Orientation(transposed=True, down=-1 if b < 0 else 1, across=-1 if c < 0 else 1)
    return Orientation(transposed=False, down=-1 if d < 0 else 1, across=-1 if a < 0 else 1)


def _find_lack(
    stream: av.VideoStream, duration_s: float, stored: list[_PacketFacts]
) -> tuple[float, float]:
    """The seconds that the header announces, and how many are missing, 0 if that is normal."""
    announced_s, tick_s = 0.0, float(stream.time_base or 0)
    if stream.duration:
        announced_s = stream.duration * tick_s
    elif stream.container.duration and len(stream.container.streams) == 1:
        announced_s = stream.container.duration / av.time_base
    lack_s = announced_s - duration_s
    if any(packet.is_hidden for packet in stored):
        # an edit list may begin and end within a frame
        starts = [packet.decoding_timestamp or 0 for packet in stored]
        lack_s -= 2 * float(np.diff(starts).max()) * tick_s
    is_normal = lack_s <= max(_TOLERATED_LACK_S, _TOLERATED_LACK_PART * announced_s)
    return announced_s, 0.0 if is_normal else lack_s
