"""Mixed precision, on a GPU and without one."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from mmaction.models.heads.base import BaseHead
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from torch import nn

from mmotion.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Mixed precision where there is no GPU: the forward pass under autocast to bfloat16.

    bfloat16 has the range of float32, so the loss needs no scaling. A head of MMAction2 gives its
    logits in float32: it makes an array of NumPy of them, which knows no bfloat16.

    A network with `nn.Conv3d` stays in float32 on a CPU: there torch 2.14 gives the weights of a
    convolution over two steps of time gradients of up to 1e38 (`findings/torch_conv3d_bf16.sh`).
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Run the forward pass of a step in bfloat16 where that is safe."""
        device = torch.device(get_device()).type
        with ExitStack() as stack:
            for module in model.modules():
                if isinstance(module, BaseHead):
                    stack.callback(module.register_forward_hook(_widen).remove)
            stack.enter_context(super().optim_context(model))
            is_safe = device != 'cpu' or not any(isinstance(m, nn.Conv3d) for m in model.modules())
            stack.enter_context(torch.autocast(device, dtype=torch.bfloat16, enabled=is_safe))
            yield


def _widen(_head: nn.Module, _inputs: Any, logits: Any) -> Any:
    return logits.float() if isinstance(logits, torch.Tensor) else logits


def has_fast_bfloat16() -> bool:
    """Whether this CPU computes in bfloat16 faster than in float32.

    Without AVX-512 each number is converted: on an AMD EPYC, one thread, a step of `repnet_small`
    takes 0.65 s in bfloat16 and 1.02 s in float32; told to do without AVX-512, 10.6 s and 1.2 s.
    `mmotion benchmark SYSTEM` measures it.
    """
    return torch.backends.cpu.get_cpu_capability().startswith('AVX512')


def choose_precision(config: Config, amp: bool) -> None:
    """Name the optimizer wrapper for mixed precision if it is asked for."""
    wrapper = config.get('optim_wrapper') or {}
    given = wrapper.get('type', 'OptimWrapper')
    if amp and given not in ('OptimWrapper', 'AmpOptimWrapper', 'BFloat16OptimWrapper'):
        raise ValueError(
            'optim_wrapper must be an OptimWrapper for mixed precision, got '
            f'optim_wrapper.type={given!r}; leave out amp'
        )
    if torch.cuda.is_available():
        if amp and given == 'OptimWrapper':
            wrapper.update(type='AmpOptimWrapper')
            wrapper.setdefault('loss_scale', 'dynamic')
    elif amp or given in ('AmpOptimWrapper', 'BFloat16OptimWrapper'):
        fast = has_fast_bfloat16()
        wrapper.update(type='BFloat16OptimWrapper' if fast else 'OptimWrapper')
        for key in ('loss_scale', 'dtype', 'use_fsdp'):
            wrapper.pop(key, None)
        capability = torch.backends.cpu.get_cpu_capability()
        print_log(
            f'mixed precision without a GPU: bfloat16, as this CPU has {capability}'
            if fast
            else f'float32 in place of mixed precision, which is slower on this CPU: {capability}',
            logger='current',
        )
