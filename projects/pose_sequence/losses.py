"""The loss of SimCLR, which compares the two views of each sequence with all others.

Paper: Chen et al., A Simple Framework for Contrastive Learning of Visual Representations, ICML
    2020, algorithm 1, https://arxiv.org/abs/2002.05709

Shape letters in this file: B sequences, D width of a projection.
"""

import torch
import torch.nn.functional as F
from mmengine.dist import all_gather, get_rank, get_world_size
from torch import Tensor, nn

from mmotion.checks import check_positive


class NTXentLoss(nn.Module):
    """Normalised temperature-scaled cross-entropy: find the other view among all other sequences.

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
        self.temperature = temperature

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
            views = [_gather(x.float()) for x in (first, second)]
            unit = F.normalize(torch.cat(views), dim=1)
            logits = unit @ unit.T / self.temperature
            # nobody is compared with itself
            logits.fill_diagonal_(-torch.inf)
            # the other view of number i is i + B, and the other way round
            target = torch.arange(len(unit), device=unit.device).roll(len(views[0]))
            loss = F.cross_entropy(logits, target)
            # a gradient times the number of processes, as only the own part of it is known here
            # and DDP takes the mean
            num_processes = get_world_size()
            return loss * num_processes - loss.detach() * (num_processes - 1)


def _gather(views: Tensor) -> Tensor:
    """Those of all processes (N, D), where the own ones (B, D) have a gradient."""
    if get_world_size() == 1:
        return views
    gathered = all_gather(views.detach())
    gathered[get_rank()] = views
    return torch.cat(gathered)
