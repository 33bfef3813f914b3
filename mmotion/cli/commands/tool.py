"""Run a script that is no command, or list them.

Example:
    mmotion tool demo --work-dir work_dirs/demo
"""

import argparse

from mmotion.cli.scripts import describe_scripts, find_scripts, pick_script, run_script


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mmotion tool`."""
    parser.add_argument('name', metavar='NAME', nargs='?', help='left out: list them')
    parser.add_argument(
        'arguments', metavar='...', nargs=argparse.REMAINDER, help='what the script is told'
    )


def run(args: argparse.Namespace) -> int:
    """List the scripts, or run one."""
    # those of `mmotion prepare` and `mmotion benchmark` have their names there
    elsewhere = {**find_scripts('data/*/*.py'), **find_scripts('analysis/benchmark_*.py')}
    scripts = {name: file for name, file in find_scripts().items() if name not in elsewhere}
    if args.name is None:
        print(describe_scripts(scripts))
        return 0
    file = pick_script('NAME', args.name, scripts)
    return run_script(file, args.arguments, prog=f'mmotion tool {args.name}')
