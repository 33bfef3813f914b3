"""The loss, registered so that a config can name another one."""

import torch.nn.functional as F
from torch import Tensor, nn

from mmotion.registry import MODELS


@MODELS.register_module()
class SmoothedCrossEntropy(nn.Module):
    """Cross-entropy that asks for a little less than certainty.

    Args:
        smoothing: Probability mass, in [0, 1), that is spread over all classes.

    Raises:
        ValueError: If `smoothing` is out of range.
    """

    def __init__(self, *, smoothing: float = 0.0) -> None:
        super().__init__()
        if not 0 <= smoothing < 1:
            raise ValueError(f'smoothing must be in [0, 1), got smoothing={smoothing}')
        self.smoothing = smoothing

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Average the loss over a batch: logits (B, K), labels (B,) in [0, K), result ()."""
        return F.cross_entropy(logits, labels, label_smoothing=self.smoothing)
