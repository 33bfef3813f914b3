"""The loss against its closed form."""

import math

import pytest
import torch

from projects.example_project.losses import SmoothedCrossEntropy


@pytest.mark.parametrize(
    ('smoothing', 'expected'),
    [
        # softmax of (log 3, 0) is (3/4, 1/4)
        pytest.param(0.0, -math.log(3 / 4), id='plain'),
        pytest.param(0.2, -0.9 * math.log(3 / 4) - 0.1 * math.log(1 / 4), id='smoothed'),
    ],
)
def test_closed_form(smoothing, expected):
    logits = torch.tensor([[math.log(3.0), 0.0]])
    loss = SmoothedCrossEntropy(smoothing=smoothing)(logits, torch.tensor([0]))
    assert loss.item() == pytest.approx(expected)


@pytest.mark.parametrize('smoothing', [-0.1, 1.0])
def test_smoothing_out_of_range_is_refused(smoothing):
    with pytest.raises(
        ValueError, match=rf'smoothing must be in \[0, 1\), got smoothing={smoothing}'
    ):
        SmoothedCrossEntropy(smoothing=smoothing)
