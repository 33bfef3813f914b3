"""Turn keypoint files of one format into another, so that other programs read them, and back.

SOURCE is a folder of our JSON or of `.npy` files (`root/class/*.json`, see
`projects/pose_sequence/sequence_files.py`), a pose pickle of MMAction2 (`.pkl`), or a file of COCO
keypoints (`.json`). TARGET depends on --to:

    mmaction: a pose pickle, which MMAction2's PoseDataset reads for PoseC3D and ST-GCN
    coco: a folder with a file of COCO keypoints for each video
    json: a folder `TARGET/class/*.json`

Example:
    mmotion convert-keypoints data/poses poses.pkl --to mmaction
"""

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmotion.keypoints.poses import PoseVideo
    from mmotion.keypoints.skeletons import Skeleton


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mmotion convert-keypoints`."""
    parser.add_argument('source', metavar='SOURCE', type=Path, help='folder, .pkl or COCO .json')
    parser.add_argument('target', metavar='TARGET', type=Path, help='file or folder to write')
    parser.add_argument('--to', required=True, choices=['mmaction', 'coco', 'json'])
    parser.add_argument(
        '--skeleton', metavar='NAME', help='what points are where a file does not tell'
    )


def run(args: argparse.Namespace) -> int:
    """Convert, and print what was written."""
    from mmotion.keypoints.arrays import write_mmaction_pickle
    from mmotion.keypoints.coco import write_coco
    from mmotion.keypoints.files import write_poses
    from mmotion.keypoints.skeletons import SKELETONS

    if args.skeleton and args.skeleton not in SKELETONS:
        raise ValueError(f'--skeleton must be one of {", ".join(SKELETONS)}, got {args.skeleton!r}')
    skeleton = SKELETONS[args.skeleton] if args.skeleton else None
    videos, broken = read_source(args.source, skeleton)
    for problem in broken:
        print(f'mmotion: left out: {problem}', file=sys.stderr)
    if not videos:
        raise ValueError(f'SOURCE must hold a video that can be read, got none in {args.source}')
    if args.to == 'mmaction':
        write_mmaction_pickle([video for _, video in videos], args.target)
    else:
        for name, video in videos:
            path = (args.target / name).with_suffix('.json')
            path.parent.mkdir(parents=True, exist_ok=True)
            (write_coco if args.to == 'coco' else write_poses)(video, path)
    print(f'{len(videos):,} videos written to {args.target}, {len(broken):,} left out')
    return 1 if broken else 0


def read_source(
    source: Path, skeleton: 'Skeleton | None'
) -> 'tuple[list[tuple[str, PoseVideo]], list[str]]':
    """Read videos of any format.

    Args:
        source: Folder or file.
        skeleton: What points are where a file does not tell.

    Returns:
        The videos, each with the name of its file, which begins with its class; and what is wrong
        with the files that cannot be read.

    Raises:
        FileNotFoundError: If there is no such file or folder.
        ValueError: If a single file is not of a format that is read.
    """
    from mmotion.keypoints.arrays import read_mmaction_pickle
    from mmotion.keypoints.coco import read_coco
    from mmotion.keypoints.skeletons import COCO17
    from projects.pose_sequence.sequence_files import list_sequences, read_sequence

    if source.suffix == '.pkl':
        found = read_mmaction_pickle(source, skeleton=skeleton or COCO17)
        return [(_name(video), video) for video in found], []
    if source.is_file():
        return [(source.name, read_coco(source))], []
    videos, broken = [], []
    for file in list_sequences(source):
        try:
            video = read_sequence(file.path, skeleton)
        except (ValueError, OSError) as error:
            broken.append(str(error))
            continue
        if file.label is not None:
            labels = {**video.labels, 'label': file.label}
            video = dataclasses.replace(video, labels=labels)
        videos.append((file.name, video))
    return videos, broken


def _name(video: 'PoseVideo') -> str:
    name = Path(video.source).name
    return f'{video.labels["label"]}/{name}' if 'label' in video.labels else name
