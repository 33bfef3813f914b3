"""What `mmotion results` says, prints and writes of the results of many videos."""

import json

import pytest

pytest.importorskip('duckdb', reason='needs the extra [corpus]')
pytest.importorskip('pyarrow', reason='needs the extra [corpus]')

from pyarrow import parquet

from mmotion.cli.commands import results as command
from tests.command_lines import TOY, check_wrong_use, run
from tests.corpus_files import make_row, write_part, write_run


@pytest.fixture
def corpus(tmp_path):
    """Results of four videos, two of which failed."""
    folder = tmp_path / 'corpus'
    why = '/videos/c.mp4 must have a frame at least, got 0'
    write_run(folder, version='0.2.0', config='toy.py')
    write_part(folder, 0, make_row('a', frames=30, count=3, periods=[0.5, 0.25], camera=1))
    write_part(
        folder,
        1,
        make_row('b', frames=10, count=2.5, attempts=2, camera=2, label='=1+1'),
        make_row('c', 'failed', reason=why, camera=3),
        make_row('d', 'failed', reason='it ended by signal 11', attempts=2, camera=3),
    )
    return folder


def test_an_overview(corpus, capsys):
    code, out, error = run(capsys, 'results', corpus)
    assert (code, error) == (0, '')
    assert 'videos: 4, ok: 2, failed: 2; 2 were tried twice, 1 of them failed' in out
    assert '4.00 s of work, 40 frames' in out
    assert 'made by: mmotion 0.2.0, config toy.py' in out
    assert '1  … must have a frame at least, got …\n           such as /videos/c.mp4' in out


def test_a_query_is_a_table(corpus, capsys):
    sql = 'select id, count, periods from results where count > 2 order by count'
    code, out, _ = run(capsys, 'results', corpus, '--sql', sql)
    assert code == 0
    assert out == 'id  count  periods\nb     2.5\na       3  [0.5, 0.25]\n'


def test_columns_that_do_not_fit_are_named(corpus, capsys, monkeypatch):
    monkeypatch.setenv('COLUMNS', '40')
    _, out, error = run(capsys, 'results', corpus, '--sql', 'select * from results')
    assert all(len(line) <= 40 for line in out.splitlines())
    assert 'left out, as they do not fit: ' in error and ', version, ' in error


def test_lines_for_programs(corpus, capsys):
    sql = 'select sum(frames) as frames, list(id order by id) as ids from results'
    _, out, _ = run(capsys, 'results', corpus, '--sql', sql, '--format', 'jsonl')
    assert json.loads(out) == {'frames': 40, 'ids': ['a', 'b', 'c', 'd']}
    _, out, error = run(capsys, 'results', corpus, '--sql', sql, '--format', 'csv')
    assert out == 'frames\n40\n'
    assert 'left out, as CSV has no lists: ids;' in error


def test_all_rows_in_a_file(corpus, capsys, tmp_path):
    for suffix in ('csv', 'jsonl', 'parquet'):
        path = tmp_path / f'all.{suffix}'
        assert run(capsys, 'results', corpus, '--out', path)[:2] == (0, f'4 rows: {path}\n')
    header, _, formula, *_ = (tmp_path / 'all.csv').read_text().splitlines()
    assert 'count' in header and 'periods' not in header
    assert formula.endswith("'=1+1")
    first = json.loads((tmp_path / 'all.jsonl').read_text().splitlines()[0])
    table = parquet.read_table(tmp_path / 'all.parquet')
    assert first == table.to_pylist()[0]
    assert table['periods'].to_pylist()[0] == [0.5, 0.25]


def test_what_failed_is_a_manifest(corpus, capsys, tmp_path):
    from mmotion.corpus.manifest import read_manifest

    path = tmp_path / 'again.csv'
    assert run(capsys, 'results', corpus, '--failed', '--out', path)[0] == 0
    found = [(item.id, item.video, item.more['camera']) for item in read_manifest(path)]
    assert found == [('c', '/videos/c.mp4', 3), ('d', '/videos/d.mp4', 3)]
    _, out, _ = run(capsys, 'results', corpus, '--failed')
    assert 'it ended by signal 11' in out


def test_a_folder_that_was_predicted(folder, checkpoint, capsys):
    from mmotion.cli import main

    (folder / 'broken.mp4').write_bytes(b'no video')
    videos = ['clip.mp4', 'broken.mp4']
    assert main(['predict', TOY, *videos, '--checkpoint', str(checkpoint)]) == 1
    capsys.readouterr()
    sql = 'select * from results order by status desc'
    out = run(capsys, 'results', 'results', '--sql', sql, '--format', 'jsonl')[1]
    done, failed = map(json.loads, out.splitlines())
    assert done['video'] == str((folder / 'clip.mp4').resolve())
    assert (done['status'], failed['status']) == ('ok', 'failed')
    assert done['seconds'] > 0 and done['version'] and done['video_s'] > 0
    assert failed['video'] == 'broken.mp4' and failed['reason']

    code, out, _ = run(capsys, 'results', 'results')
    assert code == 0
    assert 'videos: 2, ok: 1, failed: 1' in out and 'such as broken.mp4' in out


def test_nothing_to_tell(tmp_path, capsys):
    write_run(tmp_path, version='0.2.0')
    code, out, _ = run(capsys, 'results', tmp_path)
    assert (code, out) == (0, 'videos: 0, ok: 0, failed: 0\n')
    assert run(capsys, 'results', tmp_path, '--failed')[1].endswith('no rows\n')


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        pytest.param(['--sql', 'select x from results'], 'column "x" not found', id='column'),
        pytest.param(['--sql', ' '], "--sql must give a table, got none of ' '", id='no query'),
        pytest.param(
            ['--sql', 'select id::int from results'],
            "got Conversion Error: Could not convert string 'a'",
            id='value',
        ),
        pytest.param(['--out', 'x.xlsx'], '--out must end in .csv, .jsonl, .parquet', id='suffix'),
        pytest.param(['--format', 'csv'], '--format must come with --sql or', id='format'),
    ],
)
def test_wrong_use(corpus, capsys, options, message):
    check_wrong_use(capsys, ['results', corpus, *options], message)


def test_a_file_of_results_is_not_written_over(corpus, capsys):
    path = corpus / 'part-00000.parquet'
    before = path.read_bytes()
    check_wrong_use(capsys, ['results', corpus, '--out', path], 'part-00000.parquet')
    assert path.read_bytes() == before


def test_packages_that_are_not_there_are_named(corpus, capsys, monkeypatch):
    monkeypatch.setattr(command, 'find_spec', lambda name: None)
    check_wrong_use(capsys, ['results', corpus], 'pip install "mmotion[corpus]"')
