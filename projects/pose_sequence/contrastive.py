"""SimCLR: learn what keypoint sequences have in common, without labels.

Two views of a sequence are drawn by random transforms. The encoder learns to make their embeddings
more alike than those of any two different sequences of the batch. Whether it learns something can
be seen during training: its k nearest labelled neighbours vote on the activity of a sequence.

Papers: Chen et al., A Simple Framework for Contrastive Learning of Visual Representations, ICML
    2020, section 2 and algorithm 1, https://arxiv.org/abs/2002.05709
    Wu et al., Unsupervised Feature Learning via Non-Parametric Instance Discrimination, CVPR 2018,
    section 3.4, https://arxiv.org/abs/1805.01978 (the vote)

Shape letters in this file: B sequences, 2 views of each, L steps with padding, K points of the
skeleton with 3 numbers each, D embedding width, N labelled neighbours, C classes.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmaction.structures import ActionDataSample
from mmengine.dist import all_gather_object, get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import Tensor, nn

from mmotion.registry import HOOKS, MODELS
from mmotion.training.models import unwrap_model

from .models import read_batch, read_labels, set_scores


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
        if not temperature > 0:
            raise ValueError(f'temperature must be above 0, got temperature={temperature}')
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


@MODELS.register_module()
class SimCLR(BaseModel):
    """Trains an encoder so that two views of a sequence have similar embeddings.

    The projection behind the encoder is only used in training. In testing, a sequence is given
    scores by its k nearest neighbours among labelled sequences, which `NeighborHook` provides.

    Args:
        encoder: Config of a module that turns padded keypoints (B, L, K, 3) and their lengths (B,)
            into embeddings (B, D), with the attribute `embed_dim`.
        hidden_dim: Width of the hidden layer of the projection.
        projection_dim: Width of what the views are compared by.
        temperature: Of the loss, above 0; see `NTXentLoss`.
        data_preprocessor: Config of a data preprocessor; by default data are moved to the device.

    Raises:
        ValueError: If a number is out of its range.
    """

    def __init__(
        self,
        *,
        encoder: dict,
        hidden_dim: int = 128,
        projection_dim: int = 64,
        temperature: float = 0.2,
        data_preprocessor: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor)
        self.encoder = MODELS.build(encoder)
        # equation 1 of the paper: one hidden layer
        self.projector = nn.Sequential(
            nn.Linear(self.encoder.embed_dim, hidden_dim),
            nn.ReLU(),
            nn.Linear(hidden_dim, projection_dim),
        )
        self.loss = NTXentLoss(temperature=temperature)
        self.neighbors: NeighborVote | None = None

    def forward(
        self,
        inputs: Tensor | Sequence[Tensor],
        data_samples: list[ActionDataSample] | None = None,
        mode: str = 'tensor',
    ) -> Tensor | dict[str, Tensor] | list[ActionDataSample]:
        """Run the model in one of mmengine's three modes.

        Args:
            inputs: Mode 'loss': keypoints of two views (B, 2, L, K, 3). Other modes: of one
                (B, L, K, 3). Or a list of B tensors.
            data_samples: One a sequence, with `length`: its valid steps, for two views a pair.
                Without them all steps are valid.
            mode: What to return.

        Returns:
            Mode 'tensor': embeddings (B, D). 'loss': a dict with `loss_nt_xent` and `top1_acc`,
            how often the other view is the most similar one in the batch of this process.
            'predict': the data samples with `pred_score` (C,), which sums to 1, and `pred_label`
            (1,).

        Raises:
            ValueError: If `mode` is another word, data samples or neighbours are missing where they
                are needed, or there are not two views to train with.
        """
        inputs, lengths = read_batch(inputs, data_samples, mode)
        if mode == 'loss':
            return self._compare_views(inputs, lengths)
        embeddings = self.encoder(inputs, lengths)
        if mode == 'tensor' or data_samples is None:
            return embeddings
        if self.neighbors is None:
            raise ValueError(
                'SimCLR must have labelled neighbours to predict, got none; add '
                "dict(type='NeighborHook', dataloader=...) to custom_hooks"
            )
        set_scores(data_samples, self.neighbors(embeddings))
        return data_samples

    def _compare_views(self, inputs: Tensor, lengths: Tensor) -> dict[str, Tensor]:
        if inputs.ndim != 5 or inputs.shape[1] != 2:
            raise ValueError(
                'inputs must be two views (B, 2, L, K, 3) to train with, got '
                f'{tuple(inputs.shape)}; use TwoViews in the training pipeline'
            )
        if len(inputs) * get_world_size() < 2:
            raise ValueError(
                f'a batch must have at least 2 sequences to be compared, got {len(inputs)}; '
                'set a larger batch_size, and drop_last=True'
            )
        embeddings = self.encoder(inputs.flatten(0, 1), lengths.flatten())
        first, second = self.projector(embeddings).unflatten(0, (-1, 2)).unbind(1)
        loss = self.loss(first, second)
        with torch.no_grad():
            most_similar = (F.normalize(first, dim=1) @ F.normalize(second, dim=1).T).argmax(1)
            hits = most_similar == torch.arange(len(first), device=first.device)
        return {'loss_nt_xent': loss, 'top1_acc': hits.float().mean()}


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
        if k < 1:
            raise ValueError(f'k must be at least 1, got k={k}')
        if not temperature > 0:
            raise ValueError(f'temperature must be above 0, got temperature={temperature}')
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
