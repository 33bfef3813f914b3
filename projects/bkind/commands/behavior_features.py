r"""Turn keypoint tracks into features of each frame for a classifier of behaviour.

Reads what `mmotion predict` wrote, a JSON file a video. Writes for each `<stem>.npz`, or .csv:
    features: (N, 6 K): of each keypoint x and y in sizes of the picture, confidence, and the
        covariance of its heat map (var x, var y, cov xy) in the same units
    frames: numbers of the frames (N,)
    names: of the features (6 K), `<keypoint>_x` and so on

With --labels, a baseline learns from some videos which behaviour a frame shows, and is tested on
the others: gradient boosting on the features of a frame and of frames around it, and their speeds.
Its measure is that of CalMS21 (Sun et al., NeurIPS 2021 Datasets and Benchmarks): the average
precision of each behaviour over all frames of the test videos, and their mean (MAP), beside F1;
frames without a behaviour, 'other', are no class of the mean.

Labels: a CSV with the columns video (its stem), start, end (frames, the end not included) and
label; frames between are 'other'. Or CalMS21's JSON (calms21_task1_train.json), whose sequences are
found by the last part of their name.

Example:
    mmotion behavior-features results/*.json --out features \
        --labels labels.csv --test 'mouse07*' 'mouse08*'
"""

import argparse
from fnmatch import fnmatch
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument('tracks', type=Path, nargs='+', metavar='JSON', help='by mmotion predict')
    parser.add_argument(
        '--out', metavar='DIR', type=Path, default=Path('features'), help='default: features'
    )
    parser.add_argument('--csv', action='store_true', help='write .csv instead of .npz')
    parser.add_argument('--labels', type=Path, metavar='FILE', help='.csv, or CalMS21 .json')
    parser.add_argument(
        '--test', nargs='+', default=[], metavar='VIDEO', help='stems, or patterns in quotes'
    )


def run(args: argparse.Namespace) -> int:
    """Write the features, and print the report if there are labels."""
    from mmotion.tables import unify
    from projects.bkind.commands._behaviors import (
        describe,
        make_features,
        read_labels,
        read_tracks,
        try_baseline,
        write_features,
    )

    tracks = {unify(path.stem): read_tracks(path) for path in args.tracks}
    for stem, one in tracks.items():
        write_features(one, args.out / f'{stem}{".csv" if args.csv else ".npz"}')
    print(f'features of {len(tracks)} videos written to {args.out}')
    if args.labels is None:
        return 0
    labels = read_labels(args.labels, tracks)
    features = {stem: make_features(tracks[stem]) for stem in labels}
    tested = [stem for stem in labels if any(fnmatch(stem, name) for name in args.test)]
    results = try_baseline(features, labels, tested)
    print('\n'.join(describe(results, sum(len(labels[stem]) for stem in tested))))
    return 0
