"""Staged unfreezing: what trains when, which norms stand still, and what a resumed run does."""

import copy
import multiprocessing
import os
import shutil
import socket
from pathlib import Path

import pytest
import torch
from torch import nn

from mmotion.checkpoint import load_checkpoint_file
from mmotion.config import load_config
from mmotion.training.runner import build_runner
from mmotion.training.unfreeze import UnfreezeHook

TOY = Path(__file__).parents[1] / 'toy' / 'toy.py'
# layers of the toy: body, then norm, then head
PART = dict(
    frozen=['body', 'norm'],
    stages=[dict(epoch=1, patterns=['norm']), dict(epoch=2, patterns=['body.w*'])],
)
HEAD = {'head.weight', 'head.bias'}
NORM = {'norm.weight', 'norm.bias', 'norm.running_mean', 'norm.running_var'}
NORM_STEPS = {'norm.num_batches_tracked'}


def toy(**options):
    config = load_config(TOY, {'log_level': 'INFO', 'train_cfg.max_epochs': 4})
    config.custom_hooks = [dict(type='UnfreezeHook', **PART)]
    config.default_hooks.checkpoint.max_keep_ckpts = -1
    # weight decay would move a parameter with a gradient of zero
    config.optim_wrapper.optimizer.weight_decay = 0.1
    config.optim_wrapper.paramwise_cfg = dict(custom_keys={'body': dict(lr_mult=0.1)})
    for key, value in options.items():
        config[key] = value
    return config


def read_log(runner):
    return Path(runner._log_dir, f'{runner.timestamp}.log').read_text()


def load_epoch(work_dir, epoch):
    return load_checkpoint_file(work_dir / f'epoch_{epoch}.pth')


def assert_same(one, other):
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list | tuple):
        for a, b in zip(one, other, strict=True):
            assert_same(a, b)
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    else:
        assert one == other


def changed(work_dir, before, after):
    """Names of the tensors that differ between two epochs' checkpoints."""
    one, other = (load_epoch(work_dir, epoch)['state_dict'] for epoch in (before, after))
    return {name for name in one if not torch.equal(one[name], other[name])}


@pytest.fixture(scope='module')
def unbroken(tmp_path_factory):
    """A run of four epochs, and its folder."""
    work_dir = tmp_path_factory.mktemp('unbroken')
    runner = build_runner(toy(), work_dir=work_dir)
    start = copy.deepcopy(runner.model.state_dict())
    runner.train()
    # a training moves what lies in its folder before
    torch.save({'state_dict': start}, work_dir / 'epoch_0.pth')
    return runner, work_dir


def test_each_epoch_trains_exactly_what_its_stage_says(unbroken):
    _, work_dir = unbroken
    assert changed(work_dir, 0, 1) == HEAD
    assert changed(work_dir, 1, 2) == HEAD | NORM | NORM_STEPS
    # the bias of the body has no stage
    for epoch in (2, 3):
        assert changed(work_dir, epoch, epoch + 1) == HEAD | NORM | NORM_STEPS | {'body.weight'}


def test_the_log_says_what_trains(unbroken):
    lines = [line for line in read_log(unbroken[0]).splitlines() if 'from epoch' in line]
    assert [line.partition('from ')[2] for line in lines] == [
        'epoch 1 on, 17 parameters in 2 tensors train; before: 193 parameters in 6 tensors',
        'epoch 2 on, 49 parameters in 4 tensors train; before: 17 parameters in 2 tensors',
        'epoch 3 on, 177 parameters in 5 tensors train; before: 49 parameters in 4 tensors',
    ]


def test_the_log_names_what_begins_to_train(unbroken):
    lines = [line for line in read_log(unbroken[0]).splitlines() if 'begin' in line]
    assert [line.partition('these begin to train: ')[2] for line in lines] == [
        'norm.weight, norm.bias',
        'body.weight',
    ]


@pytest.mark.parametrize('epoch', [1, 2, 3])
def test_a_resumed_run_ends_as_the_unbroken_one(unbroken, tmp_path, epoch):
    _, work_dir = unbroken
    shutil.copy(work_dir / f'epoch_{epoch}.pth', tmp_path)
    build_runner(toy(), work_dir=tmp_path, resume=tmp_path / f'epoch_{epoch}.pth').train()
    one, other = (load_epoch(folder, 4) for folder in (work_dir, tmp_path))
    for key in ('state_dict', 'optimizer', 'param_schedulers'):
        assert_same(one[key], other[key])


def test_the_state_of_frozen_parameters_waits_for_them(unbroken):
    _, work_dir = unbroken
    counts = [len(load_epoch(work_dir, epoch)['optimizer']['state']) for epoch in range(1, 5)]
    assert counts == [2, 4, 5, 5]


class FakeRunner:
    """What the hook looks at, around any model."""

    train_loop = None
    max_epochs = 10

    def __init__(self, model, *, epoch=0):
        self.model = model
        self.epoch = epoch
        self.lines = []
        self.logger = self

    def info(self, line):
        self.lines.append(line)

    warning = info


def start(hook, model, *, epoch=0):
    """Begin an epoch, as the training loop does it."""
    runner = FakeRunner(model, epoch=epoch)
    hook.before_train(runner)
    go_to(hook, runner, epoch)
    return runner


def go_to(hook, runner, epoch):
    runner.epoch = epoch
    hook.before_train_epoch(runner)
    runner.model.train()
    hook.before_train_iter(runner, 0)


def trainable(model):
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


@pytest.fixture
def stack():
    """Norms with, without, and with fixed parameters, one without statistics, and dropout."""
    model = nn.Sequential(
        nn.Linear(4, 4),
        nn.BatchNorm1d(4, affine=False),
        nn.BatchNorm1d(4),
        nn.BatchNorm1d(4),
        nn.LayerNorm(4),
        nn.Dropout(),
        nn.Linear(4, 2),
    )
    model[3].requires_grad_(False)
    return model


def test_frozen_norms_stay_in_eval_mode(stack):
    stages = [dict(epoch=1, patterns=['2']), dict(epoch=2, patterns=['[0-4]'])]
    hook = UnfreezeHook(frozen=['[0-4]'], stages=stages)
    runner = start(hook, stack)
    for epoch, expected in enumerate([[False] * 3, [False, True, False], [True] * 3]):
        go_to(hook, runner, epoch)
        assert [stack[i].training for i in (1, 2, 3)] == expected
        # what has no statistics is not concerned
        assert stack[4].training and stack[5].training
        # as after a validation in the midst of an epoch
        stack.eval()
        stack.train()
        hook.before_train_iter(runner, 1)
        assert [stack[i].training for i in (1, 2, 3)] == expected


def test_the_module_of_a_norm_includes_its_statistics(stack):
    stages = [dict(epoch=1, patterns=['2.weight', '2.bias'])]
    start(UnfreezeHook(frozen=['2'], stages=stages), stack, epoch=1)
    assert {'2.weight', '2.bias'} < trainable(stack)
    assert not stack[2].training


@pytest.mark.parametrize(
    ('pattern', 'expected'),
    [
        pytest.param('encoder.1', {'encoder.1.weight', 'encoder.1.bias'}, id='not encoder.10'),
        pytest.param('encoder.1[01]', {'encoder.10.weight', 'encoder.10.bias'}, id='set'),
        pytest.param('*.bias', {f'encoder.{i}.bias' for i in (0, 1, 10)}, id='star'),
        pytest.param('encoder.?.weight', {'encoder.0.weight', 'encoder.1.weight'}, id='one sign'),
    ],
)
def test_patterns_are_those_of_a_shell(pattern, expected):
    model = nn.ModuleDict(
        {'encoder': nn.ModuleDict({i: nn.Linear(1, 1) for i in ('0', '1', '10')})}
    )
    stages = [dict(epoch=1, patterns=[pattern])]
    start(UnfreezeHook(frozen=['encoder'], stages=stages), model, epoch=1)
    assert trainable(model) == expected


@pytest.mark.parametrize(
    ('stage', 'expected', 'norm_trains'),
    [
        pytest.param(dict(last=1), {'4.bias'}, False, id='one tensor'),
        pytest.param(dict(last=3), {'2.bias', '4.weight', '4.bias'}, False, id='half of a norm'),
        pytest.param(
            dict(last=4),
            {'2.weight', '2.bias', '4.weight', '4.bias'},
            True,
            id='a whole norm with its statistics',
        ),
        pytest.param(
            dict(last=2, patterns=['0', '2']),
            {'2.weight', '2.bias'},
            True,
            id='the last of those with these names',
        ),
        pytest.param(
            {}, {f'{i}.{n}' for i in (0, 2, 4) for n in ('weight', 'bias')}, True, id='all'
        ),
    ],
)
def test_a_stage_trains_the_last_tensors(stack, stage, expected, norm_trains):
    hook = UnfreezeHook(frozen=['[0-4]'], stages=[dict(epoch=1, **stage)])
    start(hook, stack, epoch=1)
    assert trainable(stack) - {'6.weight', '6.bias'} == expected
    # norms without parameters and with fixed ones are not counted, and stay as they are
    assert [stack[i].training for i in (1, 2, 3)] == [not stage, norm_trains, not stage]


def test_later_stages_add_to_earlier_ones(stack):
    stages = [dict(epoch=1, last=2), dict(epoch=2, patterns=['0.weight']), dict(epoch=3, last=3)]
    hook = UnfreezeHook(frozen=['[0-4]'], stages=stages)
    runner = start(hook, stack)
    expected = {'6.weight', '6.bias'}
    for epoch, added in enumerate(([], ['4.weight', '4.bias'], ['0.weight'], ['2.bias'])):
        go_to(hook, runner, epoch)
        expected |= set(added)
        assert trainable(stack) == expected


LAST = dict(frozen=['body', 'norm'], stages=[dict(epoch=1, last=2), dict(epoch=2, last=3)])


def test_exactly_the_last_tensors_change_and_a_resumed_run_ends_the_same(tmp_path):
    config = toy(custom_hooks=[dict(type='UnfreezeHook', **LAST)])
    whole, resumed = tmp_path / 'whole', tmp_path / 'resumed'
    build_runner(config, work_dir=whole).train()
    assert changed(whole, 1, 2) == HEAD | NORM | NORM_STEPS
    for epoch in (2, 3):
        assert changed(whole, epoch, epoch + 1) == HEAD | NORM | NORM_STEPS | {'body.bias'}
    build_runner(config, work_dir=resumed, resume=whole / 'epoch_1.pth').train()
    one, other = (load_epoch(folder, 4) for folder in (whole, resumed))
    for key in ('state_dict', 'optimizer', 'param_schedulers'):
        assert_same(one[key], other[key])


def test_without_stages_the_part_is_frozen_to_the_end(stack):
    start(UnfreezeHook(frozen=['0'], stages=[]), stack, epoch=9)
    assert trainable(stack) == {f'{i}.{name}' for i in (2, 4, 6) for name in ('weight', 'bias')}


def test_what_the_model_keeps_fixed_stays_fixed(stack):
    before = trainable(stack)
    start(UnfreezeHook(frozen=['[0-4]'], stages=[dict(epoch=0, patterns=['[0-4]'])]), stack)
    assert trainable(stack) == before
    assert not stack[3].weight.requires_grad


def test_a_stage_that_is_never_reached_is_warned_of(stack):
    stages = [dict(epoch=10, patterns=['0'])]
    runner = start(UnfreezeHook(frozen=['0'], stages=stages), stack)
    assert runner.lines[0] == 'the stage of epoch=10 is never reached in 10 epochs'


def test_testing_is_left_alone(tmp_path, unbroken):
    runner = build_runner(toy(), work_dir=tmp_path, load_from=unbroken[1] / 'epoch_4.pth')
    runner.test()
    assert all(p.requires_grad for p in runner.model.parameters())


@pytest.mark.parametrize(
    ('options', 'error', 'message'),
    [
        pytest.param(
            dict(frozen=[]),
            ValueError,
            r'frozen must have at least one pattern, got \[\]',
            id='none',
        ),
        pytest.param(
            dict(frozen='a'), TypeError, "frozen must be a list of patterns, got 'a'", id='string'
        ),
        pytest.param(
            dict(stages=[dict(epoch=3, patterns=['a']), dict(epoch=2, patterns=['a'])]),
            ValueError,
            r'stages must be in ascending order of epoch, got epochs \[3, 2\]',
            id='not ascending',
        ),
        pytest.param(
            dict(stages=[dict(epoch=2, patterns=['a'])] * 2),
            ValueError,
            r'got epochs \[2, 2\]',
            id='the same epoch',
        ),
        pytest.param(
            dict(stages=[dict(epoch=0, patterns=[])]),
            ValueError,
            r'patterns of the stage of epoch=0 must have at least one pattern, got \[\]',
            id='stage without pattern',
        ),
        pytest.param(
            dict(stages=[dict(epoch=0, patterns='a')]),
            TypeError,
            "must be a list of patterns, got 'a'",
            id='pattern is a string',
        ),
        pytest.param(
            dict(stages=[dict(epoch=-1, patterns=['a'])]),
            ValueError,
            'epoch must be at least 0, got epoch=-1',
            id='negative',
        ),
        pytest.param(
            dict(stages=[dict(epoch=0, last=0)]),
            ValueError,
            'last must be at least 1, got last=0',
            id='last nothing',
        ),
    ],
)
def test_bad_options(options, error, message):
    with pytest.raises(error, match=message):
        UnfreezeHook(**{'frozen': ['a'], 'stages': [], **options})


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        pytest.param(
            dict(frozen=['0', 'encoder']),
            r"frozen must match parameters that can train, got the pattern 'encoder', which "
            r'matches none of 0.weight, 0.bias, 2.weight ... \(11 names\)',
            id='frozen',
        ),
        pytest.param(
            dict(stages=[dict(epoch=3, patterns=['6'])]),
            r"patterns of the stage of epoch=3 must match .*, got the pattern '6', which matches "
            r'none of 0.weight, 0.bias ... \(2 names\)',
            id='outside of the frozen part',
        ),
        pytest.param(
            dict(frozen=['[0-4]'], stages=[dict(epoch=3, last=7)]),
            'last of the stage of epoch=3 must be at most the number of frozen parameter tensors, '
            'got last=7 of 6; freeze more, or leave last out for all',
            id='more than there are',
        ),
        pytest.param(
            dict(frozen=['3.weight']), "got the pattern '3.weight', which", id='fixed by the model'
        ),
    ],
)
def test_a_part_that_is_not_there(stack, options, message):
    hook = UnfreezeHook(**{'frozen': ['0'], 'stages': [], **options})
    with pytest.raises(ValueError, match=message):
        hook.before_train(FakeRunner(stack))


def test_a_run_in_iterations_has_no_stages(tmp_path):
    config = toy(train_cfg=dict(by_epoch=False, max_iters=9, val_interval=9))
    with pytest.raises(ValueError, match='must count in epochs for UnfreezeHook, got by_epoch=F'):
        build_runner(config, work_dir=tmp_path).train()


def train_in_processes(config, work_dir):
    """Train with two forked processes on the CPU, and give their exit codes."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = str(free.getsockname()[1])

    def run(rank):
        names = ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT')
        os.environ.update(zip(names, (str(rank), '2', str(rank), '127.0.0.1', port), strict=True))
        try:
            build_runner(config, work_dir=work_dir, launcher='pytorch').train()
        except ValueError as error:
            (work_dir / f'error_{rank}').write_text(str(error))
            os._exit(3)
        os._exit(0)

    context = multiprocessing.get_context('fork')
    processes = [context.Process(target=run, args=(rank,)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(600)
    return [process.exitcode for process in processes]


def test_two_processes_stay_together(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    config = toy(find_unused_parameters=True)
    config.custom_hooks.append(dict(type='RecordRanks', out_dir=str(tmp_path / 'ranks')))
    # statistics are those of each process, and not part of this
    config.model.norm = False
    config.custom_hooks[0].update(frozen=['body'], stages=[dict(epoch=2, patterns=['body'])])
    assert train_in_processes(config, tmp_path) == [0, 0]
    ranks = [torch.load(tmp_path / 'ranks' / f'rank_{r}.pth', weights_only=True) for r in (0, 1)]
    # each has seen other data: equal weights mean that the gradients were shared
    assert_same(*map(dict, ranks))
    assert changed(tmp_path, 1, 2) == HEAD
    assert changed(tmp_path, 2, 3) == HEAD | {'body.weight', 'body.bias'}


def test_ddp_must_not_wait_for_frozen_parameters(stack):
    runner = FakeRunner(nn.Module())
    runner.model = DistributedStandIn(stack)
    hook = UnfreezeHook(frozen=['0'], stages=[])
    with pytest.raises(ValueError, match='DistributedStandIn must not wait for the gradients of f'):
        hook.before_train(runner)
    runner.model.find_unused_parameters = True
    hook.before_train(runner)
    hook.before_train_epoch(runner)
    assert not stack[0].weight.requires_grad


class DistributedStandIn(nn.parallel.DistributedDataParallel):
    """A wrapper without processes."""

    def __init__(self, module):
        nn.Module.__init__(self)
        self.module = module
        self.find_unused_parameters = False
