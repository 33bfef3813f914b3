"""Where a training goes on: in which folder, and from which checkpoint."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mmengine.config import Config
from mmengine.logging import print_log

from mmotion.atomic import hold_folder
from mmotion.checkpoint.files import check_checkpoint_file, find_last_checkpoint
from mmotion.training.processes import is_restarted

# seconds in which the data workers of a process that died end, and let go of its work dir
_ORPHANS_S = 60


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
