"""Which files are videos, and what their outputs are called."""

import glob
from collections.abc import Iterable, Sequence
from pathlib import Path

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


def find_videos(names: Iterable[str]) -> list[Path]:
    """Expand files, folders and patterns.

    Args:
        names: Each a file, a folder (all videos in it and below), or a pattern such as
            `clips/*.mp4`.

    Returns:
        The files in the order given, each once.

    Raises:
        FileNotFoundError: If a name stands for no video.
    """
    found: list[Path] = []
    for name in names:
        path = Path(name).expanduser()
        if path.is_file():
            matches = [path]
        elif path.is_dir():
            matches = sorted(p for p in path.rglob('*') if p.suffix.lower() in VIDEO_SUFFIXES)
        else:
            matches = sorted(Path(p) for p in glob.glob(str(path), recursive=True))
        matches = [match for match in matches if match.is_file()]
        if not matches:
            raise FileNotFoundError(
                f'VIDEO must be a video file, a folder with videos or a pattern, got {name!r}, '
                + ('a folder without any' if path.is_dir() else 'which is not there')
            )
        found += matches
    return list(dict.fromkeys(found))


def name_outputs(videos: Sequence[Path]) -> list[str]:
    """Name the output of each video: its stem, with `_2`, `_3`, ... where a stem comes again.

    Args:
        videos: The files.

    Returns:
        A name per file, all different.

    Example:
        >>> name_outputs([Path('a/clip.mp4'), Path('b/clip.mp4'), Path('clip_2.avi')])
        ['clip', 'clip_3', 'clip_2']
    """
    taken: set[str] = set()
    stems = {video.stem for video in videos}
    names = []
    for video in videos:
        name, number = video.stem, 2
        while name in taken or (name != video.stem and name in stems):
            name, number = f'{video.stem}_{number}', number + 1
        taken.add(name)
        names.append(name)
    return names
