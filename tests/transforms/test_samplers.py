import pytest

from mmotion.transforms import samplers
from mmotion.transforms.samplers import EpochSliceSampler


@pytest.mark.parametrize(
    ('epoch', 'indices'),
    [
        pytest.param(0, [0, 1, 2, 3], id='first'),
        pytest.param(1, [4, 5, 6, 7], id='second'),
        pytest.param(2, [8, 9, 0, 1], id='begins again'),
    ],
)
def test_epochs_are_consecutive_slices(epoch, indices):
    sampler = EpochSliceSampler(dataset=range(10), epoch_size=4)
    sampler.set_epoch(epoch)
    assert list(sampler) == indices
    assert len(sampler) == 4


def test_processes_share_an_epoch(monkeypatch):
    taken = []
    for rank in range(3):
        monkeypatch.setattr(samplers, 'get_dist_info', lambda rank=rank: (rank, 3))
        sampler = EpochSliceSampler(dataset=range(100), epoch_size=7)
        sampler.set_epoch(1)
        taken.append(list(sampler))
    # 7 samples make 3 steps of 3 processes
    assert [len(indices) for indices in taken] == [3, 3, 3]
    assert sorted(index for indices in taken for index in indices) == list(range(9, 18))


def test_a_huge_data_set_costs_nothing():
    class Huge:
        def __len__(self):
            return 10**12

    sampler = EpochSliceSampler(dataset=Huge(), epoch_size=2)
    sampler.set_epoch(10**11)
    assert list(sampler) == [2 * 10**11, 2 * 10**11 + 1]


@pytest.mark.parametrize(('size', 'epoch_size'), [(0, 1), (5, 0), (5, 6)])
def test_an_epoch_must_fit(size, epoch_size):
    with pytest.raises(ValueError, match=f'got epoch_size={epoch_size} and {size} samples'):
        EpochSliceSampler(dataset=range(size), epoch_size=epoch_size)
