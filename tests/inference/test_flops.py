"""Counting of multiply-adds."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmotion.config import load_config
from mmotion.inference.flops import AllTokens, Scorer, build_model, clip_shape, count_flops

# what one view costs, in millions of parameters and in billions of multiply-adds; the paper prints
# 121.4 million and, for three views, 0.59, 5.11 and 7.14 trillions
PUBLISHED = {
    'timesformer_k400': (121.4, 196),
    'timesformer_k400_hr': (121.4, 5110 / 3),
    'timesformer_k400_l': (121.4, 7140 / 3),
}


@pytest.mark.parametrize(
    'name',
    [
        pytest.param('timesformer_k400', id='base'),
        pytest.param('timesformer_k400_hr', id='hr', marks=pytest.mark.slow),
        pytest.param('timesformer_k400_l', id='l', marks=pytest.mark.slow),
    ],
)
def test_configs_cost_what_the_paper_says(name) -> None:
    config = load_config(name)
    model = build_model(config)
    parameters, gflops = PUBLISHED[name]
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(parameters, rel=0.02)
    flops = count_flops(AllTokens(model.backbone), clip_shape(config))
    assert flops / 1e9 == pytest.approx(gflops, rel=0.02)


def test_count_is_that_of_the_closed_form() -> None:
    model = build_model(load_config('timesformer_shapes'))
    width, depth, frames, patches = 96, 4, 8, 16
    tokens = frames * (patches + 1)
    # two attentions with a projection each, a second projection of time, and an MLP
    linear = tokens * (4 + 1 + 4 + 8) * width**2
    attention = 2 * width * (patches * frames**2 + frames * (patches + 1) ** 2)
    expected = depth * (linear + attention) + frames * patches * 768 * width
    flops = count_flops(AllTokens(model.backbone), (8, 64, 64))
    assert flops == pytest.approx(expected, rel=0.03)
    # the head reads the class token alone, so less will do
    assert 0.75 * expected < count_flops(Scorer(model), (8, 64, 64)) < flops


class Attention(nn.Module):
    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        query, key, value = clips[..., 0, :], clips[..., :2, 0, :], clips[..., :2, 0, :4]
        return F.scaled_dot_product_attention(query, key, value)


class Matrices(nn.Module):
    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        matrix, vector = clips[0, 0, 0], clips[0, 0, 0, 0]
        return clips @ matrix + matrix @ vector


def test_products_of_matrices_and_vectors_are_counted() -> None:
    assert count_flops(Matrices(), (2, 4, 4)) == 3 * 2 * 4**3 + 4**2


def test_fused_attention_is_counted() -> None:
    # of three channels: 6 queries and 2 keys of width 5, values of width 4
    assert count_flops(Attention(), (6, 1, 5)) == 3 * 6 * 2 * (5 + 4)
