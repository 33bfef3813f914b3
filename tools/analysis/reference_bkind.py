"""BKinD as the reference code runs it, step by step: a slow oracle for tests and the benchmark.

Reference code: neuroethology/BKinD@9e73721, model/unsupervised_model.py, model/globalNet.py,
    utils/loss.py

The network, its weights and its results are those of `projects.bkind`; the work is not. An image
passes the encoder by itself, so in training a batch norm has its statistics, and counts five
batches a step. Maps are enlarged before they are convolved. Heat maps are predicted at all four
levels, and three thrown away. VGG19 runs to its end, and gets gradients.

Shape letters in this file: B pairs, S image size in pixels.
"""

import functools
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmotion.checkpoint import load_image_weights
from projects.bkind.losses import VGG19, VGG_LAYERS, ReconstructionLoss, masked_error
from projects.bkind.models import BKinD
from projects.bkind.networks import (
    DecoderBlock,
    HeatMapHead,
    PoseDecoder,
    enlarge,
)


class ReferenceBKinD(BKinD):
    """`BKinD` with the passes of the reference; arguments are the same."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.encoder.pose = ReferencePoseDecoder.like(self.encoder.pose)
        self.encoder.to(memory_format=torch.contiguous_format)
        self.decoder.blocks = nn.ModuleList(map(ReferenceBlock.like, self.decoder.blocks))
        self.losses.reconstruction = ReferenceLoss(**(options.get('losses') or {}))

    def _encode(self, inputs: Tensor, turns: Sequence[int] = ()) -> tuple[Tensor, Tensor]:
        frames = inputs.unbind(1)
        images = [*frames, *(torch.rot90(frames[-1], turn, (2, 3)) for turn in turns)]
        encoded = [self.encoder(image.contiguous()) for image in images]
        return encoded[0][0], torch.cat([logits for _, logits in encoded])


class ReferencePoseDecoder(PoseDecoder):
    """`PoseDecoder` that predicts at all levels, in the modules `unused`, and uses the last."""

    def __init__(self, *, channels: Sequence[int], num_keypoints: int, width: int = 256) -> None:
        super().__init__(channels=channels, num_keypoints=num_keypoints, width=width)
        self.unused = nn.ModuleList(
            ReferenceHead(in_channels=width, num_keypoints=num_keypoints) for _ in channels[1:]
        )

    @classmethod
    def like(cls, decoder: PoseDecoder) -> 'ReferencePoseDecoder':
        """One of the same size and with the same weights."""
        laterals: list[Any] = [next(lateral.children()) for lateral in decoder.laterals]
        made = cls(
            channels=[conv.in_channels for conv in reversed(laterals)],
            num_keypoints=decoder.predict.conv.out_channels,
            width=laterals[0].out_channels,
        )
        made.load_state_dict(decoder.state_dict(), strict=False)
        return made

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """As of `PoseDecoder`."""
        deepest, *finer = reversed(features)
        levels = [self.laterals[0](deepest)]
        for lateral, raising, feature in zip(self.laterals[1:], self.raises, finer, strict=True):
            levels.append(lateral(feature) + raising(enlarge(levels[-1], feature.shape[2:])))
        size = levels[-1].shape[2:]
        for head, level in zip(self.unused, levels[:-1], strict=True):
            head(level, size)
        return self.predict(levels[-1])

    def fit_weights(self, state_dict: dict[str, Tensor], prefix: str = '') -> dict[str, Tensor]:
        """All of them: nothing is left out here."""
        del prefix
        return dict(state_dict)


class ReferenceHead(HeatMapHead):
    """`HeatMapHead` of a coarse level, whose maps are enlarged to (rows, columns) `size`."""

    def forward(self, x: Tensor, size: Sequence[int]) -> Tensor:
        """As of `HeatMapHead`, but in the new size."""
        return self.norm(enlarge(self.conv(self.reduce(x)), size))


class ReferenceBlock(DecoderBlock):
    """`DecoderBlock` that first enlarges, then convolves."""

    @classmethod
    def like(cls, block: nn.Module) -> 'ReferenceBlock':
        """One of the same size and with the same weights."""
        conv: Any = block.conv1
        made = cls(in_channels=conv.in_channels, out_channels=conv.out_channels)
        made.load_state_dict(block.state_dict())
        return made

    def forward(self, x: Tensor) -> Tensor:
        """As of `DecoderBlock`."""
        x = F.interpolate(x, scale_factor=2, mode='bilinear', align_corners=False)
        x = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(x)))


class ReferenceLoss(ReconstructionLoss):
    """`ReconstructionLoss` with gradients for the target and for the weights of VGG19.

    Args:
        options: Those of `DiscoveryLoss`; what is for its other losses is passed over.
    """

    def __init__(self, **options: Any) -> None:
        own = ('kind', 'target', 'vgg')
        super().__init__(**{name: value for name, value in options.items() if name in own})

    def measure(self, pictures: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
        """As of `ReconstructionLoss`."""
        network = self.network.to(pictures.device)
        wanted, painted = ([images, *network(images)] for images in (targets, pictures))
        errors = [masked_error(a, b, mask) for a, b in zip(painted, wanted, strict=True)]
        return torch.stack(errors)

    @functools.cached_property
    def network(self) -> VGG19:
        """As of `ReconstructionLoss`."""
        return ReferenceVGG19(None if self.init is None else load_image_weights(self.init))


class ReferenceVGG19(VGG19):
    """All 16 convolutions of VGG19, with gradients for their weights."""

    layers = (*VGG_LAYERS, 512, 512, 'M')

    def __init__(self, state_dict: dict[str, Tensor] | None) -> None:
        super().__init__(state_dict)
        self.to(memory_format=torch.contiguous_format)
        for weight in self.buffers():
            weight.requires_grad_()
