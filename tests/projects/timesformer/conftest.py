"""What the tests share: who attends to whom, typed from the paper, and weights of the references.

Weights are made from their names, so that none need to be kept.
"""

import itertools
import math
import re
import zlib
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

Patch = tuple[int, int, int]


def all_patches(size: Patch) -> list[Patch]:
    """Frame, row and column of every patch of a clip of so many frames, rows and columns."""
    return list(itertools.product(*map(range, size)))


def neighbors(kind: str, patch: Patch, size: Patch) -> list[Patch]:
    """The patches that one attends to, typed from section 3 of the paper.

    Args:
        kind: The step.
        patch: Frame, row and column.
        size: Frames, rows and columns of the clip.
    """
    t, r, c = patch
    _, rows, columns = size
    top, left = (min(max(i - n // 4, 0), n - n // 2) for i, n in ((r, rows), (c, columns)))
    return [
        (s, i, j)
        for s, i, j in all_patches(size)
        if {
            'time': (i, j) == (r, c),
            'space': s == t,
            'joint': True,
            'local': top <= i < top + rows // 2 and left <= j < left + columns // 2,
            'global': (s - t) % 2 == (i - r) % 2 == (j - c) % 2 == 0,
            'width': (s, i) == (t, r),
            'height': (s, j) == (t, c),
        }[kind]
    ]


def class_token_groups(kind: str, size: Patch) -> list[tuple[Patch, ...]]:
    """The groups of patches that copies of the class token attend to, each one; none in time."""
    patches = all_patches(size)
    if kind == 'time':
        return []
    if kind == 'local':
        # windows overlap
        return [tuple(patches)]
    return sorted({tuple(neighbors(kind, patch, size)) for patch in patches})


# of the tiny networks: (image size, patch size, width, depth, frames, classes)
SIZES = (64, 16, 96, 2, 4, 10)


def reference_weight(name: str, shape: list[int], scheme: str) -> Tensor:
    """Draw a weight from its name; 'A' is small noise, 'B' keeps the signal alive."""
    last = name.rsplit('.', 1)[-1]
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    z = torch.from_numpy(rng.standard_normal(size=shape, dtype=np.float32))
    is_matrix = len(shape) > 1
    if scheme == 'A':
        return z * 0.02 + float(not is_matrix and last == 'weight')
    if is_matrix:
        return z * (math.sqrt(1 / math.prod(shape[1:])) if last.endswith('weight') else 0.5)
    return z * 0.1 + float(last == 'weight')


def reference_shapes(attention: str) -> dict[str, list[int]]:
    """Names and shapes of the reference's state dict, for the three schemes that it has."""
    image, patch, width, depth, frames, classes = SIZES
    shapes = {
        'cls_token': [1, 1, width],
        'pos_embed': [1, 1 + (image // patch) ** 2, width],
        'patch_embed.proj.weight': [width, 3, patch, patch],
        'patch_embed.proj.bias': [width],
        'norm.weight': [width],
        'norm.bias': [width],
        'head.weight': [classes, width],
        'head.bias': [classes],
    }
    if attention != 'space_only':
        shapes['time_embed'] = [1, frames, width]
    layers = {
        'attn.qkv': (3 * width, width),
        'attn.proj': (width, width),
        'mlp.fc1': (4 * width, width),
        'mlp.fc2': (width, 4 * width),
    }
    norms = ['norm1', 'norm2']
    if attention == 'divided_space_time':
        layers |= {f'temporal_{k}': v for k, v in layers.items() if k.startswith('attn')}
        layers['temporal_fc'] = (width, width)
        norms.append('temporal_norm1')
    for i in range(depth):
        for name, (rows, columns) in layers.items():
            shapes[f'blocks.{i}.{name}.weight'] = [rows, columns]
            shapes[f'blocks.{i}.{name}.bias'] = [rows]
        for name in norms:
            shapes |= {f'blocks.{i}.{name}.{kind}': [width] for kind in ('weight', 'bias')}
    return shapes


@pytest.fixture(scope='session')
def make_reference_state() -> Callable[[str, str], dict[str, Tensor]]:
    """Make the reference's state dict for an attention scheme and a scheme of filling."""

    def make(attention: str, fill: str) -> dict[str, Tensor]:
        return {
            name: reference_weight(name, shape, fill)
            for name, shape in reference_shapes(attention).items()
        }

    return make


# names of the reference, and what transformers calls them
TRANSFORMERS_NAMES = (
    ('cls_token', 'timesformer.embeddings.cls_token'),
    ('pos_embed', 'timesformer.embeddings.position_embeddings'),
    ('time_embed', 'timesformer.embeddings.time_embeddings'),
    ('patch_embed.proj', 'timesformer.embeddings.patch_embeddings.projection'),
    ('blocks', 'timesformer.encoder.layer'),
    ('temporal_norm1', 'temporal_layernorm'),
    ('temporal_attn.qkv', 'temporal_attention.attention.qkv'),
    ('temporal_attn.proj', 'temporal_attention.output.dense'),
    ('temporal_fc', 'temporal_dense'),
    ('norm1', 'layernorm_before'),
    ('norm2', 'layernorm_after'),
    ('attn.qkv', 'attention.attention.qkv'),
    ('attn.proj', 'attention.output.dense'),
    ('mlp.fc1', 'intermediate.dense'),
    ('mlp.fc2', 'output.dense'),
    ('norm', 'timesformer.layernorm'),
    ('head', 'classifier'),
)


def transformers_name(name: str) -> str:
    """What transformers calls a weight of the reference."""
    found = []
    while name:
        for ours, theirs in TRANSFORMERS_NAMES:
            if re.match(rf'{re.escape(ours)}(\.|$)', name):
                found.append(theirs)
                name = name[len(ours) + 1 :]
                break
        else:
            # the number of a block, 'weight' or 'bias'
            first, _, name = name.partition('.')
            found.append(first)
    return '.'.join(found)


@pytest.fixture(scope='session')
def make_transformers_state() -> Callable[[str], dict[str, Tensor]]:
    """Make the state dict of transformers' divided attention for a scheme of filling."""

    def make(fill: str) -> dict[str, Tensor]:
        shapes = reference_shapes('divided_space_time')
        names = {transformers_name(name): shape for name, shape in shapes.items()}
        return {name: reference_weight(name, shape, fill) for name, shape in names.items()}

    return make
