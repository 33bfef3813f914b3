"""A model that processes share is the model that one process has, step for step."""

import copy
import multiprocessing
import os

import pytest
import torch
from mmaction.structures import ActionDataSample
from mmengine.optim import OptimWrapper
from torch import distributed

from mmotion.checkpoint import load_checkpoint_file, load_state_dict
from mmotion.config import load_config
from mmotion.inference import load_model
from mmotion.registry import MODELS
from mmotion.training import sharding
from mmotion.training.sharding import ShardedModel, gather_optimizer
from tests.moving_boxes import write_video
from tests.training_runs import run_dist_script

FORK = multiprocessing.get_context('fork')
BLOCKS = ['backbone.blocks.*']
LIMIT_S = 120


def build_model(**backbone):
    """A small TimeSformer of a bundled config, the same at each call."""
    config = load_config('timesformer_shapes').model
    vit = dict(embed_dim=24, depth=2, num_heads=2, drop_path=0.0)
    config.backbone.update(num_frames=2, image_size=32, vit=vit, **backbone)
    config.cls_head.in_channels = 24
    torch.manual_seed(0)
    return MODELS.build(config)


def make_batch(indices):
    """Clips of noise with labels, the same for the same indices."""
    clips, samples = [], []
    for index in indices:
        generator = torch.Generator().manual_seed(index)
        clips.append(torch.randint(0, 256, (1, 3, 2, 32, 32), generator=generator).byte())
        samples.append(ActionDataSample().set_gt_label(index % 12))
    return {'inputs': clips, 'data_samples': samples}


def take_steps(model, *, num_steps=3, batch_size=4, accumulate=1, state=None):
    """Take steps with this process's part of each batch; gives what comes of them."""
    rank, world_size = 0, 1
    if distributed.is_initialized():
        rank, world_size = distributed.get_rank(), distributed.get_world_size()
    # Adam would make as much of the noise of a gradient near zero as of any other gradient
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    if isinstance(model, ShardedModel):
        gather_optimizer(optimizer)
    wrapper = OptimWrapper(optimizer, accumulative_counts=accumulate, clip_grad={'max_norm': 1.0})
    whole = model.module if isinstance(model, ShardedModel) else model
    first = 0
    if state is not None:
        load_state_dict(whole, state['weights'], source='the steps before')
        # an optimizer goes on with the very tensors that it is given
        wrapper.load_state_dict(copy.deepcopy(state['optimizer']))
        first = state['first'] + num_steps * batch_size
    model.train()
    losses = []
    size = batch_size // world_size // accumulate
    for step in range(num_steps):
        for part in range(accumulate):
            start = first + step * batch_size + (part * world_size + rank) * size
            log = model.train_step(make_batch(range(start, start + size)), wrapper)
            losses.append(log['loss'].item())
    return {
        'weights': copy.deepcopy(whole.state_dict()),
        'optimizer': copy.deepcopy(wrapper.state_dict()),
        'losses': torch.tensor(losses),
        'first': first,
    }


def run_processes(folder, function, num_processes=2):
    """Call a function in processes that have met by gloo, and give what each has returned."""

    def run(rank):
        os.environ['LOCAL_RANK'] = str(rank)
        distributed.init_process_group(
            'gloo', init_method=f'file://{folder}/store', rank=rank, world_size=num_processes
        )
        torch.save(function(), folder / f'{rank}.pth')
        distributed.destroy_process_group()

    folder.mkdir(exist_ok=True)
    processes = [FORK.Process(target=run, args=(rank,)) for rank in range(num_processes)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(LIMIT_S)
        process.kill()
        process.join()
    assert [process.exitcode for process in processes] == [0] * num_processes
    return [torch.load(folder / f'{rank}.pth') for rank in range(num_processes)]


def assert_equal_but_noise(one, other, atol=1e-6):
    """The weights and optimizer state of two trainings."""
    assert one['weights'].keys() == other['weights'].keys()
    for name, values in one['weights'].items():
        assert type(other['weights'][name]) is torch.Tensor
        torch.testing.assert_close(other['weights'][name], values, rtol=0, atol=atol)
    assert one['optimizer']['param_groups'] == other['optimizer']['param_groups']
    for index, entries in one['optimizer']['state'].items():
        for name, values in entries.items():
            torch.testing.assert_close(
                other['optimizer']['state'][index][name], values, rtol=0, atol=atol
            )


@pytest.mark.parametrize(
    ('backbone', 'options'),
    [
        pytest.param({}, {}, id='plain'),
        pytest.param({'checkpointing': True}, {}, id='checkpointing'),
        pytest.param({}, {'accumulate': 2}, id='accumulation'),
    ],
)
def test_steps_of_two_processes_are_those_of_one(tmp_path, backbone, options):
    alone = take_steps(build_model())

    def share():
        return take_steps(ShardedModel(module=build_model(**backbone), blocks=BLOCKS), **options)

    ranks = run_processes(tmp_path, share)
    for rank in ranks:
        assert_equal_but_noise(alone, rank)
    losses = torch.stack([rank['losses'] for rank in ranks]).mean(0)
    losses = losses.view(-1, options.get('accumulate', 1)).mean(1)
    torch.testing.assert_close(losses, alone['losses'], rtol=0, atol=1e-5)


def test_one_process_goes_on_where_two_were_and_the_other_way(tmp_path):
    alone = take_steps(build_model())
    end = take_steps(build_model(), state=alone)

    def share(state=None):
        return take_steps(ShardedModel(module=build_model(), blocks=BLOCKS), state=state)

    shared, _ = run_processes(tmp_path / 'first', share)
    assert_equal_but_noise(end, take_steps(build_model(), state=shared))
    for state in (alone, shared):
        for rank in run_processes(tmp_path / f'{state is alone}', lambda s=state: share(s)):
            assert_equal_but_noise(end, rank)


def test_each_process_holds_its_share_and_computes_in_bfloat16(tmp_path):
    alone = take_steps(build_model())

    def share():
        model = ShardedModel(module=build_model(), blocks=BLOCKS, precision='bfloat16')
        seen = []
        for name, part in model.named_modules():
            if name.endswith('proj'):
                part.register_forward_hook(lambda _part, _x, y: seen.append(y.dtype))
        held = sum(p.to_local().numel() for p in model.parameters())
        dtypes = {p.dtype for p in model.parameters()}
        result = take_steps(model)
        model.eval()
        with torch.no_grad():
            scores = model.val_step(make_batch([0]))[0].pred_score
        return {**result, 'held': held, 'dtypes': dtypes, 'seen': set(seen), 'scores': scores}

    total = sum(values.numel() for values in alone['weights'].values())
    ranks = run_processes(tmp_path, share)
    for rank in ranks:
        assert rank['held'] == pytest.approx(total / 2, rel=0.02)
        assert (rank['dtypes'], rank['seen']) == ({torch.float32}, {torch.bfloat16})
        assert rank['scores'].sum() == pytest.approx(1, abs=1e-4)
    losses = torch.stack([rank['losses'] for rank in ranks]).mean(0)
    torch.testing.assert_close(losses, alone['losses'], rtol=0, atol=0.02)
    assert not torch.equal(losses, alone['losses'])


@pytest.mark.slow
def test_what_a_shared_training_leaves_is_predicted_with_and_resumed(tmp_path):
    options = {
        'train_dataloader.sampler.epoch_size': 32,
        'train_dataloader.num_workers': 0,
        'model.backbone.checkpointing': True,
        'model_wrapper_cfg.type': 'ShardedModel',
        'model_wrapper_cfg.blocks': '[backbone.blocks.*]',
        'optim_wrapper.type': 'OptimWrapper',
        'optim_wrapper.accumulative_counts': 2,
        'param_scheduler': None,
        'val_dataloader.dataset.num_videos': 24,
        'val_dataloader.batch_size': 6,
        'train_cfg.val_interval': 1,
    }

    def run(work_dir, num_processes, max_epochs, *arguments, batch_size=8):
        more = {
            'train_cfg.max_epochs': max_epochs,
            'train_dataloader.batch_size': batch_size,
            'optim_wrapper.optimizer': "{'_delete_': True, 'type': 'SGD', 'lr': 0.1}",
        }
        given = [f'{key}={value}' for key, value in {**options, **more}.items()]
        run_dist_script(
            *('dist_train.sh', 'timesformer_shapes', num_processes, '--work-dir', work_dir),
            *(*arguments, '--cfg-options', *given),
            cwd=tmp_path,
        )
        return tmp_path / work_dir / f'epoch_{max_epochs}.pth'

    whole = run('whole', 2, 2)
    first = run('first', 2, 1)
    weights = load_checkpoint_file(whole)['state_dict']
    for num_processes in (2, 1):
        resumed = run(
            *(f'rest_{num_processes}', num_processes, 2, '--resume', first),
            batch_size=16 // num_processes,
        )
        for name, values in load_checkpoint_file(resumed)['state_dict'].items():
            torch.testing.assert_close(values, weights[name], rtol=0, atol=1e-6)
    video = write_video(tmp_path / 'video.mp4')
    result = load_model('timesformer_shapes', whole, device='cpu').predict(video)
    assert result.scores.sum() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'blocks': ['backbone.layers.*']}, r"name modules of the model, got 'backbone.layers.\*'"),
        ({'blocks': BLOCKS, 'precision': 'int8'}, "float32, bfloat16, got precision='int8'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        ShardedModel(module=build_model(), **arguments)


def test_an_old_torch_is_refused(monkeypatch):
    monkeypatch.delattr('torch.distributed.fsdp.fully_shard')
    with pytest.raises(ImportError, match=f'must have torch {sharding.NEEDS_TORCH} or later, got'):
        ShardedModel(module=build_model(), blocks=BLOCKS)
