"""Which files and folders are videos, and what they and their outputs are called.

What a folder of videos holds, for whatever reads one: the files at any depth, behind symbolic links
too, with a suffix of `VIDEO_SUFFIXES`. Never what is hidden (`.name`) or in `__MACOSX`, nor what
`mmotion predict --draw` has drawn. A warning counts what was passed over.
"""

import glob
import json
import os
import re
import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from mmotion.tables import unify

# of the files in a folder, these are videos; a file that is named is tried whatever its suffix is.
# Containers and streams that FFmpeg's demuxers read, without those that mostly hold sound or text
_SUFFIXES = (
    '264 265 3g2 3gp 3gpp amv asf avi dav divx dv f4v flv gif h261 h263 h264 h265 hevc ismv '
    'ivf m1v m2t m2ts m2v m4v mj2 mjpeg mjpg mk3d mkv mov mp4 mpe mpeg mpg mpv mts mxf nsv nut '
    'obu ogm ogv qt rm rmvb tod tp trp ts vob webm wmv wtv y4m'
)
VIDEO_SUFFIXES = frozenset(f'.{suffix}' for suffix in _SUFFIXES.split())
IMAGE_SUFFIXES = frozenset({'.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp'})
# recordings of StreamPix, which neither FFmpeg nor OpenCV reads; found, so that one is told so
STREAMPIX_SUFFIX = '.seq'
# what `Predictor.draw` and `draw_attention` add to the name of a video, a plot beside it
DRAWN = re.compile(r'(.+)_(overlay|attention)\.(mp4|gif)')


def find_videos(names: Iterable[str], *, with_pictures: bool = False) -> list[Path]:
    """Expand files, folders and patterns.

    Args:
        names: Each a file, a folder (all videos in it and below), or a pattern such as
            `clips/*.mp4`.
        with_pictures: Whether a folder of pictures is a video too: one whose own files are pictures
            and no videos; or, where there is no video below a folder, each of those below it.

    Returns:
        The files and folders in the order given, each once.

    Raises:
        FileNotFoundError: If a name stands for no video.
    """
    found: list[Path] = []
    for name in names:
        path = find_named(Path(name).expanduser())
        if path.is_dir():
            matches = _find_in_folder(path, with_pictures)
        elif path.is_file():
            matches = [path]
        else:
            matches = [
                match
                for match in sorted(Path(p) for p in glob.glob(str(path), recursive=True))
                if (match.is_file() and not _is_drawn(match))
                or (with_pictures and is_picture_folder(match))
            ]
        if not matches:
            kinds = 'a folder with videos' + (' or pictures' if with_pictures else '')
            raise FileNotFoundError(
                f'VIDEO must be a video file, {kinds} or a pattern, got {name!r}, '
                + ('a folder without any' if path.is_dir() else 'which is not there')
            )
        found += matches
    return list(dict.fromkeys(found))


def find_sources(data_root: str | Path, *, names: str = '') -> dict[str, Path]:
    """Find videos and folders of pictures, in the order of their names.

    Args:
        data_root: A video, a folder of pictures, or a folder with both at any depth. Pictures
            beside a video are none.
        names: Regular expression that finds something in the names wanted.

    Returns:
        Files and folders by their paths below `data_root`, with slashes; `data_root` itself by its
        own name.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If `names` is no regular expression.
    """
    root = find_named(Path(data_root).expanduser())
    try:
        wanted = re.compile(names)
    except re.error as error:
        raise ValueError(
            f'names must be a regular expression, got names={names!r} ({error})'
        ) from None
    found = {root.name: root} if root.is_file() else {}
    if root.is_dir():
        paths = list_files(root, VIDEO_SUFFIXES | {STREAMPIX_SUFFIX}, with_pictures=True)
        found = {_name_below(root, path): path for path in paths}
    if not found:
        raise FileNotFoundError(
            'data_root must be a video, a folder of pictures, or a folder of those, got '
            f'data_root={str(data_root)!r}, where there is none; check its spelling'
        )
    chosen = {name: found[name] for name in sorted(found) if wanted.search(name)}
    if not chosen:
        raise FileNotFoundError(
            f'names must find something in the name of a video, got names={names!r} for '
            f'{min(found)!r} and {len(found) - 1} more'
        )
    return chosen


def check_origin(file: Path, video: Path, key: str) -> None:
    """Refuse to write the result of a video over another file than an earlier result of it.

    Args:
        file: The JSON file to be written.
        video: What it will be about.
        key: Entry of such a file that has the path of its video.

    Raises:
        ValueError: If the file is there and is about another video, or is no such file.
    """
    if not file.is_file():
        return
    try:
        origin = json.loads(file.read_bytes())[key]
        is_same = Path(origin).resolve() == video.resolve()
    except (ValueError, LookupError, TypeError, RecursionError):
        origin, is_same = 'something else', False
    if not is_same:
        raise ValueError(
            f'{file} must not be written over, got {video} for it, and it is of {origin}; choose '
            'another folder for the results, or delete it'
        )


def find_named(path: str | Path) -> Path:
    """The file or folder of a name, whichever of Unicode's ways it is written in on the disk.

    Args:
        path: As a table, a list or a person has it.

    Returns:
        The path that is there; the one given where none is.
    """
    path = Path(path)
    if str(path).isascii() or os.path.lexists(path) or path == path.parent:
        return path
    folder = find_named(path.parent)
    return folder / _list_unified(folder, _mtime_ns(folder)).get(unify(path.name), path.name)


@lru_cache(maxsize=64)
def _list_unified(folder: Path, _mtime_ns: int) -> dict[str, str]:
    """The names in a folder, by what `unify` makes of them."""
    if not folder.is_dir():
        return {}
    return {unify(name): name for name in sorted(os.listdir(folder))}


def _mtime_ns(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


def list_files(
    folder: str | Path,
    suffixes: Collection[str] = VIDEO_SUFFIXES,
    *,
    with_pictures: bool = False,
) -> list[Path]:
    """List the videos in a folder by the rule at the top of this file, or files of another kind.

    Args:
        folder: Where to look, at any depth.
        suffixes: Those of the files wanted, in lower case.
        with_pictures: Whether to list folders of pictures too, see `is_picture_folder`.

    Returns:
        Their paths, sorted.
    """
    folder = Path(folder)
    passed_over: Counter[str] = Counter()
    found = sorted(_walk(folder, suffixes, with_pictures, passed_over, frozenset()))
    if passed_over:
        kinds = ', '.join(f'{number} {kind}' for kind, number in sorted(passed_over.items()))
        warnings.warn(f'passed over in {folder}: {kinds}', stacklevel=2)
    return found


def list_classes(
    folder: str | Path, suffixes: Collection[str] = VIDEO_SUFFIXES
) -> dict[str, list[Path]]:
    """List the files of each class in `folder/class/`, at any depth below the class.

    Args:
        folder: Folder of the class folders; a file that is in none of them is passed over.
        suffixes: See `list_files`.

    Returns:
        Paths by class, sorted, whose name is as `mmotion.tables.unify` writes it; a folder without
        such files is no class.
    """
    classes: dict[str, list[Path]] = {}
    loose = 0
    for path in list_files(folder, suffixes):
        name, *below = path.relative_to(folder).parts
        if below:
            classes.setdefault(unify(name), []).append(path)
        loose += not below
    if loose:
        warnings.warn(f'passed over in {folder}: {loose} in no class folder', stacklevel=2)
    return classes


def is_picture(name: str) -> bool:
    """Whether a file of this name is a picture, and not hidden."""
    return Path(name).suffix.lower() in IMAGE_SUFFIXES and not name.startswith('.')


def is_picture_folder(path: Path) -> bool:
    """Whether a folder is a video of pictures: its own files are pictures, and none is a video."""
    if not path.is_dir():
        return False
    names = [entry.name for entry in os.scandir(path) if entry.is_file()]
    return any(map(is_picture, names)) and not any(map(_is_video, names))


def name_video(video: Any) -> str:
    """What the names of files about a video begin with: 'video' for one that is not on a disk.

    Example:
        >>> name_video('clips/run.mp4')
        'run'
    """
    if not isinstance(video, str | os.PathLike):
        return 'video'
    path = Path(video)
    # '.' has no name of its own
    return path.resolve().name if path.is_dir() else path.stem


def name_outputs(videos: Sequence[Path]) -> list[str]:
    """Name the output of each video by `name_video`, with `_2`, `_3`, ... where one comes again.

    Args:
        videos: The files and folders of pictures.

    Returns:
        A name per video, all different.

    Example:
        >>> name_outputs([Path('a/clip.mp4'), Path('b/clip.mp4'), Path('clip_2.avi')])
        ['clip', 'clip_3', 'clip_2']
    """
    taken: set[str] = set()
    wanted = [name_video(video) for video in videos]
    stems = set(wanted)
    names = []
    for stem in wanted:
        name, number = stem, 2
        while name in taken or (name != stem and name in stems):
            name, number = f'{stem}_{number}', number + 1
        taken.add(name)
        names.append(name)
    return names


def _find_in_folder(folder: Path, with_pictures: bool) -> list[Path]:
    found = list_files(folder, with_pictures=with_pictures)
    # where there are videos, pictures are what was made of them
    return [path for path in found if path.is_file()] or found


def _walk(
    folder: Path,
    suffixes: Collection[str],
    with_pictures: bool,
    passed_over: Counter[str],
    above: frozenset[Path],
) -> Iterator[Path]:
    """Give what is wanted in a folder and below, and count the rest by its kind."""
    place = folder.resolve()
    # a link that leads back up would never end
    if place in above:
        passed_over['links to a folder above'] += 1
        return
    is_of_pictures = with_pictures and is_picture_folder(folder)
    if is_of_pictures:
        yield folder
    for entry in os.scandir(folder):
        path = folder / entry.name
        suffix, is_hidden = path.suffix.lower(), path.name.startswith('.')
        if entry.is_dir():
            if is_hidden or path.name == '__MACOSX':
                passed_over[f'folders {path.name}'] += 1
            else:
                yield from _walk(path, suffixes, with_pictures, passed_over, above | {place})
        elif suffix in suffixes and (is_hidden or not entry.is_file()):
            passed_over['hidden' if is_hidden else 'links to nothing'] += 1
        elif suffix in suffixes and _is_drawn(path):
            passed_over['drawn by mmotion'] += 1
        elif suffix in suffixes:
            yield path
        elif not is_hidden and not (is_of_pictures and is_picture(path.name)):
            passed_over[suffix or 'without suffix'] += 1


def _is_drawn(path: Path) -> bool:
    """Whether a video is what a predictor has drawn, which has a plot beside it."""
    match = DRAWN.fullmatch(path.name)
    return match is not None and any(path.parent.glob(f'{glob.escape(match[1])}_*.png'))


def _is_video(name: str) -> bool:
    return Path(name).suffix.lower() in VIDEO_SUFFIXES and not name.startswith('.')


def _name_below(root: Path, path: Path) -> str:
    return root.name if path == root else path.relative_to(root).as_posix()
