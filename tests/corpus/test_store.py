import json

import pyarrow as pa
import pytest
from pyarrow import parquet

from mmotion.corpus import store as module
from mmotion.corpus.store import ResultStore, join_tables, list_parts, make_table, open_store

RUN = {'config': 'a.py', 'settings': {'version': '1', 'config': {'model': 'x'}}}


def row(name, *, status='ok', **more):
    return {'id': name, 'video': f'{name}.mp4', 'status': status, 'reason': None, **more}


def read_ids(folder):
    return [
        name for path in list_parts(folder) for name in parquet.read_table(path)['id'].to_pylist()
    ]


def test_rows_are_done_when_their_file_is_there(tmp_path):
    with open_store(tmp_path) as store:
        store.add(row('a', count=1))
        assert not list_parts(tmp_path)
        store.commit()
        store.add(row('b', count=2.5))
        store.commit()
        store.add(row('a', count=9))
        store.add(row('c', status='failed'))
    # one file, that has grown, and a row for each
    assert [path.name for path in list_parts(tmp_path)] == ['part-00000.parquet']
    table = parquet.read_table(tmp_path / 'part-00000.parquet')
    assert table['id'].to_pylist() == ['a', 'b', 'c']
    assert table['count'].to_pylist() == [1, 2.5, None]
    assert table.schema.metadata[b'mmotion.schema'] == b'1'
    assert ResultStore(tmp_path).done == {'a': True, 'b': True, 'c': False}


def test_a_run_adds_files_to_those_that_are_there(tmp_path):
    for name in 'ab':
        with open_store(tmp_path) as store:
            store.add(row(name))
    assert [path.name for path in list_parts(tmp_path)] == [
        'part-00000.parquet', 'part-00001.parquet'
    ]  # fmt: skip


def test_a_long_file_is_followed_by_another(tmp_path, monkeypatch):
    monkeypatch.setattr(module, 'PART_BYTES', 10_000)
    with open_store(tmp_path) as store:
        for i in range(10):
            store.add(row(str(i), at=[0.5] * 500))
            store.commit()
    assert len(list_parts(tmp_path)) == 4
    assert read_ids(tmp_path) == [str(i) for i in range(10)]


def test_rows_wait_for_others(tmp_path):
    with open_store(tmp_path) as store:
        store.add(row('a'))
        store.commit(every_s=3600)
        assert not list_parts(tmp_path)


def test_what_failed_can_be_forgotten(tmp_path):
    with open_store(tmp_path) as store:
        for name in 'abc':
            store.add(row(name, status='failed' if name == 'b' else 'ok'))
    with open_store(tmp_path) as store:
        assert store.forget_failed() == 1
        assert store.done == {'a': True, 'c': True}
        assert read_ids(tmp_path) == ['a', 'c']
        store.add(row('b'))
    assert read_ids(tmp_path) == ['a', 'c', 'b']


def test_what_failed_and_is_not_tried_again_is_kept(tmp_path):
    """Of another list, or of a longer one."""
    with open_store(tmp_path) as store:
        for name in 'abc':
            store.add(row(name, status='ok' if name == 'c' else 'failed'))
    with open_store(tmp_path) as store:
        assert store.forget_failed(['b', 'c', 'd']) == 1
        assert store.done == {'a': False, 'c': True}
        assert read_ids(tmp_path) == ['a', 'c']


def test_a_file_is_whole_whatever_ends_the_writer(tmp_path, monkeypatch):
    store = ResultStore(tmp_path)
    store.add(row('a'))
    store.commit()
    store.add(row('b'))

    def write_half(table, path, **options):
        path.write_bytes(b'PAR1')
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(parquet, 'write_table', write_half)
        store.commit()
    assert read_ids(tmp_path) == ['a']
    # nothing is lost in this process either
    store.commit()
    assert read_ids(tmp_path) == ['a', 'b']


def test_another_process_must_wait(tmp_path):
    with (
        open_store(tmp_path),
        pytest.raises(ValueError, match='must not be in use by another process'),
        open_store(tmp_path),
    ):
        pass


def test_results_of_something_else_are_refused(tmp_path):
    with open_store(tmp_path) as store:
        store.check_run(RUN)
        store.add(row('a'))
    other = {'config': 'a.py', 'settings': {'version': '1', 'config': {'model': 'y'}}}
    with open_store(tmp_path) as store:
        store.check_run({**RUN, 'config': 'moved/a.py'})
        with pytest.raises(ValueError, match=r'got another config\.model; name another --out'):
            store.check_run(other)
    assert json.loads((tmp_path / '_run.json').read_text()) == RUN


def test_a_folder_without_rows_may_be_of_anything(tmp_path):
    for run in (RUN, {'settings': {}}):
        with open_store(tmp_path) as store:
            store.check_run(run)
    assert json.loads((tmp_path / '_run.json').read_text()) == {'settings': {}}


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / 'part-00000.parquet').write_bytes(b'PAR1')
    with pytest.raises(ValueError, match=r'must be one that mmotion wrote.*move it away'):
        ResultStore(tmp_path)


def test_values_of_several_kinds_are_json():
    table = make_table([row('a', x=1), row('b', x='one'), row('c', x=None), row('d', x=2**70)])
    assert table['x'].to_pylist() == ['1', 'one', None, str(2**70)]
    assert make_table([row('a')]).schema.field('reason').type == pa.string()


def test_columns_that_differ_are_joined():
    tables = [make_table([row('a', x=[])]), make_table([row('b', x=[1.5], y=2)])]
    assert join_tables(tables).select(['id', 'x', 'y']).to_pylist() == [
        {'id': 'a', 'x': [], 'y': None}, {'id': 'b', 'x': [1.5], 'y': 2}
    ]  # fmt: skip
    tables = [make_table([row('a', x=1)]), make_table([row('b', x='one')])]
    assert join_tables(tables)['x'].to_pylist() == ['1', 'one']


def test_text_stays_as_it_is_however_often_it_is_joined():
    segments = '[{"start_s": 0.0}]'
    table = make_table([row('a', segments=segments)])
    for name in 'bc':
        table = join_tables([table, make_table([row(name, segments=[])])])
    assert table['segments'].to_pylist() == [segments, '[]', '[]']


def test_text_that_is_none_costs_no_row(tmp_path):
    """A reason may have a name of a file that is no UTF-8."""
    with open_store(tmp_path) as store:
        store.add(row('a', reason='no b\udcff.mp4'))
    assert parquet.read_table(tmp_path / 'part-00000.parquet')['reason'].to_pylist() == [
        'no b\\udcff.mp4'
    ]


@pytest.mark.parametrize('content', ['{', '[]', '{}'])
def test_a_damaged_note_of_the_run_is_named(tmp_path, content):
    with open_store(tmp_path) as store:
        store.add(row('a'))
        (tmp_path / '_run.json').write_text(content)
        with pytest.raises(ValueError, match=r'_run\.json must say what made .*damaged'):
            store.check_run(RUN)
