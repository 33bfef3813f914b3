"""Measure the speed of a system beside other ways to do the same, or list the benchmarks.

Example:
    mmotion benchmark
    mmotion benchmark SYSTEM --help
"""

import argparse

from mmotion.cli.scripts import describe_scripts, find_scripts, pick_script, run_script

PREFIX = 'benchmark-'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mmotion benchmark`."""
    parser.add_argument('system', metavar='SYSTEM', nargs='?', help='left out: list them')
    parser.add_argument(
        'arguments', metavar='...', nargs=argparse.REMAINDER, help='what the benchmark is told'
    )


def run(args: argparse.Namespace) -> int:
    """List the benchmarks, or run one."""
    found = find_scripts('analysis/benchmark_*.py')
    scripts = {name.removeprefix(PREFIX): file for name, file in found.items()}
    if args.system is None:
        print(describe_scripts(scripts))
        return 0
    file = pick_script('SYSTEM', args.system, scripts)
    return run_script(file, args.arguments, prog=f'mmotion benchmark {args.system}')
