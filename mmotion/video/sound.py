"""The sound of a video, for a copy of its pictures.

Packets that every player takes are copied as they are; other sound becomes AAC. Times are in
seconds after the first frame of the video.
"""

import itertools
import math
import warnings
from collections.abc import Iterator
from pathlib import Path

import av

from mmotion.compat import accept_any_tags
from mmotion.video.scan import open_video, scan_video

# kept as they are: MP4, MOV and Matroska hold them, and phones, browsers and editors play them
_KEPT = ('aac', 'mp3')
# of AAC, bits a second
_AAC_RATE = 128_000
# packets that are tried before sound counts as broken
_NUM_TRIED = 50


class Sound:
    """The sound of a video between two times; closed when all of it is written.

    Args:
        path: The video.
        start_s: From when on.
        end_s: Up to when.

    Attributes:
        rate: Bits a second that it takes, about.
    """

    def __init__(self, path: Path, *, start_s: float, end_s: float) -> None:
        self.path = path
        self.start_s, self.end_s = start_s, end_s
        self._origin_s = _find_origin(path) + start_s
        self._input = av.open(str(path.absolute()), **accept_any_tags())
        self._stream = self._input.streams.audio[0]
        self._is_kept = self._stream.codec_context.codec.canonical_name in _KEPT
        self.rate: int = (self._stream.bit_rate if self._is_kept else None) or _AAC_RATE
        self._packets: Iterator[av.Packet] = iter(())
        self._next: av.Packet | None = None

    def attach(self, output: av.container.OutputContainer) -> None:
        """Add a stream for it to a file that has none of its packets yet."""
        if self._is_kept:
            target = output.add_stream_from_template(self._stream)
            self._packets = self._copy(target)
        else:
            context = self._stream.codec_context
            layout = 'mono' if context.channels == 1 else 'stereo'
            target = output.add_stream('aac', rate=context.sample_rate, layout=layout)
            target.bit_rate = _AAC_RATE
            self._packets = self._encode(target)
        self._next = self._advance()

    def write(self, output: av.container.OutputContainer, until_s: float = math.inf) -> None:
        """Write what is heard before a time after the beginning of the copy."""
        while self._next is not None and _time_of(self._next) < until_s:
            output.mux(self._next)
            self._next = self._advance()

    def close(self) -> None:
        """Close the video."""
        self._input.close()

    def _advance(self) -> av.Packet | None:
        try:
            return next(self._packets, None)
        except av.FFmpegError as error:
            warnings.warn(
                f'sound must be readable to its end, got {error.strerror} in {self.path}; the copy '
                'goes on without it',
                stacklevel=2,
            )
            return None

    def _read(self) -> Iterator[av.Packet]:
        """The packets of the part, rising, then what flushes a decoder."""
        if self.start_s > 0:
            self._input.seek(max(int(self._origin_s * av.time_base) - av.time_base, 0))
        last = -math.inf
        for packet in self._input.demux(self._stream):
            if packet.dts is None or packet.pts is None:
                continue
            time_s = _time_of(packet) - self._origin_s
            if time_s >= self.end_s - self.start_s:
                return
            if time_s >= 0 and packet.dts > last:
                last = packet.dts
                yield packet

    def _copy(self, target: av.AudioStream) -> Iterator[av.Packet]:
        for packet in self._read():
            shift = _count_ticks(packet, self._origin_s)
            packet.dts, packet.pts = (packet.dts or 0) - shift, (packet.pts or 0) - shift
            packet.stream = target
            yield packet

    def _encode(self, target: av.AudioStream) -> Iterator[av.Packet]:
        for packet in self._read():
            for frame in _decode(packet):
                frame.pts = (frame.pts or 0) - _count_ticks(frame, self._origin_s)
                yield from target.encode(frame)
        yield from target.encode(None)


def open_sound(path: Path, *, start_s: float, end_s: float) -> Sound | None:
    """Open the sound of a part of a video; None if it has none, or none that can be read.

    Args:
        path: The video.
        start_s: From when on.
        end_s: Up to when.

    Raises:
        VideoError: If FFmpeg cannot read the file, or it holds no video.
    """
    with open_video(path) as video:
        streams = video.container.streams.audio
        if not streams:
            return None
        # without a decoder there is no context
        packets = video.container.demux(streams[0]) if streams[0].codec_context else ()
        is_heard = any(map(_decode, itertools.islice(packets, _NUM_TRIED)))
    if is_heard:
        return Sound(path, start_s=start_s, end_s=end_s)
    warnings.warn(
        f'sound must be readable, got none from that of {path}; the copy has no sound', stacklevel=2
    )
    return None


def _decode(packet: av.Packet) -> list[av.AudioFrame]:
    try:
        return packet.decode()
    except av.FFmpegError:
        return []


def _time_of(packet: av.Packet) -> float:
    return float((packet.pts or 0) * (packet.time_base or 1))


def _count_ticks(item: av.Packet | av.AudioFrame, seconds: float) -> int:
    """A time in the units of a packet or a frame."""
    return round(seconds / (item.time_base or 1))


def _find_origin(path: Path) -> float:
    """When the first frame is shown, by the clock that sound has too."""
    timestamps = scan_video(path).timestamps
    with open_video(path) as stream:
        first = stream.start_time if timestamps is None else int(timestamps[0])
        return float((first or 0) * (stream.time_base or 1))
