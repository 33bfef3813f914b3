"""Splits that part no group, and a run on small videos."""

import csv
import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from mmengine.config import Config
from torch import Tensor, nn

from mmotion.registry import MODELS
from tests.video_files import encode

ANALYSIS = Path(__file__).resolve().parents[2] / 'tools' / 'analysis'
PIPELINE = [
    dict(type='SampleClip', num_frames=4, stride=2),
    dict(type='DecodeClip'),
    dict(type='Resize', scale=(16, 16), keep_ratio=False),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs', meta_keys=('name', 'subset', 'class_name', 'video', 'excluded')),
]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    # where Python looks when a script is run
    monkeypatch.syspath_prepend(ANALYSIS)
    return importlib.import_module('leave_classes_out')


@MODELS.register_module(force=True)
class QuarterBrightness(nn.Module):
    """Embeds clips by the brightness of each quarter of the picture."""

    def __init__(self, *, weights: str | None = None) -> None:
        super().__init__()
        self.weights = weights
        self.scale = nn.Linear(1, 1)

    def init_weights(self) -> None:
        if self.weights is not None:
            raise FileNotFoundError(f'no file {self.weights}')

    def forward(self, clips: Tensor) -> Tensor:
        return nn.functional.adaptive_avg_pool2d(clips.mean((1, 2)), 2).flatten(1)


def write_config(path: Path, **backbone: Any) -> str:
    model = dict(
        type='AnomalyDetector',
        backbone=dict(type='QuarterBrightness', **backbone),
        scorer=dict(type='EmbeddingAutoencoder', dims=(4, 2), dropout=0.0),
        data_preprocessor=dict(
            type='EmbeddingPreprocessor', mean=[0.0] * 3, std=[50.0] * 3, format_shape='NCTHW'
        ),
    )
    config = dict(
        custom_imports=dict(imports=['projects.anomaly'], allow_failed_imports=False),
        model=model,
        test_pipeline=PIPELINE,
        train_dataloader=dict(batch_size=4),
        train_cfg=dict(by_epoch=True, max_epochs=3),
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=0.01)),
    )
    Config(config).dump(str(path))
    return str(path)


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four groups of two videos for each of four classes, each with another quarter bright."""
    root = tmp_path_factory.mktemp('videos')
    rng = np.random.default_rng(0)
    for number, name in enumerate(('a', 'b', 'c', 'd')):
        (root / name).mkdir()
        for group in range(4):
            for part in range(2):
                images = rng.integers(0, 60, (6, 32, 32, 3))
                y, x = divmod(number, 2)
                images[:, 16 * y : 16 * y + 16, 16 * x : 16 * x + 16] += 150
                encode(root / name / f'g{group}_{part}.mp4', list(images.astype(np.uint8)))
    return root


def test_groups_are_found(script: ModuleType, root: Path) -> None:
    videos = script.find_videos(root, r'(g\d)_')
    assert videos.paths[:3] == ['a/g0_0.mp4', 'a/g0_1.mp4', 'a/g1_0.mp4']
    assert videos.groups[:3].tolist() == ['g0', 'g0', 'g1']
    assert script.find_videos(root, r'g\d_').groups[0] == 'g0_'
    assert len(set(script.find_videos(root, None).groups.tolist())) == 32


def test_no_group_is_on_both_sides(script: ModuleType, root: Path) -> None:
    videos = script.find_videos(root, r'(g\d)_')
    splits = script.make_splits(videos.classes, videos.groups, 'b', num_folds=4, seed=0)
    assert len(splits) == 4
    for split in splits:
        assert 'b' not in videos.classes[np.concatenate([split.train, split.normal])]
        assert set(videos.classes[split.anomalies]) == {'b'}
        seen = set(videos.groups[split.train])
        assert seen.isdisjoint(videos.groups[np.concatenate([split.normal, split.anomalies])])
        # one group of four, of each class
        assert (len(split.train), len(split.normal), len(split.anomalies)) == (18, 6, 2)


def test_a_class_with_one_group_is_trained_on(script: ModuleType) -> None:
    classes = np.array(['a', 'a', 'b', 'b', 'c', 'c'])
    groups = np.array(['1', '2', '3', '3', '4', '5'])
    splits = script.make_splits(classes, groups, 'c', num_folds=3, seed=0)
    assert len(splits) == 2
    for split in splits:
        assert {2, 3} <= set(split.train.tolist())
        assert split.anomalies.tolist() == [4, 5]
        assert set(classes[split.normal]) == {'a'}
    # nothing is new
    assert script.make_splits(classes, np.array(list('112233')), 'c', num_folds=3, seed=0) == []


def test_a_run(
    script: ModuleType, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configs = [
        write_config(tmp_path / 'small.py'),
        write_config(tmp_path / 'missing.py', weights='gone.pth'),
    ]
    work_dir = tmp_path / 'out'
    command = [str(root), *configs, '--group-pattern', r'(g\d)_', '--work-dir', str(work_dir)]
    assert script.main([*command, '--folds', '2']) == 0
    printed = capsys.readouterr().out
    with (work_dir / 'leave_classes_out.csv').open() as file:
        rows = list(csv.DictReader(file))
    # configs, scorers, classes, folds
    assert len(rows) == 2 * 5 * 4 * 2
    assert {row['weights'] for row in rows} == {'random'}
    by_scorer = {
        name: np.mean([float(row['auroc']) for row in rows if row['scorer'] == name])
        for name in ('knn', 'centroids', 'mahalanobis')
    }
    # another quarter is bright
    assert all(auroc == 1 for auroc in by_scorer.values()), by_scorer
    assert (work_dir / 'leave_classes_out.md').read_text() in printed
    assert (
        'in a fold there are 12 to 12 clips to fit to, 12 to 12 new normal clips, 4 to' in printed
    )
    assert '| small | random | knn | 1.000 | 0.000 | 1.000 | 1.000 | 1.000 | 1.000 |' in printed


def test_the_same_seed_gives_the_same_figures(
    script: ModuleType, root: Path, tmp_path: Path
) -> None:
    config = write_config(tmp_path / 'small.py')
    texts = []
    for _ in range(2):
        command = [str(root), config, '--scorers', 'autoencoder', '--folds', '2']
        assert script.main([*command, '--work-dir', str(tmp_path / 'out')]) == 0
        texts.append((tmp_path / 'out' / 'leave_classes_out.csv').read_text())
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        pytest.param(['--folds', '1'], '--folds must be at least 2, got --folds 1', id='folds'),
        pytest.param(['--group-pattern', 'h'], 'which 32 do not match, such as a/g0', id='pattern'),
        pytest.param(['--group-pattern', 'g'], 'must have two groups', id='one group'),
    ],
)
def test_wrong_use(
    script: ModuleType,
    root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    config = write_config(tmp_path / 'small.py')
    command = [str(root), config, '--work-dir', str(tmp_path / 'out'), *options]
    assert script.main(command) == 2
    assert message in capsys.readouterr().err


def test_too_few_classes(script: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='at least three classes'):
        script.find_videos(tmp_path, None)
