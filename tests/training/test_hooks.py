import json
import random
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import simplejson
import torch

from mmotion.config import load_config
from mmotion.training import hooks
from mmotion.training.hooks import EpochSeedHook, to_jsonable
from mmotion.training.runner import Runner, build_runner

TOY = Path(__file__).parents[1] / 'toy' / 'toy.py'


def toy(**options):
    options = {key.replace('__', '.'): value for key, value in options.items()}
    return load_config(TOY, {'log_level': 'ERROR', **options})


def draw_numbers():
    return random.random(), np.random.random(), float(torch.rand(()))


class FakeRunner:
    seed = 7
    epoch = 3


def test_an_epoch_draws_the_same_numbers_whatever_came_before(monkeypatch):
    hook, runner = EpochSeedHook(), FakeRunner()
    hook.before_train_epoch(runner)
    first = draw_numbers()
    draw_numbers()
    hook.before_train_epoch(runner)
    assert draw_numbers() == first
    for name, value in (('epoch', 4), ('seed', 8)):
        other = FakeRunner()
        setattr(other, name, value)
        hook.before_train_epoch(other)
        assert not set(draw_numbers()) & set(first)
    monkeypatch.setattr(hooks, 'get_rank', lambda: 1)
    hook.before_train_epoch(runner)
    assert not set(draw_numbers()) & set(first)


@pytest.mark.parametrize('save_best', ['toy/mae_loss', ['toy/mae_loss', 'toy/mae_loss_2']])
def test_an_old_checkpoint_goes_only_when_the_new_one_is_there(tmp_path, monkeypatch, save_best):
    saved = []

    def save_and_look(self, out_dir, filename, *args, **kwargs):
        before = {path.name for path in tmp_path.glob('*.pth')}
        save(self, out_dir, filename, *args, **kwargs)
        saved.append((filename, before))

    save = Runner.save_checkpoint
    monkeypatch.setattr(Runner, 'save_checkpoint', save_and_look)
    options = {'interval': 1, 'max_keep_ckpts': 1, 'save_best': save_best, 'rule': 'less'}
    evaluator = {'type': 'ToyError'}
    config = toy(train_cfg__max_epochs=4, val_evaluator=evaluator)
    config.default_hooks.checkpoint.update(options)
    runner = build_runner(config, work_dir=tmp_path)
    evaluate = runner.val_loop.evaluator.evaluate
    # better in each epoch
    scores = iter([4.0, 3.0, 2.0, 1.0])

    def evaluate_falling(size):
        evaluate(size)
        score = next(scores)
        return {'toy/mae_loss': score, 'toy/mae_loss_2': score}

    monkeypatch.setattr(runner.val_loop.evaluator, 'evaluate', evaluate_falling)
    runner.train()

    best = [name for name, _ in saved if name.startswith('best')]
    assert len(best) == (4 if isinstance(save_best, str) else 8)
    for epoch in (2, 3, 4):
        before = next(before for name, before in saved if name == f'epoch_{epoch}.pth')
        assert f'epoch_{epoch - 1}.pth' in before
        for name, before in saved:
            if name.startswith('best') and name.endswith(f'epoch_{epoch}.pth'):
                assert name.replace(f'epoch_{epoch}', f'epoch_{epoch - 1}') in before
    kept = {path.name for path in tmp_path.glob('*.pth')}
    assert kept == {'epoch_4.pth', *(name for name in best if name.endswith('epoch_4.pth'))}


def test_a_best_checkpoint_that_is_not_beaten_stays(tmp_path, monkeypatch):
    config = toy(train_cfg__max_epochs=3)
    runner = build_runner(config, work_dir=tmp_path)
    scores = iter([1.0, 2.0, 3.0])
    monkeypatch.setattr(
        runner.val_loop.evaluator, 'evaluate', lambda size: {'toy/mae_loss': next(scores)}
    )
    runner.train()
    best = [path.name for path in tmp_path.glob('best*.pth')]
    assert best == ['best_toy_mae_loss_epoch_1.pth']


def test_a_best_checkpoint_that_is_written_again_stays(tmp_path, monkeypatch):
    runner = build_runner(toy(train_cfg__max_epochs=1), work_dir=tmp_path)
    scores = iter([3.0, 2.0])
    monkeypatch.setattr(
        runner.val_loop.evaluator, 'evaluate', lambda size: {'toy/mae_loss': next(scores)}
    )
    runner.train()
    runner.val_loop.run()
    assert [path.name for path in tmp_path.glob('best*.pth')] == ['best_toy_mae_loss_epoch_1.pth']


def test_a_run_that_only_validates_removes_nothing(tmp_path):
    config = toy(default_hooks__checkpoint__save_best=None)
    assert build_runner(config, work_dir=tmp_path).val().keys() == {'toy/mae_loss'}


@pytest.mark.parametrize(
    ('metric', 'best'),
    [
        # scores 2, 1, 3 after the three epochs
        pytest.param('count/MAE', ['best_count_MAE_epoch_2.pth'], id='error'),
        pytest.param('count/OBO', ['best_count_OBO_epoch_3.pth'], id='accuracy'),
        pytest.param('toy/grade', [], id='not known'),
    ],
)
def test_the_best_checkpoint_is_found_without_a_rule(tmp_path, monkeypatch, metric, best):
    config = toy(train_cfg__max_epochs=3)
    config.default_hooks.checkpoint.update(save_best='auto')
    config.default_hooks.checkpoint.pop('rule', None)
    runner = build_runner(config, work_dir=tmp_path)
    scores = iter([2.0, 1.0, 3.0])
    monkeypatch.setattr(
        runner.val_loop.evaluator, 'evaluate', lambda size: {metric: next(scores), 'other': 0.0}
    )
    runner.train()
    assert sorted(path.name for path in tmp_path.glob('best*.pth')) == best
    assert (tmp_path / 'epoch_3.pth').exists()


def test_save_best_must_name_a_metric(tmp_path):
    config = toy(default_hooks__checkpoint__save_best='toy/accuracy')
    runner = build_runner(config, work_dir=tmp_path)
    with pytest.raises(
        ValueError, match="got save_best='toy/accuracy' and the metrics toy/mae_loss"
    ):
        runner.train()


def test_results_are_written_in_the_order_of_the_data_set(tmp_path):
    path = tmp_path / 'results.json'
    config = toy(custom_hooks=[{'type': 'WriteResultsHook', 'path': str(path)}])
    metrics = build_runner(config, work_dir=tmp_path).test()
    content = json.loads(path.read_text())
    assert content['metrics'] == metrics
    assert content['config'] == str(TOY)
    assert [sample['name'] for sample in content['samples']] == [f'clip {i}' for i in range(20)]
    sample = content['samples'][0]
    # one number per sample is its truth, an array is not
    assert sample['truth'].keys() == {'gt_count'}
    assert sample['prediction']['count_per_frame'][-1] == sample['prediction']['count']


def test_results_are_drawn(tmp_path):
    config = toy(custom_hooks=[{'type': 'ShowResultsHook', 'out_dir': str(tmp_path / 'show')}])
    config.test_dataloader.dataset.num_samples = 2
    build_runner(config, work_dir=tmp_path).test()
    pictures = sorted(path.name for path in (tmp_path / 'show').iterdir())
    assert pictures == ['00000_clip_0.png', '00001_clip_1.png']


def test_a_sample_without_result_cannot_be_drawn(tmp_path):
    hook = hooks.ShowResultsHook(out_dir=str(tmp_path))
    sample = hooks.BaseDataElement(pred_scores=torch.zeros(2))
    with pytest.raises(ValueError, match='got the fields pred_scores; leave out ShowResultsHook'):
        hook.after_test_iter(FakeRunner(), 0, outputs=[sample])


def test_scores_of_classes_are_drawn(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        'mmotion.visualization.actions.plot_scores',
        lambda scores, path, **options: drawn.append((scores, path.name, options)),
    )
    runner = FakeRunner()
    runner.test_dataloader = SimpleNamespace(
        dataset=SimpleNamespace(metainfo={'classes': ['run', 'jump']})
    )
    sample = hooks.BaseDataElement(
        metainfo={'name': 'a b.mp4'},
        pred_score=torch.tensor([0.25, 0.75]),
        gt_label=torch.tensor([0]),
    )
    hooks.ShowResultsHook(out_dir=str(tmp_path)).after_test_iter(runner, 0, outputs=[sample])
    options = {'title': 'a b.mp4', 'truth': 'run'}
    assert drawn == [({'run': 0.25, 'jump': 0.75}, '00000_a_b.mp4.png', options)]


def test_jsonable():
    values = {'a': torch.arange(2), 'b': np.float32(0.5), 'c': np.nan, 'd': Path('x')}
    text = simplejson.dumps(values, default=to_jsonable, ignore_nan=True)
    assert json.loads(text) == {'a': [0, 1], 'b': 0.5, 'c': None, 'd': 'x'}
