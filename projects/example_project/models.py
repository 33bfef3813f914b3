"""A clip classifier: a backbone, max pooling, one linear layer.

Shape letters in this file: B clips, T frames, H and W pixels, C channels, K classes.
"""

import torch
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from mmotion.registry import MODELS


@MODELS.register_module()
class TinyVideoNet(nn.Module):
    """Two 3D convolutions, enough to see which way a dot moves.

    Args:
        out_channels: Channels C of the result.

    Example:
        >>> TinyVideoNet(out_channels=16)(torch.zeros(2, 3, 8, 16, 16)).shape
        torch.Size([2, 16, 8, 8, 8])
    """

    def __init__(self, *, out_channels: int = 16) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.layers = nn.Sequential(
            nn.Conv3d(3, out_channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv3d(out_channels, out_channels, 3, padding=1, stride=(1, 2, 2)),
            nn.ReLU(),
        )

    def forward(self, clips: Tensor) -> Tensor:
        """Turn clips (B, 3, T, H, W) into features (B, C, T, H/2, W/2)."""
        return self.layers(clips)


@MODELS.register_module()
class ClipClassifier(BaseModel):
    """Gives each clip a score for each class.

    Args:
        backbone: Config of a module that turns (B, 3, T, H, W) into (B, C, ...) and has the
            attribute `out_channels`.
        num_classes: Classes K.
        loss: Config of a module that is called with logits (B, K) and labels (B,).
        data_preprocessor: Config of the module that stacks and normalises a batch.
    """

    def __init__(
        self, *, backbone: dict, num_classes: int, loss: dict, data_preprocessor: dict
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor)
        self.backbone = MODELS.build(backbone)
        self.head = nn.Linear(self.backbone.out_channels, num_classes)
        self.loss = MODELS.build(loss)

    def forward(
        self,
        inputs: Tensor,
        data_samples: list[BaseDataElement] | None = None,
        mode: str = 'tensor',
    ) -> dict[str, Tensor] | list[BaseDataElement] | Tensor:
        """Run the model in one of mmengine's three modes.

        Args:
            inputs: Normalised clips, (B, 3, T, H, W).
            data_samples: One a clip; `gt_label` is read in mode 'loss'.
            mode: What to return.

        Returns:
            Mode 'tensor': logits (B, K). 'loss': a dict with `loss` (). 'predict': the data
            samples with `pred_scores` (K,), which add up to 1.

        Raises:
            ValueError: If `mode` is another word, or there are no data samples where needed.
        """
        if mode not in ('loss', 'predict', 'tensor'):
            raise ValueError(f"mode must be 'loss', 'predict' or 'tensor', got mode={mode!r}")
        if data_samples is None and mode != 'tensor':
            raise ValueError(f'data_samples must be given in mode {mode!r}, got None')

        # strongest answer over time and space: (B, C, ...) to (B, C)
        features = self.backbone(inputs).flatten(2).amax(dim=2)
        logits = self.head(features)

        if mode == 'tensor' or data_samples is None:
            return logits
        if mode == 'loss':
            labels = torch.tensor([s.gt_label for s in data_samples], device=logits.device)
            return dict(loss=self.loss(logits, labels))
        for sample, scores in zip(data_samples, logits.softmax(dim=1), strict=True):
            sample.pred_scores = scores
        return data_samples
