"""Counting of parameters and multiply-adds."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmotion.config import load_config

ANALYSIS = Path(__file__).resolve().parents[2] / 'tools' / 'analysis'
# what one view costs, in millions of parameters and in billions of multiply-adds; the paper prints
# 121.4 million and, for three views, 0.59, 5.11 and 7.14 trillions
PUBLISHED = {
    'timesformer_k400': (121.4, 196),
    'timesformer_k400_hr': (121.4, 5110 / 3),
    'timesformer_k400_l': (121.4, 7140 / 3),
}


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    # where Python looks when a script is run
    monkeypatch.syspath_prepend(ANALYSIS)
    return importlib.import_module('get_flops')


@pytest.mark.parametrize(
    'name',
    [
        pytest.param('timesformer_k400', id='base'),
        pytest.param('timesformer_k400_hr', id='hr', marks=pytest.mark.slow),
        pytest.param('timesformer_k400_l', id='l', marks=pytest.mark.slow),
    ],
)
def test_configs_cost_what_the_paper_says(script, name) -> None:
    config = load_config(name)
    model = script.build_model(config)
    parameters, gflops = PUBLISHED[name]
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(parameters, rel=0.02)
    flops = script.count_flops(script.AllTokens(model.backbone), script.clip_shape(config))
    assert flops / 1e9 == pytest.approx(gflops, rel=0.02)


def test_count_is_that_of_the_closed_form(script) -> None:
    model = script.build_model(load_config('timesformer_shapes'))
    width, depth, frames, patches = 96, 4, 8, 16
    tokens = frames * (patches + 1)
    # two attentions with a projection each, a second projection of time, and an MLP
    linear = tokens * (4 + 1 + 4 + 8) * width**2
    attention = 2 * width * (patches * frames**2 + frames * (patches + 1) ** 2)
    expected = depth * (linear + attention) + frames * patches * 768 * width
    flops = script.count_flops(script.AllTokens(model.backbone), (8, 64, 64))
    assert flops == pytest.approx(expected, rel=0.03)
    # the head reads the class token alone, so less will do
    assert 0.75 * expected < script.count_flops(script.Scorer(model), (8, 64, 64)) < flops


class Attention(nn.Module):
    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        query, key, value = clips[..., 0, :], clips[..., :2, 0, :], clips[..., :2, 0, :4]
        return F.scaled_dot_product_attention(query, key, value)


class Matrices(nn.Module):
    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        matrix, vector = clips[0, 0, 0], clips[0, 0, 0, 0]
        return clips @ matrix + matrix @ vector


def test_products_of_matrices_and_vectors_are_counted(script) -> None:
    assert script.count_flops(Matrices(), (2, 4, 4)) == 3 * 2 * 4**3 + 4**2


def test_fused_attention_is_counted(script) -> None:
    # of three channels: 6 queries and 2 keys of width 5, values of width 4
    assert script.count_flops(Attention(), (6, 1, 5)) == 3 * 6 * 2 * (5 + 4)


def test_a_table_is_printed(script, monkeypatch, capsys) -> None:
    options = ['--views', '10', '--cfg-options', 'model.backbone.vit.depth=1']
    monkeypatch.setattr(sys, 'argv', ['get_flops', 'timesformer_shapes', *options])
    script.main()
    *_, row = capsys.readouterr().out.splitlines()
    name, shape, parameters, gflops, tflops, _ = row.split()
    assert (name, shape) == ('timesformer_shapes', '8x64x64')
    assert float(parameters) == pytest.approx(0.24, abs=0.02)
    assert float(tflops) == pytest.approx(10 * float(gflops) / 1e3, abs=1e-3)


def test_models_of_other_systems_are_counted_at_a_given_shape(script, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, 'argv', ['get_flops', 'repnet_shapes', '--shape', '64', '32', '32'])
    script.main()
    assert 'repnet_shapes' in capsys.readouterr().out


def test_a_shape_must_be_known(script, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, 'argv', ['get_flops', 'repnet_shapes'])
    with pytest.raises(SystemExit):
        script.main()
    assert 'repnet_shapes does not say what clips it takes' in capsys.readouterr().err
