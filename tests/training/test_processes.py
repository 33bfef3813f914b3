import socket

import pytest
import torch
from mmengine.config import Config

from mmotion.training.processes import LAUNCHERS, start_processes, stop_processes

NAMES = ('RANK', 'WORLD_SIZE', 'LOCAL_RANK')


@pytest.fixture
def port(monkeypatch):
    """A free port, and an environment that nothing else has started."""
    for name in (*NAMES, 'SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID'):
        # set first, so that it is taken back whoever sets it meanwhile
        monkeypatch.setenv(name, '')
        monkeypatch.delenv(name)
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        return free.getsockname()[1]


@pytest.mark.parametrize(
    ('launcher', 'message'),
    [
        pytest.param('mpi', "one of none, pytorch, slurm, got launcher='mpi'", id='unknown'),
        pytest.param(
            'pytorch',
            'must be started by torchrun, got no environment variable RANK, WORLD_SIZE, LOCAL_RANK',
            id='no torchrun',
        ),
        pytest.param('slurm', 'must be started by srun', id='no srun'),
    ],
)
def test_what_did_not_start_this_process_is_refused(port, launcher, message):
    with pytest.raises(ValueError, match=message):
        start_processes(Config({'launcher': launcher}))


def test_one_process_has_no_group(port):
    start_processes(Config({'launcher': 'none'}))
    assert not torch.distributed.is_initialized()


@pytest.mark.parametrize('launcher', LAUNCHERS[1:])
def test_without_a_gpu_processes_meet_by_gloo(port, monkeypatch, launcher):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setenv('MASTER_ADDR', '127.0.0.1')
    monkeypatch.setenv('MASTER_PORT', str(port))
    names = ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID') if launcher == 'slurm' else NAMES
    for name, value in zip(names, '010', strict=True):
        monkeypatch.setenv(name, value)
    start_processes(Config({'launcher': launcher}))
    try:
        assert torch.distributed.get_backend() == 'gloo'
        assert torch.distributed.get_world_size() == 1
    finally:
        stop_processes()
    assert not torch.distributed.is_initialized()
    stop_processes()
