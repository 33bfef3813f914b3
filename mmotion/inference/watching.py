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
        print(f'mmotion: {self.video.name}: {text}', file=sys.stderr)


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

    def write(content: dict[str, Any]) -> None:
        lines.write(dump_json({'video': video.name, **content}) + '\n')
        lines.flush()

    def tell(event: LiveEvent) -> None:
        content = event.to_dict()
        said = ', '.join(f'{k} {v}' for k, v in content.items() if k != 'event')
        print(f'mmotion: {video.name}: {event.event}, {said}', file=sys.stderr)
        write(content)

    video.on_event = tell
    with video, alarm or nullcontext():
        fps = video.fps
        stats = Stats(video)
        try:
            for answer in predictor.stream(video, fps=fps, start_s=start_s, end_s=end_s):
                content = answer.to_dict()
                time_s = content.get('end_s', content.get('time_s'))
                if alarm:
                    score = content.get('score')
                    alarm.note(is_alarm=content['is_alarm'], time_s=time_s, score=score)
                write(content)
                stats.note(time_s)
                if with_stats:
                    stats.report()
        except BrokenPipeError:
            raise
        except BaseException:
            # Ctrl-C is how most watches end
            _finish(write, stats, alarm, with_stats=with_stats)
            raise
        _finish(write, stats, alarm, with_stats=with_stats)
    return video.failure is None


def _finish(write: Any, stats: Stats, alarm: AlarmCommand | None, *, with_stats: bool) -> None:
    """Write the last line."""
    if alarm:
        alarm.close()
    counts = dataclasses.asdict(stats.video.counts)
    content = {'event': 'ended', **counts, 'gap_s': round(counts['gap_s'], 3)}
    if with_stats:
        stats.report(now=True)
        content |= stats.to_dict()
    if alarm:
        content['alarm_command'] = dataclasses.asdict(alarm.counts)
    write(content)
