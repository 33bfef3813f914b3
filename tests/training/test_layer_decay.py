"""Learning rates by layer."""

import pytest
from torch import nn

from mmotion.registry import OPTIM_WRAPPER_CONSTRUCTORS


def build(backbone, decay=0.5):
    model = nn.ModuleDict({'backbone': backbone, 'head': nn.Linear(2, 2)})
    options = dict(
        type='LayerDecayConstructor',
        optim_wrapper_cfg=dict(optimizer=dict(type='SGD', lr=1.0, weight_decay=0.1)),
        paramwise_cfg=dict(layer_decay=decay),
    )
    wrapper = OPTIM_WRAPPER_CONSTRUCTORS.build(options)(model)
    names = [name for name, _ in model.named_parameters()]
    return dict(zip(names, wrapper.optimizer.param_groups, strict=True))


def test_the_rate_falls_from_the_head_to_the_input():
    layers = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
    groups = build(
        nn.ModuleDict({'embed': nn.Linear(2, 2), 'layers': layers, 'end': nn.Linear(2, 2)})
    )
    rates = {name: group['lr'] for name, group in groups.items() if name.endswith('weight')}
    assert list(rates.values()) == [0.125, 0.25, 0.5, 0.5, 1.0]
    assert groups['head.bias']['weight_decay'] == 0
    assert groups['head.weight']['weight_decay'] == 0.1


def test_a_network_without_layers_is_refused():
    with pytest.raises(ValueError, match='numbered layers'):
        build(nn.Linear(2, 2))


def test_a_decay_out_of_range_is_refused():
    with pytest.raises(ValueError, match='layer_decay'):
        build(nn.Linear(2, 2), decay=2)
