"""What is believed, what else it could be, and hints."""

import numpy as np
import pytest
import torch

from projects.repnet.multirate.decoding import (
    RATIOS,
    MultiRateOptions,
    decode_periods,
    drop_small_sets,
)
from projects.repnet.multirate.periods import period_to_bin


def make_logits(*periods: float, size: int = 5) -> torch.Tensor:
    """Logits (5, 48) of periods, in samples, each half as likely as the one before."""
    bins = torch.arange(48)
    weight = torch.zeros(48)
    for i, period in enumerate(periods):
        # shared between the two bins beside it, as in training
        place = period_to_bin(torch.tensor(period))
        weight += (1 - (bins - place).abs()).clamp_min(0) / 2**i
    return torch.log(1e4 * weight + 1e-5).expand(size, -1)


@pytest.mark.parametrize('period', [4.5, 8.0, 11.7, 40.0, 100.0])
def test_a_peak_gives_its_period(period):
    decoded = decode_periods(make_logits(period), 0.5)
    np.testing.assert_allclose(1 / decoded.rate, period, rtol=0.02)
    assert decoded.score.min() > 0.99
    assert decoded.certainty.min() > 0.99


def test_without_a_peak_nothing_repeats_and_that_is_certain():
    decoded = decode_periods(make_logits(), 0.5)
    assert not decoded.rate.any()
    assert not decoded.others.any()
    assert decoded.certainty.min() > 0.95


def test_half_and_whole_are_both_told():
    decoded = decode_periods(make_logits(20.0, 10.0), 0.5)
    np.testing.assert_allclose(1 / decoded.rate, 20.0, rtol=0.02)
    whole, half = RATIOS.index(1.0), RATIOS.index(0.5)
    assert decoded.others[0, half] / decoded.others[0, whole] == pytest.approx(0.5, rel=0.01)


@pytest.mark.parametrize('hint', [{'period_s': (0.2, 0.7)}, {'example_s': (3.0, 3.5)}])
def test_a_hint_decides_between_half_and_whole(hint):
    logits = make_logits(20.0, 10.0)
    weight = MultiRateOptions(**hint).weigh_periods(48, 20.0)
    np.testing.assert_allclose(1 / decode_periods(logits + weight, 0.5).rate, 10.0, rtol=0.03)


def test_small_sets_are_dropped():
    logits = torch.cat([make_logits(8.0, size=4), make_logits(size=9), make_logits(8.0, size=20)])
    decoded = decode_periods(logits, 0.5)
    dropped = drop_small_sets(decoded, 3)
    assert decoded.rate[:4].all()
    assert not dropped.rate[:4].any()
    np.testing.assert_array_equal(dropped.rate[4:], decoded.rate[4:])


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'max_rate_hz': 0}, 'max_rate_hz must be above 0, got 0'),
        ({'threshold': 2}, 'threshold must'),
        ({'period_s': (2.0, 1.0)}, 'period_s must be a range of seconds'),
        ({'example_s': (2.0, 1.0)}, 'must'),
        ({'confidence_curve': (1.0,)}, 'confidence_curve must be two numbers'),
        ({'min_count': -1}, 'min_count must'),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        MultiRateOptions(**options)
