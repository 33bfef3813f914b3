"""Which samples make up an epoch, where the data set is larger than one."""

import math
from collections.abc import Iterator, Sized

from mmengine.dist import get_dist_info
from torch.utils.data import Sampler

from mmotion.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class EpochSliceSampler(Sampler[int]):
    """Give each epoch the next slice of a data set, so that no two epochs train on the same data.

    Generated data costs nothing to extend: a data set of a million scenes is trained on in epochs
    of a few thousand. Epoch e is the indices from `e * epoch_size` on, counted from 0 again after
    the end. The order within a slice is that of the data set, as generated samples are independent
    of their neighbours; nothing is drawn at random, so a resumed run continues with the very
    samples that it would have had.

    Args:
        dataset: The data set, of which only the length is used.
        epoch_size: Samples in an epoch over all processes; rounded up to a multiple of their
            number, as all must take the same number of steps.
        seed: Not used; mmengine gives it to every sampler.

    Raises:
        ValueError: If the data set is empty or `epoch_size` is not in [1, len(dataset)].

    Example:
        >>> sampler = EpochSliceSampler(dataset=range(10), epoch_size=4)
        >>> sampler.set_epoch(2)
        >>> list(sampler)
        [8, 9, 0, 1]
    """

    def __init__(self, *, dataset: Sized, epoch_size: int, seed: int | None = None) -> None:
        if not 1 <= epoch_size <= len(dataset):
            raise ValueError(
                f'epoch_size must be from 1 to the size of the data set, got '
                f'epoch_size={epoch_size} and {len(dataset)} samples'
            )
        self.dataset_size = len(dataset)
        self.rank, self.world_size = get_dist_info()
        self.num_samples = math.ceil(epoch_size / self.world_size)
        self.epoch = 0

    def __iter__(self) -> Iterator[int]:
        first = self.epoch * self.num_samples * self.world_size + self.rank
        for step in range(self.num_samples):
            yield (first + step * self.world_size) % self.dataset_size

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Choose the slice; called by mmengine's `DistSamplerSeedHook` before each epoch.

        Args:
            epoch: Epoch, counted from 0.
        """
        self.epoch = epoch
