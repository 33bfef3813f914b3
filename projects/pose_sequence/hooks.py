"""Whether pretraining learns something: labelled neighbours vote on the activity of a sequence.

Paper: Wu et al., Unsupervised Feature Learning via Non-Parametric Instance Discrimination, CVPR
    2018, section 3.4, https://arxiv.org/abs/1805.01978

Shape letters in this file: B sequences, D embedding width, N labelled neighbours, C classes.
"""

import torch
import torch.nn.functional as F
from mmengine.dist import all_gather_object
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from mmotion.checks import check_at_least, check_positive
from mmotion.registry import HOOKS
from mmotion.training.models import unwrap_model

from .models import read_labels


class NeighborVote:
    """The k most similar labelled embeddings vote, each by exp(cosine similarity / temperature).

    Args:
        embeddings: Of the labelled sequences (N, D).
        labels: Their classes (N,).
        num_classes: Number of classes C.
        k: Neighbours that vote; all, if there are fewer.
        temperature: Above 0; small values make the nearest ones count more.

    Example:
        >>> vote = NeighborVote(
        ...     torch.eye(3), torch.tensor([0, 1, 1]), num_classes=2, k=2, temperature=0.1
        ... )
        >>> vote(torch.tensor([[5.0, 1.0, 0.0]])).round(decimals=2).tolist()
        [[1.0, 0.0]]
    """

    def __init__(
        self,
        embeddings: Tensor,
        labels: Tensor,
        *,
        num_classes: int,
        k: int = 20,
        temperature: float = 0.07,
    ) -> None:
        self.embeddings = F.normalize(embeddings.float(), dim=1)
        self.votes = F.one_hot(labels, num_classes).float()
        self.k = min(k, len(labels))
        self.temperature = temperature

    def __call__(self, embeddings: Tensor) -> Tensor:
        """Scores (B, C) of embeddings (B, D); each row sums to 1."""
        similarity = F.normalize(embeddings.float(), dim=1) @ self.embeddings.T
        nearest, index = similarity.topk(self.k, dim=1)
        weights = (nearest / self.temperature).softmax(1)
        return torch.einsum('bk,bkc->bc', weights, self.votes[index])


@HOOKS.register_module()
class NeighborHook(Hook):
    """Give `SimCLR` its labelled neighbours before each validation and test.

    Args:
        dataloader: Config of a data loader of labelled sequences, as `test_dataloader`.
        k: Neighbours that vote.
        temperature: Of the vote, see `NeighborVote`.

    Raises:
        ValueError: If `k` is below 1 or the temperature not above 0.
    """

    def __init__(self, *, dataloader: dict, k: int = 20, temperature: float = 0.07) -> None:
        check_at_least('k', k, 1)
        check_positive('temperature', temperature)
        self.dataloader = dataloader
        self.k = k
        self.temperature = temperature

    def before_val_epoch(self, runner: Runner) -> None:
        """Embed the labelled sequences with the weights of this moment."""
        self._embed(runner)

    def before_test_epoch(self, runner: Runner) -> None:
        """Embed the labelled sequences with the weights that are tested."""
        self._embed(runner)

    @torch.no_grad()
    def _embed(self, runner: Runner) -> None:
        model = unwrap_model(runner.model)
        if isinstance(self.dataloader, dict):
            self.dataloader = runner.build_dataloader(self.dataloader)
        num_classes = len(self.dataloader.dataset.metainfo['classes'])
        model.eval()
        found = []
        for batch in self.dataloader:
            batch = model.data_preprocessor(batch)
            labels = read_labels(batch['data_samples'], num_classes)
            found.append((model(**batch).float().cpu(), labels.cpu()))
        everywhere = [pair for part in all_gather_object(found) for pair in part]
        embeddings, labels = (torch.cat(parts) for parts in zip(*everywhere, strict=True))
        model.neighbors = NeighborVote(
            embeddings.to(next(model.parameters()).device),
            labels,
            num_classes=num_classes,
            k=self.k,
            temperature=self.temperature,
        )
