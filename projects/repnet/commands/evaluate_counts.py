r"""Compare a trained RepNet with counts that were made by eye.

The table of counts has a row for each stretch of an ordinary video: `file` (beside the table),
`start_s`, `end_s`, `count`. Two protocols:
    trimmed: each stretch is cut out and counted by itself
    untrimmed: each video is counted whole, pauses and talk included, and compared with the sum of
        its rows, which must not overlap
A video that cannot be read is left out and named at the end.

Example:
    mmotion evaluate-counts repnet_small videos/counts.csv \
        --untrimmed --baselines --out results --draw
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument('config', metavar='CONFIG', help='a file, or the name of a bundled config')
    parser.add_argument(
        'table', metavar='TABLE', type=Path, help='CSV with columns file, start_s, end_s, count'
    )
    parser.add_argument(
        '--checkpoint', metavar='CKPT', help='weights; left out: those that ship with the config'
    )
    parser.add_argument('--untrimmed', action='store_true', help='count whole videos as well')
    parser.add_argument('--baselines', action='store_true', help='count by autocorrelation as well')
    parser.add_argument(
        '--out', metavar='DIR', type=Path, help='folder for the tables, .md and .csv'
    )
    parser.add_argument('--draw', action='store_true', help='plot each clip into the folder')
    parser.add_argument('--device', metavar='D', help='cpu, cuda, ...; default: a GPU, if any')


def run(args: argparse.Namespace) -> int:
    """Count by each protocol, print the tables and write them.

    Returns:
        0, or 1 if a clip was left out.
    """
    if args.draw and args.out is None:
        raise ValueError('--draw must come with --out DIR, the folder for the plots')
    from mmotion.paths import find_config

    # a wrong name is answered at once, before torch is imported
    find_config(args.config)
    from mmotion.atomic import write_atomically
    from mmotion.inference import load_model
    from mmotion.tables import as_markdown, write_table
    from projects.repnet.commands._comparison import compare_clips, draw_plots, score_methods
    from projects.repnet.table_data import join_clips, read_counts_table

    protocols = {'trimmed': read_counts_table(args.table)}
    if args.untrimmed:
        protocols['untrimmed'] = join_clips(protocols['trimmed'])
    predictor = load_model(args.config, args.checkpoint, device=args.device)
    report, problems = [], []
    for protocol, clips in protocols.items():
        comparisons, left_out = compare_clips(
            predictor, clips, model=Path(args.config).stem, baselines=args.baselines
        )
        problems += [f'{protocol}, {problem}' for problem in left_out]
        report.append(f'## {protocol}: {len(comparisons)} of {len(clips)} clips')
        if comparisons:
            rows = [comparison.to_row() for comparison in comparisons]
            report += [as_markdown(rows), as_markdown(score_methods(comparisons))]
            if args.out:
                write_table(args.out / f'{protocol}.csv', [*rows[0]], rows)
            if args.draw:
                draw_plots(comparisons, args.out / protocol)
    if problems:
        report += ['Left out:', '\n'.join(f'- {problem}' for problem in problems)]
    text = '\n\n'.join(report)
    print(text)
    if args.out:
        with write_atomically(args.out / 'counts.md') as temporary:
            temporary.write_text(text + '\n', encoding='utf-8')
    return 1 if problems else 0
