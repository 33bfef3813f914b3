import os
import signal

import pytest

from mmotion.keypoints.worker_process import CrashError, WorkerProcess


class Tool:
    name = 'tool'


def fail_to_build():
    raise FileNotFoundError('no model')


def work(item, tool, **options):
    if item == 'exit':
        os._exit(3)
    if item == 'segfault':
        os.kill(os.getpid(), signal.SIGSEGV)
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


def test_an_error_of_the_builder_is_raised_here():
    with pytest.raises(FileNotFoundError, match='no model'):
        WorkerProcess(build=fail_to_build, work=work)
