"""Answer for several live sources in one process, by one model, until all of them have ended.

Each source has a thread that receives (`mmotion.video.live`) and one that makes the inputs of the
model, which they share (`mmotion.inference.batching`). So one that is slow, away or given up holds
up no other, and memory is that of one model, and for each source of the frames that wait and of the
window that its predictor keeps.

The lines are those of `mmotion.inference.watching`, with the name of the source as `video`.
"""

import contextlib
import threading
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import nullcontext
from typing import Any, TextIO

from mmotion.inference.alarms import AlarmCommand
from mmotion.inference.batching import share
from mmotion.inference.camera_list import Camera
from mmotion.inference.lines import LineFile
from mmotion.inference.predictor import Predictor
from mmotion.inference.watching import Log
from mmotion.video import VideoError
from mmotion.video.addresses import PIPE
from mmotion.video.live import LiveEvent, choose_pause

# calls of the model that are joined
MAX_BATCH = 8


def watch_cameras(
    predictor: Predictor[Any],
    cameras: Sequence[Camera],
    lines: TextIO | LineFile,
    *,
    alarms: Sequence[AlarmCommand | None] = (),
    max_batch: int = MAX_BATCH,
    with_stats: bool = False,
    debug: bool = False,
) -> list[str]:
    """Write answers about live sources, and what happens to them, until the last one ends.

    A source that is not there at first is tried again like one that was lost.

    Args:
        predictor: From `mmotion.inference.load_model`.
        cameras: The sources, with different names.
        lines: Where to write, flushed after each line.
        alarms: For each source what to call when an alarm begins and ends, closed at the end.
        max_batch: Most calls of the model that are run at once, of as many sources.
        with_stats: Whether to measure for each source how fast answers come, and to say so.
        debug: Whether to show where an error was raised.

    Returns:
        Names of the sources that were given up, or whose frames the predictor cannot take.

    Raises:
        FileNotFoundError: If a camera or a file is not there.
        ValueError: If there is no such source, or an option is out of its range.
        BrokenPipeError: If nobody reads the lines any more.
    """
    stop, shared_lines = threading.Event(), _SharedLines(lines)
    posts = [
        _Post(camera, alarm, stop=stop, lines=shared_lines, with_stats=with_stats)
        for camera, alarm in zip(cameras, alarms or [None] * len(cameras), strict=True)
    ]
    predictors, parts = share(predictor, len(cameras), max_batch=max_batch)
    with ThreadPoolExecutor(len(posts), thread_name_prefix='camera') as pool:
        try:
            runs = {
                pool.submit(post.run, own, debug=debug): post.camera.name
                for post, own in zip(posts, predictors, strict=True)
            }
            left = {*runs}
            while left:
                # now and then, so that Ctrl-C is noticed
                done, left = wait(left, 0.5, FIRST_EXCEPTION)
                for run in done:
                    run.result()
        finally:
            stop.set()
            for post in posts:
                post.video.stop()
            for part in parts:
                part.close()
    return [name for run, name in runs.items() if not run.result()]


class _SharedLines:
    """Lines that several threads write, one after the other."""

    def __init__(self, lines: TextIO | LineFile) -> None:
        self._lines = lines
        self._lock = threading.Lock()

    def write(self, text: str) -> None:
        """Write, and let others see it."""
        with self._lock:
            self._lines.write(text)
            self._lines.flush()

    def flush(self) -> None:
        """Nothing is left to do."""


class _Post:
    """Watches one source, in a thread.

    Attributes:
        camera: What it is.
        video: The source; another one with each attempt to connect for the first time.
    """

    def __init__(
        self,
        camera: Camera,
        alarm: AlarmCommand | None,
        *,
        stop: threading.Event,
        lines: Any,
        with_stats: bool,
    ) -> None:
        self.camera, self.video = camera, camera.open()
        self._stop, self._lines = stop, lines
        self._alarm, self._with_stats = alarm, with_stats

    def run(self, predictor: Predictor[Any], *, debug: bool) -> bool:
        """Watch, write the last line, and say whether all went well."""
        with self._alarm or nullcontext():
            is_well = self._connect()
            log = self._make_log()
            if is_well:
                is_well = self._answer(predictor, log, debug)
            log.finish()
            self.video.close()
        return is_well

    def _connect(self) -> bool:
        """Connect for the first time, again and again as later on, and say whether that is done."""
        # a file stays what it is, and a pipe is there once
        is_once = self.camera.realtime or self.camera.url == PIPE
        retries = 0 if is_once else self.camera.retries
        begin_s, tries = time.monotonic(), 0
        while not self._is_there():
            reason = self.video.failure
            if tries == retries:
                self._tell('failed', reason=reason, tries=tries)
                return False
            if not tries:
                self._tell('lost', reason=reason)
            self._stop.wait(choose_pause(tries))
            tries += 1
            self.video.close()
            # a camera that is unplugged stays what it was: away
            with contextlib.suppress(FileNotFoundError):
                self.video = self.camera.open()
        if tries and not self._stop.is_set():
            self._tell('reconnected', tries=tries, gap_s=time.monotonic() - begin_s)
        return True

    def _is_there(self) -> bool:
        """Whether it can be connected to; also true when that does not matter any more."""
        try:
            # who stops all has seen this video, or is seen here
            return self._stop.is_set() or self.video.fps > 0
        except VideoError:
            return self._stop.is_set()

    def _answer(self, predictor: Predictor[Any], log: Log, debug: bool) -> bool:
        """Write answers until the source ends or all is stopped, and say whether all went well."""
        video = self.video
        try:
            if not self._stop.is_set():
                for answer in predictor.stream(video, fps=video.fps):
                    log.note(answer)
        except BrokenPipeError:
            raise
        except Exception as error:
            # when all is stopped, nobody answers any more
            if not self._stop.is_set():
                if debug:
                    traceback.print_exception(error)
                # whatever it is, the other sources may still be fine
                log.tell(LiveEvent('failed', video.now_s(), reason=str(error)))
                return False
        return video.failure is None

    def _make_log(self) -> Log:
        return Log(self.video, self._lines, alarm=self._alarm, with_stats=self._with_stats)

    def _tell(self, event: str, **content: Any) -> None:
        """Tell what happens before the first frame."""
        self._make_log().tell(LiveEvent(event, 0.0, **content))
