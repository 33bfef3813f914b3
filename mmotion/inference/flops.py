"""Count the multiply-adds of one pass of a model over one clip.

A multiply-add counts as one FLOP, as fvcore has it and as papers print it. fvcore watches passes
over a clip, so this takes as long as the model does.
"""

import math
from typing import Any

import torch
from fvcore.nn import FlopCountAnalysis
from mmengine.config import Config
from torch import Tensor, nn

from mmotion.registry import MODELS


class Scorer(nn.Module):
    """From clips (B, 3, T, H, W) to the raw output of a model, by the way that testing takes.

    Args:
        model: Any model of the toolkit; a recognizer of MMAction2 gives the logits of its head.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, clips: Tensor) -> Any:
        """Raw output, as the model has it."""
        if getattr(self.model, 'with_cls_head', False):
            return self.model(clips[:, None], mode='tensor', stage='head')
        return self.model(clips, mode='tensor')


class AllTokens(nn.Module):
    """From clips (B, 3, T, H, W) to all tokens of a transformer, by the products of its paper.

    Args:
        backbone: Has a method `tokens` for that.
    """

    def __init__(self, backbone: Any) -> None:
        super().__init__()
        self.backbone: Any = backbone

    def forward(self, clips: Tensor) -> Tensor:
        """Tokens, as the backbone has them."""
        return self.backbone.tokens(clips)


def build_model(config: Config) -> nn.Module:
    """Build the model of a config without the weights that it would start from."""
    return MODELS.build(config.model).eval()


def clip_shape(config: Config) -> tuple[int, int, int] | None:
    """Frames, height and width of the clips that a backbone is for, None if it does not say."""
    backbone = config.model.get('backbone') or {}
    if 'num_frames' not in backbone or 'image_size' not in backbone:
        return None
    return backbone.num_frames, backbone.image_size, backbone.image_size


def count_flops(module: nn.Module, shape: tuple[int, int, int]) -> int:
    """Multiply-adds of one pass over one clip of T frames, height and width `shape`.

    Matrix products, convolutions and normalisations are counted; fvcore leaves out what is done to
    each number by itself, such as additions, activations and the softmax.
    """
    analysis = FlopCountAnalysis(module, torch.zeros(1, 3, *shape))
    analysis.set_op_handle('aten::matmul', _matmul_flops)
    analysis.set_op_handle('aten::scaled_dot_product_attention', _attention_flops)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    with torch.no_grad():
        return int(analysis.total())


def _matmul_flops(inputs: list[Any], outputs: list[Any]) -> int:
    """Multiply-adds of a product of matrices or vectors; fvcore's own count refuses vectors."""
    return math.prod(outputs[0].type().sizes()) * inputs[0].type().sizes()[-1]


def _attention_flops(inputs: list[Any], outputs: list[Any]) -> int:
    """Multiply-adds of softmax(q k^T) v for q (..., N, D), k (..., M, D) and v (..., M, E)."""
    query, key, value = (tensor.type().sizes() for tensor in inputs[:3])
    return math.prod(query[:-1]) * key[-2] * (query[-1] + value[-1])
