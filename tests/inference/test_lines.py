from pathlib import Path

import pytest

from mmotion.inference.lines import LineFile


def test_a_file_of_lines_takes_the_place_of_an_older_one_with_its_first_line(tmp_path):
    path = tmp_path / 'new' / 'old.jsonl'
    with LineFile(path):
        pass
    assert not path.parent.exists()
    with LineFile(path) as file:
        file.write('one\n')
    with LineFile(path) as file:
        assert path.read_text() == 'one\n'
        file.write('two\n')
        # as soon as it is there
        assert path.read_text() == 'two\n'
        file.write('three\n')
    assert path.read_text() == 'two\nthree\n'


def test_two_files_of_lines_do_not_mix(tmp_path):
    path = tmp_path / 'lines.jsonl'
    with LineFile(path) as one, LineFile(path) as other:
        one.write('one\n')
        with pytest.raises(ValueError, match='must not be in use by another process'):
            other.write('two\n')
        one.write('one\n')
    assert path.read_text() == 'one\none\n'


def test_lines_into_a_pipe_that_has_a_name():
    if not Path('/dev/null').exists():
        pytest.skip('needs /dev/null')
    with LineFile(Path('/dev/null')) as file:
        file.write('one\n')
