"""Tell what kind of file a path is, before it is read as a checkpoint.

Nothing here unpickles: a file is judged by its first bytes, its zip directory and the opcodes of
its pickle.
"""

import difflib
import pickletools
import re
import tarfile
import zipfile
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from pathlib import Path
from typing import IO

COPY_AGAIN = 'copy or download it again'
# the file in a work dir in which mmengine notes its last checkpoint
LAST_CHECKPOINT = 'last_checkpoint'


class CheckpointError(ValueError):
    """A checkpoint that cannot be read, or does not fit the model."""


def check_checkpoint_file(path: str | Path) -> Path:
    """Check that a path is a file that can be a checkpoint; takes milliseconds.

    Args:
        path: The path; `~` is expanded.

    Returns:
        The path.

    Raises:
        CheckpointError: If it is missing, a folder, empty, or plainly another kind of file.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        found = ', '.join(sorted(p.name for p in path.glob('*.pth'))) or 'no .pth file'
        raise CheckpointError(
            f'checkpoint must be a file, got the folder {path}; name a file in it (it has {found})'
        )
    if not path.is_file():
        names = [p.name for p in path.parent.glob('*.pth')] if path.parent.is_dir() else []
        near = difflib.get_close_matches(path.name, names, n=3, cutoff=0.3)
        hint = f'did you mean {" or ".join(near)}?' if near else 'check the path'
        raise CheckpointError(f'checkpoint must be an existing file, got {path}; {hint}')
    if path.stat().st_size == 0:
        raise CheckpointError(
            f'checkpoint must not be empty, got {path} with 0 bytes; {COPY_AGAIN}'
        )

    with open(path, 'rb') as file:
        head = file.read(512).lstrip()
    if re.match(rb'<(!doctype|html|\?xml)', head, re.IGNORECASE):
        raise _not_a_checkpoint(
            path, 'a web page', 'download the file itself, not the page that links to it'
        )
    if head.startswith(b'version https://git-lfs'):
        raise _not_a_checkpoint(path, 'a Git LFS pointer', 'fetch the file with "git lfs pull"')
    if all(byte in b'\t\n\r' or 32 <= byte < 127 for byte in head):
        raise _not_a_checkpoint(path, 'a text file', 'give the .pth file that training wrote')
    if head.startswith(b'PK\x03\x04'):
        _check_zip(path)
    elif tarfile.is_tarfile(path):
        raise _not_a_checkpoint(
            path,
            'a tar archive, which cannot be read safely',
            'save its state_dict again with a newer torch',
        )
    return path


def find_last_checkpoint(work_dir: str | Path) -> Path | None:
    """Find where a run that was stopped can go on.

    The file named in `last_checkpoint` is taken if it is there, also when the folder was moved
    since; otherwise the `epoch_<n>.pth` or `iter_<n>.pth` that was written last.

    Args:
        work_dir: Folder of the run.

    Returns:
        The file, or None if the folder holds no checkpoint.
    """
    work_dir = Path(work_dir)
    note = work_dir / LAST_CHECKPOINT
    named = Path(note.read_text().strip()) if note.is_file() else Path()
    for path in (named, work_dir / named.name):
        if path.is_file():
            return path
    numbered = [path for path in list_checkpoints(work_dir) if not path.name.startswith('best_')]
    return max(numbered, key=lambda path: path.stat().st_mtime, default=None)


def list_checkpoints(work_dir: Path) -> list[Path]:
    """The checkpoints that training wrote into a folder, under the names that mmengine gives."""
    name = re.compile(r'((epoch|iter)_\d+|best_.+)\.pth')
    return sorted(path for path in work_dir.glob('*.pth') if name.fullmatch(path.name))


def check_checksums(path: Path) -> None:
    """Check every byte of a zip checkpoint, as torch itself loads flipped bits in silence.

    Args:
        path: The file; one in the format before torch 1.6 has no checksums and passes.

    Raises:
        CheckpointError: If a checksum is wrong.
    """
    if not _is_zip(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, OSError, EOFError, ValueError) as error:
        # a UnicodeDecodeError, of a name that is damaged, is a ValueError
        damaged = str(error)
    if damaged:
        raise CheckpointError(
            f'checkpoint must be undamaged, got a wrong checksum of {damaged} in {path}; '
            f'{COPY_AGAIN}'
        )


def list_globals(path: Path) -> dict[str, str]:
    """Name the classes and functions that a checkpoint refers to, without importing any.

    Args:
        path: A file written by `torch.save`.

    Returns:
        Full names as Python 3 has them, such as 'builtins.getattr', by the names in the file:
        pickle protocol 2, which torch writes, has those of Python 2, '__builtin__.getattr'.
    """
    if _is_zip(path):
        with zipfile.ZipFile(path) as archive:
            name = next(name for name in archive.namelist() if name.endswith('/data.pkl'))
            with archive.open(name) as file:
                return _globals_of_pickle(file)
    with open(path, 'rb') as file:
        # magic number, protocol, system, the object, the keys of its storages
        return {k: v for _ in range(5) for k, v in _globals_of_pickle(file).items()}


def _is_zip(path: Path) -> bool:
    try:
        return zipfile.is_zipfile(path)
    except zipfile.BadZipFile:
        # one of several disks: a zip file, though none of torch
        return True


def _check_zip(path: Path) -> None:
    if not _is_zip(path):
        raise CheckpointError(f'checkpoint must be whole, got the truncated {path}; {COPY_AGAIN}')
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise CheckpointError(
            f'checkpoint must be whole, got {path}, whose directory is damaged ({error}); '
            f'{COPY_AGAIN}'
        ) from error
    if any(name.endswith('/constants.pkl') for name in names):
        raise _not_a_checkpoint(
            path, 'a TorchScript archive', 'save the state_dict of the model instead'
        )
    if not any(name.endswith('/data.pkl') for name in names):
        raise _not_a_checkpoint(
            path, 'another kind of zip file', 'give the .pth file that training wrote'
        )


def _not_a_checkpoint(path: Path, what: str, remedy: str) -> CheckpointError:
    return CheckpointError(
        f'checkpoint must be written by torch.save, got {what}: {path}; {remedy}'
    )


def _globals_of_pickle(file: IO[bytes]) -> dict[str, str]:
    """Name the globals of the pickle at the position of a file, and move behind it."""
    found = {}
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name == 'GLOBAL':
            old = module, name = str(argument).split(' ', 1)
            module, name = NAME_MAPPING.get((module, name), (module, name))
            found['.'.join(old)] = f'{IMPORT_MAPPING.get(module, module)}.{name}'
    return found
