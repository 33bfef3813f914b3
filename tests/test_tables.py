from pathlib import Path

import pytest

from mmotion.tables import append_row, read_json, read_table, write_table


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / 'table.csv'


def test_columns_come_in_any_order_and_others_are_passed_over(table: Path) -> None:
    table.write_text('\ufeffcount, note,file\n3,"a, b", a.mp4 \n,,\n\n4,,b.mp4,,\n', 'utf-8')
    first, second = read_table(table, ['file', 'count'])
    assert (first.text('file'), first.number('count'), first.text('note')) == ('a.mp4', 3, 'a, b')
    assert (second.whole('count'), second.text('note'), second.text('gone')) == (4, '', '')
    assert second.where == f'line 5 of {table}'
    table.write_text('file,count,note\na.mp4,3\n')
    (row,) = read_table(table, ['file', 'count'])
    assert row.values == {'file': 'a.mp4', 'count': '3', 'note': ''}


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        pytest.param(
            'file\na.mp4\n', r'columns file, count, got .* without count; help', id='none'
        ),
        pytest.param('', 'without file, count; help', id='empty-file'),
        pytest.param('file,count\n', 'a row at least, got none in .*; help', id='no-row'),
        pytest.param(
            'file,count\na.mp4\n', 'each of 2 columns, got 1 values in line 2', id='short'
        ),
        pytest.param('file,count\na,b.mp4,1\n', 'got 3 values in line 2 of', id='long'),
        pytest.param('file,count\n"a.mp4,1\n', 'CSV file in UTF-8, got .*; help', id='open-quote'),
        pytest.param(b'\xff\xfe\x00', 'CSV file in UTF-8, got .*; help', id='binary'),
    ],
)
def test_what_is_no_table_is_refused(table: Path, content: str | bytes, message: str) -> None:
    table.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=f'(the counts|a row) must .*{message}'):
        read_table(table, ['file', 'count'], what='the counts', remedy='help')


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16', 'utf-32'])
def test_a_table_is_read_in_the_encodings_that_say_what_they_are(
    table: Path, encoding: str
) -> None:
    # U+2028 parts no lines
    table.write_text('file,count\nMüller\u2028.mp4,3\n', encoding)
    (row,) = read_table(table, ['file', 'count'])
    assert (row.text('file'), row.line) == ('Müller\u2028.mp4', 2)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        pytest.param(
            'file,count\nMüller.mp4,3\n'.encode('latin-1'),
            r'UTF-8, got the byte 0xfc \(Latin-1, or no text\) in line 2 in .*table\.csv; help',
            id='latin-1',
        ),
        pytest.param(
            'file,count\nMüller.mp4,3\n'.encode('utf-16-le'),
            'got UTF-16 without a byte order mark',
            id='utf-16-without-mark',
        ),
        pytest.param(
            b'file,count\n"' + b'a' * 200_000 + b'.mp4,3\n',
            r'got field larger than field limit \(131072\) in line 2 of .*; a quote before it',
            id='long-field',
        ),
        pytest.param(b'file,count\na.mp4,1,2,3,4\n', 'got 5 values in line 2 of', id='long-row'),
    ],
)
def test_what_is_wrong_with_a_table_is_named(table: Path, content: bytes, message: str) -> None:
    table.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_table(table, ['file', 'count'], remedy='help')


def test_json_holds_what_python_cannot_count(tmp_path: Path) -> None:
    path = tmp_path / 'a.json'
    path.write_text(f'[{"9" * 400}, -{"9" * 30}, {2**59}, NaN, 1.5]', 'utf-16')
    huge, low, whole, _, part = read_json(path, what='it must be JSON')
    assert (huge, low, whole, part) == (float('inf'), -1e30, 2**59, 1.5)
    assert isinstance(whole, int)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        pytest.param('[' * 100_000, 'got lists or objects in one another without end', id='deep'),
        pytest.param('{"a":', r'got Expecting value: line 1 column 6 .* in .*a\.json', id='cut'),
    ],
)
def test_what_is_no_json_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / 'a.json').write_text(content)
    with pytest.raises(ValueError, match=f'it must be JSON, {message}'):
        read_json(tmp_path / 'a.json', what='it must be JSON')


def test_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r'the counts must be a file, got .*x\.csv; help'):
        read_table(tmp_path / 'x.csv', [], what='the counts', remedy='help')


def test_a_table_may_be_empty_where_that_means_something(table: Path) -> None:
    table.write_text('file\n')
    assert read_table(table, ['file'], may_be_empty=True) == []


@pytest.mark.parametrize(
    ('text', 'kind', 'message'),
    [
        pytest.param('x', 'number', "a number from 1 on, got count='x' in line 2 of", id='word'),
        pytest.param('', 'number', "got count=''", id='blank'),
        pytest.param('nan', 'number', "got count='nan'", id='nan'),
        pytest.param('inf', 'number', "got count='inf'", id='endless'),
        pytest.param('0.5', 'number', "got count='0.5'", id='low'),
        pytest.param('1.5', 'whole', "a whole number from 1 on, got count='1.5'", id='broken'),
        pytest.param('inf', 'whole', "got count='inf'", id='endless-whole'),
    ],
)
def test_what_is_no_number_is_refused(table: Path, text: str, kind: str, message: str) -> None:
    write_table(table, ['file', 'count'], [('a.mp4', text)])
    (row,) = read_table(table, ['file', 'count'])
    with pytest.raises(
        ValueError, match=f'count must be {message}' if 'from' in message else message
    ):
        getattr(row, kind)('count', at_least=1)


def test_a_table_is_written_whole_or_not_at_all(table: Path) -> None:
    write_table(table, ['a', 'b'], [(1, 'x, y'), {'b': 2}], note='# a note')
    assert table.read_bytes() == b'# a note\na,b\n1,"x, y"\n,2\n'
    with pytest.raises(ValueError, match=r'no column but a, b, got c for .*table\.csv'):
        write_table(table, ['a', 'b'], [{'a': 1}, {'c': 1}])
    assert table.read_text().startswith('# a note')
    assert [path.name for path in table.parent.iterdir()] == ['table.csv']


def test_a_row_is_appended_and_a_torn_one_left_out(tmp_path):
    path = tmp_path / 'a.csv'
    write_table(path, ['name', 'count'], [('a', 1)])
    append_row(path, ('b\n"x"', 2))
    assert [row.text('count') for row in read_table(path, ['name'])] == ['1', '2']
    path.write_bytes(path.read_bytes()[:-1])
    assert [row.text('count') for row in read_table(path, ['name'], may_be_torn=True)] == ['1']
