"""The head reads all levels alike."""

import torch

from projects.repnet.multirate.networks import MultiRateHead
from projects.repnet.multirate.similarity import BINS, SIGHT


def make_levels(num_levels: int, num_columns: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    sizes = [num_columns // 2**i for i in range(num_levels)]
    return [torch.randn(1, 8, size, SIGHT, generator=generator) for size in sizes]


def test_what_is_twice_as_slow_looks_the_same_one_level_on():
    torch.manual_seed(0)
    head = MultiRateHead(in_channels=8, channels=8).eval()
    levels = make_levels(5, 128)
    with torch.no_grad():
        whole = head(levels, [0] * 5)
        slower = head(levels[1:], [0] * 4)
    # the first level sees no faster one, so that its neighbour and what is beyond may differ
    for one, other in zip(whole[2:], slower[1:], strict=True):
        torch.testing.assert_close(one, other)


def test_windows_of_a_level_may_begin_anywhere():
    torch.manual_seed(0)
    head = MultiRateHead(in_channels=8, channels=8).eval()
    levels = make_levels(3, 256)
    with torch.no_grad():
        whole = head(levels, [0, 0, 0])
        part = head([level[:, :, 32 >> i :] for i, level in enumerate(levels)], [32, 16, 8])
    torch.testing.assert_close(whole[0][:, 32 + 40 :], part[0][:, 40:])
    assert [logits.shape[-1] for logits in whole] == [2 * BINS, BINS, BINS]
