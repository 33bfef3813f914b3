"""Stop a training that has diverged, before it writes its broken weights over good ones."""

import math
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.optim import AmpOptimWrapper
from mmengine.runner import Runner

from mmotion.checkpoint import CheckpointError, check_finite, find_last_checkpoint
from mmotion.checks import check_at_least
from mmotion.registry import HOOKS

# a step of float16 whose gradients overflow is skipped, and the loss is scaled down for the next
_SKIPPED_IN_FLOAT16 = 20


class DivergedError(RuntimeError):
    """A training whose loss or weights are no longer finite."""


@HOOKS.register_module()
class DivergenceHook(Hook):
    """Stop when the loss is NaN or infinite, and write no checkpoint with such weights.

    Args:
        patience: Steps in a row without a finite loss that are let pass, >= 0. None goes on
            whatever happens, and writes the checkpoints as well. With the loss scaling of float16,
            which skips such steps itself, it is at least 20.

    Raises:
        ValueError: If `patience` is negative.
    """

    # before any hook that writes a checkpoint
    priority = 'VERY_HIGH'

    def __init__(self, *, patience: int | None = 0) -> None:
        if patience is not None:
            check_at_least('patience', patience, 0)
        self.patience = patience
        self._num_broken = 0

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Look at the loss of a step.

        Raises:
            DivergedError: If it was not finite too often.
        """
        loss = float(torch.as_tensor((outputs or {}).get('loss', 0.0)).detach())
        self._num_broken = 0 if math.isfinite(loss) else self._num_broken + 1
        if self.patience is None:
            return
        scales = isinstance(runner.optim_wrapper, AmpOptimWrapper)
        patience = max(self.patience, _SKIPPED_IN_FLOAT16) if scales else self.patience
        if self._num_broken > patience:
            raise _diverged(runner, f'loss={loss}', runner.iter + 1)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Look at the weights that are about to be written.

        Raises:
            DivergedError: If they are not finite.
        """
        if self.patience is None:
            return
        try:
            check_finite(checkpoint['state_dict'], source='this step')
        except CheckpointError as error:
            raise _diverged(runner, 'weights that are not', checkpoint['meta']['iter']) from error


def _diverged(runner: Runner, got: str, step: int) -> DivergedError:
    last = find_last_checkpoint(runner.work_dir)
    optimizer: Any = runner.optim_wrapper
    rates = sorted({rate for rates in optimizer.get_lr().values() for rate in rates})
    return DivergedError(
        f'training must keep its loss and weights finite, got {got} at step {step} '
        f'(epoch {runner.epoch + 1}); the last good checkpoint is {last or "none yet"}; try a '
        f'lower learning rate than {", ".join(f"{rate:g}" for rate in rates)}, '
        'optim_wrapper.clip_grad.max_norm=1.0, a longer warm-up, or float32 in place of mixed '
        'precision; default_hooks.divergence.patience=N goes on for N such steps'
    )
