"""Weights of three implementations, told apart and renamed; for their numbers see test_backbones.

Only names are looked at, so that tensors of one number stand for the real ones.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmaction.models.backbones import ResNet3dSlowFast
from torch import Tensor, nn
from torchvision.models.video import r2plus1d_18

from mmotion.checkpoint import load_checkpoint_file, save_checkpoint_file
from mmotion.cli import main
from projects.anomaly.backbones import R2Plus1D, SlowFast
from projects.anomaly.convert import convert

from .reference_weights import pytorchvideo_name


def numbered(names: list[str]) -> dict[str, Tensor]:
    return {name: torch.tensor(float(i)) for i, name in enumerate(names)}


def names_of(make: type[nn.Module], **options: bool) -> list[str]:
    with torch.device('meta'):
        return list(make(**options).state_dict())


@pytest.fixture(scope='module')
def r2plus1d() -> list[str]:
    return names_of(R2Plus1D)


@pytest.fixture(scope='module')
def slowfast() -> list[str]:
    return names_of(SlowFast)


def assert_renamed(theirs: dict[str, str], ours: list[str], extra: tuple[str, ...] = ()) -> None:
    """Every weight is found under its name here, and nothing else is."""
    state = numbered([*theirs, *extra])
    converted = convert(state)
    assert {name.removeprefix('backbone.') for name in converted} == set(ours)
    for name, new in theirs.items():
        assert converted[f'backbone.{new}'] is state[name], name
    assert convert(converted) == converted


def test_torchvision(r2plus1d: list[str]) -> None:
    with torch.device('meta'):
        theirs = list(r2plus1d_18(weights=None).state_dict())
    same = {name: name for name in theirs if not name.startswith('fc.')}
    assert_renamed(same, r2plus1d, ('fc.weight', 'fc.bias'))


@pytest.mark.parametrize('prefix', ['', 'model.'])
def test_pytorchvideo(slowfast: list[str], prefix: str) -> None:
    theirs = {prefix + pytorchvideo_name(name): name for name in slowfast}
    head = (f'{prefix}blocks.6.proj.weight', f'{prefix}blocks.6.proj.bias')
    assert_renamed(theirs, slowfast, head)


def test_names_of_pytorchvideo_are_those_of_its_model(
    slowfast: list[str], golden_root: Path
) -> None:
    theirs = np.load(golden_root / 'slowfast_r50_32x64_B.npz')['names'].tolist()
    backbone = [name for name in theirs if not name.startswith('blocks.6.')]
    assert {pytorchvideo_name(name) for name in slowfast} == set(backbone)


@pytest.mark.parametrize('lateral_norm', [False, True])
@pytest.mark.parametrize('prefix', ['', 'backbone.'])
def test_mmaction2(prefix: str, lateral_norm: bool) -> None:
    path = dict(type='resnet3d', depth=50, pretrained=None, conv1_stride_t=1, pool1_stride_t=1)
    slow = dict(path, lateral=True, lateral_norm=lateral_norm, conv1_kernel=(1, 7, 7))
    fast = dict(path, lateral=False, base_channels=8, conv1_kernel=(5, 7, 7))
    with torch.device('meta'):
        theirs = ResNet3dSlowFast(slow_pathway=slow, fast_pathway=fast).state_dict()
    ours = names_of(SlowFast, lateral_norm=lateral_norm)
    head = ('cls_head.fc_cls.weight', 'cls_head.fc_cls.bias')
    assert_renamed({f'{prefix}{name}': name for name in theirs}, ours, head)


def test_counters_that_a_file_lacks_are_zero(r2plus1d: list[str]) -> None:
    kept = [name for name in r2plus1d if not name.endswith('num_batches_tracked')]
    converted = convert(numbered(kept))
    assert len(converted) == len(r2plus1d)
    assert converted['backbone.layer2.0.downsample.1.num_batches_tracked'] == 0


def test_names_that_are_wrong_are_listed(slowfast: list[str]) -> None:
    theirs = [pytorchvideo_name(name) for name in slowfast]
    theirs.remove('blocks.3.multipathway_blocks.1.res_blocks.0.branch1_conv.weight')
    theirs.append('blocks.4.multipathway_fusion.norm.weight')
    message = (
        r'missing: fast_path\.layer3\.0\.downsample\.conv\.weight; '
        r'unexpected: blocks\.4\.multipathway_fusion\.norm\.weight \(missing'
    )
    with pytest.raises(ValueError, match=message):
        convert(numbered(theirs))


def test_a_deeper_network_is_refused(r2plus1d: list[str]) -> None:
    third = [name.replace('layer4.1.', 'layer4.2.') for name in r2plus1d if 'layer4.1.' in name]
    with pytest.raises(
        ValueError, match=r'got unexpected: layer4\.2\.conv1\.0\.0\.weight, .*, \.\.\. '
    ):
        convert(numbered([*r2plus1d, *third]))


@pytest.mark.parametrize(
    ('names', 'found'),
    [
        pytest.param([], 'got nothing', id='empty'),
        pytest.param(['cls_token', 'pos_embed'], 'got cls_token, pos_embed', id='transformer'),
    ],
)
def test_other_weights_are_refused(names: list[str], found: str) -> None:
    with pytest.raises(ValueError, match=f'r2plus1d_18 of torchvision, .* {found}'):
        convert(numbered(names))


def test_the_command_line_converts(slowfast: list[str], tmp_path: Path) -> None:
    theirs = {pytorchvideo_name(name): torch.zeros(1) for name in slowfast}
    save_checkpoint_file({'model_state': theirs}, tmp_path / 'SLOWFAST_8x8_R50.pyth')
    target = tmp_path / 'slowfast.pth'
    assert main(['convert', 'anomaly', str(tmp_path / 'SLOWFAST_8x8_R50.pyth'), str(target)]) == 0
    written = load_checkpoint_file(target)['state_dict']
    assert set(written) == {f'backbone.{name}' for name in slowfast}
