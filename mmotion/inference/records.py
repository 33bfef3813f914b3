"""What a result was made from, kept in its JSON, so that what is done need not be done again.

The last entry of the file, `made_from`, has
    source: path, size in bytes and time of the last change of the video, of a folder of all in it
    settings: what else the result depends on, see `describe_settings`
    files: names of the files beside it, by their paths from its folder
    rows: what a table of many videos says of it, see `mmotion.inference.summary`
It is written when all of them are there, so a file without it is not done.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmotion import __version__

if TYPE_CHECKING:
    from mmengine.config import Config

    from mmotion.inference.exported import Settings

KEY = 'made_from'
# where it is looked for, from the end: the results before it may be large
TAIL_BYTES = 1 << 20
# digits that tell two values apart
DIGITS = 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record:
    """What a result was made from, see the head of this file.

    Args:
        source: Of the video.
        settings: By name.
        files: What was written beside it.
        rows: What a table says of it.
    """

    source: Mapping[str, Any]
    settings: Mapping[str, Any]
    files: tuple[str, ...] = ()
    rows: tuple[Mapping[str, Any], ...] = ()

    def list_changes(self, wanted: 'Record', folder: Path) -> list[str]:
        """Say in what it differs from what is wanted now, and which files are gone.

        Example:
            >>> before = Record(source={'size': 9}, settings={'fps': 30.0, 'config': {'a': '1'}})
            >>> now = Record(source={'size': 9}, settings={'fps': 25.0, 'config': {'a': '2'}})
            >>> before.list_changes(now, Path())
            ['fps', 'config.a']
        """
        changes = [] if self.source == wanted.source else ['video']
        changes += list_differences(self.settings, wanted.settings)
        return changes + [name for name in self.files if not (folder / name).is_file()]


def describe_source(video: Path) -> dict[str, Any]:
    """Path, size in bytes and time of the last change in ns, of a folder those of its files.

    Raises:
        OSError: If it is not there.
    """
    files = [video]
    if video.is_dir():
        files = [Path(entry.path) for entry in os.scandir(video) if entry.is_file()]
    stats = [file.stat() for file in files]
    return {
        'path': str(video.resolve()),
        'size': sum(stat.st_size for stat in stats),
        'changed_ns': max((stat.st_mtime_ns for stat in stats), default=0),
    }


def describe_settings(
    config: 'Config | Settings', weights: str | Path | None, **options: Any
) -> dict[str, Any]:
    """Describe what a result depends on besides its video.

    Args:
        config: With all that was set on the command line; each of its keys is kept as a digest.
        weights: Their file, kept as a digest, or what else names them.
        options: Plain JSON types; what is longer than a digest is kept as one.
    """
    file = Path(weights) if weights else None
    return {
        'version': __version__,
        'weights': _digest_file(file) if file and file.is_file() else str(weights),
        **{name: _shorten(value) for name, value in options.items()},
        'config': {name: _digest(value) for name, value in config.to_dict().items()},
    }


def read_record(file: Path) -> Record | None:
    """Read the record of a result; None if there is no such file, or it is not done.

    The results before it are not read.
    """
    try:
        with open(file, 'rb') as opened:
            opened.seek(max(opened.seek(0, os.SEEK_END) - TAIL_BYTES, 0))
            _, found, text = opened.read().rpartition(f', "{KEY}": '.encode())
        # the brace that ends the file
        content = json.loads(text[:-1]) if found else None
        return content and Record(
            source=content['source'],
            settings=content['settings'],
            files=tuple(map(str, content['files'])),
            rows=tuple(map(dict, content.get('rows', ()))),
        )
    except (OSError, ValueError, LookupError, TypeError):
        return None


def list_differences(before: Any, now: Any) -> list[str]:
    """Names of the entries that are not the same, those of dictionaries behind a dot."""
    changes = []
    for name in dict.fromkeys([*before, *now]):
        pair = before.get(name), now.get(name)
        if pair[0] == pair[1]:
            continue
        if all(isinstance(value, Mapping) for value in pair):
            changes += [f'{name}.{inner}' for inner in list_differences(*pair)]
        else:
            changes.append(name)
    return changes


def _shorten(value: Any) -> Any:
    return value if len(json.dumps(value)) <= 2 * DIGITS else _digest(value)


def _digest(value: Any) -> str:
    text = json.dumps(value, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def _digest_file(file: Path) -> str:
    digest = hashlib.sha256()
    with open(file, 'rb') as opened:
        while part := opened.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()[:DIGITS]
