"""Time how long commands take to start, in turn with one `import torch`.

Of each the median of some runs, each in a process of its own, in seconds and as a share of that of
torch: by the clock, and of the processor, on which other work of the machine has less influence.
All rounds run everything once, so that it slows all of them alike. The last
column says how many modules are imported.

Example:
    mmotion tool time_start --rounds 7
    mmotion tool time_start "predict repnet_small one_second.mp4"
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

TORCH = 'import torch'
COMMANDS = ('--help', 'list', 'list systems', 'list models', 'list transforms', 'doctor')


def time_process(arguments: Sequence[str]) -> tuple[float, float]:
    """Seconds by the clock, and of the processor, that Python takes with these arguments."""
    start, before = time.perf_counter(), os.times()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    taken, after = time.perf_counter() - start, os.times()
    used = after.children_user + after.children_system
    return taken, used - before.children_user - before.children_system


def count_modules(arguments: Sequence[str]) -> int:
    """How many modules Python imports with these arguments."""
    command = [sys.executable, '-X', 'importtime', *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    # but for the heading
    return sum(line.startswith('import time:') for line in done.stderr.splitlines()) - 1


def main(argv: Sequence[str] | None = None) -> None:
    """Print a row a command."""
    parser = argparse.ArgumentParser(description='Time the start of commands.')
    parser.add_argument('commands', nargs='*', metavar='COMMAND', help='such as "list models"')
    parser.add_argument('--rounds', type=int, default=7, help='runs of each; default: 7')
    args = parser.parse_args(argv)
    cases = {TORCH: ['-c', TORCH]}
    for command in args.commands or COMMANDS:
        cases[f'mmotion {command}'] = ['-m', 'mmotion.cli', *command.split()]
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
    # the first round warms up
    for number in range(args.rounds + 1):
        for name, arguments in cases.items():
            taken = time_process(arguments)
            if number:
                seconds[name].append(taken)
    middles = {
        name: [statistics.median(column) for column in zip(*times, strict=True)]
        for name, times in seconds.items()
    }
    width = max(map(len, cases))
    print(f'{"":{width}} {"clock":>16} {"processor":>18} {"modules":>9}')
    for name, middle in middles.items():
        pairs = zip(middle, middles[TORCH], strict=True)
        columns = [f'{value:8.2f} s {value / whole:5.2f} x' for value, whole in pairs]
        print(f'{name:<{width}} {"  ".join(columns)} {count_modules(cases[name]):9,}')


if __name__ == '__main__':
    main()
