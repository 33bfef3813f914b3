import dataclasses
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

import psutil
import pyarrow as pa
import pytest
from pyarrow import parquet

import mmotion
from mmotion.corpus.local import run_local
from mmotion.corpus.manifest import read_manifest
from mmotion.corpus.run import choose_engine, predict_corpus, run_corpus
from mmotion.corpus.store import ResultStore, list_parts
from mmotion.corpus.worker import flatten
from tests.corpus.conftest import FakePredictor
from tests.moving_boxes import write_video
from tests.test_layout import ROOT

RUN = {'settings': {}}
ENGINE = partial(run_local, workers=2)
# a run in a process of its own, to be killed
SCRIPT = """
import sys
from functools import partial
from pathlib import Path
from mmotion.corpus.local import run_local
from mmotion.corpus.manifest import read_manifest
from mmotion.corpus import run, store
from mmotion.corpus.worker import Job
from tests.corpus.conftest import load_fake

if __name__ == '__main__':
    store.COMMIT_S = run.COMMIT_S = 0.2
    run.TICK_S = 0.05
    run.run_corpus(
        read_manifest([*Path(sys.argv[1]).read_text().split()]), Job(load=load_fake),
        Path(sys.argv[2]), run={'settings': {}}, engine=partial(run_local, workers=2),
    )
"""


def read_rows(folder):
    """The rows of all files, as they are there."""
    return [
        row for path in list_parts(Path(folder)) for row in parquet.read_table(path).to_pylist()
    ]


def test_a_second_run_does_nothing(tmp_path, job):
    manifest = read_manifest(['a', 'b', 'bad', 'crash'])
    first = run_corpus(manifest, job, tmp_path, run=RUN, engine=ENGINE)
    assert (first.done, first.failed, first.new) == (2, 2, 4)
    files = {path: path.stat().st_mtime_ns for path in list_parts(tmp_path)}

    def never(items, job):
        raise AssertionError

    second = run_corpus(manifest, job, tmp_path, run=RUN, engine=never)
    assert (second.done, second.failed, second.new) == (2, 2, 0)
    assert {path: path.stat().st_mtime_ns for path in list_parts(tmp_path)} == files


def test_a_list_that_grew_is_gone_on_with(tmp_path, job):
    run_corpus(read_manifest(['a', 'b']), job, tmp_path, run=RUN, engine=ENGINE)
    outcome = run_corpus(read_manifest(['c', 'b', 'a']), job, tmp_path, run=RUN, engine=ENGINE)
    assert (outcome.done, outcome.new) == (3, 1)
    assert Counter(row['video'] for row in read_rows(tmp_path)) == Counter('abc')


def test_a_video_of_the_same_name_elsewhere_is_told(tmp_path, job):
    """Two lists of relative paths, or that count their rows, in one folder of results."""
    for name in ('one', 'two'):
        (tmp_path / name).mkdir()
        (tmp_path / name / 'list.csv').write_text('video,id\nx.mp4,1\ns3://b/y.mp4,2\n')
    out = tmp_path / 'out'
    for _ in range(2):
        run_corpus(read_manifest(tmp_path / 'one/list.csv'), job, out, run=RUN, engine=ENGINE)
    with pytest.warns(UserWarning, match=r'1 videos that are done as others .* 1, .*two/x.mp4, as'):
        run_corpus(read_manifest(tmp_path / 'two/list.csv'), job, out, run=RUN, engine=ENGINE)
    assert len(read_rows(out)) == 2


def test_what_failed_is_tried_again_if_wanted(tmp_path, job):
    manifest = read_manifest([str(tmp_path / 'bad'), 'a'])
    run_corpus(manifest, job, tmp_path / 'out', run=RUN, engine=ENGINE)
    for again in (False, True):
        outcome = run_corpus(
            manifest, job, tmp_path / 'out', run=RUN, engine=ENGINE, retry_failed=again
        )
        assert (outcome.failed, outcome.new) == (1, int(again))
    assert len(read_rows(tmp_path / 'out')) == 2


def test_what_is_done_is_kept_when_the_run_is_stopped(tmp_path, job):
    def stop(items, job):
        for row, _ in zip(run_local(items, job, workers=1), range(2), strict=False):
            yield row
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_corpus(read_manifest([*'abcd']), job, tmp_path, run=RUN, engine=stop)
    assert len(read_rows(tmp_path)) == 2


def test_a_disk_that_takes_nothing_ends_the_run(tmp_path, job, monkeypatch):
    def refuse(store, **options):
        raise OSError('a file must have a disk that takes it')

    monkeypatch.setattr(ResultStore, 'commit', refuse)
    names = [f'slow{i}' for i in range(1000)]
    with pytest.raises(OSError, match='a disk that takes it'):
        run_corpus(read_manifest(names), job, tmp_path, run=RUN, engine=ENGINE)


def test_a_killed_run_goes_on_and_loses_nothing(tmp_path):
    """SIGKILL of workers and of the run itself, at random moments."""
    rng = random.Random(0)
    names = [f'slow{i}' for i in range(60)] + ['bad', 'crash']
    names += [str(tmp_path / f'once{i}') for i in range(3)]
    (tmp_path / 'list').write_text('\n'.join(names))
    command = [sys.executable, '-c', SCRIPT, str(tmp_path / 'list'), str(tmp_path / 'out')]
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    for _ in range(3):
        process = subprocess.Popen(command, env=environment)
        parent = psutil.Process(process.pid)
        seen = len(read_rows(tmp_path / 'out'))
        wait_until(lambda seen=seen: len(read_rows(tmp_path / 'out')) > seen)
        children = [c.pid for c in parent.children() if 'spawn_main' in ' '.join(c.cmdline())]
        os.kill(rng.choice(children), signal.SIGKILL)
        time.sleep(rng.uniform(0, 0.3))
        process.kill()
        process.wait()
        # nothing works on for a run that is no more
        wait_until(lambda children=children: not any(map(is_running, children)))
        rows = read_rows(tmp_path / 'out')
        assert len({row['id'] for row in rows}) == len(rows) < len(names)
    for _ in range(2):
        subprocess.run(command, env=environment, check=True, timeout=120)
        rows = read_rows(tmp_path / 'out')
        assert Counter(row['video'] for row in rows) == Counter(names)
    failed = {row['video'] for row in rows if row['status'] == 'failed'}
    assert failed == {'bad', 'crash'}
    predictor = FakePredictor()
    for row in rows:
        if row['status'] == 'ok' and 'once' not in row['video']:
            assert row['label'] == predictor.predict(row['video']).to_dict()['label']


def is_running(process):
    """Whether a process is there, other than as one that nobody has asked after since its end."""
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until(is_true):
    deadline_s = time.monotonic() + 60
    while not is_true():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_a_run_that_is_interrupted_ends_soon_and_keeps_what_is_done(tmp_path):
    (tmp_path / 'list').write_text('\n'.join(['a', 'b', 'hang1', 'hang2']))
    command = [sys.executable, '-c', SCRIPT, str(tmp_path / 'list'), str(tmp_path / 'out')]
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    wait_until(lambda: len(read_rows(tmp_path / 'out')) == 2)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) != 0
    assert {row['video'] for row in read_rows(tmp_path / 'out')} == {'a', 'b'}


@pytest.mark.parametrize('is_file', [True, False])
def test_a_script_that_its_processes_import_is_told(tmp_path, is_file):
    script = SCRIPT.replace("if __name__ == '__main__'", 'if True')
    (tmp_path / 'list').write_text('a b')
    (tmp_path / 'script.py').write_text(script)
    ran = subprocess.run(
        [
            sys.executable, str(tmp_path / 'script.py') if is_file else '-',
            str(tmp_path / 'list'), str(tmp_path / 'out'),
        ],
        env={**os.environ, 'PYTHONPATH': str(ROOT)}, input=script, text=True,
        capture_output=True, timeout=120,
    )  # fmt: skip
    assert ran.returncode == 1
    assert 'a script must be a file, and call this below' in ran.stderr


@pytest.mark.slow
def test_a_corpus_is_what_each_video_is_alone(tmp_path):
    clip = write_video(tmp_path / 'box.mp4', 90)
    table = pa.table({
        'video': [str(clip), str(clip), str(tmp_path / 'none.mp4')],
        'start_s': [0.0, 0.5, 0.0],
        'label': ['x', 'y', 'z'],
    })  # fmt: skip
    results = predict_corpus('repnet_small', table, tmp_path / 'out', workers=2).to_table()
    rows = {row['label']: row for row in results.to_pylist()}
    assert rows['z']['status'] == 'failed' and 'none.mp4' in rows['z']['reason']
    predictor = mmotion.load_model('repnet_small')
    for label, start_s in (('x', 0.0), ('y', 0.5)):
        result = predictor.predict(clip, start_s=start_s)
        assert rows[label]['frames'] == result.num_frames
        for name, value in flatten(result).items():
            assert rows[label][name] == value, name


def test_a_script_that_calls_outside_main_is_told(tmp_path):
    (tmp_path / 'list.txt').write_text('nothing.mp4\n')
    script = tmp_path / 'script.py'
    script.write_text(
        'import mmotion\n'
        f"mmotion.predict_corpus('repnet_small', {str(tmp_path / 'list.txt')!r}, "
        f'{str(tmp_path / "out")!r}, workers=1)\n'
    )
    ran = subprocess.run(
        [sys.executable, script],
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 1
    assert 'must be called by the process that was started' in ran.stderr
    assert 'in use by another' not in ran.stderr


def test_engines_are_chosen_and_checked(job):
    with pytest.raises(ValueError, match=r"engine must be one of .*, got engine='spark'"):
        choose_engine('spark', workers=1, device=None, gpus_per_worker=None)
    with pytest.raises(ValueError, match='gpus_per_worker must'):
        choose_engine('local', workers=1, device=None, gpus_per_worker=1.5)


def test_threads_and_workers_share_the_cores(job, monkeypatch):
    from mmotion.corpus import run as module

    told = {}

    def note(items, job, *, workers, devices):
        told.update(workers=workers, threads=job.num_threads, devices=devices)
        return iter(())

    monkeypatch.setattr(module, 'run_local', note)
    monkeypatch.setattr(module, 'count_cores', lambda: 8)
    for workers, expected in ((None, (8, 1)), (2, (2, 4)), (16, (16, 1))):
        engine = choose_engine('local', workers=workers, device=None, gpus_per_worker=None)
        engine([], dataclasses.replace(job))
        assert (told['workers'], told['threads']) == expected
    monkeypatch.setattr(module, '_share_gpus', lambda share: ['cuda:0', 'cuda:0'])
    choose_engine('local', workers=None, device=None, gpus_per_worker=0.5)([], job)
    assert told['workers'] == 2 and told['devices'] == ['cuda:0', 'cuda:0']
