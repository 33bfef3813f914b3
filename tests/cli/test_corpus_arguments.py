import sys
from pathlib import Path

import pytest

pytest.importorskip('pyarrow', reason='needs the extra [corpus]')

from mmotion.corpus.store import list_parts
from tests.command_lines import TOY, check_wrong_use, run
from tests.moving_boxes import write_video

WRONG_USE = {
    'video too': (['a.mp4', '--manifest', 'l.txt'], 'VIDEO must be left out with --manifest'),
    'start': (['--manifest', 'l.txt', '--start', '1'], 'columns start_s, end_s and regions tell'),
    'regions': (['--manifest', 'l.txt', '--regions', '0,0,9,9'], '--regions must be left out'),
    'draw': (['--manifest', 'l.txt', '--draw'], '--draw must be left out with --manifest'),
    'resume': (['--manifest', 'l.txt', '--resume'], 'always goes on with what is left'),
    'no workers': (['--manifest', 'l.txt', '--workers', '0'], '--workers must be at least 1'),
    'no time': (['--manifest', 'l.txt', '--timeout-s', '0'], '--timeout-s must be above 0'),
    'no rate': (['--manifest', 'l.txt', '--fps', 'nan'], '--fps must be above 0 and finite'),
    'too much of a GPU': (
        ['--manifest', 'l.txt', '--checkpoint', 'random', '--gpus-per-worker', '2'],
        'gpus_per_worker must',
    ),
    'no manifest': (['a.mp4', '--workers', '2'], '--workers must come with --manifest'),
    'no list': (['a.mp4', '--embeddings'], '--embeddings must come with --manifest'),
    'missing': (
        ['--manifest', 'no.csv'],
        'must be a file, folder or pattern that is there, got no.csv',
    ),
    'another engine': (['--manifest', 'l.txt', '--engine', 'spark'], "invalid choice: 'spark'"),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with two videos, a broken one, and a list of them."""
    monkeypatch.chdir(tmp_path)
    for name in 'ab':
        write_video(tmp_path / f'{name}.mp4')
    (tmp_path / 'c.mp4').write_text('no video')
    (tmp_path / 'l.txt').write_text('a.mp4\nb.mp4\nc.mp4\n')
    return tmp_path


@pytest.mark.parametrize(('words', 'message'), WRONG_USE.values(), ids=WRONG_USE)
def test_wrong_use_is_answered_in_one_line(folder, capsys, words, message):
    check_wrong_use(capsys, ['predict', TOY, *words], message)
    assert not Path('results').exists()


def test_a_list_is_predicted_once(folder, capsys):
    command = ['predict', TOY, '--checkpoint', 'random', '--manifest', 'l.txt', '--workers', '2']
    code, out, error = run(capsys, *command, '--json')
    assert (code, out) == (1, '')
    assert 'mmotion: 2 of 3 videos done, 1 failed\n' in error
    message = 'a video must be a file that FFmpeg can read'
    assert f'mmotion: 1 failed, such as {folder / "c.mp4"}: {message}' in error
    assert len([*Path('results', 'json').iterdir()]) == 2
    parts = [path.read_bytes() for path in list_parts(Path('results'))]
    code, _, error = run(capsys, *command)
    assert code == 1 and '2 of 3 videos done, 1 failed, 3 of them before' in error
    assert [path.read_bytes() for path in list_parts(Path('results'))] == parts

    check_wrong_use(capsys, [*command, '--fps', '9'], 'by the same model and options, got another')
    assert run(capsys, *command, '--fps', '9', '--out', 'other')[0] == 1


def test_a_run_without_its_packages_is_told(folder, capsys, monkeypatch):
    monkeypatch.setattr('mmotion.cli.corpus_arguments.find_spec', lambda name: None)
    message = 'got no pyarrow and no fsspec and no duckdb; pip install "mmotion[corpus]"'
    check_wrong_use(capsys, ['predict', TOY, '--manifest', 'l.txt'], message)


def test_a_run_that_is_stopped_is_gone_on_with_by_the_same_command(folder, capsys, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr('mmotion.cli.corpus_arguments.open_model', stop)
    code, _, error = run(capsys, 'predict', TOY, '--manifest', 'l.txt')
    assert code == 130 and error.endswith(
        'stopped; the same command goes on with the videos that are left\n'
    )


def test_pyarrow_is_read_for_a_corpus_alone(folder, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, 'pyarrow', None)
    assert run(capsys, 'predict', TOY, 'a.mp4', '--checkpoint', 'random')[0] == 0


def test_a_layer_that_is_not_there_ends_the_run(folder, capsys):
    command = ['predict', TOY, '--checkpoint', 'random', '--manifest', 'l.txt', '--workers', '1']
    check_wrong_use(
        capsys, [*command, '--embeddings', 'neck'], 'a layer must be one of the model, got neck'
    )


def test_a_place_for_results_that_is_none_is_told_at_once(folder, capsys):
    check_wrong_use(
        capsys,
        ['predict', TOY, '--manifest', 'l.txt', '--out', 'a.mp4'],
        'a.mp4 must be a folder that can be written to',
    )
