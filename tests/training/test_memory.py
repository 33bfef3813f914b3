"""A training on CPUs uses the memory of freed tensors again."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from mmotion.training import memory

CHECKOUT = Path(__file__).resolve().parents[2]
COUNT_FAULTS = """
import resource, sys, torch
sys.path.insert(0, {checkout!r})
from mmotion.training.memory import keep_freed_memory
{call}
for _ in range(20):
    torch.ones(2**24)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    torch.ones(2**24)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def count_faults(call: str) -> int:
    """Pages that five tensors of 64 MB make the system hand out, after twenty others.

    glibc before 2.38 finds room for an aligned block only after some tries.
    """
    code = COUNT_FAULTS.format(checkout=str(CHECKOUT), call=call)
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='needs glibc')
def test_memory_is_used_again():
    # with huge pages a tensor has 32, else 16,384
    assert count_faults('') >= 5 * 32
    assert count_faults('assert keep_freed_memory()') < 32


def test_a_system_without_mallopt_is_left_alone(monkeypatch):
    monkeypatch.setattr(memory.ctypes, 'CDLL', lambda name: object())
    assert not memory.keep_freed_memory()
