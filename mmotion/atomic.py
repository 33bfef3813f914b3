"""Files that are either whole or not there, and folders that one process at a time writes to.

A result, a checkpoint or a table is written under a temporary name beside its destination and
renamed when it is complete, so a reader, or a run that is resumed after a power cut, never meets
half a file. Of several processes that write one file at once, the last one wins. No command writes
over what it reads, see `keep_files`.
"""

import functools
import hashlib
import itertools
import os
import platform
import re
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None

LOCK_NAME = '.lock'
# longest name that file systems take, in bytes
_MAX_NAME = 255
# what a disk must at least have room for
_PROBE_BYTES = 1 << 16
_PARTIAL = re.compile(r'\..*\.([0-9a-f]{8})-(\d+)-\d+\.partial(\.[^.]*)?')
_numbers = itertools.count()
# what must not be written over, by process and not by thread, as some readers write in threads
_kept: list[frozenset[Path]] = []


@contextmanager
def keep_files(paths: Iterable[str | Path]) -> Iterator[None]:
    """While the block runs, let `write_atomically` refuse to write over what is being read.

    Args:
        paths: Files, and folders in which nothing new may appear either, as of pictures.

    Example:
        >>> with keep_files(['clip.mp4']), write_atomically('clip.mp4'):
        ...     pass
        Traceback (most recent call last):
        ValueError: the result must not take the place of its input, got clip.mp4; write elsewhere
    """
    kept = frozenset(Path(path).resolve() for path in paths)
    _kept.append(kept)
    try:
        yield
    finally:
        _kept.remove(kept)


def check_not_kept(path: str | Path) -> None:
    """Refuse a place that `keep_files` keeps.

    Raises:
        ValueError: If it is one.
    """
    # one file may have several names: links, and upper and lower case where they are the same
    places = {_identify(Path(path).resolve()), _identify(Path(path).resolve().parent)}
    if any(places & {_identify(one) for one in kept} for kept in _kept):
        raise ValueError(
            f'the result must not take the place of its input, got {path}; write elsewhere'
        )


def check_writable(folder: str | Path) -> None:
    """Refuse a folder that cannot be made or written to, before anything is computed for it.

    Nothing is left behind, not even the folder.

    Raises:
        OSError: If it cannot be, or its disk is full.
    """
    folder = Path(folder).absolute()
    place = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(bytes(_PROBE_BYTES))
            file.flush()
    except OSError as error:
        raise type(error)(
            f'{folder} must be a folder that can be written to, got "{error.strerror}"'
            f'{"" if place == folder else f" in {place}"}; name another one, or make room'
        ) from error


@contextmanager
def write_atomically(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path; when the block ends without an error, rename it to `path`.

    The temporary name is `.<stem>.<machine>-<process>-<number>.partial` followed by the suffix of
    `path`, as some writers choose the format by the suffix. No two writers share one. What a killed
    process left in the folder is removed, if it ran on this machine. Missing parent folders are
    made.

    Args:
        path: Where the file is wanted; an existing file is replaced.

    Yields:
        Where to write in the meantime.

    Raises:
        IsADirectoryError: If `path` is a folder.
        ValueError: If it is kept, see `keep_files`.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / 'result.txt'
        >>> with write_atomically(target) as temporary:
        ...     _ = temporary.write_text('42')
        >>> target.read_text()
        '42'
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f'the file to write must not be a folder, got {path}')
    check_not_kept(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_left_behind(path.parent.absolute(), os.getpid())
    temporary = _name_temporary(path)
    try:
        yield temporary
        # the rename may reach the disk before the content does, unless the content is flushed
        with open(temporary, 'rb+') as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        # that of a full disk does not say which
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def hold_folder(folder: str | Path, *, remedy: str) -> Iterator[None]:
    """Keep a folder for this process while the block runs.

    The system frees the lock however the process ends, on the network file systems of Linux too.
    The file `.lock` in the folder, which stays, says who holds it. Where the file system knows no
    locks, a warning is all there is.

    Args:
        folder: The folder, made if need be.
        remedy: What to do if it is in use, for the message.

    Raises:
        ValueError: If another process holds it.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / LOCK_NAME, 'a+', encoding='utf-8') as lock:
        try:
            lock_file(lock.fileno())
        except BlockingIOError as error:
            lock.seek(0)
            raise ValueError(
                f'{folder} must not be in use by another process, got '
                f'{lock.read().strip() or "one that does not say its name"}; {remedy}'
            ) from error
        lock.truncate(0)
        lock.write(f'process {os.getpid()} on {platform.node()}, since {time.ctime()}\n')
        lock.flush()
        try:
            yield
        finally:
            lock.truncate(0)
            # workers that were forked off hold the file as well, so closing it is not enough
            if fcntl:
                with suppress(OSError):
                    fcntl.flock(lock, fcntl.LOCK_UN)


def lock_file(descriptor: int) -> None:
    """Lock an open file until it is closed, or its process ends.

    Raises:
        BlockingIOError: If another process has locked it.
    """
    if fcntl is None:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:
        warnings.warn(
            f'this file system keeps no locks ({error}): see to it that one process alone writes',
            stacklevel=3,
        )


def _identify(path: Path) -> Path | tuple[int, int]:
    """What is the same for all names of a file."""
    try:
        status = path.stat()
    except OSError:
        return path
    return status.st_dev, status.st_ino


@functools.cache
def _machine() -> str:
    """Eight hexadecimal digits that tell where a process number means a process."""
    space = ''
    with suppress(OSError):
        space = os.readlink('/proc/self/ns/pid')
    return hashlib.sha256(f'{platform.node()} {space}'.encode()).hexdigest()[:8]


def _name_temporary(path: Path) -> Path:
    end = f'.{_machine()}-{os.getpid()}-{next(_numbers)}.partial{path.suffix}'
    room = _MAX_NAME - 1 - len(os.fsencode(end))
    return path.with_name(f'.{os.fsencode(path.stem)[:room].decode(errors="ignore")}{end}')


# once for a folder and process; a forked one is another
@functools.lru_cache(maxsize=1024)
def _remove_left_behind(folder: Path, process: int) -> None:
    """Remove the temporary files of processes of this machine that are no more."""
    del process
    with suppress(OSError):
        for entry in os.scandir(folder):
            match = _PARTIAL.fullmatch(entry.name)
            if match and match[1] == _machine() and not _is_running(int(match[2])):
                with suppress(OSError):
                    os.unlink(entry.path)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        # somebody else's
        return True
    return True
