import pytest

from mmotion.atomic import write_atomically


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / 'result.json'
    target.write_text('old')
    with pytest.raises(RuntimeError, match='half way'), write_atomically(target) as temporary:
        temporary.write_text('ne')
        raise RuntimeError('half way')
    assert [p.name for p in tmp_path.iterdir()] == ['result.json']
    assert target.read_text() == 'old'


def test_what_a_killed_run_left_is_overwritten(tmp_path):
    (tmp_path / '.result.partial.json').write_text('left by a killed run')
    with write_atomically(tmp_path / 'result.json') as temporary:
        temporary.write_text('new')
    assert [p.name for p in tmp_path.iterdir()] == ['result.json']


def test_parent_folders_are_made(tmp_path):
    with write_atomically(tmp_path / 'a' / 'b.txt') as temporary:
        temporary.write_text('x')
    assert (tmp_path / 'a' / 'b.txt').read_text() == 'x'


def test_a_folder_is_refused(tmp_path):
    context = write_atomically(tmp_path)
    with pytest.raises(IsADirectoryError, match='must not be a folder'), context:
        pass
