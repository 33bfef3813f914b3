import random
import time
from pathlib import Path

import pytest
import torch
from mmengine.fileio import LocalBackend

from mmotion.checkpoint import find_last_checkpoint, load_checkpoint_file
from mmotion.checkpoint.files import CheckpointError
from mmotion.config import load_config
from mmotion.training.runner import build_runner
from tests.training_runs import assert_same, kill_after, read_losses, run_in_child, train

CHECKOUT = Path(__file__).resolve().parents[2]
TOY = CHECKOUT / 'tests' / 'toy' / 'toy.py'
QUIET = {'log_level': 'ERROR'}


def toy(**options):
    return load_config(TOY, QUIET | {key.replace('__', '.'): v for key, v in options.items()})


def test_work_dir_is_named_after_the_config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert build_runner(toy()).work_dir == str(tmp_path / 'work_dirs' / 'toy')
    assert build_runner(toy(work_dir='chosen')).work_dir == str(tmp_path / 'chosen')
    assert build_runner(toy(work_dir='chosen'), work_dir='flag').work_dir == str(tmp_path / 'flag')


def test_an_argument_wins_over_the_config_and_leaves_it_alone(tmp_path):
    config = toy(randomness__seed=3, auto_scale_lr__base_batch_size=4)
    before = config.pretty_text
    runner = build_runner(config, work_dir=tmp_path / 'a')
    assert (runner.seed, runner.cfg.get('compile'), runner.val_loop is None) == (3, None, False)
    runner = build_runner(
        config,
        work_dir=tmp_path / 'b',
        seed=5,
        compile=True,
        auto_scale_lr=True,
        validate=False,
        launcher='none',
    )
    assert (runner.seed, runner.cfg.compile, runner.val_loop) == (5, True, None)
    assert runner.auto_scale_lr == {'base_batch_size': 4, 'enable': True}
    assert config.pretty_text == before


@pytest.mark.parametrize('has_gpu', [False, True], ids=['cpu', 'gpu'])
def test_batches_for_a_gpu_are_pinned_and_sent_ahead(tmp_path, monkeypatch, has_gpu):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    runner = build_runner(toy(val_dataloader__pin_memory=False), work_dir=tmp_path)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: has_gpu)
    runner.wrap_model(None, runner.model)
    assert runner.build_dataloader(runner.cfg.train_dataloader).pin_memory == has_gpu
    assert not runner.build_dataloader(runner.cfg.val_dataloader).pin_memory
    sent = []
    preprocessor = runner.model.data_preprocessor
    monkeypatch.setattr(
        torch.Tensor, 'to', lambda self, *_, **options: sent.append(options) or self
    )
    preprocessor.cast_data({'inputs': [torch.zeros(2)]})
    assert sent == [{'non_blocking': has_gpu}]


def test_the_learning_rate_is_scaled(tmp_path):
    config = toy(auto_scale_lr__base_batch_size=4, train_cfg__max_epochs=1, param_scheduler=None)
    runner = train(config, work_dir=tmp_path, auto_scale_lr=True)
    assert runner.optim_wrapper.get_lr()['lr'] == [pytest.approx(0.02)]


@pytest.mark.parametrize(
    ('options', 'arguments', 'message'),
    [
        pytest.param({}, {'auto_scale_lr': True}, 'add auto_scale_lr = dict', id='auto_scale_lr'),
        pytest.param(
            {'train_cfg__max_epochs': 1, 'param_scheduler': [{'type': 'LinearLR', 'begin': 1}]},
            {},
            r'param_scheduler\.0 must begin before training ends, got begin=1 and .*max_epochs=1',
            id='schedule',
        ),
        pytest.param(
            {'train_cfg__max_epochs': 0},
            {},
            r'train_cfg\.max_epochs must be a whole number from 1 on, got .*=0',
            id='no epoch',
        ),
        pytest.param(
            {'train_cfg__max_epochs': 'three'}, {}, r"got train_cfg\.max_epochs='three'", id='words'
        ),
        pytest.param(
            {'visualizer': {'vis_backends': [{'type': 'NeptuneVisBackend'}]}},
            {},
            r'vis_backends\.0\.type=NeptuneVisBackend and no package neptune; pip inst',
            id='tracker',
        ),
        pytest.param(
            {'model__cls_head': {'type': 'I3DHead'}, 'val_evaluator__type': 'ActionMetric'},
            {},
            r"average_clips must be 'prob' or 'score' for ActionMetric, got .* of I3DHead",
            id='views',
        ),
        pytest.param({}, {'launcher': 'mpi'}, "got launcher='mpi'", id='launcher'),
        pytest.param(
            {'optim_wrapper__type': 'ApexOptimWrapper'},
            {'amp': True},
            "got optim_wrapper.type='ApexOptimWrapper'",
            id='amp',
        ),
        pytest.param({}, {'resume': 'no.pth'}, 'existing file, got no.pth', id='resume'),
        pytest.param({}, {'load_from': 'no.pth'}, 'existing file, got no.pth', id='load_from'),
    ],
)
def test_bad_arguments(tmp_path, options, arguments, message):
    with pytest.raises(ValueError, match=message):
        build_runner(toy(**options), work_dir=tmp_path, **arguments)


@pytest.mark.parametrize('loader', ['train', 'val'])
def test_a_loader_that_gives_no_batch_is_an_error_before_training(tmp_path, loader):
    config = toy()
    name = f'{loader}_dataloader'
    config[name] = {**config[name], 'drop_last': True}
    config[name].dataset.num_samples = 5
    with pytest.raises(ValueError, match='got 5 samples of ToyVectors for batches of 8 with drop_'):
        train(config, work_dir=tmp_path)
    assert not list(tmp_path.rglob('*.pth'))


def test_an_endless_sampler_fills_a_batch_from_few_samples(tmp_path):
    config = toy(train_cfg__by_epoch=False, train_cfg__max_epochs=None, train_cfg__max_iters=2)
    config.train_cfg.pop('max_epochs')
    config.train_dataloader.update(sampler={'type': 'InfiniteSampler'}, drop_last=True)
    config.train_dataloader.dataset.num_samples = 5
    config.param_scheduler = None
    assert train(config, work_dir=tmp_path, validate=False).iter == 2


def test_two_trainings_cannot_share_a_work_dir(tmp_path):
    work_dir = tmp_path / 'run'
    process = run_in_child(toy(train_cfg__max_epochs=1000), work_dir)
    while not read_losses(work_dir):
        time.sleep(0.05)
    (used,) = work_dir.glob('*.py')
    said = used.read_text()
    message = rf'got process {process.pid} on .+; wait for it or end it, or choose another work dir'
    with pytest.raises(ValueError, match=message):
        train(toy(), work_dir=work_dir)
    # testing its checkpoints meanwhile is no training
    build_runner(toy(), work_dir=work_dir).test()
    # and the config of the run stays, whoever else comes
    assert used.read_text() == said and 'max_epochs=1000' in said
    assert [*work_dir.glob('*.py')] == [used]
    kill_after(0, process, work_dir)
    assert train(toy(train_cfg__max_epochs=1), work_dir=work_dir).epoch == 1


def test_a_new_training_sets_the_checkpoints_of_an_earlier_one_aside(tmp_path):
    config = toy(train_cfg__max_epochs=3, default_hooks__checkpoint__max_keep_ckpts=-1)
    train(config, work_dir=tmp_path)
    earlier = {path.name: path.read_bytes() for path in tmp_path.glob('*.pth')}
    assert earlier.keys() > {'epoch_1.pth', 'epoch_2.pth', 'epoch_3.pth'}
    (tmp_path / 'mine.pth').touch()

    # going on with a run sets nothing aside, and starting from its weights reads them first
    train(config, work_dir=tmp_path, resume='auto')
    runner = train(
        toy(train_cfg__max_epochs=1), work_dir=tmp_path, load_from=tmp_path / 'epoch_3.pth'
    )
    (aside,) = tmp_path.glob('replaced_*')
    assert aside.name == f'replaced_{runner.timestamp}'
    assert {path.name: path.read_bytes() for path in aside.glob('*.pth')} == earlier
    names = {path.name for path in tmp_path.glob('*.pth') if 'best' not in path.name}
    assert names == {'epoch_1.pth', 'mine.pth'}
    assert find_last_checkpoint(tmp_path) == tmp_path / 'epoch_1.pth'
    assert find_last_checkpoint(aside) == aside / 'epoch_3.pth'


def test_resuming_nothing_starts_from_the_beginning(tmp_path, capsys):
    runner = train(toy(train_cfg__max_epochs=1), work_dir=tmp_path, resume='auto')
    assert runner.epoch == 1
    # a run that is complete has nothing left to do
    runner = train(toy(train_cfg__max_epochs=1), work_dir=tmp_path, resume='auto')
    assert (runner.epoch, runner.iter) == (1, 8)


def test_weights_alone_cannot_be_resumed(tmp_path):
    weights = build_runner(toy(), work_dir=tmp_path / 'a').model.state_dict()
    torch.save({'state_dict': weights}, tmp_path / 'weights.pth')
    with pytest.raises(CheckpointError, match='must hold meta, optimizer, message_hub to be res'):
        train(toy(), work_dir=tmp_path / 'b', resume=tmp_path / 'weights.pth')


def test_a_checkpoint_of_another_model(tmp_path):
    config = toy(train_cfg__max_epochs=1)
    train(config, work_dir=tmp_path)
    state = torch.load(tmp_path / 'epoch_1.pth', weights_only=True)
    state['state_dict']['head.weight'] = torch.zeros(5, 16)
    other = tmp_path / 'other.pth'
    torch.save(state, other)
    message = r'8 of 9 tensors fit ToyCounter \(of another shape: head.weight'
    for run in ('test', 'val'):
        runner = build_runner(config, work_dir=tmp_path / run, load_from=other)
        with pytest.raises(CheckpointError, match=message):
            getattr(runner, run)()
    with pytest.raises(CheckpointError, match=message):
        train(config, work_dir=tmp_path / 'resumed', resume=other)
    # fine-tuning keeps what fits, if that is at least half
    train(config, work_dir=tmp_path / 'tuned', load_from=other)
    narrow = toy(model__width=8, train_cfg__max_epochs=1)
    with pytest.raises(CheckpointError, match='2 of 9 tensors fit'):
        train(narrow, work_dir=tmp_path / 'narrow', load_from=other)


def test_our_checkpoints_hold_plain_data(tmp_path):
    train(toy(train_cfg__max_epochs=1), work_dir=tmp_path)
    state = torch.load(tmp_path / 'epoch_1.pth', weights_only=True)
    assert state.keys() >= {'meta', 'state_dict', 'message_hub', 'optimizer', 'param_schedulers'}
    restored = load_checkpoint_file(tmp_path / 'epoch_1.pth')
    assert len(restored['message_hub']['log_scalars']['train/loss'].data[0]) == 8


def test_an_interrupted_save_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    train(toy(train_cfg__max_epochs=1), work_dir=tmp_path)
    content = (tmp_path / 'epoch_1.pth').read_bytes()

    def write_half(self, content, path):
        Path(path).write_bytes(content[: len(content) // 2])
        raise OSError('no space left on device')

    runner = build_runner(toy(train_cfg__max_epochs=2), work_dir=tmp_path, resume='auto')
    monkeypatch.setattr(LocalBackend, 'put', write_half)
    with pytest.raises(OSError, match='no space left'):
        runner.train()
    assert (tmp_path / 'epoch_1.pth').read_bytes() == content
    names = [path.name for path in tmp_path.iterdir() if path.suffix == '.pth']
    assert [name for name in names if 'best' not in name] == ['epoch_1.pth']


def test_workers_draw_other_numbers_in_each_epoch(tmp_path):
    config = toy(train_dataloader__num_workers=2)
    runner = build_runner(config, work_dir=tmp_path)
    loader = runner.build_dataloader(config.train_dataloader, seed=0)
    loader.sampler.shuffle = False
    epochs = [[x for batch in loader for x in batch['inputs']] for _ in range(2)]
    clean = runner.build_dataloader(config.val_dataloader).dataset
    noise = [x - clean[i]['inputs'] for epoch in epochs for i, x in enumerate(epoch[:20])]
    # no two samples share their noise, neither in one epoch nor in two, nor in two workers
    assert len({round(float(n.sum()), 4) for n in noise}) == len(noise)


def test_a_run_that_is_killed_three_times_ends_as_an_unbroken_one(tmp_path):
    config = toy(train_cfg__max_epochs=12, train_dataloader__num_workers=1)
    unbroken = run_in_child(config, tmp_path / 'unbroken')
    unbroken.join()
    assert unbroken.exitcode == 0

    # others in each run of this test: any moment must do
    moments = sorted(random.SystemRandom().sample(range(1, 80), 3))
    for step in moments:
        kill_after(step, run_in_child(config, tmp_path / 'killed'), tmp_path / 'killed')
    last = run_in_child(config, tmp_path / 'killed')
    last.join()
    assert last.exitcode == 0, moments

    whole, resumed = (
        load_checkpoint_file(tmp_path / name / 'epoch_12.pth') for name in ('unbroken', 'killed')
    )
    for key in ('state_dict', 'optimizer'):
        assert_same(whole[key], resumed[key])
    assert whole['param_schedulers'] == resumed['param_schedulers'], moments
    losses = read_losses(tmp_path / 'unbroken')
    assert len(losses) == 12 * 8
    assert read_losses(tmp_path / 'killed') == losses, moments


def test_persistent_workers_are_warned_of(tmp_path):
    loader = {'num_workers': 1, 'persistent_workers': True}
    options = {f'train_dataloader__{key}': value for key, value in loader.items()}
    config = toy(train_cfg__max_epochs=1, log_level='WARNING', **options)
    runner = train(config, work_dir=tmp_path)
    log = Path(runner._log_dir, f'{runner.timestamp}.log').read_text()
    assert 'set it to False for exact resuming' in log
