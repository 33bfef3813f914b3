"""Try cases of one kind in this process, and write a line of JSON before and after each.

    python -m tests.fuzz videos --first 17 --number 1       repeat case 17 of the videos
    python -m tests.fuzz tables --number 500 --faults       look for faults, and print these alone

A case depends on its kind and number alone.
"""

import argparse
import dataclasses
import json
import logging
import os
import random
import resource
import shutil
import sys
import tempfile
from pathlib import Path

os.environ.update({'OMP_NUM_THREADS': '1', 'MPLBACKEND': 'Agg', 'HF_HUB_OFFLINE': '1'})
sys.dont_write_bytecode = True
# a header that promises 100 GB must not take the memory of the machine
MOST_MEMORY = 6 << 30


def main() -> None:
    """Run the cases that the arguments say."""
    parser = argparse.ArgumentParser(prog='python -m tests.fuzz', description=__doc__)
    parser.add_argument('kind')
    parser.add_argument('--first', type=int, default=0)
    parser.add_argument('--number', type=int, default=1)
    parser.add_argument('--faults', action='store_true')
    args = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    # what the cases print must not come between the lines
    lines = os.fdopen(os.dup(sys.stdout.fileno()), 'w')
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    if not args.faults:
        os.dup2(silent, 2)

    def write(**entries: object) -> None:
        print(json.dumps(entries), file=lines, flush=True)

    with tempfile.TemporaryDirectory() as name:
        sandbox = Path(name).resolve()
        for folder in ('out', 'tmp', 'home', 'in'):
            (sandbox / folder).mkdir()
        os.environ.update({'HOME': str(sandbox / 'home'), 'MPLCONFIGDIR': str(sandbox / 'home')})
        os.chdir(sandbox)
        tempfile.tempdir = str(sandbox / 'tmp')
        run(args.kind, range(args.first, args.first + args.number), sandbox, write, args.faults)
        os.chdir('/')


def run(kind: str, numbers: range, sandbox: Path, write, only_faults: bool) -> None:
    """Run cases in a sandbox, of which they may write into `out`."""
    from mmotion.compat import apply_compat
    from mmotion.paths import enable_projects

    apply_compat()
    enable_projects()
    import av

    from tests.fuzz import kinds, verdict

    av.logging.set_level(None)
    logging.disable(logging.WARNING)
    door = kinds.KINDS[kind].door
    guard = verdict.Guard(sandbox)
    for number in numbers:
        for folder in (sandbox / 'in', guard.out):
            shutil.rmtree(folder)
            folder.mkdir()
        if not only_faults:
            write(case=number)
        case = door(random.Random(f'{kind} {number}'), sandbox / 'in')
        os.chdir(guard.out if kind == 'commands' else sandbox)
        found = verdict.judge(case, guard)
        os.chdir(sandbox)
        if found.kind == 'fault' or not only_faults:
            write(case=number, **dataclasses.asdict(found))


main()
