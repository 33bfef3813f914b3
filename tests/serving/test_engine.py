import csv
import dataclasses
import json
import os
import shutil
import signal
import sqlite3
import time
from contextlib import suppress

import numpy as np
import psutil
import pytest

from mmotion.inference import load_model
from mmotion.serving.engine import BusyError, check_options
from mmotion.serving.jobs import JobStore, UnknownJobError
from mmotion.serving.models import ServedModel
from tests.moving_boxes import write_video
from tests.serving.conftest import wait_for
from tests.video_files import encode


@pytest.fixture(scope='module')
def workers_alone():
    """Processes of this one that are workers."""

    def find():
        found = []
        for child in psutil.Process().children(recursive=True):
            # it may end meanwhile
            with suppress(psutil.Error):
                if 'mmotion.serving.worker' in ' '.join(child.cmdline()):
                    found.append(child)
        return found

    return find


def submit(engine, clip, tmp_path, *, owner='me', name='my clip.mp4', model='repnet_small', **more):
    source = shutil.copy(clip, tmp_path / f'{time.monotonic_ns()}{clip.suffix}')
    return engine.submit(source, name=name, model=model, owner=owner, options=more)


def test_what_comes_out_is_what_predict_says(make_engine, clip, tmp_path):
    engine = make_engine()
    engine.start()
    job = wait_for(engine, submit(engine, clip, tmp_path, start_s=0.5, name='../my clip.mp4'))
    assert (job.state, job.progress, job.error, job.name) == ('done', 1.0, None, 'my clip.mp4')
    files = engine.files(job.id, 'me')
    assert [*files] == ['result.json', 'summary.csv', 'overlay.mp4', 'plot.png']
    wanted = load_model('repnet_small').predict(clip, start_s=0.5)
    content = json.loads(files['result.json'].read_text())
    assert content == wanted.to_dict() | {
        'video': 'my clip.mp4', 'model': 'repnet_small', 'mmotion': content['mmotion']
    }  # fmt: skip
    with open(files['summary.csv']) as file:
        (row,) = csv.DictReader(file)
    assert float(row['count']) == round(wanted.count)
    assert job.duration_s == pytest.approx(2.5, abs=0.1)
    # the input is gone
    assert {path.name for path in engine.folder.rglob('jobs/*/*')} == {'output'}
    # the second one needs no start
    other = wait_for(engine, submit(engine, clip, tmp_path, draw=False))
    assert [*engine.files(other.id, 'me')] == ['result.json', 'summary.csv']
    live = wait_for(engine, submit(engine, clip, tmp_path, live=True))
    lines = engine.files(live.id, 'me')['live.jsonl'].read_text().splitlines()
    streamed = [result.to_dict() for result in load_model('repnet_small').stream(clip)]
    assert [json.loads(line) for line in lines] == streamed
    for wrong in ('you', ''):
        for ask in (engine.get, engine.files, engine.cancel, engine.delete):
            with pytest.raises(UnknownJobError):
                ask(job.id, wrong)
    assert [j.id for j in engine.list('me')] == [live.id, other.id, job.id]
    engine.delete(job.id, 'me')
    assert not (engine.folder / 'jobs' / job.id).exists() and len(engine.list('me')) == 2


def test_bad_files_fail_in_a_line_and_the_next_one_is_done(make_engine, clip, tmp_path):
    engine = make_engine(max_pixels=100_000)
    engine.start()
    (tmp_path / 'text.mp4').write_text('hello')
    whole = clip.read_bytes()
    (tmp_path / 'cut.mp4').write_bytes(whole[: len(whole) // 2])
    large = encode(tmp_path / 'large.mp4', [np.zeros((400, 400, 3), np.uint8)] * 8)
    poses = tmp_path / 'poses.json'
    poses.write_text('{"format": "mmotion-poses"')
    jobs = [submit(engine, tmp_path / 'text.mp4', tmp_path)]
    jobs += [submit(engine, tmp_path / 'cut.mp4', tmp_path), submit(engine, large, tmp_path)]
    jobs += [submit(engine, poses, tmp_path, name='p.json', model='repnet_pose')]
    jobs += [submit(engine, clip, tmp_path, start_s=100.0), submit(engine, clip, tmp_path)]
    ended = [wait_for(engine, job) for job in jobs]
    assert [job.state for job in ended] == ['failed'] * 5 + ['done']
    for job in ended[:5]:
        assert '\n' not in job.error and str(tmp_path) not in job.error, job.error
        assert '/' not in job.error.replace('and/or', ''), job.error
        # nothing is left
        assert not (engine.folder / 'jobs' / job.id).exists()
    assert 'must be a video' in ended[0].error and 'must be a video' in ended[1].error
    assert '400 x 400' in ended[2].error and 'JSON' in ended[3].error
    assert engine.num_crashes == 0


def test_the_video_that_keypoints_name_is_not_opened(make_engine, clip, tmp_path):
    secret = write_video(tmp_path / 'secret.mp4', 90)
    content = {
        'format': 'mmotion-poses', 'version': 1, 'source': str(secret), 'fps': 30.0, 'width': 96,
        'height': 64, 'num_frames': 90, 'detector': 'x', 'skeleton': 'coco17', 'labels': [],
        'frames': [],
    }  # fmt: skip
    poses = tmp_path / 'poses.json'
    poses.write_text(json.dumps(content))
    engine = make_engine()
    engine.start()
    job = wait_for(engine, submit(engine, poses, tmp_path, name='p.json', model='repnet_pose'))
    shown = engine.files(job.id, 'me').get('result.json')
    assert 'secret' not in f'{job.error} {shown and shown.read_text()}'
    content['width'] = content['height'] = 100_000
    poses.write_text(json.dumps(content))
    job = wait_for(engine, submit(engine, poses, tmp_path, name='p.json', model='repnet_pose'))
    assert job.state == 'failed' and 'pixels' in job.error


def test_a_killed_worker_costs_one_try_and_a_second_one_the_job(
    make_engine, clip, tmp_path, workers_alone
):
    engine = make_engine()
    engine.start()
    job = submit(engine, clip, tmp_path)
    wait_for(engine, job, 'running')
    (worker,) = workers_alone()
    worker.kill()
    job = wait_for(engine, engine.get(job.id, 'me'))
    assert job.state == 'done' and engine.num_crashes == 1
    other, killed = submit(engine, write_video(tmp_path / 'long.mp4', 900), tmp_path), set()
    while (other := engine.wait(other.id, 'me', 0.1)).is_open:
        # each that is there is killed when it has begun
        for worker in workers_alone():
            if other.state == 'running':
                killed.add(worker.pid)
                worker.kill()
    assert other.state == 'failed' and 'ended by SIGKILL, twice' in other.error
    assert len(killed) >= 2


def test_a_job_is_canceled_while_it_waits_and_while_it_goes_on(make_engine, tmp_path):
    engine = make_engine()
    engine.start()
    long = write_video(tmp_path / 'long.mp4', 3000)
    first, second = (submit(engine, long, tmp_path) for _ in range(2))
    while engine.get(first.id, 'me').stage != 'watching':
        first = engine.wait(first.id, 'me', 1.0)
        assert first.is_open
    assert engine.cancel(second.id, 'me').state == 'canceled'
    began_s = time.monotonic()
    assert engine.cancel(first.id, 'me').state == 'canceled'
    third = wait_for(engine, submit(engine, long, tmp_path, end_s=1.0))
    # the worker was told, and not killed: its model is still there
    assert third.state == 'done' and engine.num_crashes == 0
    assert engine.count()['canceled'] == 2 and time.monotonic() - began_s < 100
    assert [path.name for path in (engine.folder / 'jobs').iterdir()] == [third.id]


@pytest.mark.parametrize(
    ('limits', 'reason'),
    [({'max_job_s': 0.01}, 'more than the 0.01 s'), ({'max_memory_mb': 1}, 'more than 1 MB')],
)
def test_time_and_memory_of_a_job_are_bounded(make_engine, clip, tmp_path, limits, reason):
    engine = make_engine(**limits)
    engine.start()
    job = wait_for(engine, submit(engine, clip, tmp_path))
    assert job.state == 'failed' and reason in job.error
    assert not [*(engine.folder / 'jobs').iterdir()]


def test_a_stopped_engine_goes_on_at_its_next_start(make_engine, clip, tmp_path, workers_alone):
    engine = make_engine()
    engine.start()
    jobs = [submit(engine, clip, tmp_path) for _ in range(3)]
    wait_for(engine, jobs[0], 'running')
    engine.stop(grace_s=0)
    assert not workers_alone()
    # what an upload that was cut off, and a job that was deleted, leave
    (engine.folder / 'jobs' / 'stranger').mkdir()
    (engine.folder / 'upload-x').write_bytes(b'half')
    again = make_engine(engine.folder)
    assert [job.state for job in again.list('me')] == ['queued'] * 3
    again.start()
    ended = [wait_for(again, job) for job in reversed(again.list('me'))]
    assert [(job.id, job.state) for job in ended] == [(job.id, 'done') for job in jobs]
    names = {path.name for path in again.folder.iterdir()}
    assert names <= {'jobs', 'jobs.sqlite', 'jobs.sqlite-wal', 'jobs.sqlite-shm', '.lock'}
    assert {path.name for path in (again.folder / 'jobs').iterdir()} == {job.id for job in jobs}


def test_a_folder_has_one_engine(make_engine):
    engine = make_engine()
    with pytest.raises(ValueError, match='must belong to one server'):
        make_engine(engine.folder)


def test_there_is_no_room_for_too_much(make_engine, clip, tmp_path):
    # it is not started, so that all wait
    engine = make_engine(max_queued=2)
    for _ in range(2):
        submit(engine, clip, tmp_path)
    with pytest.raises(BusyError, match='2 videos wait already'):
        submit(engine, clip, tmp_path)
    full = make_engine(tmp_path / 'full', max_stored_bytes=1)
    submit(full, clip, tmp_path)
    with pytest.raises(BusyError, match='disk of the server is full'):
        submit(full, clip, tmp_path)


def test_what_is_too_large_or_unknown_is_refused_and_left_where_it_is(make_engine, sent):
    engine = make_engine(max_bytes=100)
    with pytest.raises(ValueError, match='1 to 100 bytes'):
        engine.submit(sent, name='a', model='repnet_small', owner='me')
    with pytest.raises(ValueError, match='model must be one of'):
        engine.submit(sent, name='a', model='repnet_smal', owner='me')
    assert os.path.isfile(sent) and not engine.list('me')


def test_results_are_kept_for_a_while(make_engine, clip, tmp_path):
    engine = make_engine(keep_s=0.5)
    engine.start()
    job = submit(engine, clip, tmp_path, draw=False)
    ends_s = time.monotonic() + 60
    with pytest.raises(UnknownJobError):
        while time.monotonic() < ends_s:
            engine.wait(job.id, 'me', 0.2)
            time.sleep(0.2)
    assert not [*(engine.folder / 'jobs').iterdir()]


def test_a_model_that_is_not_offered_any_more_fails(make_engine, clip, tmp_path):
    engine = make_engine()
    job = submit(engine, clip, tmp_path)
    engine.stop(grace_s=0)
    again = make_engine(engine.folder, models={'other': dataclasses.replace(
        next(iter(engine.models.values())), name='other')})  # fmt: skip
    again.start()
    job = wait_for(again, job)
    assert job.state == 'failed' and "model 'repnet_small' is not on the server" in job.error


def test_a_worker_does_not_outlive_a_server_that_is_killed(clip, tmp_path):
    import subprocess
    import sys

    text = (
        'import sys, time; from pathlib import Path; from mmotion.serving.engine import Engine; '
        'from mmotion.serving.models import list_models; '
        f'e = Engine(Path({str(tmp_path / "f")!r}), list_models()); e.start(); '
        'print("up", flush=True); time.sleep(100)'
    )
    server = subprocess.Popen([sys.executable, '-c', text], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout.readline() == 'up\n'
        ends_s = time.monotonic() + 30
        while not (workers := psutil.Process(server.pid).children()):
            assert time.monotonic() < ends_s
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait()
    gone, alive = psutil.wait_procs(workers, timeout=30)
    assert gone and not alive


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'start_s': -1}, 'start_s must not be negative'),
        ({'start_s': float('nan')}, 'start_s must not be negative'),
        ({'start_s': 2.0, 'end_s': 1.0}, 'end_s must come after it'),
        ({'end_s': float('inf')}, 'end_s must come after it'),
        ({'path': '/etc/passwd'}, "got 'path'"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        check_options(options)


def test_a_server_of_no_worker_is_refused(make_engine):
    with pytest.raises(ValueError, match='num_workers must be at least 1'):
        make_engine(num_workers=0)
    assert ServedModel(name='a', system='b', title='c', config='d').checkpoint is None


def test_a_job_canceled_while_it_is_drawn_leaves_nothing(make_engine, clip, tmp_path):
    engine = make_engine()
    engine.start()
    job = submit(engine, clip, tmp_path)
    while engine.get(job.id, 'me').stage != 'drawing':
        job = engine.wait(job.id, 'me', 0.05)
        assert job.is_open
    engine.cancel(job.id, 'me')
    assert engine.files(job.id, 'me') == {}
    wait_for(engine, submit(engine, clip, tmp_path, draw=False))
    assert not (engine.folder / 'jobs' / job.id).exists()
    assert engine.totals['repnet_small', 'canceled'][0] == 1


def test_a_disk_that_takes_nothing_for_a_while_stops_no_thread(
    make_engine, clip, tmp_path, monkeypatch
):
    engine = make_engine()
    engine.start()
    claim, end, failed = JobStore.claim, JobStore.end, []

    def fail_at_first(do):
        def wrapped(*args, **kwargs):
            if failed.count(do) < 3:
                failed.append(do)
                raise sqlite3.OperationalError('database or disk is full')
            return do(*args, **kwargs)

        return wrapped

    monkeypatch.setattr(JobStore, 'claim', fail_at_first(claim))
    monkeypatch.setattr(JobStore, 'end', fail_at_first(end))
    job = wait_for(engine, submit(engine, clip, tmp_path, draw=False))
    assert job.state == 'done' and len(failed) == 6 and engine.is_well


def test_half_of_what_a_job_has_goes_at_the_next_start(make_engine, clip, tmp_path):
    engine = make_engine()
    jobs = [submit(engine, clip, tmp_path) for _ in range(3)]
    for job in jobs:
        (engine.folder / 'jobs' / job.id / 'output' / 'drawn').mkdir(parents=True)
    engine._store.end(jobs[0].id, 'done')
    engine._store.end(jobs[1].id, 'canceled')
    engine.stop(grace_s=0)
    again = make_engine(engine.folder)
    again._remove_strangers()
    left = {
        path.relative_to(again.folder / 'jobs').as_posix() for path in again.folder.glob('jobs/*/*')
    }
    assert left == {f'{jobs[0].id}/output', f'{jobs[2].id}/input'}


@pytest.mark.parametrize(
    'name',
    ['\U00020000' * 100 + '.mp4', '.' * 50, 'a\nb/..', 'x.' + 'y' * 300, ' ', 'C:\\a\\b.MP4'],
)
def test_names_of_all_kinds_are_taken(make_engine, clip, tmp_path, name):
    engine = make_engine()
    job = submit(engine, clip, tmp_path, name=name)
    (file,) = (engine.folder / 'jobs' / job.id / 'input').iterdir()
    assert len(file.name.encode()) < 100 and '/' not in job.name


def test_a_folder_of_something_else_is_refused(make_engine, tmp_path):
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'folder' / 'jobs.sqlite').write_bytes(b'something else' * 100)
    with pytest.raises(ValueError, match=r'jobs\.sqlite cannot be read'):
        make_engine()
