"""Files that are either whole or not there.

A result, a checkpoint or a table is written under a temporary name beside its destination and
renamed when it is complete, so a reader, or a run that is resumed after a power cut, never meets
half a file. Nor does a command write over what it reads, see `keep_files`.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

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
    place = Path(path).resolve()
    if any(place in kept or place.parent in kept for kept in _kept):
        raise ValueError(
            f'the result must not take the place of its input, got {path}; write elsewhere'
        )


@contextmanager
def write_atomically(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path; when the block ends without an error, rename it to `path`.

    The temporary name is `.<name>.partial` followed by the suffixes of `path`, as some writers
    choose the format by the suffix. It does not depend on the process, so what a killed run left
    behind is overwritten by the next one. Missing parent folders are made.

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
    temporary = path.with_name(f'.{path.stem}.partial{path.suffix}')
    try:
        yield temporary
        # the rename may reach the disk before the content does, unless the content is flushed
        with open(temporary, 'rb+') as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
