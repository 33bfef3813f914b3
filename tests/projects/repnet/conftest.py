"""A network that is always right, so that counting is tested apart from training."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.model import BaseModel
from torch import Tensor

from mmotion.registry import MODELS
from projects.repnet.counting import CountingOptions

SURE = 50.0


class Oracle(BaseModel):
    """Reads the answer out of frames whose red value is their number and whose green their period.

    The step of the red values is the stride at which a window looks at the video. Periods that a
    window cannot show (below 3 or above T / 2 rows) are answered with 'nothing repeats'.
    """

    def __init__(self, *, num_frames: int = 64, **counting: object) -> None:
        super().__init__(
            data_preprocessor=MODELS.build(
                dict(type='ActionDataPreprocessor', mean=[0] * 3, std=[1] * 3, format_shape='NCTHW')
            )
        )
        self.num_frames = num_frames
        self.counting = CountingOptions(**counting)
        self.num_encoded = 0
        self.num_windows = 0

    def encode_frames(self, frames: Tensor) -> Tensor:
        self.num_encoded += len(frames)
        return frames.mean(dim=(2, 3)).round()[:, :2]

    def score_windows(self, maps: Tensor) -> SimpleNamespace:
        assert maps.shape[1:] == (self.num_frames, 2)
        self.num_windows += len(maps)
        stride = (maps[:, 1:2, 0] - maps[:, :1, 0]) % 256
        rows = maps[..., 1] / stride.clamp_min(1)
        seen = (rows >= 3) & (rows <= self.num_frames // 2) & (stride > 0)
        index = torch.where(seen, rows.round() - 1, 0).long()
        one_hot = torch.nn.functional.one_hot(index, self.num_frames // 2)
        return SimpleNamespace(
            period_logits=SURE * one_hot.float(),
            periodicity_logits=torch.where(seen, SURE, -SURE),
            similarity=torch.full((len(maps), self.num_frames, self.num_frames), 1 / 64),
        )

    def forward(self, *args: object, **kwargs: object) -> None:
        raise NotImplementedError


@pytest.fixture
def make_oracle() -> Callable[..., Oracle]:
    MODELS.register_module(module=Oracle, force=True)
    return Oracle


@pytest.fixture
def make_video() -> Callable[[Sequence[tuple[int, int]]], np.ndarray]:
    """Frames (N, 4, 4, 3) uint8 for the oracle, from parts of (number of frames, period)."""

    def make(parts: Sequence[tuple[int, int]]) -> np.ndarray:
        period = np.concatenate([np.full(length, period) for length, period in parts])
        frames = np.zeros((len(period), 4, 4, 3), np.uint8)
        frames[..., 0] = (np.arange(len(period)) % 256)[:, None, None]
        frames[..., 1] = period[:, None, None]
        return frames

    return make


@pytest.fixture
def make_tensor(make_video: Callable) -> Callable[..., Tensor]:
    """The same as float (N, 3, 4, 4), as the counter takes it."""
    return lambda *parts: torch.from_numpy(make_video(parts)).permute(0, 3, 1, 2).float()
