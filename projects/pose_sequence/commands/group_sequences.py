"""Group keypoint sequences by where the person stands, if nobody noted who they are.

Sequences of one person at one place before one camera are nearly copies of each other; if some are
trained on and others tested on, the figure says little about anybody else. Where names or tables
do not tell the persons, this finds what was recorded in one go: two sequences are of one group if
half of the points have, in the median over time, the same place in the picture up to --distance
sizes of the person, or if a chain of such sequences joins them. That is no proof of one person: a
person who moves to another place makes another group.

Written to OUT: a CSV with the columns path, label and group, which `KeypointSequenceDataset` takes
as its `ann_file`; labels are the folders below ROOT or the field `label` of the files.

Example:
    mmotion group-sequences data/poses data/poses/groups.csv --skeleton openpose18
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DISTANCE = 0.1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add = parser.add_argument
    add('root', metavar='ROOT', help='folder of keypoint files')
    add('out', metavar='OUT', type=Path, help='CSV to write')
    add(
        '--skeleton',
        metavar='NAME',
        help='what the points of .npy files are: openpose18 or another name, or a JSON file',
    )
    add('--distance', type=float, default=DISTANCE, help=f'in sizes of the person, {DISTANCE}')


def run(args: argparse.Namespace) -> int:
    """Read the sequences, group them, write the table."""
    from mmotion.tables import write_table
    from projects.pose_sequence.data import KeypointSequenceDataset

    # where somebody stands does not depend on the rate
    data = KeypointSequenceDataset(
        pipeline=[], data_root=args.root, skeleton=args.skeleton, fps=1.0
    )
    sequences = [data.get_data_info(i) for i in range(len(data))]
    groups = group_by_place(
        [sequence['keypoints'] for sequence in sequences], distance=args.distance
    )
    classes = data.metainfo['classes']
    rows = (
        (sequence['name'], classes[sequence['label']], f'place_{group:03d}')
        for sequence, group in zip(sequences, groups, strict=True)
    )
    write_table(args.out, ['path', 'label', 'group'], rows)
    print(f'{len(sequences)} sequences in {max(groups) + 1} groups, written to {args.out}')
    return 0


def group_by_place(sequences: 'Sequence[NDArray[np.float32]]', *, distance: float) -> list[int]:
    """Number the groups of sequences in which a person stands at one place.

    Args:
        sequences: Keypoints (T, K, 2) of each, T may differ; NaN where missing.
        distance: How far half of the points may lie apart, in sizes of the smaller person.

    Returns:
        A number for each sequence, from 0 on in their order.

    Raises:
        ValueError: If `distance` is not above 0.
    """
    import numpy as np
    from scipy.sparse.csgraph import connected_components

    from projects.pose_sequence.transforms import find_size

    if not distance > 0:
        raise ValueError(f'distance must be above 0, got distance={distance}')
    places = np.ma.stack([np.ma.median(np.ma.masked_invalid(s), axis=0) for s in sequences])
    sizes = np.array([find_size(keypoints) for keypoints in sequences])
    apart = np.ma.sqrt(np.ma.sum((places[:, None] - places[None]) ** 2, axis=-1))
    apart = np.ma.median(apart, axis=-1) / np.minimum(sizes[:, None], sizes)
    # false where two have no point in common
    together = np.ma.filled(apart <= distance, False)
    _, groups = connected_components(together)
    order = list(dict.fromkeys(groups.tolist()))
    return [order.index(group) for group in groups]
