"""What becomes of the learning rate when a run is resumed with another schedule.

A checkpoint holds the state of its schedule, its length included. Resumed with more epochs, a run
whose cosine had come to its end goes on at the last, tiny rate; with another rate in the config, it
goes on with the old one.
"""

import warnings
from collections.abc import Sequence
from typing import Any

from mmengine.runner import Runner

# of a scheduler's state: where it is, not what it is
_POSITION = ('last_step', '_global_step', '_last_value', 'verbose')


class Schedule:
    """The schedule of a config, as it is before a checkpoint is read.

    Args:
        runner: Its optimizer and its schedulers are built.
    """

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.schedulers = _list_schedulers(runner)
        self.described = [_describe(scheduler) for scheduler in self.schedulers]
        # lr, initial_lr, weight_decay, ... of each group
        self.settings = [
            {key: value for key, value in group.items() if key != 'params'}
            for group in (self._groups if self.schedulers else ())
        ]

    @property
    def _groups(self) -> Sequence[dict[str, Any]]:
        optimizer: Any = self.runner.optim_wrapper
        return optimizer.param_groups

    def compare(self) -> str:
        """Say how the schedule that was read from a checkpoint differs; '' if it does not."""
        differences = {
            f'{key} {_shorten(now.get(key))} (here {_shorten(value)})': None
            for scheduler, before in zip(self.schedulers, self.described, strict=True)
            for now in [_describe(scheduler)]
            for key, value in before.items()
            if now.get(key) != value
        }
        return ', '.join(differences)

    def stretch(self) -> None:
        """Set rates and schedulers to where an unbroken run with this config would be."""
        for group, settings in zip(self._groups, self.settings, strict=True):
            # building the schedulers has changed rates already
            first = {k.removeprefix('initial_'): v for k, v in settings.items() if 'initial_' in k}
            group.update({**settings, **first})
        runner = self.runner
        runner.param_schedulers = runner.build_param_scheduler(runner.cfg.param_scheduler)
        schedulers = _list_schedulers(runner)
        epoch_length = max(1, runner.iter // max(1, runner.epoch))
        with warnings.catch_warnings():
            # that no step was taken yet
            warnings.simplefilter('ignore', UserWarning)
            for step in range(1, runner.iter + 1):
                ends_epoch = runner.epoch and step % epoch_length == 0
                for scheduler in schedulers:
                    if ends_epoch or not scheduler.by_epoch:
                        scheduler.step()


def follow_schedule(runner: Runner, schedule: Schedule, *, stretch: bool) -> None:
    """After resuming, stretch the schedule if that is wanted, or say that it is an old one.

    Args:
        runner: It has read the checkpoint.
        schedule: From before that.
        stretch: Whether to follow the config.
    """
    differences = schedule.compare()
    if not differences:
        return
    if stretch:
        schedule.stretch()
    optimizer: Any = runner.optim_wrapper
    rate = optimizer.get_lr()['lr'][0]
    if stretch:
        runner.logger.info(
            f'the schedule of the checkpoint is stretched to that of this config: {differences}; '
            f'the learning rate is {rate:.3g} now'
        )
        return
    runner.logger.warning(
        f'the learning rate follows the schedule of the checkpoint, not that of this config: '
        f'{differences}; it is {rate:.3g} now. stretch_schedule goes on as if training had begun '
        'with this config'
    )


def _list_schedulers(runner: Runner) -> list[Any]:
    # those of several optimizers are in a dictionary, and are left as they are
    schedulers: Any = runner.param_schedulers
    return list(schedulers) if isinstance(schedulers, list) else []


def _describe(scheduler: Any) -> dict[str, Any]:
    return {key: value for key, value in scheduler.state_dict().items() if key not in _POSITION}


def _shorten(value: Any) -> str:
    values = sorted(set(value)) if isinstance(value, list) else [value]
    return ', '.join(f'{v:.4g}' if isinstance(v, float) else str(v) for v in values[:3])
