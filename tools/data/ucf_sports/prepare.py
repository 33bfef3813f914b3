"""Make the tables of an anomaly detector from a folder of videos, root/class/*.mp4 or UCF Sports.

SOURCE is a folder with a folder for each class, at any depth below which its videos are. Some
classes are normal; the others are held out, to be found as anomalies. Written to OUT:

    train.csv, val.csv, test.csv: normal clips, no recording in two of them
    anomaly.csv: clips of the classes that were held out
        PATH, LABEL, CLASS, VIDEO, AUGMENT, see projects/anomaly/data.py; PATH is below OUT for
        what was converted, and absolute for MP4 files, which stay where they are
    dropped.csv: PATH, CLASS, PROBLEM; what is broken or empty
    videos/: what was not MP4, in H.264

A detector promises a false-alarm rate of 0.05 by 19 normal recordings in val; with fewer, this is
said. Started again, it goes on: what was converted before stays.

Example:
    mmotion prepare folder videos data/anomaly --anomaly-classes fall
    mmotion prepare ucf-sports downloads/ucf_sports_actions data/ucf_sports
"""

import argparse
import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from splitting import Clip, balance, split_groups

from mmotion.structures.times import list_irregular
from mmotion.tables import write_table
from mmotion.video import VideoError, VideoWriter, read_frames
from mmotion.video.decode import choose_decoder
from mmotion.video.files import list_files
from mmotion.video.scan import scan_video
from projects.anomaly.data import COLUMNS, SUBSETS
from projects.anomaly.results import USUAL_RATE, count_needed
from projects.anomaly.transforms import KINDS

# the folders of UCF Sports, https://www.crcv.ucf.edu/data/UCF_Sports_Action.php
UCF_SPORTS = frozenset(
    {
        'Diving-Side',
        'Golf-Swing-Back',
        'Golf-Swing-Front',
        'Golf-Swing-Side',
        'Kicking-Front',
        'Kicking-Side',
        'Lifting',
        'Riding-Horse',
        'Run-Side',
        'SkateBoarding-Front',
        'Swing-Bench',
        'Swing-SideAngle',
        'Walk-Front',
    }
)
# what its archive wraps around them
WRAPPERS = ('ucf_sports_actions', 'ucf action', 'ucf_action')
UCF_ANOMALIES = ('Walk-Front', 'Lifting', 'SkateBoarding-Front')
# 7608-12_70270.avi is a part of the recording 7608-12
UCF_GROUPS = r'^([^_]+)_'
MERGES = ('Golf-Swing=Golf-Swing-*', 'Kicking=Kicking-*')


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line, prepare, print what was written."""
    parser = argparse.ArgumentParser(description='Make the tables of an anomaly detector.')
    add = parser.add_argument
    add('source', metavar='SOURCE', type=Path, help='folder with a folder for each class')
    add('out', metavar='OUT', type=Path, help='folder to write')
    add('--normal-classes', metavar='NAME', nargs='+', help='by default all but the anomalies')
    add(
        '--anomaly-classes',
        metavar='NAME',
        nargs='+',
        help=f'by default all but the normal ones; of UCF Sports {", ".join(UCF_ANOMALIES)}',
    )
    add(
        '--merge',
        metavar='NAME=PATTERN',
        nargs='*',
        default=MERGES,
        help=f'folders that are one class, by default {" ".join(MERGES)}',
    )
    add(
        '--group-pattern',
        metavar='REGEX',
        help='finds the recording in the name of a file, by its first parenthesis; by default each '
        f"file is one, of UCF Sports {UCF_GROUPS!r}; '' for each file there too",
    )
    add('--val-share', type=float, default=0.2, help='share of each class in val, 0.2')
    add('--test-share', type=float, default=0.2, help='share of each class in test, 0.2')
    add('--train-clips', type=int, default=200, help='clips of a class in train; 0: as there are')
    add('--val-clips', type=int, default=0, help='clips of a class in val; 0: as there are')
    add('--augment', nargs='+', choices=KINDS, default=KINDS, help='how clips may be multiplied')
    add('--seed', type=int, default=0, help='of the split and the augmentations')
    add('--workers', metavar='N', type=int, default=os.cpu_count() or 1, help='threads')
    args = parser.parse_args(argv)
    _check_options(args)
    prepare(args)


def prepare(args: argparse.Namespace) -> None:
    """Find the videos, convert, split, balance, write."""
    root = find_root(args.source)
    folders = {p.name: p for p in sorted(root.iterdir()) if p.is_dir() and p.name[0] not in '._'}
    is_ucf = bool(folders) and folders.keys() <= UCF_SPORTS
    merged = merge_classes(folders, args.merge)
    names = sorted(set(merged.values()))
    anomalies = args.anomaly_classes
    if is_ucf and anomalies is None and args.normal_classes is None:
        anomalies = [name for name in UCF_ANOMALIES if name in names]
    normal, anomalies = choose_classes(names, normal=args.normal_classes, anomalies=anomalies)
    default = UCF_GROUPS if is_ucf else ''
    pattern = default if args.group_pattern is None else args.group_pattern
    if is_ucf and args.group_pattern is None:
        print("UCF Sports: a recording stays in one part; --group-pattern '' splits by file")

    chosen = {name: merged[name] for name in folders if merged[name] in {*normal, *anomalies}}
    videos = {p: chosen[name] for name in chosen for p in list_files(folders[name])}
    dropped = [
        (str(folder), chosen[name], 'no video is in this folder')
        for name in chosen
        for folder in find_empty(folders[name])
    ]
    paths, problems = convert_all(videos, root, args.out, workers=args.workers)
    dropped += [(str(video), videos[video], problem) for video, problem in problems.items()]
    write_table(args.out / 'dropped.csv', ('PATH', 'CLASS', 'PROBLEM'), dropped)
    for place, _, problem in dropped:
        print(f'dropped {place}: {problem}')

    clips = [
        Clip(path, videos[video], find_group(video, path, pattern)) for video, path in paths.items()
    ]
    ordinary = [clip for clip in clips if clip.class_name in normal]
    parts = split_groups(ordinary, args.val_share, args.test_share, seed=args.seed)
    by_part = {part: [c for c in ordinary if parts[c.group] == part] for part in SUBSETS[:3]}
    _check_parts(by_part, source=args.source)
    labels = {name: label for label, name in enumerate((*normal, *anomalies))}
    wanted = {'train': args.train_clips, 'val': args.val_clips, 'test': 0, 'anomaly': 0}
    by_part['anomaly'] = [clip for clip in clips if clip.class_name in anomalies]
    counts: Counter[tuple[str, str]] = Counter()
    for part, members in by_part.items():
        rows = []
        for name in labels:
            same = [clip for clip in members if clip.class_name == name]
            for clip, augment in balance(same, wanted[part], kinds=args.augment, seed=args.seed):
                rows.append((clip.path, labels[name], name, clip.group, augment))
                counts[part, name] += 1
        target = args.out / f'{part}.csv'
        target.unlink(missing_ok=True)
        if rows:
            write_table(target, COLUMNS, rows)
    describe(by_part, counts, labels)
    warn_of_few({clip.group for clip in by_part['val']})
    print(f'{len(clips):,} videos in {args.out}, {len(dropped):,} dropped, listed in dropped.csv')


def find_root(source: Path) -> Path:
    """Go into the folders that the archive of UCF Sports wraps around its classes.

    Raises:
        FileNotFoundError: If there is no such folder.
    """
    if not source.is_dir():
        raise FileNotFoundError(f'SOURCE must be a folder of class folders, got {source}')
    for name in WRAPPERS:
        if (source / name).is_dir():
            return find_root(source / name)
    return source.absolute()


def merge_classes(folders: Iterable[str], merges: Sequence[str]) -> dict[str, str]:
    """Name the class of each folder: its own name, or NAME of the first NAME=PATTERN it matches."""
    pairs = [merge.partition('=')[::2] for merge in merges]
    if not all(name and pattern for name, pattern in pairs):
        raise ValueError(f'--merge must be NAME=PATTERN, got {" ".join(merges)}')
    return {
        folder: next((name for name, p in pairs if fnmatchcase(folder, p)), folder)
        for folder in folders
    }


def choose_classes(
    names: Sequence[str], *, normal: Sequence[str] | None, anomalies: Sequence[str] | None
) -> tuple[list[str], list[str]]:
    """Divide the classes; spelling is told apart by letters and digits alone.

    Raises:
        ValueError: If nothing says which are normal, a name is no class or in both, or none is
            normal.
    """
    if normal is None and anomalies is None:
        raise ValueError(
            '--normal-classes or --anomaly-classes must be given for a folder that is not UCF '
            f'Sports, got neither; the classes are {", ".join(names) or "none"}'
        )
    known = {_simplify(name): name for name in names}
    found: list[list[str]] = []
    for option, wanted in (('--normal-classes', normal), ('--anomaly-classes', anomalies)):
        unknown = [name for name in wanted or () if _simplify(name) not in known]
        if unknown:
            raise ValueError(
                f'{option} must name classes, got {", ".join(unknown)}; the classes are '
                f'{", ".join(names) or "none"}'
            )
        found.append(sorted({known[_simplify(name)] for name in wanted or ()}))
    normal_names, anomaly_names = found
    if normal is None:
        normal_names = [name for name in names if name not in anomaly_names]
    elif anomalies is None:
        anomaly_names = [name for name in names if name not in normal_names]
    both = set(normal_names) & set(anomaly_names)
    if both or not normal_names:
        raise ValueError(
            'a class at least must be normal, and none an anomaly too, got '
            f'{len(normal_names)} normal, {", ".join(sorted(both)) or "none"} in both'
        )
    return normal_names, anomaly_names


def find_empty(folder: Path) -> list[Path]:
    """The folder itself if no video is below it, or else those of its folders where none is."""
    if not list_files(folder):
        return [folder]
    return [p for p in sorted(folder.iterdir()) if p.is_dir() and not list_files(p)]


def convert_all(
    videos: Iterable[Path], root: Path, out: Path, *, workers: int
) -> tuple[dict[Path, str], dict[Path, str]]:
    """Check each video, and convert what is not MP4.

    Returns:
        PATH of each that is good, and what is wrong with each of the others.
    """
    paths: dict[Path, str] = {}
    problems: dict[Path, str] = {}
    targets: dict[Path, Path | None] = {}
    for video in videos:
        target = Path('videos', video.relative_to(root)).with_suffix('.mp4')
        if target in targets.values():
            target = target.with_name(f'{video.name}.mp4')
        targets[video] = None if video.suffix.lower() == '.mp4' else target

    def work(video: Path) -> str:
        target = targets[video]
        return find_problem(video) if target is None else convert(video, out / target)

    with ThreadPoolExecutor(workers) as pool:
        try:
            done = track(
                pool.map(work, targets), 'videos', total=len(targets), console=Console(stderr=True)
            )
            for video, problem in zip(targets, done, strict=True):
                if problem:
                    problems[video] = problem
                else:
                    paths[video] = (targets[video] or video).as_posix()
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
            raise
    return paths, problems


def find_problem(path: Path) -> str:
    """Tell what is wrong with a video, '' if it is good."""
    try:
        index = scan_video(path)
        if index.info.num_frames < 2:
            return f'a video must have 2 frames at least, got {index.info.num_frames}'
        read_frames(path, [0, index.info.num_frames - 1])
    except (VideoError, OSError) as error:
        return str(error)
    return index.damage or ''


def convert(source: Path, target: Path) -> str:
    """Write a video as MP4, unless that was done; tell what is wrong with it, '' if it is good."""
    if problem := find_problem(source):
        return problem
    if target.is_file() and target.stat().st_mtime >= source.stat().st_mtime:
        return ''
    index = scan_video(source)
    numbers = np.arange(index.info.num_frames)
    try:
        times_s = list_irregular(index.times_s, index.info.fps)
        with VideoWriter(target, fps=index.info.fps, times_s=times_s) as writer:
            for frame in choose_decoder(None)(index, numbers):
                writer.write(frame.image)
            if writer.num_frames < len(numbers):
                raise VideoError(f'only {writer.num_frames} of {len(numbers)} frames are good')
    except VideoError as error:
        return str(error)
    return ''


def find_group(video: Path, path: str, pattern: str) -> str:
    """Name the recording that a video is a part of: itself, unless the pattern finds another."""
    match = re.search(pattern, video.name) if pattern else None
    return (match[1] if match.re.groups else match[0]) if match else path


def describe(
    by_part: Mapping[str, Sequence[Clip]],
    counts: Mapping[tuple[str, str], int],
    labels: Mapping[str, int],
) -> None:
    """Print how many clips of how many videos each class has, and what it lacks."""
    for name in labels:
        videos = {p: [c for c in clips if c.class_name == name] for p, clips in by_part.items()}
        shown = [f'{p} {counts[p, name]} clips of {len(v)} videos' for p, v in videos.items() if v]
        print(f'{name}: {", ".join(shown) or "no video"}')
        lacks = [part for part in ('val', 'test') if not videos[part]]
        if lacks and videos['train']:
            num_groups = len({clip.group for clips in videos.values() for clip in clips})
            print(
                f'  of {num_groups} recordings none is left for {" and ".join(lacks)}: train comes '
                'first, as a class that the detector never saw is an anomaly to it, then val'
            )


def warn_of_few(recordings: Set[str]) -> None:
    """Say at once if a detector that is calibrated on them could not raise an alarm."""
    number, needed = len(recordings), count_needed(USUAL_RATE)
    if number < needed:
        lowest = math.ceil(100 / (number + 1)) / 100
        print(
            f'val has {number} normal recordings, and a false-alarm rate of {USUAL_RATE:g} needs '
            f'{needed}: no clip would be an alarm; give more videos or a larger --val-share, with '
            '--train-clips 0 where few are left to train on, or train with --cfg-options '
            f'model.false_alarm_rate={min(lowest, 0.99):g}'
        )


def _check_options(args: argparse.Namespace) -> None:
    val, test = args.val_share, args.test_share
    if val <= 0 or test < 0 or val + test >= 1:
        raise ValueError(
            '--val-share must be above 0, --test-share at least 0, their sum below 1, got '
            f'--val-share {val} --test-share {test}'
        )
    for name, least in (('train_clips', 0), ('val_clips', 0), ('workers', 1)):
        if getattr(args, name) < least:
            option = f'--{name.replace("_", "-")}'
            raise ValueError(f'{option} must be at least {least}, got {getattr(args, name)}')
    try:
        re.compile(args.group_pattern or '')
    except re.error as error:
        raise ValueError(
            f'--group-pattern must be a regular expression, got {args.group_pattern!r}: {error}'
        ) from error


def _check_parts(by_part: Mapping[str, Sequence[Clip]], *, source: Path) -> None:
    num_groups = len({clip.group for clips in by_part.values() for clip in clips})
    for part in ('train', 'val'):
        if not by_part[part]:
            raise ValueError(
                f'{part} must have a normal video at least, got none of {num_groups} recordings in '
                f'{source}; give more videos, or another --group-pattern'
            )


def _simplify(name: str) -> str:
    return re.sub('[^a-z0-9]', '', name.casefold())


if __name__ == '__main__':
    main()
