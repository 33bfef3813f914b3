"""Make one page of the results of many videos, to be sent to somebody.

The page is one HTML file that needs nothing else: a table of all videos, and of each the numbers,
stills and plots. With results of `mmotion predict --draw` it shows what was drawn, else the videos,
where they still are, and simple curves.

Example:
    mmotion predict repnet_small videos --draw --out results
    mmotion report results --html report.html --title "Training of 3 May"
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mmotion report`."""
    add = parser.add_argument
    add('results', metavar='RESULTS', type=Path, help='folder that "mmotion predict" has written')
    add('--html', metavar='FILE', type=Path, help='the page; default: report.html in RESULTS')
    add('--title', metavar='TEXT', default='', help='headline; default: how many videos there are')


def run(args: argparse.Namespace) -> int:
    """Write the page, and say where it is."""
    path = args.html or args.results / 'report.html'
    if path.suffix.lower() not in ('.html', '.htm'):
        raise ValueError(f'--html must end in .html, got --html {path}')
    from mmotion.inference.report import write_report

    number = write_report(args.results, path, title=args.title)
    print(f'videos in it: {number}, {path.stat().st_size / 1e6:.1f} MB: {path}')
    return 0
