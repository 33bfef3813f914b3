"""Weights of four implementations, told apart and renamed; for their numbers see also test_golden.

MMAction2 and timm are installed: their networks and the converted ones must give the same output.
"""

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from einops import rearrange
from mmengine.registry import DefaultScope
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from mmotion.registry import MODELS
from projects.timesformer.convert import convert
from projects.timesformer.models import TimeSformer

from .conftest import transformers_name

MakeState = Callable[[str, str], dict[str, Tensor]]
TINY: dict[str, Any] = dict(
    num_frames=4, image_size=64, vit=dict(embed_dim=96, depth=2, num_heads=4)
)
THREE_SCHEMES = ['space_only', 'joint_space_time', 'divided_space_time']


def mmaction_name(name: str, *, divided: bool) -> str:
    """What MMAction2 calls a weight of the reference."""
    space = 1 if divided else 0
    for pattern, theirs in (
        (r'patch_embed\.proj', 'patch_embed.projection'),
        (r'^blocks', 'transformer_layers.layers'),
        (r'temporal_norm1', 'attentions.0.norm'),
        (r'temporal_attn\.qkv\.', 'attentions.0.attn.in_proj_'),
        (r'temporal_attn\.proj', 'attentions.0.attn.out_proj'),
        (r'temporal_fc', 'attentions.0.temporal_fc'),
        (r'norm1', 'attentions.1.norm' if divided else 'norms.0'),
        (r'norm2', 'ffns.0.norm' if divided else 'norms.1'),
        (r'(\d)\.attn\.qkv\.', rf'\1.attentions.{space}.attn.in_proj_'),
        (r'(\d)\.attn\.proj', rf'\1.attentions.{space}.attn.out_proj'),
        (r'mlp\.fc1', 'ffns.0.layers.0.0'),
        (r'mlp\.fc2', 'ffns.0.layers.1'),
    ):
        name = re.sub(pattern, theirs, name)
    return re.sub(r'^head', 'cls_head.fc_cls', name) if 'head' in name else f'backbone.{name}'


FORMATS: dict[str, Callable[[str, bool], str]] = {
    'facebookresearch': lambda name, divided: f'model.{name}',
    'transformers': lambda name, divided: transformers_name(name),
    'mmaction2': lambda name, divided: mmaction_name(name, divided=divided),
    'timm': lambda name, divided: name,
}


@pytest.mark.parametrize('attention', THREE_SCHEMES)
@pytest.mark.parametrize('source', FORMATS)
def test_every_format_gives_the_same_weights(
    source: str, attention: str, make_reference_state: MakeState
) -> None:
    state = make_reference_state(attention, 'B')
    divided = attention == 'divided_space_time'
    theirs = {FORMATS[source](name, divided): value for name, value in state.items()}
    assert len(theirs) == len(state)
    recognizer = MODELS.build(
        dict(
            type='Recognizer3D',
            backbone=dict(type='TimeSformer', attention=attention, **TINY),
            cls_head=dict(type='TimeSformerHead', num_classes=10, in_channels=96),
        )
    )
    converted = convert(theirs)
    recognizer.load_state_dict(converted)
    for name, value in zip(state, converted.values(), strict=True):
        assert torch.equal(value.flatten(), state[name].flatten()), name


@pytest.mark.parametrize('attention', THREE_SCHEMES)
def test_same_embedding_as_mmaction2(attention: str) -> None:
    with DefaultScope.overwrite_default_scope('mmaction'):
        theirs = MODELS.build(
            dict(
                type='mmaction.TimeSformer',
                num_frames=4,
                img_size=64,
                patch_size=16,
                embed_dims=96,
                num_transformer_layers=2,
                num_heads=4,
                attention_type=attention,
                _scope_='mmaction',
            )
        ).eval()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    ours = TimeSformer(attention=attention, **TINY).eval()
    converted = convert(theirs.state_dict())
    ours.load_state_dict({k.removeprefix('backbone.'): v for k, v in converted.items()})
    clips = torch.randn(2, 3, 4, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(clips), theirs(clips), rtol=0, atol=2e-5)


def test_same_embedding_as_timm() -> None:
    theirs = VisionTransformer(img_size=64, embed_dim=96, depth=2, num_heads=4, num_classes=10)
    theirs.eval()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    ours = TimeSformer(attention='space_only', **TINY).eval()
    converted = convert(theirs.state_dict())
    backbone = {k: v for k, v in converted.items() if k.startswith('backbone.')}
    ours.load_state_dict({k.removeprefix('backbone.'): v for k, v in backbone.items()})
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        embeddings = ours(rearrange(images, 'b c h w -> b c 1 h w'))
        torch.testing.assert_close(
            embeddings, theirs.forward_features(images)[:, 0], rtol=0, atol=2e-5
        )


def test_a_backbone_without_a_head_stays_without() -> None:
    vit = VisionTransformer(img_size=32, embed_dim=24, depth=1, num_heads=2, num_classes=0)
    state: dict[str, Tensor] = vit.state_dict()
    assert all(name.startswith('backbone.') for name in convert(state))


@pytest.mark.parametrize(
    ('added', 'removed', 'message'),
    [
        pytest.param(
            ('blocks.1.ls1.gamma', 'fc_norm.weight'),
            (),
            r'unexpected: blocks\.1\.ls1\.gamma, fc_norm\.weight',
            id='unexpected',
        ),
        pytest.param(
            (),
            ('blocks.1.temporal_fc.bias', 'time_embed'),
            r'missing: backbone\.blocks\.1\.added\.time\.fc\.bias, backbone\.time_embed',
            id='missing',
        ),
    ],
)
def test_names_that_are_wrong_are_listed(
    added: tuple[str, ...],
    removed: tuple[str, ...],
    message: str,
    make_reference_state: MakeState,
) -> None:
    state = make_reference_state('divided_space_time', 'A')
    state |= {name: torch.zeros(1) for name in added}
    for name in removed:
        del state[name]
    with pytest.raises(ValueError, match=message):
        convert(state)


def test_a_block_that_is_missing_is_listed(make_reference_state: MakeState) -> None:
    state = make_reference_state('space_only', 'A')
    state = {name: value for name, value in state.items() if not name.startswith('blocks.0.')}
    with pytest.raises(ValueError, match=r'missing: backbone\.blocks\.0\.attn\.norm\.bias'):
        convert(state)


def test_own_weights_are_refused() -> None:
    state = TimeSformer(**TINY).state_dict()
    with pytest.raises(ValueError, match='mmotion TimeSformer already; use them as they are'):
        convert(state)
    with pytest.raises(ValueError, match='already'):
        convert({f'backbone.{name}': value for name, value in state.items()})


@pytest.mark.parametrize(
    ('state', 'message'),
    [
        pytest.param({}, 'got nothing', id='empty'),
        pytest.param({'layer1.0.conv1.weight': torch.zeros(1)}, r'got layer1\.0', id='resnet'),
    ],
)
def test_other_weights_are_refused(state: dict[str, Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        convert(state)
