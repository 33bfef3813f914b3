import json
import os

import pytest
from mmengine.config import Config

from mmotion.inference.records import (
    KEY,
    Record,
    describe_settings,
    describe_source,
    read_record,
)

RECORD = {'source': {'path': '/a.mp4', 'size': 3}, 'settings': {'fps': None}, 'files': ['a.png']}


@pytest.mark.parametrize(
    ('text', 'is_done'),
    [
        pytest.param(json.dumps({'x': [1.5] * 500_000, KEY: RECORD}), True, id='large'),
        pytest.param(json.dumps({'x': [1.5]}), False, id='without'),
        # as a name of a video, not as an entry
        pytest.param(json.dumps({'x': f', "{KEY}": {{}}'}), False, id='in a text'),
        pytest.param(json.dumps({'x': 1, KEY: RECORD})[:-9], False, id='cut off'),
        pytest.param(json.dumps({'x': 1, KEY: {'source': {}}}), False, id='of another kind'),
        pytest.param(json.dumps({'x': 1, KEY: 3}), False, id='a number'),
        pytest.param('', False, id='empty'),
        pytest.param(None, False, id='no file'),
    ],
)
def test_a_record_is_read_from_the_end(tmp_path, text, is_done):
    file = tmp_path / 'a.json'
    if text is not None:
        file.write_text(text)
    done = read_record(file)
    assert (done is not None) == is_done
    assert done is None or done == Record(**RECORD | {'files': ('a.png',)})


def test_what_has_changed_is_named(tmp_path):
    (tmp_path / 'there.png').write_text('')
    settings = {'fps': 30.0, 'config': {'model': '1', 'predictor': '1'}, 'weights': 'a'}
    done = Record(source={'size': 1}, settings=settings, files=('there.png',))
    assert done.list_changes(Record(source={'size': 1}, settings=settings), tmp_path) == []
    other = {'config': {'model': '1', 'predictor': '2', 'x': '3'}, 'weights': 'a', 'start_s': 1}
    gone = Record(source={'size': 1}, settings=settings, files=('there.png', 'gone.png'))
    assert gone.list_changes(Record(source={'size': 2}, settings=other), tmp_path) == [
        'video', 'fps', 'config.predictor', 'config.x', 'start_s', 'gone.png',
    ]  # fmt: skip


def test_a_video_is_another_one_when_its_size_or_time_changes(tmp_path):
    file = tmp_path / 'a.mp4'
    file.write_bytes(b'abc')
    os.utime(file, ns=(5, 5))
    assert describe_source(file) == {'path': str(file), 'size': 3, 'changed_ns': 5}
    # of pictures all are looked at
    (tmp_path / 'b').write_bytes(b'de')
    os.utime(tmp_path / 'b', ns=(7, 7))
    assert describe_source(tmp_path) == {'path': str(tmp_path), 'size': 5, 'changed_ns': 7}
    with pytest.raises(FileNotFoundError):
        describe_source(tmp_path / 'none')


def test_settings_are_short_and_tell_weights_by_their_content(tmp_path):
    config = Config({'model': {'type': 'A'}, 'predictor': {'every': 2}})
    weights = tmp_path / 'a.pth'
    weights.write_bytes(b'abc')
    first = describe_settings(config, weights, fps=None, regions=[[0.5] * 1000])
    assert first['fps'] is None and len(first['regions']) == 16
    assert json.loads(json.dumps(first)) == first
    weights.rename(tmp_path / 'b.pth')
    again = describe_settings(config, tmp_path / 'b.pth', fps=None, regions=[[0.5] * 1000])
    assert again == first
    (tmp_path / 'b.pth').write_bytes(b'abd')
    config.predictor.every = 3
    other = describe_settings(config, tmp_path / 'b.pth', fps=None, regions=[[0.5] * 1000])
    assert other['weights'] != first['weights']
    assert other['config']['predictor'] != first['config']['predictor']
    assert other['config']['model'] == first['config']['model']
    assert describe_settings(config, 'random')['weights'] == 'random'
