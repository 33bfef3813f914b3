"""The steps against loops over the patches that the paper says are attended to."""

from unittest.mock import Mock

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from projects.timesformer.attention import (
    MIXES,
    SCHEMES,
    _is_plain_faster,
    add_to_patches,
    attend,
    attend_by_sums,
    share_class_token,
    window_starts,
)

from .conftest import all_patches, class_token_groups, neighbors

T, B, R, C, N, K = 4, 2, 4, 6, 2, 3
SIZE = (T, R, C)


def slow_attention(query: Tensor, keys: list[Tensor], values: list[Tensor]) -> Tensor:
    """One query (N, K) to the weighted mean (N, K) of the values, head by head."""
    heads = []
    for n in range(N):
        scores = torch.stack([query[n] @ key[n] / K**0.5 for key in keys])
        weights = scores.exp() / scores.exp().sum()
        heads.append(sum(w * value[n] for w, value in zip(weights, values, strict=True)))
    return torch.stack(heads)


@pytest.mark.parametrize('kind', MIXES)
def test_each_step_equals_a_loop_over_the_neighbours(kind: str) -> None:
    query, key, value = torch.randn(3, T, B, 1 + R * C, N, K, dtype=torch.float64)
    # the copies of the class token are equal
    for x in (query, key, value):
        x[:, :, 0] = x[0, :, 0]
    mixed = MIXES[kind](query, key, value, R)
    assert mixed.shape == value.shape
    for b in range(B):
        cls_query, cls_key, cls_value = (x[0, b, 0] for x in (query, key, value))
        queries, keys, values = (
            {(t, r, c): x[t, b, 1 + r * C + c] for t, r, c in all_patches(SIZE)}
            for x in (query, key, value)
        )
        for t, r, c in all_patches(SIZE):
            seen = neighbors(kind, (t, r, c), SIZE)
            # attention in time leaves the class token out
            extra = [] if kind == 'time' else [(cls_key, cls_value)]
            slow = slow_attention(
                queries[t, r, c],
                [keys[p] for p in seen] + [k for k, _ in extra],
                [values[p] for p in seen] + [v for _, v in extra],
            )
            torch.testing.assert_close(mixed[t, b, 1 + r * C + c], slow)
        copies = [
            slow_attention(
                cls_query,
                [cls_key, *(keys[p] for p in group)],
                [cls_value, *(values[p] for p in group)],
            )
            for group in class_token_groups(kind, SIZE)
        ]
        if copies:
            torch.testing.assert_close(mixed[:, b, 0].mean(0), torch.stack(copies).mean(0))


@pytest.mark.parametrize(
    ('kind', 'count'),
    [
        pytest.param('local', T * (R // 2) * (C // 2), id='local-half-of-rows-and-columns'),
        pytest.param('global', (T // 2) * (R // 2) * (C // 2), id='global-every-second'),
    ],
)
def test_sparse_steps_see_as_many_patches_from_everywhere(kind: str, count: int) -> None:
    assert {len(neighbors(kind, patch, SIZE)) for patch in all_patches(SIZE)} == {count}


def test_few_keys_are_summed_by_a_compiler_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    query, key, value = torch.randn(3, 5, 8, N, K, dtype=torch.float64, requires_grad=True)
    inputs = (query, key, value)
    torch.testing.assert_close(attend_by_sums(*inputs), attend(*inputs))
    half = attend_by_sums(*(x.bfloat16() for x in inputs))
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.double(), attend(*inputs), rtol=0, atol=0.05)
    sums = Mock(wraps=attend_by_sums)
    monkeypatch.setattr('projects.timesformer.attention.attend_by_sums', sums)
    attend(*inputs)
    sums.assert_not_called()
    monkeypatch.setattr(torch.compiler, 'is_dynamo_compiling', lambda: True)
    attend(*inputs)
    sums.assert_called_once()
    attend(query, *torch.randn(2, 5, 9, N, K, dtype=torch.float64))
    sums.assert_called_once()


def test_copies_of_the_class_token_and_their_gradients_are_averaged() -> None:
    tokens = torch.randn(T, B, 1 + R * C, K, dtype=torch.float64, requires_grad=True)
    weights = torch.randn_like(tokens)
    shared = share_class_token(tokens * 1)
    means = tokens[:, :, :1].mean(0, keepdim=True).expand(T, -1, -1, -1)
    expected = torch.cat([means, tokens[:, :, 1:]], dim=2)
    torch.testing.assert_close(shared, expected)
    (found,) = torch.autograd.grad((shared * weights).sum(), tokens)
    torch.testing.assert_close(found, *torch.autograd.grad((expected * weights).sum(), tokens))
    assert torch.autograd.gradcheck(lambda x: share_class_token(x * 1), tokens[:, :, :2])


def test_what_is_added_to_patches_leaves_the_class_token_alone() -> None:
    tokens, change = torch.randn(2, T, B, 1 + R * C, K)
    added = add_to_patches(tokens, change)
    assert added[:, :, 0].equal(tokens[:, :, 0])
    assert added[:, :, 1:].equal((tokens + change)[:, :, 1:])


def test_windows_are_centred_where_the_border_lets_them() -> None:
    # 14 rows as at 224 pixels: seven rows, three on either side
    assert window_starts(14).tolist() == [0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 7, 7, 7]


def test_plain_softmax_equals_the_fused_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    query, key, value = torch.randn(3, 5, 8, N, K)
    kernel = Mock(wraps=F.scaled_dot_product_attention)
    monkeypatch.setattr(F, 'scaled_dot_product_attention', kernel)
    plain = attend(query, key, value)
    kernel.assert_not_called()
    with torch.no_grad():
        torch.testing.assert_close(attend(query, key, value), plain, rtol=0, atol=1e-6)
    kernel.assert_called_once()


@pytest.mark.parametrize(
    ('dtype', 'num_keys', 'grad', 'is_plain'),
    [
        pytest.param(torch.float32, 8, True, True, id='short-training'),
        pytest.param(torch.float32, 8, False, False, id='short-prediction'),
        pytest.param(torch.float32, 197, True, False, id='frame'),
        pytest.param(torch.bfloat16, 197, False, True, id='frame-in-half-precision'),
        pytest.param(torch.bfloat16, 1569, True, False, id='clip-in-half-precision'),
    ],
)
def test_the_kernel_is_chosen_by_shape(
    dtype: torch.dtype, num_keys: int, grad: bool, is_plain: bool
) -> None:
    with torch.set_grad_enabled(grad):
        assert _is_plain_faster(torch.empty(1, 1, num_keys, 1, dtype=dtype)) == is_plain


def test_the_schemes_are_those_of_figure_2() -> None:
    assert len(SCHEMES) == 5
    assert {step for steps in SCHEMES.values() for step in steps} == set(MIXES)
