"""Cross-validation of a toy classifier."""

import csv
import json
from pathlib import Path

import pytest
import torch
from mmaction.structures import ActionDataSample
from mmengine.dataset import BaseDataset
from mmengine.model import BaseModel
from PIL import Image
from torch import nn

from mmotion.cli import main
from mmotion.registry import DATASETS, MODELS, TRANSFORMS
from projects.pose_sequence.commands import _folds

COMMAND = 'cross-validate'
NUM_GROUPS = 6
CONFIG = """
_base_ = ['mmotion::_base_/default_runtime.py']
model = dict(type='BlobClassifier')
_loader = dict(batch_size=8, num_workers=0)
_data = dict(type='Blobs', split='train', pipeline=[dict(type='PackBlob', noise=0.1)])
_plain = dict(type='Blobs', split='val', pipeline=[dict(type='PackBlob')])
_shuffled = dict(type='DefaultSampler', shuffle=True)
_ordered = dict(type='DefaultSampler', shuffle=False)
train_dataloader = dict(dataset=_data, sampler=_shuffled, **_loader)
test_dataloader = dict(dataset=_plain, sampler=_ordered, **_loader)
train_cfg = dict(by_epoch=True, max_epochs=4)
test_cfg = dict()
test_evaluator = dict(type='ActionMetric')
optim_wrapper = dict(optimizer=dict(type='SGD', lr=1.0))
log_level = 'ERROR'
"""


@DATASETS.register_module(force=True)
class Blobs(BaseDataset):
    """Two numbers a sample, the second one above the first in class 'up'; one label is wrong."""

    def __init__(self, *, pipeline, split=None, test_mode=False):
        self.split = split
        super().__init__(
            pipeline=pipeline, metainfo={'classes': ['down', 'up']}, test_mode=test_mode
        )

    def load_data_list(self):
        # of each group, two 'down' and one 'up', which is rarer
        entries = [
            {'point': (up, 1 - up), 'label': 1 - up, 'name': f's{i}', 'group': f'p{i // 3}'}
            for i, up in enumerate([1, 1, 0] * NUM_GROUPS)
        ]
        entries[4]['label'] = 1
        return entries if self.split is None else entries[: len(entries) // 2]


@TRANSFORMS.register_module(force=True)
class PackBlob:
    """Adds noise where it is asked to."""

    def __init__(self, *, noise=0.0):
        self.noise = noise

    def __call__(self, entry):
        sample = ActionDataSample().set_gt_label(entry['label'])
        sample.set_metainfo({'name': entry['name'], 'views': '1 blob'})
        point = torch.tensor(entry['point']) + self.noise * torch.randn(2)
        return {'inputs': point, 'data_samples': sample}


@MODELS.register_module(force=True)
class BlobClassifier(BaseModel):
    """One linear layer."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(2, 2)

    def forward(self, inputs, data_samples, mode='tensor'):
        scores = self.head(torch.stack(inputs).float())
        if mode == 'loss':
            labels = torch.cat([sample.gt_label for sample in data_samples])
            return {'loss': nn.functional.cross_entropy(scores, labels)}
        for sample, score in zip(data_samples, scores.softmax(dim=1), strict=True):
            sample.set_pred_score(score)
        return data_samples


@pytest.fixture
def config(tmp_path):
    path = tmp_path / 'blobs.py'
    path.write_text(CONFIG)
    return path


def read_rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline='') as file:
        return list(csv.DictReader(file))


def test_from_the_config_to_the_report(config, tmp_path, capsys, monkeypatch):
    command = [
        COMMAND,
        str(config),
        '--folds',
        '2',
        '--plain',
        '--work-dir',
        str(tmp_path / 'work'),
    ]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert '| group | 2 | 0.9444 |' in out
    assert '| down | 11 |' in out
    assert 'The plain split is 0.000 higher, no more than the runs spread' in out
    # of 18, it is the one with the wrong label
    assert [row['wrong'] for row in read_rows(tmp_path / 'work' / 'samples.csv')] == ['1'] + 17 * [
        '0'
    ]
    assert '| s4 | p1 | up | 1 | 1 | down |' in out
    assert len(read_rows(tmp_path / 'work' / 'runs.csv')) == 4
    assert Image.open(tmp_path / 'work' / 'cross_validation.png').width > 300

    tested = []
    for fold in (1, 2):
        note = tmp_path / 'work' / 'group' / 'repeat_1' / f'fold_{fold}' / 'fold.json'
        content = json.loads(note.read_text())
        tested += content['test']
        parts = [{int(s[1:]) // 3 for s in content[part]} for part in ('train', 'test')]
        assert not parts[0] & parts[1]
    # the whole data, not the half that the config trains on
    assert sorted(tested) == sorted(f's{i}' for i in range(18))

    # what is done is not done again
    monkeypatch.setattr(_folds, 'build_runner', None)
    assert main([*command, '--plain']) == 0
    again = capsys.readouterr().out
    assert again.partition('# Cross')[2] == out.partition('# Cross')[2]
    assert 'INFO' not in again


def test_ctrl_c_and_going_on(config, tmp_path, capsys, monkeypatch):
    build, built = _folds.build_runner, []

    def build_and_stop(*args, **options):
        if built:
            raise KeyboardInterrupt
        built.append(options['work_dir'])
        return build(*args, **options)

    command = [COMMAND, str(config), '--folds', '2', '--work-dir', str(tmp_path / 'work')]
    monkeypatch.setattr(_folds, 'build_runner', build_and_stop)
    assert main(command) == 130
    assert 'stopped; the same command goes on' in capsys.readouterr().err
    built.clear()
    assert main(command) == 0
    assert [path.name for path in built] == ['fold_2']


def test_a_work_dir_of_something_else(config, tmp_path, capsys):
    command = [COMMAND, str(config), '--folds', '2', '--work-dir', str(tmp_path / 'work')]
    note = tmp_path / 'work' / 'group' / 'repeat_1' / 'fold_1' / 'fold.json'
    note.parent.mkdir(parents=True)
    note.write_text('{"config": "another"}')
    assert main(command) == 2
    assert '--work-dir must be of the same config, data and options' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        pytest.param(
            ['--folds', '7'],
            '--folds must be from 2 to the number of groups, 6, got --folds 7',
            id='more_folds_than_groups',
        ),
        pytest.param(['--folds', '1'], 'got --folds 1', id='one_fold'),
        pytest.param(
            ['--cfg-options', 'test_dataloader=None'],
            'got one without test_dataloader',
            id='without_testing',
        ),
    ],
)
def test_wrong_use(config, tmp_path, capsys, options, message):
    assert main([COMMAND, str(config), '--work-dir', str(tmp_path / 'work'), *options]) == 2
    assert message in capsys.readouterr().err


def test_a_command_that_oversamples(config, tmp_path, capsys):
    pytest.importorskip('imblearn')
    command = [COMMAND, str(config), '--folds', '2', '--work-dir', str(tmp_path / 'work')]
    assert main([*command, '--oversample', '20']) == 0
    assert '40 samples to train, 9 to test' in capsys.readouterr().out
