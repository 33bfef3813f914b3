"""What happens around the steps: exact resuming, safe checkpoints, results to look at.

`WriteResultsHook` and `ShowResultsHook` are added by options of `mmotion test`; the others are part
of every run.
"""

import random
import re
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import simplejson
import torch
from mmengine.dist import collect_results, get_dist_info, get_rank, master_only
from mmengine.hooks import CheckpointHook as MMEngineCheckpointHook
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement

from mmotion.atomic import write_atomically
from mmotion.checkpoint.carried import CARRIED, collect_carried
from mmotion.checkpoint.files import LAST_CHECKPOINT, list_checkpoints
from mmotion.checkpoint.plain_data import to_plain
from mmotion.compat import is_resumed
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
    """Turn a checkpoint into plain data (`mmotion.checkpoint.plain_data`) before it is written.

    With what it must carry, see `mmotion.checkpoint.carried`.
    """

    # after every hook that adds to a checkpoint
    priority = 'LOWEST'

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Convert in place."""
        if carried := collect_carried(runner.model):
            checkpoint['meta'][CARRIED] = carried
        checkpoint.update(to_plain(checkpoint))


@HOOKS.register_module()
class SetAsideHook(Hook):
    """Move the checkpoints of an earlier run out of the way of a new one in its work dir.

    They go to `replaced_<name of the new run>/` in the work dir, so that nothing is lost, and what
    lies in the work dir itself is of one run. A run that is resumed is no new one.
    """

    # before the first checkpoint is written, and after what training starts from is read
    priority = 'VERY_HIGH'

    @master_only
    def before_train(self, runner: Runner) -> None:
        """Move them, and say so."""
        work_dir = Path(runner.work_dir)
        earlier = list_checkpoints(work_dir)
        if is_resumed(runner) or not earlier:
            return
        target = work_dir / f'replaced_{runner.timestamp}'
        number = 2
        while target.exists():
            target = work_dir / f'replaced_{runner.timestamp}_{number}'
            number += 1
        target.mkdir()
        for path in (*earlier, work_dir / LAST_CHECKPOINT):
            if path.is_file():
                path.rename(target / path.name)
        runner.logger.warning(
            f'{len(earlier)} checkpoints of an earlier run were moved to {target}, as this is a '
            'new one; delete them if nobody needs them, and go on with a run by resume'
        )


@HOOKS.register_module()
class CheckpointHook(MMEngineCheckpointHook):
    """mmengine's CheckpointHook, which deletes an old checkpoint only when the new one is written.

    Differs from mmengine's class, which deletes first: a run that is killed in between, with
    `max_keep_ckpts=1`, is left with nothing. Knows more metrics, so that `save_best` needs no
    `rule` for them; `save_best='auto'` goes on without a best checkpoint where the first metric is
    another one, instead of ending the run after its first epoch. Takes the same arguments.

    Args:
        greater_keys: Metrics that are better when higher; by default mmengine's, OBO, OBZ and F1.
        less_keys: Metrics that are better when lower; by default mmengine's, MAE and error.
    """

    def __init__(
        self,
        *args: Any,
        greater_keys: Sequence[str] | None = None,
        less_keys: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        known = MMEngineCheckpointHook()
        super().__init__(
            *args,
            greater_keys=greater_keys or (*(known.greater_keys or ()), 'OBO', 'OBZ', 'F1'),
            less_keys=less_keys or (*(known.less_keys or ()), 'MAE', 'error'),
            **kwargs,
        )
        # until training begins, as in a run that only validates, there is nothing to remove
        self.file_backend = _LateRemoval(None)

    def before_train(self, runner: Runner) -> None:
        """Find where checkpoints go."""
        super().before_train(runner)
        self.file_backend = _LateRemoval(self.file_backend)

    def after_train_epoch(self, runner: Runner) -> None:
        """Save a checkpoint, then remove what it replaces."""
        super().after_train_epoch(runner)
        self._remove_replaced()

    def after_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        """Save a checkpoint where iterations count, then remove what it replaces."""
        super().after_train_iter(runner, *args, **kwargs)
        self._remove_replaced()

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float]) -> None:
        """Save a checkpoint if it is the best one, then remove what it replaces.

        Raises:
            ValueError: If `save_best` names no metric.
        """
        if self.save_best and metrics:
            self._check_metrics(runner, list(metrics))
        super().after_val_epoch(runner, metrics)
        self._remove_replaced()

    def _check_metrics(self, runner: Runner, names: list[str]) -> None:
        """See that the metrics of `save_best` are there and can be compared."""
        for key in self.key_indicators:
            if key != 'auto' and key not in names:
                raise ValueError(
                    f'save_best must name a metric, got save_best={key!r} and the metrics '
                    f'{", ".join(names)}'
                )
        is_asked = self.key_indicators == ['auto'] and self.rules == [None]
        known = [key.lower() for key in (*(self.greater_keys or ()), *(self.less_keys or ()))]
        if is_asked and not any(key in names[0].lower() for key in known):
            self.save_best = None
            runner.logger.warning(
                f'no best checkpoint is kept: it is not known whether {names[0]} must rise or '
                "fall; set default_hooks.checkpoint.save_best and .rule ('greater', 'less')"
            )

    def _remove_replaced(self) -> None:
        best = [getattr(self, 'best_ckpt_path', None)]
        best += getattr(self, 'best_ckpt_path_dict', {}).values()
        self.file_backend.remove_all(keep=best)


class _LateRemoval:
    """A file backend of mmengine that removes files when it is told to, not when it is asked."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.waiting: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)

    def remove(self, path: str) -> None:
        """Note a file that nobody needs any more."""
        self.waiting.append(path)

    def remove_all(self, *, keep: Container[str | None]) -> None:
        """Remove the noted files that are not needed after all, as they were written again."""
        for path in self.waiting:
            if path not in keep and self.backend.isfile(path):
                self.backend.remove(path)
        self.waiting.clear()


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
            ValueError: If a sample has neither a result in `pred` nor scores in `pred_score`.
        """
        rank, world_size = get_dist_info()
        for sample in outputs or ():
            index = self.num_samples * world_size + rank
            self.num_samples += 1
            name = str(sample.get('name', 'sample'))
            file = f'{index:05d}_{re.sub(r"[^A-Za-z0-9._-]+", "_", name)}.png'
            self._draw(runner, sample, self.out_dir / file, name)

    def _draw(self, runner: Runner, sample: BaseDataElement, path: Path, name: str) -> None:
        # matplotlib is slow to import, and only a run with this hook needs it
        from mmotion.visualization import plot_result
        from mmotion.visualization.actions import plot_scores

        if 'pred' in sample:
            # the ground truth of what the result says in one number, as gt_count is of count
            known = [
                value
                for key, value in sample.items()
                if key.startswith('gt_') and hasattr(sample.pred, key.removeprefix('gt_'))
            ]
            plot_result(sample.pred, path, title=name, truth=float(known[0]) if known else None)
        elif 'pred_score' in sample:
            dataset: Any = runner.test_dataloader.dataset
            scores = sample.pred_score.flatten().tolist()
            classes = getattr(dataset, 'metainfo', {}).get('classes') or ()
            names = [*map(str, classes), *map(str, range(len(classes), len(scores)))]
            labels = np.ravel(sample.get('gt_label', ()))
            truth = names[int(labels[0])] if labels.size == 1 else None
            plot_scores(dict(zip(names, scores, strict=False)), path, title=name, truth=truth)
        else:
            raise ValueError(
                'a data sample must have its result in the field pred, or scores of classes in '
                f'pred_score, to be drawn, got the fields {", ".join(sample.keys())}; leave out '
                'ShowResultsHook, which is --show-dir; mmotion predict --draw draws all systems'
            )


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
