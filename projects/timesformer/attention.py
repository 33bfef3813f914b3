"""Who attends to whom: the seven steps of which TimeSformer's five attention schemes are made.

Paper: Bertasius et al., Is Space-Time Attention All You Need for Video Understanding?, ICML 2021,
    section 3, figures 2 and 3, https://arxiv.org/abs/2102.05095

Tokens are kept by frame, and each frame carries a copy of the clip's class token in front of its
patches: (T, B, 1 + P, ...). The T copies are equal before and after each step. With time in front,
a frame is a run of memory, and so is a patch position in all clips: neither the attention in time
nor that in space has to move the tokens.

Shape letters in this file: T frames per clip, B clips, P patches per frame in R rows and C
columns, N heads, K width of a head, S sequences of L tokens.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange, reduce, repeat
from torch import Tensor

# the steps of each scheme, in the order of figure 2
SCHEMES = {
    'space_only': ('space',),
    'joint_space_time': ('joint',),
    'divided_space_time': ('time', 'space'),
    'sparse_local_global': ('local', 'global'),
    'axial': ('time', 'width', 'height'),
}

# up to this many keys a plain softmax is faster on a CPU than PyTorch's fused kernel (torch 2.14,
# AMD EPYC with AVX-512): in half precision, where the kernel's backward pass takes two to six times
# as long, and in training in single precision. The kernel wins in the forward pass at any length.
# With AVX2 nothing runs in half precision, and the plain forward pass in single precision wins at
# length 8 and width 24 (1.8 and 2.0 ms) and at no other length or width that was tried.
PLAIN_KEYS_HALF = 256
PLAIN_KEYS_TRAINING = 16

# so few keys are attended to by sums when a compiler makes the kernels: PyTorch's fused kernel and
# products of matrices work on tiles of 16 to 128 rows, which eight frames leave empty. The compiler
# unrolls sums of up to eight, so that scores are one kernel, softmax and mean another.
SUMMED_KEYS = 8

# queries and keys (T, B, 1 + P, N, K), values of any width (T, B, 1 + P, N, V), R -> like values
Mix = Callable[[Tensor, Tensor, Tensor, int], Tensor]


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Let each query of a sequence take the mean of its values, weighted by softmax(q k / sqrt(K)).

    Args:
        query: (S, L, N, K).
        key: (S, M, N, K).
        value: (S, M, N, V).
        mask: (L, M), true where a query sees a key; None where all see all.

    Returns:
        (S, L, N, V).
    """
    # not while it is exported: what runs exported models fuses no sums
    if mask is None and key.shape[1] <= SUMMED_KEYS and torch.compiler.is_dynamo_compiling():
        return attend_by_sums(query, key, value)
    q, k, v = query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)
    if mask is None and _is_plain_faster(k):
        mixed = (q * q.shape[-1] ** -0.5 @ k.transpose(2, 3)).softmax(-1) @ v
    else:
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    return mixed.transpose(1, 2)


def attend_by_sums(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """The same without a product of matrices, in single precision; only a compiler makes it fast.

    It reads queries, keys and values where they lie, and so moves nothing.
    """
    dtype = value.dtype
    query, key, value = (
        x.to(torch.promote_types(x.dtype, torch.float32)) for x in (query, key, value)
    )
    # (S, L, M, N)
    scores = (query[:, :, None] * key[:, None]).sum(-1)
    weights = (scores * query.shape[-1] ** -0.5).softmax(2)
    return (weights[..., None] * value[:, None]).sum(2).to(dtype)


def mix_time(query: Tensor, key: Tensor, value: Tensor, rows: int) -> Tensor:
    """Each patch attends to its own position in all frames; so does, for nothing, the class token.

    To leave it out would cost a copy of all tokens; the caller puts the old class token back.
    """
    del rows
    tubes = (x.flatten(1, 2).transpose(0, 1) for x in (query, key, value))
    return attend(*tubes).transpose(0, 1).unflatten(1, query.shape[1:3])


def mix_space(query: Tensor, key: Tensor, value: Tensor, rows: int) -> Tensor:
    """Each patch attends to its own frame and the class token, whose copies do so in each frame."""
    del rows
    frames = (x.flatten(0, 1) for x in (query, key, value))
    return attend(*frames).unflatten(0, query.shape[:2])


def mix_joint(query: Tensor, key: Tensor, value: Tensor, rows: int) -> Tensor:
    """Each token attends to all tokens of its clip."""
    return _mix_groups('b', 't r c', query, key, value, rows=rows)


def mix_width(query: Tensor, key: Tensor, value: Tensor, rows: int) -> Tensor:
    """Each patch attends to its own row of its frame and the class token."""
    return _mix_groups('b t r', 'c', query, key, value, rows=rows)


def mix_height(query: Tensor, key: Tensor, value: Tensor, rows: int) -> Tensor:
    """Each patch attends to its own column of its frame and the class token."""
    return _mix_groups('b t c', 'r', query, key, value, rows=rows)


def mix_global(query: Tensor, key: Tensor, value: Tensor, rows: int) -> Tensor:
    """Each patch attends to every second frame, row and column, seen from it, and the class token.

    This splits the clip into 2 x 2 x 2 interleaved lattices of T/2 x R/2 x C/2 patches.
    """
    return _mix_groups('b i j k', 't r c', query, key, value, rows=rows, stride=2)


def mix_local(query: Tensor, key: Tensor, value: Tensor, rows: int) -> Tensor:
    """Each patch attends to the R/2 x C/2 patches around it in all frames, and the class token.

    Near a border the window stays inside of the frame, so that all windows have the same size. The
    class token attends to all tokens.
    """
    queries, keys, values = (
        rearrange(x[:, :, 1:], 't b (r c) n k -> b r c t n k', r=rows) for x in (query, key, value)
    )
    num_clips, _, columns, num_frames = queries.shape[:4]
    device = query.device

    # all patches of a row look at the same rows: one sequence a row, masked by column
    band = window_starts(rows, device)[:, None] + torch.arange(rows // 2, device=device)
    offset = torch.arange(columns, device=device) - window_starts(columns, device)[:, None]
    in_window = (offset >= 0) & (offset < columns // 2)
    mask = repeat(in_window, 'c d -> (c t) (r d s)', r=rows // 2, t=num_frames, s=num_frames)
    mask = F.pad(mask, (1, 0), value=True)

    cls_query, cls_key, cls_value = (x[0, :, None, 0] for x in (query, key, value))
    band_keys, band_values = (
        torch.cat(
            [
                repeat(cls, 'b 1 n k -> (b r) 1 n k', r=rows),
                rearrange(x[:, band], 'b r h c t n k -> (b r) (h c t) n k'),
            ],
            dim=1,
        )
        for cls, x in ((cls_key, keys), (cls_value, values))
    )
    queries = rearrange(queries, 'b r c t n k -> (b r) (c t) n k')
    patches = attend(queries, band_keys, band_values, mask)
    patches = rearrange(patches, '(b r) (c t) n k -> t b (r c) n k', b=num_clips, t=num_frames)
    all_keys, all_values = (
        torch.cat([cls, x.flatten(1, 3)], dim=1)
        for cls, x in ((cls_key, keys), (cls_value, values))
    )
    cls = attend(cls_query, all_keys, all_values)
    return torch.cat([cls.expand(num_frames, *cls.shape), patches], dim=2)


def add_to_patches(tokens: Tensor, change: Tensor) -> Tensor:
    """Add to the patches of tokens (T, B, 1 + P, D), and leave the class token as it is.

    By a factor of 0, as to write the old class token over the new one takes copies of all tokens
    in the backward pass.
    """
    is_patch = torch.arange(tokens.shape[2], device=tokens.device)[:, None] > 0
    return torch.addcmul(tokens, change, is_patch.to(change.dtype))


def share_class_token(tokens: Tensor) -> Tensor:
    """Give the copies of the class token in tokens (T, B, 1 + P, D) their mean, in place."""
    if torch.compiler.is_compiling():
        return _average_class_token(tokens)
    return _SharedClassToken.apply(tokens)


MIXES: dict[str, Mix] = {
    'time': mix_time,
    'space': mix_space,
    'joint': mix_joint,
    'local': mix_local,
    'global': mix_global,
    'width': mix_width,
    'height': mix_height,
}


def window_starts(length: int, device: torch.device | None = None) -> Tensor:
    """First index of the window of `length // 2` around each of `length` positions, (length,)."""
    window = length // 2
    return (torch.arange(length, device=device) - window // 2).clamp(0, length - window)


class _SharedClassToken(torch.autograd.Function):
    """Its gradient is averaged as it is: a copy, where autograd's own way takes three more."""

    @staticmethod
    def forward(ctx: Any, tokens: Tensor) -> Tensor:
        ctx.mark_dirty(tokens)
        return _average_class_token(tokens)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _average_class_token(gradients[0].clone())


def _average_class_token(tokens: Tensor) -> Tensor:
    tokens[:, :, 0] = tokens[:, :, 0].mean(0)
    return tokens


def _is_plain_faster(keys: Tensor) -> bool:
    """Whether to attend to keys (S, N, M, K) by a plain softmax."""
    if keys.device.type != 'cpu':
        return False
    if keys.dtype in (torch.bfloat16, torch.float16):
        return keys.shape[2] <= PLAIN_KEYS_HALF
    return keys.shape[2] <= PLAIN_KEYS_TRAINING and torch.is_grad_enabled()


def _mix_groups(
    groups: str,
    tokens: str,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    rows: int,
    stride: int = 1,
) -> Tensor:
    """Attend within groups of patches, each with a copy of the class token; average the copies.

    Args:
        groups: Axes that tell the groups apart: b, t, r, c and, for stride 2, i, j, k, which are
            the remainders of frame, row and column.
        tokens: Axes that a group runs over.
        query: (T, B, 1 + P, N, K), like the next two.
        key: Of the same shape.
        value: (T, B, 1 + P, N, V).
        rows: R.
        stride: Patches of a group are this many apart in time and space.

    Returns:
        (T, B, 1 + P, N, V).
    """
    num_frames, num_clips, num_tokens = query.shape[:3]
    sizes = {
        't': num_frames // stride,
        'r': rows // stride,
        'c': (num_tokens - 1) // rows // stride,
        **dict.fromkeys('ijk', stride),
    }
    by_frame, by_group = '(t i) b (r j c k) n d', f'({groups}) ({tokens}) n d'
    if stride == 1:
        by_frame = 't b (r c) n d'
    used = {axis: size for axis, size in sizes.items() if axis in by_frame}
    axes = {axis: size for axis, size in used.items() if axis in groups}
    sequences = (
        torch.cat(
            [
                repeat(x[0, :, 0], f'b n d -> ({groups}) 1 n d', **axes),
                rearrange(x[:, :, 1:], f'{by_frame} -> {by_group}', **used),
            ],
            dim=1,
        )
        for x in (query, key, value)
    )
    mixed = attend(*sequences)
    cls = reduce(mixed[:, 0], f'({groups}) n d -> b 1 n d', 'mean', b=num_clips, **axes)
    patches = rearrange(mixed[:, 1:], f'{by_group} -> {by_frame}', b=num_clips, **used)
    return torch.cat([cls.expand(num_frames, *cls.shape), patches], dim=2)
