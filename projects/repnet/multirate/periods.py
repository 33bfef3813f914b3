"""From the logits of all levels to one distribution over periods, and back from a known period.

The axis of periods starts at 4 samples of the fastest level and has `BINS` bins an octave. Shape
letters in this file: V videos, T columns, P bins.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .similarity import BINS, FIRST_LAG


def join_levels(logits: list[Tensor], starts: list[int], columns: Tensor) -> Tensor:
    """What all levels say at some columns of the first, between two columns of theirs linear.

    Args:
        logits: Of each level (V, T, bins), see `MultiRateHead`.
        starts: Number of the first column of each.
        columns: Numbers of the columns of the first level (t,).

    Returns:
        (V, t, P), the bins of all levels in order.
    """
    joined = []
    for i, (level, start) in enumerate(zip(logits, starts, strict=True)):
        place = (columns + 0.5) / 2**i - 0.5 - start
        place = place.clamp(0, level.shape[1] - 1)
        before = place.floor().long()
        after = (before + 1).clamp_max(level.shape[1] - 1)
        part = (place - before)[:, None]
        joined.append(level[:, before] * (1 - part) + level[:, after] * part)
    return torch.cat(joined, -1)


def period_to_bin(period: Tensor) -> Tensor:
    """Position on the axis of a period in samples of the fastest level.

    Example:
        >>> period_to_bin(torch.tensor([4.0, 16.0]))
        tensor([ 0., 16.])
    """
    return torch.log2(period / FIRST_LAG) * BINS


def bin_to_period(position: Tensor) -> Tensor:
    """The reverse of `period_to_bin`."""
    return FIRST_LAG * 2 ** (position / BINS)


def period_loss(logits: Tensor, period: Tensor, mask: Tensor) -> Tensor:
    """Cross-entropy with the true period, shared between the two bins beside it, or with none.

    Args:
        logits: (V, T, P), against 0 for 'nothing repeats'.
        period: In samples of the fastest level, 0 where nothing repeats, (V, T).
        mask: Columns that count, (V, T).
    """
    place = period_to_bin(period.clamp_min(1e-3)).clamp(0, logits.shape[-1] - 1)
    before = place.floor().long().clamp_max(logits.shape[-1] - 2)
    part = place - before
    log_p = F.pad(logits, (1, 0)).log_softmax(-1)
    picked = log_p.gather(-1, torch.stack([before + 1, before + 2], -1))
    at_period = picked[..., 0] * (1 - part) + picked[..., 1] * part
    loss = -torch.where(period > 0, at_period, log_p[..., 0])
    return (loss * mask).sum() / mask.sum().clamp_min(1)
