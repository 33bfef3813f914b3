"""Recordings are found by name, and are in one part."""

from pathlib import Path

import pytest

from projects.timesformer import layouts, recordings
from projects.timesformer.layouts import read_videos
from projects.timesformer.recordings import describe_split, hold_out, make_group_finder


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    for module in (layouts, recordings):
        monkeypatch.setattr(module, 'print_log', lambda text, **_: lines.append(text))
    return lines


def clips(name: str, **groups: int) -> list[Path]:
    """UCF101's clips of a class, by their numbers in each group."""
    return [
        Path(name, f'v_{name}_{group}_c{number:02d}.avi')
        for group, size in groups.items()
        for number in range(1, size + 1)
    ]


@pytest.mark.parametrize(
    ('name', 'group'),
    [
        ('v_Archery_g01_c02.avi', 'v_Archery_g01'),
        ('0wR5jVB-WPk_000417_000427.mp4', '0wR5jVB-WPk'),
        ('squat_01.mp4', 'a/squat_01.mp4'),
    ],
)
def test_a_file_names_its_recording(name: str, group: str) -> None:
    assert make_group_finder()(Path('a', name)) == group


def test_a_pattern_names_the_recording() -> None:
    assert make_group_finder(r'^(\w+)-')(Path('a/cam1-7.mp4')) == 'cam1'
    assert make_group_finder(r'^\w+')(Path('a/cam1-7.mp4')) == 'cam1'
    with pytest.raises(ValueError, match=r"must be a regular expression, got group_pattern='\('"):
        make_group_finder('(')
    with pytest.raises(ValueError, match=r'must match all file names, .* and a/x\.mp4'):
        make_group_finder(r'^(\d+)')(Path('a/x.mp4'))


@pytest.mark.parametrize(
    ('groups', 'val'),
    [
        pytest.param({'g01': 1, 'g02': 1, 'g03': 1, 'g04': 1, 'g05': 1}, {'g05'}, id='last'),
        pytest.param({'g01': 5, 'g03': 1}, {'g03'}, id='of the wanted size'),
        pytest.param({'g01': 1, 'g03': 5}, {'g01'}, id='not the last'),
        pytest.param({'g01': 4, 'g02': 4, 'g03': 4}, {'g03'}, id='one at least'),
        pytest.param({'g01': 5}, set(), id='a single one'),
        pytest.param({f'g{n:02d}': 2 for n in range(10)}, {'g08', 'g09'}, id='a share'),
    ],
)
def test_whole_recordings_are_held_out(groups: dict[str, int], val: set[str]) -> None:
    paths = clips('A', **groups)
    held_out = hold_out({'A': paths}, make_group_finder(), 0.2)
    assert held_out == {path for path in paths if path.stem.split('_')[2] in val}
    assert hold_out({'A': paths[::-1]}, make_group_finder(), 0.2) == held_out


def test_a_recording_of_two_classes_is_in_one_part() -> None:
    classes = {
        'a': [Path('a/x_000000_000010.mp4'), Path('a/y_000000_000010.mp4')],
        'b': [Path('b/y_000020_000030.mp4'), *(Path(f'b/{n}_000000_000010.mp4') for n in 'pqrs')],
    }
    held_out = hold_out(classes, make_group_finder(), 0.2)
    assert held_out == {classes['a'][1], classes['b'][0]}


def test_a_folder_is_parted_by_recording_and_says_so(tmp_path: Path, log: list[str]) -> None:
    """As UCF101: the last 20 % by name shared a recording with training."""
    paths = [
        *clips('Biking', g05=2, g06=3, g07=5),
        *clips('Diving', g01=4, g02=4),
        *clips('Punch', g03=5),
    ]
    for path in paths:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    train, val = (read_videos(data_root=tmp_path, split=split) for split in ('train', 'val'))
    finder = make_group_finder()
    groups = [{finder(Path(path)) for path, _ in part.videos} for part in (train, val)]
    assert groups[1] == {'v_Biking_g05', 'v_Diving_g02'}
    assert not groups[0] & groups[1]
    assert len(train.videos) + len(val.videos) == len(paths)
    assert log[-1] == (
        f'{tmp_path}, val: 6 of 23 videos are held out, 2 of 6 recordings; none of Punch, which '
        'must have a second recording'
    )
    plain = {'a': [Path('a/1.mp4'), Path('a/2.mp4')]}
    said = describe_split(plain, hold_out(plain, finder, 0.2), finder)
    assert said.endswith('2 recordings (each file is taken for one: give a group_pattern if some '
                         'are of the same)')  # fmt: skip


def test_a_recording_in_two_parts_is_warned_of(tmp_path: Path, log: list[str]) -> None:
    for path in ('train/a/cam1-0.mp4', 'val/a/cam1-1.mp4', 'val/a/cam2-0.mp4'):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    read_videos(data_root=tmp_path, split='train')
    assert log == []
    read_videos(data_root=tmp_path, split='train', group_pattern=r'(cam\d)')
    assert log[0].startswith(
        f'1 of 2 recordings are in several of train, val in {tmp_path}, such as cam1'
    )
    table = tmp_path / 'all.csv'
    rows = ['run,aaa,0,10,train', 'run,aaa,20,30,validate', 'run,bbb,0,10,validate']
    table.write_text('\n'.join(['label,youtube_id,time_start,time_end,split', *rows]))
    read_videos(ann_file=table, data_root=tmp_path, split='train')
    assert log[1].startswith('1 of 2 recordings are in several of train, validate in')
