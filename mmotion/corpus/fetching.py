"""Videos that lie elsewhere, as files: s3://, gs://, https:// and whatever else fsspec reads.

Access, endpoints and options are fsspec's own: the environment, `~/.aws`, `~/.config/fsspec/*.json`
(https://filesystem-spec.readthedocs.io/en/latest/features.html#configuration).
"""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

import fsspec
from fsspec.registry import known_implementations

from mmotion.atomic import name_disk_errors

ADDRESS = re.compile(r'[a-z][a-z0-9+.-]+://', re.IGNORECASE)
TRIES = 2
# longest time without a byte, in seconds
SILENT_S = 60.0
MAX_NAME = 100


@contextmanager
def fetched(video: str, scratch: Path) -> Iterator[Path]:
    """Give a video as a file while the block runs.

    What an address leads to is copied, and the copy removed when the block ends. A copy that breaks
    off is begun once more; what is not there, or not for everybody, is not asked for again.

    Args:
        video: A path, which is given as it is, or an address.
        scratch: Folder of the copy alone, which is removed too; a video may have any size.

    Raises:
        FileNotFoundError: If there is nothing at the address.
        ImportError: If a package for such addresses is not installed.
        OSError: If it cannot be read, or the disk is full.
        ValueError: If nobody reads such addresses.
    """
    if not ADDRESS.match(video):
        yield Path(video)
        return
    files, place = _open(video)
    if _is_local(files):
        yield Path(place)
        return
    scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        target = scratch / _name(place)
        _copy(files, place, target, video)
        yield target
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _open(video: str) -> tuple[Any, str]:
    """The file system of an address, and what it calls the file."""
    scheme = video.partition('://')[0].lower()
    options: dict[str, Any] = {}
    if scheme in ('http', 'https'):
        options['client_kwargs'] = {'timeout': _wait_for_bytes()}
    try:
        return fsspec.url_to_fs(scheme + video[len(scheme) :], **options)
    except ImportError as error:
        module = known_implementations.get(scheme, {}).get('class', scheme).partition('.')[0]
        package = 'fsspec[http]' if module == 'fsspec' else module
        raise ImportError(
            f'{scheme}:// must have a package that reads it, got "{error}"; pip install "{package}"'
        ) from error
    except ValueError as error:
        raise ValueError(
            f'an address must be of a kind that fsspec knows, as s3:// or https://, got {video} '
            f'({error})'
        ) from error


def _wait_for_bytes() -> Any:
    """No limit of the whole, where aiohttp has five minutes."""
    try:
        from aiohttp import ClientTimeout
    except ImportError:
        # fsspec says what is missing
        return None
    return ClientTimeout(total=None, sock_connect=SILENT_S, sock_read=SILENT_S)


def _is_local(files: Any) -> bool:
    return 'file' in ([files.protocol] if isinstance(files.protocol, str) else files.protocol)


def _name(place: str) -> str:
    """A name for the copy, with the suffix that says what it is.

    Example:
        >>> _name('https://site.org/a%20b/run%201.mp4?token=1'), _name('bucket/')
        ('run 1.mp4', 'bucket')
    """
    name = PurePosixPath(unquote(place.split('?')[0].split('#')[0])).name
    return re.sub(r'[^\w .-]', '_', name)[-MAX_NAME:] or 'video'


def _copy(files: Any, place: str, target: Path, video: str) -> None:
    for left in reversed(range(TRIES)):
        try:
            with name_disk_errors(target):
                files.get_file(place, str(target))
            return
        except FileNotFoundError as error:
            raise FileNotFoundError(f'a video must be there, got nothing at {video}') from error
        except PermissionError as error:
            raise PermissionError(
                f'a video must be readable, got {_tell(error)} for {video}; check the access'
            ) from error
        except Exception as error:
            # each file system raises its own: aiohttp's, botocore's, time-outs
            status = getattr(error, 'status', 0)
            if left and not 400 <= status < 500:
                continue
            raise OSError(
                f'a video must be read to its end, got {_tell(error)} for {video}'
            ) from error


def _tell(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
