"""What becomes of the learning rate when a run is short, or is resumed with another schedule.

A training of one epoch, as one tries a config with, may end before a part of the schedule begins,
and an epoch of few steps may be shorter than a warm-up: mmengine refuses the first without a name,
and leaves the rate at the start of a warm-up that has a single step for good.

A checkpoint holds the state of its schedule, its length included. Resumed with more epochs, a run
whose cosine had come to its end goes on at the last, tiny rate; with another rate in the config, it
goes on with the old one.
"""

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmengine.logging import print_log
from mmengine.runner import Runner

# of a scheduler's state: where it is, not what it is
_POSITION = ('last_step', '_global_step', '_last_value', 'verbose')


def list_parts(schedule: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """The parts of a schedule in a config and what leads to them, of several optimizers too."""
    if isinstance(schedule, Mapping) and 'type' not in schedule:
        for name, parts in schedule.items():
            yield from ((f'.{name}{place}', part) for place, part in list_parts(parts))
    elif isinstance(schedule, list | tuple):
        yield from ((f'.{i}', part) for i, part in enumerate(schedule) if isinstance(part, dict))
    elif isinstance(schedule, dict):
        yield '', schedule


def fit_schedule(schedule: Any, *, max_epochs: int, max_iters: int, epoch_length: int) -> None:
    """Change a schedule so that a training which is short for it can follow it as far as it goes.

    A part that begins when training is over stays, so that a checkpoint can be resumed with more
    epochs, but does nothing. A part of less than a step has one, and a warm-up of a single step is
    at its end at once. The log says what has no effect, and which warm-up does not come to its end.

    Args:
        schedule: Configs of mmengine's parameter schedulers, changed in place.
        max_epochs: Epochs of the training.
        max_iters: Steps of the training.
        epoch_length: Steps of an epoch.
    """
    for place, part in list_parts(schedule):
        counts_epochs = part.get('by_epoch', True)
        total, unit = (max_epochs, 'epoch') if counts_epochs else (max_iters, 'step')
        begin, end = part.get('begin', 0), part.get('end', total)
        name = f'param_scheduler{place}, {part["type"]},'
        kind = str(part['type']).rpartition('.')[2]
        if begin >= total:
            part['end'] = end = max(part.get('end', 0), begin + 1)
            print_log(f'{name} is not reached: it begins at {unit} {begin} of {total}', 'current')
        elif end > total and kind.startswith(('Constant', 'Linear')):
            print_log(
                f'{name} does not come to its end: that is {unit} {end} of {total}',
                'current',
                logging.WARNING,
            )
        scale = epoch_length if counts_epochs and part.get('convert_to_iter_based') else 1
        if begin < end and int(end * scale) <= int(begin * scale):
            # in the middle of a step, so that rounding does not matter
            part['end'] = end = (int(begin * scale) + 1.5) / scale
        if int(end * scale) - int(begin * scale) == 1:
            if kind.startswith('Linear'):
                part['start_factor'] = part.get('end_factor', 1.0)
            elif kind.startswith('Constant'):
                part['factor'] = 1.0


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
        epoch_length = len(runner.train_dataloader)
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
