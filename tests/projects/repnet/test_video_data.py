"""Data sets of real videos: what is there, what a clip is labelled with, and training on them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from mmotion.cli import main
from mmotion.video import VideoError
from projects.repnet.video_data import (
    CountixDataset,
    CycleDataset,
    SyntheticRepetitionDataset,
)
from tests.repetition_files import FPS, write_countix, write_table, write_video
from tests.video_files import encode, paint, read_number


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the data sets log."""
    lines: list[str] = []
    for module in ('projects.repnet.video_data', 'mmotion.video.clips'):
        monkeypatch.setattr(f'{module}.print_log', lambda text, **options: lines.append(text))
    return lines


@pytest.fixture
def make_countix(tmp_path: Path) -> Callable[..., CountixDataset]:
    """Build the data set of a folder with two videos, each with 4 repetitions in 2 of 3 seconds."""
    write_countix(tmp_path, splits=['val'])

    def make(**options: object) -> CountixDataset:
        files = {'ann_file': str(tmp_path / 'countix_val.csv'), 'data_root': str(tmp_path / 'val')}
        return CountixDataset(**{**files, 'pipeline': [], 'size': 16, **options})

    return make


def test_testing_counts_in_the_annotated_interval(make_countix: Callable) -> None:
    dataset = make_countix()
    assert len(dataset) == 2
    item = dataset[1]
    assert item['gt_count'] == 4
    assert item['name'] == 'val_______1_000007_000010_00015'
    assert len(item['imgs']) == 2 * FPS
    assert item['imgs'][0].shape == (16, 16, 3)
    np.testing.assert_allclose(item['gt_period'], 15)
    assert item['gt_periodicity'].all()
    # the single cycles are not known
    assert 'gt_cycles' not in item


def test_training_takes_windows_at_random_speed(make_countix: Callable) -> None:
    dataset = make_countix(clip_frames=8)
    periods = set()
    for _ in range(20):
        item = dataset[0]
        assert len(item['imgs']) == len(item['gt_period']) == 8
        period = item['gt_period'][item['gt_period'] > 0]
        assert item['gt_count'] == pytest.approx((1 / period).sum())
        periods |= set(np.round(period * FPS / item['fps'], 6))
    # 15 frames of the video, at whatever stride; strides of which 15 is no class give none
    assert periods == {15}


def test_clips_follow_torchs_generator(make_countix: Callable) -> None:
    dataset = make_countix(clip_frames=16)
    torch.manual_seed(1)
    first = dataset[0]['imgs']
    torch.manual_seed(1)
    np.testing.assert_array_equal(first, dataset[0]['imgs'])


@pytest.mark.parametrize(
    'clip_frames', [pytest.param(8, id='train'), pytest.param(None, id='test')]
)
def test_missing_and_broken_videos_are_counted(
    make_countix: Callable, tmp_path: Path, logged: list[str], clip_frames: int | None
) -> None:
    header = 'video_id,kinetics_start,kinetics_end,repetition_start,repetition_end,count'
    names = ['val_______0', 'val_______1', 'empty', 'gone']
    write_table(tmp_path / 'countix_val.csv', header, [[n, 7, 10, 7.5, 9.5, 4] for n in names])
    (tmp_path / 'val' / 'empty_000007_000010.mp4').touch()
    dataset = make_countix(clip_frames=clip_frames)
    assert len(dataset) == 2
    assert f'2 of 4 videos available in {tmp_path / "val"}; 1 missing, 1 broken' in logged[-1]


def test_testing_leaves_out_what_does_not_open(make_countix: Callable, tmp_path: Path) -> None:
    (tmp_path / 'val' / 'val_______1_000007_000010.mp4').write_text('no video')
    assert len(make_countix()) == 1


def test_training_passes_over_what_does_not_open(
    make_countix: Callable, tmp_path: Path, logged: list[str]
) -> None:
    broken = tmp_path / 'val' / 'val_______1_000007_000010.mp4'
    broken.write_text('no video')
    dataset = make_countix(clip_frames=8)
    names = {dataset[1]['name'] for _ in range(3)}
    assert names == {'val_______0_000007_000010_00015'}
    assert len([line for line in logged if 'passed over: a video must be a file' in line]) == 1


def test_no_readable_video_ends_the_training(make_countix: Callable, tmp_path: Path) -> None:
    for path in (tmp_path / 'val').iterdir():
        path.write_text('no video')
    with pytest.raises(VideoError, match='at least must be readable, got 2 of 2 videos are broken'):
        for _ in range(200):
            make_countix(clip_frames=8)[0]


def test_no_video_at_all_names_the_command_that_gets_them(
    make_countix: Callable, tmp_path: Path
) -> None:
    shutil.rmtree(tmp_path / 'val')
    command = f'mmotion prepare countix download {tmp_path}/countix_val.csv {tmp_path}/val'
    with pytest.raises(FileNotFoundError, match=f'2 missing, 0 broken; get them: {command}'):
        make_countix()


def test_no_table_says_where_it_is_to_be_had(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r'none\.csv; get it: see mmotion prepare countix'):
        CountixDataset(ann_file=str(tmp_path / 'none.csv'), data_root='', pipeline=[])


def test_short_clips_are_refused(make_countix: Callable) -> None:
    with pytest.raises(ValueError, match='at least 8, got clip_frames=4'):
        make_countix(clip_frames=4)


def test_cycles_have_a_phase_and_their_own_periods(tmp_path: Path) -> None:
    write_video(tmp_path / 'UCF-101' / 'v_HandStand_g01.mp4')
    row = ['HANDSTAND/v_handstand_g01.avi', 3, 1, 11, 11, 31, 31, 61, 1, 61]
    header = 'name,counts,L1,L2,L3,L4,L5,L6,start_frame,end_frame'
    dataset = CycleDataset(
        ann_file=str(write_table(tmp_path / 'c.csv', header, [row])),
        data_root=str(tmp_path),
        pipeline=[],
        get_by='',
        first_frame=1,
        size=16,
    )
    item = dataset[0]
    assert item['gt_count'] == 3
    np.testing.assert_array_equal(item['gt_period'], [10] * 10 + [20] * 20 + [30] * 30 + [0])
    assert item['gt_cycles'][[0, 10, 20, 60]] == pytest.approx([0, 1, 1.5, 3])


@pytest.fixture(scope='module')
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a video whose frames tell their number, one too short and one broken."""
    folder = tmp_path_factory.mktemp('videos')
    encode(folder / 'deep.mp4', [paint(number) for number in range(30)])
    encode(folder / 'short.mp4', [paint(number) for number in range(5)])
    (folder / 'broken.avi').write_text('no video')
    return folder


def test_made_repetitions_show_what_their_labels_say(videos: Path) -> None:
    dataset = SyntheticRepetitionDataset(
        data_root=str(videos), num_clips=60, pipeline=[], size=8, clip_frames=24, empty_share=0.3
    )
    empty = 0
    for i in range(40):
        item = dataset[i]
        numbers = np.array([read_number(image) for image in item['imgs']])
        repeats = item['gt_periodicity'] > 0
        cycles = item['gt_cycles']
        assert item['name'] == f'deep_{i:06d}'
        assert item['gt_count'] == round(item['gt_count'])
        empty += not repeats.any()
        # outside of the repetition the video goes on
        before, after = cycles == 0, ~repeats & (cycles > 0)
        assert np.all(np.diff(numbers[before]) >= 0) and np.all(np.diff(numbers[after]) > 0)
        # inside of it the same frames are shown again
        shown = [set(numbers[repeats & (np.floor(cycles) == cycle)]) for cycle in (0, 1)]
        assert not repeats.any() or len(shown[0] & shown[1]) >= 0.4 * min(map(len, shown))
    assert 5 < empty < 20


def test_a_made_clip_depends_on_seed_and_index(videos: Path) -> None:
    def make(seed: int) -> SyntheticRepetitionDataset:
        return SyntheticRepetitionDataset(
            data_root=str(videos), num_clips=10, pipeline=[], size=8, clip_frames=24, seed=seed
        )

    first = make(0)
    first[3], first[4]
    np.testing.assert_array_equal(first[5]['imgs'], make(0)[5]['imgs'])
    assert not np.array_equal(first[5]['imgs'], make(1)[5]['imgs'])
    assert len(first) == 10


def test_a_still_picture_does_not_repeat(tmp_path: Path) -> None:
    encode(tmp_path / 'still.mp4', [paint(3)] * 30)
    dataset = SyntheticRepetitionDataset(
        data_root=str(tmp_path), num_clips=9, pipeline=[], clip_frames=16, size=8, empty_share=0.0
    )
    assert not any(dataset[i]['gt_count'] or dataset[i]['gt_period'].any() for i in range(5))


@pytest.mark.parametrize(
    ('options', 'error', 'message'),
    [
        pytest.param({'num_clips': 0}, ValueError, 'got num_clips=0', id='no-clips'),
        pytest.param({'empty_share': 2}, ValueError, 'empty_share=2', id='share'),
        pytest.param({'clip_frames': 4}, ValueError, 'got clip_frames=4', id='short'),
        pytest.param({'data_root': 'none'}, FileNotFoundError, 'data_root=none', id='no-folder'),
    ],
)
def test_wrong_options_of_made_clips_are_refused(
    videos: Path, options: dict, error: type[Exception], message: str
) -> None:
    arguments = {'data_root': str(videos), 'num_clips': 1, 'pipeline': []}
    with pytest.raises(error, match=message):
        SyntheticRepetitionDataset(**{**arguments, **options})


TINY = [
    *('model.encoder.name=resnet10t', 'model.encoder.pretrained=False', 'model.embedding_dim=8'),
    *('model.num_frames=16', 'model.head.width=8', 'model.similarity.channels=2'),
    *('model.counting.strides=[1,2]', 'train_dataloader.num_workers=0'),
    *(
        'train_dataloader.dataset.datasets.0.times=1',
        'train_dataloader.dataset.datasets.1.num_clips=2',
    ),
    'train_dataloader.dataset.datasets.0.dataset.size=32',
    'train_dataloader.dataset.datasets.0.dataset.clip_frames=16',
    'train_dataloader.dataset.datasets.1.size=32',
    'train_dataloader.dataset.datasets.1.clip_frames=16',
    *('val_dataloader.num_workers=0', 'test_dataloader.num_workers=0'),
    *('val_dataloader.dataset.size=32', 'test_dataloader.dataset.size=32'),
    *('val_dataloader.dataset.pipeline.0.size=32', 'test_dataloader.dataset.pipeline.0.size=32'),
    *('train_cfg.max_epochs=2', 'train_dataloader.batch_size=2'),
]


def test_countix_trains_and_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_countix(tmp_path / 'data' / 'countix')
    assert main(['train', 'repnet_countix', '--work-dir', 'run', '--cfg-options', *TINY]) == 0
    log = next((tmp_path / 'run').rglob('*.log')).read_text()
    assert '2 of 2 videos available in data/countix/train; 0 missing, 0 broken' in log
    # the third stage of the network trains from the second epoch on, what is before it does not yet
    before, after = (
        torch.load(tmp_path / 'run' / name)['state_dict']
        for name in ('best_count_MAE_epoch_1.pth', 'epoch_2.pth')
    )
    names = [name for name in after if name.startswith('encoder.network.')]
    changed = {n.split('.')[2] for n in names if not torch.equal(before[n], after[n])}
    assert 'layer3' in changed and not changed & {'conv1', 'layer1', 'layer2'}
    test = ['test', 'repnet_countix', 'run/epoch_2.pth', '--work-dir', 'run', '--dump', 'out.json']
    assert main([*test, '--cfg-options', *TINY]) == 0
    assert 'test______1_000007_000010_00015' in (tmp_path / 'out.json').read_text()


def test_countix_without_data_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    write_countix(tmp_path / 'data' / 'countix')
    shutil.rmtree(tmp_path / 'data' / 'countix' / 'train')
    assert main(['train', 'repnet_countix', '--work-dir', 'run', '--cfg-options', *TINY]) == 2
    error = capsys.readouterr().err
    assert 'mmotion prepare countix download data/countix/countix_train.csv' in error
    assert 'Traceback' not in error
