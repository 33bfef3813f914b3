"""Join the other processes of a distributed run, and leave them."""

import os
import subprocess
from datetime import timedelta

import torch
import torch.distributed
from mmengine.config import Config

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


def start_processes(config: Config) -> None:
    """Start the process group with gloo where there is no GPU, as mmengine needs one to do so.

    Args:
        config: Its `launcher` says what started this process, one of `LAUNCHERS`.

    Raises:
        ValueError: If the launcher is unknown, or did not start this process.
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
