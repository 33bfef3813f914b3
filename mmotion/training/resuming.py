"""Where a training goes on: in which folder, from which checkpoint, and at which of its steps.

A step takes a batch of each process, so with another number of processes, or another batch size, an
epoch has another number of steps. A training that goes on so keeps its epochs and the order of its
samples, and its steps are counted anew: where it stands is where a training with the new number
would be that has seen the same samples.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import get_world_size
from mmengine.logging import print_log
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmotion.atomic import hold_folder
from mmotion.checkpoint.files import check_checkpoint_file, find_last_checkpoint
from mmotion.compat import count_epoch
from mmotion.registry import LOOPS
from mmotion.training.processes import is_restarted

# in `meta` of a checkpoint: steps of an epoch, and samples of a step
EPOCH_LENGTH, STEP_SIZE = 'epoch_length', 'step_size'

# seconds in which the data workers of a process that died end, and let go of its work dir
_ORPHANS_S = 60


@LOOPS.register_module()
class EpochLoop(EpochBasedTrainLoop):
    """mmengine's loop over epochs, which goes on in the middle of one; takes the same arguments.

    Differs from mmengine's class: after a checkpoint of `CheckpointHook(by_epoch=False)`, the
    batches that the epoch has had are passed over. mmengine trains the whole epoch once more, and
    counts its steps on.
    """

    def run_epoch(self) -> None:
        """Train what is left of an epoch, which is nearly always all of it."""
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        num_done = self.iter - self.epoch * len(self.dataloader)
        for index, batch in islice(enumerate(self.dataloader), num_done, None):
            self.run_iter(index, batch)
        self.runner.call_hook('after_train_epoch')
        count_epoch(self)


def describe_steps(runner: Runner) -> dict[str, Any]:
    """What a checkpoint has to say so that its steps can be counted anew, for its `meta`."""
    loader: Any = runner.train_dataloader
    # a sampler that makes batches itself says no size
    step_size = (loader.batch_size or 0) * get_world_size()
    return {EPOCH_LENGTH: len(loader), STEP_SIZE: step_size}


def count_steps_anew(runner: Runner, meta: dict[str, Any]) -> bool:
    """Say how many steps of this run have seen what a checkpoint has seen.

    Args:
        runner: It goes on with another number of processes, or another batch size, or neither.
        meta: That of the checkpoint, of another run perhaps; its `iter` is changed.

    Returns:
        Whether an epoch has another number of steps now.
    """
    if not isinstance(runner.train_loop, EpochLoop):
        return False
    now, epoch, step = describe_steps(runner), meta['epoch'], meta['iter']
    if EPOCH_LENGTH not in meta:
        # of mmengine, or an earlier version: at the end of an epoch
        meta['iter'] = epoch * now[EPOCH_LENGTH]
        return meta['iter'] != step
    length, step_size = meta[EPOCH_LENGTH], meta[STEP_SIZE]
    if (length, step_size) == (now[EPOCH_LENGTH], now[STEP_SIZE]):
        return False
    num_samples = (step - epoch * length) * step_size
    meta['iter'] = epoch * now[EPOCH_LENGTH] + num_samples // max(1, now[STEP_SIZE])
    runner.logger.warning(
        f'an epoch has {now[EPOCH_LENGTH]} steps of {now[STEP_SIZE]} samples now, and had {length} '
        f'of {step_size}: step {step} of the checkpoint, in epoch {epoch + 1}, is step '
        f'{meta["iter"]} now; the learning rate is that of this config, and auto_scale_lr scales it'
    )
    return True


def find_work_dir(config: Config, work_dir: str | Path | None) -> Path:
    """The folder for logs and checkpoints, see `build_runner`."""
    name = Path(config.filename).stem if config.filename else 'run'
    return Path(work_dir or config.get('work_dir') or Path('work_dirs') / name)


@contextmanager
def hold_work_dir(work_dir: str | Path) -> Iterator[None]:
    """Keep a work dir for the training of this process, see `mmotion.atomic.hold_folder`."""
    end = time.monotonic() + (_ORPHANS_S if is_restarted() else 0)
    with ExitStack() as stack:
        while True:
            try:
                remedy = 'wait for it or end it, or choose another work dir'
                stack.enter_context(hold_folder(work_dir, remedy=remedy))
                break
            except ValueError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
        yield


def choose_checkpoint(
    config: Config, load_from: str | Path | None, resume: str | Path | None
) -> None:
    """Set `load_from` and `resume` of a config so that mmengine has nothing left to guess.

    Args:
        config: Its `work_dir` is set.
        load_from: See `build_runner`.
        resume: See `build_runner`.

    Raises:
        CheckpointError: If a checkpoint is not there or is no checkpoint.
        ValueError: If torchrun shall restart the run, and it would always go back to one of its
            own checkpoints.
    """
    if load_from is not None:
        config.update(load_from=str(load_from), resume=False)
    if is_restarted() and load_from is None:
        resume = _choose_restart(config, resume)
    if resume is not None and resume != 'auto':
        config.update(load_from=str(resume), resume=True)
    elif resume == 'auto' or (config.get('resume') and not config.get('load_from')):
        last = find_last_checkpoint(config.work_dir)
        if last is None:
            print_log(
                f'nothing to resume in {config.work_dir}: training starts from the beginning',
                logger='current',
            )
            config.resume = False
        else:
            config.update(load_from=str(last), resume=True)
    source = config.get('load_from')
    if source and '://' not in source:
        config.load_from = str(check_checkpoint_file(source))


def _choose_restart(config: Config, resume: str | Path | None) -> str | Path:
    """Where a training goes on that torchrun starts again, and that cannot tell its first start.

    Raises:
        ValueError: If it would always go back to the same checkpoint of its own.
    """
    resume = resume or (config.get('load_from') if config.get('resume') else None)
    if resume in (None, 'auto'):
        return 'auto'
    if Path(resume).absolute().parent == Path(config.work_dir).absolute():
        raise ValueError(
            'resume must name no checkpoint in the work dir where torchrun restarts processes '
            f'(MAX_RESTARTS), got {resume}; leave out its path to go on from the last one, or '
            'choose another work dir'
        )
    return 'auto' if find_last_checkpoint(config.work_dir) else resume
