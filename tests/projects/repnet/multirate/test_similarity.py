"""The similarities of a periodic signal are least far apart at its period."""

import math

import pytest
import torch

from projects.repnet.multirate.similarity import COLUMN, FIRST_LAG, SIGHT, LagSimilarity


def make_periodic(period: float, size: int) -> torch.Tensor:
    """Embeddings (1, N, 6) that come again after a period."""
    phase = 2 * math.pi * torch.arange(size) / period
    return torch.stack([f(k * phase) for k in (1, 2, 3) for f in (torch.sin, torch.cos)], -1)[None]


def lags() -> torch.Tensor:
    return FIRST_LAG * 2 ** (torch.arange(SIGHT) / 8)


@pytest.mark.parametrize('period', [8.0, 10.4, 13.0, 15.9])
def test_distances_are_least_at_the_period_and_its_double(period):
    similarity = LagSimilarity(dim=6)
    seen = similarity(make_periodic(period, 200), torch.ones(1, 200, dtype=torch.bool))
    # the mean over pairs around the column
    middle = seen[0, 2, 20]
    for lag in (period, 2 * period):
        if lag < lags()[-1]:
            nearest = int((lags() / lag).log().abs().argmin())
            assert middle[nearest] < -0.55
    assert abs(math.log2(lags()[middle[:18].argmin()] / period)) < 0.07


def test_what_is_not_there_is_compared_with_nothing():
    similarity = LagSimilarity(dim=6, groups=2)
    embeddings, valid = make_periodic(10.0, 64), torch.ones(1, 64, dtype=torch.bool)
    valid[:, 32:] = False
    seen = similarity(embeddings, valid)
    embeddings[:, 32:] = 1e3
    torch.testing.assert_close(similarity(embeddings, valid), seen)
    assert seen.shape == (1, similarity.num_channels, 64 // COLUMN, SIGHT)


def test_a_video_shorter_than_every_lag_has_no_similarities():
    similarity = LagSimilarity(dim=6)
    seen = similarity(make_periodic(3.0, 4), torch.ones(1, 4, dtype=torch.bool))
    assert seen.shape[2] == 1
    assert torch.isfinite(seen).all()
    # neither a distance nor a share of pairs
    assert not seen[0, :7].any()
