import json
import socket
import time

import pytest
import torch
from mmengine.config import Config

from mmotion.training import processes
from mmotion.training.processes import (
    LAUNCHERS,
    report_errors,
    start_processes,
    stop_processes,
)

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


def test_restarts_that_would_wait_for_the_dead_are_refused(port, monkeypatch):
    for name in NAMES:
        monkeypatch.setenv(name, '0')
    monkeypatch.setenv('TORCHELASTIC_MAX_RESTARTS', '1')
    monkeypatch.setenv('TORCHELASTIC_USE_AGENT_STORE', 'True')
    with pytest.raises(ValueError, match='must start with TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1'):
        start_processes(Config({'launcher': 'pytorch'}))


def test_torchrun_is_told_the_error(tmp_path, monkeypatch):
    monkeypatch.setenv('TORCHELASTIC_ERROR_FILE', str(tmp_path / 'error.json'))
    with pytest.raises(RuntimeError, match='no kernel'), report_errors():
        raise RuntimeError('no kernel')
    told = json.loads((tmp_path / 'error.json').read_text())['message']
    assert told['message'] == 'RuntimeError: no kernel'
    assert 'test_processes.py' in told['extraInfo']['py_callstack']


@pytest.mark.parametrize(
    ('error', 'in_group', 'waits'),
    [
        pytest.param(RuntimeError('[gloo/transport/tcp/pair.cc:1] closed'), True, True, id='gloo'),
        pytest.param(torch.distributed.DistBackendError('NCCL'), True, True, id='nccl'),
        pytest.param(RuntimeError('no kernel'), True, False, id='its own'),
        pytest.param(torch.distributed.DistNetworkError('no host'), False, False, id='not met'),
    ],
)
def test_who_has_lost_the_others_waits_to_be_ended(monkeypatch, error, in_group, waits):
    slept = []
    monkeypatch.setattr(time, 'sleep', slept.append)
    monkeypatch.setattr(torch.distributed, 'is_initialized', lambda: in_group)
    with pytest.raises(type(error)), report_errors():
        raise error
    assert slept == [processes._PATIENCE_S] * waits
