import threading

import pytest
import torch
from mmengine.hooks import Hook

from mmotion.checkpoint import load_checkpoint_file
from mmotion.registry import HOOKS
from mmotion.training import resuming
from mmotion.training.resuming import find_work_dir, hold_work_dir
from mmotion.training.runner import build_runner
from tests.training.test_runner import toy
from tests.training_runs import train


@HOOKS.register_module(force=True)
class RecordSamples(Hook):
    """Notes the samples of each step, and the rate with which it is taken."""

    def __init__(self):
        self.steps = {}

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        names = [sample.name for sample in data_batch['data_samples']]
        self.steps[runner.iter] = batch_idx, names, runner.optim_wrapper.get_lr()['lr'][0]


def train_and_record(config, **kwargs):
    """Train, and give what `RecordSamples` noted."""
    runner = build_runner(config, validate=False, **kwargs)
    hook = RecordSamples()
    runner.register_hook(hook)
    runner.train()
    return hook.steps


def test_a_run_goes_on_in_the_middle_of_an_epoch(tmp_path):
    # 8 steps an epoch; without dropout, which draws numbers that are not passed over
    config = toy(
        model__dropout=0.0,
        train_cfg__max_epochs=2,
        default_hooks__checkpoint__by_epoch=False,
        default_hooks__checkpoint__interval=4,
        default_hooks__checkpoint__max_keep_ckpts=-1,
    )
    whole = train_and_record(config, work_dir=tmp_path / 'whole')
    # after step 8, all of an epoch is done, but what is done at its end
    for step in (4, 8, 12, 16):
        start = tmp_path / 'whole' / f'iter_{step}.pth'
        rest = train_and_record(config, work_dir=tmp_path / str(step), resume=start)
        assert rest == {key: value for key, value in whole.items() if key >= step}
        last = load_checkpoint_file(tmp_path / 'whole' / 'iter_16.pth')['state_dict']
        if rest:
            again = load_checkpoint_file(tmp_path / str(step) / 'iter_16.pth')['state_dict']
            assert all(torch.equal(again[name], last[name]) for name in last)


@pytest.mark.parametrize('step', [pytest.param(8, id='epoch'), pytest.param(11, id='within')])
@pytest.mark.parametrize('batch_size', [4, 12, 16])
def test_steps_are_counted_anew_for_another_batch_size(tmp_path, step, batch_size):
    options = {
        'train_cfg__max_epochs': 2,
        'default_hooks__checkpoint__by_epoch': False,
        'default_hooks__checkpoint__interval': step,
        'default_hooks__checkpoint__max_keep_ckpts': -1,
        'param_scheduler': [
            {'type': 'CosineAnnealingLR', 'by_epoch': True, 'convert_to_iter_based': True}
        ],
        'auto_scale_lr__base_batch_size': 8,
        'auto_scale_lr__enable': True,
    }
    train(toy(**options), work_dir=tmp_path / 'before')
    start = tmp_path / 'before' / f'iter_{step}.pth'
    other = toy(train_dataloader__batch_size=batch_size, **options)
    # as if it had begun so
    whole = train_and_record(other, work_dir=tmp_path / 'whole')
    rest = train_and_record(other, work_dir=tmp_path / 'rest', resume=start)
    first = min(rest)
    assert first == len(whole) // 2 + (step - 8) * 8 // batch_size
    assert max(rest) == max(whole)
    for key, (index, names, rate) in rest.items():
        assert (index, names) == whole[key][:2]
        assert rate == pytest.approx(whole[key][2])


def test_a_checkpoint_that_does_not_say_the_length_of_its_epochs(tmp_path):
    config = toy(train_cfg__max_epochs=1)
    train(config, work_dir=tmp_path)
    checkpoint = torch.load(tmp_path / 'epoch_1.pth', weights_only=True)
    for key in (resuming.EPOCH_LENGTH, resuming.STEP_SIZE):
        del checkpoint['meta'][key]
    torch.save(checkpoint, tmp_path / 'old.pth')
    config = toy(train_cfg__max_epochs=2, train_dataloader__batch_size=4)
    steps = train_and_record(config, work_dir=tmp_path / 'rest', resume=tmp_path / 'old.pth')
    assert [*steps] == [*range(16, 32)]


def test_where_torchrun_restarts_processes_the_work_dir_says_where_to_go_on(tmp_path, monkeypatch):
    config = toy(train_cfg__max_epochs=1)
    train(config, work_dir=tmp_path / 'a')
    monkeypatch.setenv('TORCHELASTIC_MAX_RESTARTS', '1')
    given = tmp_path / 'a' / 'epoch_1.pth'
    # nothing is there yet, so it begins: anew, or where it is told
    for name, resume in (('new', None), ('told', given)):
        config = toy(train_cfg__max_epochs=1 if resume is None else 2)
        runner = train(config, work_dir=tmp_path / name, resume=resume)
        assert runner.cfg.load_from == (str(given) if resume else None)
        last = tmp_path / name / f'epoch_{runner.epoch}.pth'
        # killed at its end, it goes on from there
        runner = build_runner(config, work_dir=tmp_path / name, resume=resume)
        assert (runner.cfg.resume, runner.cfg.load_from) == (True, str(last))
    with pytest.raises(ValueError, match=r'no checkpoint in the work dir .* leave out its path'):
        build_runner(config, work_dir=tmp_path / 'a', resume=given)


def test_a_restarted_run_waits_for_what_the_dead_one_has_left(tmp_path, monkeypatch):
    monkeypatch.setattr(resuming, '_ORPHANS_S', 0.3)
    with hold_work_dir(tmp_path):
        with pytest.raises(ValueError, match='must not be in use'), hold_work_dir(tmp_path):
            pass
        monkeypatch.setenv('TORCHELASTIC_MAX_RESTARTS', '1')
        with pytest.raises(ValueError, match='must not be in use'), hold_work_dir(tmp_path):
            pass
    monkeypatch.setattr(resuming, '_ORPHANS_S', 60)
    held, free = threading.Event(), threading.Event()

    def hold():
        with hold_work_dir(tmp_path):
            held.set()
            free.wait(60)

    orphan = threading.Thread(target=hold)
    orphan.start()
    assert held.wait(60)
    threading.Timer(0.5, free.set).start()
    with hold_work_dir(tmp_path):
        assert free.is_set()
    orphan.join()


def test_a_work_dir_is_named_by_argument_config_and_file():
    config = toy()
    assert find_work_dir(config, None).as_posix() == 'work_dirs/toy'
    config.work_dir = 'b'
    assert find_work_dir(config, None).as_posix() == 'b'
    assert find_work_dir(config, 'a').as_posix() == 'a'
