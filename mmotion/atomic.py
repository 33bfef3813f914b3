"""Files that are either whole or not there.

A result, a checkpoint or a table is written under a temporary name beside its destination and
renamed when it is complete, so a reader, or a run that is resumed after a power cut, never meets
half a file.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
