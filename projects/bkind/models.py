"""BKinD: the model that learns keypoints from pairs of frames.

Paper: Sun et al., Self-Supervised Keypoint Discovery in Behavioral Videos, CVPR 2022,
    https://arxiv.org/abs/2112.05121
Reference code: neuroethology/BKinD@9e73721, model/unsupervised_model.py, train_video.py

Shape letters in this file: B pairs, K keypoints, S image size in pixels, C channels of the
encoder's deepest features, and h = w = S / 4, the size of the heat maps.
"""

import logging
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.logging import MessageHub, print_log
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from torch import Tensor

from mmotion.registry import MODELS
from mmotion.training.models import check_mode, send_numbers

from .losses import DiscoveryLoss
from .networks import KeypointEncoder, Keypoints, ReconstructionDecoder, spatial_softmax

# quarter turns of frame t + gap, counter-clockwise, in the order of the reference
TURNS = (1, 2, -1)
# of ImageNet, in grey levels; for images where the data preprocessor has no others
MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)


@MODELS.register_module()
class BKinD(BaseModel):
    """Discovers keypoints: a network must paint what moved, and sees where only through them.

    Frame t gives features, that is how things look; both frames give K keypoints. From these a
    decoder paints the difference between the frames. Later in training the keypoints must also turn
    with the image, and stay apart.

    Differs from the reference code: both frames and the three turned images go through the encoder
    in one pass, so that a batch norm in training sees the statistics of all of them together and
    counts one batch instead of five; images are turned on the device; no work is done whose result
    is thrown away (see `losses.py` and `PoseDecoder`), and less for the same result (see
    `convolve_enlarged`). In eval mode the results are the same.

    Args:
        encoder: Options of `KeypointEncoder`: `name` and `init`.
        num_keypoints: K.
        image_size: S, a multiple of 32.
        losses: Options of `DiscoveryLoss`.
        curriculum_epoch: Epochs that are done before the rotation and separation losses join. With
            4, the reference's, they do in the fifth epoch.
        data_preprocessor: Config of what makes normalised floats of the images. Its `mean` and
            `std`, those of ImageNet if it has none, are also used to undo that.

    Attributes:
        epoch: Epochs that are done. While mmengine's runner trains, also after resuming, it is the
            runner's; without one, it is whoever's loop that is.

    Raises:
        ValueError: If a number is out of its range.

    Example:
        >>> model = BKinD(encoder=dict(name='resnet18'), num_keypoints=8, image_size=64)
        >>> model(torch.zeros(2, 2, 3, 64, 64)).shape
        torch.Size([2, 8, 16, 16])
    """

    # for `mmotion test --show-dir`, which asks before it loads anything
    has_drawable_samples = False

    def __init__(
        self,
        *,
        encoder: dict,
        num_keypoints: int,
        image_size: int,
        losses: dict | None = None,
        curriculum_epoch: int = 4,
        data_preprocessor: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor)
        if image_size < 32 or image_size % 32:
            raise ValueError(f'image_size must be a positive multiple of 32, got {image_size=}')
        if curriculum_epoch < 0:
            raise ValueError(f'curriculum_epoch must not be negative, got {curriculum_epoch=}')
        self.encoder = KeypointEncoder(**encoder, num_keypoints=num_keypoints)
        self.decoder = ReconstructionDecoder(
            in_channels=self.encoder.num_features, num_maps=2 * num_keypoints
        )
        self.losses = DiscoveryLoss(**(losses or {}))
        self.num_keypoints = num_keypoints
        self.image_size = image_size
        self.curriculum_epoch = curriculum_epoch
        self.epoch = 0
        # epoch of the runner that was last seen
        self._seen_epoch: int | None = None
        # the faster layout, on a CPU too
        self.encoder.to(memory_format=torch.channels_last)

    def forward(
        self,
        inputs: Tensor | Sequence[Tensor],
        data_samples: list[BaseDataElement] | None = None,
        mode: str = 'tensor',
    ) -> Tensor | dict[str, Tensor] | list[BaseDataElement]:
        """Run the model in one of mmengine's three modes.

        Args:
            inputs: Normalised frames t and t + gap (B, 2, 3, S, S), or a list of B tensors; frames
                alone (B, 1, 3, S, S) will do in the modes 'predict' and 'tensor'.
            data_samples: One a pair. In mode 'loss' its `weight`, 1 by default, is how much its
                reconstruction counts.
            mode: What to return.

        Returns:
            Mode 'tensor': heat maps of frames t before the softmax (B, K, h, w). 'loss': a dict
            with `loss_reconstruction` and, once they have joined, `loss_rotation` and
            `loss_separation`. 'predict': the data samples with what is seen in frame t: `keypoints`
            (K, 2), x and y in [-1, 1], `confidence` (K,) and `covariance` (K, 3), see `Keypoints`;
            of pairs also `recon_error`, the mean squared error of the painted picture.

        Raises:
            ValueError: If `mode` is another word, or the inputs have another shape.
        """
        check_mode(mode)
        if not isinstance(inputs, Tensor):
            inputs = torch.stack(list(inputs))
        size = (3, self.image_size, self.image_size)
        if inputs.ndim != 5 or inputs.shape[2:] != size or inputs.shape[1] not in (1, 2):
            raise ValueError(
                f'inputs must have shape (B, 1 or 2, {", ".join(map(str, size))}), got '
                f'{tuple(inputs.shape)}; resize frames to image_size in the pipeline'
            )
        if mode == 'tensor':
            return self.encoder(inputs[:, 0])[1]
        if mode == 'predict':
            return self._predict(inputs, data_samples)
        if inputs.shape[1] != 2:
            raise ValueError(f'inputs must be pairs in mode {mode!r}, got {tuple(inputs.shape)}')
        return self._loss(inputs, data_samples)

    def compile(self, **options: Any) -> None:
        """Compile both networks in place, with options of `torch.compile`."""
        self.encoder.compile(**options)
        self.decoder.compile(**options)

    @torch.no_grad()
    def inspect(self, inputs: Tensor) -> dict[str, Tensor]:
        """Everything that a picture of the model at work needs.

        Args:
            inputs: Normalised pairs (B, 2, 3, S, S).

        Returns:
            `images`, both frames with values in [0, 1], (B, 2, 3, S, S); `target` and
            `reconstruction`, (B, 3, S, S); of both frames `heat_maps` (B, 2, K, h, w), which each
            sum to 1, and `keypoints` (B, 2, K, 2), x and y in [-1, 1].
        """
        features, logits = self._encode(inputs)
        points = spatial_softmax(logits).points
        first, later = points.chunk(2)
        return {
            'images': self._undo_normalization(inputs),
            'target': self._make_target(inputs),
            'reconstruction': self.decoder(features, torch.cat([later, first], dim=1)),
            'heat_maps': _by_pair(logits.flatten(2).softmax(2).view(logits.shape)),
            'keypoints': _by_pair(points),
        }

    def _loss(
        self, inputs: Tensor, data_samples: list[BaseDataElement] | None
    ) -> dict[str, Tensor]:
        """The losses of pairs (B, 2, 3, S, S)."""
        self._follow_runner()
        joined = self.epoch >= self.curriculum_epoch
        turns = TURNS if joined and self.losses.rotation_weight else ()
        features, logits = self._encode(inputs, turns)
        first, later, *turned = spatial_softmax(logits).points.chunk(2 + len(turns))
        pictures = self.decoder(features, torch.cat([later, first], dim=1))

        mask = None
        if data_samples is not None:
            weights = [float(sample.get('weight', 1.0)) for sample in data_samples]
            mask = send_numbers(weights, inputs.device, inputs.dtype).view(-1, 1, 1, 1)
        error = self.losses.reconstruction(pictures, self._make_target(inputs), mask)
        losses = {'loss_reconstruction': error}
        if joined:
            size = self.image_size // 2
            losses |= self.losses.compare_points(later, turned, turns, size=size)
        return losses

    def _predict(
        self, inputs: Tensor, data_samples: list[BaseDataElement] | None
    ) -> list[BaseDataElement]:
        """Write keypoints of the first frames into the data samples."""
        features, logits = self._encode(inputs)
        found = spatial_softmax(logits)
        num_samples = len(inputs)
        samples = data_samples or [BaseDataElement() for _ in range(num_samples)]
        if inputs.shape[1] == 2:
            first, later = found.points.chunk(2)
            pictures = self.decoder(features, torch.cat([later, first], dim=1))
            errors = (pictures - self._make_target(inputs)).square().mean((1, 2, 3))
            for sample, error in zip(samples, errors, strict=True):
                sample.set_field(error, 'recon_error')
        of_first = Keypoints(*(value[:num_samples] for value in found))
        for i, sample in enumerate(samples):
            sample.set_field(of_first.points[i], 'keypoints')
            sample.set_field(of_first.confidence[i], 'confidence')
            sample.set_field(of_first.covariance[i], 'covariance')
        return samples

    def _encode(self, inputs: Tensor, turns: Sequence[int] = ()) -> tuple[Tensor, Tensor]:
        """Encode all frames, and turned copies of frames t + gap.

        Args:
            inputs: (B, 1 or 2, 3, S, S).
            turns: Quarter turns, counter-clockwise.

        Returns:
            Deepest features of frames t (B, C, S / 32, S / 32), and heat maps before the softmax,
            of the B frames t, the B frames t + gap, and B for each turn.
        """
        frames = inputs.unbind(1)
        images = [*frames, *(torch.rot90(frames[-1], turn, (2, 3)) for turn in turns)]
        batch = torch.cat(images).contiguous(memory_format=torch.channels_last)
        features, logits = self.encoder(batch)
        return features[: len(inputs)], logits

    def _follow_runner(self) -> None:
        """Take over the epoch of a runner that trains; in a new one, say what it means.

        mmengine's runner writes it into its `MessageHub` before each epoch, the first after
        resuming too. A hook that carried it over could be left out of a config.
        """
        hub = MessageHub.get_current_instance()
        epoch = hub.get_info('epoch') if hub.get_info('loop_stage') == 'train' else None
        if epoch is None:
            return
        self.epoch, seen_epoch, self._seen_epoch = epoch, self._seen_epoch, epoch
        if epoch == seen_epoch:
            return
        max_epochs = hub.get_info('max_epochs')
        if seen_epoch is None and self.curriculum_epoch >= max_epochs:
            print_log(
                f'rotation and separation losses never join: curriculum_epoch='
                f'{self.curriculum_epoch} of {max_epochs} epochs; train for more of them, with '
                'train_cfg.by_epoch=True, or lower curriculum_epoch',
                logger='current',
                level=logging.WARNING,
            )
        if epoch == self.curriculum_epoch:
            print_log(f'from epoch {epoch + 1} on, all losses take part', logger='current')

    def _make_target(self, inputs: Tensor) -> Tensor:
        """What is painted of pairs (B, 2, 3, S, S)."""
        return self.losses.reconstruction.make_target(*self._undo_normalization(inputs).unbind(1))

    def _undo_normalization(self, inputs: Tensor) -> Tensor:
        """Images (..., 3, S, S) with values in [0, 1]."""
        found = (getattr(self.data_preprocessor, name, None) for name in ('mean', 'std'))
        mean, std = (
            (send_numbers(usual, inputs.device, inputs.dtype) if value is None else value)
            for value, usual in zip(found, (MEAN, STD), strict=True)
        )
        return (inputs * std.view(3, 1, 1) + mean.view(3, 1, 1)) / 255


def _by_pair(values: Tensor) -> Tensor:
    """(2B, ...), all first ones before all second ones, to (B, 2, ...)."""
    return torch.stack(values.chunk(2), dim=1)
