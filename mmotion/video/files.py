"""Which files and folders are videos, and what they and their outputs are called."""

import glob
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

# of the files in a folder, these are videos; a file that is named is tried whatever its suffix is
VIDEO_SUFFIXES = frozenset(
    {
        '.avi',
        '.gif',
        '.m4v',
        '.mkv',
        '.mov',
        '.mp4',
        '.mpeg',
        '.mpg',
        '.mts',
        '.ts',
        '.webm',
        '.wmv',
    }
)
IMAGE_SUFFIXES = frozenset({'.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp'})
# recordings of StreamPix, which neither FFmpeg nor OpenCV reads; found, so that one is told so
STREAMPIX_SUFFIX = '.seq'


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
        path = Path(name).expanduser()
        if path.is_dir():
            matches = _find_in_folder(path, with_pictures)
        elif path.is_file():
            matches = [path]
        else:
            matches = [
                match
                for match in sorted(Path(p) for p in glob.glob(str(path), recursive=True))
                if match.is_file() or (with_pictures and is_picture_folder(match))
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
        data_root: A video, a folder of pictures, or a folder with both at any depth. What is hidden
            (`.name`) is passed over.
        names: Regular expression that finds something in the names wanted.

    Returns:
        Files and folders by their paths below `data_root`, with slashes; `data_root` itself by its
        own name.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If `names` is no regular expression.
    """
    root = Path(data_root).expanduser()
    try:
        wanted = re.compile(names)
    except re.error as error:
        raise ValueError(
            f'names must be a regular expression, got names={names!r} ({error})'
        ) from None
    found = {root.name: root} if root.is_file() else {}
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith('.')]
        if any(map(is_picture, files)):
            found[_name_below(root, Path(folder))] = Path(folder)
        for path in (Path(folder, file) for file in files if not file.startswith('.')):
            if path.suffix.lower() in VIDEO_SUFFIXES | {STREAMPIX_SUFFIX}:
                found[_name_below(root, path)] = path
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
    if with_pictures and is_picture_folder(folder):
        return [folder]
    found = [path for path in sorted(folder.rglob('*')) if _is_video(path.name) and path.is_file()]
    if found or not with_pictures:
        return found
    return [path for path in sorted(folder.rglob('*')) if is_picture_folder(path)]


def _is_video(name: str) -> bool:
    return Path(name).suffix.lower() in VIDEO_SUFFIXES


def _name_below(root: Path, path: Path) -> str:
    return root.name if path == root else path.relative_to(root).as_posix()
