"""Join the other processes of a distributed run, and leave them."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed
from mmengine.config import Config
from torch.distributed.elastic.multiprocessing.errors import get_error_handler

from mmotion.checks import check_choice

LAUNCHERS = ('none', 'pytorch', 'slurm')
# launcher: what starts its processes, where it tells rank, world size and local rank
_STARTED_BY = {
    'pytorch': (
        'torchrun --nproc-per-node GPUS -m mmotion.cli',
        ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'),
    ),
    'slurm': (
        'srun --ntasks GPUS python -m mmotion.cli',
        ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID'),
    ),
}
# set by torchrun: where a process leaves its error, and how often it starts the processes again
_ERROR_FILE = 'TORCHELASTIC_ERROR_FILE'
_MAX_RESTARTS = 'TORCHELASTIC_MAX_RESTARTS'
# where restarted processes meet: in a store that knows those before, or in a new one
_OLD_STORE, _NEW_STORE = 'TORCHELASTIC_USE_AGENT_STORE', 'TORCH_DISABLE_SHARE_RDZV_TCP_STORE'
# seconds in which a launcher notices that a process is dead, and ends the others
_PATIENCE_S = 10


def is_restarted() -> bool:
    """Whether torchrun starts this process again when one of the run dies (`--max-restarts`)."""
    return int(os.environ.get(_MAX_RESTARTS, 0)) > 0


@contextmanager
def report_errors() -> Iterator[None]:
    """Let torchrun's report, its last lines, have the error of the process that fails.

    When a process dies, those that wait for it fail too, and its launcher would name whichever has
    ended first. They wait to be ended, so that the report is about the one that died.
    """
    try:
        yield
    except Exception as error:
        if _has_lost_others(error):
            time.sleep(_PATIENCE_S)
        if _ERROR_FILE in os.environ:
            get_error_handler().record_exception(error)
        raise


def _has_lost_others(error: Exception) -> bool:
    """Whether an error says that another process is gone: a torch error, or one of gloo."""
    is_told = isinstance(error, torch.distributed.DistError)
    return torch.distributed.is_initialized() and (is_told or 'gloo/transport' in str(error))


def start_processes(config: Config) -> None:
    """Start the process group with gloo where there is no GPU, as mmengine needs one to do so.

    Args:
        config: Its `launcher` says what started this process, one of `LAUNCHERS`.

    Raises:
        ValueError: If the launcher is unknown, or did not start this process; or if torchrun shall
            start processes again and would let them wait for those before.
    """
    check_choice('launcher', config.launcher, LAUNCHERS)
    if config.launcher == 'none':
        return
    starter, names = _STARTED_BY[config.launcher]
    missing = [name for name in names if name not in os.environ]
    if missing:
        raise ValueError(
            f'launcher={config.launcher!r} must be started by {starter.split()[0]}, got no '
            f'environment variable {", ".join(missing)}; type {starter} in place of mmotion'
        )
    if is_restarted() and os.environ.get(_OLD_STORE) == 'True':
        raise ValueError(
            f'torchrun --max-restarts must start with {_NEW_STORE}=1 and --standalone or '
            f'--rdzv-backend=c10d, got {_OLD_STORE}=True: restarted processes may wait for the '
            'dead ones; set these, or use MAX_RESTARTS=N tools/dist_train.sh'
        )
    if torch.cuda.is_available() or torch.distributed.is_initialized():
        return
    given = [os.environ[name] for name in names]
    os.environ.update(zip(('RANK', 'WORLD_SIZE', 'LOCAL_RANK'), given, strict=True))
    os.environ.setdefault('MASTER_PORT', '29500')
    if 'MASTER_ADDR' not in os.environ:
        command = ['scontrol', 'show', 'hostnames', os.environ.get('SLURM_NODELIST', '')]
        hosts = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        os.environ['MASTER_ADDR'] = hosts.split()[0]
    timeout = (config.get('env_cfg') or {}).get('dist_cfg', {}).get('timeout', 1800)
    torch.distributed.init_process_group('gloo', timeout=timedelta(seconds=timeout))


def stop_processes() -> None:
    """Leave the process group at the end of a distributed run; does nothing in any other."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
