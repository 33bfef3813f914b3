"""Training with embeddings and without, calibration, collapse, fitting, and unfreezing."""

import logging
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mmotion.checkpoint import load_checkpoint_file
from mmotion.training.runner import build_runner
from projects.anomaly.hooks import CollapseHook, EmbeddingHook
from tests.embedded_clips import describe_run, make_detector
from tests.training_runs import assert_same

LAST_LAYER = {'backbone.last.weight', 'backbone.last.bias'}
UNFREEZE = dict(type='UnfreezeHook', frozen=['backbone'], stages=[dict(epoch=1, last=2)])


def record(runner):
    """Let a runner keep its losses, and the clips that its backbone has seen."""
    kept = SimpleNamespace(losses=[], passes=[])
    backbone = runner.model.backbone
    step = runner.model.train_step

    def train_step(*args, **kwargs):
        outputs = step(*args, **kwargs)
        kept.losses.append(outputs['loss'].item())
        kept.passes.append(backbone.passes)
        return outputs

    runner.model.train_step = train_step
    return kept


def train(config, work_dir, **options):
    runner = build_runner(config, work_dir=work_dir, seed=3, **options)
    kept = record(runner)
    runner.train()
    return runner, kept


def finetune(**options):
    config = describe_run(freeze_backbone=False, stop_gradient=False, **options)
    config.custom_hooks.append(UNFREEZE)
    # weight decay would move a tensor with a gradient of zero
    config.optim_wrapper.optimizer.weight_decay = 0.1
    return config


def load_epoch(work_dir, epoch):
    return load_checkpoint_file(work_dir / f'epoch_{epoch}.pth')


def changed(work_dir, before, after):
    one, other = (load_epoch(work_dir, epoch)['state_dict'] for epoch in (before, after))
    return {name for name in one if not torch.equal(one[name], other[name])}


@pytest.fixture(scope='module')
def cached(tmp_path_factory):
    """A run with a cache, its folder and what was recorded."""
    folder = tmp_path_factory.mktemp('cached')
    runner, kept = train(describe_run(cache_dir=folder / 'cache'), folder)
    return runner, kept, folder


def test_losses_are_those_of_the_published_loop(cached, tmp_path):
    config = describe_run()
    config.custom_hooks.pop(0)
    _, published = train(config, tmp_path)
    _, kept, _ = cached
    assert len(kept.losses) == 6
    torch.testing.assert_close(
        torch.tensor(kept.losses), torch.tensor(published.losses), rtol=1e-5, atol=1e-6
    )


def test_each_clip_is_embedded_once(cached):
    runner, kept, _ = cached
    # 10 to train and 25 to validate on
    assert kept.passes == [35] * 6
    assert runner.train_dataloader.dataset.is_embedded
    assert runner.train_dataloader.num_workers == 0


def test_testing_finds_embeddings_too(cached, tmp_path):
    runner, _, folder = cached
    config = describe_run(cache_dir=folder / 'cache')
    config.test_dataloader.dataset.dataset.update(subset='val', num_clips=25, poisoned=[4])
    tester = build_runner(config, work_dir=tmp_path, load_from=folder / 'epoch_3.pth')
    metrics = tester.test()
    # what the data set says of a clip is part of the key, what the clip shows is not
    assert tester.model.backbone.passes == 0 and metrics['toy/num_clips'] == 25
    torch.testing.assert_close(
        tester.model.calibration_errors, runner.model.calibration_errors, check_device=False
    )


def test_the_model_is_calibrated_in_each_checkpoint(cached):
    runner, _, folder = cached
    model = runner.model
    for epoch in (1, 3):
        found = load_epoch(folder, epoch)['state_dict']['calibration_errors']
        assert found.shape == (25,) and torch.equal(found, found.sort().values)
    dataset = runner.val_dataloader.dataset
    vectors = torch.stack([dataset[i]['inputs'] for i in range(25)])
    model.eval()
    with torch.no_grad():
        torch.testing.assert_close(found, model.scorer.error(vectors).sort().values)


def test_only_usable_clips_of_validation_calibrate(tmp_path):
    config = describe_run(max_epochs=1)
    config.val_dataloader.dataset.dataset.update(broken=[3], poisoned=[5, 6])
    runner, _ = train(config, tmp_path)
    assert runner.model.calibration_errors.shape == (22,)

    config.val_dataloader.dataset.dataset.subset = 'anomaly'
    with pytest.raises(ValueError, match="must have usable clips of subset='val' to calibrate"):
        train(config, tmp_path / 'other')


def test_without_validation_there_is_a_warning(tmp_path):
    runner, _ = train(describe_run(max_epochs=1), tmp_path, validate=False)
    lines = next(tmp_path.glob('*/*.log')).read_text()
    assert 'the model is not calibrated, as the run has no validation clips' in lines
    assert len(runner.model.calibration_errors) == 0


def test_bad_clips_in_training_do_not_end_it(tmp_path):
    bad = dict(broken=[1], poisoned=[4])
    config = describe_run(cache_dir=tmp_path / 'cache', train=bad, max_epochs=1)
    _, kept = train(config, tmp_path)
    assert torch.tensor(kept.losses).isfinite().all()
    lines = next(tmp_path.glob('*/*.log')).read_text()
    assert '2 of 10 clips cannot be embedded, others take their places' in lines


@pytest.fixture(scope='module')
def finetuned(tmp_path_factory):
    """A run whose backbone trains from the second epoch on."""
    folder = tmp_path_factory.mktemp('finetuned')
    runner, kept = train(finetune(cache_dir=folder / 'cache'), folder)
    return runner, kept, folder


def test_exactly_the_last_tensors_of_the_backbone_train(finetuned):
    _, _, folder = finetuned
    initial = {f'backbone.{k}': v for k, v in finetuned_start().items()}
    first = load_epoch(folder, 1)['state_dict']
    assert all(torch.equal(first[name], value) for name, value in initial.items())
    for epoch in (1, 2):
        moved = changed(folder, epoch, epoch + 1)
        assert {name for name in moved if name.startswith('backbone')} == LAST_LAYER
        assert any(name.startswith('scorer') for name in moved)


def finetuned_start():
    """Weights of the backbone with which the run begins."""
    runner = build_runner(finetune(), seed=3)
    return {name: value.clone() for name, value in runner.model.backbone.state_dict().items()}


def test_clips_come_back_when_the_backbone_trains(finetuned):
    runner, kept, _ = finetuned
    assert kept.passes[:2] == [35, 35]
    # in each later epoch 10 clips are trained on, and 25 used to calibrate and to validate
    assert kept.passes[3] == 35 + 10 and kept.passes[5] == 35 + 10 + 2 * 25 + 10
    assert not runner.train_dataloader.dataset.is_embedded
    assert not runner.val_dataloader.dataset.is_embedded


@pytest.mark.parametrize('epoch', [1, 2])
def test_a_resumed_run_ends_as_the_unbroken_one(finetuned, tmp_path, epoch):
    _, _, folder = finetuned
    train(finetune(cache_dir=folder / 'cache'), tmp_path, resume=folder / f'epoch_{epoch}.pth')
    one, other = (load_epoch(place, 3) for place in (folder, tmp_path))
    assert_same(one['state_dict'], other['state_dict'])
    first = one['message_hub']['runtime_info']['first_embedding_std']
    assert other['message_hub']['runtime_info']['first_embedding_std'] == first


def test_loaders_get_their_workers_back():
    model = make_detector(freeze_backbone=False)
    dataset = describe_dataset()
    loader = torch.utils.data.DataLoader(dataset, num_workers=2, collate_fn=list)
    runner = SimpleNamespace(model=model, test_dataloader=loader)
    hook = EmbeddingHook()
    for frozen, workers in ((True, 0), (False, 2), (True, 0)):
        model.backbone.requires_grad_(not frozen)
        hook.before_test_epoch(runner)
        assert dataset.is_embedded == frozen and loader.num_workers == workers


def describe_dataset():
    from mmotion.registry import DATASETS

    return DATASETS.build(dict(type='EmbeddedClips', dataset=dict(type='PaintedClips')))


def test_other_data_sets_are_left_alone():
    loader = torch.utils.data.DataLoader([1, 2])
    EmbeddingHook().before_test_epoch(SimpleNamespace(model=None, test_dataloader=loader))


# --- fitting


def fitting():
    config = describe_run(scorer=dict(type='ClassCentroids'))
    config.train_cfg = dict(type='FitLoop')
    config.optim_wrapper.pop('paramwise_cfg')
    return config


@pytest.mark.parametrize('hooks', ['embeddings', 'clips'])
def test_a_scorer_is_fitted_in_one_pass(tmp_path, hooks):
    config = fitting()
    if hooks == 'clips':
        config.custom_hooks.pop(0)
    runner = build_runner(config, work_dir=tmp_path)
    runner.train()
    model = runner.model
    labels = torch.arange(10) % 2
    clips = [runner.train_dataloader.dataset.dataset[i] for i in range(10)]
    batch = {name: [clip[name] for clip in clips] for name in ('inputs', 'data_samples')}
    with torch.no_grad():
        vectors = model.embed(model.data_preprocessor(batch, False)['inputs'])
        expected = torch.stack([vectors[labels == label].mean(0) for label in (0, 1)])
        nearest = torch.cdist(vectors, expected).min(1).values
        errors = model.scorer.error(vectors)
    torch.testing.assert_close(errors, nearest, rtol=1e-4, atol=1e-5)
    checkpoint = load_epoch(tmp_path, 1)
    assert len(checkpoint['state_dict']['calibration_errors']) == 25

    tester = build_runner(config, work_dir=tmp_path, load_from=tmp_path / 'epoch_1.pth')
    assert tester.test()['toy/num_clips'] == 6


def test_a_sample_without_a_name_is_refused(tmp_path, monkeypatch):
    from tests.embedded_clips import PaintedClips

    load = PaintedClips.load_data_list
    monkeypatch.setattr(
        PaintedClips,
        'load_data_list',
        lambda self: [{k: v for k, v in row.items() if k != 'name'} for row in load(self)],
    )
    config = fitting()
    with pytest.raises(ValueError, match='a data sample must have a name, got'):
        build_runner(config, work_dir=tmp_path).train()


# --- collapse


class FakeRunner:
    """A hub and a log."""

    def __init__(self):
        self.message_hub = SimpleNamespace(runtime_info={})
        self.message_hub.update_info = self.message_hub.runtime_info.__setitem__
        self.lines = []
        self.logger = SimpleNamespace(
            info=lambda line: self.lines.append((logging.INFO, line)),
            warning=lambda line: self.lines.append((logging.WARNING, line)),
        )


def pass_epoch(hook, runner, values):
    hook.before_train_epoch(runner)
    for i, value in enumerate(values):
        hook.after_train_iter(runner, i, outputs={'embedding_std': torch.tensor(value)})
    hook.after_train_epoch(runner)


def test_a_collapse_is_warned_of():
    hook, runner = CollapseHook(warn_below=0.4), FakeRunner()
    for values in ([1.0, 3.0], [1.0, 1.0], [0.5, 0.7]):
        pass_epoch(hook, runner, values)
    assert runner.lines[:2] == [
        (logging.INFO, 'embedding_std is 2, 100% of that in the first epoch'),
        (logging.INFO, 'embedding_std is 1, 50% of that in the first epoch'),
    ]
    level, line = runner.lines[2]
    assert level == logging.WARNING
    assert line.startswith('embedding_std is 0.6, 30% of that in the first epoch: the backbone is')
    # a resumed run, whose hub comes from the checkpoint
    pass_epoch(CollapseHook(warn_below=0.4), runner, [0.2])
    assert runner.lines[3][0] == logging.WARNING and '10%' in runner.lines[3][1]


def test_an_epoch_without_steps_says_nothing():
    hook, runner = CollapseHook(), FakeRunner()
    pass_epoch(hook, runner, [])
    assert not runner.lines and not runner.message_hub.runtime_info


def test_bad_options_of_the_collapse_hook():
    with pytest.raises(ValueError, match=r'warn_below must lie in \(0, 1\), got warn_below=1'):
        CollapseHook(warn_below=1)
    with pytest.raises(ValueError, match='must have embedding_std for CollapseHook, got loss; tak'):
        CollapseHook().after_train_iter(FakeRunner(), 0, outputs={'loss': nn.Parameter()})
