"""Broken files, odd values and odd command lines give an answer, or an error in our words.

Each kind of `kinds.py` runs in a process of its own, which prints a verdict a case. A native crash
of a decoder ends that process, not the rest: the case is counted, and the next one begins anew.

To repeat one case, such as number 17 of the videos, with all that is printed:

    python -m tests.fuzz videos --first 17

`MMOTION_FUZZ_CASES` says how many cases there are in all, 3,000 by default.
"""

import json
import math
import os
import selectors
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest

from tests.fuzz.kinds import KINDS
from tests.fuzz.verdict import LIMIT_S, ROOT

NUM_CASES = int(os.environ.get('MMOTION_FUZZ_CASES') or 3000)
# imports, and the models of all systems
START_S = 60


def try_cases(kind: str, number: int) -> list[dict[str, Any]]:
    """Try cases 0 to `number - 1` of a kind.

    Returns:
        For each `case`, `kind` (fine, refused, fault or crash), `words`, `said` and `where`.
    """
    found: list[dict[str, Any]] = []
    while len(found) < number:
        rest = ['--first', str(len(found)), '--number', str(number - len(found))]
        command = [sys.executable, '-m', 'tests.fuzz', kind, *rest]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
            begun = _follow(process, found)
            if begun == 'hang':
                process.kill()
        if len(found) < number and not begun:
            raise RuntimeError(f'{kind}: the process ended with {process.returncode} before a case')
        if begun:
            why = 'crash' if process.returncode < 0 and begun != 'hang' else 'fault'
            said = f'the process ended with {process.returncode}'
            found.append(
                {'case': len(found), 'kind': why, 'words': '', 'said': said, 'where': begun}
            )
    return found


def _follow(process: subprocess.Popen[bytes], found: list[dict[str, Any]]) -> str:
    """Add the verdicts that a process prints; say how it left a case, '' if it left none."""
    assert process.stdout is not None
    begun = ''
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while selector.select(LIMIT_S + START_S):
            line = process.stdout.readline()
            if not line:
                return begun
            entry = json.loads(line)
            begun = '' if 'kind' in entry else 'crash'
            if not begun:
                found.append(entry)
    # in native code, which no alarm interrupts
    return 'hang'


@pytest.mark.slow
@pytest.mark.parametrize('kind', KINDS)
def test_nothing_but_an_answer_or_our_words(kind):
    verdicts = try_cases(kind, math.ceil(KINDS[kind].share * NUM_CASES))
    print(kind, dict(Counter(verdict['kind'] for verdict in verdicts)))
    faults = {v['where']: v for v in verdicts if v['kind'] == 'fault'}
    assert not faults, '\n'.join(f'{v["case"]}: {v["words"]}: {v["said"]}' for v in faults.values())


@pytest.mark.slow
def test_a_case_is_the_same_again():
    one, other = try_cases('tables', 3), try_cases('tables', 3)
    assert [verdict['words'] for verdict in one] == [verdict['words'] for verdict in other]
