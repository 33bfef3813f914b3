"""One table of files that differ, while they are written too, and SQL that reaches nothing else."""

import multiprocessing
import os

import pyarrow as pa
import pytest
from pyarrow import parquet

from mmotion.corpus.reading import explain, merge_schemas, open_results, query
from mmotion.corpus.store import TYPES
from tests.corpus_files import make_row, write_part, write_run


def test_files_of_different_columns_are_one_table(tmp_path):
    write_part(tmp_path, 0, make_row('a', count=3, errors=[1, 2], label=None))
    write_part(tmp_path, 1, make_row('b', count=2.5, errors=[0.5], label='run', camera=7))
    write_part(tmp_path, 2, make_row('c', 'failed', reason='broken', errors=[]))
    results = open_results(tmp_path)
    assert results.schema.names[: len(TYPES)] == [*TYPES]
    assert results.schema.field('count').type == pa.float64()
    assert results.schema.field('errors').type == pa.list_(pa.float64())
    rows = results.to_table(columns=['id', 'count', 'errors', 'label', 'camera']).to_pylist()
    assert rows == [
        {'id': 'a', 'count': 3.0, 'errors': [1.0, 2.0], 'label': None, 'camera': None},
        {'id': 'b', 'count': 2.5, 'errors': [0.5], 'label': 'run', 'camera': 7},
        {'id': 'c', 'count': None, 'errors': [], 'label': None, 'camera': None},
    ]


def test_sql_and_python_see_the_same(tmp_path):
    write_part(tmp_path, 0, make_row('a', count=3, grade=1))
    write_part(tmp_path, 1, make_row('b', grade='good'))
    found = query(open_results(tmp_path), 'select id, count, grade from results order by id')
    assert found.fetchall() == [('a', 3, '1'), ('b', None, 'good')]
    table = open_results(tmp_path).to_table(columns=['id', 'count', 'grade'])
    assert [tuple(row.values()) for row in table.to_pylist()] == found.fetchall()


def test_a_run_without_rows_is_empty(tmp_path):
    write_run(tmp_path, version='0.2.0')
    results = open_results(tmp_path)
    assert results.count_rows() == 0
    assert query(results, 'select count(*) from results').fetchall() == [(0,)]


def test_what_is_not_finished_is_passed_over(tmp_path):
    write_part(tmp_path, 0, make_row('a'))
    (tmp_path / '.part-00001.parquet.0a-1-1.partial').write_bytes(b'PAR1')
    (tmp_path / 'part-00001.txt').write_text('notes')
    assert open_results(tmp_path).count_rows() == 1


def test_lists_are_no_numbers(tmp_path):
    write_part(tmp_path, 0, make_row('a', score=[1.0]))
    write_part(tmp_path, 1, make_row('b', score=1.0))
    with pytest.raises(ValueError, match=r'lists in all files .* or in none, got score with list<'):
        open_results(tmp_path)


def test_a_table_alone_keeps_its_types():
    merged = merge_schemas([pa.schema({'frames': pa.int32(), 'x': pa.null()})])
    assert merged.field('frames').type == pa.int64()
    assert merged.field('x').type == pa.null()


@pytest.mark.parametrize(
    ('make', 'error', 'message'),
    [
        pytest.param(lambda folder: folder / 'no', FileNotFoundError, 'folder that is', id='none'),
        pytest.param(lambda folder: folder, ValueError, 'must have files part-', id='empty'),
        pytest.param(
            lambda folder: (folder / 'part-00000.parquet').write_bytes(b'PAR1') and folder,
            ValueError,
            'must be one that mmotion wrote, got ".*part-00000',
            id='damaged',
        ),
    ],
)
def test_what_is_no_result_is_refused(tmp_path, make, error, message):
    with pytest.raises(error, match=message):
        open_results(make(tmp_path))


def test_a_question_after_a_file_has_grown(tmp_path):
    write_part(tmp_path, 0, make_row('a'))
    results = open_results(tmp_path)
    for number in (1, 200):
        write_part(tmp_path, 0, *(make_row(str(i)) for i in range(number)))
        assert query(results, 'select count(id) from results').fetchall() == [(number,)]


def replace_often(folder, stop):
    """Let a file grow and shrink, as one that is written does, until it is enough."""
    tables = [pa.table({'id': [f'{i}' for i in range(size)]}) for size in (10, 5000)]
    while not stop.is_set():
        for table in tables:
            parquet.write_table(table, folder / '.next')
            os.replace(folder / '.next', folder / 'part-00000.parquet')


def test_reading_while_files_are_replaced(tmp_path):
    write_part(tmp_path, 0, *(make_row(str(i)) for i in range(10)))
    context = multiprocessing.get_context('fork')
    stop = context.Event()
    writer = context.Process(target=replace_often, args=(tmp_path, stop))
    writer.start()
    try:
        seen = set()
        for _ in range(60):
            sql = 'select count(*), count(distinct id) from results'
            ((rows, names),) = query(open_results(tmp_path), sql).fetchall()
            assert rows == names
            seen.add(rows)
    finally:
        stop.set()
        writer.join(30)
    assert writer.exitcode == 0
    assert seen <= {10, 5000}


@pytest.mark.parametrize(
    ('sql', 'message'),
    [
        pytest.param('select cuont from results', 'Candidate bindings: "count"', id='column'),
        pytest.param('select 1 from result', 'Did you mean "results', id='table'),
        pytest.param('selct 1', 'syntax error at or near "selct"$', id='syntax'),
        pytest.param("copy results to '{}/x.csv'", 'disabled by configuration', id='writing'),
        pytest.param("from read_csv('/etc/hostname')", 'disabled by config', id='reading'),
        pytest.param('install httpfs', 'disabled by configuration', id='extension'),
        pytest.param('set enable_external_access = true', 'Cannot', id='opening'),
    ],
)
def test_what_sql_must_not_or_cannot(tmp_path, sql, message):
    write_part(tmp_path, 0, make_row('a', count=1))
    with pytest.raises(ValueError, match=f'--sql must be a query of the table results.*{message}'):
        query(open_results(tmp_path), sql.format(tmp_path))
    assert not (tmp_path / 'x.csv').exists()


def test_an_error_is_told_in_a_line():
    import duckdb

    error = duckdb.Error('Binder Error: no\n  such: "a"\n\nLINE 1: select\n        ^')
    assert str(explain(error)).endswith('got Binder Error: no such: "a"')
