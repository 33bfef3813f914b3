import sys
import threading
import time

import pytest

from mmotion.serving.limits import Limits
from mmotion.serving.processes import GRACE_S, WorkerProcess


@pytest.fixture
def play(tmp_path, monkeypatch):
    """A worker whose program is the text given."""
    made, python = [], sys.executable

    def make(text):
        script = tmp_path / 'python'
        (tmp_path / 'program.py').write_text('import sys, json, time, os\n' + text)
        script.write_text(f'#!/bin/sh\nexec {python} {tmp_path}/program.py\n')
        script.chmod(0o755)
        monkeypatch.setattr(sys, 'executable', str(script))
        made.append(WorkerProcess(1))
        return made[-1]

    yield make
    for worker in made:
        worker.close()


def work(worker, limits=None):
    told = []
    return worker.work({'id': 'a'}, limits or Limits(), told.append), told


def test_what_it_says_is_passed_on_and_it_lives_on(play):
    worker = play(
        "for line in sys.stdin:\n"
        "    print(json.dumps({'stage': 'watching', 'progress': 0.5}), flush=True)\n"
        "    print(json.dumps({'done': {'pid': os.getpid()}}), flush=True)\n"
    )  # fmt: skip
    first, told = work(worker)
    assert told == [{'stage': 'watching', 'progress': 0.5}]
    assert work(worker)[0] == first


def test_one_that_crashed_is_said_to_have_and_started_again(play):
    worker = play('sys.stdin.readline(); os.abort()')
    for _ in range(2):
        assert work(worker)[0] == {'crashed': 'the process that worked on it ended by SIGABRT'}
    worker = play('sys.stdin.readline(); sys.exit(3)')
    assert work(worker)[0] == {'crashed': 'the process that worked on it ended by exit code 3'}


def test_one_that_does_not_hear_is_killed(play):
    worker = play('time.sleep(1000)')
    timer = threading.Timer(0.5, worker.cancel, ['a'])
    timer.start()
    began_s = time.monotonic()
    assert work(worker)[0] == {'canceled': True}
    assert time.monotonic() - began_s >= GRACE_S


def test_one_that_takes_too_much_is_killed(play):
    worker = play('held = bytearray(300_000_000); time.sleep(1000)')
    assert 'more than the 1 s' in work(worker, Limits(max_job_s=1))[0]['failed']
    assert 'more than 200 MB' in work(worker, Limits(max_memory_mb=200))[0]['failed']


def test_another_job_is_not_canceled(play):
    worker = play(
        "sys.stdin.readline(); time.sleep(1); print(json.dumps({'done': {}}), flush=True)"
    )
    threading.Timer(0.3, worker.cancel, ['b']).start()
    assert work(worker)[0] == {'done': {}}
