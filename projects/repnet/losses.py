"""RepNet's losses, and the one place where periods become classes and back.

Paper: Dwibedi et al. 2020, section 3.2 (multi-task training of period length and periodicity),
    https://arxiv.org/abs/2006.15418
Classes: materight/RepNet-pytorch@c455c53, repnet/model.py: class k (from 0) is a period of k + 1
    frames. (The colab of 2024 uses the class index itself as the period; its weights are others.)

Shape letters in this file: B windows, T frames per window, D embedding size, P period classes.
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# two frames cannot show a cycle: the released weights use these classes for 'nothing repeats'
MIN_PERIOD_FRAMES = 3
MEDIAN_TAPS = 5
# frames whose phases differ by less, in cycles, count as alike in `phase_loss`
PHASE_WIDTH = 0.06


class RepNetOutput(NamedTuple):
    """What RepNet says about a batch of windows.

    Attributes:
        period_logits: (B, T, P); class k stands for a period of k + 1 frames.
        periodicity_logits: (B, T); positive where a frame belongs to a repetition.
        similarity: Self-similarity matrix (B, T, T), rows sum to 1.
        embeddings: (B, T, D).
    """

    period_logits: Tensor
    periodicity_logits: Tensor
    similarity: Tensor
    embeddings: Tensor


def period_to_class(period: Tensor, num_classes: int) -> Tensor:
    """The class of a period in frames, rounded and limited to the classes there are.

    Example:
        >>> period_to_class(torch.tensor([1.0, 2.4, 9.6, 99.0]), 32).tolist()
        [0, 1, 9, 31]
    """
    return (period.round().long() - 1).clamp(0, num_classes - 1)


def class_to_period(index: Tensor) -> Tensor:
    """The period in frames of a class, which need not be a whole number.

    Example:
        >>> class_to_period(torch.tensor([0.0, 8.6])).tolist()
        [1.0, 9.600000381469727]
    """
    return index + 1


def rate_logits(
    period_logits: Tensor, periodicity_logits: Tensor, options: Any
) -> tuple[Tensor, Tensor]:
    """What `counting.read_logits` gives, as tensors on the same device, float64 (..., T)."""
    probability = period_logits.detach().float().softmax(-1)
    confidence, best = probability.max(-1)
    period = class_to_period(best).double()
    is_class = period >= MIN_PERIOD_FRAMES
    if options.period_estimate == 'expected':
        # no weight beyond the ends, where the index is clamped
        last = probability.shape[-1] - 1
        near = best[..., None] + torch.arange(-1, 2, device=best.device)
        weight = probability.gather(-1, near.clamp(0, last)) * ((near >= 0) & (near <= last))
        period = class_to_period((weight * near).sum(-1) / weight.sum(-1)).double()
    score = (periodicity_logits.detach().float().sigmoid() * confidence * is_class).sqrt()
    rate, repeats = is_class / period, (score >= options.threshold).double()
    if options.median_filter:
        rate, repeats = _median(rate), _median(repeats)
    return rate * repeats, score.double()


class RepNetLoss(nn.Module):
    """Cross-entropy of the period length plus binary cross-entropy of the periodicity.

    Args:
        period_weight: Factor of the period length loss.
        periodicity_weight: Factor of the periodicity loss.
        mask_non_periodic: Leave frames that do not repeat out of the period length loss, since
            they have no period. Otherwise they are taught the shortest one.
        similarity_weight: Factor of `phase_loss`, which needs to know the phase of each frame. Not
            in the paper; 0 leaves it out.
        soft_periods: Share the target of a period that is not a whole number between its two
            neighbours, so that the mean over both classes is the period itself.

    Raises:
        ValueError: If a weight is negative.
    """

    def __init__(
        self,
        *,
        period_weight: float = 1.0,
        periodicity_weight: float = 1.0,
        similarity_weight: float = 0.0,
        mask_non_periodic: bool = True,
        soft_periods: bool = False,
    ) -> None:
        super().__init__()
        if min(period_weight, periodicity_weight, similarity_weight) < 0:
            raise ValueError(
                f'loss weights must be at least 0, got period_weight={period_weight}, '
                f'periodicity_weight={periodicity_weight}, similarity_weight={similarity_weight}'
            )
        self.period_weight = period_weight
        self.periodicity_weight = periodicity_weight
        self.similarity_weight = similarity_weight
        self.mask_non_periodic = mask_non_periodic
        self.soft_periods = soft_periods

    def forward(
        self,
        output: RepNetOutput,
        period: Tensor,
        periodicity: Tensor,
        cycles: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Compare with the truth of each frame.

        Args:
            output: Logits (B, T, P) and (B, T).
            period: True period in frames (B, T), 0 where nothing repeats.
            periodicity: 1 where a frame belongs to a repetition, else 0, (B, T).
            cycles: Repetitions done at each frame, whose fraction is the phase, (B, T).

        Returns:
            `loss_period`, `loss_periodicity` and, if it has a weight, `loss_similarity`; a loss
            of which all frames are masked is 0.

        Raises:
            ValueError: If there is a `similarity_weight` and no `cycles`.
        """
        # (B, T, P) -> (B*T, P); float32 whatever autocast made of the logits
        logits = output.period_logits.flatten(0, 1).float()
        num_classes = logits.shape[-1]
        if self.soft_periods:
            target = _two_hot(period.flatten(), num_classes)
        else:
            target = period_to_class(period.flatten(), num_classes)
        frame_loss = F.cross_entropy(logits, target, reduction='none')
        weight = torch.ones_like(frame_loss)
        if self.mask_non_periodic:
            weight = (periodicity.flatten() > 0).to(frame_loss.dtype)
        loss_period = (frame_loss * weight).sum() / weight.sum().clamp_min(1)
        loss_periodicity = F.binary_cross_entropy_with_logits(
            output.periodicity_logits.float(), periodicity.float()
        )
        losses = {
            'loss_period': self.period_weight * loss_period,
            'loss_periodicity': self.periodicity_weight * loss_periodicity,
        }
        if self.similarity_weight:
            if cycles is None:
                raise ValueError(
                    'cycles must be given for similarity_weight > 0, got None; set '
                    'similarity_weight=0 for data without `gt_cycles`'
                )
            loss_similarity = phase_loss(output.similarity, cycles, periodicity)
            losses['loss_similarity'] = self.similarity_weight * loss_similarity
        return losses


def phase_loss(similarity: Tensor, cycles: Tensor, periodicity: Tensor) -> Tensor:
    """Cross-entropy between the rows of the matrix and where the same phase comes again.

    A row is compared over the frames that are at least half a cycle away, since neighbours look
    alike anyway.

    Args:
        similarity: Self-similarity matrix (B, T, T), rows sum to 1.
        cycles: Repetitions done at each frame (B, T).
        periodicity: 1 where a frame repeats, else 0, (B, T).

    Returns:
        The mean over all rows that have a frame to be compared with.
    """
    apart = cycles[:, :, None] - cycles[:, None]
    repeats = periodicity > 0
    compared = (apart.abs() > 0.5) & repeats[:, :, None] & repeats[:, None]
    # distance in phase, in cycles from -0.5 to 0.5
    phase = apart - apart.round()
    target = torch.exp(-0.5 * (phase / PHASE_WIDTH) ** 2) * compared
    target = target / target.sum(-1, keepdim=True).clamp_min(1e-6)
    # the row's softmax again, over the compared frames alone
    logits = similarity.clamp_min(1e-12).log().masked_fill(~compared, -1e4)
    rows = compared.any(-1)
    return -(target * logits.log_softmax(-1)).sum() / rows.sum().clamp_min(1)


def _two_hot(period: Tensor, num_classes: int) -> Tensor:
    """Probabilities (N, P) on the two classes beside each period (N,), whose mean is the period."""
    position = (period.float() - 1).clamp(0, num_classes - 1)
    lower = position.floor().long().clamp_max(num_classes - 2)
    share = (position - lower)[:, None]
    lower_hot = F.one_hot(lower, num_classes)
    upper_hot = F.one_hot(lower + 1, num_classes)
    return lower_hot * (1 - share) + upper_hot * share


def _median(values: Tensor) -> Tensor:
    """Median of each value (..., T) and its neighbours; the ends are repeated outwards."""
    reach, size = MEDIAN_TAPS // 2, values.shape[-1]
    near = torch.arange(-reach, size + reach, device=values.device).clamp(0, size - 1)
    # `median` itself is not among the operations of ONNX
    return values[..., near].unfold(-1, MEDIAN_TAPS, 1).sort(-1).values[..., reach]
