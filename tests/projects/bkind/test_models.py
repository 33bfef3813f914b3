"""The model: against the reference, what its modes give, and the curriculum."""

import itertools
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from mmengine.structures import BaseDataElement
from torch import Tensor
from torch.utils.data import Dataset

from mmotion.checkpoint import load_state_dict, save_checkpoint_file
from mmotion.checkpoint.files import CheckpointError
from mmotion.config import load_config
from mmotion.registry import DATASETS, MODELS
from mmotion.training.runner import Runner, build_runner
from projects.bkind.convert import convert
from projects.bkind.models import BKinD
from projects.bkind.networks import spatial_softmax
from tools.analysis.reference_bkind import ReferenceBKinD

from .reference import Golden, make_images

SIZE = 64
TINY: dict[str, Any] = dict(
    encoder=dict(name='resnet18'),
    num_keypoints=3,
    image_size=SIZE,
    losses=dict(kind='mse'),
    curriculum_epoch=1,
)
NUMBERS = itertools.count()


@pytest.fixture(autouse=True)
def _no_run() -> None:
    """Whatever runs there were in this process, none is going on."""
    MessageHub.get_instance(f'no run {next(NUMBERS)}')


def make_reference(golden: Golden, scheme: str, kind: type[BKinD], **losses: Any) -> BKinD:
    """The reference's network with the weights of a golden file."""
    model = kind(encoder=dict(name='resnet50'), num_keypoints=10, image_size=128, losses=losses)
    load_state_dict(model, convert(golden.state(scheme)), source='golden')
    return model.eval()


@pytest.mark.parametrize(
    ('scheme', 'kind'),
    [
        pytest.param('A', BKinD, id='A'),
        pytest.param('B', BKinD, id='B'),
        pytest.param('B', ReferenceBKinD, id='B, slow oracle'),
    ],
)
@torch.no_grad()
def test_outputs_are_those_of_the_reference(golden_root, scheme, kind):
    golden = Golden(golden_root, f'bkind_128_k10_{scheme}')
    model = make_reference(golden, scheme, kind)
    images, later = make_images(0), make_images(1)
    seen = model.inspect(torch.stack([images, later], dim=1))
    golden.check(seen['reconstruction'], 'recon')
    golden.check(seen['heat_maps'][:, 1], 'det_heatmap')
    for i, frame in enumerate(('x', 'tr')):
        golden.check(seen['keypoints'][:, i, :, 0], f'{frame}_kpt_x')
        golden.check(seen['keypoints'][:, i, :, 1], f'{frame}_kpt_y')

    # the detector looks at one frame
    samples = model(later[:, None], mode='predict')
    found = {
        key: torch.stack([sample.get(key) for sample in samples])
        for key in ('keypoints', 'confidence', 'covariance')
    }
    golden.check(found['keypoints'][..., 0], 'det_kpt_x')
    golden.check(found['confidence'], 'det_confidence')
    for i, key in enumerate(('var_x', 'var_y', 'cov')):
        golden.check(found['covariance'][..., i], f'det_{key}')
    assert 'recon_error' not in samples[0]

    turned = model(make_images(4)[:, None])
    golden.check(turned, 'rot3_heat_logits')
    golden.check(spatial_softmax(turned).points[..., 1], 'rot3_kpt_y')


def test_a_detector_in_train_mode_is_that_of_the_reference(golden_root):
    golden = Golden(golden_root, 'bkind_detector_trainmode')
    encoder = ReferenceBKinD(encoder={}, num_keypoints=10, image_size=128).encoder
    state = convert(golden.state('B'))
    encoder.load_state_dict({k.removeprefix('encoder.'): v for k, v in state.items()})
    with torch.no_grad():
        found = spatial_softmax(encoder.train()(make_images(70, batch=1))[1])
    golden.check(found.points[..., 0], 'kpt_x')
    golden.check(found.points[..., 1], 'kpt_y')
    golden.check(found.confidence, 'confidence')
    golden.check(found.covariance[..., 2], 'cov')


@pytest.fixture(scope='module')
def vgg_file(golden_root, tmp_path_factory):
    path = tmp_path_factory.mktemp('vgg') / 'vgg19.pth'
    save_checkpoint_file(Golden(golden_root, 'loss_total').state('B', gain=2.0), path)
    return str(path)


@pytest.mark.parametrize(
    ('norms', 'kind'),
    [
        pytest.param('eval', BKinD, id='ours'),
        pytest.param('train', ReferenceBKinD, id='slow oracle, batch norms in train mode'),
    ],
)
def test_training_steps_are_those_of_the_reference(golden_root, vgg_file, norms, kind):
    golden = Golden(golden_root, f'bkind_step_bn{norms}_epoch4')
    model = make_reference(golden, 'B', kind, vgg=vgg_file).train(norms == 'train')
    model.epoch = 4
    sgd = golden.meta['config']['sgd']
    optimizer = torch.optim.SGD(model.parameters(), **sgd)
    names = [str(name) for name in golden.file['names']]
    ours = dict(zip(names, convert({name: torch.empty(0) for name in names}), strict=True))
    for step in range(1 if norms == 'train' else 2):
        optimizer.zero_grad()
        loss = sum_losses(model(golden.pair(), mode='loss'))
        loss.backward()
        golden.check(loss, f'loss_step{step}')
        if step == 0:
            order = [ours[name] for name in golden.meta['grad_param_order']]
            norms = [norm_of_gradient(model, name) for name in order]
            golden.check(torch.tensor(norms, dtype=torch.float64), 'grad_l2_per_param')
        optimizer.step()
    golden.check(model.decoder.head.weight, 'conv_final_weight_after')
    state = model.state_dict()
    for kind in ('mean', 'var'):
        key = f'bn1.running_{kind}'
        golden.check(state[f'encoder.network.{key}'], f'encoder_{key.replace(".", "_")}_after')
    norm_names = ('encoder.network.bn1', 'encoder.pose.laterals.0.1', 'decoder.blocks.0.norm1')
    counts = [int(state[f'{name}.num_batches_tracked']) for name in norm_names]
    assert counts == golden['out.num_batches_tracked'].tolist()


def norm_of_gradient(model: BKinD, name: str) -> float:
    """0 where the reference has a predictor that is not used."""
    parameter = dict(model.named_parameters()).get(name)
    return (
        0.0
        if parameter is None or parameter.grad is None
        else float(parameter.grad.double().norm())
    )


def sum_losses(losses: Any) -> Tensor:
    return torch.stack(list(losses.values())).sum()


def test_ours_makes_one_pass_and_gives_the_gradients_of_the_oracle():
    slow = ReferenceBKinD(**TINY).eval()
    ours = BKinD(**TINY).eval()
    load_state_dict(ours, slow.state_dict(), source='slow')
    calls = {name: [] for name in ('ours', 'slow')}
    pairs = torch.randn(2, 2, 3, SIZE, SIZE)
    for name, model in (('ours', ours), ('slow', slow)):
        model.epoch = 1
        model.encoder.register_forward_hook(
            lambda _, images, __, name=name: calls[name].append(len(images[0]))
        )
        sum_losses(model(pairs, mode='loss')).backward()
    assert calls == {'ours': [10], 'slow': [2] * 5}
    wanted = dict(slow.named_parameters())
    for name, parameter in ours.named_parameters():
        want = wanted[name].grad
        assert want is not None
        scale = float(want.abs().max())
        torch.testing.assert_close(parameter.grad, want, rtol=0, atol=1e-3 * scale + 1e-9)


def test_losses_join_after_the_curriculum():
    model = BKinD(**TINY)
    pairs = torch.randn(2, 2, 3, SIZE, SIZE)
    assert list(model(pairs, mode='loss')) == ['loss_reconstruction']
    model.epoch = 1
    joined = ['loss_reconstruction', 'loss_rotation', 'loss_separation']
    assert list(model(pairs, mode='loss')) == joined


@pytest.mark.parametrize('kind', ['perceptual', 'lite0', 'mse'])
def test_what_the_loss_compares_with_is_loaded_at_the_start_and_not_saved(kind, monkeypatch):
    weights = timm.create_model('tf_efficientnet_lite0').state_dict()
    monkeypatch.setattr('projects.bkind.networks.load_image_weights', lambda source: weights)
    model = BKinD(**{**TINY, 'losses': dict(kind=kind)})
    # as mmengine does when training starts
    model.init_weights()
    assert ('network' in vars(model.losses.reconstruction)) == (kind != 'mse')
    assert {name.partition('.')[0] for name in model.state_dict()} == {'encoder', 'decoder'}
    model(torch.randn(2, 2, 3, SIZE, SIZE), mode='loss')['loss_reconstruction'].backward()
    assert not list(model.losses.parameters())


def test_without_the_rotation_loss_nothing_is_turned():
    model = BKinD(**{**TINY, 'losses': dict(kind='mse', rotation_weight=0.0)})
    model.epoch = 1
    images = []
    model.encoder.register_forward_hook(lambda _, args, __: images.append(len(args[0])))
    losses = model(torch.randn(2, 2, 3, SIZE, SIZE), mode='loss')
    assert list(losses) == ['loss_reconstruction', 'loss_separation']
    assert images == [4]


def test_a_pair_counts_by_its_weight():
    model = BKinD(**TINY).eval()
    pairs = torch.randn(2, 2, 3, SIZE, SIZE)
    alone = model(pairs[:1], mode='loss')['loss_reconstruction']
    samples = [BaseDataElement(), BaseDataElement()]
    samples[1].weight = 0.0
    together = model(list(pairs), samples, mode='loss')['loss_reconstruction']
    torch.testing.assert_close(together, alone / 2)


def test_prediction_of_pairs_says_how_well_they_are_painted():
    model = BKinD(**TINY).eval()
    pairs = torch.randn(2, 2, 3, SIZE, SIZE)
    with torch.no_grad():
        samples = model(pairs, [BaseDataElement(metainfo={'name': n}) for n in 'ab'], 'predict')
        seen = model.inspect(pairs)
    assert [sample.name for sample in samples] == ['a', 'b']
    error = (seen['reconstruction'] - seen['target']).square().mean((1, 2, 3))
    torch.testing.assert_close(torch.stack([s.recon_error for s in samples]), error)
    torch.testing.assert_close(samples[1].keypoints, seen['keypoints'][1, 0])
    assert seen['heat_maps'].shape == (2, 2, 3, SIZE // 4, SIZE // 4)


def test_the_preprocessor_says_how_images_look():
    numbers = dict(mean=[0.0, 0.0, 0.0], std=[255.0, 255.0, 255.0], format_shape='NCHW')
    with DefaultScope.overwrite_default_scope('mmotion'):
        preprocessor = dict(type='ActionDataPreprocessor', **numbers)
        model = BKinD(**TINY, data_preprocessor=preprocessor).eval()
    frames = torch.randint(0, 256, (2, 3, SIZE, SIZE), dtype=torch.uint8)
    batch = {'inputs': [frames], 'data_samples': [BaseDataElement()]}
    inputs = model.data_preprocessor(batch)['inputs']
    assert inputs.shape == (1, 2, 3, SIZE, SIZE)
    torch.testing.assert_close(model.inspect(inputs)['images'][0], frames / 255)


@pytest.mark.parametrize(
    ('shape', 'mode', 'message'),
    [
        pytest.param((1, 2, 3, 32, 32), 'loss', r'got \(1, 2, 3, 32, 32\); resize', id='size'),
        pytest.param((1, 3, 3, SIZE, SIZE), 'predict', r'\(B, 1 or 2, 3, 64, 64\)', id='frames'),
        pytest.param((2, 3, SIZE, SIZE), 'tensor', r'got \(2, 3, 64, 64\)', id='axes'),
        pytest.param((1, 1, 3, SIZE, SIZE), 'loss', "must be pairs in mode 'loss'", id='no pair'),
        pytest.param((1, 2, 3, SIZE, SIZE), 'train', "got mode='train'", id='mode'),
    ],
)
def test_wrong_inputs_are_refused(shape, mode, message):
    with pytest.raises(ValueError, match=message):
        BKinD(**TINY)(torch.zeros(shape), mode=mode)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        pytest.param(dict(image_size=100), 'multiple of 32, got image_size=100', id='size'),
        pytest.param(dict(curriculum_epoch=-1), 'got curriculum_epoch=-1', id='curriculum'),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        BKinD(**{**TINY, **options})


def test_weights_that_training_needs_are_looked_for_at_its_start(tmp_path):
    missing = str(tmp_path / 'none.pth')
    model = BKinD(**{**TINY, 'losses': dict(vgg=missing)})
    with pytest.raises(CheckpointError, match=r'none\.pth'):
        model.init_weights()
    model = BKinD(**{**TINY, 'encoder': dict(name='resnet18', init=missing)})
    with pytest.raises(CheckpointError, match=r'none\.pth'):
        model.init_weights()


@DATASETS.register_module(force=True)
class NoisePairs(Dataset):
    """Two pairs of noise."""

    def __len__(self):
        return 2

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        frames = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8, generator=generator)
        return {'inputs': frames, 'data_samples': BaseDataElement()}


def make_config(max_epochs: int, **train_cfg: Any) -> Config:
    preprocessor = dict(
        type='ActionDataPreprocessor', mean=[128.0] * 3, std=[64.0] * 3, format_shape='NCHW'
    )
    return Config(
        dict(
            default_scope='mmotion',
            model=dict(type='BKinD', **{**TINY, 'image_size': 32}, data_preprocessor=preprocessor),
            train_dataloader=dict(
                dataset=dict(type='NoisePairs'),
                sampler=dict(type='DefaultSampler', shuffle=True),
                batch_size=2,
            ),
            train_cfg={'by_epoch': True, 'max_epochs': max_epochs, **train_cfg},
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=1e-3)),
            default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=1)),
        )
    )


def test_a_resumed_run_goes_on_with_the_curriculum(tmp_path):
    runner = build_runner(make_config(1), work_dir=tmp_path)
    runner.train()
    (log,) = tmp_path.glob('*/*.log')
    assert 'never join: curriculum_epoch=1 of 1 epochs' in log.read_text()
    model: Any = runner.model
    assert model.epoch == 0

    runner = build_runner(make_config(2), work_dir=tmp_path, resume='auto')
    runner.train()
    model = runner.model
    assert (runner.epoch, model.epoch) == (2, 1)
    scalars = '\n'.join(p.read_text() for p in sorted(tmp_path.glob('*/vis_data/scalars.json')))
    assert scalars.count('loss_rotation') == 1


def test_a_resumed_run_goes_on_from_any_epoch(tmp_path):
    for max_epochs, resume in ((2, None), (4, 'auto')):
        runner = build_runner(make_config(max_epochs), work_dir=tmp_path, resume=resume)
        runner.train()
    model: Any = runner.model
    assert model.epoch == 3
    (first, second) = sorted(tmp_path.glob('*/*.log'))
    assert 'from epoch 2 on, all losses take part' in first.read_text()
    assert 'all losses take part' not in second.read_text()
    # one step an epoch: the second of the first run, both of the other
    assert [count_rotations(log.parent) for log in (first, second)] == [1, 2]


def count_rotations(folder: Path) -> int:
    return sum(p.read_text().count('loss_rotation') for p in folder.glob('vis_data/scalars.json'))


def test_a_leaf_that_has_other_hooks_gets_all_losses(tmp_path):
    config = load_config('bkind_shapes', {'custom_hooks': [dict(type='EmptyCacheHook')]})
    config.model.curriculum_epoch = 1
    config.train_dataloader.update(batch_size=2, num_workers=0)
    config.train_dataloader.dataset.update(num_videos=1, num_frames=7)
    for key in ('val_dataloader', 'val_evaluator', 'val_cfg'):
        config.pop(key)
    config.train_cfg = dict(by_epoch=True, max_epochs=3)
    runner = build_runner(config, work_dir=tmp_path)
    runner.train()
    model: Any = runner.model
    assert model.epoch == 2
    assert count_rotations(next(tmp_path.glob('*/*.log')).parent) == 2


def test_epochs_of_a_loop_of_ones_own_are_its_own(tmp_path):
    build_runner(make_config(2), work_dir=tmp_path).train()
    # the runner is done, and says nothing to a model that it did not train
    model = BKinD(**TINY)
    pairs = torch.randn(2, 2, 3, SIZE, SIZE)
    assert list(model(pairs, mode='loss')) == ['loss_reconstruction']
    model.epoch = 1
    assert len(model(pairs, mode='loss')) == 3
    # within a run the runner counts, whatever was there before
    hub = MessageHub.get_instance('another run')
    for key, value in {'loop_stage': 'train', 'epoch': 0, 'max_epochs': 2}.items():
        hub.update_info(key, value)
    assert list(model(pairs, mode='loss')) == ['loss_reconstruction']
    hub.update_info('epoch', 1)
    assert len(model(pairs, mode='loss')) == 3
    hub.pop_info('loop_stage')


def test_a_run_that_counts_no_epochs_is_told_so(tmp_path):
    config = make_config(1)
    config.train_cfg = dict(by_epoch=False, max_iters=1)
    build_runner(config, work_dir=tmp_path).train()
    (log,) = tmp_path.glob('*/*.log')
    assert 'never join: curriculum_epoch=1 of 1 epochs; train for more' in log.read_text()
    assert 'with train_cfg.by_epoch=True' in log.read_text()


def test_training_in_bfloat16_follows_that_in_float32():
    config = load_config('bkind_shapes')
    config.train_dataloader.update(batch_size=8, num_workers=0, persistent_workers=False)
    with DefaultScope.overwrite_default_scope('mmotion'):
        loader = Runner.build_dataloader(config.train_dataloader)
        batches = [*itertools.islice(loader, 10)]
        curves = []
        for kind in ('OptimWrapper', 'BFloat16OptimWrapper'):
            torch.manual_seed(0)
            model = MODELS.build(config.model).train()
            model.epoch = config.model.curriculum_epoch
            config.optim_wrapper.type = kind
            optim_wrapper = build_optim_wrapper(model, config.optim_wrapper)
            losses = [model.train_step(batches[i % 10], optim_wrapper)['loss'] for i in range(30)]
            curves.append(torch.stack(losses).detach().view(3, 10).mean(1))
    # both learn, and the two drift apart as all trainings do whose numbers differ
    assert curves[0][2] < 0.6 * curves[0][0]
    torch.testing.assert_close(curves[1], curves[0], rtol=0.03, atol=0)
