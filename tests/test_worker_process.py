import os
import signal
import time

import pytest
import torch

from mmotion.worker_process import CrashError, WorkerProcess


class Tool:
    name = 'tool'


def fail_to_build():
    raise FileNotFoundError('no model')


def work(item, tool, **options):
    if item == 'exit':
        os._exit(3)
    if item == 'segfault':
        os.kill(os.getpid(), signal.SIGSEGV)
    if item == 'hang':
        time.sleep(600)
    if item == 'error':
        raise ValueError('broken')
    return item, tool.name, options


def test_a_crash_is_told_and_the_next_item_is_fine():
    worker = WorkerProcess(build=Tool, work=work)
    try:
        assert worker('a', every=2) == ('a', 'tool', {'every': 2})
        with pytest.raises(ValueError, match='broken'):
            worker('error')
        with pytest.raises(CrashError, match='ended by exit code 3, and so did'):
            worker('exit')
        with pytest.raises(CrashError, match='ended by SIGSEGV'):
            worker('segfault')
        assert worker('b') == ('b', 'tool', {})
    finally:
        worker.kill()
    with pytest.raises(CrashError, match='was ended'):
        worker('c')


def test_the_processes_that_tried_are_counted():
    worker = WorkerProcess(build=Tool, work=work)
    try:
        worker('a')
        assert worker.num_tries == 1
        with pytest.raises(CrashError):
            worker('exit')
        assert worker.num_tries == 2
    finally:
        worker.kill()


def test_what_takes_too_long_is_ended_and_the_next_item_is_fine():
    worker = WorkerProcess(build=Tool, work=work, timeout_s=1.0)
    try:
        with pytest.raises(TimeoutError, match=r'not take more than 1 s'):
            worker('hang')
        assert worker('a') == ('a', 'tool', {})
    finally:
        worker.kill()


def count_threads(item, tool):
    return torch.get_num_threads()


@pytest.mark.parametrize(('asked', 'expected'), [(None, 1), ('2', 2)])
def test_threads_are_chosen_before_torch_is_loaded(monkeypatch, asked, expected):
    """What is called there imports it, as this file does."""
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    if asked:
        monkeypatch.setenv('OMP_NUM_THREADS', asked)
    worker = WorkerProcess(build=Tool, work=count_threads, num_threads=1)
    try:
        assert worker('a') == expected
    finally:
        worker.kill()


def test_an_error_of_the_builder_is_raised_here():
    with pytest.raises(FileNotFoundError, match='no model'):
        WorkerProcess(build=fail_to_build, work=work)
