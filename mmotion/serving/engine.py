"""Works on jobs, one after the other in each of some worker processes, and keeps their files.

The process of the engine decodes no video and imports no torch. In its folder there are:
    jobs.sqlite             what is known of the jobs, see `mmotion.serving.jobs`
    jobs/ID/input/NAME      what was sent, until the job ends
    jobs/ID/output/         `result.json`, `summary.csv`, `overlay.mp4`, `plot.png`, `live.jsonl`
A job whose worker process crashes is tried once more; then it fails, and the server goes on.
"""

import dataclasses
import logging
import os
import re
import secrets
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mmotion.serving.jobs import Job, JobStore
from mmotion.serving.limits import Limits
from mmotion.serving.models import ServedModel
from mmotion.serving.processes import LOOK_S, WorkerProcess

# how files of the folder begin that are about to become jobs
UPLOAD = 'upload-'
# of a job, and what they are where nothing is said
OPTIONS = {'start_s': 0.0, 'end_s': None, 'draw': True, 'live': False}
OUTPUTS = ('result.json', 'summary.csv', 'overlay.mp4', 'plot.png', 'live.jsonl')
# seconds between two cleanings, and for which a thread is waited for whose process was killed
CLEAN_S, JOIN_S = 60.0, 5.0
# of the disk, which is left to others
MIN_FREE_BYTES = 1_000_000_000
MAX_NAME = 80
_log = logging.getLogger(__name__)


class BusyError(RuntimeError):
    """Too much waits, or is stored; later there is room."""


class Engine:
    """Queues jobs, lets worker processes do them, and keeps what comes out.

    Args:
        folder: Where everything lies; one engine at a time has it.
        models: What is offered, by name.
        limits: Bounds.
        num_workers: Worker processes, each of which has its models in memory.

    Attributes:
        totals: Of the jobs that have ended since the start, by model and state: how many, and the
            seconds that they took.
        num_crashes: Worker processes that crashed since the start.

    Raises:
        ValueError: If `num_workers` is below 1, or another engine has the folder.
    """

    def __init__(
        self,
        folder: Path,
        models: Mapping[str, ServedModel],
        limits: Limits | None = None,
        *,
        num_workers: int = 1,
    ) -> None:
        if num_workers < 1:
            raise ValueError(f'num_workers must be at least 1, got num_workers={num_workers}')
        self.folder, self.models, self.limits = folder.resolve(), models, limits or Limits()
        self.num_crashes = 0
        self.totals: dict[tuple[str, str], tuple[int, float]] = {}
        self._places = self.folder / 'jobs'
        self._places.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = FileLock(self.folder / '.lock')
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise ValueError(
                f'the folder must belong to one server, got {self.folder}, which another one has; '
                'stop that, or choose another folder'
            ) from None
        try:
            self._store = JobStore(self.folder / 'jobs.sqlite')
        except sqlite3.DatabaseError as error:
            self._lock.release()
            raise ValueError(
                f'the folder must be empty or that of a server, got {self.folder}, whose '
                f'jobs.sqlite cannot be read ({error}); choose another folder'
            ) from None
        self._changed = threading.Condition()
        self._stages: dict[str, Mapping[str, Any]] = {}
        self._workers: list[WorkerProcess] = []
        self._threads: list[threading.Thread] = []
        self._is_stopping = False
        self._num_workers = num_workers

    @property
    def is_stopping(self) -> bool:
        """Whether it takes no more jobs."""
        return self._is_stopping

    @property
    def is_well(self) -> bool:
        """Whether all its threads are alive."""
        return all(thread.is_alive() for thread in self._threads)

    def close_doors(self) -> None:
        """Take no more jobs, and end what waits for changes."""
        self._is_stopping = True
        self._notify()

    def start(self) -> None:
        """Clean up what an earlier engine left, and begin to work."""
        self._store.put_all_back()
        self._remove_strangers()
        num_threads = max((os.cpu_count() or 1) // self._num_workers, 1)
        self._workers = [WorkerProcess(num_threads) for _ in range(self._num_workers)]
        targets: list[tuple[Callable[..., None], tuple[Any, ...]]] = [(self._clean, ())]
        targets += [(self._serve, (worker,)) for worker in self._workers]
        self._threads = [
            threading.Thread(target=do, args=args, daemon=True) for do, args in targets
        ]
        for thread in self._threads:
            thread.start()

    def stop(self, *, grace_s: float = 10.0) -> None:
        """Take no more jobs, wait for those at work for a while, and queue what is not done."""
        self.close_doors()
        ends_s = time.monotonic() + grace_s
        for thread in self._threads:
            thread.join(max(ends_s - time.monotonic(), 0.0))
        for worker in self._workers:
            worker.close()
        for thread in self._threads:
            thread.join(JOIN_S)
        self._store.close()
        self._lock.release()

    def submit(
        self,
        source: Path,
        *,
        name: str,
        model: str,
        owner: str,
        options: Mapping[str, Any] | None = None,
    ) -> Job:
        """Queue a job.

        Args:
            source: The file, which is moved away; it is left where it is if this raises.
            name: What its owner calls it.
            model: Name of one of `models`.
            owner: Who may see it.
            options: `start_s`, `end_s` in seconds; `draw` (True), `live` (False), whether to draw
                what was found, or to give results while the video goes on, in
                `live.jsonl`.

        Raises:
            ValueError: If there is no such model, an option is unknown or out of range, or the file
                is too large.
            BusyError: If too much waits, or is stored.
        """
        self.check_room()
        if model not in self.models:
            raise ValueError(
                f'model must be one of {", ".join(self.models)}, got model={model[:MAX_NAME]!r}'
            )
        asked = check_options(options or {})
        num_bytes = source.stat().st_size
        if not 0 < num_bytes <= self.limits.max_bytes:
            raise ValueError(
                f'a file must have 1 to {self.limits.max_bytes:.0f} bytes, got {num_bytes}'
            )
        job_id = secrets.token_hex(16)
        name = Path(name.replace('\\', '/')).name[-MAX_NAME:] or 'video'
        job = Job(
            id=job_id, owner=owner, model=model, name=name, options=asked, num_bytes=num_bytes
        )
        target = self._find_input(job)
        target.parent.mkdir(parents=True, mode=0o700)
        try:
            shutil.move(source, target)
            job = self._store.add(job)
        except BaseException:
            shutil.rmtree(self._places / job_id, ignore_errors=True)
            raise
        self._notify()
        return job

    def check_room(self) -> None:
        """Refuse a new job while there is no room for it.

        Raises:
            BusyError: If the server stops, or too much waits or is stored.
        """
        if self._is_stopping:
            raise BusyError('the server is about to stop; send it again later')
        if self._store.count()['queued'] >= self.limits.max_queued:
            raise BusyError(f'{self.limits.max_queued} videos wait already; send it again later')
        free = shutil.disk_usage(self.folder).free - self.limits.max_bytes
        stored = self._store.count_bytes()
        if free < MIN_FREE_BYTES or stored > self.limits.max_stored_bytes:
            raise BusyError('the disk of the server is full; delete old results, or wait')

    def get(self, job_id: str, owner: str) -> Job:
        """What is known of a job.

        Raises:
            UnknownJobError: If its owner has no such job.
        """
        return self._complete(self._store.get(job_id, owner))

    def list(self, owner: str) -> list[Job]:
        """All jobs of an owner, the newest first."""
        return [self._complete(job) for job in self._store.list_of(owner)]

    def count(self) -> dict[str, int]:
        """How many jobs there are in each state."""
        return self._store.count()

    def count_bytes(self) -> int:
        """Bytes of all that is kept."""
        return self._store.count_bytes()

    def wait(self, job_id: str, owner: str, timeout_s: float) -> Job:
        """Wait for the next change of a job, or for `timeout_s`; one that has ended changes not.

        Raises:
            UnknownJobError: See `get`.
        """
        before, ends_s = self.get(job_id, owner), time.monotonic() + timeout_s
        while True:
            job, left_s = self.get(job_id, owner), ends_s - time.monotonic()
            if job != before or not job.is_open or left_s <= 0 or self._is_stopping:
                return job
            with self._changed:
                self._changed.wait(min(left_s, LOOK_S))

    def files(self, job_id: str, owner: str) -> dict[str, Path]:
        """What came out of a job, by name; of one that goes on, what is there already.

        Raises:
            UnknownJobError: See `get`.
        """
        return self.find_files(self._store.get(job_id, owner))

    def find_files(self, job: Job) -> dict[str, Path]:
        """The same of a job that is known."""
        if job.state not in ('running', 'done'):
            return {}
        paths = {name: self._places / job.id / 'output' / name for name in OUTPUTS}
        return {name: path for name, path in paths.items() if path.is_file()}

    def cancel(self, job_id: str, owner: str) -> Job:
        """End a job, whether it waits or goes on; one that has ended stays as it is.

        Raises:
            UnknownJobError: See `get`.
        """
        job = self._store.get(job_id, owner)
        if self._store.end(job_id, 'canceled') and job.state == 'queued':
            self._remove_files(job_id)
        for worker in self._workers:
            worker.cancel(job_id)
        self._notify()
        return self.get(job_id, owner)

    def delete(self, job_id: str, owner: str) -> None:
        """End a job, and forget it and its files.

        Raises:
            UnknownJobError: See `get`.
        """
        self.cancel(job_id, owner)
        self._store.delete(job_id)
        self._remove_files(job_id)

    def _complete(self, job: Job) -> Job:
        """A job with what is known of its progress."""
        if job.state == 'running':
            return dataclasses.replace(job, **self._stages.get(job.id, {}))
        return dataclasses.replace(job, progress=1.0 if job.state == 'done' else None)

    def _find_input(self, job: Job) -> Path:
        # nothing that a shell, FFmpeg or a file system takes for more than a name
        stem = re.sub(r'[^\w-]+', '_', Path(job.name).stem).strip('_') or 'video'
        stem = stem.encode()[:MAX_NAME].decode(errors='ignore')
        suffix = Path(job.name).suffix.lower()
        suffix = suffix if re.fullmatch(r'\.[a-z0-9]{1,8}', suffix) else ''
        return self._places / job.id / 'input' / f'{stem}{suffix}'

    def _serve(self, worker: WorkerProcess) -> None:
        """What a thread does: let a worker do one job after the other, whatever happens."""
        while not self._is_stopping:
            job = None
            try:
                worker.start()
                job = self._store.claim()
            except (OSError, sqlite3.Error):
                _log.exception('no job can be taken')
            if job is None:
                self._pause()
                continue
            self._notify()
            try:
                outcome = self._do(worker, job)
            except Exception:
                _log.exception('job %s', job.id)
                outcome = {'state': 'failed', 'error': 'the server could not work on this file'}
            self._finish(job, outcome)
            self._stages.pop(job.id, None)
            self._notify()

    def _do(self, worker: WorkerProcess, job: Job) -> dict[str, Any]:
        """Work on a job: how it ends, see `JobStore.end`; {} if it is to be done again."""
        model, source = self.models.get(job.model), self._find_input(job)
        if model is None or not source.is_file():
            what = 'its file is' if model else f'model {job.model!r} is'
            return {'state': 'failed', 'error': f'{what} not on the server any more'}
        request = {
            'id': job.id,
            'name': job.name,
            'model': job.model,
            'config': model.config,
            'checkpoint': model.checkpoint,
            'source': str(source),
            'out_dir': str(source.parents[1] / 'output'),
            'limits': dataclasses.asdict(self.limits),
            **job.options,
        }
        answer = worker.work(request, self.limits, lambda stage: self._tell(job, stage))
        if 'crashed' in answer and not self._is_stopping:
            self.num_crashes += 1
            answer = worker.work(request, self.limits, lambda stage: self._tell(job, stage))
        if self._is_stopping and 'crashed' in answer:
            return {}
        if 'done' in answer:
            return {'state': 'done', 'duration_s': answer['done'].get('duration_s')}
        if 'canceled' in answer:
            return {'state': 'canceled'}
        return {'state': 'failed', 'error': answer.get('failed') or f'{answer["crashed"]}, twice'}

    def _finish(self, job: Job, outcome: Mapping[str, Any]) -> None:
        """Note how a job ended, as soon as the disk takes it."""
        while True:
            try:
                if outcome:
                    self._end(job, **outcome)
                else:
                    self._store.put_back(job.id)
                return
            except (OSError, sqlite3.Error):
                _log.exception('the end of job %s cannot be noted', job.id)
                if self._is_stopping:
                    # the next start does it again
                    return
                self._pause()

    def _end(self, job: Job, state: str, **facts: Any) -> None:
        """Note that a job has ended; its input goes, and what came of one that did not get done."""
        place = self._places / job.id
        shutil.rmtree(place / 'input', ignore_errors=True)
        if state != 'done':
            shutil.rmtree(place, ignore_errors=True)
        num_bytes = sum(file.stat().st_size for file in place.rglob('*') if file.is_file())
        if not self._store.end(job.id, state, num_bytes=num_bytes, **facts):
            # it was canceled meanwhile, or deleted
            state = 'canceled'
            shutil.rmtree(place, ignore_errors=True)
        number, seconds = self.totals.get((job.model, state), (0, 0.0))
        taken_s = time.time() - (job.started_s or time.time())
        self.totals[job.model, state] = number + 1, seconds + taken_s

    def _pause(self) -> None:
        with self._changed:
            self._changed.wait(LOOK_S)

    def _tell(self, job: Job, stage: Mapping[str, Any]) -> None:
        self._stages[job.id] = stage
        self._notify()

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _clean(self) -> None:
        """What a thread does: forget what is too old."""
        while not self._is_stopping:
            try:
                for job in self._store.list_ended(time.time() - self.limits.keep_s):
                    self._store.delete(job.id)
                    self._remove_files(job.id)
            except (OSError, sqlite3.Error):
                _log.exception('old jobs cannot be removed')
            ends_s = time.monotonic() + min(CLEAN_S, self.limits.keep_s)
            while not self._is_stopping and time.monotonic() < ends_s:
                self._pause()

    def _remove_files(self, job_id: str) -> None:
        shutil.rmtree(self._places / job_id, ignore_errors=True)

    def _remove_strangers(self) -> None:
        """Remove what a power cut has left: files of no job, and half of what a job has."""
        states = self._store.list_states()
        for place in self._places.iterdir():
            state = states.get(place.name)
            if state == 'queued':
                shutil.rmtree(place / 'output', ignore_errors=True)
            elif state == 'done':
                shutil.rmtree(place / 'input', ignore_errors=True)
            else:
                shutil.rmtree(place, ignore_errors=True)
        for upload in self.folder.glob(f'{UPLOAD}*'):
            upload.unlink(missing_ok=True)


def check_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in what is not said, see `Engine.submit`.

    Raises:
        ValueError: If an option is unknown or out of range.
    """
    if unknown := {*options} - {*OPTIONS}:
        raise ValueError(f'options must be {", ".join(OPTIONS)}, got {min(unknown)[:MAX_NAME]!r}')
    asked = {**OPTIONS, **options}
    start_s, end_s = asked['start_s'], asked['end_s']
    # written so that NaN fails as well
    if not 0 <= start_s < float('inf') or not (end_s is None or start_s < end_s < float('inf')):
        raise ValueError(
            'start_s must not be negative and end_s must come after it, got '
            f'start_s={start_s:g}' + ('' if end_s is None else f', end_s={end_s:g}')
        )
    return asked
