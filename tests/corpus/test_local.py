import multiprocessing
import time

import pytest

from mmotion.corpus.local import run_local
from mmotion.corpus.worker import Job, VideoWorker
from tests.corpus.conftest import load_fake, load_nothing, make_items


def test_each_video_has_a_row(job):
    names = ['a', 'bad', 'crash', 'b', 'c']
    rows = [*run_local(iter(make_items(*names)), job, workers=2)]
    assert sorted(row['id'] for row in rows) == sorted(names)
    assert {row['id'] for row in rows if row['status'] == 'failed'} == {'bad', 'crash'}


def test_one_that_takes_long_holds_up_no_other():
    before = {*multiprocessing.active_children()}
    rows = run_local(make_items('hang', 'a', 'b', 'c'), Job(load=load_fake), workers=2)
    assert sorted(next(rows)['id'] for _ in range(3)) == ['a', 'b', 'c']
    # and is ended with the rest
    rows.close()
    deadline_s = time.monotonic() + 60
    while {*multiprocessing.active_children()} - before:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_a_model_that_no_video_needs_is_not_loaded(job, monkeypatch):
    """As when few videos are left of many."""
    started = []

    class Counted(VideoWorker):
        def __init__(self, *args, **options):
            started.append(self)
            super().__init__(*args, **options)

    monkeypatch.setattr('mmotion.corpus.local.VideoWorker', Counted)
    assert len([*run_local(make_items('a', 'b'), job, workers=5)]) == 2
    assert 1 <= len(started) <= 2


def test_a_model_that_is_not_there_ends_the_run():
    with pytest.raises(FileNotFoundError, match='no weights'):
        next(run_local(make_items('a'), Job(load=load_nothing), workers=2))


def test_there_must_be_a_worker(job):
    with pytest.raises(ValueError, match='workers must be at least 1'):
        next(run_local([], job, workers=0))
