import time

import pytest

from mmotion.serving.jobs import MAX_STARTS, Job, JobStore, UnknownJobError


@pytest.fixture
def store(tmp_path):
    store = JobStore(tmp_path / 'jobs.sqlite')
    yield store
    store.close()


def add(store, name='a', owner='me'):
    return store.add(Job(id=name, owner=owner, model='m', name=f'{name}.mp4', num_bytes=10,
                         options={'start_s': 1.0}))  # fmt: skip


def test_the_first_come_is_the_first_served(store):
    assert [add(store, name).position for name in 'abc'] == [0, 1, 2]
    claimed = store.claim()
    assert (claimed.id, claimed.state, claimed.starts, claimed.position) == (
        'a',
        'running',
        1,
        None,
    )
    assert claimed.options == {'start_s': 1.0} and claimed.started_s >= claimed.created_s
    assert store.get('c', 'me').position == 1
    store.put_back('a')
    assert [store.claim().id for _ in range(3)] == ['a', 'b', 'c'] and store.claim() is None


def test_an_owner_sees_no_job_of_another(store):
    add(store, 'a', 'me')
    add(store, 'b', 'you')
    assert [job.id for job in store.list_of('me')] == ['a']
    for wrong in ('b', "a' OR '1' = '1", ''):
        with pytest.raises(UnknownJobError, match='must be one of yours'):
            store.get(wrong, 'me')


def test_a_job_ends_once(store):
    add(store)
    store.claim()
    assert store.end('a', 'done', num_bytes=5, duration_s=2.5)
    assert not store.end('a', 'failed', error='too late')
    job = store.get('a', 'me')
    assert (job.state, job.error, job.num_bytes, job.duration_s) == ('done', None, 5, 2.5)
    assert store.count() == {'queued': 0, 'running': 0, 'done': 1, 'failed': 0, 'canceled': 0}
    assert store.count_bytes() == 5
    assert [j.id for j in store.list_ended(time.time() + 1)] == ['a'] and not store.list_ended(1.0)
    store.delete('a')
    assert store.list_states() == {}


def test_what_was_running_is_queued_again_but_not_for_ever(tmp_path):
    for number in range(MAX_STARTS):
        store = JobStore(tmp_path / 'jobs.sqlite')
        if not number:
            add(store)
            add(store, 'b')
        store.put_all_back()
        assert store.claim().id == 'a'
        # as if the machine had lost its power
        store.close()
    store = JobStore(tmp_path / 'jobs.sqlite')
    store.put_all_back()
    job = store.get('a', 'me')
    assert job.state == 'failed' and f'ended {MAX_STARTS} times' in job.error
    assert store.claim().id == 'b'
    store.close()
