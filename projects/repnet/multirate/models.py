"""MultiRateRepNet: RepNet over all rates at once, by time instead of by frames.

RepNet looks at a video at several strides and believes the one that is surest of itself. Here the
frames are taken at a rate in Hz, the encoder and the temporal convolution are RepNet's, but the
similarities at all rates, each half the one before, are read together, and for each moment there
is one probability of each period and of none. What is twice as slow looks the same one level on.

Differs from the paper: Dwibedi et al., CVPR 2020, https://arxiv.org/abs/2006.15418: no window and
no choice of a stride; a logarithmic axis of lags; convolutions instead of transformers.

Shape letters in this file: V videos, N samples of a level, D embedding size, T columns, P bins.
"""

from typing import Any, cast

import torch
import torch.nn.functional as F
from einops import rearrange
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from torch import Tensor

from mmotion.registry import MODELS
from mmotion.transforms.preprocessing import ClipDataPreprocessor
from projects.repnet.models import TemporalConv
from projects.repnet.multirate.counting import MultiRateOptions, count_by_time
from projects.repnet.multirate.data import list_levels
from projects.repnet.multirate.networks import MultiRateHead
from projects.repnet.multirate.periods import join_levels, period_loss
from projects.repnet.multirate.similarity import COLUMN, LagSimilarity

# what a level says that a video is too short for
NEVER = -30.0


@MODELS.register_module()
class MultiRatePreprocessor(ClipDataPreprocessor):
    """Normalise the frames of whole videos; when training, these differ in length.

    Args:
        mean: See `ClipDataPreprocessor`.
        std: See there.
    """

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Prepare a batch; when training, `inputs` become a list of videos (3, N, H, W)."""
        if not training:
            return super().forward(data)
        prepare = super().forward
        videos = [prepare({'inputs': [video]})['inputs'][0] for video in data['inputs']]
        return {**cast('dict[str, Any]', self.cast_data(data)), 'inputs': videos}


@MODELS.register_module()
class MultiRateRepNet(BaseModel):
    """Count repetitions of anything at any speed.

    Args:
        encoder: Config of a registered image network with an attribute `num_channels`.
        embedding_dim: Numbers of an embedding D.
        groups: Distances that are learned, see `LagSimilarity`.
        width: Channels of the head.
        counting: Options of `MultiRateOptions`, used by `mode='predict'` and the predictor.
        data_preprocessor: Config, see `MultiRatePreprocessor`.
    """

    def __init__(
        self,
        *,
        encoder: dict[str, Any],
        embedding_dim: int = 96,
        groups: int = 1,
        width: int = 32,
        counting: dict[str, Any] | None = None,
        data_preprocessor: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor)
        self.counting = MultiRateOptions(**(counting or {}))
        self.encoder = MODELS.build(encoder)
        self.temporal_conv = TemporalConv(
            in_channels=self.encoder.num_channels, out_channels=embedding_dim
        )
        self.similarity = LagSimilarity(dim=embedding_dim, groups=groups)
        self.head = MultiRateHead(in_channels=self.similarity.num_channels, channels=width)

    def encode_frames(self, frames: Tensor) -> Tensor:
        """Do all the work that a frame needs by itself: (N, 3, H, W) to maps (N, 3D, h, w)."""
        return self.temporal_conv.taps(self.encoder(frames))

    def embed(self, maps: Tensor) -> Tensor:
        """Maps of samples of one level (N, 3D, h, w) to embeddings (N, D)."""
        return self.temporal_conv.combine(maps[None])[0]

    def score_levels(
        self, levels: list[Tensor], valid: list[Tensor], starts: list[int]
    ) -> list[Tensor]:
        """Read the embeddings of all levels.

        Args:
            levels: Embeddings (V, N, D), N a multiple of 4 and halved from level to level.
            valid: Which samples there are, (V, N).
            starts: Number of the first column of each level.

        Returns:
            Logits of each level, see `MultiRateHead`.
        """
        # distances are differences of what is nearly equal
        with torch.autocast(levels[0].device.type, enabled=False):
            pairs = zip(levels, valid, strict=True)
            seen = [self.similarity(level.float(), there) for level, there in pairs]
        return [logits.float() for logits in self.head(seen, starts)]

    def forward(
        self,
        inputs: Any,
        data_samples: list[BaseDataElement] | None = None,
        mode: str = 'tensor',
    ) -> Tensor | dict[str, Tensor] | list[BaseDataElement]:
        """Train on videos or count in them.

        Args:
            inputs: Normalised frames (V, 3, N, H, W), evenly spaced; for mode 'loss' a list of
                such videos of any length.
            data_samples: For 'loss' each needs `gt_period` (N,) in samples, 0 where nothing
                repeats. For 'predict' each needs `fps`.
            mode: 'tensor', 'loss' or 'predict'.

        Returns:
            Logits of periods (V, T, P), a dictionary of losses, or the data samples with `pred`, a
            `RepetitionCount`, added to each.

        Raises:
            ValueError: If the mode is another, or it needs data samples and gets none.
        """
        if mode == 'tensor':
            videos = [self._embed_levels(rearrange(v, 'c t h w -> t c h w')) for v in inputs]
            return self._read(videos)
        if mode not in ('loss', 'predict'):
            raise ValueError(f"mode must be 'tensor', 'loss' or 'predict', got mode={mode!r}")
        if data_samples is None:
            raise ValueError(f'data_samples must be given for mode={mode!r}, got None')
        if mode == 'loss':
            return self._loss(inputs, data_samples)
        for video, sample in zip(inputs, data_samples, strict=True):
            frames = rearrange(video, 'c t h w -> t c h w')
            sample.pred = count_by_time(self, frames, fps=sample.fps, options=self.counting)
        return data_samples

    def _embed_levels(self, frames: Tensor) -> list[Tensor]:
        """Frames (N, 3, H, W) to the embeddings of each level (n, D)."""
        # what follows tells what is nearly equal
        maps = self.encode_frames(frames).float()
        return [self.embed(maps[:: 2**i]) for i in range(len(list_levels(len(frames))))]

    def _read(self, videos: list[list[Tensor]]) -> Tensor:
        """Logits (V, T, P) of the embeddings of each level of videos of any length."""
        levels, valid = [], []
        for i in range(max(map(len, videos))):
            parts = [video[i] if i < len(video) else video[0][:0] for video in videos]
            size = -(-max(map(len, parts)) // COLUMN) * COLUMN
            levels.append(torch.stack([F.pad(p, (0, 0, 0, size - len(p))) for p in parts]))
            there = torch.arange(size, device=parts[0].device)
            valid.append(torch.stack([there < len(part) for part in parts]))
        starts = [0] * len(levels)
        logits = [
            level.masked_fill(~there.any(1)[:, None, None], NEVER)
            for level, there in zip(self.score_levels(levels, valid, starts), valid, strict=True)
        ]
        columns = torch.arange(levels[0].shape[1] // COLUMN, device=levels[0].device)
        return join_levels(logits, starts, columns)

    def _loss(self, inputs: list[Tensor], samples: list[BaseDataElement]) -> dict[str, Tensor]:
        logits = self._read([self._embed_levels(video.transpose(0, 1)) for video in inputs])
        period = torch.zeros(logits.shape[:2], device=logits.device)
        mask = torch.zeros_like(period)
        for i, truth in enumerate(sample.gt_period for sample in samples):
            # a column is labelled by its middle
            middle = torch.arange(COLUMN // 2, len(truth), COLUMN)
            period[i, : len(middle)] = truth[middle].to(period)
            mask[i, : len(middle)] = 1
        return {'loss': period_loss(logits, period, mask)}
