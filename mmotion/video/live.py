"""Frames of a camera, a stream of the network or a pipe, for as long as it goes on.

    with LiveVideo('rtsp://camera.local/door') as camera:
        for answer in predictor.stream(camera, fps=camera.fps):
            print(answer)

A thread receives frames and keeps the newest ones, never more than `queue` and 256 MiB. Where the
model is slower than the camera, the oldest of those that wait are dropped and counted: an answer
is late by the frames that wait, at most. A pipe is the exception: its writer waits, and nothing is
dropped.

A source that stalls or breaks off is connected to again and again, after 0.5, 1, 2, ... 30 s. What
came in before is answered; the gap is one in time, and the numbers of frames go on.
"""

import dataclasses
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import av

from mmotion.checks import check_at_least, check_fps, check_positive
from mmotion.video.addresses import SCHEMES, Address, find_address, name_test_camera
from mmotion.video.decode import Converter, DecodedFrame, VideoFrame
from mmotion.video.receiving import (
    Arrival,
    Counts,
    StreamClock,
    StreamLostError,
    choose_rate,
    receive,
)
from mmotion.video.scan import VideoError, read_orientation

# what helps where no frame comes at all, by the kind of an address
REMEDIES = {
    'network': 'check the address, and whether a player shows it',
    'camera': 'check that a player shows it, and that no other program has it',
    'pipe': 'pipe in what can be read from its front on, as of "ffmpeg -f matroska"; a file is '
    'named by its path',
    'file': 'it is of another kind or cut off: copy or encode it again',
}
# decoded frames that wait, 1.5 bytes a pixel
MAX_QUEUE_BYTES = 256 * 1024**2
FIRST_RETRY_S = 0.5
LONGEST_RETRY_S = 30.0
# by these the rate is measured, which are awaited no longer than that
RATE_FRAMES = 16
RATE_WAIT_S = 3.0
# given frames whose arrival is remembered, to tell how late an answer is
REMEMBERED = 1024
# seconds after which a thread that FFmpeg holds is left to itself
_JOIN_S = 1.0


@dataclasses.dataclass(frozen=True)
class LiveEvent:
    """What happened to a live source.

    Args:
        event: 'lost', 'reconnected', or 'failed' when it is given up.
        time_s: When, in seconds after the first frame.
        reason: Why it was lost or given up.
        tries: How often it was tried to reconnect.
        gap_s: Time without a frame.
        missed: Frames that would have come in this time, about.
    """

    event: str
    time_s: float
    reason: str | None = None
    tries: int | None = None
    gap_s: float | None = None
    missed: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """What is known, as plain JSON types."""
        known = {k: v for k, v in dataclasses.asdict(self).items() if v is not None}
        return {k: round(v, 3) if isinstance(v, float) else v for k, v in known.items()}


class LiveVideo:
    """The frames of a live source, which can be iterated over once, as RGB (H, W, 3), uint8.

    Args:
        source: See `mmotion.video.addresses.find_address`; with `realtime` a video file.
        fps: Frames per second, on average, if it is not to be measured. Of a pipe or file, frame n
            is then at n / fps.
        stall_s: Longest time without a frame, before it is connected to anew.
        retries: Failures to connect, one after the other, after which it is given up.
        queue: Frames that may wait.
        realtime: Play a file as a camera would give it.
        name: What to call it in outputs; None for the source itself.
        on_event: Called with each `LiveEvent`, by the thread that takes the frames.

    Attributes:
        name: What it is called in outputs, without passwords.
        counts: What became of its frames so far.
        failure: Why it was given up; None if it was not.

    Raises:
        FileNotFoundError: If the camera or the file is not there.
        ValueError: If a number is out of its range, or the source is none.
    """

    def __init__(
        self,
        source: str | Path,
        *,
        fps: float | None = None,
        stall_s: float = 10.0,
        retries: int = 10,
        queue: int = 64,
        realtime: bool = False,
        name: str | None = None,
        on_event: Callable[[LiveEvent], None] | None = None,
    ) -> None:
        if fps is not None:
            check_fps(fps)
        check_positive('stall_s', stall_s)
        check_at_least('retries', retries, 0)
        check_at_least('queue', queue, 1)
        self._address = _find(source, realtime)
        self.name = name or self._address.name
        self.counts = Counts()
        self.failure: str | None = None
        self._given_fps, self._fps = fps, fps
        self._stall_s, self._retries, self._queue = stall_s, retries, queue
        self.on_event = on_event
        self._first_times_s: list[float] = []
        self._last_s = self._last_arrival_s = 0.0
        self._waiting: deque[Arrival | LiveEvent] = deque()
        self._arrivals: deque[tuple[float, float]] = deque(maxlen=REMEMBERED)
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._is_over = False
        self._thread: threading.Thread | None = None

    def __enter__(self) -> 'LiveVideo':
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def stop(self) -> None:
        """Give no more frames, and let who waits for one go on; any thread may ask for it."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """Hang up."""
        self.stop()
        if self._thread:
            self._thread.join(_JOIN_S)

    @property
    def fps(self) -> float:
        """Frames per second, on average: connects, and waits for some frames if need be.

        Raises:
            VideoError: If it cannot be connected to.
        """
        self._start()
        with self._changed:
            while self._fps is None and not self._is_over and not self._stop.is_set():
                # now and then, so that Ctrl-C is noticed
                self._changed.wait(0.5)
        self._check_begun()
        return self._fps or choose_rate([], None)

    def __iter__(self) -> Iterator[VideoFrame]:
        """Give the frames as they come in.

        Raises:
            VideoError: If it cannot be connected to.
        """
        self._start()
        converter = None
        while (item := self._take()) is not None:
            if isinstance(item, LiveEvent):
                if self.on_event:
                    self.on_event(item)
                continue
            frame = item.frame
            if converter is None:
                orientation = read_orientation(frame)
                height, width = frame.height, frame.width
                size_wh = (height, width) if orientation.transposed else (width, height)
                converter = Converter(size_wh=size_wh, orientation=orientation, name=self.name)
            self.counts.given += 1
            self._arrivals.append((item.time_s, item.arrived_s))
            yield DecodedFrame(item.index, item.time_s, stored=frame, converter=converter)
        self._check_begun()

    def now_s(self) -> float:
        """The time at which a frame would be shown that came in now; 0 before the first one."""
        if not self.counts.received:
            return 0.0
        return self._last_s + time.monotonic() - self._last_arrival_s

    def measure_delay(self, time_s: float) -> float:
        """How long ago the frame came in that is shown at a time, of those that were given last.

        Args:
            time_s: In seconds after the first frame.
        """
        now_s = time.monotonic()
        for shown_s, arrived_s in reversed(self._arrivals):
            if shown_s <= time_s:
                return now_s - arrived_s
        return now_s - self._arrivals[0][1] if self._arrivals else 0.0

    def _check_begun(self) -> None:
        if self.failure and not self.counts.received:
            raise VideoError(
                f'a live source must be there when it is begun with, got {self.name} '
                f'({self.failure}); {REMEDIES[self._address.kind]}'
            )

    def _start(self) -> None:
        if self._thread is None:
            # it must not keep the process alive, as FFmpeg may wait for a pipe for ever
            self._thread = threading.Thread(target=self._run, name='live video', daemon=True)
            self._thread.start()

    def _take(self) -> Arrival | LiveEvent | None:
        """Wait for the next thing that happens; None at the end."""
        with self._changed:
            while not self._waiting and not self._is_over and not self._stop.is_set():
                self._changed.wait(0.5)
            if self._stop.is_set() or not self._waiting:
                return None
            self._changed.notify_all()
            return self._waiting.popleft()

    def _run(self) -> None:
        """Receive in the thread, and let nobody wait for more when that is over."""
        try:
            self._keep_receiving()
        except Exception as error:
            # whatever it is, another thread waits
            self.failure = f'{type(error).__name__}: {error}'
        with self._changed:
            self._settle_rate(None)
            self._is_over = True
            self._changed.notify_all()

    def _keep_receiving(self) -> None:
        """Receive, and connect again, until the source ends or is given up."""
        clock = StreamClock(jump_s=math.inf) if self._waits else StreamClock()
        tries = 0
        while not self._stop.is_set():
            clock.restart()
            num_before = self.counts.received
            reason = self._receive(clock, tries)
            if reason is None or self._stop.is_set():
                return
            if self.counts.received > num_before:
                tries = 0
                self._add(LiveEvent('lost', self.now_s(), reason=reason))
            if tries >= self._retries or not self.counts.received or self._waits:
                self.failure = reason
                if self.counts.received:
                    self._add(LiveEvent('failed', self.now_s(), reason=reason, tries=tries))
                return
            self._stop.wait(choose_pause(tries))
            tries += 1

    def _receive(self, clock: StreamClock, tries: int) -> str | None:
        """Receive from one connection, and say why it was lost; None if all is done."""
        arrivals = receive(
            self._address,
            clock,
            self.counts,
            stall_s=self._stall_s,
            stop=self._stop,
            fps=self._given_fps,
        )
        try:
            for number, (arrival, rate) in enumerate(arrivals):
                if tries and not number:
                    self._note_return(arrival, tries)
                self._put(arrival, rate)
        except (StreamLostError, VideoError) as error:
            return str(error)
        except av.ExitError:
            return f'no frame for {self._stall_s:g} s'
        except av.FFmpegError as error:
            return error.strerror
        return None

    @property
    def _waits(self) -> bool:
        """Whether the other side waits for us."""
        return self._address.kind == 'pipe'

    def _note_return(self, arrival: Arrival, tries: int) -> None:
        gap_s = arrival.time_s - self._last_s
        missed = max(round(gap_s * (self._fps or 0)) - 1, 0)
        self.counts.reconnects += 1
        self.counts.gap_s += gap_s
        self.counts.missed += missed
        self._add(LiveEvent('reconnected', arrival.time_s, tries=tries, gap_s=gap_s, missed=missed))

    def _add(self, event: LiveEvent) -> None:
        with self._changed:
            self._waiting.append(event)
            self._changed.notify_all()

    def _put(self, arrival: Arrival, rate: float | None) -> None:
        """Let a frame wait; if too many do, drop the oldest one, or wait for one to be taken."""
        frame = arrival.frame
        room = max(MAX_QUEUE_BYTES * 2 // (3 * frame.width * frame.height), 1)
        room = min(self._queue, room)
        with self._changed:
            self._last_s, self._last_arrival_s = arrival.time_s, arrival.arrived_s
            if self._fps is None:
                self._first_times_s.append(arrival.time_s)
                if len(self._first_times_s) == RATE_FRAMES or arrival.time_s > RATE_WAIT_S:
                    self._settle_rate(rate)
            while self._waits and self._num_frames() >= room and not self._stop.is_set():
                self._settle_rate(rate)
                self._changed.wait(0.5)
            while self._num_frames() >= room:
                self._drop_oldest()
            self._waiting.append(arrival)
            self._changed.notify_all()

    def _num_frames(self) -> int:
        return sum(isinstance(item, Arrival) for item in self._waiting)

    def _drop_oldest(self) -> None:
        for place, item in enumerate(self._waiting):
            if isinstance(item, Arrival):
                del self._waiting[place]
                self.counts.dropped += 1
                return

    def _settle_rate(self, declared_fps: float | None) -> None:
        if self._fps is None and self._first_times_s:
            self._fps = choose_rate(self._first_times_s, declared_fps)
            self._changed.notify_all()
        self._first_times_s.clear()


def choose_pause(tries: int) -> float:
    """Seconds to wait after so many attempts to connect before the next one.

    Example:
        >>> [choose_pause(tries) for tries in range(8)]
        [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    """
    return min(FIRST_RETRY_S * 2**tries, LONGEST_RETRY_S)


def _find(source: str | Path, realtime: bool) -> Address:
    """Where a source is."""
    address = find_address(str(source))
    if realtime and address:
        raise ValueError(f'realtime must come with a file, got {address.name}, which is live')
    if realtime and not Path(source).is_file():
        raise FileNotFoundError(f'a test camera must be a video file, got {source}')
    address = name_test_camera(source) if realtime else address
    if address is None:
        raise ValueError(
            f'a live source must be the number of a camera, /dev/video0, -, or an address of '
            f'{", ".join(SCHEMES)}, got {str(source)!r}; realtime plays a file'
        )
    return address
