"""Measure what confidence means, on the generated videos of a config of RepNet.

Drawn to `OUT/reliability.png`, with all numbers in `OUT/reliability.csv`:
    reliability: the share of videos whose rounded count is at most one off (OBO) against the mean
        confidence, in bins of equally many videos. The expected calibration error (ECE) is the mean
        distance between the two. Beside it what a confidence could be, the option
        `confidence_curve` of the counting: sigmoid(slope * certainty + offset), Platt scaling of
        the mean belief in the verdict on each frame, max(p, 1 - p) for a periodicity p. Each video
        is scaled by numbers that are fitted on the others (10 folds).
    histogram: the confidence of videos that are counted right and wrong.
    repeats or not: how well the mean periodicity of a video tells those with a true count of 0
        from the others, as a ROC curve, and where the answer 'nothing repeats' lies on it.

Example:
    mmotion reliability repnet_small --split val --out results
"""

import argparse
from dataclasses import astuple, fields
from pathlib import Path

from mmotion.cli.shared_arguments import add_config_arguments, read_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_config_arguments(parser)
    parser.add_argument(
        '--checkpoint', metavar='CKPT', help='weights; left out: those that ship with the config'
    )
    parser.add_argument('--split', choices=('val', 'test'), default='val', help='default: val')
    parser.add_argument('--bins', metavar='N', type=int, default=10, help='default: 10')
    parser.add_argument(
        '--out', metavar='DIR', type=Path, default=Path('.'), help='folder for the files'
    )
    parser.add_argument('--device', metavar='D', help='cpu, cuda, ...; default: a GPU, if any')


def run(args: argparse.Namespace) -> int:
    """Count, print the figures and write them with the plots."""
    config = read_config(args.config, args.cfg_options)
    from mmotion.inference import load_model
    from mmotion.tables import write_table
    from projects.repnet.commands._calibration import (
        collect_answers,
        describe,
        draw_reliability,
    )

    predictor = load_model(config, args.checkpoint, device=args.device)
    answers = collect_answers(predictor, args.split)
    print('\n'.join(describe(answers, args.bins)))
    title = f'{Path(args.config).stem}, {len(answers.name)} {args.split} videos'
    draw_reliability(answers, args.out / 'reliability.png', num_bins=args.bins, title=title)
    columns = [field.name for field in fields(answers)]
    write_table(args.out / 'reliability.csv', columns, zip(*astuple(answers), strict=True))
    return 0
