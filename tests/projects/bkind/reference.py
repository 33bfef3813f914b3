"""Weights and images of the reference's golden files, made from names and seeds.

The files hold what neuroethology/BKinD@9e73721 makes of them; their README says how.
"""

import json
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

MEAN = np.array([0.485, 0.456, 0.406], np.float32)[:, None, None]
STD = np.array([0.229, 0.224, 0.225], np.float32)[:, None, None]


class Golden:
    """One golden file."""

    def __init__(self, folder: Path, name: str) -> None:
        self.file = np.load(folder / f'{name}.npz')
        self.meta: dict[str, Any] = json.loads(str(self.file['meta']))

    def __getitem__(self, key: str) -> Tensor:
        return torch.from_numpy(self.file[key])

    def points(self, name: str) -> Tensor:
        """Stored keypoints (B, K, 2)."""
        return torch.stack([self[f'in.{name}_x'], self[f'in.{name}_y']], dim=2)

    def pair(self) -> Tensor:
        """The stored frames, normalised, (B, 2, 3, S, S)."""
        frames = [self.file['in.frames_x_01'], self.file['in.frames_tr_01']]
        return torch.stack([torch.from_numpy((frame - MEAN) / STD) for frame in frames], dim=1)

    def state(self, scheme: str, gain: float = 1.0) -> dict[str, Tensor]:
        """The weights of the network that the file is about, by the reference's names."""
        shapes = [json.loads(str(shape)) for shape in self.file['shapes']]
        names = [str(name) for name in self.file['names']]
        return {n: make_weight(n, s, scheme, gain) for n, s in zip(names, shapes, strict=True)}

    def check(self, got: Tensor, key: str) -> None:
        """Within ten times the reference's own float32 error, as the golden files ask."""
        want = self.file[f'out.{key}']
        noise = self.meta['outputs'][key].get('max_abs_diff_to_float64_run') or 0
        tolerance = max(10 * noise, 1e-6 * float(np.abs(want).max()))
        numbers = got.detach().numpy().reshape(want.shape)
        np.testing.assert_allclose(numbers, want, rtol=0, atol=tolerance, err_msg=key)


def make_weight(name: str, shape: list[int], scheme: str, gain: float) -> Tensor:
    """Draw a weight from its name; 'A' is small noise, 'B' keeps the signal alive."""
    last = name.rsplit('.', 1)[-1]
    if last == 'num_batches_tracked':
        return torch.tensor(0)
    if last.startswith('running_'):
        return torch.full(shape, float(last == 'running_var'))
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    z = torch.from_numpy(rng.standard_normal(size=shape, dtype=np.float32))
    is_scale = float(len(shape) == 1 and last == 'weight')
    if scheme == 'A':
        return z * 0.02 + is_scale
    return z * (math.sqrt(gain / math.prod(shape[1:])) if len(shape) > 1 else 0.1) + is_scale


def make_images(seed: int, batch: int = 2, size: int = 128) -> Tensor:
    """Noise (batch, 3, size, size), normalised."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy((rng.random((batch, 3, size, size), dtype=np.float32) - MEAN) / STD)
