"""Measure discovered keypoints against annotated points, by linear regression to them.

The protocol, with %-MSE and PCK, and what must be beaten are described in
projects/bkind/metrics.py; `mmotion test` prints the same of the trained network.

Annotations: DeepLabCut's CollectedData_*.csv or .h5, COCO, or a CSV table, see
projects/bkind/export.py. Their frames are divided into blocks that follow one another, as frames
side by side look alike; each block in turn is tested on the others. With --test-annotations the
first file is fitted and the second one tested. Without annotations the points that the data sets of
the config know themselves are taken: fitted on the training set, tested on the test set.

Example:
    python tools/analysis/keypoint_regression.py bkind_custom --checkpoint CKPT
        --annotations labeled-data/m4s1/CollectedData_me.csv --video m4s1.mp4
"""

import argparse
import csv
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from mmengine.config import DictAction
from numpy.typing import NDArray

# the checkout, so that nothing needs to be installed
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmotion.atomic import write_atomically
from mmotion.config import load_config
from projects.bkind.labeled_data import MAX_FRAMES, RegressionFrames
from projects.bkind.metrics import (
    PCK_THRESHOLDS,
    TRAINED,
    Examples,
    collect_annotated,
    collect_known,
    evaluate_blocks,
    evaluate_split,
    load_predictors,
    measure_by_point,
    summarize,
)


def describe(
    distances: Mapping[str, NDArray[np.float64]], examples: Examples, num_fitted: int
) -> list[str]:
    """The lines of the report."""
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


def write_table(distances: Mapping[str, NDArray[np.float64]], path: Path) -> None:
    """Write a row a method: %-MSE and PCK."""
    with (
        write_atomically(path) as temporary,
        temporary.open('w', encoding='utf-8', newline='') as file,
    ):
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(['method', 'percent_mse', *(f'pck_{a:g}' for a in PCK_THRESHOLDS)])
        for method, values in distances.items():
            writer.writerow([method, *(f'{value:.5f}' for value in summarize(values))])


def main() -> None:
    """Print the report, and write the table if wanted."""
    parser = argparse.ArgumentParser(
        description='Regress discovered keypoints to annotated points.'
    )
    parser.add_argument('config', metavar='CONFIG')
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
    parser.add_argument('--device', metavar='D')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, default={}, metavar='KEY=VALUE'
    )
    args = parser.parse_args()
    config = load_config(args.config, args.cfg_options)
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
        write_table(distances, args.out)


if __name__ == '__main__':
    main()
