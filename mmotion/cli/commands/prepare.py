"""Download, check or convert the videos of a data set, or list what can be prepared.

Example:
    mmotion prepare
    mmotion prepare DATASET --help
"""

import argparse

from mmotion.cli.scripts import describe_scripts, find_scripts, pick_script, run_script

# the steps pass over what is done
HOW_TO_GO_ON = '; the same command goes on'
# what one who has no such data set would look for
ALIASES = {'folder': 'ucf-sports'}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mmotion prepare`."""
    parser.add_argument('dataset', metavar='DATASET', nargs='?', help='left out: list them')
    parser.add_argument(
        'arguments',
        metavar='...',
        nargs=argparse.REMAINDER,
        help='the step, where a data set has several, and what it is told',
    )


def run(args: argparse.Namespace) -> int:
    """List the data sets and their steps, or run a step."""
    steps = {(f.parent.name.replace('_', '-'), f.stem.replace('_', '-')): f
             for f in find_scripts('data/*/*.py').values()}  # fmt: skip
    datasets = {name for name, _ in steps}
    # a data set with one step needs no name for it
    names = {
        dataset if sum(name == dataset for name, _ in steps) == 1 else f'{dataset} {step}': file
        for (dataset, step), file in steps.items()
    }
    names |= {alias: names[name] for alias, name in ALIASES.items() if name in names}
    if args.dataset is None:
        print(describe_scripts(names))
        return 0
    name, arguments = args.dataset.replace('_', '-'), args.arguments
    if name not in names and name in datasets:
        if arguments[:1] in (['-h'], ['--help']):
            own = {step: file for step, file in names.items() if step.startswith(f'{name} ')}
            print(describe_scripts(own))
            return 0
        name, arguments = ' '.join([name, *arguments[:1]]), arguments[1:]
    file = pick_script('DATASET and step', name, names)
    return run_script(file, arguments, prog=f'mmotion prepare {name}')
