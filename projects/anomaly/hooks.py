"""What happens around the steps of training a detector: embeddings, calibration, collapse, fitting.

Shape letters in this file: N clips, D numbers of an embedding.
"""

import math
from typing import Any

import torch
from mmengine.dist import all_gather_object
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmengine.structures import BaseDataElement
from torch import Tensor
from torch.utils.data import DataLoader

from mmotion.checks import check_range
from mmotion.compat import count_epoch
from mmotion.registry import HOOKS, LOOPS
from mmotion.training.models import unwrap_model

from .cache import EmbeddedClips

# of clips whose errors say what is normal
NORMAL_SUBSET = 'val'
# log variable of the model, and where its mean over the first epoch is kept
SPREAD = 'embedding_std'
FIRST_SPREAD = 'first_embedding_std'


@HOOKS.register_module()
class EmbeddingHook(Hook):
    """Replace clips by their embeddings for as long as the backbone is frozen.

    Concerns the loaders whose data set is an `EmbeddedClips`. Vectors need no data workers, so
    these loaders start none meanwhile. When an `UnfreezeHook` lets a tensor of the backbone train,
    the loaders give clips again.

    Without this hook the backbone runs in every step, which gives the same losses.
    """

    # after UnfreezeHook
    priority = 'BELOW_NORMAL'

    def __init__(self) -> None:
        # of the loaders while they give clips, by their id
        self._num_workers: dict[int, int] = {}

    def before_train_epoch(self, runner: Runner) -> None:
        """Prepare the clips of training and those of validation, which calibration needs too."""
        self._provide(runner, runner.train_dataloader, training=True)
        if runner.val_loop is not None:
            self._provide(runner, runner.val_dataloader)

    def before_val_epoch(self, runner: Runner) -> None:
        """Prepare the clips of validation."""
        self._provide(runner, runner.val_dataloader)

    def before_test_epoch(self, runner: Runner) -> None:
        """Prepare the clips of testing."""
        self._provide(runner, runner.test_dataloader)

    def _provide(self, runner: Runner, loader: DataLoader, *, training: bool = False) -> None:
        dataset = loader.dataset
        if not isinstance(dataset, EmbeddedClips):
            return
        model = unwrap_model(runner.model)
        num_workers = self._num_workers.setdefault(id(loader), loader.num_workers)
        if model.is_backbone_frozen:
            dataset.embed(model, training=training)
            # torch takes no timeout without workers
            loader.num_workers = num_workers if loader.timeout else 0
        else:
            dataset.use_clips()
            loader.num_workers = num_workers


@HOOKS.register_module()
class CalibrationHook(Hook):
    """Give the model the errors of normal validation clips after each epoch.

    They become its `calibration_errors`, by which an error gets its p-value and the threshold its
    place, and are part of the checkpoint that is written next. Only clips of the subset 'val'
    count, so anomalies may be among those that are validated on.
    """

    def before_train(self, runner: Runner) -> None:
        """Warn if there is nothing to calibrate with."""
        if runner.val_loop is None:
            runner.logger.warning(
                'the model is not calibrated, as the run has no validation clips: it will give no '
                'alarm. Leave out --no-validate, or add val_dataloader, val_cfg and val_evaluator'
            )

    def after_train_epoch(self, runner: Runner) -> None:
        """Calibrate, before the checkpoint of the epoch is written.

        Raises:
            ValueError: If no validation clip is usable and of the subset 'val'.
        """
        if runner.val_loop is None:
            return
        model: Any = runner.model
        model.eval()
        errors: dict[str, tuple[float, str]] = {}
        with torch.no_grad():
            for batch in runner.val_dataloader:
                for sample in model.val_step(batch):
                    if sample.get('subset') == NORMAL_SUBSET and not sample.get('excluded'):
                        name = _name_of(sample)
                        errors[name] = float(sample.error), str(sample.get('video') or name)
        usable = [pair for pair in _gather(errors).values() if math.isfinite(pair[0])]
        if not usable:
            raise ValueError(
                f'val_dataloader must have usable clips of subset={NORMAL_SUBSET!r} to calibrate '
                'with, got none; name their subset in the data set'
            )
        values, recordings = zip(*usable, strict=True)
        detector = unwrap_model(runner.model)
        detector.calibrate(torch.tensor(values), recordings)
        number = len({*recordings})
        runner.logger.info(
            f'calibrated on {len(values)} clips of {number} normal recordings, which can promise a '
            f'false-alarm rate of {1 / (number + 1):.2g} at best'
        )


@HOOKS.register_module()
class CollapseHook(Hook):
    """Watch whether the embeddings shrink while the backbone trains.

    A backbone that learns from how well its own output is reconstructed can make that easy: it maps
    all clips to one point. The deviation of the embeddings, `embedding_std` in the log of each
    step, then falls. Its mean over an epoch is compared with that of the first epoch, also in a run
    that was resumed.

    Args:
        warn_below: Share of the first epoch's deviation below which a warning is logged, in (0, 1).

    Raises:
        ValueError: If `warn_below` is out of its range.
    """

    def __init__(self, *, warn_below: float = 0.5) -> None:
        check_range('warn_below', warn_below, 0, 1, ends='()')
        self.warn_below = warn_below
        self._values: list[float] = []

    def before_train_epoch(self, runner: Runner) -> None:
        """Begin a new mean."""
        self._values = []

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Take the deviation within a batch.

        Raises:
            ValueError: If the model does not tell it.
        """
        if SPREAD not in (outputs or {}):
            raise ValueError(
                f'the losses of the model must have {SPREAD} for CollapseHook, got '
                f'{", ".join(outputs or {}) or "none"}; take the hook out of custom_hooks'
            )
        self._values.append(float(outputs[SPREAD]))

    def after_train_epoch(self, runner: Runner) -> None:
        """Compare with the first epoch."""
        if not self._values:
            return
        mean = sum(self._values) / len(self._values)
        # mmengine keeps the hub in checkpoints
        first = runner.message_hub.runtime_info.get(FIRST_SPREAD)
        if first is None:
            first = mean
            runner.message_hub.update_info(FIRST_SPREAD, first)
        share = mean / first if first else float('nan')
        line = f'{SPREAD} is {mean:.4g}, {share:.0%} of that in the first epoch'
        if share < self.warn_below:
            runner.logger.warning(
                f'{line}: the backbone is collapsing. Use stop_gradient=True, a smaller learning '
                'rate for it, or fewer tensors'
            )
        else:
            runner.logger.info(line)


@LOOPS.register_module()
class FitLoop(EpochBasedTrainLoop):
    """One pass over the training clips, and then `model.fit(embeddings, labels)`.

    For scorers that are computed and not trained by steps. Hooks see an epoch without iterations:
    calibration, checkpoint and validation follow as after any other. A clip that comes twice, as
    the last ones do for some of several processes, counts once.

    Args:
        runner: The runner.
        dataloader: The loader of the training clips, or its config.
        max_epochs: 1.

    Raises:
        ValueError: If `max_epochs` is another number.
    """

    def __init__(self, runner: Runner, dataloader: DataLoader | dict, max_epochs: int = 1) -> None:
        if max_epochs != 1:
            raise ValueError(
                f'max_epochs must be 1 where a scorer is fitted in one pass, got {max_epochs=}; '
                'leave it out, or take an EmbeddingAutoencoder, which is trained by steps'
            )
        super().__init__(runner, dataloader, max_epochs=max_epochs)

    def run_epoch(self) -> None:
        """Gather the embeddings (N, D) and labels (N,) of all processes, and fit."""
        runner = self.runner
        runner.call_hook('before_train_epoch')
        model = unwrap_model(runner.model)
        model.eval()
        own: dict[str, tuple[Tensor, int]] = {}
        with torch.no_grad():
            for batch in self.dataloader:
                batch = model.data_preprocessor(batch, False)
                embeddings = model.embed(batch['inputs'])
                for sample, embedding in zip(batch['data_samples'], embeddings.cpu(), strict=True):
                    own[_name_of(sample)] = embedding, int(sample.gt_label)
        embeddings, labels = zip(*_gather(own).values(), strict=True)
        device = model.data_preprocessor.device
        model.fit(torch.stack(embeddings).to(device), torch.tensor(labels, device=device))
        runner.call_hook('after_train_epoch')
        count_epoch(self)


def _name_of(sample: BaseDataElement) -> str:
    name = sample.get('name')
    if name is None:
        raise ValueError(
            f'a data sample must have a name, got {sample.metainfo}; add it to meta_keys'
        )
    return name


def _gather(values: dict[str, Any]) -> dict[str, Any]:
    """Merge what the processes have, in the order of the names."""
    merged: dict[str, Any] = {}
    for part in all_gather_object(values):
        merged.update(part)
    return dict(sorted(merged.items()))
