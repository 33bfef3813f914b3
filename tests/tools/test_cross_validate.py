"""Cross-validation of a toy classifier, and the words of its report."""

import csv
import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmaction.structures import ActionDataSample
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.model import BaseModel
from PIL import Image
from torch import nn

from mmotion.registry import DATASETS, MODELS, TRANSFORMS

ANALYSIS = Path(__file__).resolve().parents[2] / 'tools' / 'analysis'
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
def script(monkeypatch):
    monkeypatch.syspath_prepend(ANALYSIS)
    return importlib.import_module('cross_validate')


@pytest.fixture
def report(monkeypatch):
    monkeypatch.syspath_prepend(ANALYSIS)
    return importlib.import_module('fold_report')


@pytest.fixture
def config(tmp_path):
    path = tmp_path / 'blobs.py'
    path.write_text(CONFIG)
    return path


def read_rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline='') as file:
        return list(csv.DictReader(file))


def test_from_the_config_to_the_report(script, config, tmp_path, capsys, monkeypatch):
    command = [str(config), '--folds', '2', '--plain', '--work-dir', str(tmp_path / 'work')]
    assert script.main(command) == 0
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
    monkeypatch.setattr(script, 'build_runner', None)
    assert script.main(command) == 0
    again = capsys.readouterr().out
    assert again.partition('# Cross')[2] == out.partition('# Cross')[2]
    assert 'INFO' not in again


def test_ctrl_c_and_going_on(script, config, tmp_path, capsys, monkeypatch):
    build, built = script.build_runner, []

    def build_and_stop(*args, **options):
        if built:
            raise KeyboardInterrupt
        built.append(options['work_dir'])
        return build(*args, **options)

    command = [str(config), '--folds', '2', '--work-dir', str(tmp_path / 'work')]
    monkeypatch.setattr(script, 'build_runner', build_and_stop)
    assert script.main(command) == 130
    assert 'stopped; the same command goes on' in capsys.readouterr().err
    built.clear()
    assert script.main(command) == 0
    assert [path.name for path in built] == ['fold_2']


def test_a_work_dir_of_something_else(script, config, tmp_path, capsys):
    command = [str(config), '--folds', '2', '--work-dir', str(tmp_path / 'work')]
    note = tmp_path / 'work' / 'group' / 'repeat_1' / 'fold_1' / 'fold.json'
    note.parent.mkdir(parents=True)
    note.write_text('{"config": "another"}')
    assert script.main(command) == 2
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
def test_wrong_use(script, config, tmp_path, capsys, options, message):
    assert script.main([str(config), '--work-dir', str(tmp_path / 'work'), *options]) == 2
    assert message in capsys.readouterr().err


def test_data_without_labels(script):
    class NoLabels(Blobs):
        def load_data_list(self):
            return [{'name': 'a', 'label': -1}, {'name': 'b'}]

    DATASETS.register_module(module=NoLabels, force=True)
    with pytest.raises(ValueError, match='a label each, got 2 of 2 without; choose a config'):
        script.list_samples({'type': 'NoLabels', 'pipeline': []})


def test_oversampling_needs_its_package(script, monkeypatch):
    monkeypatch.setitem(sys.modules, 'imblearn.over_sampling', None)
    with pytest.raises(ImportError, match=r'must have the package imbalanced-learn, .*leave out'):
        script.oversample(np.arange(3), np.array([0, 0, 1]), minimum=2, seed=0)


def test_oversampling_repeats_what_is_rare_in_the_training_fold_alone(
    script, config, tmp_path, capsys
):
    pytest.importorskip('imblearn')
    labels = np.array([0, 0, 0, 0, 1, 1, 2, 2])
    indices = np.array([0, 1, 2, 4, 7])
    taken = script.oversample(indices, labels, minimum=2, seed=0)
    assert np.bincount(labels[taken]).tolist() == [3, 2, 2]
    assert set(taken) == set(indices)
    assert script.oversample(indices[:3], labels, minimum=9, seed=0).tolist() == [0, 1, 2]

    command = [str(config), '--folds', '2', '--work-dir', str(tmp_path / 'work')]
    assert script.main([*command, '--oversample', '20']) == 0
    assert '40 samples to train, 9 to test' in capsys.readouterr().out


def make_runs(report, rights: list[int], *, size: int = 20, protocol: str = 'group'):
    """Runs of `size` samples, of which so many are right."""
    runs = []
    for fold, right in enumerate(rights, start=1):
        indices = np.arange(size) + size * (fold - 1)
        predictions = [
            report.Prediction(f's{i}', f'g{fold}', 'a', 'a' if n < right else 'b', n / size)
            for n, i in enumerate(indices)
        ]
        runs.append(report.Run(protocol, 1, fold, 0, indices, indices, predictions))
    return runs


@pytest.mark.parametrize(
    ('rights', 'words'),
    [
        pytest.param([20] * 5, 'all samples are right: no outliers', id='all_right'),
        pytest.param([0] * 5, 'all samples are wrong: no outliers', id='all_wrong'),
        pytest.param([15, 17, 14, 18, 16], 'nothing suggests outliers', id='chance'),
        pytest.param(
            [20, 19, 20, 20, 6],
            'more than chance, which suggests outliers. Look at group split, repeat 1, fold 5 '
            '(0.300); wrong most often there: g5 (14).',
            id='one_fold',
        ),
        pytest.param(
            [20, 20, 10, 10, 10],
            'suggests outliers. Look at group split, repeat 1, fold 3 (0.500)',
            id='two_kinds',
        ),
        pytest.param([18, 18, 18, 18, 16], 'no more than chance, but a run lies far', id='far_out'),
    ],
)
def test_words_on_the_spread(report, rights, words):
    assert words in report.describe_spread(make_runs(report, rights))


def test_the_spread_is_that_of_the_textbook(report):
    runs = make_runs(report, [15, 17, 14, 18, 16])
    # accuracies 0.75 0.85 0.7 0.9 0.8: mean 0.8, sd 0.0791; chance sqrt(0.8 0.2 / 20)
    text = report.describe_spread(runs)
    assert 'spread by 0.079, where chance alone gives 0.089 for folds of 20 samples' in text
    # chi-squared 4 s^2 / (p q / n) = 3.125 with 4 degrees of freedom
    assert '(p = 0.54)' in text


def test_words_on_the_plain_split(report):
    group = make_runs(report, [10, 11, 12])
    plain = make_runs(report, [18, 19, 20], protocol='plain')
    text = report.compare_splits(group, plain)
    assert 'The plain split is 0.400 higher, more than the runs spread' in text
    assert '0.400 lower, no more' in report.compare_splits(plain, group)


def test_most_often_wrong_comes_first(report):
    def tell(name, predicted, score):
        return report.Prediction(name, 'g', 'a', predicted, score)

    runs = [
        report.Run('group', repeat, 1, 0, np.arange(3), np.arange(3), predictions)
        for repeat, predictions in enumerate(
            (
                [tell('once', 'b', 0.4), tell('always', 'c', 0.3), tell('never', 'a', 0.9)],
                [tell('once', 'a', 0.8), tell('always', 'c', 0.1), tell('never', 'a', 0.7)],
            ),
            start=1,
        )
    ]
    rows = report.list_wrong(runs)
    assert [(row['sample'], row['wrong'], row['of']) for row in rows] == [
        ('always', '2', '2'),
        ('once', '1', '2'),
        ('never', '0', '2'),
    ]
    assert (rows[0]['taken for'], rows[0]['score of its class']) == ('c', '0.200')


def test_a_class_may_be_missing_from_a_fold(report, tmp_path):
    runs = make_runs(report, [20, 10])
    text = report.write_report(runs, ['a', 'b'], tmp_path)
    assert '| a | 40 | 0.7500 | 0.3536 |' in text
    assert '| b | 0 | - | 0.0000 |' in text
    assert read_rows(tmp_path / 'runs.csv')[0]['b'] == 'nan'


@pytest.mark.parametrize(
    ('split', 'whole'),
    [
        pytest.param({'split': 'train'}, {'split': None}, id='flat'),
        pytest.param(
            {'subset': {'split': 'train', 'val_share': 0.1}},
            {'subset': {'split': None, 'val_share': 0.1}},
            id='options',
        ),
        pytest.param({}, {}, id='not split'),
    ],
)
def test_folds_are_made_of_all_training_data(script, split, whole):
    data = {'type': 'Blobs', 'group_pattern': '[a-z]+'}
    config = Config({'train_dataloader': {'dataset': {**data, **split}}})
    assert script.whole_training_data(config) == {**data, **whole}
