"""A command that is called when an alarm begins and when it ends.

It is started without a shell: its words are told apart once, as a shell would (`shlex.split`), and
what a camera's name or a number contains stays one argument. A command that fails or hangs stops
nothing: it is killed after 10 s, and counted.
"""

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

TIMEOUT_S = 10.0
# calls that wait for the one before; more than these are left out
MAX_WAITING = 8
PLACEHOLDERS = ('{event}', '{time_s}', '{score}', '{source}')


@dataclass
class AlarmCounts:
    """How the calls went.

    Attributes:
        called: Calls that were begun.
        failed: Of these, those with another exit code than 0, or that could not be started.
        hung: Of these, those that were killed after `TIMEOUT_S`.
        left_out: Calls that were not begun, as too many waited or the watch was over.
    """

    called: int = 0
    failed: int = 0
    hung: int = 0
    left_out: int = 0


class AlarmCommand:
    """Calls a command at the begin and the end of alarms, one call after the other.

    Args:
        command: The program and its arguments. In each, `{event}` stands for 'begin' or 'end',
            `{time_s}` and `{score}` for numbers, `{source}` for the name of the camera. Without any
            of them, these four are added as arguments in this order.
        source: Name of the camera.

    Raises:
        ValueError: If the command is empty, or its quotes do not end.
        FileNotFoundError: If there is no such program.

    Example:
        >>> with AlarmCommand('true {event}', source='0') as command:
        ...     for is_alarm in (False, True, True, False):
        ...         command.note(is_alarm=is_alarm, time_s=1.0, score=0.5)
        >>> command.counts
        AlarmCounts(called=2, failed=0, hung=0, left_out=0)
    """

    def __init__(self, command: str, *, source: str) -> None:
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise ValueError(f'an alarm command must be words, got {command!r}: {error}') from None
        if not self._words:
            raise ValueError(f'an alarm command must name a program, got {command!r}')
        if shutil.which(self._words[0]) is None:
            raise FileNotFoundError(
                f'the program of an alarm command must be there, got {self._words[0]!r}; what a '
                'shell knows needs "sh -c ..."'
            )
        if not any(name in word for word in self._words for name in PLACEHOLDERS):
            self._words += PLACEHOLDERS
        self._source = source
        self._is_on = False
        self._pool = ThreadPoolExecutor(1, thread_name_prefix='alarm')
        self._calls: list[Future[None]] = []
        self.counts = AlarmCounts()

    def __enter__(self) -> 'AlarmCommand':
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Wait for the calls that were begun or can still be."""
        for call in self._calls:
            # behind one that hangs, more would
            if self.counts.hung and call.cancel():
                self.counts.left_out += 1
            else:
                wait([call])
        self._pool.shutdown()

    def note(self, *, is_alarm: bool, time_s: float, score: float | None = None) -> None:
        """Take an answer, and call the command if an alarm begins or ends with it.

        Args:
            is_alarm: Whether there is an alarm.
            time_s: The time of the answer.
            score: Its score, if it has one.
        """
        if is_alarm == self._is_on:
            return
        self._is_on = is_alarm
        self._calls = [call for call in self._calls if not call.done()]
        if len(self._calls) > MAX_WAITING:
            self.counts.left_out += 1
            return
        texts = ('begin' if is_alarm else 'end', f'{time_s:.3f}', f'{score}', self._source)
        words = [*self._fill(dict(zip(PLACEHOLDERS, texts, strict=True)))]
        self._calls.append(self._pool.submit(self._call, words))

    def _fill(self, texts: dict[str, str]) -> Iterator[str]:
        for word in self._words:
            for name, text in texts.items():
                word = word.replace(name, text)
            yield word

    def _call(self, words: list[str]) -> None:
        self.counts.called += 1
        # whoever reads the answers wants nothing else on standard output
        options: dict[str, Any] = {'stdin': subprocess.DEVNULL, 'stdout': 2}
        try:
            # a session of its own, so that what it has started is killed with it
            with subprocess.Popen(words, start_new_session=True, **options) as process:
                try:
                    code = process.wait(TIMEOUT_S)
                except subprocess.TimeoutExpired:
                    _kill(process)
                    self.counts.hung += 1
                    _say(f'the alarm command was killed after {TIMEOUT_S:g} s')
                    return
        except OSError as error:
            code = error.strerror
        if code:
            self.counts.failed += 1
            _say(f'the alarm command failed ({code})')


def _kill(process: subprocess.Popen[Any]) -> None:
    """Kill a process with all that it has started."""
    with contextlib.suppress(ProcessLookupError):
        if hasattr(os, 'killpg'):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def _say(text: str) -> None:
    print(f'mmotion: {text}', file=sys.stderr)
