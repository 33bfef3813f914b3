"""The data set of files: labels, groups, splits, and files that are broken or show nobody."""

import logging
import random
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmengine.logging import MMLogger

from mmotion.keypoints.files import read_poses, write_poses
from mmotion.keypoints.skeletons import COCO17, FIGURE
from mmotion.registry import DATASETS
from projects.pose_sequence.data import KeypointSequenceDataset
from tests.pose_videos import make_video, write_deeplabcut

PERSON = '/([a-z]+)_'


def load(root: Path | str = '', **options: Any) -> KeypointSequenceDataset:
    config = {'type': 'KeypointSequenceDataset', 'pipeline': [], 'data_root': str(root)}
    return DATASETS.build(config | options)


def infos(data: KeypointSequenceDataset, key: str) -> list[Any]:
    return [data.get_data_info(i)[key] for i in range(len(data))]


@pytest.fixture
def log() -> Any:
    """Lines that mmengine's current logger writes."""
    lines: list[tuple[int, str]] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append((record.levelno, record.getMessage()))

    logger, handler = MMLogger.get_current_instance(), Keep()
    logger.addHandler(handler)
    yield lines
    logger.removeHandler(handler)


def test_a_sample_is_the_main_person_of_the_file(pose_folder: Path) -> None:
    data = load(pose_folder)
    assert data.metainfo['classes'] == ['jump', 'run', 'squat'] and len(data) == 24
    sample = data.get_data_info(9)
    assert sample['name'] == 'run/ann_1.json' and sample['label'] == 1
    assert sample['skeleton'] == COCO17 and sample['fps'] == 12.5
    assert (sample['width'], sample['height'], sample['group']) == (640, 480, 'run_ann_1.mp4')
    keypoints, scores = read_poses(pose_folder / 'run' / 'ann_1.json').main_track()
    np.testing.assert_array_equal(sample['keypoints'], keypoints)
    np.testing.assert_array_equal(sample['scores'], scores)


def test_a_pipeline_makes_what_a_model_gets(pose_folder: Path) -> None:
    pipeline = [
        {'type': 'FillMissing'},
        {'type': 'NormalizePose'},
        {'type': 'PackSequence', 'max_seq_length': 16},
    ]
    item = load(pose_folder, pipeline=pipeline)[20]
    assert item['inputs'].shape == (16, 17, 3)
    assert item['data_samples'].gt_label.item() == 2 and item['data_samples'].length == 10


def test_the_order_of_a_list_does_not_matter(pose_folder: Path, tmp_path: Path) -> None:
    rows = [
        f'{path.relative_to(pose_folder).as_posix()},{path.parent.name},{path.stem[:3]}'
        for path in pose_folder.rglob('*.json')
    ]
    found = []
    for seed in range(3):
        random.Random(seed).shuffle(rows)
        (tmp_path / 'all.csv').write_text('\n'.join(['path,label,group', *rows]))
        data = load(pose_folder, ann_file=str(tmp_path / 'all.csv'), subset={'split': 'val'})
        found.append([infos(data, key) for key in ('name', 'label', 'group')])
    assert found[0] == found[1] == found[2]
    assert len(set(found[0][2])) == 1


def test_splits_share_no_person_and_leave_nothing_out(pose_folder: Path) -> None:
    parts = {
        split: load(pose_folder, group_pattern=PERSON, subset={'split': split, 'val_share': 0.25})
        for split in ('train', 'val')
    }
    persons = {split: set(infos(data, 'group')) for split, data in parts.items()}
    assert persons['train'] | persons['val'] == {'ann', 'bob', 'cid', 'dan'}
    assert not persons['train'] & persons['val'] and len(persons['val']) == 1
    names = [name for data in parts.values() for name in infos(data, 'name')]
    assert len(set(names)) == len(names) == 24
    for data in parts.values():
        counts = np.bincount(infos(data, 'label'))
        assert len(counts) == 3 and len(set(counts)) == 1


def test_labels_and_groups_can_be_fields_of_the_files(tmp_path: Path) -> None:
    for i, (label, group) in enumerate([('run', 'bob'), ('jump', 'ann'), ('run', 'ann')]):
        labels = {'label': label, 'group': group}
        write_poses(make_video(10, seed=i, labels=labels), tmp_path / f'{i}.json')
    data = load(tmp_path)
    assert data.metainfo['classes'] == ['jump', 'run']
    assert infos(data, 'label') == [1, 0, 1] and infos(data, 'group') == ['bob', 'ann', 'ann']
    (tmp_path / 'all.txt').write_text('1.json\n0.json\n')
    assert infos(load(tmp_path, ann_file=str(tmp_path / 'all.txt')), 'label') == [1, 0]


def test_files_of_one_video_are_one_group(tmp_path: Path) -> None:
    for i in range(4):
        video = make_video(10, seed=i, source=f'{i // 2}.mp4', labels={'label': 'run'})
        write_poses(video, tmp_path / f'{i}.json')
    assert infos(load(tmp_path), 'group') == ['0.mp4', '0.mp4', '1.mp4', '1.mp4']


def test_numbers_are_classes_in_the_order_of_their_values(
    pose_folder: Path, tmp_path: Path
) -> None:
    names = [
        path.relative_to(pose_folder).as_posix() for path in sorted(pose_folder.rglob('*.json'))
    ]
    lines = [f'{name} {10 - i}' for i, name in enumerate(names[:3])]
    (tmp_path / 'all.txt').write_text('\n'.join(lines))
    data = load(pose_folder, ann_file=str(tmp_path / 'all.txt'))
    assert data.metainfo['classes'] == ['8', '9', '10'] and infos(data, 'label') == [2, 1, 0]


def test_classes_fix_the_numbers_and_refuse_other_labels(pose_folder: Path) -> None:
    data = load(pose_folder, classes=['squat', 'sit', 'run', 'jump'])
    assert set(infos(data, 'label')) == {0, 2, 3}
    with pytest.raises(
        ValueError, match=r"label must be one of the classes jump, run, got .*'squat'"
    ):
        load(pose_folder, classes=['jump', 'run'])


def test_unlabeled_sequences_are_taken_when_asked_for(tmp_path: Path) -> None:
    write_poses(make_video(10), tmp_path / 'a.json')
    with pytest.raises(
        ValueError, match=r'0 of 1 sequences .*labels.label must be given, got nothing'
    ):
        load(tmp_path)
    data = load(tmp_path, classes=(), pipeline=[{'type': 'PackSequence', 'max_seq_length': 8}])
    assert 'gt_label' not in data[0]['data_samples']
    assert data.get_data_info(0)['label'] == -1


def test_what_cannot_be_used_is_counted_and_nothing_else_is_lost(
    pose_folder: Path, log: Any
) -> None:
    (pose_folder / 'jump' / 'ann_0.json').write_text('{"format": ')
    text = (pose_folder / 'jump' / 'ann_1.json').read_text()
    (pose_folder / 'jump' / 'ann_1.json').write_text(text.replace('"score":0.75', '"score":2', 1))
    write_poses(make_video(10, skeleton=FIGURE), pose_folder / 'run' / 'zoe_0.json')
    write_poses(make_video(10, nobody=range(10)), pose_folder / 'run' / 'yan_0.json')
    write_poses(make_video(10, nobody=range(3)), pose_folder / 'run' / 'yan_1.json')
    data = load(pose_folder)
    names = infos(data, 'name')
    assert len(names) == 22 and not {'run/yan_0.json', 'run/yan_1.json', 'jump/ann_0.json'} & {
        *names
    }
    level, line = log[0]
    assert level == logging.WARNING
    assert '22 of 27 sequences of' in line and '22 groups' in line
    assert '2 left out with a person in fewer than 8 steps, the first is run/yan_0.json' in line
    assert '3 left out that cannot be used, the first: ' in line
    assert 'ann_0.json: the file must be JSON' in line
    assert 'run/yan_1.json' in infos(load(pose_folder, subset={'min_det_threshold': 7}), 'name')


def test_a_class_of_one_sequence_is_named_where_a_part_lacks_it(
    pose_folder: Path, log: Any
) -> None:
    write_poses(make_video(10), pose_folder / 'sit' / 'zoe_0.json')
    load(pose_folder, subset={'split': 'val'})
    (line,) = (text for level, text in log if 'none of' in text and level == logging.WARNING)
    assert line == 'val has 5 of these sequences, none of sit'
    assert 2 in infos(load(pose_folder, subset={'split': 'train'}), 'label')


def test_json_that_no_program_can_hold_is_counted(pose_folder: Path, log: Any) -> None:
    for name, content in (
        ('jump/ann_0', '[' * 100_000),
        ('jump/ann_1', ('"width":', f'"width":{"9" * 400}')),
        ('run/bob_0', ('"keypoints":[[', f'"keypoints":[[{"9" * 400},')),
        ('run/bob_1', ('"fps":', f'"fps":{"9" * 400}')),
    ):
        file = pose_folder / f'{name}.json'
        if not isinstance(content, str):
            content = file.read_text().replace(*content)
        file.write_text(content)
    assert len(infos(load(pose_folder), 'name')) == 20
    assert '4 left out that cannot be used' in log[0][1]


@pytest.mark.parametrize(('on_disk', 'written'), [('NFD', 'NFC'), ('NFC', 'NFD')])
def test_names_are_matched_however_their_accents_are_written(
    tmp_path: Path, on_disk: str, written: str
) -> None:
    there, here = (unicodedata.normalize(form, 'Übung') for form in (on_disk, written))
    for number in range(2):
        write_poses(make_video(10), tmp_path / f'{there}{number}.json')
    rows = [f'{there}0.json,{there},{here}', f'{here}1.json,{here},{there}']
    (tmp_path / 'a.csv').write_text('\n'.join(['path,label,group', *rows]), encoding='utf-8')
    data = load(tmp_path, ann_file=str(tmp_path / 'a.csv'), classes=[here])
    assert infos(data, 'label') == [0, 0]
    assert len({*infos(data, 'group')}) == 1


def test_frames_without_anybody_stay_steps(tmp_path: Path) -> None:
    video = make_video(12, nobody=(0, 5), labels={'label': 'run'})
    write_poses(video, tmp_path / 'a.json')
    keypoints = load(tmp_path).get_data_info(0)['keypoints']
    assert np.isnan(keypoints).all(axis=(1, 2)).nonzero()[0].tolist() == [0, 5]


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        pytest.param(
            {'subset': {'split': 'test'}}, 'split must be one of train, val, None, got', id='split'
        ),
        pytest.param(
            {'subset': {'val_share': 0.8}}, r'val_share must lie in \(0, 0.5\], got', id='share'
        ),
        pytest.param(
            {'skeleton': 'coco'}, "skeleton must be one of coco17, .* got .*'coco'", id='skeleton'
        ),
        pytest.param(
            {'skeleton': 'figure'}, '0 of 24 .* 24 left out that cannot', id='other-skeleton'
        ),
        pytest.param(
            {'group_pattern': '('}, 'group_pattern must be a regular expression', id='regex'
        ),
        pytest.param({'group_pattern': 'zoe'}, "nothing in 'jump/ann_0.json'", id='no-match'),
        pytest.param(
            {'subset': {'min_det_threshold': 11}},
            'fewer than 11 steps, the first is jump',
            id='too-short',
        ),
    ],
)
def test_a_wrong_option_is_refused(
    pose_folder: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        load(pose_folder, **options)


def test_deeplabcut_is_read_by_a_table_at_a_given_rate(tmp_path: Path) -> None:
    for name in ('a', 'b'):
        write_deeplabcut(make_video(10), tmp_path / f'{name}DLC_net.csv')
    table = tmp_path / 'labels.csv'
    table.write_text('path,label\naDLC_net.csv,run\nbDLC_net.csv,rest\n')
    with pytest.raises(ValueError, match=r'fps must be given for files of DeepLabCut.* in each of'):
        load(tmp_path, ann_file=str(table))
    data = load(tmp_path, ann_file=str(table), fps=30)
    assert infos(data, 'label') == [1, 0] and infos(data, 'group')[0] == str(tmp_path / 'a')
    sample = data.get_data_info(0)
    assert sample['fps'] == 15 and sample['skeleton'].points == COCO17.points
    np.testing.assert_allclose(sample['keypoints'], make_video(10).main_track()[0], rtol=1e-6)


@pytest.mark.parametrize('options', [{}, {'skeleton': 'openpose18'}, {'fps': 25.0}], ids=str)
def test_arrays_without_skeleton_or_rate_are_refused(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    (tmp_path / 'run').mkdir()
    values = np.full((10, 18, 3), 50.0)
    values[..., 2] = 1
    np.save(tmp_path / 'run' / 'a.npy', values)
    with pytest.raises(
        ValueError,
        match=r'skeleton and fps must be given for arrays, .*run/a\.npy; in each of train_data.* '
        r'set dataset\.skeleton to one of coco17, .* and dataset\.fps',
    ):
        load(tmp_path, **options)
    data = load(tmp_path, skeleton='openpose18', fps=21.5)
    assert data.get_data_info(0)['fps'] == 21.5


def test_a_skeleton_may_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / 'mouse.json').write_text('{"name": "mouse", "points": ["snout", "tail"]}')
    (tmp_path / 'poses' / 'run').mkdir(parents=True)
    np.save(tmp_path / 'poses' / 'run' / 'a.npy', np.tile([[[9, 9, 1], [20, 30, 0.5]]], (8, 1, 1)))
    data = load(tmp_path / 'poses', skeleton=str(tmp_path / 'mouse.json'), fps=25.0)
    assert data.get_data_info(0)['skeleton'].points == ('snout', 'tail')


def test_real_sequences_of_openpose(data_root: Path) -> None:
    root = data_root / 'poses' / 'pose_trainer'
    options = {'skeleton': 'openpose18', 'fps': 25.0, 'group_pattern': '/(.*)[0-9]+'}
    data = load(root, **options, pipeline=[{'type': 'PackSequence', 'max_seq_length': 64}])
    assert data.metainfo['classes'] == ['bicep', 'frontraise', 'shoulderpress', 'shouldershrug']
    assert np.bincount(infos(data, 'label')).tolist() == [16, 28, 36, 32]
    item = data[0]['inputs'].numpy()
    assert item.shape == (64, 18, 3) and np.isfinite(item).all() and item[..., 2].max() <= 1
