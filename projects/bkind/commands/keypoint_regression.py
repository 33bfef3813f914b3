r"""Measure discovered keypoints against annotated points, by linear regression to them.

The protocol, with %-MSE and PCK, and what must be beaten are described in
projects/bkind/metrics.py; `mmotion test` prints the same of the trained network.

Annotations: DeepLabCut's CollectedData_*.csv or .h5, COCO, or a CSV table, see
projects/bkind/export.py. Their frames are divided into blocks that follow one another, as frames
side by side look alike; each block in turn is tested on the others. With --test-annotations the
first file is fitted and the second one tested. Without annotations the points that the data sets of
the config know themselves are taken: fitted on the training set, tested on the test set.

Example:
    mmotion keypoint-regression bkind_custom --checkpoint CKPT \
        --annotations labeled-data/m4s1/CollectedData_me.csv --video m4s1.mp4
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mmotion.cli.shared_arguments import add_config_arguments, read_config

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from projects.bkind.metrics import Examples

# that of `RegressionFrames`, which is too slow to import for `--help`
MAX_FRAMES = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_config_arguments(parser)
    parser.add_argument('--checkpoint', metavar='CKPT', help='if no weights ship with the config')
    parser.add_argument(
        '--annotations', type=Path, metavar='FILE', help='fitted, and tested by folds'
    )
    parser.add_argument('--video', type=Path, help='of --annotations with numbers of frames')
    parser.add_argument('--test-annotations', type=Path, metavar='FILE', help='tested instead')
    parser.add_argument('--test-video', type=Path, metavar='VIDEO', help='of these')
    parser.add_argument('--folds', type=int, default=5, help='blocks of frames; default: 5')
    parser.add_argument('--gap', type=int, default=20, help='frames, for the centroid; default: 20')
    parser.add_argument(
        '--max-frames', type=int, default=MAX_FRAMES, help=f'of a data set; default: {MAX_FRAMES}'
    )
    parser.add_argument('--out', type=Path, metavar='FILE', help='a .csv for the table')
    parser.add_argument('--device', metavar='D', help='cpu, cuda, ...; default: a GPU, if any')


def run(args: argparse.Namespace) -> int:
    """Print the report, and write the table if wanted."""
    config = read_config(args.config, args.cfg_options)
    from mmotion.tables import write_table
    from projects.bkind.labeled_data import RegressionFrames
    from projects.bkind.metrics import (
        PCK_THRESHOLDS,
        collect_annotated,
        collect_known,
        evaluate_blocks,
        evaluate_split,
        load_predictors,
        summarize,
    )

    predictors = load_predictors(config, args.checkpoint, args.device)
    if args.annotations is None:
        known = config.test_dataloader.dataset
        parts = (config.train_dataloader.dataset, known)
        if known.type == RegressionFrames.__name__:
            parts = (known.fitted, known.tested)
        fitted, tested = (collect_known(part, predictors, args.max_frames) for part in parts)
    else:
        fitted = collect_annotated(args.annotations, args.video, predictors, args.gap)
        tested = None
        if args.test_annotations is not None:
            tested = collect_annotated(args.test_annotations, args.test_video, predictors, args.gap)
    num_fitted = len(fitted.points)
    if tested is None:
        distances = evaluate_blocks(fitted, args.folds)
        num_fitted -= num_fitted // args.folds
    else:
        distances = evaluate_split(fitted, tested)
    print('\n'.join(describe(distances, fitted, num_fitted)))
    if args.out:
        columns = ['method', 'percent_mse', *(f'pck_{a:g}' for a in PCK_THRESHOLDS)]
        rows = (
            [method, *(f'{value:.5f}' for value in summarize(values))]
            for method, values in distances.items()
        )
        write_table(args.out, columns, rows)
    return 0


def describe(
    distances: 'Mapping[str, NDArray[np.float64]]', examples: 'Examples', num_fitted: int
) -> list[str]:
    """The lines of the report."""
    from projects.bkind.metrics import PCK_THRESHOLDS, TRAINED, measure_by_point, summarize

    num_frames = len(next(iter(distances.values())))
    lines = [
        f'{len(examples.names)} annotated points; {num_frames} frames tested, about {num_fitted} '
        'fitted, without bias',
        f'{"":28} keypoints  %-MSE  ' + '  '.join(f'PCK@{a:g}' for a in PCK_THRESHOLDS),
    ]
    for method, values in distances.items():
        error, *shares = summarize(values)
        counts = examples.found[method].shape[1]
        cells = '  '.join(
            f'{share:{len(f"PCK@{a:g}")}.3f}'
            for share, a in zip(shares, PCK_THRESHOLDS, strict=True)
        )
        lines.append(f'{method:28} {counts:9}  {error:5.2f}  {cells}')
    lines.append(f'{TRAINED}, %-MSE by point:')
    by_point = measure_by_point(distances[TRAINED])
    lines += [
        f'  {name:26} {error:5.2f}' for name, error in zip(examples.names, by_point, strict=True)
    ]
    return lines
