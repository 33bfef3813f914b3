from pathlib import Path

import pytest

from mmotion.video.files import find_videos, name_outputs


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ('a.mp4', 'b.MOV', 'notes.txt', 'sub/c.avi'):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(b'x')


@pytest.mark.parametrize(
    ('names', 'found'),
    [
        pytest.param(['a.mp4'], ['a.mp4'], id='file'),
        pytest.param(['notes.txt'], ['notes.txt'], id='a file that is named is tried'),
        pytest.param(['.'], ['a.mp4', 'b.MOV', 'sub/c.avi'], id='folder'),
        pytest.param(['*.mp4', 'sub/*'], ['a.mp4', 'sub/c.avi'], id='patterns'),
        pytest.param(['b.MOV', 'a.mp4', 'b.MOV'], ['b.MOV', 'a.mp4'], id='each once'),
    ],
)
def test_videos_are_found(files, names, found):
    assert find_videos(names) == [Path(name) for name in found]


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        pytest.param('none.mp4', "got 'none.mp4', which is not there", id='file'),
        pytest.param('*.webm', 'which is not there', id='pattern'),
        pytest.param('empty', "got 'empty', a folder without any", id='folder'),
    ],
)
def test_a_name_without_video_is_refused(files, name, message):
    Path('empty').mkdir()
    with pytest.raises(FileNotFoundError, match=message):
        find_videos(['a.mp4', name])


def test_names_of_outputs_are_different():
    paths = [Path(p) for p in ('a/x.mp4', 'b/x.mp4', 'x_2.mp4', 'c/x.avi', 'y.mp4')]
    assert name_outputs(paths) == ['x', 'x_3', 'x_2', 'x_4', 'y']
