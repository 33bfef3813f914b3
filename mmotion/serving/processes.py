"""The worker processes of an engine: started when there is work, watched, and ended.

`mmotion.worker_process` sends Python objects to a function; here the other side is a
program that is told in JSON, may be canceled in the middle, and is watched for time and memory.
"""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import psutil

from mmotion.serving.limits import Limits

# seconds between two looks, and until one that does not listen is killed
LOOK_S, GRACE_S = 0.5, 5.0
Answer = dict[str, Any]


class WorkerProcess:
    """A process of `mmotion.serving.worker`, which is started again after it has ended.

    Args:
        num_threads: Threads of its libraries.
    """

    def __init__(self, num_threads: int) -> None:
        self._num_threads = num_threads
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._is_closed = False
        self._job_id = ''
        self._canceled_s: float | None = None

    def start(self) -> None:
        """Let it import what it needs before there is work."""
        self._ensure()

    def work(
        self, request: Mapping[str, Any], limits: Limits, tell: Callable[[Answer], None]
    ) -> Answer:
        """Do a job.

        Args:
            request: What the worker is told.
            limits: Bounds of its time and memory.
            tell: Called with what it says meanwhile, `progress` and `stage`.

        Returns:
            The answer of the worker, see there; or `crashed`, with what became of the process.
        """
        self._job_id, self._canceled_s = request['id'], None
        began_s, answers = time.monotonic(), queue.SimpleQueue[Answer]()
        try:
            process = self._ensure()
            threading.Thread(target=_read, args=(process, answers), daemon=True).start()
            self._send({'job': dict(request)})
            while True:
                if fault := self._find_fault(process, limits, time.monotonic() - began_s):
                    self._end()
                    return fault
                try:
                    answer = answers.get(timeout=LOOK_S)
                except queue.Empty:
                    continue
                if 'stage' not in answer:
                    return answer
                tell(answer)
        finally:
            self._job_id = ''

    def cancel(self, job_id: str) -> None:
        """Tell the worker that a job is not wanted any more, if it is at that."""
        if self._job_id == job_id:
            self._canceled_s = time.monotonic()
            self._send({'cancel': job_id})

    def close(self) -> None:
        """End the process for good."""
        with self._lock:
            self._is_closed = True
        self._end()

    def _ensure(self) -> 'subprocess.Popen[str]':
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                return self._process
            if self._is_closed:
                raise RuntimeError('the worker was closed')
            self._process = subprocess.Popen(
                [sys.executable, '-m', 'mmotion.serving.worker'],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                encoding='utf-8',
                env={'OMP_NUM_THREADS': str(self._num_threads), **os.environ},
            )
            return self._process

    def _send(self, message: Mapping[str, Any]) -> None:
        stdin = self._process and self._process.stdin
        # if the process has ended, no answer comes
        with suppress(OSError, ValueError):
            if stdin:
                stdin.write(json.dumps(message) + '\n')
                stdin.flush()

    def _find_fault(
        self, process: 'subprocess.Popen[str]', limits: Limits, taken_s: float
    ) -> Answer | None:
        """Why a process is to be ended that has not answered yet."""
        if self._canceled_s is not None and time.monotonic() - self._canceled_s > GRACE_S:
            return {'canceled': True}
        if taken_s > limits.max_job_s:
            return {'failed': f'it took more than the {limits.max_job_s:g} s that are allowed'}
        with suppress(psutil.Error):
            if psutil.Process(process.pid).memory_info().rss > limits.max_memory_mb * 1e6:
                return {'failed': f'it took more than {limits.max_memory_mb} MB of memory'}
        return None

    def _end(self) -> None:
        process = self._process
        if process is not None:
            process.kill()
            process.wait()


def _read(process: 'subprocess.Popen[str]', answers: 'queue.SimpleQueue[Answer]') -> None:
    """Pass on what a process answers, up to the last word on its job."""
    for line in process.stdout or ():
        answers.put(answer := json.loads(line))
        if 'stage' not in answer:
            return
    code = process.wait()
    name = f'exit code {code}'
    with suppress(ValueError):
        name = signal.Signals(-code).name
    answers.put({'crashed': f'the process that worked on it ended by {name}'})
