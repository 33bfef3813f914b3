"""Weights and inputs that golden files were recorded with, made from names and seeds."""

import json
import math
import zlib
from typing import Any

import numpy as np
import torch
from torch import Tensor


def reference_weight(name: str, shape: tuple[int, ...]) -> Tensor:
    """Draw a weight from its name in the reference, so that the signal stays alive (scheme B)."""
    last = name.rsplit('.', 1)[-1]
    if last in ('running_mean', 'running_var', 'num_batches_tracked'):
        value = torch.full(shape, float(last == 'running_var'))
        return value.long() if last == 'num_batches_tracked' else value
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    z = torch.from_numpy(rng.standard_normal(size=shape, dtype=np.float32))
    if len(shape) > 1:
        return z * (1 / math.sqrt(math.prod(shape[1:])) if last.endswith('weight') else 0.5)
    return z * 0.1 + float(last == 'weight')


def reference_state(file: Any) -> dict[str, Tensor]:
    """The state dict of the reference that a whole golden file is about."""
    names, shapes = file['names'].tolist(), map(json.loads, file['shapes'].tolist())
    return {
        name: reference_weight(name, tuple(shape))
        for name, shape in zip(names, shapes, strict=True)
    }


def draw_input(seed: int, *shape: int) -> Tensor:
    """Clips of noise."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.standard_normal(size=shape, dtype=np.float32))


# parts of a SlowFast layer here, and what pytorchvideo calls them
PYTORCHVIDEO_PARTS = {
    'downsample.conv': 'branch1_conv',
    'downsample.bn': 'branch1_norm',
    **{f'conv{i}.conv': f'branch2.conv_{letter}' for i, letter in enumerate('abc', 1)},
    **{f'conv{i}.bn': f'branch2.norm_{letter}' for i, letter in enumerate('abc', 1)},
}


def pytorchvideo_name(name: str) -> str:
    """What pytorchvideo calls a weight of `SlowFast`."""
    path, layer, *rest, kind = name.split('.')
    number = 0 if layer.startswith('conv1') else int(layer[5])
    if layer.endswith('_lateral'):
        part = {'conv': 'conv_fast_to_slow', 'bn': 'norm'}[rest[0]]
        return f'blocks.{number}.multipathway_fusion.{part}.{kind}'
    block = f'blocks.{number}.multipathway_blocks.{["slow_path", "fast_path"].index(path)}'
    if number == 0:
        return f'{block}.{ {"conv": "conv", "bn": "norm"}[rest[0]] }.{kind}'
    return f'{block}.res_blocks.{rest[0]}.{PYTORCHVIDEO_PARTS[".".join(rest[1:])]}.{kind}'
