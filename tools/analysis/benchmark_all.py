"""Run the benchmarks of all systems, each in its own process, and write a page of their tables.

Example:
    mmotion benchmark all --out docs/benchmarks.md
    mmotion benchmark all --device cuda --systems timesformer bkind
"""

import argparse
import datetime
import importlib.metadata
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from measuring import describe_machine

from mmotion import __version__
from mmotion.paths import find_root

SYSTEMS = ('timesformer', 'repnet', 'bkind', 'anomaly', 'pose_sequence')
PACKAGES = ('torch', 'torchvision', 'mmengine', 'mmaction2', 'transformers', 'timm', 'av', 'numpy')


def main(argv: Sequence[str] | None = None) -> int:
    """Run them one after the other; what fails is named on the page."""
    parser = argparse.ArgumentParser(description='Run the benchmarks of all systems.')
    parser.add_argument('--systems', nargs='+', default=[*SYSTEMS], choices=SYSTEMS)
    parser.add_argument('--device', default='cpu', choices=['cpu', 'cuda'], help='default: cpu')
    parser.add_argument('--rounds', type=int, help='default: that of each benchmark')
    parser.add_argument('--tiny', action='store_true', help='small cases, to try this out')
    parser.add_argument('--end-to-end', action='store_true', help='predictions of videos alone')
    parser.add_argument('--out', type=Path, metavar='FILE', help='page to write; default: print')
    args = parser.parse_args(argv)
    options = ['--device', args.device]
    options += ['--rounds', str(args.rounds)] if args.rounds else []
    options += ['--tiny'] if args.tiny else []
    cases = [['decoding']] if args.device == 'cpu' and not args.end_to_end else []
    for system in args.systems:
        cases += [] if args.end_to_end else [[system, *options]]
        cases += [[system, *options, '--end-to-end']]
    words = ' '.join(sys.argv[1:] if argv is None else argv)
    page, failed = [describe_page(f'mmotion benchmark all {words}'.strip(), args.device)], 0
    for case in cases:
        command = f'mmotion benchmark {" ".join(case)}'
        print(command, file=sys.stderr, flush=True)
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, '-m', 'mmotion.cli', 'benchmark', *case],
            check=False,
            capture_output=True,
            text=True,
        )
        failed += done.returncode != 0
        said = [line for line in done.stderr.splitlines() if line and '--debug shows' not in line]
        last = said[-1] if said else 'no message'
        answer = done.stdout.strip() if done.returncode == 0 else f'It failed: {last}'
        seconds = time.perf_counter() - start
        page += [f'## {describe_case(case)}\n', f'`{command}` ({seconds:.0f} s)\n', answer + '\n']
        if args.out:
            # what has been measured stays if a later one is cut off
            args.out.write_text('\n'.join(page), encoding='utf-8')
    if not args.out:
        print('\n'.join(page))
    return int(failed > 0)


def describe_case(case: Sequence[str]) -> str:
    """A heading."""
    return f'{case[0]}, {"a prediction" if "--end-to-end" in case else "speed"}'


def describe_page(command: str, device: str) -> str:
    """What the page begins with: command, machine, versions, commit, date."""
    versions = []
    for package in PACKAGES:
        try:
            versions.append(f'{package} {importlib.metadata.version(package)}')
        except importlib.metadata.PackageNotFoundError:
            versions.append(f'{package} not installed')
    return '\n'.join(
        [
            '# Benchmarks\n',
            f'Written by `{command}` on {datetime.date.today()}; do not edit.',
            'In each table all ways take turns in one process, so its ratios hold better than its',
            'milliseconds, which other work of the machine slows.\n',
            f'- Machine: {describe_machine(device)}, {os.cpu_count()} cores, {platform.system()}',
            f'- Versions: Python {platform.python_version()}, {", ".join(versions)}',
            f'- Commit: {find_commit()}\n',
        ]
    )


def find_commit() -> str:
    """The commit of the checkout, or what is installed."""
    root = find_root()
    if (root / '.git').exists():
        command = ['git', '-C', str(root), 'describe', '--always', '--dirty', '--abbrev=9']
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode == 0:
            return done.stdout.strip()
    return f'unknown, mmotion {__version__}'


if __name__ == '__main__':
    sys.exit(main())
