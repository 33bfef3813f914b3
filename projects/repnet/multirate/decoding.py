"""What the probabilities of all periods say: how fast, how sure, and what else it could be.

Shape letters in this file: T columns, P bins of the axis of periods, A other answers.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from mmotion.checks import check_at_least, check_range, check_segment
from projects.repnet.multirate.clock import MAX_RATE_HZ
from projects.repnet.multirate.periods import bin_to_period, period_to_bin
from projects.repnet.multirate.similarity import COLUMN
from projects.repnet.results import find_sets, round_count

# bins beside the likeliest one that mean the same cycle
REACH = 3
# what is also counted where people do: each half, or two as one, or each of three
RATIOS = (1.0, 0.5, 2.0, 1 / 3, 3.0)
# how far, in octaves, cycles like a shown one are from it
LIKENESS = 0.3
# and how far what may be taken for its half or double
MEANT = 1.25


@dataclasses.dataclass(frozen=True, kw_only=True)
class MultiRateOptions:
    """How a video is counted.

    Args:
        max_rate_hz: Look at so many frames a second at most: every frame up to this rate, every
            second one up to twice of it, and so on. A cycle must last 4 of them.
        threshold: A moment whose probability of repeating is lower repeats nothing, in [0, 1].
        confidence_curve: Slope and offset of a logistic curve that makes of the certainty, in
            [0, 1], how likely the count is within one of the truth; None reports the certainty.
        zero_curve: The same for counts of 0; None takes `confidence_curve`.
        period_s: A hint: the shortest and the longest cycle, in seconds.
        example_s: A hint: when one repetition begins and ends, in seconds of the video. Cycles of
            about its length are looked for.
        min_count: A hint: a set of fewer repetitions is none. One of less than half never is.
        frame_batch: Frames that are encoded at once.

    Raises:
        ValueError: If an option is out of its range.
    """

    max_rate_hz: float = MAX_RATE_HZ
    threshold: float = 0.5
    confidence_curve: Sequence[float] | None = None
    zero_curve: Sequence[float] | None = None
    period_s: Sequence[float] | None = None
    example_s: Sequence[float] | None = None
    min_count: float = 0.0
    frame_batch: int = 64

    def __post_init__(self) -> None:
        check_range('threshold', self.threshold, 0, 1)
        check_at_least('frame_batch', self.frame_batch, 1)
        check_at_least('min_count', self.min_count, 0)
        # written so that NaN fails as well
        if not self.max_rate_hz > 0:
            raise ValueError(f'max_rate_hz must be above 0, got {self.max_rate_hz}')
        for name in ('confidence_curve', 'zero_curve', 'period_s', 'example_s'):
            values = getattr(self, name)
            if values is not None and len(values) != 2:
                raise ValueError(f'{name} must be two numbers, got {name}={tuple(values)}')
        if self.example_s is not None:
            check_segment(self.example_s[0], self.example_s[1])
        if self.period_s is not None and not 0 < self.period_s[0] < self.period_s[1]:
            raise ValueError(
                'period_s must be a range of seconds (shortest, longest) above 0, got '
                f'period_s={tuple(self.period_s)}'
            )

    def apply_hints(self, logits: Tensor, rate_hz: float) -> Tensor:
        """Logits of periods (T, P) as the hints have them.

        A range of periods rules out all others. An example says which of a cycle, its half and its
        double is meant: what speaks for any of them speaks for a cycle of that length.
        """
        period_s = bin_to_period(torch.arange(logits.shape[-1])) / rate_hz
        if self.period_s is not None:
            shortest, longest = self.period_s
            outside = (period_s < shortest) | (period_s > longest)
            logits = logits.masked_fill(outside, -math.inf)
        if self.example_s is not None:
            start_s, end_s = self.example_s
            octaves = torch.log2(period_s / (end_s - start_s))
            like = logits - 0.5 * (octaves / LIKENESS) ** 2
            near = octaves.abs() <= MEANT
            lost = logits[:, near].logsumexp(-1) - like[:, near].logsumexp(-1)
            logits = like + lost.nan_to_num(0.0)[:, None]
        return logits


class Decoded(NamedTuple):
    """What is believed of each column.

    Attributes:
        rate: Repetitions per sample, 1 / period, 0 where nothing repeats, (T,).
        score: Probability that something repeats (T,).
        certainty: Probability of what is believed, that period or none (T,).
        others: Probability of the period times each of `RATIOS`, 0 where nothing repeats, (T, A).
        step: What a sample adds to the count (T,): the rate, until `round_sets` makes sets whole.
    """

    rate: NDArray[np.float64]
    score: NDArray[np.float64]
    certainty: NDArray[np.float64]
    others: NDArray[np.float64]
    step: NDArray[np.float64]


def decode_periods(logits: Tensor, threshold: float) -> Decoded:
    """Believe the likeliest period of each column (T, P), to a part of a bin.

    Example:
        >>> logits = torch.full((1, 24), -20.0)
        >>> logits[0, 8] = 20.0
        >>> round(1 / decode_periods(logits, 0.5).rate[0])
        8
    """
    probability = F.pad(logits.double(), (1, 0)).softmax(-1)
    none, each = probability[:, 0], probability[:, 1:]
    num_bins = each.shape[1]
    best = F.avg_pool1d(each[:, None], 3, 1, 1)[:, 0].argmax(1)
    bins = torch.arange(num_bins)
    near = each * ((bins - best[:, None]).abs() <= REACH)
    place = (near * bins).sum(1) / near.sum(1).clamp_min(1e-9)
    repeats = 1 - none >= threshold
    period = bin_to_period(place)
    around = F.pad(each.cumsum(1), (1, 0))
    others = []
    for ratio in RATIOS:
        middle = period_to_bin(period * ratio)
        first = (middle - REACH).ceil().clamp(0, num_bins).long()
        end = ((middle + REACH).floor() + 1).clamp(0, num_bins).long()
        mass = around.gather(1, end[:, None]) - around.gather(1, first[:, None])
        others.append(mass[:, 0] * repeats)
    rate = (repeats / period).numpy()
    return Decoded(
        rate=rate,
        score=(1 - none).numpy(),
        certainty=torch.where(repeats, near.sum(1), none).clamp(0, 1).numpy(),
        others=torch.stack(others, 1).numpy(),
        step=rate,
    )


def round_sets(
    decoded: Decoded, *, min_count: float = 0.0, last: float = 1.0, begun: float = 0.0
) -> Decoded:
    """Make each set whole repetitions, as people count; leave out small ones.

    Where a set begins and ends is known to a part of a cycle only, so the fraction of its sum means
    nothing: of its last cycle more than half makes one.

    Args:
        decoded: Of all columns that are open.
        min_count: A set of fewer repetitions is none.
        last: How much of the last column there is, in [0, 1].
        begun: What was counted of a set that goes on in the first of these columns.
    """
    samples = np.full(len(decoded.rate), float(COLUMN))
    samples[-1] *= last
    rate, others, step = decoded.rate.copy(), decoded.others.copy(), decoded.rate.copy()
    for first, end in find_sets(rate * COLUMN):
        count = float(rate[first:end] @ samples[first:end])
        before = 0.0 if first else begun
        whole = round_count(before + count)
        if not whole or before + count < min_count:
            rate[first:end], others[first:end], step[first:end] = 0.0, 0.0, 0.0
        else:
            step[first:end] *= max(whole - before, 0.0) / count
    return decoded._replace(rate=rate, others=others, step=step)
