"""Layouts of keypoint files, what a file is as a sequence, and splits by group."""

import random
from pathlib import Path

import numpy as np
import pytest

from mmotion.keypoints.files import write_poses
from mmotion.keypoints.skeletons import COCO17, FIGURE, OPENPOSE18
from projects.pose_sequence.sequence_files import (
    list_sequences,
    read_sequence,
    split_groups,
    take_main_track,
)
from tests.pose_videos import make_video, write_deeplabcut


def test_a_folder_of_classes_is_read_in_order(pose_folder: Path) -> None:
    (pose_folder / 'jump' / '.ann_9.partial.json').touch()
    (pose_folder / 'README.txt').touch()
    files = list_sequences(pose_folder)
    assert len(files) == 24 and files == sorted(files, key=lambda file: file.name)
    first = files[0]
    assert (first.name, first.label, first.group) == ('jump/ann_0.json', 'jump', None)
    assert first.path == pose_folder / 'jump' / 'ann_0.json'


def test_files_beside_each_other_have_no_label_of_a_folder(pose_folder: Path) -> None:
    files = list_sequences(pose_folder / 'run')
    assert {file.label for file in files} == {None} and files[0].name == 'ann_0.json'


def test_deeplabcut_has_a_class_and_is_there_once(tmp_path: Path) -> None:
    for name in ('a', 'b'):
        write_deeplabcut(make_video(), tmp_path / 'run' / f'{name}DLC_net.csv')
    (tmp_path / 'run' / 'aDLC_net.h5').touch()
    (tmp_path / 'run' / 'cDLC_net.h5').touch()
    files = list_sequences(tmp_path)
    assert [file.name[4:] for file in files] == ['aDLC_net.csv', 'bDLC_net.csv', 'cDLC_net.h5']
    assert files[0].label == 'run'
    video = read_sequence(files[0].path, fps=30)
    assert video.source == str(tmp_path / 'run' / 'a') and video.num_frames == 23
    with pytest.raises(ValueError, match=r'fps must be given for files of DeepLabCut'):
        read_sequence(files[0].path)


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        pytest.param(
            'path,label,group\nb.json,run fast,bob\n\na.json,jump,ann\n',
            [('a.json', 'jump', 'ann'), ('b.json', 'run fast', 'bob')],
            id='csv',
        ),
        pytest.param(
            '\ufefflabel, path\r\n"run, fast",b.json\r\n',
            [('b.json', 'run, fast', None)],
            id='order',
        ),
        pytest.param('path\nb.json\n', [('b.json', None, None)], id='paths-in-a-csv'),
        pytest.param(
            'my b.json 3\na.npy 0\n', [('a.npy', '0', None), ('my b.json', '3', None)], id='list'
        ),
        pytest.param(
            '"my, b.json" 3\n"a.npy" 0\n',
            [('a.npy', '0', None), ('my, b.json', '3', None)],
            id='quoted-list',
        ),
        pytest.param(
            'my b.json\nx/a.json\n',
            [('my b.json', None, None), ('x/a.json', None, None)],
            id='paths',
        ),
    ],
)
def test_lists_are_read_in_the_order_of_names(
    tmp_path: Path, text: str, expected: list[tuple[str, str | None, str | None]]
) -> None:
    (tmp_path / 'list.csv').write_text(text, encoding='utf-8', newline='')
    files = list_sequences('/data', tmp_path / 'list.csv')
    assert [file[1:] for file in files] == expected
    assert files[0].path == Path('/data') / expected[0][0]


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        pytest.param(
            'path,label\na.json\n', r'for each of 2 columns, got 1 values in line 2', id='short-row'
        ),
        pytest.param('path,label\na.json,run\nb.json,\n', 'in line 3', id='empty-label'),
        pytest.param(
            'path,class\na.json,run\n', 'columns path, label and group, got class', id='column'
        ),
        pytest.param(
            'a.json 1\nb.json\n', r"path and label, got 'b.json' in line 2", id='no-label'
        ),
        pytest.param('a.json 1\na.json 2\n', 'named once, got a.json twice', id='twice'),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / 'list.csv').write_text(text)
    with pytest.raises(ValueError, match=message):
        list_sequences('', tmp_path / 'list.csv')


def test_nothing_to_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match='data_root must have keypoint files'):
        list_sequences(tmp_path)
    with pytest.raises(FileNotFoundError, match='data_root must be a folder of keypoint files'):
        list_sequences(tmp_path / 'none')
    with pytest.raises(FileNotFoundError, match='ann_file must be a CSV or list'):
        list_sequences(tmp_path, tmp_path / 'none.csv')
    (tmp_path / 'list.csv').touch()
    with pytest.raises(FileNotFoundError, match='ann_file must have keypoint files'):
        list_sequences(tmp_path, tmp_path / 'list.csv')


def test_arrays_need_a_skeleton_and_files_the_same_one(tmp_path: Path) -> None:
    np.save(tmp_path / 'a.npy', np.concatenate([np.full((5, 18, 2), 9), np.ones((5, 18, 1))], -1))
    with pytest.raises(
        ValueError, match=r'skeleton and fps must be given for arrays, .* fps=None for .*a\.npy'
    ):
        read_sequence(tmp_path / 'a.npy')
    video = read_sequence(tmp_path / 'a.npy', OPENPOSE18, 50.0)
    assert (video.skeleton, video.fps) == (OPENPOSE18, 50.0)
    write_poses(make_video(), tmp_path / 'b.json')
    assert read_sequence(tmp_path / 'b.json', None).skeleton == COCO17
    with pytest.raises(
        ValueError, match=r"b\.json: skeleton must be 'figure' .* got 'coco17' with 17"
    ):
        read_sequence(tmp_path / 'b.json', FIGURE)


def test_the_rate_is_that_of_the_frames_that_were_looked_at() -> None:
    video = make_video(10, nobody=(3,))
    sequence = take_main_track(video)
    assert sequence['fps'] == 12.5 and sequence['keypoints'].shape == (10, 17, 2)
    assert np.isnan(sequence['keypoints'][3]).all() and not sequence['scores'][3].any()
    assert take_main_track(make_video(1))['fps'] == 25.0


@pytest.mark.parametrize('takes', [1, 5], ids=['all-alike', 'diligent-and-lazy-people'])
def test_a_split_shares_no_group_and_does_not_depend_on_the_order(takes: int) -> None:
    rng = random.Random(0)
    persons = [f'p{i}' for i in range(12)]
    # each does some of the four activities, or all of them, a few times
    done = {person: rng.sample(range(4), 4 if takes == 1 else 3) for person in persons}
    pairs = [(p, c) for p in persons for c in done[p] for _ in range(rng.randint(1, takes))]
    found = set()
    for _ in range(10):
        rng.shuffle(pairs)
        groups, labels = zip(*pairs, strict=True)
        is_val = split_groups(labels, groups, val_share=0.25)
        val = {group for group, chosen in zip(groups, is_val, strict=True) if chosen}
        train = {group for group, chosen in zip(groups, is_val, strict=True) if not chosen}
        assert not val & train and val | train == set(persons)
        assert 0.15 < is_val.mean() < 0.35
        assert set(np.array(labels)[is_val]) == set(range(4))
        found.add(frozenset(val))
    assert len(found) == 1


@pytest.mark.parametrize(
    ('labels', 'groups'),
    [
        pytest.param([0, 0, 1, 1], 'aabb', id='a-group-a-class'),
        pytest.param([0, 0, 0, 1], 'abcd', id='a-rare-class'),
        pytest.param([-1] * 4, 'abcd', id='no-labels'),
        pytest.param([0] * 9 + [1], 'aaaaaaaaab', id='a-large-group'),
    ],
)
def test_small_sets_are_split_too(labels: list[int], groups: str) -> None:
    is_val = split_groups(labels, list(groups), val_share=0.2)
    sides = [{g for g, v in zip(groups, is_val, strict=True) if v == side} for side in (0, 1)]
    assert all(sides) and not sides[0] & sides[1]


def test_one_group_cannot_be_split() -> None:
    with pytest.raises(ValueError, match=r"two groups .* got 1 and 2, group 'ann' among them"):
        split_groups([0, 1, 0], ['ann'] * 3, val_share=0.2)
