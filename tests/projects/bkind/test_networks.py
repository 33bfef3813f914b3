"""The parts of the network: keypoints of maps, maps of keypoints, the two decoders."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmotion.checkpoint import save_checkpoint_file
from mmotion.checkpoint.files import CheckpointError
from projects.bkind.networks import (
    MAP_VARIANCES,
    DecoderBlock,
    KeypointEncoder,
    PoseDecoder,
    ReconstructionDecoder,
    convolve_enlarged,
    find_moments,
    gaussian_maps,
    spatial_softmax,
)
from tools.analysis.reference_bkind import ReferenceBlock, ReferencePoseDecoder

from .reference import Golden


@pytest.mark.parametrize('name', ['hm', 'hm2'])
def test_moments_are_those_of_the_reference(golden_root, name):
    golden = Golden(golden_root, 'bkind_maps')
    found = find_moments(golden[f'in.{name}'])
    for i, key in enumerate(('u_x', 'u_y')):
        golden.check(found.points[..., i], f'{name}.{key}')
    for i, key in enumerate(('var_x', 'var_y', 'cov')):
        golden.check(found.covariance[..., i], f'{name}.{key}')


def test_one_bright_cell_is_the_keypoint():
    logits = torch.zeros(1, 2, 5, 9)
    # row 3 of 5, column 2 of 9; and the corner
    logits[0, 0, 3, 2] = logits[0, 1, 0, 0] = 100.0
    found = spatial_softmax(logits)
    torch.testing.assert_close(found.points[0], torch.tensor([[-0.5, 0.5], [-1.0, -1.0]]))
    torch.testing.assert_close(found.confidence, torch.ones(1, 2))
    torch.testing.assert_close(found.covariance[0, :, :2], torch.full((2, 2), 1e-6))


def test_two_cells_on_a_diagonal_covary():
    maps = torch.zeros(1, 1, 3, 3)
    maps[0, 0, 0, 0] = maps[0, 0, 2, 2] = 0.5
    torch.testing.assert_close(find_moments(maps).covariance, torch.ones(1, 1, 3))


@pytest.mark.parametrize('size', [(8, 8), (16, 16), (32, 32), (64, 64), (24, 40)])
def test_gaussians_are_those_of_the_reference(golden_root, size):
    golden = Golden(golden_root, 'bkind_maps')
    variance = {8: 0.1, 16: 0.1, 32: 0.01}.get(size[0], 0.001)
    maps = gaussian_maps(
        torch.stack([golden['in.u_x'], golden['in.u_y']], dim=2), size=size, variance=variance
    )
    golden.check(maps, f'gauss_{variance}_{size[0]}x{size[1]}')


def test_the_pose_decoder_of_the_reference_does_more_for_the_same_result():
    features = [torch.randn(2, c, s, s) for c, s in ((4, 16), (6, 8), (8, 4), (10, 2))]
    plain = PoseDecoder(channels=[4, 6, 8, 10], num_keypoints=3)
    slow = ReferencePoseDecoder(channels=[4, 6, 8, 10], num_keypoints=3)
    # the plain one takes weights that have more, and is as good
    plain.load_state_dict(plain.fit_weights(slow.state_dict()))
    logits = plain(features)
    assert logits.shape == (2, 3, 16, 16)
    torch.testing.assert_close(slow(features), logits)
    assert [int(slow.state_dict()[f'unused.{i}.norm.num_batches_tracked']) for i in range(3)] == [
        1,
        1,
        1,
    ]
    for decoder in (plain, slow):
        decoder(features).square().mean().backward()
    of_slow = dict(slow.named_parameters())
    for name, parameter in plain.named_parameters():
        torch.testing.assert_close(parameter.grad, of_slow[name].grad, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize('name', ['resnet18', 'resnet50', 'mobilenetv3_small_050'])
def test_the_encoder_may_be_any_network_with_four_strides(name):
    encoder = KeypointEncoder(name=name, num_keypoints=5).eval()
    with torch.no_grad():
        deepest, logits = encoder(torch.zeros(1, 3, 64, 64))
    assert deepest.shape == (1, encoder.num_features, 2, 2)
    assert logits.shape == (1, 5, 16, 16)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        pytest.param(dict(num_keypoints=0), 'at least 1, got num_keypoints=0', id='no keypoints'),
        pytest.param(
            dict(name='resnet7'), "must be a model of timm, got name='resnet7'", id='name'
        ),
        pytest.param(
            dict(name='vit_tiny_patch16_224'), 'must have features at strides', id='one stride'
        ),
    ],
)
def test_what_cannot_encode_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        KeypointEncoder(**{'name': 'resnet18', 'num_keypoints': 4, **options})


def test_weights_of_a_classifier_are_loaded_when_training_starts(tmp_path):
    source = KeypointEncoder(name='resnet18', num_keypoints=4).network.state_dict()
    classifier = {'fc.weight': torch.zeros(1000, 512), 'fc.bias': torch.zeros(1000)}
    save_checkpoint_file({'state_dict': {**source, **classifier}}, tmp_path / 'image.pth')
    encoder = KeypointEncoder(name='resnet18', num_keypoints=4, init=str(tmp_path / 'image.pth'))
    assert not torch.equal(encoder.network.state_dict()['conv1.weight'], source['conv1.weight'])
    encoder.init_weights()
    assert torch.equal(encoder.network.state_dict()['conv1.weight'], source['conv1.weight'])

    source.pop('conv1.weight')
    save_checkpoint_file({'state_dict': source}, tmp_path / 'image.pth')
    with pytest.raises(CheckpointError, match=r'conv1\.weight'):
        encoder.init_weights()


def slow_decoder(decoder, features, points):
    """The reconstruction decoder, block by block, from the description of it."""
    x = features
    for block, variance in zip(decoder.blocks, MAP_VARIANCES, strict=True):
        maps = gaussian_maps(points, size=(x.shape[2], x.shape[3]), variance=variance)
        x = F.interpolate(torch.cat([x, maps], 1), scale_factor=2, mode='bilinear')
        x = F.relu(block.norm1(F.conv2d(x, block.conv1.weight, padding=1)))
        x = F.relu(block.norm2(F.conv2d(x, block.conv2.weight, padding=1)))
    return F.conv2d(x, decoder.head.weight, decoder.head.bias)


def test_the_reconstruction_is_as_described():
    decoder = ReconstructionDecoder(in_channels=64, num_maps=6).double()
    for part in decoder.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.normal_(part.weight, std=0.2)
    features = torch.randn(2, 64, 2, 2).double()
    points = (torch.rand(2, 6, 2) * 2 - 1).double()
    pictures = decoder(features, points)
    assert pictures.shape == (2, 3, 64, 64)
    torch.testing.assert_close(pictures, slow_decoder(decoder, features, points))
    assert [block.conv2.out_channels for block in decoder.blocks] == [32, 16, 8, 4, 2]


def test_the_widths_of_the_decoder_need_a_multiple_of_32():
    with pytest.raises(ValueError, match='multiple of 32, got in_channels=48'):
        ReconstructionDecoder(in_channels=48, num_maps=6)


@pytest.mark.parametrize('size', [(1, 1), (3, 5), (8, 8)], ids=str)
def test_enlarging_and_convolving_can_change_places(size):
    x, weight = torch.randn(2, 6, *size).double(), torch.randn(4, 6, 3, 3).double()
    large = F.interpolate(x, scale_factor=2, mode='bilinear', align_corners=False)
    want = F.conv2d(large, weight, padding=1)
    torch.testing.assert_close(convolve_enlarged(x, weight), want)


@pytest.mark.parametrize('size', [(3, 5), (1, 129)], ids=['small', 'large'])
def test_a_block_gives_the_same_in_either_order(size):
    slow = ReferenceBlock(in_channels=6, out_channels=4)
    ours = DecoderBlock(in_channels=6, out_channels=4)
    ours.load_state_dict(slow.state_dict())
    x = torch.randn(1, 6, *size)
    assert ours(x).shape == (1, 4, 2 * size[0], 2 * size[1])
    torch.testing.assert_close(ours(x), slow(x), rtol=1e-4, atol=1e-4)
