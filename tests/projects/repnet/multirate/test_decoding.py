"""What is believed, what else it could be, and hints."""

import numpy as np
import pytest
import torch

from projects.repnet.multirate.decoding import (
    RATIOS,
    MultiRateOptions,
    decode_periods,
    round_sets,
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
    hinted = MultiRateOptions(**hint).apply_hints(logits, 20.0)
    np.testing.assert_allclose(1 / decode_periods(hinted, 0.5).rate, 10.0, rtol=0.03)


def test_an_example_takes_no_belief_away_but_from_what_is_neither_half_nor_double():
    options = MultiRateOptions(example_s=(3.0, 3.5))
    for period in (5.0, 10.0, 20.0):
        logits = make_logits(period)
        hinted = decode_periods(options.apply_hints(logits, 20.0), 0.5)
        np.testing.assert_allclose(hinted.score, decode_periods(logits, 0.5).score, rtol=1e-3)
    assert decode_periods(options.apply_hints(make_logits(80.0), 20.0), 0.5).score.max() < 0.1


def test_outside_of_a_range_nothing_repeats():
    hinted = MultiRateOptions(period_s=(0.2, 0.7)).apply_hints(make_logits(40.0), 20.0)
    assert not decode_periods(hinted, 0.5).rate.any()


def make_sets(*sizes: int) -> torch.Tensor:
    """Sets of cycles of 8 samples, each of so many columns of 4, with 9 columns between."""
    parts = [part for size in sizes for part in (make_logits(8.0, size=size), make_logits(size=9))]
    return torch.cat(parts)


def test_small_sets_are_left_out():
    decoded = decode_periods(make_sets(4, 20), 0.5)
    rounded = round_sets(decoded, min_count=3)
    assert decoded.rate[:4].all()
    assert not rounded.rate[:4].any()
    assert not rounded.others[:4].any()
    np.testing.assert_array_equal(rounded.rate[4:], decoded.rate[4:])


def test_each_set_is_whole_and_its_cycles_are_as_long_as_they_are():
    # 2.5, 5.5 and 0.5 cycles, of which the first two have a little more
    decoded = decode_periods(make_sets(5, 11, 1), 0.5)
    rate = decoded.rate * np.where(np.arange(44) < 30, 1.02, 1.0)
    rounded = round_sets(decoded._replace(rate=rate))
    steps = [4 * rounded.step[part].sum() for part in (slice(14), slice(14, 34), slice(34, 44))]
    assert steps == pytest.approx([3, 6, 0])
    np.testing.assert_array_equal(rounded.rate[:34], rate[:34])
    # of the last column of a video there may be only a part
    ends = decode_periods(make_logits(8.0, size=5), 0.5)
    assert 4 * round_sets(ends, last=0.2).step @ [1, 1, 1, 1, 0.2] == pytest.approx(2)
    # and of a long set the beginning may have been counted before: 2.3 + 2.5
    assert 4 * round_sets(ends, begun=2.3).step.sum() == pytest.approx(2.7)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'max_rate_hz': 0}, 'max_rate_hz must be above 0, got 0'),
        ({'threshold': 2}, 'threshold must'),
        ({'period_s': (2.0, 1.0)}, 'period_s must be a range of seconds'),
        ({'example_s': (2.0, 1.0)}, 'must'),
        ({'confidence_curve': (1.0,)}, 'confidence_curve must be two numbers'),
        ({'zero_curve': (1.0,)}, 'zero_curve must be two numbers'),
        ({'min_count': -1}, 'min_count must'),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        MultiRateOptions(**options)
