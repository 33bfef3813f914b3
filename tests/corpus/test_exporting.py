"""Rows for people and for programs, whatever is in them."""

import io
import json

import pyarrow as pa
import pytest

from mmotion.corpus.exporting import SHOWN, find_format, lay_out, print_rows, write_rows
from mmotion.corpus.reading import open_results, query
from tests.corpus_files import make_row, write_part


@pytest.fixture
def ask(tmp_path):
    """Ask of 100 rows."""
    write_part(tmp_path, 0, *(make_row(f'v{n:02}', frames=n, periods=[n / 3]) for n in range(100)))
    return lambda sql: query(open_results(tmp_path), sql)


def test_two_columns_of_one_name_keep_their_values(ask):
    text, left_out = lay_out(ask('select frames, frames + 1 as frames from results limit 1'), 80)
    assert text.splitlines()[1].split() == ['0', '1']
    assert not left_out


def test_a_table_shows_the_first_rows(ask):
    text, _ = lay_out(ask('select id from results order by id desc'), 80)
    first, *_, last, more = text.splitlines()[1:]
    assert (first, last, more) == ('v99', f'v{100 - SHOWN}', 'and more rows')


def test_a_table_cuts_what_is_long_and_hides_what_a_terminal_obeys(ask):
    sql = "select repeat('x', 99) as x, range(99) as numbers, 'a' || chr(27) as y"
    text, _ = lay_out(ask(sql), 120)
    assert text.splitlines()[1] == f'{"x" * 57}...  [0, 1, 2, 3, 4, 5, 6,...  a?'


def test_what_json_has_no_words_for(ask):
    sql = """select sum(frames) as s, 1.5 as d, 'nan'::float as n, date '2026-11-28' as t,
    {'a': [1, null]} as o, null as z from results"""
    file = io.StringIO()
    assert print_rows(ask(sql), file, 'jsonl') == (1, [])
    found = {'s': 4950, 'd': 1.5, 'n': None, 't': '2026-11-28', 'o': {'a': [1, None]}, 'z': None}
    assert json.loads(file.getvalue()) == found


def test_csv_keeps_all_digits(ask):
    file = io.StringIO()
    assert print_rows(ask('select 1/3 as x, [1] as y, null as z'), file, 'csv') == (1, ['y'])
    assert file.getvalue() == 'x,z\n0.3333333333333333,\n'


def test_a_table_of_pyarrow_is_written_too(tmp_path):
    write_rows(pa.table({'id': ['a']}), tmp_path / 'x.csv')
    assert (tmp_path / 'x.csv').read_text() == 'id\na\n'


@pytest.mark.parametrize('suffix', ['csv', 'jsonl', 'parquet'])
def test_a_file_is_whole_or_as_before(ask, tmp_path, suffix):
    path = tmp_path / f'out.{suffix}'
    path.write_text('before')
    # the value that is wrong comes late
    rows = ask("select case when frames < 99 then '1' else id end::int as x from results")
    with pytest.raises(ValueError, match="got Conversion Error: Could not convert string 'v99'"):
        write_rows(rows, path)
    assert path.read_text() == 'before'
    assert [file.name for file in tmp_path.glob('.*')] == []


def test_another_format_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r'--out must end in \.csv, \.jsonl, \.parquet, got x\.h5'):
        find_format(tmp_path.with_name('x.h5').relative_to(tmp_path.parent))
