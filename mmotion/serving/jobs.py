"""The jobs of a server, in a file of SQLite, so that they outlive it.

A job is one video, one model and the wish of one owner. Its states:
    queued -> running -> done | failed | canceled
A job that was running when the server ended is queued again when it starts.
"""

import json
import sqlite3
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OPEN = ('queued', 'running')
ENDED = ('done', 'failed', 'canceled')
# a job that ends its server, or the machine, again and again is left alone in the end
MAX_STARTS = 5
_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    model TEXT NOT NULL,
    name TEXT NOT NULL,
    options TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'queued',
    starts INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    num_bytes INTEGER NOT NULL DEFAULT 0,
    created_s REAL NOT NULL,
    started_s REAL,
    ended_s REAL,
    duration_s REAL
);
CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state, number);
CREATE INDEX IF NOT EXISTS jobs_by_owner ON jobs (owner, number);
"""


class UnknownJobError(LookupError):
    """There is no such job, or it is another owner's."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f'the job must be one of yours, got {job_id[:64]!r}')


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is known of a job.

    Args:
        id: 32 hexadecimal digits that nobody can guess.
        owner: Who sees it.
        model: Name of a `ServedModel`.
        name: That of the file, as its owner calls it.
        options: `start_s`, `end_s`, `draw`, `live`.
        state: See the head of this file.
        starts: How often work on it has begun.
        stage: What a running job is at: 'loading' the model, 'watching' the video or 'drawing'.
        progress: Share of the video that was watched, in [0, 1]; None where nobody knows.
        position: How many wait before it; None if it does not wait.
        error: Why it failed, in a line.
        num_bytes: On the disk.
        created_s: When it came, in seconds since 1970, like the next two.
        started_s: When work on it began last.
        ended_s: When it ended.
        duration_s: Seconds of video that were looked at.
    """

    id: str
    owner: str
    model: str
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    state: str = 'queued'
    starts: int = 0
    stage: str | None = None
    progress: float | None = None
    position: int | None = None
    error: str | None = None
    num_bytes: int = 0
    created_s: float = 0.0
    started_s: float | None = None
    ended_s: float | None = None
    duration_s: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.state in OPEN


class JobStore:
    """Reads and writes jobs; several threads may use one.

    Args:
        path: The file, made if need be.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute('PRAGMA journal_mode = WAL')
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def add(self, job: Job) -> Job:
        """Queue a new job; what it is at once."""
        options = json.dumps(dict(job.options))
        self._run(
            'INSERT INTO jobs (id, owner, model, name, options, num_bytes, created_s) '
            'VALUES (?, ?, ?, ?, ?, ?, ?)',
            (job.id, job.owner, job.model, job.name, options, job.num_bytes, time.time()),
        )
        return self.get(job.id, job.owner)

    def get(self, job_id: str, owner: str) -> Job:
        """Read a job.

        Raises:
            UnknownJobError: If its owner has no such job.
        """
        jobs = self._select('WHERE id = ? AND owner = ?', (job_id, owner))
        if not jobs:
            raise UnknownJobError(job_id)
        return jobs[0]

    def list_of(self, owner: str) -> list[Job]:
        """All jobs of an owner, the newest first."""
        return self._select('WHERE owner = ? ORDER BY number DESC', (owner,))

    def list_ended(self, before_s: float) -> list[Job]:
        """All jobs that ended before a time."""
        return self._select('WHERE ended_s < ?', (before_s,))

    def claim(self) -> Job | None:
        """Take the job that has waited longest, whose state is 'running' from now on."""
        with self._lock:
            jobs = self._select("WHERE state = 'queued' ORDER BY number LIMIT 1")
            if not jobs:
                return None
            self._run(
                "UPDATE jobs SET state = 'running', starts = starts + 1, started_s = ? "
                'WHERE id = ?',
                (time.time(), jobs[0].id),
            )
            return self.get(jobs[0].id, jobs[0].owner)

    def put_back(self, job_id: str) -> None:
        """Queue a job that was running, in its old place."""
        self._run("UPDATE jobs SET state = 'queued' WHERE id = ? AND state = 'running'", (job_id,))

    def put_all_back(self) -> None:
        """Queue all that were running when the last server ended; give up what ends servers."""
        self._run(
            "UPDATE jobs SET state = 'failed', ended_s = ?, error = ? "
            "WHERE state = 'running' AND starts >= ?",
            (time.time(), f'the server ended {MAX_STARTS} times while it was at it', MAX_STARTS),
        )
        self._run("UPDATE jobs SET state = 'queued' WHERE state = 'running'")

    def end(
        self,
        job_id: str,
        state: str,
        *,
        error: str | None = None,
        num_bytes: int = 0,
        duration_s: float | None = None,
    ) -> bool:
        """Let an open job end; whether it was open."""
        return bool(
            self._run(
                'UPDATE jobs SET state = ?, error = ?, num_bytes = ?, duration_s = ?, ended_s = ? '
                f'WHERE id = ? AND state IN {OPEN}',
                (state, error, num_bytes, duration_s, time.time(), job_id),
            )
        )

    def delete(self, job_id: str) -> None:
        """Forget a job."""
        self._run('DELETE FROM jobs WHERE id = ?', (job_id,))

    def count(self) -> dict[str, int]:
        """How many jobs there are in each state."""
        rows = self._fetch('SELECT state, COUNT(*) AS number FROM jobs GROUP BY state')
        return dict.fromkeys((*OPEN, *ENDED), 0) | {row['state']: row['number'] for row in rows}

    def count_bytes(self) -> int:
        """How much all jobs have on the disk."""
        return self._fetch('SELECT COALESCE(SUM(num_bytes), 0) AS sum FROM jobs')[0]['sum']

    def list_states(self) -> dict[str, str]:
        """The states of all jobs, by their names."""
        return {row['id']: row['state'] for row in self._fetch('SELECT id, state FROM jobs')}

    def _select(self, where: str, values: tuple[Any, ...] = ()) -> list[Job]:
        rows = self._fetch(
            "SELECT *, CASE state WHEN 'queued' THEN (SELECT COUNT(*) FROM jobs AS other "
            "WHERE other.state = 'queued' AND other.number < jobs.number) END AS position "
            f'FROM jobs {where}',
            values,
        )
        return [_read_job(row) for row in rows]

    def _fetch(self, text: str, values: tuple[Any, ...] = ()) -> list[sqlite3.Row]:
        with self._lock:
            return self._db.execute(text, values).fetchall()

    def _run(self, text: str, values: tuple[Any, ...] = ()) -> int:
        """Run a statement; the number of rows that it changed."""
        with self._lock:
            return self._db.execute(text, values).rowcount


def _read_job(row: sqlite3.Row) -> Job:
    facts = {name: row[name] for name in row.keys() if name != 'number'}  # noqa: SIM118
    return Job(**{**facts, 'options': json.loads(facts['options'])})
