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
    scripts = find_scripts()
    if args.name is None:
        print(describe_scripts(scripts))
        return 0
    file = pick_script('NAME', args.name, scripts)
    return run_script(file, args.arguments, prog=f'mmotion tool {args.name}')
