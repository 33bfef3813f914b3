"""Train and test a classifier on each fold of its training data.

How far can its figure be trusted? Folds keep the classes alike, and never part a group, such as the
sequences of one person. `--plain` adds the split that ignores groups, to show how much that one
flatters. Oversampling repeats samples of the training folds alone; a test fold has each of its
samples once.

Files written into the work dir:
    group/repeat_1/fold_1/: a run; `fold.json` tells what it was trained and tested on
    cross_validation.md: the tables that are printed, and what they say in words
    runs.csv, samples.csv: a row for each run; a row for each sample, how often it was wrong
    cross_validation.png: box plots of the runs and of the classes

Start the same command again to go on where it was stopped: a run that is done is not done again.

Example:
    mmotion cross-validate pose_convlstm_json --folds 5 --oversample 20
"""

import argparse
from pathlib import Path

from mmotion.cli.shared_arguments import add_config_arguments, read_config

HOW_TO_GO_ON = '; the same command goes on'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_config_arguments(parser)
    add = parser.add_argument
    add('--folds', metavar='N', type=_count, default=5, help='of a split; default: 5')
    add('--repeats', metavar='N', type=_count, default=1, help='other splits of the same data')
    add(
        '--oversample',
        metavar='N',
        type=_count,
        default=0,
        help='repeat samples of a training fold until each class has N',
    )
    add('--plain', action='store_true', help='show the split that parts groups beside the other')
    add('--work-dir', metavar='DIR', type=Path, help='folder of the runs and the report')


def run(args: argparse.Namespace) -> int:
    """Run the folds, print what they say."""
    config = read_config(args.config, args.cfg_options)
    missing = [k for k in ('train_dataloader', 'test_dataloader') if not config.get(k)]
    if missing:
        raise ValueError(
            f'CONFIG must train and test a classifier, got one without {", ".join(missing)}'
        )
    from projects.pose_sequence.commands._fold_report import write_report
    from projects.pose_sequence.commands._folds import (
        cross_validate,
        list_samples,
        whole_training_data,
    )

    name = Path(config.filename or 'run').stem
    work_dir = args.work_dir or Path('work_dirs') / f'{name}_cross_validation'
    samples = list_samples(whole_training_data(config))
    runs = cross_validate(
        config,
        samples,
        work_dir,
        num_folds=args.folds,
        repeats=args.repeats,
        minimum=args.oversample,
        plain=args.plain,
    )
    print(write_report(runs, samples.classes, work_dir))
    return 0


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f'must be a whole number from 1 on, got {text!r}')
    return int(text)
