"""Turn keypoint files of one format into another, so that other programs read them, and back.

SOURCE is a folder of our JSON, of `.npy` files or of DeepLabCut's `.csv` or `.h5`
(`root/class/*.json`, see `projects/pose_sequence/sequence_files.py`), one file of these but ours, a
pose pickle of MMAction2 (`.pkl`), or a file of COCO keypoints (`.json`). TARGET depends on --to:

    mmaction: a pose pickle, which MMAction2's PoseDataset reads for PoseC3D and ST-GCN
    coco: a folder with a file of COCO keypoints for each video
    json: a folder `TARGET/class/*.json`

Files are named after the videos; of videos with one name the second gets `-2` at its end. TARGET
must not be what is read.

Example:
    mmotion convert-keypoints data/poses poses.pkl --to mmaction
    mmotion convert-keypoints mouseDLC_resnet50.csv data/poses --to json --fps 30
"""

import argparse
import dataclasses
import itertools
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmotion.keypoints.poses import PoseVideo
    from mmotion.keypoints.skeletons import Skeleton


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mmotion convert-keypoints`."""
    parser.add_argument(
        'source',
        metavar='SOURCE',
        type=Path,
        help='folder, .pkl, COCO .json, or .csv or .h5 of DeepLabCut',
    )
    parser.add_argument('target', metavar='TARGET', type=Path, help='file or folder to write')
    parser.add_argument('--to', required=True, choices=['mmaction', 'coco', 'json'])
    parser.add_argument(
        '--skeleton',
        metavar='NAME',
        help='what points are where a file does not tell: coco17 or another name, or a JSON file '
        'with name, points and edges',
    )
    parser.add_argument(
        '--fps', type=float, metavar='F', help='frames per second where a file does not tell it'
    )


def run(args: argparse.Namespace) -> int:
    """Convert, and print what was written."""
    from mmotion.checks import check_fps
    from mmotion.keypoints.arrays import write_mmaction_pickle
    from mmotion.keypoints.coco import write_coco
    from mmotion.keypoints.files import find_skeleton, write_poses

    if args.fps is not None:
        check_fps(args.fps)
    skeleton = find_skeleton(args.skeleton) if args.skeleton else None
    videos, broken = read_source(args.source, skeleton, args.fps)
    for problem in broken:
        print(f'mmotion: left out: {problem}', file=sys.stderr)
    if not videos:
        raise ValueError(f'SOURCE must hold a video that can be read, got none in {args.source}')
    if args.to == 'mmaction':
        _check_target([args.target], args.source)
        write_mmaction_pickle([video for _, video in videos], args.target)
    else:
        paths = _name_files([name for name, _ in videos], args.target)
        _check_target(paths, args.source)
        for path, (_, video) in zip(paths, videos, strict=True):
            (write_coco if args.to == 'coco' else write_poses)(video, path)
    print(f'{len(videos):,} videos written to {args.target}, {len(broken):,} left out')
    return 1 if broken else 0


def read_source(
    source: Path, skeleton: 'Skeleton | None', fps: float | None = None
) -> 'tuple[list[tuple[str, PoseVideo]], list[str]]':
    """Read videos of any format.

    Args:
        source: Folder or file.
        skeleton: What points are where a file does not tell.
        fps: Frames per second where a file does not tell it.

    Returns:
        The videos, each with the name for its file, without a suffix, which begins with its class;
        and what is wrong with the files that cannot be read.

    Raises:
        FileNotFoundError: If there is no such file or folder.
        ValueError: If a single file is not of a format that is read.
    """
    from mmotion.keypoints.arrays import read_mmaction_pickle
    from mmotion.keypoints.coco import read_coco
    from mmotion.keypoints.skeletons import COCO17
    from projects.pose_sequence.sequence_files import (
        RATELESS_SUFFIXES,
        list_sequences,
        read_sequence,
    )

    if source.suffix == '.pkl':
        found = read_mmaction_pickle(source, skeleton=skeleton or COCO17, fps=fps)
        return [(_name(video), video) for video in found], []
    if source.is_file() and source.suffix.lower() in RATELESS_SUFFIXES:
        return [(source.stem, read_sequence(source, skeleton, fps))], []
    if source.is_file():
        return [(source.stem, read_coco(source, fps=fps))], []
    videos, broken = [], []
    for file in list_sequences(source):
        try:
            video = read_sequence(file.path, skeleton, fps)
        except (ValueError, OSError) as error:
            broken.append(str(error))
            continue
        if file.label is not None:
            labels = {**video.labels, 'label': file.label}
            video = dataclasses.replace(video, labels=labels)
        videos.append((str(Path(file.name).with_suffix('')), video))
    return videos, broken


def _name(video: 'PoseVideo') -> str:
    """The class and the name of a video, without the suffix of videos and keypoints.

    Raises:
        ValueError: If the class cannot be the name of a folder.
    """
    from mmotion.video.files import VIDEO_SUFFIXES

    path = Path(video.source)
    name = path.stem if path.suffix.lower() in (*VIDEO_SUFFIXES, '.json', '.npy') else path.name
    label = video.labels.get('label')
    if label is None:
        return name or 'video'
    if label in ('', '.', '..') or {'/', '\\', '\0'} & set(label):
        raise ValueError(
            f'label must be the name of a folder, got label={label!r} of {video.source}; rename '
            'the class'
        )
    return f'{label}/{name or "video"}'


def _name_files(names: list[str], target: Path) -> list[Path]:
    """A file of its own for each video, also where small and large letters are the same."""
    taken: set[str] = set()
    paths = []
    for name in names:
        numbered = (f'{name}-{number}' for number in itertools.count(2))
        free = next(n for n in itertools.chain([name], numbered) if n.casefold() not in taken)
        taken.add(free.casefold())
        paths.append(target / f'{free}.json')
    return paths


def _check_target(paths: list[Path], source: Path) -> None:
    """Refuse to write over what was read.

    Raises:
        ValueError: If a file to write is one of the source.
    """
    read = {source.resolve()} if source.is_file() else {p.resolve() for p in source.rglob('*.*')}
    over = next((path for path in paths if path.resolve() in read), None)
    if over is not None:
        raise ValueError(
            f'TARGET must be another place than SOURCE, got {over}, which would be written over'
        )
