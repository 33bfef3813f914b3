"""A training of one epoch, as one tries a config with, and an epoch of few steps."""

import copy
import importlib
import itertools
import math
import shutil

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import DefaultScope

from mmotion.config import load_config
from mmotion.registry import PARAM_SCHEDULERS
from mmotion.training.runner import build_runner
from mmotion.training.schedule import fit_schedule
from tests.test_configs import ROOT, each_leaf, system_of


def list_rates(schedule, *, epochs, epoch_length):
    """The rate of each step of a training, which begins with 1."""
    schedule = copy.deepcopy(schedule)
    max_iters = epochs * epoch_length
    lengths = {'max_epochs': epochs, 'max_iters': max_iters, 'epoch_length': epoch_length}
    fit_schedule(schedule, **lengths)
    optimizer = OptimWrapper(torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0))
    schedulers = []
    for part in schedule:
        part.setdefault('end', epochs if part.get('by_epoch', True) else max_iters)
        arguments = {'optimizer': optimizer, 'epoch_length': epoch_length}
        with DefaultScope.overwrite_default_scope('mmotion'):
            schedulers.append(PARAM_SCHEDULERS.build(part, default_args=arguments))
    rates = []
    for step in range(1, max_iters + 1):
        rates += optimizer.get_lr()['lr']
        optimizer.step()
        for scheduler in schedulers:
            if not scheduler.by_epoch or step % epoch_length == 0:
                scheduler.step()
    return rates


@each_leaf
def test_the_schedule_of_each_config_fits_a_short_training(leaf):
    schedule = load_config(leaf).get('param_scheduler') or []
    for epochs, epoch_length in itertools.product((1, 2), (1, 2, 30)):
        rates = list_rates(schedule, epochs=epochs, epoch_length=epoch_length)
        assert all(0 < rate <= 1 + 1e-9 and math.isfinite(rate) for rate in rates)
        # a warm-up comes to its end in the epoch that it has
        assert max(rates[:epoch_length]) == pytest.approx(1)


WARM_UP = {'type': 'LinearLR', 'start_factor': 0.1, 'end': 4, 'by_epoch': False}
COSINE = {'type': 'CosineAnnealingLR', 'begin': 1, 'convert_to_iter_based': True}


@pytest.mark.parametrize(
    ('schedule', 'expected'),
    [
        # a linear warm-up of 4 steps has the factors 0.1, 0.4, 0.7 and 1
        pytest.param([WARM_UP], [0.1, 0.4], id='two of four steps of a warm-up'),
        pytest.param([{**WARM_UP, 'end': 1}], [1, 1], id='a warm-up of a step'),
        pytest.param([{**WARM_UP, 'end': 1, 'by_epoch': True}], [1, 1], id='of an epoch'),
        pytest.param(
            [{**WARM_UP, 'end': 0.3, 'by_epoch': True, 'convert_to_iter_based': True}, COSINE],
            [1, 1],
            id='of a part of a step',
        ),
        pytest.param([{'type': 'ConstantLR', 'factor': 0.1, 'end': 1}], [1, 1], id='constant'),
        pytest.param([COSINE], [1, 1], id='not reached'),
        pytest.param(
            [{'type': 'MultiStepLR', 'milestones': [5, 9]}], [1, 1], id='milestones behind the end'
        ),
    ],
)
def test_the_rates_of_an_epoch_of_two_steps(schedule, expected):
    assert list_rates(schedule, epochs=1, epoch_length=2) == pytest.approx(expected)


@pytest.mark.parametrize(
    'name',
    [
        pytest.param('anomaly_ucf_sports_r2plus1d', marks=pytest.mark.slow),
        'example_project_dots',
        'pose_convlstm_json',
        'repnet_shapes',
        'timesformer_folder',
    ],
)
def test_one_epoch_and_a_second_one(name, tmp_path, monkeypatch):
    leaf = ROOT / 'configs' / f'{name}.py'
    monkeypatch.chdir(tmp_path)
    package = f'tests.projects.{system_of(leaf)}'
    preparation = None
    if (ROOT / package.replace('.', '/') / 'config_data.py').is_file():
        preparation = importlib.import_module(f'{package}.config_data')
    for epochs in (1, 2):
        config = load_config(leaf, {'train_cfg.max_epochs': epochs})
        if preparation is not None:
            # the files that the second time writes are the same
            shutil.rmtree(tmp_path / 'data', ignore_errors=True)
            preparation.prepare(config, tmp_path)
        for loader in (config.train_dataloader, config.val_dataloader):
            loader.update(num_workers=0, batch_size=min(loader.batch_size, 2))
            for key in {'num_videos', 'num_clips'} & {*loader.dataset}:
                loader.dataset[key] = 4
        if config.train_dataloader.sampler.type == 'EpochSliceSampler':
            config.train_dataloader.sampler.epoch_size = 4
        runner = build_runner(config, work_dir=tmp_path / 'run', resume='auto')
        runner.train()
        # of one epoch, the checkpoint is one to go on from
        assert runner.epoch == epochs and (tmp_path / 'run' / f'epoch_{epochs}.pth').is_file()
