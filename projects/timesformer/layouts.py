"""How collections of labelled videos are laid out on disk, and how to read each way.

folder: `root/class/*.mp4` (at any depth below the class), or `root/train/class/*.mp4` and
    `root/val/class/*.mp4`; a class is named by its folder.
list: a line a video, `path label`, the label a number from 0 on; the path is below the root or
    absolute and may hold spaces, or a comma where it stands in quotes. MMAction2's lists and the
    CSV files of TimeSformer and SlowFast, whose first line may be a header. A path without a
    suffix, `name,41`, is that of the file of this name anywhere below the root.
rawframes: a line a folder of pictures, `folder frames label`, MMAction2's lists of frames.
kinetics: the official CSV with a header, `label,youtube_id,time_start,time_end,split`, times in
    seconds; the file of a row is `<id>_<start>_<end>.mp4` with six digits a time, or `<id>.mp4`,
    anywhere below the root.

A recording is not parted, see `recordings.py`; one that is in two parts already is warned of.
"""

import logging
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, TypeAlias

from mmengine.logging import print_log

from mmotion.checks import check_range
from mmotion.tables import read_table, read_text, unify, unquote
from mmotion.video.files import VIDEO_SUFFIXES, find_named, list_classes, list_files

from .recordings import describe_split, hold_out, make_group_finder, warn_of_leaks

Layout: TypeAlias = Literal['folder', 'list', 'kinetics']

KINETICS_COLUMNS = ('label', 'youtube_id', 'time_start', 'time_end', 'split')
# names of the parts of a collection, as folders and in the column `split`
SPLIT_NAMES = {
    'train': ('train', 'training'),
    'val': ('val', 'validate', 'validation', 'valid'),
    'test': ('test', 'testing'),
}

# the names of the columns of a list
_HEADER = re.compile(r'(path|file|filename|video|video_path|name)\W+(label|class|class_id)', re.I)


@dataclass(frozen=True)
class VideoList:
    """Labelled videos.

    Attributes:
        root: Folder of the videos.
        classes: Names by label.
        videos: Path, below the root or absolute, with slashes, and label of each video; a file need
            not be there.
    """

    root: Path
    classes: tuple[str, ...]
    videos: tuple[tuple[str, int], ...]


def detect_layout(ann_file: str | Path) -> Layout:
    """Tell by its first line which layout a file is of; no file means a folder.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    if not str(ann_file):
        return 'folder'
    first = next(iter(_read_lines(ann_file)), '')
    return 'kinetics' if 'youtube_id' in first.split(',') else 'list'


def read_videos(
    *,
    ann_file: str | Path = '',
    data_root: str | Path = '',
    classes: Sequence[str] | str | Path | None = None,
    split: str | None = None,
    val_share: float = 0.2,
    group_pattern: str | None = None,
) -> VideoList:
    """Read a collection of any layout.

    Args:
        ann_file: List or CSV; '' for a folder.
        data_root: Folder of the videos.
        classes: Names by label, or a file with a name a line; None finds them: the names of the
            folders or those in the column `label`, sorted; in a list, the folders of the videos if
            each label has one of its own, and the numbers otherwise.
        split: Part to read: 'train', 'val' or 'test'; None reads all. A list is one part already.
        val_share: Share of each class, about, that is not 'train' where a folder has no folders of
            parts: whole recordings, and where it can be chosen, the last by name.
        group_pattern: What names the recording of a file, see `make_group_finder`.

    Raises:
        FileNotFoundError: If the file or the folder is not there, or holds no video.
        ValueError: If a line is not as described, a label is none of `classes`, or there is no such
            part; or `group_pattern` is none, or does not match.
    """
    if split is not None and split not in SPLIT_NAMES:
        raise ValueError(f'split must be one of {list(SPLIT_NAMES)} or None, got split={split!r}')
    check_range('val_share', val_share, 0, 1, ends='()')
    names = None if classes is None else _read_classes(classes)
    root = Path(data_root).expanduser()
    layout = detect_layout(ann_file)
    if layout == 'folder':
        return _read_folder(root, names, split, val_share, group_pattern)
    if layout == 'kinetics':
        return _name_absent(_read_kinetics(Path(ann_file), root, names, split), ann_file)
    if split is not None:
        raise ValueError(
            f'split must be left out for a list, which is one part, got split={split!r} and '
            f'ann_file={ann_file}; name the list of that part'
        )
    return _name_absent(_read_list(Path(ann_file), root, names), ann_file)


def find_missing(videos: VideoList) -> list[str]:
    """Paths of the videos whose files are not there, in their order."""
    paths = [videos.root / path for path, _ in videos.videos]
    there: set[Path] = set()
    # a look into each folder, as asking for each of 240,000 files would take minutes on a server
    for folder in {path.parent for path in paths}:
        if folder.is_dir():
            there.update(folder.iterdir())
    return [
        path for (path, _), whole in zip(videos.videos, paths, strict=True) if whole not in there
    ]


def name_kinetics(path: str) -> tuple[str, int, int] | None:
    """Read id, start and end in seconds off the name of a file, None if they are not in it.

    Example:
        >>> name_kinetics('val/abseiling/0wR5jVB-WPk_000417_000427.mp4')
        ('0wR5jVB-WPk', 417, 427)
    """
    match = re.fullmatch(r'(.+)_(\d{6})_(\d{6})', PurePosixPath(path).stem)
    return (match[1], int(match[2]), int(match[3])) if match else None


def _read_folder(
    root: Path,
    names: tuple[str, ...] | None,
    split: str | None,
    val_share: float,
    group_pattern: str | None,
) -> VideoList:
    if not root.is_dir():
        raise FileNotFoundError(
            f'data_root must be a folder of class folders, got data_root={root}, which is none; '
            'name root in root/class/*.mp4, or an ann_file'
        )
    parts = {
        name: root / word
        for name, words in SPLIT_NAMES.items()
        for word in words
        if (root / word).is_dir()
    }
    # of all parts, so that a class that one of them lacks does not renumber the others
    found = {folder: list_classes(folder) for folder in [*parts.values()] or [root]}
    by_name = sorted({name for files in found.values() for name in files})
    if not by_name:
        raise FileNotFoundError(
            f'data_root must hold videos in class folders, got none in data_root={root}; name root '
            'in root/class/*.mp4'
        )
    find_group = make_group_finder(group_pattern)
    held_out = set[Path]()
    if parts:
        groups = {
            folder.name: [find_group(path) for paths in files.values() for path in paths]
            for folder, files in found.items()
        }
        warn_of_leaks(groups, root)
    elif split is not None:
        held_out = hold_out(found[root], find_group, val_share)
        text = describe_split(found[root], held_out, find_group)
        print_log(f'{root}, {split}: {text}', logger='current')
    if parts and split is not None:
        if split not in parts:
            raise ValueError(
                f'split must be one of {list(parts)}, the folders in {root}, got split={split!r}'
            )
        found = {parts[split]: found[parts[split]]}
    classes = names or tuple(by_name)
    labels = _Labels(classes)
    videos = []
    for files in found.values():
        for name, paths in files.items():
            label = labels.find(name, f'the class folders of {root}')
            if not parts and split is not None:
                paths = [path for path in paths if (path in held_out) == (split != 'train')]
            videos += [(path.relative_to(root).as_posix(), label) for path in paths]
    found_videos = VideoList(root, classes, tuple(videos))
    # of what was held out the classes are named above
    return found_videos if held_out else _name_absent(found_videos, ', '.join(map(str, found)))


def _name_absent(videos: VideoList, where: str | Path) -> VideoList:
    """Warn of classes without a video, which count for nothing in what is measured there."""
    there = {label for _, label in videos.videos}
    absent = [name for label, name in enumerate(videos.classes) if label not in there]
    if absent:
        more = f' and {len(absent) - 5} more' if len(absent) > 5 else ''
        print_log(
            f'{where} has no video of {len(absent)} of {len(videos.classes)} classes: '
            f'{", ".join(absent[:5])}{more}',
            logger='current',
            level=logging.WARNING,
        )
    return videos


def _read_list(ann_file: Path, root: Path, names: tuple[str, ...] | None) -> VideoList:
    videos: list[tuple[str, int]] = []
    for number, line in enumerate(_read_lines(ann_file), 1):
        text = line.strip()
        if not text or (number == 1 and _HEADER.fullmatch(text)):
            continue
        where = f'line {number} of {ann_file}'
        path, label = _read_line(text, where, root)
        if names is not None and label >= len(names):
            raise ValueError(
                f'label must be below the number of classes {len(names)}, got label={label} in '
                f'{where}; name all classes'
            )
        if not path.isascii():
            # as it is on the disk; find_missing looks at the rest, a folder at a time
            named = find_named(root / path)
            path = (named.relative_to(root) if named.is_relative_to(root) else named).as_posix()
        videos.append((path, label))
    if not videos:
        raise ValueError(
            f'ann_file must name a video at least, got none in {ann_file}; make it again'
        )
    videos = _complete_names(videos, root)
    return VideoList(root, names or _name_by_folder(videos), tuple(videos))


def _read_line(text: str, where: str, root: Path) -> tuple[str, int]:
    """Read path and label of a line of a list.

    Raises:
        ValueError: If it has none, or several labels.
    """
    match = re.fullmatch(r'(.*[^\s,])(?:\s+|\s*,\s*)(\d{1,6})', unquote(text))
    path, label = match.groups() if match else (text, None)
    if label is None:
        raise ValueError(
            'each line must be `path label` with a label from 0 on, got '
            f'{text[:200]!r}{"..." * (len(text) > 200)} in {where}; correct it'
        )
    path = path.replace('\\', '/')
    # what ends in a number may be a name with a space, or more than a name
    more = re.fullmatch(r'(.*?[^\s,])((?:[\s,]+\d+)+)', path)
    if more and not text.startswith('"') and not (root / path).exists():
        folder, numbers = more[1], more[2].replace(',', ' ').split()
        if len(numbers) == 1 and PurePosixPath(folder).suffix.lower() not in VIDEO_SUFFIXES:
            return folder, int(label)
        raise ValueError(
            f'each video must have one class, got the labels {", ".join([*numbers, label])} of '
            f'{folder} in {where}; make a list `path label`, as several classes a video are not '
            "learned here: take MMAction2's VideoDataset and a head with multi_class=True for them"
        )
    return path, int(label)


def _complete_names(videos: list[tuple[str, int]], root: Path) -> list[tuple[str, int]]:
    """Find the files of names without a suffix, if there are no files or folders of that name."""
    if all(PurePosixPath(path).suffix or (root / path).exists() for path, _ in videos):
        return videos
    files = _find_by_stem(root)

    def complete(path: str) -> str:
        found = files.get(PurePosixPath(path).name, [])
        if PurePosixPath(path).suffix or (root / path).exists() or not found:
            return path
        return found[0].relative_to(root).as_posix()

    return [(complete(path), label) for path, label in videos]


def _name_by_folder(videos: Sequence[tuple[str, int]]) -> tuple[str, ...]:
    """Name the labels of a list by the folders of its videos, or by their numbers."""
    folders: dict[int, set[str]] = defaultdict(set)
    for path, label in videos:
        folders[label].add(unify(PurePosixPath(path).parent.name))
    numbers = range(max(folders) + 1)
    names = [next(iter(folders[n])) if len(folders[n]) == 1 else '' for n in numbers]
    if all(names) and len(set(names)) == len(names):
        return tuple(names)
    return tuple(str(n) for n in numbers)


def _read_kinetics(
    ann_file: Path, root: Path, names: tuple[str, ...] | None, split: str | None
) -> VideoList:
    rows = read_table(
        ann_file, KINETICS_COLUMNS[:4], what='a Kinetics CSV', remedy='take a file with labels'
    )
    ids: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        ids[row.text('split') or 'no part'].append(row.text('youtube_id'))
    warn_of_leaks(ids, ann_file)
    if split is not None:
        parts = sorted({row.text('split') for row in rows})
        rows = [row for row in rows if row.text('split') in SPLIT_NAMES[split]]
        if not rows:
            raise ValueError(
                f'split must be in the column split, got split={split!r} and {parts} in {ann_file}'
            )
    files = _find_by_stem(root)
    classes = names or tuple(sorted({unify(row.text('label')) for row in rows}))
    labels = _Labels(classes)
    videos = []
    for row in rows:
        class_name, youtube_id = row.text('label'), row.text('youtube_id')
        label = labels.find(class_name, row.where)
        start_s, end_s = (int(row.number(name)) for name in ('time_start', 'time_end'))
        stem = unify(f'{youtube_id}_{start_s:06d}_{end_s:06d}')
        found = files.get(stem) or files.get(unify(youtube_id)) or []
        of_class = [path for path in found if unify(path.parent.name) == unify(class_name)]
        path = next(iter(of_class or found), root / class_name / f'{stem}.mp4')
        videos.append((path.relative_to(root).as_posix(), label))
    return VideoList(root, classes, tuple(videos))


def _find_by_stem(root: Path) -> dict[str, list[Path]]:
    files: dict[str, list[Path]] = defaultdict(list)
    for path in list_files(root) if root.is_dir() else ():
        files[unify(path.stem)].append(path)
    return files


class _Labels:
    """Numbers of classes; `air_drumming` is `air drumming`, as folders are often named so."""

    def __init__(self, classes: Sequence[str]) -> None:
        plain = {self._simplify(name): label for label, name in enumerate(classes)}
        self._labels = plain | {name: label for label, name in enumerate(classes)}
        self._num_classes = len(classes)

    def find(self, name: str, where: str) -> int:
        label = self._labels.get(name, self._labels.get(self._simplify(name)))
        if label is None:
            raise ValueError(
                f'a label must be one of the {self._num_classes} classes, got {name!r} in {where}; '
                'name all classes, or leave out classes to find them'
            )
        return label

    @staticmethod
    def _simplify(name: str) -> str:
        return unify(name.replace('_', ' ').casefold())


def _read_classes(classes: Sequence[str] | str | Path) -> tuple[str, ...]:
    lines = _read_lines(classes) if isinstance(classes, str | Path) else classes
    names = tuple(unify(line.strip()) for line in lines if line.strip())
    if not names or len(set(names)) != len(names):
        raise ValueError(
            'classes must be names, each once, or a file with a name a line, got '
            f'{len(names)} names, {len(set(names))} of them different, in classes={classes}'
        )
    return names


def _read_lines(path: str | Path) -> list[str]:
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(
            f'a list of videos or classes must be a file, got {path}; check its spelling'
        )
    text = read_text(
        path, what='a list of videos or classes must be text in UTF-8', remedy='name another file'
    )
    return text.splitlines()
