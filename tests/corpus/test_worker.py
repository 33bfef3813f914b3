import json
from datetime import date

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
            # as regions of a counter are
            'regions': iter([{'rate': Rounded(np.array([0.123]), 1), 'at': np.array([1, 2])}]),
        }  # fmt: skip


def test_entries_are_numbers_lists_and_text():
    assert flatten(Result()) == {
        'count': 2.0, 'nothing': None, 'speed': [1.0, None], 'rounded': [0.1],
        'path': [[1, 2], [3, 4]], 'windows': '[{"at_s": 0}, {"at_s": 1}]',
        'scores': '{"walk": 0.5}', 'segments': None, 'peaks': None,
        'regions': '[{"rate": [0.1], "at": [1, 2]}]',
    }  # fmt: skip


def test_a_name_does_not_leave_the_folder_of_json(work, tmp_path):
    worker = work(Job(load=load_fake, json_dir=tmp_path / 'out' / 'json'))
    rows = [worker(Item(id=name, video='abc.mp4')) for name in ('../../a', 'b/c', 'b%2Fc')]
    assert [row['status'] for row in rows] == ['ok'] * 3
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob('*.json')) == [
        'out/json/..%2F..%2Fa.json', 'out/json/b%252Fc.json', 'out/json/b%2Fc.json'
    ]  # fmt: skip


def test_what_a_manifest_says_is_kept_whatever_it_is(work, job):
    """A column of things without names is none that Parquet has."""
    more = {'meta': {}, 'more': [{'day': date(2026, 1, 2)}], 'label': 'x', 'result_label': 'y'}
    row = work(job)(Item(id='a', video='abc.mp4', more=more))
    assert row['meta'] == '{}' and row['more'] == '[{"day": "2026-01-02"}]'
    assert [row['label'], row['result_label'], row['result_result_label']] == ['x', 'y', 'abc']


def test_regions_of_a_video_that_failed_are_told(work, job):
    """So that a list of what failed is predicted as before."""
    item = Item(id='a', video='abc.mp4', regions=('l=1,2,3,4', '5,6,7,8'), fault='no')
    assert work(job)(item)['regions'] == 'l=1,2,3,4 5,6,7,8'
