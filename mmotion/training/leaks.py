"""Warn where the data that measure a training are the data of the training."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmotion.registry import HOOKS


@HOOKS.register_module()
class LeakHook(Hook):
    """Warn of recordings that are both trained on and validated on.

    It is told by data sets that have `recordings`, the set of the names of theirs, however they
    were read: two lists of files, which do not know of each other, are compared as well.
    """

    def before_train(self, runner: Runner) -> None:
        """Compare the two data sets of the run."""
        if runner.val_loop is None:
            return
        trained, validated = (
            _list_recordings(loader.dataset)
            for loader in (runner.train_dataloader, runner.val_dataloader)
        )
        shared = sorted(trained & validated)
        if shared:
            runner.logger.warning(
                f'{len(shared)} of {len(validated)} recordings of the validation are trained on, '
                f'such as {shared[0]}: what is measured on them is too good; part the data by '
                'recording'
            )


def _list_recordings(dataset: Any) -> set[str]:
    """The recordings of a data set, or of those that it wraps."""
    inner = [getattr(dataset, 'dataset', None), *getattr(dataset, 'datasets', [])]
    found = set(getattr(dataset, 'recordings', ()))
    return found.union(*(_list_recordings(one) for one in inner if one is not None))
