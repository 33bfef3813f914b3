r"""Let each class be the anomaly in turn: which backbone and scorer tells it apart?

The videos are `ROOT/class/*`. For a class that is left out, scorers are fitted to clips of the
other classes; then their errors of new normal clips are compared with those of the class left out.
Clips of one group, such as the parts of one recording, are never both fitted to and measured on,
whether normal or not. Of a class with a single group no clip can be new, so it is fitted to, or
left out. A clip is what the `test_pipeline` of a config chooses of a video.

Two controls without any network are measured beside the backbones, on the clips of the first
config: `MeanPixels`, what the picture looks like, and `MotionPlaces`, where it moves. A backbone
that they equal earns nothing on these videos. One whose weights are not there has random ones, and
the table says so.

Files written into the work dir:
    <config>/embeddings/: of all clips, by a config or control; the same command finds them there
    leave_classes_out.csv: a row for each measurement, which is a class and a fold
    leave_classes_out.md: the table that is printed

Example:
    mmotion leave-classes-out data/ucf101 anomaly_folder anomaly_ucf_sports_r2plus1d \
        --group-pattern 'v_[A-Za-z]+_g[0-9]+'
"""

import argparse
from pathlib import Path
from typing import Any

from mmotion.cli.shared_arguments import add_config_options, read_config

# the first one is that of the config, if it has one
SCORERS = ('autoencoder', 'pca', 'knn', 'mahalanobis', 'centroids')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument('root', metavar='ROOT', help='folder with a folder for each class')
    parser.add_argument('configs', metavar='CONFIG', nargs='+', help='one for each backbone')
    parser.add_argument('--scorers', nargs='+', choices=SCORERS, default=SCORERS, metavar='NAME')
    parser.add_argument('--group-pattern', metavar='REGEX', help='finds the group in a file name')
    parser.add_argument('--folds', type=int, default=3, metavar='K', help='default: 3')
    parser.add_argument('--seed', type=int, default=0, metavar='N')
    parser.add_argument('--device', default='cpu', metavar='D')
    add_config_options(parser, what='all configs')
    parser.add_argument('--work-dir', default='work_dirs/leave_classes_out', metavar='DIR')


def run(args: argparse.Namespace) -> int:
    """Measure all backbones and scorers, and write the tables after each backbone."""
    if args.folds < 2:
        raise ValueError(f'--folds must be at least 2, got --folds {args.folds}')
    from mmotion.atomic import write_atomically
    from mmotion.tables import write_table
    from projects.anomaly.commands._measurement import (
        CONTROLS,
        find_videos,
        make_control,
        measure_config,
        summarize,
    )

    root, work_dir = Path(args.root), Path(args.work_dir)
    videos = find_videos(root, args.group_pattern)
    rows: list[dict[str, Any]] = []
    text = ''
    configs = {Path(name).stem: read_config(name, args.cfg_options) for name in args.configs}
    first = next(iter(configs.values()))
    configs |= {name: make_control(first, name) for name in CONTROLS}
    for name, config in configs.items():
        rows += measure_config(
            config,
            name,
            videos,
            root,
            work_dir,
            scorers=args.scorers,
            num_folds=args.folds,
            device=args.device,
            seed=args.seed,
        )
        write_table(work_dir / 'leave_classes_out.csv', [*rows[0]], rows)
        text = summarize(rows)
        with write_atomically(work_dir / 'leave_classes_out.md') as temporary:
            temporary.write_text(text + '\n', encoding='utf-8')
    print(text)
    return 0
