"""What a pipeline gets, and videos that are missing or broken."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mmotion.checkpoint import load_checkpoint_file
from mmotion.cli import main
from mmotion.registry import MODELS, TRANSFORMS
from mmotion.video import VideoError
from projects.timesformer.data import ActionDataset
from tests.video_files import encode, read_number

META_KEYS = ('name', 'num_clips', 'excluded')
PACK = [
    {'type': 'FormatShape', 'input_format': 'NCTHW'},
    {'type': 'PackActionInputs', 'meta_keys': META_KEYS},
]


@pytest.fixture(scope='module')
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of videos whose frames tell their number."""
    root = tmp_path_factory.mktemp('videos')
    for name in ('run/a', 'run/b', 'walk/c', 'walk/d'):
        (root / name).parent.mkdir(exist_ok=True)
        encode(root / f'{name}.mp4')
    return root


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the data set logs."""
    lines: list[str] = []
    for module in ('projects.timesformer.data', 'mmotion.video.clips'):
        monkeypatch.setattr(f'{module}.print_log', lambda text, **options: lines.append(text))
    return lines


def build(steps: list[dict], **options: Any) -> ActionDataset:
    return ActionDataset(pipeline=[TRANSFORMS.build(step) for step in steps], **options)


@pytest.mark.parametrize('at_random', [False, True], ids=['test', 'train'])
def test_a_clip_goes_through_mmaction2s_transforms(videos: Path, at_random: bool) -> None:
    views = [
        {'type': 'RandomRescale', 'scale_range': (36, 40)},
        {'type': 'RandomCrop', 'size': 32},
        {'type': 'Flip'},
    ]
    crops = [{'type': 'Resize', 'scale': (-1, 32)}, {'type': 'ThreeCrop', 'crop_size': 32}]
    steps = [
        {'type': 'SampleClip', 'num_frames': 4, 'stride': 3, 'at_random': at_random},
        {'type': 'DecodeClip'},
        *(views if at_random else crops),
        *PACK,
    ]
    item = build(steps, data_root=str(videos), test_mode=not at_random)[2]
    assert item['inputs'].shape == (1 if at_random else 3, 3, 4, 32, 32)
    assert item['inputs'].dtype == torch.uint8
    data_sample = item['data_samples']
    assert data_sample.gt_label.tolist() == [1]
    assert (data_sample.name, data_sample.num_clips) == ('walk/c.mp4', 1)
    assert data_sample.excluded is False
    numbers = [read_number(frame) for frame in item['inputs'][0].movedim(1, 0).numpy()]
    if at_random:
        assert 10 <= numbers[-1] - numbers[0] <= 11
    else:
        assert numbers == [0, 3, 7, 11]


def test_ten_clips_by_three_crops(videos: Path) -> None:
    steps = [
        {'type': 'SampleClip', 'num_frames': 2, 'stride': 2, 'num_clips': 10},
        {'type': 'DecodeClip'},
        {'type': 'Resize', 'scale': (-1, 16)},
        {'type': 'ThreeCrop', 'crop_size': 16},
        *PACK,
    ]
    item = build(steps, data_root=str(videos), test_mode=True)[0]
    assert item['inputs'].shape == (30, 3, 2, 16, 16)
    assert [read_number(clip[:, 0].numpy()) for clip in item['inputs'][:10]] == [*range(0, 20, 2)]
    assert item['data_samples'].num_clips == 10


def test_class_names_are_in_the_metainfo(videos: Path) -> None:
    assert build([], data_root=str(videos)).metainfo == {'classes': ['run', 'walk']}
    named = build([], data_root=str(videos), classes=['walk', 'sit', 'run'])
    assert named.metainfo['classes'] == ['walk', 'sit', 'run']
    assert named[0]['label'] == 2


TINY = [
    *('model.backbone.init=None', 'model.backbone.vit.embed_dim=32', 'model.backbone.vit.depth=1'),
    *(
        'model.backbone.vit.num_heads=2',
        'model.backbone.image_size=32',
        'model.backbone.num_frames=2',
    ),
    *('model.cls_head.in_channels=32', 'train_cfg.max_epochs=1', 'train_cfg.val_interval=2'),
    *('train_dataloader.num_workers=0', 'train_dataloader.batch_size=2'),
    *('train_dataloader.dataset.pipeline.0.num_frames=2', 'val_dataloader.num_workers=0'),
    'train_dataloader.dataset.pipeline.2.scale_range=(36,40)',
    'train_dataloader.dataset.pipeline.3.size=32',
]


@pytest.mark.parametrize('pattern', [None, r'(cam\d)'], ids=['usual-names', 'pattern'])
def test_two_lists_tell_their_recordings(videos: Path, tmp_path: Path, pattern: str | None) -> None:
    names = ['v_Run_g01_c01', 'v_Run_g01_c02'] if pattern is None else ['cam1-0', 'cam1-1']
    for part, name in zip(('train', 'val'), names, strict=True):
        (tmp_path / f'{name}.mp4').write_bytes((videos / 'run' / 'a.mp4').read_bytes())
        (tmp_path / f'{part}.txt').write_text(f'{name}.mp4 0\n')
    train, val = (
        build(PACK, ann_file=str(tmp_path / f'{p}.txt'), data_root=str(tmp_path),
              group_pattern=pattern)
        for p in ('train', 'val')
    )  # fmt: skip
    assert train.recordings == val.recordings
    assert len(train.recordings) == 1


def test_class_names_are_in_the_checkpoint(videos: Path, tmp_path: Path) -> None:
    options = [*TINY, f'train_dataloader.dataset.data_root={videos}']
    train = ['train', 'timesformer_folder', '--work-dir', str(tmp_path), '--cfg-options', *options]
    assert main([*train, f'val_dataloader.dataset.data_root={videos}']) == 0
    meta = load_checkpoint_file(tmp_path / 'epoch_1.pth')['meta']
    assert meta['dataset_meta'] == {'classes': ['run', 'walk']}


@pytest.fixture
def damaged(videos: Path, tmp_path: Path) -> Path:
    """A list of a good video, one that is not there, an empty one and one that is no video."""
    (tmp_path / 'empty.mp4').touch()
    (tmp_path / 'text.mp4').write_text('no video')
    lines = [f'{videos}/run/a.mp4 0', 'gone.mp4 1', 'empty.mp4 1', 'text.mp4 0']
    (tmp_path / 'list.txt').write_text('\n'.join(lines))
    return tmp_path / 'list.txt'


STEPS = [
    {'type': 'SampleClip', 'num_frames': 2, 'stride': 2},
    {'type': 'DecodeClip'},
    {'type': 'Resize', 'scale': (-1, 16)},
    {'type': 'CenterCrop', 'crop_size': 16},
    *PACK,
]


def test_training_takes_another_video_for_a_broken_one(damaged: Path, logged: list[str]) -> None:
    dataset = build(STEPS, ann_file=str(damaged), data_root=str(damaged.parent))
    assert len(dataset) == 3
    assert '3 of 4 videos of' in logged[0]
    assert '1 missing, left out, the first is gone.mp4; 2 classes' in logged[0]
    for _ in range(3):
        assert {dataset[i]['data_samples'].name[-5:] for i in range(3)} == {'a.mp4'}
    # each is logged once, however often it is met
    assert sorted(line[:19] for line in logged[1:]) == [
        '1 of 3 videos are b',
        '2 of 3 videos are b',
    ]


def test_testing_excludes_missing_and_broken_videos(damaged: Path, logged: list[str]) -> None:
    dataset = build(STEPS, ann_file=str(damaged), data_root=str(damaged.parent), test_mode=True)
    items = [dataset[i] for i in range(len(dataset))]
    assert [item['data_samples'].excluded for item in items] == [False, True, True, True]
    assert [item['data_samples'].gt_label.item() for item in items] == [0, 1, 1, 0]
    # one shape, so that they make a batch
    assert {item['inputs'].shape for item in items} == {(1, 3, 2, 16, 16)}
    assert not items[1]['inputs'].any()
    assert '1 missing, excluded from the scores' in logged[0]


def test_a_video_that_breaks_while_it_is_decoded_is_excluded(
    videos: Path, logged: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('mmotion.video.clips.choose_decoder', lambda backend: lambda *_: iter(()))
    item = build(STEPS, data_root=str(videos), test_mode=True)[0]
    assert item['data_samples'].excluded
    assert 'must be decodable, got none' in logged[-1]


def test_no_readable_video_is_an_error(damaged: Path) -> None:
    damaged.write_text('empty.mp4 0\ntext.mp4 0')
    dataset = build(STEPS, ann_file=str(damaged), data_root=str(damaged.parent))
    with pytest.raises(VideoError, match='at least must be readable, got 2 of 2 videos are broken'):
        for _ in range(100):
            dataset[0]


def test_no_video_at_all_names_a_path(damaged: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r'0 of 1 videos .*, such as .*gone\.mp4; name the'):
        damaged.write_text('gone.mp4 0')
        build([], ann_file=str(damaged), data_root=str(damaged.parent))


def test_mixup_blends_two_videos(videos: Path) -> None:
    dataset = build(STEPS, data_root=str(videos))
    preprocessor = MODELS.build(
        {
            'type': 'ActionDataPreprocessor',
            'mean': [114.75] * 3,
            'std': [57.375] * 3,
            'format_shape': 'NCTHW',
            'blending': {'type': 'MixupBlending', 'num_classes': 2, 'alpha': 0.8},
        }
    )
    items = [dataset[0], dataset[3]]
    batch = {key: [item[key] for item in items] for key in ('inputs', 'data_samples')}
    torch.manual_seed(2)
    mixed = preprocessor(batch, training=True)
    assert mixed['inputs'].shape == (2, 1, 3, 2, 16, 16)
    labels = torch.stack([data_sample.gt_label for data_sample in mixed['data_samples']])
    torch.testing.assert_close(labels.sum(1), torch.ones(2))
    assert 0.01 < labels[0, 1] < 0.99


@pytest.mark.parametrize('fold', ['ucf101', 'weizmann'])
def test_real_videos(data_root: Path, fold: str) -> None:
    dataset = build(STEPS, data_root=str(data_root / 'actions' / fold), test_mode=True)
    item = dataset[len(dataset) - 1]
    assert item['inputs'].float().std() > 10
    assert not item['data_samples'].excluded


def test_data_workers_share_the_list(videos: Path, make_loader: Callable) -> None:
    batch = next(iter(make_loader(build(STEPS, data_root=str(videos)))))
    assert [data_sample.name for data_sample in batch['data_samples']] == ['run/a.mp4', 'run/b.mp4']


@pytest.fixture
def make_loader() -> Callable:
    """Load batches of two in another process."""
    from mmengine.dataset import pseudo_collate
    from torch.utils.data import DataLoader

    return lambda dataset: DataLoader(
        dataset, batch_size=2, num_workers=1, collate_fn=pseudo_collate
    )
