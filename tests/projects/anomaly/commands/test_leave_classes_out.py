"""Every class in turn is the anomaly, on small videos."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmengine.config import Config
from torch import Tensor, nn

from mmotion.cli import main
from mmotion.registry import MODELS

COMMAND = 'leave-classes-out'
PIPELINE = [
    dict(type='SampleClip', num_frames=4, stride=2),
    dict(type='DecodeClip'),
    dict(type='Resize', scale=(16, 16), keep_ratio=False),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs', meta_keys=('name', 'subset', 'class_name', 'video', 'excluded')),
]


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


def test_a_run(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configs = [
        write_config(tmp_path / 'small.py'),
        write_config(tmp_path / 'missing.py', weights='gone.pth'),
    ]
    work_dir = tmp_path / 'out'
    command = [COMMAND, str(root), *configs, '--group-pattern', r'(g\d)_']
    assert main([*command, '--work-dir', str(work_dir), '--folds', '2']) == 0
    printed = capsys.readouterr().out
    with (work_dir / 'leave_classes_out.csv').open() as file:
        rows = list(csv.DictReader(file))
    # configs, and controls, which have no autoencoder; scorers, classes, folds
    assert len(rows) == (2 * 5 + 2 * 4) * 4 * 2
    weights = {row['config']: row['weights'] for row in rows}
    assert weights == dict(small='random', missing='random', MeanPixels='none', MotionPlaces='none')
    networks_and_looks = [
        float(row['auroc'])
        for row in rows
        if row['config'] != 'MotionPlaces' and row['scorer'] in ('knn', 'centroids', 'mahalanobis')
    ]
    # another quarter is bright
    assert set(networks_and_looks) == {1.0}
    assert (work_dir / 'leave_classes_out.md').read_text() in printed
    assert (
        'in a fold there are 12 to 12 clips to fit to, 12 to 12 new normal clips, 4 to' in printed
    )
    assert '| small | random | knn | 1.000 | 0.000 | 1.000 | 1.000 | 1.000 | 1.000 |' in printed
    # only noise moves, the same everywhere
    still = [float(row['auroc']) for row in rows if row['config'] == 'MotionPlaces']
    assert np.mean(still) < 0.8


def test_the_same_seed_gives_the_same_figures(root: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path / 'small.py')
    texts = []
    for _ in range(2):
        command = [COMMAND, str(root), config, '--scorers', 'autoencoder', '--folds', '2']
        assert main([*command, '--work-dir', str(tmp_path / 'out')]) == 0
        texts.append((tmp_path / 'out' / 'leave_classes_out.csv').read_text())
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        pytest.param(['--folds', '1'], '--folds must be at least 2, got --folds 1', id='folds'),
        pytest.param(['--group-pattern', '('], 'must be a regular expression', id='no pattern'),
        pytest.param(['--group-pattern', 'h'], 'which 32 do not match, such as a/g0', id='pattern'),
        pytest.param(['--group-pattern', 'g'], 'must have two groups', id='one group'),
    ],
)
def test_wrong_use(
    root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    config = write_config(tmp_path / 'small.py')
    command = [COMMAND, str(root), config, '--work-dir', str(tmp_path / 'out'), *options]
    assert main(command) == 2
    assert message in capsys.readouterr().err
