"""The loss of SimCLR, which compares the two views of each sequence with all others.

Paper: Chen et al., A Simple Framework for Contrastive Learning of Visual Representations, ICML
    2020, algorithm 1, https://arxiv.org/abs/2002.05709

Shape letters in this file: B sequences, D width of a projection.
"""

import torch
from mmengine.dist import get_rank, get_world_size
from torch import Tensor, nn

from mmotion.checks import check_positive


class NTXentLoss(nn.Module):
    """Normalised temperature-scaled cross-entropy: find the other view among all other sequences.

    Computed by pytorch-metric-learning. With two views a sequence NT-Xent is the supervised
    contrastive loss in which each sequence is a class of its own, and that class of the library
    needs B ** 2 numbers; its `NTXentLoss` needs B ** 3, which for 256 sequences are 2 GB.

    With several processes, the sequences of all are compared, and the gradients that DDP averages
    are those of one process with the whole batch. All processes need equally many sequences.

    Args:
        temperature: Above 0; small values make the most similar other sequences count more.

    Raises:
        ValueError: If the temperature is not above 0.

    Example:
        >>> same, other = torch.eye(2), torch.eye(2).flip(0)
        >>> loss = NTXentLoss(temperature=0.1)
        >>> float(loss(same, same)) < 0.01 < 10 < float(loss(same, other))
        True
    """

    def __init__(self, *, temperature: float) -> None:
        super().__init__()
        check_positive('temperature', temperature)
        # slow to import, and only pretraining needs it
        from pytorch_metric_learning.losses import SupConLoss
        from pytorch_metric_learning.utils.distributed import DistributedLossWrapper

        self.local = SupConLoss(temperature=temperature)
        self.gathered = DistributedLossWrapper(self.local)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Compare the views of a batch.

        Args:
            first: Projections of the first views (B, D), of any length.
            second: Those of the second views, in the same order (B, D).

        Returns:
            The mean loss of all views, of all processes ().
        """
        # half precision is too coarse for a sum of exponentials
        with torch.autocast(first.device.type, enabled=False):
            views = torch.cat([first, second]).float()
            labels = torch.arange(len(first), device=first.device).repeat(2)
            num_processes = get_world_size()
            if num_processes == 1:
                return self.local(views, labels)
            # a gradient times the number of processes, as only the own part of it is known here
            # and DDP takes the mean; the value itself is that of the whole batch
            loss = self.gathered(views, labels + get_rank() * len(first))
            return loss - loss.detach() * (1 - 1 / num_processes)
