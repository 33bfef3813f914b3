"""Runs that are killed at any moment, what they leave, and disks that take no more."""

import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

FORK = multiprocessing.get_context('fork')
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGKILL]
# seconds in which a run, or what a signal ends, must be over
LIMIT_S = 60


def start(run: Callable[[], int | None]) -> Any:
    """Call something in a process of its own, which has imported all that this one has.

    It leads a group of processes, in which those are that it starts.
    """
    process = FORK.Process(target=lambda: sys.exit(run()))
    process.start()
    os.setpgid(process.pid or 0, 0)
    return process


def finish(process: Any) -> int:
    """Wait for a process, which must leave no other one behind, and give its exit code."""
    process.join(LIMIT_S)
    code = process.exitcode
    deadline = time.monotonic() + LIMIT_S / 6
    while code is not None and _list_group(process.pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    left = _list_group(process.pid)
    for one in left:
        os.kill(one, signal.SIGKILL)
    assert code is not None, 'it hangs'
    assert not left, 'it leaves processes behind'
    return code


def stop(
    run: Callable[[], int | None],
    number: int,
    *,
    after_s: float,
    first: Callable[[], bool] = lambda: True,
) -> int:
    """Start a run, send it a signal so long after something is true, and give its exit code."""
    process = start(run)
    while process.is_alive() and not first():
        time.sleep(0.01)
    time.sleep(after_s)
    # Ctrl-C comes to all processes of a group
    (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
    return finish(process)


def check_codes(codes: list[int], number: int) -> None:
    """Check exit codes of runs that a signal has ended; the last ones may have been done before."""
    stopped = -number if number == signal.SIGKILL else 128 + number
    assert set(codes) <= {stopped, 0} and stopped in codes


def draw_moments(number: int, seconds: float, how_many: int) -> list[float]:
    """Moments at which to send a signal to a run of so many seconds, the same ones each time."""
    moments = random.Random(int(number))
    return [moments.uniform(0.02, seconds) for _ in range(how_many)]


def read_all(folder: Path) -> dict[str, bytes]:
    """The content of each file of a folder and those below, by its path in it."""
    files = [path for path in folder.rglob('*') if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@contextmanager
def mount_small_disk(place: Path) -> Iterator[Path]:
    """A disk of 1 MiB of its own; the test skips without the right to mount one."""
    place.mkdir()
    mount = shutil.which('mount')
    options = ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', str(place)]
    if not mount or subprocess.run([mount, *options], capture_output=True).returncode:
        pytest.skip('needs the right to mount a tmpfs')
    try:
        yield place
    finally:
        # lazily: a reader that an error has kept alive may still hold a file
        subprocess.run(['umount', '-l', str(place)], check=True)


def make_read_only(place: Path) -> None:
    """Let a small disk take nothing; the modes of a folder do not stop everybody."""
    subprocess.run(['mount', '-o', 'remount,ro', str(place)], check=True)


def fill(place: Path) -> Path:
    """Leave no room on a small disk, and give the file that takes it."""
    ballast = place / 'ballast'
    with open(ballast, 'ab', buffering=0) as file, pytest.raises(OSError, match='No space'):
        while True:
            file.write(bytes(4096))
    return ballast


def _list_group(leader: int) -> list[int]:
    """The processes of a group that still run, where the system lists them."""
    running = []
    for path in Path('/proc').glob('[0-9]*/stat'):
        try:
            state, _, group = path.read_text().rpartition(')')[2].split()[:3]
        except OSError:
            continue
        if int(group) == leader and state != 'Z':
            running.append(int(path.parent.name))
    return running
