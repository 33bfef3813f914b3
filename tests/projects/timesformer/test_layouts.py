"""Every layout of a collection of videos, and what is said of one that is not as described."""

import unicodedata
from pathlib import Path

import pytest

from projects.timesformer import layouts
from projects.timesformer.layouts import (
    VideoList,
    detect_layout,
    find_missing,
    name_kinetics,
    read_videos,
)

HEADER = 'label,youtube_id,time_start,time_end,split'


def touch(root: Path, *names: str) -> Path:
    """Make empty files; a layout is read without opening the videos."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def write(path: Path, *lines: str) -> Path:
    path.write_text('\n'.join(lines) + '\n', encoding='utf-8')
    return path


def test_a_folder_of_classes(tmp_path: Path) -> None:
    root = touch(tmp_path, 'run/b.mp4', 'run/deep/a.AVI', 'air drumming/c.mkv', '.git/d.mp4')
    touch(root, 'run/notes.txt', 'empty/readme.txt')
    assert read_videos(data_root=root) == VideoList(
        root=root,
        classes=('air drumming', 'run'),
        videos=(('air drumming/c.mkv', 0), ('run/b.mp4', 1), ('run/deep/a.AVI', 1)),
    )


def test_a_part_that_lacks_a_class_has_the_numbers_of_the_others(tmp_path: Path) -> None:
    root = touch(tmp_path, 'train/run/a.mp4', 'train/walk/b.mp4', 'val/walk/c.mp4')
    found = read_videos(data_root=root, split='val')
    assert found.classes == ('run', 'walk')
    assert found.videos == (('val/walk/c.mp4', 1),)
    assert len(read_videos(data_root=root).videos) == 3
    with pytest.raises(ValueError, match=r"split must be one of \['train', 'val'\], the folders"):
        read_videos(data_root=root, split='test')


def test_a_folder_without_parts_is_divided_by_name(tmp_path: Path) -> None:
    names = [f'run/{number}.mp4' for number in range(10)]
    root = touch(tmp_path, *names, 'walk/1.mp4', 'walk/2.mp4', 'sit/1.mp4')
    train = read_videos(data_root=root, split='train', val_share=0.3)
    val = read_videos(data_root=root, split='val', val_share=0.3)
    assert [path for path, _ in val.videos] == ['run/7.mp4', 'run/8.mp4', 'run/9.mp4', 'walk/2.mp4']
    assert train.classes == val.classes == ('run', 'sit', 'walk')
    assert {*train.videos} | {*val.videos} == {*read_videos(data_root=root).videos}
    assert not {*train.videos} & {*val.videos}
    # a single video is trained on
    assert ('sit/1.mp4', 1) in train.videos


@pytest.mark.parametrize(
    'name', [pytest.param('train.txt', id='mmaction2'), pytest.param('train.csv', id='timesformer')]
)
@pytest.mark.parametrize('gap', [' ', '\t', ', '], ids=['space', 'tab', 'comma'])
def test_a_list_of_paths_and_labels(tmp_path: Path, name: str, gap: str) -> None:
    lines = [f'air drumming/a b.mp4{gap}0', '', f'run/c.mp4{gap}1']
    ann_file = write(tmp_path / name, *lines)
    assert detect_layout(ann_file) == 'list'
    found = read_videos(ann_file=ann_file, data_root=tmp_path)
    assert found.videos == (('air drumming/a b.mp4', 0), ('run/c.mp4', 1))
    assert found.classes == ('air drumming', 'run')


def test_a_list_may_be_quoted_as_spreadsheets_do(tmp_path: Path) -> None:
    touch(tmp_path, 'run, fast/a.mp4', 'sit/b "x".mp4', 'sit/c d.mp4')
    lines = ['"run, fast/a.mp4",0', '"sit/b ""x"".mp4","1"', '"sit/c d.mp4" 1', '']
    ann_file = write(tmp_path / 'train.txt', *lines)
    found = read_videos(ann_file=ann_file, data_root=tmp_path)
    assert found.videos == (('run, fast/a.mp4', 0), ('sit/b "x".mp4', 1), ('sit/c d.mp4', 1))
    assert find_missing(found) == []


@pytest.mark.parametrize(('on_disk', 'written'), [('NFD', 'NFC'), ('NFC', 'NFD')])
def test_names_are_matched_however_their_accents_are_written(
    tmp_path: Path, on_disk: str, written: str
) -> None:
    there, here = (unicodedata.normalize(form, 'Übung') for form in (on_disk, written))
    touch(tmp_path, f'{there}/{there}.mp4', f'{there}/x_000001_000011.mp4')
    touch(tmp_path, f'train/{there}/a.mp4', f'val/{here}/b.mp4')
    ann_file = write(tmp_path / 'list.txt', f'{here}/{here}.mp4 0')
    listed = read_videos(ann_file=ann_file, data_root=tmp_path, classes=[here])
    assert find_missing(listed) == []
    assert listed.videos == ((f'{there}/{there}.mp4', 0),)
    table = write(tmp_path / 'k.csv', HEADER, f'{here},x,1,11,train')
    assert read_videos(ann_file=table, data_root=tmp_path).videos[0][0].startswith(there)
    assert read_videos(data_root=tmp_path).classes == (unicodedata.normalize('NFC', 'Übung'),)
    assert len(read_videos(data_root=tmp_path, classes=[here]).videos) == 2


def test_a_class_that_a_part_lacks_is_named(tmp_path: Path, monkeypatch) -> None:
    logged: list[str] = []
    monkeypatch.setattr(layouts, 'print_log', lambda text, **_: logged.append(text))
    root = touch(tmp_path, 'train/run/a.mp4', 'train/sit/b.mp4', 'val/run/c.mp4')
    read_videos(data_root=root, split='val')
    read_videos(ann_file=write(tmp_path / 'val.txt', 'a.mp4 1'), classes=['run', 'sit'])
    assert [text.partition(' has ')[2] for text in logged] == [
        'no video of 1 of 2 classes: sit',
        'no video of 1 of 2 classes: run',
    ]


@pytest.mark.parametrize(
    ('lines', 'classes'),
    [
        pytest.param(['a.mp4 0', 'b.mp4 1'], ('0', '1'), id='no-folders'),
        pytest.param(['run/a.mp4 0', 'walk/b.mp4 0'], ('0',), id='two-folders-one-label'),
        pytest.param(['all/a.mp4 0', 'all/b.mp4 1'], ('0', '1'), id='one-folder-two-labels'),
        pytest.param(['run/a.mp4 0', 'walk/b.mp4 2'], ('0', '1', '2'), id='gap'),
    ],
)
def test_classes_without_names_are_numbers(tmp_path: Path, lines: list, classes: tuple) -> None:
    ann_file = write(tmp_path / 'list.txt', *lines)
    assert read_videos(ann_file=ann_file).classes == classes


@pytest.mark.parametrize(
    ('lines', 'videos'),
    [
        pytest.param(['"a, b.mp4",3', 'c.mp4,0'], (('a, b.mp4', 3), ('c.mp4', 0)), id='quoted'),
        pytest.param(['path,label', 'c.mp4,1'], (('c.mp4', 1),), id='header'),
        pytest.param(['name,41', 'c,2'], (('deep/name.avi', 41), ('c.mp4', 2)), id='no suffix'),
        pytest.param(['shots/v1 120 3'], (('shots/v1', 3),), id='rawframes'),
        pytest.param(['gone/v1 120 3'], (('gone/v1', 3),), id='rawframes that are not there'),
        pytest.param(['take 2 3'], (('take 2', 3),), id='a folder with a space and a number'),
        pytest.param(['walk 7.mp4 3'], (('walk 7.mp4', 3),), id='a space in a name'),
    ],
)
def test_lists_of_other_tools(tmp_path: Path, lines: list, videos: tuple) -> None:
    for path in ('a, b.mp4', 'c.mp4', 'deep/name.avi', 'shots/v1/img_00001.jpg', 'take 2/1.jpg'):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    ann_file = write(tmp_path / 'list.csv', *lines)
    assert read_videos(ann_file=ann_file, data_root=tmp_path).videos == videos


def test_the_official_csv_finds_its_files(tmp_path: Path) -> None:
    ann_file = write(
        tmp_path / 'val.csv',
        f'\ufeff{HEADER},is_cc',
        'abseiling,aaaaaaaaaaa,7,17,validate,0',
        '"clay, pottery making",bbbbbbbbbbb,10,20,validate,0',
        'abseiling,ccccccccccc,1,11,validate,0',
        'abseiling,ddddddddddd,1,11,train,0',
        'abseiling,same,0,10,validate,0',
    )
    root = touch(tmp_path / 'videos', 'aaaaaaaaaaa_000007_000017.mp4', 'x/bbbbbbbbbbb.webm')
    touch(root, 'Zumba/same.mp4', 'abseiling/same.mp4')
    found = read_videos(ann_file=ann_file, data_root=root, split='val')
    assert found.classes == ('abseiling', 'clay, pottery making')
    assert found.videos == (
        ('aaaaaaaaaaa_000007_000017.mp4', 0),
        ('x/bbbbbbbbbbb.webm', 1),
        ('abseiling/ccccccccccc_000001_000011.mp4', 0),
        ('abseiling/same.mp4', 0),
    )
    assert find_missing(found) == ['abseiling/ccccccccccc_000001_000011.mp4']
    with pytest.raises(ValueError, match=r"got split='test' and \['train', 'validate'\]"):
        read_videos(ann_file=ann_file, data_root=root, split='test')


def test_named_classes_give_the_labels(tmp_path: Path) -> None:
    root = touch(tmp_path / 'videos', 'air_drumming/a.mp4', 'Run/b.mp4')
    names = write(tmp_path / 'classes.txt', 'walk', 'run', '', 'air drumming')
    for classes in (str(names), ['walk', 'run', 'air drumming']):
        found = read_videos(data_root=root, classes=classes)
        assert found.classes == ('walk', 'run', 'air drumming')
        assert found.videos == (('Run/b.mp4', 1), ('air_drumming/a.mp4', 2))


@pytest.mark.parametrize(
    ('lines', 'options', 'message'),
    [
        pytest.param(['a.mp4'], {}, r"`path label` .* got 'a\.mp4' in line 1 of", id='no-label'),
        pytest.param(['a.mp4 0', 'b.mp4 -1'], {}, 'in line 2 of .*; correct it', id='negative'),
        pytest.param(
            ['a.mp4 0', 'b.mp4 1 4 7'],
            {},
            r'one class, got the labels 1, 4, 7 of b\.mp4 in line 2 of .*multi_class=True',
            id='multi-label',
        ),
        pytest.param(['run/v1 2 120 3'], {}, 'one class, got the labels 2, 120, 3', id='offset'),
        pytest.param(['"a.mp4",x'], {}, r"got '\"a\.mp4\",x' in line 1", id='quoted-name'),
        pytest.param(['a.mp4 9999999'], {}, 'in line 1 of .*; correct it', id='no-class-number'),
        pytest.param(['a.mp4 1'], {'classes': ['x']}, 'classes 1, got label=1 in line 1', id='new'),
        pytest.param([''], {}, 'must name a video at least, got none in', id='empty'),
        pytest.param(['a.mp4 0'], {'split': 'val'}, 'must be left out for a list', id='split'),
        pytest.param(['a.mp4 0'], {'split': 'dev'}, "or None, got split='dev'", id='no-split'),
        pytest.param(['a.mp4 0'], {'val_share': 1.0}, 'got val_share=1.0', id='share'),
        pytest.param(['a.mp4 0'], {'classes': ['x', 'x']}, '2 names, 1 of them', id='twice'),
        pytest.param(['youtube_id,time_start,time_end', 'a,1,2'], {}, 'without label', id='column'),
        pytest.param([HEADER], {}, 'must have a row at least', id='header-alone'),
        pytest.param([HEADER, 'run,a,1,inf,val'], {}, "got time_end='inf'", id='endless'),
        pytest.param([HEADER, 'run,a,x,2,val'], {}, "got time_start='x' in line 2", id='time'),
        pytest.param(
            [HEADER, 'run,a,1,2,val'],
            {'classes': ['walk']},
            "one of the 1 classes, got 'run' in line 2 of",
            id='unknown-class',
        ),
    ],
)
def test_what_is_not_as_described_is_refused(
    tmp_path: Path, lines: list, options: dict, message: str
) -> None:
    ann_file = write(tmp_path / 'list.csv', *lines)
    with pytest.raises(ValueError, match=message):
        read_videos(ann_file=ann_file, data_root=tmp_path, **options)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r'must be a file, got none\.txt'):
        read_videos(ann_file='none.txt')
    with pytest.raises(FileNotFoundError, match='data_root=none, which is none; name root in'):
        read_videos(data_root='none')
    with pytest.raises(FileNotFoundError, match='must hold videos in class folders, got none'):
        read_videos(data_root=tmp_path)
    (tmp_path / 'list.txt').write_bytes(b'\xff\xfe\x00')
    with pytest.raises(ValueError, match='must be text in UTF-8, got'):
        read_videos(ann_file=tmp_path / 'list.txt')


def test_a_name_without_times_is_not_of_kinetics() -> None:
    assert name_kinetics('a/b_000001_000011.mp4') == ('b', 1, 11)
    assert name_kinetics('a/b.mp4') is None


def test_the_names_of_kinetics_400(data_root: Path, tmp_path: Path) -> None:
    names = data_root / 'annotations' / 'label_maps' / 'label_map_k400.txt'
    ann_file = write(tmp_path / 'list.txt', 'a.mp4 399')
    found = read_videos(ann_file=ann_file, classes=str(names))
    assert len(found.classes) == 400 and found.classes[1] == 'air drumming'


def test_real_class_folders(data_root: Path) -> None:
    found = read_videos(data_root=data_root / 'actions' / 'weizmann')
    assert found.classes == ('bend', 'jack', 'wave1', 'wave2')
    assert len(found.videos) == 23 and not find_missing(found)
