"""Tables of clips, and other data sets as subsets."""

import shutil
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.registry import DefaultScope

from mmotion.registry import DATASETS
from mmotion.video import VideoError
from projects.anomaly.data import (
    AnomalyClipDataset,
    SubsetDataset,
    read_rows,
)
from tests.video_files import encode, paint, read_number

META_KEYS = ('name', 'subset', 'class_name', 'video', 'excluded')
PIPELINE = [
    {'type': 'SampleClip', 'num_frames': 4, 'stride': 3},
    {'type': 'DecodeClip'},
    {'type': 'Resize', 'scale': (32, 24), 'keep_ratio': False},
    {'type': 'AugmentClip'},
    {'type': 'FormatShape', 'input_format': 'NCTHW'},
    {'type': 'PackActionInputs', 'meta_keys': META_KEYS},
]
HEADER = 'PATH,LABEL,CLASS,VIDEO,AUGMENT'
TRAIN = (
    'run/a.mp4,0,run,tape,',
    'run/a.mp4,0,run,tape,flip speed=1.5',
    'walk/c.mp4,1,walk,,',
)


@pytest.fixture(scope='module')
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of videos whose frames tell their number."""
    root = tmp_path_factory.mktemp('videos')
    content = encode(root / 'video.mp4').read_bytes()
    for name in ('run/a', 'run/b', 'walk/c', 'fall/d'):
        (root / name).parent.mkdir(exist_ok=True)
        (root / f'{name}.mp4').write_bytes(content)
    return root


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the data set logs."""
    lines: list[str] = []
    for module in ('projects.anomaly.data', 'mmotion.video.clips'):
        monkeypatch.setattr(f'{module}.print_log', lambda text, **options: lines.append(text))
    return lines


def write_table(path: Path, rows: Sequence[str], header: str = HEADER) -> str:
    path.write_text('\n'.join([header, *rows, '']))
    return str(path)


def build(root: Path, pipeline: Sequence[Any] = PIPELINE, **tables: Sequence[str]) -> Any:
    """A data set of one table a subset; `test_mode` if there is more than that of training."""
    files = {name: write_table(root / f'{name}.csv', rows) for name, rows in tables.items()}
    with DefaultScope.overwrite_default_scope('mmotion'):
        return AnomalyClipDataset(
            pipeline=pipeline, ann_files=files, data_root=str(root), test_mode=[*files] != ['train']
        )


def frame_numbers(item: dict[str, Any]) -> list[int]:
    """Which frames a packed clip (1, 3, T, H, W) holds."""
    return [read_number(frame) for frame in item['inputs'][0].permute(1, 2, 3, 0).numpy()]


def test_a_row_becomes_a_clip_with_what_a_detector_asks_for(videos: Path) -> None:
    dataset = build(videos, train=TRAIN)
    plain, flipped, other = (dataset[i] for i in range(3))
    assert plain['inputs'].shape == (1, 3, 4, 24, 32)
    assert plain['inputs'].dtype == torch.uint8
    assert plain['data_samples'].gt_label.tolist() == [0]
    assert plain['data_samples'].metainfo == {
        'name': 'train/run/a.mp4',
        'subset': 'train',
        'class_name': 'run',
        'video': 'tape',
        'excluded': False,
    }
    assert flipped['data_samples'].name == 'train/run/a.mp4 flip speed=1.5'
    # without VIDEO it is a recording of its own
    assert (other['data_samples'].video, other['data_samples'].class_name) == ('walk/c.mp4', 'walk')
    assert dataset.metainfo['classes'] == ['run', 'walk']


def test_videos_are_found_however_the_accents_of_a_name_are_written(videos: Path) -> None:
    on_disk, written = (unicodedata.normalize(form, 'Übung.mp4') for form in ('NFD', 'NFC'))
    (videos / on_disk).write_bytes((videos / 'run/a.mp4').read_bytes())
    data = build(videos, train=[f'{written},0,run,,'])
    assert Path(data.get_data_info(0)['filename']) == videos / on_disk


def test_a_clip_is_the_same_each_time_and_faster_if_its_row_says_so(videos: Path) -> None:
    dataset = build(videos, train=TRAIN)
    assert frame_numbers(dataset[0]) == [0, 3, 7, 11]
    assert torch.equal(dataset[0]['inputs'], dataset[0]['inputs'])
    # 12 frames at 30 per second become 18, from 0 to 17
    assert frame_numbers(dataset[1]) == [0, 5, 11, 17]


def test_several_subsets_are_told_apart(videos: Path) -> None:
    tables = {'test': ['run/b.mp4,0,run,,'], 'anomaly': ['fall/d.mp4,2,fall,,']}
    dataset = build(videos, train=TRAIN, **tables)
    assert [dataset[i]['data_samples'].subset for i in range(5)] == [*['train'] * 3, *tables]
    assert dataset.metainfo['classes'] == ['run', 'walk', 'fall']


def test_keys_follow_content_augmentation_and_pipeline(videos: Path, tmp_path: Path) -> None:
    dataset = build(videos, train=[*TRAIN, 'run/b.mp4,0,run,,'])
    keys = [dataset.embedding_key(i) for i in range(4)]
    # run/b.mp4 and walk/c.mp4 are copies of run/a.mp4
    assert keys[0] == keys[2] == keys[3] != keys[1]
    assert keys == [build(videos, train=TRAIN).embedding_key(i) for i in (0, 1, 2, 2)]

    larger = [*PIPELINE[:2], {**PIPELINE[2], 'scale': (64, 48)}, *PIPELINE[3:]]
    assert build(videos, larger, train=TRAIN).embedding_key(0) != keys[0]

    copy = tmp_path / 'videos'
    shutil.copytree(videos, copy)
    moved = build(copy, train=TRAIN)
    assert moved.embedding_key(0) == keys[0]
    encode(copy / 'run' / 'a.mp4', [paint(n) for n in range(9)])
    assert moved.embedding_key(0) != keys[0]
    (copy / 'run' / 'a.mp4').unlink()
    assert moved.embedding_key(0) is None


def test_missing_and_broken_videos(videos: Path, logged: list[str]) -> None:
    (videos / 'run' / 'text.mp4').write_text('no video')
    rows = ['run/gone.mp4,0,run,,', 'run/text.mp4,0,run,,', 'run/b.mp4,0,run,,']
    training = build(videos, train=rows)
    assert logged == [
        f'2 of 3 videos of {videos}/train.csv are there; 1 missing, the first is run/gone.mp4; '
        '3 clips'
    ]
    assert len(training) == 2
    assert training.prepare_data(0) is None
    assert 'passed over: a video must be a file that FFmpeg can read' in logged[-1]
    # another clip takes the place
    assert training[0]['data_samples'].name == 'train/run/b.mp4'

    testing = build(videos, val=rows)
    excluded = [testing[i]['data_samples'].excluded for i in range(3)]
    assert excluded == [True, True, False]
    assert testing[0]['inputs'].shape == testing[2]['inputs'].shape
    assert not testing[0]['inputs'].any()
    assert [testing.embedding_key(i) is None for i in range(3)] == [True, True, False]

    with pytest.raises(VideoError, match='a video at least must be readable'):
        build(videos, train=rows[1:2])[0]
    with pytest.raises(FileNotFoundError, match=r'data_root must hold the videos, .*run/gone.mp4'):
        build(videos, train=rows[:1])


def test_a_short_video_is_used_and_named_once(videos: Path, logged: list[str]) -> None:
    steps = [{**PIPELINE[0], 'stride': 30}, *PIPELINE[1:]]
    dataset = build(videos, steps, train=TRAIN)
    clips = [dataset[i] for i in (0, 1, 0)]
    assert frame_numbers(clips[0])[-1] == 23
    assert logged[1:] == [
        'run/a.mp4 is shorter than a clip, 0.80 s of 4.00 s: its last frame is repeated; a smaller '
        'stride in SampleClip makes clips shorter'
    ]


@pytest.mark.parametrize(
    ('rows', 'message'),
    [
        pytest.param(['run/a.mp4,one,run,,'], r"got LABEL='one' in line 2 of .*csv", id='label'),
        pytest.param([',0,run,,'], "got PATH=''", id='path'),
        pytest.param(['run/a.mp4,0,,,'], "CLASS=''", id='class'),
        pytest.param(['run/a.mp4,0,run,,turn'], "got 'turn' in 'turn'; in line 2", id='augment'),
        pytest.param([TRAIN[0], TRAIN[0]], 'listed once, got train/run/a.mp4 again in', id='twice'),
        pytest.param([], 'a row at least, got none in', id='empty'),
    ],
)
def test_wrong_rows_are_refused(tmp_path: Path, rows: list[str], message: str) -> None:
    table = write_table(tmp_path / 'train.csv', rows)
    with pytest.raises(ValueError, match=message):
        read_rows(Path(table), 'train')


def test_wrong_tables_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"table of 'val' must be a file, .*prepare folder"):
        read_rows(tmp_path / 'val.csv', 'val')
    path = tmp_path / 'train.csv'
    with pytest.raises(ValueError, match=r'columns PATH, LABEL, CLASS, got .* without LABEL, C'):
        read_rows(Path(write_table(path, ['a.mp4'], header='PATH')), 'train')
    # the order of the columns, and a byte order mark, do not matter
    path.write_text('\ufeffLABEL,CLASS,PATH\n3,run,a.mp4\n', encoding='utf-8')
    (row,) = read_rows(path, 'train')
    assert (row['path'], row['label'], row['video'], row['augment']) == ('a.mp4', 3, 'a.mp4', '')


def test_a_recording_is_on_one_side(videos: Path) -> None:
    with pytest.raises(ValueError, match=r'in one of train, val and test, got tape in train and'):
        build(videos, train=TRAIN, val=['run/b.mp4,0,run,tape,'])
    # an unusual clip may come from where normal ones are from
    assert len(build(videos, train=TRAIN, anomaly=['fall/d.mp4,2,fall,tape,'])) == 4


@pytest.mark.parametrize(
    ('step', 'name'),
    [
        pytest.param({**PIPELINE[0], 'at_random': True}, 'SampleClip', id='place'),
        pytest.param({'type': 'Flip'}, 'Flip', id='flip'),
        pytest.param({'type': 'mmaction.RandomCrop', 'size': 8}, 'RandomCrop', id='crop'),
    ],
)
def test_what_draws_at_random_is_refused(videos: Path, step: dict, name: str) -> None:
    with pytest.raises(ValueError, match=f'draw nothing at random, got {name}; the column AUGMENT'):
        build(videos, [step, *PIPELINE[1:]], train=TRAIN)


def test_subsets_are_known(videos: Path) -> None:
    with pytest.raises(ValueError, match='some of train, val, test, anomaly, got dev'):
        build(videos, dev=TRAIN)
    with pytest.raises(ValueError, match='got none'):
        SubsetDataset(subsets={})


def shapes(actions: list[str], num_videos: int) -> dict[str, Any]:
    pack = {'type': 'PackActionInputs', 'meta_keys': ('name',)}
    return {
        'type': 'ActionShapesDataset',
        'split': 'test',
        'num_videos': num_videos,
        'num_frames': 4,
        'size': 16,
        'actions': actions,
        'pipeline': [{'type': 'FormatShape', 'input_format': 'NCTHW'}, pack],
    }


@pytest.fixture
def mixed() -> SubsetDataset:
    """Two normal actions and an unusual one, generated."""
    pytest.importorskip('projects.timesformer')
    subsets = {'test': shapes(['up', 'left'], 3), 'anomaly': shapes(['rock'], 2)}
    with DefaultScope.overwrite_default_scope('mmotion'):
        return SubsetDataset(subsets=subsets)


def test_other_data_sets_become_subsets(mixed: SubsetDataset) -> None:
    items = [mixed[i] for i in range(len(mixed))]
    samples = [item['data_samples'] for item in items]
    assert [sample.subset for sample in samples] == ['test'] * 3 + ['anomaly'] * 2
    assert [sample.class_name for sample in samples] == ['up', 'left', 'up', 'rock', 'rock']
    assert len({sample.name for sample in samples}) == 5
    assert samples[3].name == samples[3].video == 'anomaly/test_000000'
    assert not any(sample.excluded for sample in samples)
    assert items[0]['inputs'].shape == (1, 3, 4, 16, 16)
    assert torch.equal(items[1]['inputs'], mixed[1]['inputs'])
    assert mixed.metainfo['classes'] == ('up', 'left')


def test_numbers_beyond_the_end_are_refused(mixed: SubsetDataset) -> None:
    with pytest.raises(IndexError, match=r'index must lie in 0..4, got index=5'):
        mixed[5]


def test_a_subset_must_name_its_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    class Nameless:
        metainfo: dict[str, Any] = {}

    monkeypatch.setattr(DATASETS, 'build', lambda config: Nameless())
    with pytest.raises(ValueError, match="none for subset='val'"):
        SubsetDataset(subsets={'val': {}})
