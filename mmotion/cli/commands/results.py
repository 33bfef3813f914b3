"""Say what became of many videos: counts, why videos failed, the slowest; or ask in SQL.

RESULTS is a folder of "mmotion predict --manifest", also while it goes on; or a folder of JSON
files that "mmotion predict" has written, or its summary.csv. In SQL the table is called `results`,
with a row a video; DuckDB's dialect. Nothing else is read or written by a query.

Example:
    mmotion results results
    mmotion results results --sql "select label, count(*) from results group by label"
    mmotion results results --out all.csv
    mmotion results results --failed --out again.csv
"""

import argparse
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from mmotion.atomic import keep_files

if TYPE_CHECKING:
    from pyarrow import dataset

PACKAGES = ('duckdb', 'pyarrow')
FORMATS = ('table', 'csv', 'jsonl')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mmotion results`."""
    add = parser.add_argument
    add('results', metavar='RESULTS', type=Path, help='a folder of results, or a summary.csv')
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        '--sql', metavar='QUERY', help='print what a query gives, such as "select * from results"'
    )
    which.add_argument(
        '--failed',
        action='store_true',
        help='print the videos that failed; with --out, a manifest of them to predict again',
    )
    add(
        '--out',
        metavar='FILE',
        type=Path,
        help='write the rows to FILE.csv, FILE.jsonl or FILE.parquet; CSV has no lists',
    )
    add(
        '--format',
        choices=FORMATS,
        default='table',
        help='of what --sql and --failed print; default: table',
    )


def run(args: argparse.Namespace) -> int:
    """Print or write what is asked for."""
    missing = [name for name in PACKAGES if not find_spec(name)]
    if missing:
        raise ImportError(
            f'results in tables need {" and ".join(missing)}, got none; '
            'pip install "mmotion[corpus]"'
        )
    if args.format != 'table' and (args.out or not (args.sql or args.failed)):
        raise ValueError(
            f'--format must come with --sql or --failed and without --out, got {args.format}; the '
            'suffix of --out says its format'
        )
    from mmotion.corpus.exporting import find_format, lay_out, print_rows, write_rows
    from mmotion.corpus.overview import describe_results, list_failed, read_run
    from mmotion.corpus.reading import query

    if args.out:
        find_format(args.out)
    folder = args.results.expanduser()
    results, files = open_any(folder)
    if not (args.sql or args.failed or args.out):
        print(describe_results(results, read_run(folder)))
        return 0
    if args.failed:
        rows = list_failed(results)
    else:
        rows = query(results, args.sql or 'select * from results')
    if rows is None:
        raise ValueError(f'--sql must give a table, got none of {args.sql!r}')
    if args.out:
        with keep_files(files):
            number, left_out = write_rows(rows, args.out)
        print(f'{number:,} rows: {args.out}')
    elif args.format == 'table':
        text, left_out = lay_out(rows, shutil.get_terminal_size((120, 0)).columns)
        print(text)
    else:
        _, left_out = print_rows(rows, sys.stdout, args.format)
    if left_out:
        names = ', '.join(left_out)
        why = 'they do not fit' if args.format == 'table' and not args.out else 'CSV has no lists'
        print(f'mmotion: left out, as {why}: {names}; --out FILE.parquet has all', file=sys.stderr)
    return 0


def open_any(path: Path) -> 'tuple[dataset.Dataset, list[Path]]':
    """Open results of whatever kind, and name the files that they are read from."""
    from pyarrow import dataset

    from mmotion.corpus.reading import open_results
    from mmotion.corpus.single_results import read_single_results
    from mmotion.corpus.store import RUN, list_parts

    parts = list_parts(path)
    if parts or (path / RUN).is_file():
        return open_results(path), parts
    files = [*path.glob('*')] if path.is_dir() else [path]
    return dataset.dataset(read_single_results(path)), files
