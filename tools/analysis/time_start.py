"""Time how long commands take to start, in turn with one `import torch`.

Of each the median of some runs, each in a process of its own, in seconds and as a share of that of
torch: all rounds run everything once, so that other work on the machine slows all of them alike.

Example:
    mmotion tool time_start --rounds 7
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

TORCH = 'import torch'
COMMANDS = ('--help', 'list', 'list systems', 'list models', 'list transforms', 'doctor')


def time_process(arguments: Sequence[str]) -> float:
    """Seconds that Python takes with these arguments."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main(argv: Sequence[str] | None = None) -> None:
    """Print a row a command."""
    parser = argparse.ArgumentParser(description='Time the start of commands.')
    parser.add_argument('commands', nargs='*', metavar='COMMAND', help='such as "list models"')
    parser.add_argument('--rounds', type=int, default=7, help='runs of each; default: 7')
    args = parser.parse_args(argv)
    cases = {TORCH: ['-c', TORCH]}
    for command in args.commands or COMMANDS:
        cases[f'mmotion {command}'] = ['-m', 'mmotion.cli', *command.split()]
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    # the first round warms up
    for number in range(args.rounds + 1):
        for name, arguments in cases.items():
            taken = time_process(arguments)
            if number:
                seconds[name].append(taken)
    whole = statistics.median(seconds[TORCH])
    for name, times in seconds.items():
        middle = statistics.median(times)
        print(f'{name:<24} {middle:6.2f} s  {middle / whole:5.2f} x')


if __name__ == '__main__':
    main()
