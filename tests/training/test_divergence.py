import re

import pytest
import torch

from mmotion.checkpoint import CheckpointError, load_checkpoint_file
from mmotion.cli import main
from mmotion.training.divergence import DivergedError, DivergenceHook
from mmotion.training.runner import build_runner
from tests.command_lines import TOY
from tests.training.test_runner import toy
from tests.training_runs import train


def spoil(monkeypatch, epoch, *, what='loss'):
    """Let the loss or, unseen, the weights of the toy become NaN in an epoch, counted from 1."""
    step = 0

    def train_step(self, *args, **kwargs):
        nonlocal step
        step += 1
        if step > 8 * (epoch - 1) + 2:
            if what == 'loss':
                return {'loss': torch.tensor(torch.nan)}
            self.head.weight.data[0, 0] = torch.inf
        return {'loss': torch.tensor(1.0)}

    monkeypatch.setattr('mmengine.model.BaseModel.train_step', train_step)


@pytest.mark.parametrize(('what', 'step'), [('loss', 11), ('weights', 16)])
def test_training_stops_and_keeps_the_last_good_checkpoint(tmp_path, monkeypatch, what, step):
    spoil(monkeypatch, 2, what=what)
    good = tmp_path / 'epoch_1.pth'
    with pytest.raises(
        DivergedError, match=rf' at step {step} \(epoch 2\); .* is {re.escape(str(good))}; try '
    ):
        train(toy(train_cfg__max_epochs=4), work_dir=tmp_path, validate=False)
    assert [path.name for path in tmp_path.glob('*.pth')] == ['epoch_1.pth']
    load_checkpoint_file(good)


def test_a_learning_rate_that_is_much_too_high(tmp_path, capsys):
    command = ['train', TOY, '--work-dir', str(tmp_path), '--no-validate', '--cfg-options']
    options = ['optim_wrapper.optimizer.type=SGD', 'optim_wrapper.optimizer.lr=1e20']
    assert main([*command, *options, 'log_level=ERROR', 'param_scheduler=None']) == 1
    error = capsys.readouterr().err
    assert re.search(
        r'got loss=(inf|nan) at step \d \(epoch 1\); the last good .* is none yet', error
    )
    assert 'try a lower learning rate than 1e+20' in error and 'Traceback' not in error
    assert not list(tmp_path.glob('*.pth'))


def test_one_may_go_on(tmp_path, monkeypatch):
    spoil(monkeypatch, 1)
    with pytest.raises(DivergedError, match='got loss=nan at step 7 '):
        config = toy(default_hooks__divergence__patience=4)
        train(config, work_dir=tmp_path / 'a', validate=False)
    train(toy(default_hooks__divergence=None), work_dir=tmp_path / 'b', validate=False)
    assert (tmp_path / 'b' / 'epoch_2.pth').is_file()


def test_a_run_without_the_base_config_is_watched_too(tmp_path):
    config = toy()
    config.default_hooks.pop('divergence')
    runner = build_runner(config, work_dir=tmp_path)
    assert any(isinstance(hook, DivergenceHook) for hook in runner.hooks)


def test_a_checkpoint_of_a_diverged_run_is_refused(tmp_path, monkeypatch):
    spoil(monkeypatch, 1, what='weights')
    config = toy(default_hooks__divergence__patience=None)
    train(config, work_dir=tmp_path, validate=False)
    with pytest.raises(CheckpointError, match=r'NaN or infinity in 1 of 9 tensors \(head.weight\)'):
        build_runner(toy(), work_dir=tmp_path / 'b', load_from=tmp_path / 'epoch_2.pth').test()


def test_patience_is_not_negative():
    with pytest.raises(ValueError, match='patience must be at least 0'):
        DivergenceHook(patience=-1)
