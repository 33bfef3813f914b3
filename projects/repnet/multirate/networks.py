"""The network that reads the similarities of all levels, and says what the cycle is.

Shape letters in this file: V videos, T columns of a level, L lags, C channels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .similarity import BINS, SIGHT


class ChannelNorm(nn.Module):
    """Normalise the channels of each place by themselves, so that no place depends on all others.

    Args:
        channels: How many C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels, 1, 1))
        self.shift = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(V, C, T, L) to the same."""
        scale, shift = self.scale.flatten(), self.shift.flatten()
        return F.layer_norm(x.movedim(1, -1), scale.shape, scale, shift).movedim(-1, 1)


class LagBlock(nn.Module):
    """Look around in time and along the lags, added to what was known.

    Args:
        channels: C.
        times: Columns that it looks at, odd.
        dilation: Columns between two of these.
    """

    def __init__(self, *, channels: int, times: int, dilation: int) -> None:
        super().__init__()
        reach = dilation * (times // 2)
        self.look = nn.Conv2d(
            channels, channels, (times, 5), padding=(reach, 2), dilation=(dilation, 1)
        )
        self.norm = ChannelNorm(channels)
        self.mix = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(V, C, T, L) to the same."""
        return x + self.mix(F.relu(self.norm(self.look(x))))


class MultiRateHead(nn.Module):
    """Say for each column of each level which lag is the cycle.

    All levels share all weights. Once, in the middle, a level sees what its two neighbors found at
    the same lags. A level answers for lags from 8 to 16 samples, the first one from 4 on.

    Args:
        in_channels: Channels of `LagSimilarity`.
        channels: Width C.
    """

    def __init__(self, *, in_channels: int, channels: int = 32) -> None:
        super().__init__()
        self.enter = nn.Conv2d(in_channels, channels, (3, 5), padding=(1, 2))
        self.near = nn.Sequential(
            LagBlock(channels=channels, times=3, dilation=1),
            LagBlock(channels=channels, times=5, dilation=2),
        )
        self.exchange = nn.Conv2d(3 * channels, channels, 1)
        self.far = nn.Sequential(
            LagBlock(channels=channels, times=5, dilation=1),
            LagBlock(channels=channels, times=5, dilation=4),
        )
        self.answer = nn.Conv2d(channels, 1, 1)

    def forward(self, levels: list[Tensor], starts: list[int]) -> list[Tensor]:
        """Find the cycle.

        Args:
            levels: Similarities of each level (V, C, T, L), T may differ.
            starts: Number of the first column of each.

        Returns:
            Logits of each level, (V, T, 2 * BINS) of the first and (V, T, BINS) of the others;
            that nothing repeats has the logit 0.
        """
        seen = [self.near(F.relu(self.enter(level))) for level in levels]
        exchanged = []
        for i, x in enumerate(seen):
            columns = torch.arange(starts[i], starts[i] + x.shape[2], device=x.device)
            faster, slower = torch.zeros_like(x), torch.zeros_like(x)
            if i:
                # two columns of the faster level
                pair = [_take(seen[i - 1], 2 * columns + k - starts[i - 1]) for k in (0, 1)]
                faster[..., : SIGHT - BINS] = (pair[0] + pair[1])[..., BINS:] / 2
            if i + 1 < len(seen):
                found = _take(seen[i + 1], columns // 2 - starts[i + 1])
                slower[..., BINS:] = found[..., : SIGHT - BINS]
            exchanged.append(x + F.relu(self.exchange(torch.cat([x, faster, slower], 1))))
        logits = [self.answer(self.far(x)).squeeze(1)[..., : 2 * BINS] for x in exchanged]
        return [logits[0], *(level[..., BINS:] for level in logits[1:])]


def _take(x: Tensor, columns: Tensor) -> Tensor:
    """Columns (t,) of (V, C, T, L), zero where there is none."""
    inside = (columns >= 0) & (columns < x.shape[2])
    return x[:, :, columns.clamp(0, x.shape[2] - 1)] * inside[:, None]
