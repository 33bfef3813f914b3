"""Which activity a sequence of keypoints shows, and SimCLR, which learns without being told.

`SequenceClassifier` is an encoder and one linear layer. The encoder may start from SimCLR's:
`load_from` its checkpoint takes the weights named `encoder.*`. With `freeze_encoder` the linear
layer alone is trained, which is the linear probe of SimCLR, section 2.2. `SimCLR` needs no labels:
it learns to make the embeddings of two random views of a sequence more alike than those of any two
different sequences of the batch.

Paper: Chen et al., A Simple Framework for Contrastive Learning of Visual Representations, ICML
    2020, section 2 and algorithm 1, https://arxiv.org/abs/2002.05709

Shape letters in this file: B sequences, 2 views of each, L steps with padding, K points of the
skeleton with 3 numbers each (x, y, confidence), D embedding width, C classes.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmaction.structures import ActionDataSample
from mmengine.dist import get_world_size
from mmengine.model import BaseModel
from torch import Tensor, nn
from typing_extensions import Self

from mmotion.checks import check_at_least, check_range
from mmotion.registry import MODELS
from mmotion.training.models import check_mode, send_numbers

from .losses import NTXentLoss


class Standardize(nn.Module):
    """Gives each number of an embedding mean 0 and variance 1 over the sequences.

    In training over those of the batch, in testing by what was seen in training: batch
    normalisation without weights, which also takes a batch of one.

    Args:
        dim: Width D of the embeddings.
    """

    mean: Tensor
    var: Tensor

    def __init__(self, *, dim: int) -> None:
        super().__init__()
        self.register_buffer('mean', torch.zeros(dim))
        self.register_buffer('var', torch.ones(dim))

    def forward(self, embeddings: Tensor) -> Tensor:
        """Standardise embeddings (B, D)."""
        # one sequence alone has no variance
        training = self.training and embeddings.shape[0] > 1
        return F.batch_norm(embeddings.float(), self.mean, self.var, training=training)


@MODELS.register_module()
class SequenceClassifier(BaseModel):
    """Gives each keypoint sequence a score for each activity.

    Args:
        encoder: Config of a module that turns padded keypoints (B, L, K, 3) and their lengths (B,)
            into embeddings (B, D), with the attribute `embed_dim`.
        num_classes: Number of activities.
        label_smoothing: Share of the target, in [0, 1), that is spread over all classes.
        freeze_encoder: Train the linear layer alone. The encoder then stays in eval mode, with its
            dropout off and its statistics as they are, and embeddings are standardised, as
            probes are in He et al., Masked Autoencoders, arXiv 2111.06377, appendix A.1.
        data_preprocessor: Config of a data preprocessor; by default data are moved to the device.

    Raises:
        ValueError: If a number is out of its range.

    Example:
        >>> encoder = dict(type='LSTMEncoder', num_points=17)
        >>> SequenceClassifier(encoder=encoder, num_classes=6)(torch.zeros(2, 10, 17, 3)).shape
        torch.Size([2, 6])
    """

    def __init__(
        self,
        *,
        encoder: dict,
        num_classes: int,
        label_smoothing: float = 0.0,
        freeze_encoder: bool = False,
        data_preprocessor: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor)
        check_at_least('num_classes', num_classes, 2)
        check_range('label_smoothing', label_smoothing, 0, 1, ends='[)')
        self.encoder = MODELS.build(encoder)
        self.num_classes = num_classes
        self.label_smoothing = label_smoothing
        self.freeze_encoder = freeze_encoder
        dim = self.encoder.embed_dim
        self.norm = Standardize(dim=dim) if freeze_encoder else nn.Identity()
        self.head = nn.Linear(dim, num_classes)
        if freeze_encoder:
            self.encoder.requires_grad_(False)
            self.encoder.eval()

    def train(self, mode: bool = True) -> Self:
        """Switch between training and testing; a frozen encoder is always as in testing."""
        super().train(mode)
        if self.freeze_encoder:
            self.encoder.eval()
        return self

    def compile(self, **options: Any) -> None:
        """Compile the encoder in place, with options of `torch.compile`."""
        self.encoder.compile(**options)

    def forward(
        self,
        inputs: Tensor | Sequence[Tensor],
        data_samples: list[ActionDataSample] | None = None,
        mode: str = 'tensor',
    ) -> Tensor | dict[str, Tensor] | list[ActionDataSample]:
        """Run the model in one of mmengine's three modes.

        Args:
            inputs: Keypoints (B, L, K, 3), or a list of B tensors (L, K, 3).
            data_samples: One a sequence, with `length`, its valid steps; in mode 'loss' with
                `gt_label`. Without them all steps are valid.
            mode: What to return.

        Returns:
            Mode 'tensor': logits (B, num_classes). 'loss': a dict with `loss_cls` and `top1_acc`.
            'predict': the data samples with `pred_score` (num_classes,), which sums to 1, and
            `pred_label` (1,).

        Raises:
            ValueError: If `mode` is another word, data samples are missing where they are needed,
                or a label is missing or not below `num_classes`.
        """
        inputs, lengths = read_batch(inputs, data_samples, mode)
        logits = self.head(self.norm(self.encoder(inputs, lengths)))
        if mode == 'tensor' or data_samples is None:
            return logits
        if mode == 'loss':
            labels = read_labels(data_samples, self.num_classes).to(logits.device)
            loss = F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)
            return {'loss_cls': loss, 'top1_acc': (logits.argmax(1) == labels).float().mean()}
        set_scores(data_samples, logits.float().softmax(1))
        return data_samples


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
        # embeddings (B, D) to scores (B, C)
        self.neighbors: Callable[[Tensor], Tensor] | None = None

    def compile(self, **options: Any) -> None:
        """Compile the encoder in place, with options of `torch.compile`."""
        self.encoder.compile(**options)

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


def read_batch(
    inputs: Tensor | Sequence[Tensor], data_samples: list[ActionDataSample] | None, mode: str
) -> tuple[Tensor, Tensor]:
    """Stack what data workers send, and read the lengths.

    Args:
        inputs: A tensor (B, ..., L, K, 3), or a list of B tensors.
        data_samples: Each with `length`, one number or one for each view; None if all steps are
            valid.
        mode: One of `mmotion.training.models.MODES`.

    Returns:
        Inputs, and lengths (B, ...) on the same device.

    Raises:
        ValueError: If `mode` is another word, or data samples are missing where they are needed.
    """
    check_mode(mode)
    if data_samples is None and mode != 'tensor':
        raise ValueError(f'data_samples must be given in mode {mode!r}, got None')
    if not isinstance(inputs, Tensor):
        inputs = torch.stack(list(inputs))
    if data_samples is None:
        return inputs, torch.full(inputs.shape[:-3], inputs.shape[-3], device=inputs.device)
    return inputs, send_numbers([sample.length for sample in data_samples], inputs.device)


def read_labels(data_samples: list[ActionDataSample], num_classes: int) -> Tensor:
    """Labels (B,) of the data samples.

    Raises:
        ValueError: If one has no label, or, on a CPU, a label is not below `num_classes`.
    """
    unlabeled = [sample.get('name') for sample in data_samples if 'gt_label' not in sample]
    if unlabeled:
        raise ValueError(
            f'data_samples must have a gt_label each, got none for {unlabeled[0]!r}; leave '
            'sequences without a label out of this data set'
        )
    labels = torch.cat([sample.gt_label for sample in data_samples])
    if labels.device.type != 'cpu':
        # to look at them there would wait for all that is queued; the loss stops at a wrong one
        return labels
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= num_classes:
        raise ValueError(
            f'gt_label must lie in 0..{num_classes - 1}, got labels from {low} to {high}; '
            'set num_classes to the number of activities in the data'
        )
    return labels


def set_scores(data_samples: list[ActionDataSample], scores: Tensor) -> None:
    """Write scores (B, num_classes) into the data samples, where `ActionMetric` reads them."""
    for sample, score in zip(data_samples, scores, strict=True):
        sample.set_pred_score(score)
        sample.set_pred_label(score.argmax(keepdim=True))
