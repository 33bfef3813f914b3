import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

import mmotion
from mmotion.corpus import ray_engine
from mmotion.corpus.manifest import Item, read_manifest
from mmotion.corpus.ray_engine import MAX_TRIES, group_by_bytes, run_ray
from mmotion.corpus.reading import open_results
from mmotion.corpus.run import run_corpus
from mmotion.corpus.worker import Job, flatten
from tests.corpus.conftest import FakePredictor, load_nothing, make_items
from tests.moving_boxes import write_video
from tests.test_layout import ROOT

# a run in a process of its own, to be interrupted
SCRIPT = """
from mmotion.corpus.ray_engine import run_ray
from mmotion.corpus.worker import Job
from tests.corpus.conftest import load_fake, make_items

for row in run_ray(make_items('hang1', 'a', 'b', 'hang2'), Job(load=load_fake), workers=2):
    print(row['id'], flush=True)
"""


class OrphanedPredictor(FakePredictor):
    """Some names take the worker along, as Ray does when a node has no memory left."""

    def predict(self, video, **options):
        if Path(video).stem == 'takes the worker':
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(600)
        return super().predict(video, **options)


def load_orphaned(*, device=None):
    return OrphanedPredictor()


class FragilePredictor:
    """Counts repetitions; one name ends the process."""

    def __init__(self):
        self.predictor = mmotion.load_model('repnet_small')

    def prepare(self, videos):
        self.predictor.prepare(videos)

    def predict(self, video, **options):
        if Path(video).stem == 'crash':
            os.kill(os.getpid(), signal.SIGSEGV)
        return self.predictor.predict(video, **options)


def load_fragile(*, device=None):
    return FragilePredictor()


@pytest.fixture(scope='module')
def cluster():
    """Two nodes of Ray on this machine, of a core each; the second is `cluster.second`."""
    ray = pytest.importorskip('ray')
    pytest.importorskip('ray.data')
    from ray.cluster_utils import Cluster

    node = {'num_cpus': 1, 'object_store_memory': 100_000_000}
    cluster = Cluster(initialize_head=True, head_node_args={**node, 'include_dashboard': False})
    cluster.second = cluster.add_node(**node)
    ray.init(cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def write_videos(folder, **sizes):
    for name, size in sizes.items():
        with open(folder / name, 'wb') as file:
            file.truncate(size)
    return [Item(id=name, video=str(folder / name)) for name in sizes]


def name_blocks(blocks):
    return [[item.id for item in block] for block in blocks]


def test_a_block_has_so_many_bytes(tmp_path):
    small = {f's{i}': 10_000 for i in range(7)}
    items = write_videos(tmp_path, **small, long=900_000, half=25_000)
    blocks = name_blocks(group_by_bytes(items, workers=1, max_bytes=30_000))
    # the largest first, and alone; as many of the others as fit
    assert blocks == [['long'], ['half'], ['s0', 's1', 's2'], ['s3', 's4', 's5'], ['s6']]


def test_each_worker_gets_some_blocks(tmp_path):
    items = write_videos(tmp_path, **{f's{i}': 1000 for i in range(64)})
    for workers in (1, 2, 4):
        blocks = group_by_bytes(items, workers=workers)
        assert len(blocks) == workers * ray_engine.MIN_BLOCKS_PER_WORKER
        assert sorted(item.id for block in blocks for item in block) == sorted(i.id for i in items)


def test_what_is_no_local_file_counts_as_the_average(tmp_path):
    items = write_videos(tmp_path, large=30_000, small=10_000)
    items += [Item(id='url', video='s3://bucket/a.mp4'), Item(id='folder', video=str(tmp_path))]
    blocks = name_blocks(group_by_bytes(items, workers=1))
    assert blocks == [['large'], ['url'], ['folder'], ['small']]
    nothing_known = group_by_bytes(make_items('a', 'b', 'c'), workers=1, max_bytes=2)
    assert sum(map(len, nothing_known)) == 3


def test_without_ray_it_is_told_how_to_get_it(monkeypatch, job):
    monkeypatch.setitem(sys.modules, 'ray', None)
    with pytest.raises(ImportError, match=r'run pip install "mmotion\[ray\]"'):
        next(run_ray(make_items('a'), job))


def test_each_video_has_a_row(cluster, tmp_path):
    names = ['a', 'bad', 'crash', 'takes the worker', *(f'b{i}' for i in range(20))]
    rows = [*run_ray(make_items(*names), Job(load=load_orphaned), workers=2)]
    assert sorted(row['id'] for row in rows) == sorted(names)
    failed = {row['id']: row['reason'] for row in rows if row['status'] == 'failed'}
    assert failed.keys() == {'bad', 'crash', 'takes the worker'}
    assert 'SIGSEGV' in failed['crash']
    assert failed['takes the worker'].startswith(f'{MAX_TRIES} workers of Ray ended')
    # None has not become NaN
    (row,) = [row for row in rows if row['id'] == 'a']
    assert row['end_s'] is None and row['at'] == [0.5, None]


def test_a_row_comes_when_it_is_done(cluster, job, monkeypatch):
    # all in one block
    monkeypatch.setattr(ray_engine, 'MIN_BLOCKS_PER_WORKER', 0.1)
    rows = run_ray(make_items('a', 'b', 'hang', 'c'), job, workers=1)
    assert [next(rows)['id'], next(rows)['id']] == ['a', 'b']
    # and closing ends what is at work
    import ray

    rows.close()
    deadline_s = time.monotonic() + 60
    while ray.available_resources().get('CPU') != 2:
        assert time.monotonic() < deadline_s
        time.sleep(0.1)


def test_what_ends_the_run_is_raised_as_it_is(cluster):
    with pytest.raises(FileNotFoundError, match='no weights'):
        next(run_ray(make_items('a'), Job(load=load_nothing)))


def test_what_no_node_has_is_refused(cluster, job):
    with pytest.raises(
        ValueError, match=r'takes 1 CPU and 0.5 GPU and 2 nodes of at most 1 CPU and 0 GPU'
    ):
        next(run_ray(make_items('a'), job, gpus_per_worker=0.5))
    with pytest.raises(ValueError, match='workers must be at least 1'):
        next(run_ray(make_items('a'), job, workers=0))


@pytest.mark.slow
def test_a_node_that_is_lost_costs_nothing(cluster, tmp_path):
    """Two nodes, five videos that are none or end their process, and one node killed midway."""
    import ray

    for number in range(15):
        write_video(tmp_path / f'box{number}.mp4', 60 + number)
    (tmp_path / 'text.mp4').write_text('no video')
    (tmp_path / 'empty.mp4').touch()
    (tmp_path / 'cut.mp4').write_bytes((tmp_path / 'box0.mp4').read_bytes()[:1000])
    shutil.copy(tmp_path / 'box0.mp4', tmp_path / 'crash.mp4')
    manifest = read_manifest([*sorted(map(str, tmp_path.iterdir())), 'none.mp4'])

    def lose_a_node(items, job):
        for number, row in enumerate(run_ray(items, job, workers=2)):
            yield row
            if number == 4:
                # a worker is on each
                assert not ray.available_resources().get('CPU')
                cluster.remove_node(cluster.second, allow_graceful=False)

    def never(items, job):
        raise AssertionError

    job = Job(load=load_fragile)
    for engine in (lose_a_node, never, never):
        run_corpus(manifest, job, tmp_path / 'out', run={'settings': {}}, engine=engine)
    rows = open_results(tmp_path / 'out').to_table().to_pylist()
    assert sorted(row['id'] for row in rows) == sorted(manifest.ids)
    failed = {Path(row['video']).stem for row in rows if row['status'] == 'failed'}
    assert failed == {'text', 'empty', 'cut', 'crash', 'none'}
    predictor = load_fragile()
    for row in rows:
        if row['status'] == 'ok':
            for name, value in flatten(predictor.predict(row['video'])).items():
                assert row[name] == value, name


@pytest.mark.slow
def test_a_run_that_is_interrupted_ends_soon_and_leaves_nothing_behind(tmp_path):
    pytest.importorskip('ray.data')
    script = tmp_path / 'run.py'
    script.write_text(SCRIPT)
    # Ctrl-C goes to all processes of a terminal, those of Ray too
    process = subprocess.Popen(
        [sys.executable, script],
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert sorted(process.stdout.readline().strip() for _ in range(2)) == ['a', 'b']
    started = psutil.Process(process.pid).children(recursive=True)
    assert any('ray::' in name for name in map(psutil.Process.name, started))
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=30) != 0
    _, left = psutil.wait_procs(started, timeout=30)
    assert not left
