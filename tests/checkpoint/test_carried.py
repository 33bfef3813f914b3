"""What a checkpoint carries for the model that is built for it."""

import pytest
import torch
from torch import nn

from mmotion.checkpoint import CheckpointError, save_safetensors
from mmotion.checkpoint.carried import CARRIED, built_for, collect_carried, find_carried


def test_what_modules_have_read_is_found_when_a_model_is_built_for_the_checkpoint(tmp_path):
    model = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    model[1].carried = {'me/toy/config.json': {'width': 3}}
    assert collect_carried(model) == {'me/toy/config.json': {'width': 3}}
    path = tmp_path / 'toy.safetensors'
    save_safetensors({'w': torch.ones(1)}, path, {CARRIED: collect_carried(model)})
    with built_for(path):
        assert find_carried('me/toy/config.json') == {'width': 3}
        assert find_carried('me/other/config.json') is None
    assert find_carried('me/toy/config.json') is None


@pytest.mark.parametrize('content', [{}, {'meta': 3}, {'meta': {CARRIED: 'text'}}])
def test_a_checkpoint_that_carries_nothing(tmp_path, content):
    torch.save({'state_dict': {'w': torch.ones(1)}, **content}, tmp_path / 'toy.pth')
    with built_for(tmp_path / 'toy.pth'):
        assert find_carried('me/toy/config.json') is None
    for checkpoint in (None, 'https://example.org/toy.pth'):
        with built_for(checkpoint):
            assert find_carried('me/toy/config.json') is None


def test_a_checkpoint_that_is_not_there(tmp_path):
    with built_for(tmp_path / 'gone.pth'), pytest.raises(CheckpointError, match=r'gone\.pth'):
        find_carried('me/toy/config.json')
