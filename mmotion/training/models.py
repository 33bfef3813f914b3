"""What models of all systems share: the modes of mmengine's models, and wrappers around a model."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import is_model_wrapper
from torch import Tensor, nn

from mmotion.checks import check_choice

MODES = ('loss', 'predict', 'tensor')


def check_mode(mode: str) -> None:
    """Refuse a `mode` of `forward` that is none of mmengine's.

    Raises:
        ValueError: If it is not in `MODES`.
    """
    check_choice('mode', mode, MODES)


def send_numbers(
    numbers: Sequence[Any], device: torch.device, dtype: torch.dtype | None = None
) -> Tensor:
    """Make a tensor of a few numbers on a device, without waiting for what that still has to do."""
    return torch.tensor(numbers, dtype=dtype).to(device, non_blocking=True)


def unwrap_model(model: nn.Module) -> Any:
    """Give the model inside a wrapper, such as that of a distributed run, or the model itself."""
    return model.module if is_model_wrapper(model) else model
