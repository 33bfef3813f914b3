import re
import unicodedata
from pathlib import Path

import pytest

from mmotion.video import inspect_video
from mmotion.video.files import (
    VIDEO_SUFFIXES,
    check_origin,
    find_named,
    find_sources,
    find_videos,
    list_classes,
    list_files,
    name_outputs,
    name_video,
)
from tests.moving_boxes import write_pictures, write_video
from tests.video_files import encode


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


def test_a_name_is_found_however_its_accents_are_written(tmp_path: Path) -> None:
    # as macOS writes it into zip files, and as a keyboard does
    decomposed, composed = (unicodedata.normalize(form, 'Übung') for form in ('NFD', 'NFC'))
    assert decomposed != composed
    video = tmp_path / decomposed / f'{decomposed}.mp4'
    video.parent.mkdir()
    video.touch()
    assert find_named(tmp_path / composed / f'{composed}.mp4') == video
    assert find_videos([str(tmp_path / composed)]) == [video]
    assert find_videos([str(tmp_path / composed / f'{composed}.mp4')]) == [video]
    assert list_classes(tmp_path) == {composed: [video]}
    assert find_named(tmp_path / composed / 'fällt.mp4') == tmp_path / decomposed / 'fällt.mp4'
    assert find_named(tmp_path / 'no' / f'{composed}.mp4') == tmp_path / 'no' / f'{composed}.mp4'


def test_names_of_outputs_are_different():
    paths = [Path(p) for p in ('a/x.mp4', 'b/x.mp4', 'x_2.mp4', 'c/x.avi', 'y.mp4')]
    assert name_outputs(paths) == ['x', 'x_3', 'x_2', 'x_4', 'y']


def test_videos_are_found_at_any_depth(tmp_path: Path) -> None:
    write_video(tmp_path / 'mice' / 'one.mp4', 4)
    write_pictures(tmp_path / 'mice' / 'two', 4)
    write_pictures(tmp_path / '.hidden', 4)
    (tmp_path / 'mice' / 'notes.txt').write_text('none')
    (tmp_path / 'old.seq').write_bytes(b'\xed\xfe\x00\x00')
    assert [*find_sources(tmp_path)] == ['mice/one.mp4', 'mice/two', 'old.seq']
    assert [*find_sources(tmp_path, names='^mice/t')] == ['mice/two']
    assert find_sources(tmp_path / 'mice' / 'two') == {'two': tmp_path / 'mice' / 'two'}
    assert [*find_sources(tmp_path / 'mice' / 'one.mp4')] == ['one.mp4']


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"data_root must be a video.*got data_root='.*no'"):
        find_sources(tmp_path / 'no')
    write_pictures(tmp_path / 'a', 2)
    with pytest.raises(FileNotFoundError, match=r"names must find .*names='x' for 'a' and 0 more"):
        find_sources(tmp_path, names='x')
    with pytest.raises(ValueError, match=r"names must be a regular expression, got names='\('"):
        find_sources(tmp_path, names='(')


def test_a_folder_whose_own_files_are_pictures_is_a_video(tmp_path: Path) -> None:
    cage = write_pictures(tmp_path / 'cage', 2)
    with pytest.raises(FileNotFoundError, match='a folder without any'):
        find_videos([str(cage)])
    assert find_videos([str(cage)], with_pictures=True) == [cage]
    # where there is no video, all such folders below
    arena = write_pictures(tmp_path / 'arena', 2)
    assert find_videos([str(tmp_path)], with_pictures=True) == [arena, cage]
    assert find_videos([f'{tmp_path}/*'], with_pictures=True) == [arena, cage]
    # pictures beside videos are what was drawn of them
    video = write_video(arena / 'a.mp4', 2)
    assert find_videos([str(arena)], with_pictures=True) == [video]
    assert find_videos([str(tmp_path)], with_pictures=True) == [video]
    with pytest.raises(FileNotFoundError, match='a folder with videos or pictures or a pattern'):
        find_videos([str(tmp_path / 'none')], with_pictures=True)


@pytest.mark.parametrize(
    ('video', 'name'),
    [
        pytest.param('a/b.c.mp4', 'b.c', id='file'),
        pytest.param(Path('cage.1'), 'cage.1', id='folder'),
        pytest.param('cage.1/.', 'cage.1', id='folder that is not named'),
        pytest.param([], 'video', id='frames'),
    ],
)
def test_name_of_a_video(tmp_path: Path, monkeypatch, video, name) -> None:
    monkeypatch.chdir(tmp_path)
    Path('cage.1').mkdir()
    assert name_video(video) == name


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """A folder of two videos and of much else."""
    for name in (
        'good/a.mp4',
        'good/._a.mp4',
        'good/.a.partial.mp4',
        'good/notes.txt',
        '.cache/b.mp4',
        '__MACOSX/good/b.mp4',
        # what predict draws of a.mp4; an overlay without a plot is somebody's video
        'good/a_overlay.mp4',
        'good/a_attention.mp4',
        'good/a_counts.png',
        'good/map_overlay.mp4',
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b'x')
    return tmp_path


def test_a_folder_of_videos_holds_the_same_for_all_readers(mixed: Path) -> None:
    wanted = [mixed / 'good' / 'a.mp4', mixed / 'good' / 'map_overlay.mp4']
    told = (
        f'passed over in {mixed}: 1 .png, 1 .txt, 2 drawn by mmotion, 1 folders .cache, '
        '1 folders __MACOSX, 2 hidden'
    )
    for read in (
        lambda: find_videos([str(mixed)]),
        lambda: find_videos([str(mixed)], with_pictures=True),
        lambda: [*find_sources(mixed).values()],
        lambda: list_classes(mixed)['good'],
    ):
        with pytest.warns(UserWarning, match=re.escape(told)):
            assert read() == wanted
    # a pattern names no file either, but a name does
    assert find_videos([f'{mixed}/good/*.mp4']) == wanted
    overlay = mixed / 'good' / 'a_overlay.mp4'
    assert find_videos([str(overlay)]) == [overlay]


def test_links_are_followed_once(mixed: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp('links')
    (root / 'one').symlink_to(mixed / 'good')
    (root / 'two').mkdir()
    (root / 'two' / 'c.mp4').symlink_to(mixed / 'good' / 'a.mp4')
    (root / 'two' / 'gone.mp4').symlink_to(mixed / 'none.mp4')
    (root / 'two' / 'up').symlink_to(root)
    (root / 'loose.mp4').write_bytes(b'x')
    with pytest.warns(UserWarning, match='1 links to a folder above, 1 links to nothing'):
        classes = list_classes(root)
    assert {name: [path.name for path in paths] for name, paths in classes.items()} == {
        'one': ['a.mp4', 'map_overlay.mp4'],
        'two': ['c.mp4'],
    }
    with pytest.warns(UserWarning, match='passed over in .*: 1 in no class folder'):
        list_classes(root)


@pytest.mark.parametrize(
    ('suffix', 'codec'),
    [
        ('.3gp', 'mpeg4'),
        ('.asf', 'mpeg4'),
        ('.flv', 'flv'),
        ('.h264', 'libx264'),
        ('.m2ts', 'libx264'),
        ('.mxf', 'mpeg2video'),
        ('.vob', 'mpeg2video'),
        ('.y4m', 'wrapped_avframe'),
    ],
)
def test_what_the_decoder_reads_is_found(tmp_path: Path, suffix: str, codec: str) -> None:
    file = encode(tmp_path / f'a{suffix}', codec=codec, bf='0')
    assert list_files(tmp_path) == [file]
    assert inspect_video(file).num_frames


def test_suffixes_are_plain() -> None:
    assert all(re.fullmatch(r'\.[0-9a-z]{2,5}', suffix) for suffix in VIDEO_SUFFIXES)


@pytest.mark.parametrize(
    ('content', 'origin'),
    [
        pytest.param('{"video": "b/clip.mp4"}', r'b/clip\.mp4', id='another video'),
        pytest.param('{"regions": []}', 'something else', id='no result'),
        pytest.param('[1, 2]', 'something else', id='a list'),
        pytest.param('frame,x', 'something else', id='no JSON'),
        pytest.param('{"video": 3}', 'something else', id='a number'),
    ],
)
def test_only_a_result_of_the_same_video_is_written_over(tmp_path: Path, content, origin) -> None:
    file = tmp_path / 'clip.json'
    check_origin(file, Path('a/clip.mp4'), 'video')
    file.write_text('{"video": "a/../a/clip.mp4"}')
    check_origin(file, Path('a/clip.mp4'), 'video')
    file.write_text(content)
    with pytest.raises(ValueError, match=f'got a/clip.mp4 for it, and it is of {origin}; choose'):
        check_origin(file, Path('a/clip.mp4'), 'video')
