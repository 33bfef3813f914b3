"""How alike a video is to itself some time later, on an axis of lags that is logarithmic.

A level shows the video at one rate, each half that of the level before. Of each level lags from 4
to 30 samples are compared; a cycle of 8 to 16 samples then lies in the middle, with its half and
its double in sight. So one network can read all levels, and a cycle of any length looks the same.

Idea: the lag-aligned self-similarity of `projects.repnet.models`, resampled to logarithmic lags as
    a constant-Q transform resamples frequencies (Brown, J. Acoust. Soc. Am. 89, 1991).

Shape letters in this file: V videos, N samples of a level, T columns of 4 samples, D numbers of an
embedding, G groups of them, K lags in samples, L lags on the logarithmic axis, C channels.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# lags of an octave, and octaves that a level sees: half a cycle, the cycle, two cycles
BINS = 8
SIGHT = 3 * BINS
# the first lag, in samples; the next are 2 ** (1 / BINS) times as long each
FIRST_LAG = 4
# samples that one answer stands for
COLUMN = 4
# what a distance is divided by before its logarithm: the temperature that repnet_small has learned
TEMPERATURE = 2.3
# so that distances between equal frames have a logarithm, and noise is not taken for motion
FLOOR = 0.05
# a distance many times the mean one says no more
MOST = 4.0


class LagSimilarity(nn.Module):
    """Compare each moment with what was and will be one lag away.

    For each lag there are three distances: of a column to later ones, to earlier ones, and the mean
    over all pairs around the column, a lag long. Each is divided by the mean over all lags, which
    makes it independent of how much moves; the mean itself is a channel too.

    Args:
        dim: Numbers of an embedding D.
        groups: Distances G, in each of which the numbers weigh differently; the first weighs all
            alike at the start.
    """

    def __init__(self, *, dim: int, groups: int = 1) -> None:
        super().__init__()
        weight = torch.zeros(dim, groups)
        weight[:, 1:] = torch.randn(dim, groups - 1)
        # softplus of it is 1
        self.weight = nn.Parameter(weight + math.log(math.e - 1))
        self.num_channels = 5 * groups + 3
        lags = FIRST_LAG * 2 ** (torch.arange(SIGHT) / BINS)
        self.last_lag = math.ceil(lags[-1].item())
        near = torch.arange(FIRST_LAG, self.last_lag + 1)
        # (L, K): each logarithmic lag lies between two whole ones
        self.register_buffer(
            'between', (1 - (lags[:, None] - near).abs()).clamp_min(0), persistent=False
        )

    between: Tensor

    def forward(self, embeddings: Tensor, valid: Tensor) -> Tensor:
        """Compare the samples of a level.

        Args:
            embeddings: (V, N, D), N a multiple of `COLUMN`.
            valid: Which of them there are, (V, N).

        Returns:
            (V, C, T, L).
        """
        weight = F.softplus(self.weight)
        columns = []
        for lag in range(FIRST_LAG, self.last_lag + 1):
            there = (valid[:, :-lag] & valid[:, lag:]).float()
            apart = (embeddings[:, lag:] - embeddings[:, :-lag]).square() @ weight
            # pairs by their first sample (V, G + 1, N - lag); the last row counts them
            pairs = torch.cat([apart * there[..., None], there[..., None]], -1).transpose(1, 2)
            columns.append(_around(pairs, lag, embeddings.shape[1]))
        # (V, 3, G + 1, T, K) to logarithmic lags
        sums = torch.stack(columns, -1) @ self.between.T
        total, count = sums[:, :, :-1], sums[:, :, -1:]
        mean = total / count.clamp_min(1e-6)
        share = count[:, :, 0]
        is_there = count > 1e-3
        middle = mean[:, 2] * is_there[:, 2]
        # over all lags
        scale = (middle * share[:, 2, None]).sum(-1) / share[:, 2, None].sum(-1).clamp_min(1e-6)
        ratio = (mean / (scale[:, None, ..., None] + FLOOR)).clamp_max(MOST) - 1
        level = torch.log(middle / TEMPERATURE + FLOOR) * is_there[:, 2]
        amount = torch.log(scale / TEMPERATURE + FLOOR)[..., None].expand_as(level)
        return torch.cat([(ratio * is_there).flatten(1, 2), level, share, amount], 1)


def _around(pairs: Tensor, lag: int, size: int) -> Tensor:
    """Means over pairs of samples that start in a column, end in it, or have it between them.

    Args:
        pairs: By their first sample, (V, R, N - lag).
        lag: Between the two samples.
        size: Samples N.

    Returns:
        (V, 3, R, T), where a pair that is not there counts as zero.
    """
    rest = size - pairs.shape[-1]
    later = F.avg_pool1d(F.pad(pairs, (0, rest)), COLUMN)
    earlier = F.avg_pool1d(F.pad(pairs, (rest, 0)), COLUMN)
    # pairs whose first sample lies up to a lag before the middle of the column
    done = F.pad(F.pad(pairs, (lag, rest)).cumsum(-1), (1, 0))
    middle = torch.arange(COLUMN // 2, size, COLUMN, device=pairs.device)
    between = (done[..., middle + lag] - done[..., middle]) / lag
    return torch.stack([later, earlier, between], 1)
