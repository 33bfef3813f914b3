"""Which keypoint files a data set has, with their labels and groups, and what a file holds.

Layouts of files and labels:
    folder: `root/class/*.json`, at any depth below the class; or `root/*.json`, where the class is
        the field `label` of the file's `labels`.
    CSV: with the columns `path,label[,group]`.
    list: without a header, a line a file: `path label`, or the path alone, where the class is the
        field of the file as above.
Paths in a CSV or list are below the root or absolute. A file is JSON, `mmotion.keypoints.files`,
an array as in `mmotion.keypoints.arrays.read_pose_array`, or DeepLabCut's `.csv` or `.h5`,
`mmotion.keypoints.deeplabcut`; of a `.csv` and a `.h5` with one name a folder gives the first.
"""

import itertools
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmotion.keypoints.arrays import read_pose_array
from mmotion.keypoints.deeplabcut import DEEPLABCUT_SUFFIXES, HDF5_SUFFIXES, read_deeplabcut
from mmotion.keypoints.files import read_poses
from mmotion.keypoints.poses import PoseVideo
from mmotion.keypoints.skeletons import SKELETONS, Skeleton
from mmotion.tables import read_table, read_text, unquote
from mmotion.video.files import find_named, list_files

ARRAY_SUFFIX = '.npy'
# of files that do not tell their frames per second
RATELESS_SUFFIXES = (ARRAY_SUFFIX, *DEEPLABCUT_SUFFIXES)
SUFFIXES = ('.json', *RATELESS_SUFFIXES)


class SequenceFile(NamedTuple):
    """A file of keypoints, and what is known without opening it.

    Attributes:
        path: Where it is.
        name: Its path below the root, with slashes.
        label: Name of its class, None if only the file itself can tell it.
        group: What it must stay together with, None as above.
    """

    path: Path
    name: str
    label: str | None = None
    group: str | None = None


def list_sequences(data_root: str | Path = '', ann_file: str | Path = '') -> list[SequenceFile]:
    """Find the files of any layout, sorted by their names, whatever order a list has.

    Args:
        data_root: Folder of the files.
        ann_file: CSV or list; '' for a folder.

    Raises:
        FileNotFoundError: If the folder or list is not there, or names no file.
        ValueError: If a line is not as described, or a file is there twice.
    """
    root = Path(data_root).expanduser()
    files = _read_list(Path(ann_file).expanduser(), root) if ann_file else _read_folder(root)
    if not files:
        raise FileNotFoundError(
            f'{"ann_file" if ann_file else "data_root"} must have keypoint files '
            f'({", ".join(SUFFIXES)}), got {ann_file or root}, which has none; extract them with '
            'mmotion extract-keypoints'
        )
    files.sort(key=lambda file: file.name)
    for one, other in itertools.pairwise(files):
        if one.name == other.name:
            raise ValueError(f'a file must be named once, got {one.name} twice in {ann_file}')
    return files


def read_sequence(
    path: Path, skeleton: Skeleton | None = None, fps: float | None = None
) -> PoseVideo:
    """Read a file of keypoints.

    Args:
        path: A file with one of `SUFFIXES`.
        skeleton: What it must have; None takes that of the file, which a `.npy` one has not.
        fps: Frames per second of a file that does not tell it; JSON does.

    Raises:
        OSError: If it cannot be opened.
        ValueError: If it is broken, has another skeleton, or what it does not tell is not given.
        ImportError: If it is HDF5 and h5py is not installed.
    """
    if path.suffix.lower() in DEEPLABCUT_SUFFIXES:
        if fps is None:
            raise ValueError(
                'fps must be given for files of DeepLabCut, which do not tell it, got '
                f'fps={fps} for {path}'
            )
        return read_deeplabcut(path, fps=fps, skeleton=skeleton)
    if path.suffix.lower() == ARRAY_SUFFIX:
        if skeleton is None or fps is None:
            raise ValueError(
                'skeleton and fps must be given for arrays, which do not tell them, got '
                f'skeleton={skeleton and skeleton.name} and fps={fps} for {path}; skeleton is one '
                f'of {", ".join(SKELETONS)} or a JSON file with name, points and edges'
            )
        return read_pose_array(path, skeleton=skeleton, fps=fps)
    video = read_poses(path)
    if skeleton is not None and video.skeleton.points != skeleton.points:
        raise ValueError(
            f'{path}: skeleton must be {skeleton.name!r} with {skeleton.num_points} points, as in '
            f'the rest, got {video.skeleton.name!r} with {video.skeleton.num_points}; extract all '
            'videos with one detector'
        )
    return video


def take_main_track(video: PoseVideo) -> dict[str, Any]:
    """Describe the main person of a video in the words of `projects.pose_sequence.transforms`.

    Returns:
        `keypoints` (T, K, 2), `scores` (T, K), `fps`, `width`, `height` and `skeleton`; the steps
        are the frames that were looked at, and `fps` is their rate; where the rate of the video
        varies they are resampled to this one.
    """
    keypoints, scores = video.main_track()
    every = np.median(np.diff(video.frame_indices)) if len(video.frames) > 1 else 1
    track = {'keypoints': keypoints, 'scores': scores, 'fps': float(video.fps / every)}
    if video.frame_times_s is not None:
        # slow to import, and files with an even rate do not need it
        from .transforms import resample

        times_s = video.times_s
        even_s = np.arange(times_s[0], times_s[-1] + 1e-6, 1 / track['fps'])
        track = resample(track, np.interp(even_s, times_s, np.arange(len(times_s))))
    return {
        **track,
        'width': video.width,
        'height': video.height,
        'skeleton': video.skeleton,
    }


def split_groups(
    labels: Sequence[int], groups: Sequence[str], *, val_share: float
) -> NDArray[np.bool_]:
    """Divide sequences so that no group is on both sides and the classes are alike, as can be.

    Args:
        labels: Class of each sequence (N,).
        groups: Group of each sequence (N,).
        val_share: Share of the sequences to hold out, about, in (0, 0.5].

    Returns:
        Whether each sequence is held out (N,); the same groups, whatever the order.

    Raises:
        ValueError: If there is a single group, or no class has two sequences.
    """
    # no more folds than groups, nor than sequences of the largest class
    limits = [len(set(groups)), max(Counter(labels).values())]
    num_folds = min(round(1 / val_share), *limits)
    if num_folds < 2:
        raise ValueError(
            'a split must have two groups and a class with two sequences at least, got '
            f'{limits[0]} and {limits[1]}, group {groups[0]!r} among them; give a group_pattern '
            'that tells the persons, or a group column'
        )
    # slow to import, and a data set that is not split does not need it
    from sklearn.model_selection import StratifiedGroupKFold

    folds = StratifiedGroupKFold(num_folds)
    with warnings.catch_warnings():
        # that a class has fewer sequences than there are folds is no reason to stop
        warnings.filterwarnings('ignore', 'The least populated class')
        parts = [part for _, part in folds.split(np.zeros(len(labels)), labels, groups)]
    # the one whose size is nearest to what is wanted
    wanted = val_share * len(labels)
    part = min(filter(len, parts), key=lambda part: abs(len(part) - wanted))
    is_val = np.zeros(len(labels), dtype=bool)
    is_val[part] = True
    return is_val


def _read_folder(root: Path) -> list[SequenceFile]:
    if not root.is_dir():
        raise FileNotFoundError(
            f'data_root must be a folder of keypoint files, got data_root={root}, which is none; '
            'name root in root/class/*.json, or an ann_file'
        )
    paths = [path.relative_to(root) for path in list_files(root, SUFFIXES)]
    # DeepLabCut writes both
    tables = {path.with_suffix('') for path in paths if path.suffix.lower() == '.csv'}
    paths = [
        path
        for path in paths
        if path.suffix.lower() not in HDF5_SUFFIXES or path.with_suffix('') not in tables
    ]
    return [
        SequenceFile(root / path, path.as_posix(), path.parts[0] if len(path.parts) > 1 else None)
        for path in paths
    ]


def _read_list(ann_file: Path, root: Path) -> list[SequenceFile]:
    if not ann_file.is_file():
        raise FileNotFoundError(f'ann_file must be a CSV or list, got {ann_file}, which is no file')
    lines = read_text(ann_file, what='ann_file must be text in UTF-8').splitlines()
    columns = [column.strip() for column in lines[0].split(',')] if lines else []
    if 'path' in columns:
        unknown = sorted(set(columns) - {'path', 'label', 'group'})
        if unknown:
            raise ValueError(
                f'{ann_file} must have the columns path, label and group, got {", ".join(unknown)}'
            )
        table = read_table(ann_file, columns, what='ann_file', may_be_empty=True)
        rows = [(row.line, [row.text(column) for column in columns]) for row in table]
    else:
        columns = ['path', 'label']
        rows = [
            (i, unquote(line.strip()).rsplit(maxsplit=1))
            for i, line in enumerate(lines, 1)
            if line.strip()
        ]
        if all(row[-1].lower().endswith(SUFFIXES) for _, row in rows):
            columns, rows = ['path'], [(i, [unquote(lines[i - 1].strip())]) for i, _ in rows]
    files = []
    for number, row in rows:
        values = [value.strip() for value in row]
        if len(values) != len(columns) or not all(values):
            raise ValueError(
                f'each line must have {" and ".join(columns)}, got {",".join(values)!r} in line '
                f'{number} of {ann_file}'
            )
        fields = dict(zip(columns, values, strict=True))
        name = fields.pop('path').replace('\\', '/')
        files.append(SequenceFile(find_named(root / name), name, **fields))
    return files
