"""What happens around the steps: exact resuming, safe checkpoints, results to look at.

`EpochSeedHook`, `PlainCheckpointHook` and `CheckpointHook` are part of every run; the other two
are added by options of `mmotion test`.
"""

import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import simplejson
import torch
from mmengine.dist import collect_results, get_dist_info, get_rank, is_main_process
from mmengine.hooks import CheckpointHook as MMEngineCheckpointHook
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement

from mmotion.atomic import write_atomically
from mmotion.checkpoint.plain_data import to_plain
from mmotion.registry import HOOKS


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Seed all random numbers at the start of each epoch from (seed, epoch, rank).

    A run that is resumed at an epoch then draws the numbers that the unbroken run would have drawn,
    for shuffling, augmentation and dropout, in the data workers too: they get their seeds from
    torch's generator when an epoch begins. Validation in between makes no difference.

    Workers that outlive an epoch (`persistent_workers=True`) keep their own generators, so their
    random augmentations are not repeated after resuming. The hook says so.
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner: Runner) -> None:
        """Warn if resuming cannot be exact."""
        if getattr(runner.train_dataloader, 'persistent_workers', False):
            runner.logger.warning(
                'a resumed run will draw other random augmentations than an unbroken one, as '
                'train_dataloader has persistent_workers=True; set it to False for exact resuming'
            )

    def before_train_epoch(self, runner: Runner) -> None:
        """Seed Python, NumPy and torch (with all its devices)."""
        entropy = (runner.seed or 0, runner.epoch, get_rank())
        seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)


@HOOKS.register_module()
class PlainCheckpointHook(Hook):
    """Turn a checkpoint into plain data (`mmotion.checkpoint.plain_data`) before it is written."""

    # after every hook that adds to a checkpoint
    priority = 'LOWEST'

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Convert in place."""
        checkpoint.update(to_plain(checkpoint))


@HOOKS.register_module()
class CheckpointHook(MMEngineCheckpointHook):
    """mmengine's CheckpointHook, which deletes an old checkpoint only when the new one is written.

    Differs from mmengine's class, which deletes first: a run that is killed in between, with
    `max_keep_ckpts=1`, is left with nothing. Knows more metrics, so that `save_best` needs no
    `rule` for them; `save_best='auto'` goes on without a best checkpoint where the first metric is
    another one, instead of ending the run after its first epoch. Takes the same arguments.
    """

    _default_greater_keys = (*MMEngineCheckpointHook._default_greater_keys, 'OBO', 'OBZ', 'F1')
    _default_less_keys = (*MMEngineCheckpointHook._default_less_keys, 'MAE', 'error')

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        outdated = None
        is_full = self.max_keep_ckpts > 0 and len(self.keep_ckpt_ids) == self.max_keep_ckpts
        if is_full and self.keep_ckpt_ids[-1] != step:
            # mmengine deletes what it finds in a full list
            outdated = self.filename_tmpl.format(self.keep_ckpt_ids.popleft())
        super()._save_checkpoint_with_step(runner, step, meta)
        if outdated is not None:
            self._remove(self.file_backend.join_path(self.out_dir, outdated))

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        if not self.save_best:
            return
        if self.key_indicators == ['auto'] and metrics:
            first = next(iter(metrics))
            try:
                self._init_rule(self.rules, [first])
            except ValueError:
                self.save_best = None
                runner.logger.warning(
                    f'no best checkpoint is kept: it is not known whether {first} must rise or '
                    "fall; set default_hooks.checkpoint.save_best and .rule ('greater', 'less')"
                )
                return
        wanted = [key for key in self.key_indicators if key != 'auto']
        for key in wanted:
            if key not in metrics:
                raise ValueError(
                    f'save_best must name a metric, got save_best={key!r} and the metrics '
                    f'{", ".join(metrics)}'
                )
        if len(self.key_indicators) > 1:
            previous = dict(self.best_ckpt_path_dict)
            # mmengine deletes what it finds here
            self.best_ckpt_path_dict = dict.fromkeys(previous)
            super()._save_best_checkpoint(runner, metrics)
            for key, path in previous.items():
                self.best_ckpt_path_dict[key] = self._keep_one(path, self.best_ckpt_path_dict[key])
        else:
            path, self.best_ckpt_path = self.best_ckpt_path, None
            super()._save_best_checkpoint(runner, metrics)
            self.best_ckpt_path = self._keep_one(path, self.best_ckpt_path)

    def _keep_one(self, previous: str | None, current: str | None) -> str | None:
        """Return the best checkpoint, and remove the one that it replaces."""
        if previous and current and previous != current:
            self._remove(previous)
        return current or previous

    def _remove(self, path: str) -> None:
        if is_main_process() and self.file_backend.isfile(path):
            self.file_backend.remove(path)


@HOOKS.register_module()
class WriteResultsHook(Hook):
    """Write the results of a test as JSON: `config`, `metrics`, and per sample what was predicted.

    Each entry of `samples` has the `name` of the sample, `prediction`, and `truth`, the single
    numbers of its ground truth. The file appears whole, at the end.

    Args:
        path: The file.
    """

    def __init__(self, *, path: str) -> None:
        self.path = path
        self.samples: list[dict[str, Any]] = []

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Collect a batch."""
        self.samples += [_describe(sample) for sample in outputs or ()]

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Bring the samples of all processes into the order of the data set, and write them."""
        dataset: Any = runner.test_dataloader.dataset
        samples = collect_results(self.samples, len(dataset))
        self.samples = []
        if samples is None:
            return
        for index, sample in enumerate(samples):
            sample['name'] = sample['name'] or str(index)
        content = {'config': str(runner.cfg.filename), 'metrics': metrics or {}, 'samples': samples}
        with write_atomically(self.path) as temporary:
            text = simplejson.dumps(content, ignore_nan=True, default=to_jsonable)
            temporary.write_text(text, encoding='utf-8')
        runner.logger.info(f'results of {len(samples)} samples written to {self.path}')


@HOOKS.register_module()
class ShowResultsHook(Hook):
    """Draw the result of each test sample as a picture, see `mmotion.visualization`.

    Args:
        out_dir: Folder of the pictures, `<index>_<name>.png`.
    """

    def __init__(self, *, out_dir: str) -> None:
        self.out_dir = Path(out_dir)
        self.num_samples = 0

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Draw a batch.

        Raises:
            ValueError: If a sample has no result in its field `pred`.
        """
        # matplotlib is slow to import, and only a run with this hook needs it
        from mmotion.visualization import plot_result

        rank, world_size = get_dist_info()
        for sample in outputs or ():
            if 'pred' not in sample:
                raise ValueError(
                    'a data sample must have its result in the field pred to be drawn, got the '
                    f'fields {", ".join(sample.keys())}; leave out --show-dir'
                )
            index = self.num_samples * world_size + rank
            self.num_samples += 1
            name = str(sample.get('name', 'sample'))
            file = f'{index:05d}_{re.sub(r"[^A-Za-z0-9._-]+", "_", name)}.png'
            # the ground truth of what the result says in one number, as gt_count is of count
            known = [
                value
                for key, value in sample.items()
                if key.startswith('gt_') and hasattr(sample.pred, key.removeprefix('gt_'))
            ]
            truth = float(known[0]) if known else None
            plot_result(sample.pred, self.out_dir / file, title=name, truth=truth)


def to_jsonable(value: Any) -> Any:
    """Turn results, tensors and arrays into what JSON knows; for `simplejson.dumps(default=...)`.

    Args:
        value: What JSON does not know.

    Returns:
        A dict, list, number or string.
    """
    if hasattr(value, 'to_dict'):
        return value.to_dict()
    if isinstance(value, (torch.Tensor, np.ndarray, np.generic)):
        return value.tolist()
    return str(value)


def _describe(sample: BaseDataElement) -> dict[str, Any]:
    """Return the name, prediction and ground truth of one data sample."""
    predictions = {key: value for key, value in sample.items() if key.startswith('pred')}
    truth = {key: value for key, value in sample.items() if key.startswith('gt_')}
    return {
        'name': sample.get('name'),
        'prediction': predictions.get('pred', predictions),
        'truth': {key: value for key, value in truth.items() if np.size(value) == 1},
    }
