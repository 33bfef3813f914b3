"""Turn keypoint files of one format into another, so that other programs read them, and back.

SOURCE is a folder of our JSON or of `.npy` files (`root/class/*.json`, see
`projects/pose_sequence/sequence_files.py`), a pose pickle of MMAction2 (`.pkl`), or a file of COCO
keypoints (`.json`). TARGET depends on --to:

    mmaction: a pose pickle, which MMAction2's PoseDataset reads for PoseC3D and ST-GCN
    coco: a folder with a file of COCO keypoints for each video
    json: a folder `TARGET/class/*.json`

Example:
    python tools/data/convert_keypoints.py data/poses poses.pkl --to mmaction
"""

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

# the checkout in place of this folder, so that nothing needs to be installed
sys.path[0] = str(Path(__file__).resolve().parents[2])

from mmotion.keypoints.arrays import read_mmaction_pickle, write_mmaction_pickle  # noqa: E402
from mmotion.keypoints.coco import read_coco, write_coco  # noqa: E402
from mmotion.keypoints.files import write_poses  # noqa: E402
from mmotion.keypoints.poses import PoseVideo  # noqa: E402
from mmotion.keypoints.skeletons import COCO17, SKELETONS, Skeleton  # noqa: E402
from mmotion.paths import enable_projects  # noqa: E402

enable_projects()

from projects.pose_sequence.sequence_files import list_sequences, read_sequence  # noqa: E402

USAGE_ERROR = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, convert, print what was written.

    Returns:
        0 if all is well, 1 if some files were left out, 2 for a wrong use.
    """
    parser = argparse.ArgumentParser(description='Turn keypoint files into another format.')
    parser.add_argument('source', metavar='SOURCE', type=Path, help='folder, .pkl or COCO .json')
    parser.add_argument('target', metavar='TARGET', type=Path, help='file or folder to write')
    parser.add_argument('--to', required=True, choices=['mmaction', 'coco', 'json'])
    parser.add_argument(
        '--skeleton', choices=[*SKELETONS], help='what points are where a file does not tell'
    )
    args = parser.parse_args(argv)
    skeleton = SKELETONS[args.skeleton] if args.skeleton else None
    try:
        videos, broken = read_source(args.source, skeleton)
        for problem in broken:
            print(f'convert_keypoints.py: left out: {problem}', file=sys.stderr)
        if not videos:
            raise ValueError(
                f'SOURCE must hold a video that can be read, got none in {args.source}'
            )
        if args.to == 'mmaction':
            write_mmaction_pickle([video for _, video in videos], args.target)
        else:
            for name, video in videos:
                path = (args.target / name).with_suffix('.json')
                path.parent.mkdir(parents=True, exist_ok=True)
                (write_coco if args.to == 'coco' else write_poses)(video, path)
    except (ValueError, OSError) as error:
        print(f'convert_keypoints.py: error: {error}', file=sys.stderr)
        return USAGE_ERROR
    print(f'{len(videos):,} videos written to {args.target}, {len(broken):,} left out')
    return 1 if broken else 0


def read_source(
    source: Path, skeleton: Skeleton | None
) -> tuple[list[tuple[str, PoseVideo]], list[str]]:
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


def _name(video: PoseVideo) -> str:
    name = Path(video.source).name
    return f'{video.labels["label"]}/{name}' if 'label' in video.labels else name


if __name__ == '__main__':
    sys.exit(main())
