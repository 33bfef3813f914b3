"""From logits of levels to periods and back."""

import math

import pytest
import torch

from projects.repnet.multirate.periods import (
    bin_to_period,
    join_levels,
    period_loss,
    period_to_bin,
)


def test_bins_are_eighths_of_an_octave():
    periods = torch.tensor([4.0, 8.0, 12.0, 250.0])
    torch.testing.assert_close(bin_to_period(period_to_bin(periods)), periods)
    assert period_to_bin(torch.tensor(8.0)) - period_to_bin(torch.tensor(4.0)) == 8


def test_levels_are_joined_by_time():
    # each level says when the middle of its column is, in columns of the first
    levels = [
        (2**i * (torch.arange(8.0 / 2**i) + 0.5) - 0.5)[None, :, None].expand(1, -1, 2)
        for i in range(3)
    ]
    # before the middle of the first column of a level, and after that of the last, it stays
    joined = join_levels(levels, [0, 0, 0], torch.arange(2, 6))
    torch.testing.assert_close(joined[0], torch.arange(2.0, 6.0)[:, None].expand(4, 6))
    later = join_levels([level[:, 1:] for level in levels[:2]], [1, 1], torch.arange(6, 7))
    torch.testing.assert_close(later, torch.full((1, 1, 4), 6.0))


def test_loss_is_that_of_a_uniform_guess_and_of_a_sure_one():
    period = torch.tensor([[0.0, 8.0]])
    mask = torch.ones(1, 2)
    assert period_loss(torch.zeros(1, 2, 24), period, mask).item() == pytest.approx(math.log(25))
    sure = torch.full((1, 2, 24), -30.0)
    sure[0, 1, 8] = 30.0
    assert period_loss(sure, period, mask).item() == pytest.approx(0, abs=1e-6)
    # a column that does not count
    sure[0, 0] = 30.0
    assert period_loss(sure, period, torch.tensor([[0.0, 1.0]])).item() == pytest.approx(
        0, abs=1e-6
    )
