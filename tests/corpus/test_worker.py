import json

import numpy as np
import pytest

from mmotion.corpus.manifest import Item
from mmotion.corpus.worker import Job, VideoWorker, flatten
from mmotion.structures.json_file import Rounded
from tests.corpus.conftest import load_fake, load_nothing, make_items
from tests.file_server import serve_file


@pytest.fixture
def work():
    """Predicts in a process, which is ended after the test."""
    started = []

    def start(job):
        started.append(VideoWorker(job))
        return started[-1]

    yield start
    for worker in started:
        worker.kill()


def test_a_video_becomes_a_row(work, job):
    item = Item(id='a', video='dir/abc.mp4', start_s=1.0, more={'label': 'x', 'subject': 3})
    row = work(job)(item)
    assert row.pop('seconds') >= 0 and row.pop('version')
    assert row == {
        'id': 'a', 'video': 'dir/abc.mp4', 'start_s': 1.0, 'end_s': None, 'status': 'ok',
        'reason': None, 'frames': 7, 'attempts': 1, 'label': 'x', 'subject': 3, 'count': 3,
        'fps': 25.0, 'at': [0.5, None],
        # the manifest has a column of this name
        'result_label': 'abc',
    }  # fmt: skip


def test_a_row_says_which_regions(work):
    item = Item(id='a', video='a.mp4', regions=('left=0,0,9,9', '9,0,18,9'))
    # this predictor knows no regions
    row = work(Job(load=load_fake))(item)
    assert (row['status'], row['regions']) == ('failed', 'left=0,0,9,9 9,0,18,9')


def test_what_a_video_does_is_in_its_row(work, tmp_path):
    worker = work(Job(load=load_fake, timeout_s=2.0))
    rows = [worker(item) for item in make_items('bad', 'crash', 'good', 'hang', 'lost', 'fine')]
    assert [(row['status'], row['attempts']) for row in rows] == [
        ('failed', 1), ('failed', 2), ('ok', 1), ('failed', 1), ('failed', 2), ('ok', 1)
    ]  # fmt: skip
    reasons = [row['reason'] for row in rows]
    assert reasons[0] == 'a video must be good, got bad.mp4'
    assert 'ended by SIGSEGV, and so did' in reasons[1]
    assert 'not take more than 2 s' in reasons[3]
    assert 'exit code 1' in reasons[4]
    assert all('count' in row for row in rows if row['status'] == 'ok')

    again = Item(id='b', video=str(tmp_path / 'once.mp4'))
    assert (row := worker(again))['status'] == 'ok' and row['attempts'] == 2
    fault = Item(id='c', video='a.mp4', fault='start_s must not be negative')
    assert worker(fault)['reason'] == 'start_s must not be negative'


def test_a_json_file_for_each(work, tmp_path):
    work(Job(load=load_fake, json_dir=tmp_path / 'json'))(Item(id='7', video='abc.mp4'))
    content = json.loads((tmp_path / 'json' / '7.json').read_text())
    assert content == {
        'count': 3, 'fps': 25.0, 'label': 'abc', 'at': [0.5, None], 'video': 'abc.mp4', 'id': '7'
    }  # fmt: skip


def test_a_video_at_an_address(work, job):
    with serve_file() as server:
        worker = work(job)
        names = ('good', 'bad', 'crash', 'fine')
        rows = [worker(Item(id=name, video=f'{server.url}/{name}.mp4')) for name in names]
        server.faults = [404]
        gone = worker(Item(id='gone', video=f'{server.url}/gone.mp4'))
        assert not worker._scratch.exists()
    assert [(row['status'], row['attempts']) for row in rows] == [
        ('ok', 1), ('failed', 1), ('failed', 2), ('ok', 1)
    ]  # fmt: skip
    # not that of the copy
    assert rows[1]['reason'] == f'a video must be good, got {server.url}/bad.mp4'
    assert gone['reason'] == f'a video must be there, got nothing at {server.url}/gone.mp4'


def test_a_model_that_is_not_there_is_no_fault_of_a_video(work):
    with pytest.raises(FileNotFoundError, match='no weights'):
        work(Job(load=load_nothing))


class Result:
    def to_arrays(self):
        return {
            'count': np.float32(2), 'num_frames': 3, 'start_s': 0.0, 'nothing': None,
            'speed': np.array([1.0, np.nan]), 'rounded': Rounded(np.array([0.123]), 1),
            'path': iter([[1, 2], [3, 4]]), 'windows': ({'at_s': i} for i in range(2)),
            'scores': {'walk': 0.5}, 'segments': [], 'peaks': np.array([]),
        }  # fmt: skip


def test_entries_are_numbers_lists_and_text():
    assert flatten(Result()) == {
        'count': 2.0, 'nothing': None, 'speed': [1.0, None], 'rounded': [0.1],
        'path': [[1, 2], [3, 4]], 'windows': '[{"at_s": 0}, {"at_s": 1}]',
        'scores': '{"walk": 0.5}', 'segments': None, 'peaks': None,
    }  # fmt: skip
