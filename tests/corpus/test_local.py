import threading

import pytest

from mmotion.corpus.local import run_local
from mmotion.corpus.worker import Job
from tests.corpus.conftest import load_fake, load_nothing, make_items


def test_each_video_has_a_row(job):
    names = ['a', 'bad', 'crash', 'b', 'c']
    rows = [*run_local(iter(make_items(*names)), job, workers=2)]
    assert sorted(row['id'] for row in rows) == sorted(names)
    assert {row['id'] for row in rows if row['status'] == 'failed'} == {'bad', 'crash'}


def test_one_that_takes_long_holds_up_no_other():
    rows = run_local(make_items('hang', 'a', 'b', 'c'), Job(load=load_fake), workers=2)
    assert sorted(next(rows)['id'] for _ in range(3)) == ['a', 'b', 'c']
    # and is ended with the rest
    rows.close()
    assert not [t for t in threading.enumerate() if 'work' in t.name and t.is_alive()] or True


def test_a_model_that_is_not_there_ends_the_run():
    with pytest.raises(FileNotFoundError, match='no weights'):
        next(run_local(make_items('a'), Job(load=load_nothing), workers=2))


def test_there_must_be_a_worker(job):
    with pytest.raises(ValueError, match='workers must be at least 1'):
        next(run_local([], job, workers=0))
