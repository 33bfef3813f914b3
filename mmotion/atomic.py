"""Files that are either whole or not there, and folders that one process at a time writes to.

A result, a checkpoint or a table is written under a temporary name beside its destination and
renamed when it is complete, so a reader, or a run that is resumed after a power cut, never meets
half a file. Of several processes that write one file at once, the last one wins. No command writes
over what it reads, see `keep_files`.
"""

import errno
import functools
import hashlib
import itertools
import os
import platform
import re
import shutil
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
# what a system says of a disk that takes nothing more, or not from everybody
_DISK_ERRORS = {errno.EACCES, errno.EFBIG, errno.EIO, errno.ENOSPC, errno.EPERM, errno.EROFS}
_DISK_ERRORS |= {errno.EDQUOT} if hasattr(errno, 'EDQUOT') else set()
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
    place = _find_place(folder)
    try:
        _probe(place)
    except OSError as error:
        raise type(error)(
            f'{folder} must be a folder that can be written to, got "{error.strerror}"'
            f'{"" if place == folder else f" in {place}"}; name another one, or make room'
        ) from error


def check_room(folder: Path, num_bytes: int) -> None:
    """Refuse a disk with less room, for libraries that crash when it fills up, as HDF5 does.

    Raises:
        OSError: If there is less.
    """
    if shutil.disk_usage(folder).free < num_bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))


@contextmanager
def name_disk_errors(path: str | Path) -> Iterator[None]:
    """While the block writes a file or folder, say in our words that the disk does not take it.

    Errors of libraries need not tell that the disk is full, so it is asked.

    Raises:
        OSError: If it does not, with the path and what to do.
    """
    try:
        yield
    except (ValueError, TypeError):
        # they are about what is written
        raise
    except Exception as error:
        reason = _find_disk_error(error, Path(path).absolute())
        if reason is None:
            raise
        raise OSError(
            f'a file must have a disk that takes it, got "{reason}" for {path}; make room there, '
            'or write to another folder'
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
        OSError: If the disk does not take it.
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
    with name_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    _remove_left_behind(path.parent.absolute(), os.getpid())
    temporary = _name_temporary(path)
    try:
        with name_disk_errors(path):
            yield temporary
            # the rename may reach the disk before the content does, unless the content is flushed
            with open(temporary, 'rb+') as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
    finally:
        # on a disk that is read-only, this fails as well
        with suppress(OSError):
            temporary.unlink()


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
        OSError: If the disk takes nothing.
        ValueError: If another process holds it.
    """
    folder = Path(folder)
    with name_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        opened = open(folder / LOCK_NAME, 'a+', encoding='utf-8')  # noqa: SIM115
    with opened as lock:
        try:
            lock_file(lock.fileno())
        except BlockingIOError as error:
            lock.seek(0)
            raise ValueError(
                f'{folder} must not be in use by another process, got '
                f'{lock.read().strip() or "one that does not say its name"}; {remedy}'
            ) from error
        lock.truncate(0)
        # on a full disk, it does not say who holds it
        with suppress(OSError):
            text = f'process {os.getpid()} on {platform.node()}, since {time.ctime()}\n'
            os.write(lock.fileno(), text.encode())
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


def _find_place(path: Path) -> Path:
    """What is there of a path and the folders above it."""
    return next(place for place in (path, *path.parents) if os.path.lexists(place))


def _probe(folder: Path) -> None:
    """Write a little to a folder, which nobody sees."""
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(_PROBE_BYTES))
        file.flush()


def _find_disk_error(error: Exception, path: Path) -> str | None:
    """What a disk has to do with an error in writing a file; None if it is well."""
    if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        # that of a file which is read is another matter
        named = path if error.filename is None else Path(os.fsdecode(error.filename)).absolute()
        if named in (path, *path.parents) or named.parent in (path, path.parent):
            return os.strerror(error.errno)  # pyright: ignore[reportArgumentType]
    try:
        _probe(_find_place(path.parent))
    except OSError as found:
        return found.strerror
    return None


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
