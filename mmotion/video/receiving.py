"""One connection to a live source: its frames as they come in, each with its time.

Times are seconds since the first frame. Within a connection they keep to the timestamps that the
source sends, which know nothing of the network's delays; a new connection, and timestamps that
jump, are set by the clock of this machine, so that a gap in the stream is a gap in time.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread
from typing import NamedTuple

import av

from mmotion.compat import accept_any_tags
from mmotion.video.addresses import Address
from mmotion.video.scan import VideoError

# a camera takes this long until its first keyframe, a program stream until FFmpeg knows it
OPEN_S = 15.0
# timestamps that leave the clock of this machine behind by so much are not believed any more
JUMP_S = 10.0
# between frames that come at one time
MIN_GAP_S = 1e-3
# a rate that is declared counts if what comes in is as near to it as that
RATE_TOLERANCE = 0.1
# frames per second where nothing tells them, as FFmpeg has it
DEFAULT_FPS = 25.0
# FFmpeg's readers of formats without timestamps, to which it gives 25 frames a second
_UNTIMED_FORMATS = ('mpjpeg', 'mjpeg', 'mjpeg_2000', 'h264', 'hevc')


class StreamLostError(Exception):
    """A connection is over although the source has not come to its end."""


class Arrival(NamedTuple):
    """A frame that has come in.

    Attributes:
        frame: As the decoder gave it.
        index: Its number, from 0.
        time_s: When it was shown, in seconds after the first frame.
        arrived_s: When it came in, by `time.monotonic`.
    """

    frame: av.VideoFrame
    index: int
    time_s: float
    arrived_s: float


@dataclass
class Counts:
    """What became of the frames of a live source.

    Attributes:
        received: Frames that came in.
        given: Of these, frames that were handed on.
        dropped: Of these, frames that were not, as more came in than were taken.
        broken: Packets that could not be decoded.
        reconnects: How often the source came back.
        gap_s: How long it was away, in all.
        missed: Frames that would have come in that time, about.
    """

    received: int = 0
    given: int = 0
    dropped: int = 0
    broken: int = 0
    reconnects: int = 0
    gap_s: float = 0.0
    missed: int = 0


class StreamClock:
    """Turns the timestamps of a source into seconds after its first frame.

    Args:
        jump_s: By how much they may differ from the clock of this machine before they are set
            anew; infinite for a source that may be faster than real time.

    Example:
        >>> clock = StreamClock(jump_s=10)
        >>> clock.read(7.0, 100.0), clock.read(7.5, 100.6)
        (0.0, 0.5)
        >>> clock.restart()
        >>> clock.read(2.0, 130.0), clock.read(2.5, 130.4), clock.read(900.0, 131.0)
        (30.0, 30.5, 31.0)
    """

    def __init__(self, *, jump_s: float = JUMP_S) -> None:
        self.jump_s = jump_s
        self._begin_s: float | None = None
        self._offset_s: float | None = None
        self._last_s = -math.inf

    def restart(self) -> None:
        """Take the next frame's time from the clock of this machine."""
        self._offset_s = None

    def read(self, stamp_s: float | None, now_s: float) -> float:
        """Give the time of a frame.

        Args:
            stamp_s: Its timestamp in seconds; None if it has none.
            now_s: When it came in.
        """
        self._begin_s = now_s if self._begin_s is None else self._begin_s
        wall_s = now_s - self._begin_s
        soonest_s = self._last_s + MIN_GAP_S
        time_s = wall_s
        if stamp_s is not None:
            time_s = stamp_s + (wall_s - stamp_s if self._offset_s is None else self._offset_s)
            if abs(time_s - wall_s) > self.jump_s or time_s < soonest_s:
                time_s = max(wall_s, soonest_s)
            self._offset_s = time_s - stamp_s
        self._last_s = max(time_s, soonest_s)
        return self._last_s


def receive(
    address: Address,
    clock: StreamClock,
    counts: Counts,
    *,
    stall_s: float,
    stop: Event,
    fps: float | None = None,
) -> Iterator[tuple[Arrival, float | None]]:
    """Connect once, and give frames until the source ends.

    What holds a whole video, or comes in pieces of many seconds (HLS), is played at the speed at
    which it was filmed.

    Args:
        address: The source.
        clock: Gives times, and goes on from one connection to the next.
        counts: Gets what comes in and what is broken.
        stall_s: Longest time without a frame.
        stop: Ends it when it is set.
        fps: Frames per second of a file or pipe whose own times are wrong.

    Yields:
        The frame, and the rate that the source declares.

    Raises:
        StreamLostError: If no frame comes in for `stall_s`, or a source without an end has ended.
        av.FFmpegError: If it cannot be opened or read.
        VideoError: If it has no video.
    """
    with _open(address, stall_s) as stream:
        container = stream.container
        is_whole = address.kind == 'file' or bool(container.duration)
        is_paced = address.kind != 'pipe' and (is_whole or container.format.name == 'hls')
        is_timed = is_paced or address.kind == 'pipe'
        is_timed = is_timed or container.format.name not in _UNTIMED_FORMATS
        pacer = _Pacer(stop) if is_paced else None
        heard_s = time.monotonic()
        for packet in container.demux(stream):
            silence_s = time.monotonic() - heard_s
            for frame in _decode(packet, counts):
                stamp_s = None if frame.time is None or not is_timed else float(frame.time)
                if fps and address.kind in ('file', 'pipe'):
                    stamp_s = counts.received / fps
                heard_s = arrived_s = time.monotonic()
                if pacer and stamp_s is not None:
                    due_s = pacer.wait(stamp_s, heard_s)
                    # what a file should have given is not late because this machine is
                    arrived_s = due_s if address.kind == 'file' else max(due_s, heard_s)
                    heard_s = time.monotonic()
                time_s = clock.read(stamp_s, arrived_s)
                rate = _find_rate(stream) if is_timed else None
                yield Arrival(frame, counts.received, time_s, arrived_s), rate
                counts.received += 1
            if stop.is_set():
                return
            # when FFmpeg has waited in vain, it first gives the frame that it had held back
            if silence_s > stall_s and address.kind != 'pipe':
                raise StreamLostError(f'no frame for {stall_s:g} s')
        if not is_whole and address.kind != 'pipe':
            raise StreamLostError('it was ended by the other side')


def choose_rate(times_s: list[float], declared_fps: float | None) -> float:
    """Frames per second: what is declared, unless the first frames come in at another rate.

    Args:
        times_s: Of the first frames (N,), rising.
        declared_fps: What the source says; None if it says nothing.

    Example:
        >>> choose_rate([0.0, 0.034, 0.066], 30.0), choose_rate([0.0, 0.1, 0.2], 30.0)
        (30.0, 10.0)
    """
    # at first comes what has waited
    times_s = times_s[len(times_s) // 4 :]
    if len(times_s) < 2:
        return declared_fps or DEFAULT_FPS
    measured = (len(times_s) - 1) / (times_s[-1] - times_s[0])
    if declared_fps and abs(measured / declared_fps - 1) <= RATE_TOLERANCE:
        return declared_fps
    return measured


@contextmanager
def _open(address: Address, stall_s: float) -> Iterator[av.VideoStream]:
    # FFmpeg takes what has kept it waiting for an error; a pipe is waited for
    timeout = None if address.kind == 'pipe' else (max(OPEN_S, stall_s), stall_s)
    container = av.open(
        address.url,
        format=address.format,
        options=address.options,
        timeout=timeout,
        **accept_any_tags(),
    )
    try:
        if not container.streams.video:
            raise VideoError(
                f'a live source must have a video, got {address.name}, where FFmpeg finds none; '
                'choose another stream of the camera'
            )
        stream = container.streams.video[0]
        # threads a frame each would hold frames back
        stream.thread_type = 'SLICE'
        yield stream
    finally:
        if address.kind == 'network':
            # a camera that is silent does not answer a goodbye either, for which FFmpeg waits
            Thread(target=container.close, name='goodbye', daemon=True).start()
        else:
            container.close()


class _Pacer:
    """Gives frames at the speed at which they were filmed."""

    def __init__(self, stop: Event) -> None:
        self._stop = stop
        self._shift_s: float | None = None

    def wait(self, stamp_s: float, now_s: float) -> float:
        """Wait until it is a frame's turn, and give that moment."""
        late_s = math.inf if self._shift_s is None else now_s - stamp_s - self._shift_s
        if abs(late_s) > JUMP_S:
            self._shift_s, late_s = now_s - stamp_s, 0.0
        if late_s < 0:
            self._stop.wait(-late_s)
        return now_s - late_s


def _decode(packet: av.Packet, counts: Counts) -> list[av.VideoFrame]:
    """The frames that a packet completes, none if it is broken."""
    try:
        return packet.decode()
    except av.FFmpegError:
        counts.broken += bool(packet.size)
        return []


def _find_rate(stream: av.VideoStream) -> float | None:
    rate = stream.average_rate
    return float(rate) if rate else None
