"""The bricks of TimeSformer: an attention step, an MLP, and the block that is made of them.

Paper: Bertasius et al., Is Space-Time Attention All You Need for Video Understanding?, ICML 2021,
    section 3 and figure 2, https://arxiv.org/abs/2102.05095
Reference code: facebookresearch/TimeSformer@a5ef29a, timesformer/models/vit.py, class Block

Shape letters in this file: T frames per clip, B clips, P patches per frame in R rows, D token
width, N heads, K width of a head. Tokens are kept by frame, see `attention.py`.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .attention import MIXES, SCHEMES, add_to_patches, share_class_token

NORM_EPS = 1e-6
MLP_RATIO = 4


class DropPath(nn.Module):
    """Leave out a residual branch at random while training, and scale up what is kept.

    Args:
        rate: Probability, in [0, 1), that it is left out.
    """

    keep: Tensor

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        # a tensor: blocks that differ in a number alone are one to a compiler
        self.register_buffer('keep', torch.tensor(1 - rate), persistent=False)

    def draw(self, x: Tensor, independent: tuple[int, ...]) -> Tensor | None:
        """Factors for slices of `x`; those along the axes `independent` are drawn each by itself.

        None stands for 1. What is compiled draws at a rate of 0, too, as it serves all blocks.
        """
        if not self.training or not (torch.compiler.is_compiling() or self.rate):
            return None
        shape = [size if axis in independent else 1 for axis, size in enumerate(x.shape)]
        return (torch.rand(shape, device=x.device) < self.keep) / self.keep

    def forward(self, x: Tensor, *, independent: tuple[int, ...]) -> Tensor:
        """Drop slices of `x`, see `draw`."""
        factors = self.draw(x, independent)
        return x if factors is None else x * factors


class AttentionStep(nn.Module):
    """Normalise, attend, project, add: one of the steps that a scheme is made of.

    Args:
        kind: Who attends to whom, a key of `MIXES`.
        dim: Token width D.
        num_heads: Heads N.
        drop_path: See `DropPath`.
        is_added: Whether an image transformer lacks this step. It then has a second projection,
            zero until it is trained, so that it first changes nothing; with it the schemes have as
            many parameters as table 1 of the paper says.
    """

    def __init__(
        self, *, kind: str, dim: int, num_heads: int, drop_path: float, is_added: bool
    ) -> None:
        super().__init__()
        self.kind = kind
        self.num_heads = num_heads
        self.norm = nn.LayerNorm(dim, eps=NORM_EPS)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.fc = nn.Linear(dim, dim) if is_added else nn.Identity()
        self.drop_path = DropPath(drop_path)
        # axes of (T, B, 1 + P, D) in which a sequence that is attended to is told from others
        self.sequences = {'time': (1, 2), 'space': (0, 1), 'width': (0, 1), 'height': (0, 1)}.get(
            kind, (1,)
        )

    def forward(self, x: Tensor, rows: int, fold: bool = False, cls_only: bool = False) -> Tensor:
        """Attend once.

        Args:
            x: Tokens (T, B, 1 + P, D).
            rows: Rows of patches R.
            fold: Multiply the two projections of an added step with each other instead of one
                after the other with the tokens. Only a factor, drop path's, lies between them, so
                this gives the same, in less time where there are more tokens than D.
            cls_only: With attention in space, let no patch attend, and leave them out of the
                result. Other attention ignores this.

        Returns:
            Tokens of the same shape, or (T, B, 1, D).
        """
        if cls_only and self.kind == 'space':
            query, key, value = self._heads_of_class_token(x)
            x = x[:, :, :1]
        else:
            query, key, value = self._heads(x)
        y = MIXES[self.kind](query, key, value, rows).flatten(3)
        if fold and isinstance(self.fc, nn.Linear):
            y = self._project_folded(y)
        else:
            y = self.fc(self.drop_path(self.proj(y), independent=self.sequences))
        # one class token a clip: time leaves it alone, else its copies are averaged
        return add_to_patches(x, y) if self.kind == 'time' else share_class_token(x + y)

    def spread(self, relevance: Tensor, x: Tensor, rows: int) -> Tensor:
        """Mix numbers as the tokens are mixed: attention and residual connection, half each.

        The attention is the mean over the heads; projections and MLP are left out.

        Args:
            relevance: A number for each token (T, B, 1 + P).
            x: The tokens (T, B, 1 + P, D).
            rows: R.

        Returns:
            (T, B, 1 + P).
        """
        query, key, _ = self._heads(x)
        values = relevance[..., None, None].expand(-1, -1, -1, self.num_heads, 1)
        # recomputed in the backward pass: the attention of all heads and blocks is large
        mixed = checkpoint(MIXES[self.kind], query, key, values, rows, use_reentrant=False)
        mixed = mixed.squeeze(-1).mean(-1)
        cls = relevance[:, :, :1] if self.kind == 'time' else mixed[:, :, :1]
        cls = cls.mean(0, keepdim=True).expand_as(cls)
        return (relevance + torch.cat([cls, mixed[:, :, 1:]], dim=2)) / 2

    def _project_folded(self, y: Tensor) -> Tensor:
        """Both projections of mixed tokens (T, B, 1 + P, D), as one."""
        fc: Any = self.fc
        weight, bias = fc.weight @ self.proj.weight, fc.weight @ self.proj.bias
        factors = self.drop_path.draw(y, self.sequences)
        if factors is None:
            return F.linear(y, weight, bias + fc.bias)
        return torch.addcmul(fc.bias, F.linear(y, weight, bias), factors)

    def _heads(self, x: Tensor) -> tuple[Tensor, ...]:
        """Queries, keys and values of tokens (T, B, 1 + P, D), each (T, B, 1 + P, N, K)."""
        return self.qkv(self.norm(x)).unflatten(-1, (3, self.num_heads, -1)).unbind(-3)

    def _heads_of_class_token(self, x: Tensor) -> tuple[Tensor, ...]:
        """The same without the queries of patches, which are (T, B, 1, N, K)."""
        x, dim = self.norm(x), x.shape[-1]
        weight, bias = self.qkv.weight, self.qkv.bias
        query = F.linear(x[:, :, :1], weight[:dim], bias[:dim])
        pair = F.linear(x, weight[dim:], bias[dim:])
        key, value = pair.unflatten(-1, (2, self.num_heads, -1)).unbind(-3)
        return query.unflatten(-1, (self.num_heads, -1)), key, value


class Mlp(nn.Module):
    """Normalise, two linear layers with a GELU, add.

    Args:
        dim: Token width D.
        drop_path: See `DropPath`.
    """

    def __init__(self, *, dim: int, drop_path: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim, eps=NORM_EPS)
        self.fc1 = nn.Linear(dim, MLP_RATIO * dim)
        self.fc2 = nn.Linear(MLP_RATIO * dim, dim)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (T, B, 1 + P, D) to the same."""
        y = self.fc2(F.gelu(self.fc1(self.norm(x))))
        return x + self.drop_path(y, independent=(1,))


class Block(nn.Module):
    """The attention steps of a scheme, one after the other, and an MLP.

    Args:
        attention: Scheme, a key of `SCHEMES`.
        dim: Token width D.
        num_heads: Heads N.
        drop_path: See `DropPath`.
    """

    def __init__(self, *, attention: str, dim: int, num_heads: int, drop_path: float) -> None:
        super().__init__()
        *added, last = SCHEMES[attention]

        def step(kind: str, is_added: bool) -> AttentionStep:
            return AttentionStep(
                kind=kind, dim=dim, num_heads=num_heads, drop_path=drop_path, is_added=is_added
            )

        self.added = nn.ModuleDict({kind: step(kind, True) for kind in added})
        # the step that takes the place, and the weights, of an image transformer's attention
        self.attn = step(last, False)
        self.mlp = Mlp(dim=dim, drop_path=drop_path)

    def steps(self) -> list[Any]:
        """The attention steps in their order."""
        return [*self.added.values(), self.attn]

    def forward(self, x: Tensor, rows: int, fold: bool = False, cls_only: bool = False) -> Tensor:
        """Run the block.

        Args:
            x: Tokens (T, B, 1 + P, D).
            rows: Rows of patches R.
            fold: See `AttentionStep`.
            cls_only: Leave out what only patches need, and these out of the result.

        Returns:
            Tokens of the same shape, or (T, B, 1, D).
        """
        for step in self.added.values():
            x = step(x, rows, fold)
        x = self.attn(x, rows, fold, cls_only)
        return self.mlp(x[:, :, :1] if cls_only else x)
