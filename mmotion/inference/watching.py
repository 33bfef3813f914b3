"""Answer for a camera for as long as it is there, in lines of JSON.

A line is an answer of the predictor, or has an `event`:
    lost, reconnected, failed: see `mmotion.video.live.LiveEvent`
    ended: the last line, with what became of the frames, see `mmotion.video.receiving.Counts`, and
        of the alarm command; when measured also `fps`, `answers_per_s`, and `latency_s` and
        `latency_p95_s`, median and 95th percentile of the last 4,096 answers
The latency of an answer is the time from the arrival of the frame that it is about, the last one
of a window, until it is there. All times are in seconds since the first frame.
"""

import dataclasses
import sys
import time
from collections import deque
from contextlib import nullcontext
from typing import Any, TextIO

import numpy as np

from mmotion.inference.alarms import AlarmCommand
from mmotion.inference.lines import LineFile
from mmotion.inference.predictor import Predictor
from mmotion.structures.json_file import dump_json
from mmotion.video.live import LiveEvent, LiveVideo

# answers of which latencies are remembered
REMEMBERED = 4096
# seconds between two reports on stderr
REPORT_EVERY_S = 10.0


class Stats:
    """How fast answers come.

    Args:
        video: What the frames come from.
    """

    def __init__(self, video: LiveVideo) -> None:
        self.video = video
        self._latencies_s: deque[float] = deque(maxlen=REMEMBERED)
        self._num_answers = 0
        self._begin_s = self._reported_s = time.monotonic()

    def note(self, time_s: float | None) -> None:
        """Take an answer about a time; of None, about the last frame."""
        self._num_answers += 1
        time_s = float('inf') if time_s is None else time_s
        self._latencies_s.append(self.video.measure_delay(time_s))

    def to_dict(self) -> dict[str, Any]:
        """What is known so far."""
        lasts_s = max(time.monotonic() - self._begin_s, 1e-9)
        content = {
            'fps': self.video.counts.given / lasts_s,
            'answers_per_s': self._num_answers / lasts_s,
        }
        if self._latencies_s:
            median, high = np.percentile(self._latencies_s, [50, 95]).tolist()
            content |= {'latency_s': median, 'latency_p95_s': high}
        return {name: round(value, 4) for name, value in content.items()}

    def report(self, *, now: bool = False) -> None:
        """Say on stderr how it goes, every ten seconds or now."""
        if not now and time.monotonic() - self._reported_s < REPORT_EVERY_S:
            return
        self._reported_s = time.monotonic()
        counts = dataclasses.asdict(self.video.counts) | self.to_dict()
        text = ', '.join(f'{name} {value:.4g}' for name, value in counts.items() if value)
        say(f'{self.video.name}: {text or "nothing has come in"}')


class Log:
    """Writes lines about one source, and says on stderr what happens to it.

    Args:
        video: The source, whose `on_event` is set.
        lines: Where to write, flushed after each line.
        alarm: What to call when an alarm begins and ends.
        with_stats: Whether to measure how fast answers come, and to say so on stderr.
    """

    def __init__(
        self,
        video: LiveVideo,
        lines: TextIO | LineFile,
        *,
        alarm: AlarmCommand | None = None,
        with_stats: bool = False,
    ) -> None:
        self.video, self._lines, self._alarm = video, lines, alarm
        self._with_stats = with_stats
        self.stats = Stats(video)
        video.on_event = self.tell

    def tell(self, event: LiveEvent) -> None:
        """Take what happens to the source."""
        content = event.to_dict()
        said = ', '.join(f'{k} {v}' for k, v in content.items() if k != 'event')
        say(f'{self.video.name}: {event.event}, {said}')
        self._write(content)

    def note(self, answer: Any) -> None:
        """Take an answer of the predictor."""
        content = answer.to_dict()
        time_s = content.get('end_s', content.get('time_s'))
        if self._alarm:
            score = content.get('score')
            self._alarm.note(is_alarm=content['is_alarm'], time_s=time_s, score=score)
        self._write(content)
        self.stats.note(time_s)
        if self._with_stats:
            self.stats.report()

    def finish(self) -> None:
        """Write the last line; alarm commands that were begun are waited for."""
        if self._alarm:
            self._alarm.close()
        counts = dataclasses.asdict(self.video.counts)
        content = {'event': 'ended', **counts, 'gap_s': round(counts['gap_s'], 3)}
        if self._with_stats:
            self.stats.report(now=True)
            content |= self.stats.to_dict()
        if self._alarm:
            content['alarm_command'] = dataclasses.asdict(self._alarm.counts)
        self._write(content)

    def _write(self, content: dict[str, Any]) -> None:
        self._lines.write(dump_json({'video': self.video.name, **content}) + '\n')
        self._lines.flush()


def say(text: str) -> None:
    """Say something on stderr, in one piece whoever else does."""
    sys.stderr.write(f'mmotion: {text}\n')


def watch(
    predictor: Predictor,
    video: LiveVideo,
    lines: TextIO | LineFile,
    *,
    with_stats: bool = False,
    alarm: AlarmCommand | None = None,
    start_s: float = 0.0,
    end_s: float | None = None,
) -> bool:
    """Write answers about a live source, and what happens to it, until it ends.

    Args:
        predictor: From `mmotion.inference.load_model`.
        video: The source, whose `on_event` is set.
        lines: Where to write, flushed after each line.
        with_stats: Whether to measure how fast answers come, and to say so on stderr.
        alarm: What to call when an alarm begins and ends, which is closed at the end.
        start_s: Seconds after the first frame from which on it is looked at.
        end_s: Up to when; None for as long as it goes on.

    Returns:
        Whether it ended, other than being given up.

    Raises:
        VideoError: If there is no such source.
        BrokenPipeError: If nobody reads the lines any more.
    """
    with video, alarm or nullcontext():
        fps = video.fps
        log = Log(video, lines, alarm=alarm, with_stats=with_stats)
        try:
            for answer in predictor.stream(video, fps=fps, start_s=start_s, end_s=end_s):
                log.note(answer)
        except BrokenPipeError:
            raise
        except BaseException:
            # Ctrl-C is how most watches end
            log.finish()
            raise
        log.finish()
    return video.failure is None
