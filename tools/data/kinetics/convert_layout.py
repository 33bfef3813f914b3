"""Turn a collection of labelled videos from one layout into another.

SOURCE is a folder `root/class/*.mp4`, a list `path label` (MMAction2's txt, TimeSformer's csv) or
an official Kinetics CSV; which one is seen from its content. No video is changed.

Example:
    mmotion prepare kinetics convert-layout kinetics_tiny_train_video.txt train.csv --to list \
        --videos data/kinetics400_tiny/train --absolute
"""

import argparse
import math
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from mmotion.atomic import keep_files, write_atomically
from mmotion.tables import read_table, write_table
from mmotion.video import VideoError, inspect_video
from projects.timesformer.layouts import (
    KINETICS_COLUMNS,
    SPLIT_NAMES,
    VideoList,
    find_missing,
    name_kinetics,
    read_videos,
)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line, convert, print what was written."""
    parser = argparse.ArgumentParser(description='Turn a collection of videos into another layout.')
    add_source_options(parser)
    parser.add_argument('target', metavar='TARGET', type=Path, help='file or folder to write')
    parser.add_argument(
        '--to',
        required=True,
        choices=['list', 'kinetics', 'folder'],
        help='list: `path label`, for MMAction2 and TimeSformer; kinetics: the official columns; '
        'folder: TARGET/class/ with links',
    )
    parser.add_argument(
        '--without', metavar='CSV', type=Path, help='leave these out: missing_or_broken.csv'
    )
    parser.add_argument('--absolute', action='store_true', help='list: write whole paths')
    parser.add_argument('--copy', action='store_true', help='folder: copy instead of linking')
    args = parser.parse_args(argv)
    for option, layout in (('absolute', 'list'), ('copy', 'folder')):
        if getattr(args, option) and args.to != layout:
            parser.error(f'--{option} goes with --to {layout}, got --to {args.to}')
    videos = leave_out(read_source(args), args.without)
    files = [path for path in (args.source, args.without) if path and path.is_file()]
    with keep_files(files):
        if args.to == 'list':
            write_list(videos, args.target, absolute=args.absolute)
        elif args.to == 'kinetics':
            write_kinetics(videos, args.target, split=args.split)
        else:
            write_folder(videos, args.target, copy=args.copy)


def add_source_options(parser: argparse.ArgumentParser) -> None:
    """Add what names a collection: SOURCE, --videos, --classes and --split."""
    parser.add_argument('source', metavar='SOURCE', type=Path, help='folder, list or CSV')
    parser.add_argument(
        '--videos', metavar='DIR', type=Path, help='folder that the paths of a list begin in'
    )
    parser.add_argument('--classes', metavar='FILE', help='names of the classes, one a line')
    parser.add_argument('--split', choices=list(SPLIT_NAMES), help='only this part')


def read_source(args: argparse.Namespace) -> VideoList:
    """Read the collection that the options name."""
    if args.source.is_dir():
        if args.videos is not None:
            raise ValueError(
                f'--videos goes with a list or CSV, got --videos {args.videos} and the folder '
                f'{args.source}; leave it out'
            )
        return read_videos(data_root=args.source, classes=args.classes, split=args.split)
    # a list without --videos lies beside its videos
    root = args.source.parent if args.videos is None else args.videos
    return read_videos(ann_file=args.source, data_root=root, classes=args.classes, split=args.split)


def leave_out(videos: VideoList, table: Path | None) -> VideoList:
    """Drop the videos whose `path` is in a table of `check_videos.py`."""
    if table is None:
        return videos
    remedy = 'take missing_or_broken.csv of `mmotion prepare kinetics check-videos`'
    rows = read_table(table, ['path'], what='--without', remedy=remedy, may_be_empty=True)
    paths = {row.text('path') for row in rows}
    kept = tuple(video for video in videos.videos if video[0] not in paths)
    print(f'{len(videos.videos) - len(kept):,} of {len(videos.videos):,} videos left out')
    return VideoList(videos.root, videos.classes, kept)


def write_list(videos: VideoList, target: Path, *, absolute: bool) -> None:
    """Write `path label` lines, and the names of the classes beside them."""
    root = videos.root.absolute()
    lines = [
        f'{(root / path).as_posix() if absolute else path} {label}' for path, label in videos.videos
    ]
    _write_lines(target, lines)
    names = target.with_name(f'{target.stem}_classes.txt')
    _write_lines(names, videos.classes)
    print(f'{len(lines):,} videos listed in {target}, {len(videos.classes)} classes in {names}')
    with_space = sum(line.count(' ') > 1 for line in lines)
    if with_space:
        print(
            f'{with_space:,} paths hold a space: mmotion reads them, MMAction2 and TimeSformer '
            'do not'
        )


def write_kinetics(videos: VideoList, target: Path, *, split: str | None) -> None:
    """Write the official columns; a file without times in its name is taken as a whole."""
    stems = Counter(PurePosixPath(path).stem for path, _ in videos.videos)
    rows = []
    for path, label in videos.videos:
        posix, name = PurePosixPath(path), videos.classes[label]
        if stems[posix.stem] > 1 and posix.parent.name != name:
            raise ValueError(
                f'a Kinetics CSV names a video by its stem, which must be unique, got {posix.stem} '
                f'for {stems[posix.stem]} videos; rename {path} or put it into a folder {name}'
            )
        part = split or next((p for p in posix.parts[:-1] if p in SPLIT_NAMES), '')
        rows.append([name, *_name_interval(videos.root / path), part])
    if len({tuple(row) for row in rows}) < len(rows):
        raise ValueError(
            'a Kinetics CSV names a video by its class and stem, which must be unique, got one '
            f'twice in {videos.root}; rename it'
        )
    write_table(target, KINETICS_COLUMNS, rows)
    print(f'{len(rows):,} videos of {len(videos.classes)} classes listed in {target}')


def write_folder(videos: VideoList, target: Path, *, copy: bool) -> None:
    """Make `target/class/file` for each video that is there; what exists already stays."""
    missing = set(find_missing(videos))
    places: dict[Path, Path] = {}
    for path, label in videos.videos:
        if path in missing:
            continue
        source = (videos.root / path).absolute()
        place = target / videos.classes[label].replace('/', '_') / source.name
        if places.setdefault(place, source) != source:
            raise ValueError(
                f'two videos of a class must not have one name, got {source} and {places[place]}; '
                'rename one'
            )
    num_made = 0
    for place, source in places.items():
        if place.exists():
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        if copy:
            with write_atomically(place) as temporary:
                shutil.copyfile(source, temporary)
        else:
            place.symlink_to(source)
        num_made += 1
    print(f'{num_made:,} videos put into {target}, {len(missing):,} are missing')


def _name_interval(path: Path) -> Iterable[object]:
    if named := name_kinetics(path.name):
        return named
    try:
        return path.stem, 0, math.ceil(inspect_video(path).duration_s)
    except (VideoError, OSError) as error:
        raise ValueError(
            f'the length of a video without times in its name must be measured, got {error}; run '
            'mmotion prepare kinetics check-videos and give its table as --without'
        ) from error


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    with write_atomically(path) as temporary:
        temporary.write_text(''.join(f'{line}\n' for line in lines), encoding='utf-8')


if __name__ == '__main__':
    main()
