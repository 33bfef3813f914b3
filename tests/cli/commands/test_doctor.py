import builtins

import pytest
import torch

from mmotion.cli.commands import doctor
from mmotion.cli.commands.doctor import Check, check_installation
from tests.command_lines import run


@pytest.fixture(scope='module')
def findings():
    return {check.name: check for check in check_installation()}


def test_nothing_is_broken_here(findings):
    broken = [check for check in findings.values() if check.remedy is not None]
    assert not broken


def test_versions_are_told(findings):
    assert findings['torch'].finding.startswith(torch.__version__)
    assert findings['mmaction'].finding.startswith('1.')
    assert 'example_project' in findings['systems'].finding


def test_a_check_that_fails_names_the_remedy(monkeypatch):
    def refuse(name, *args, **kwargs):
        if name == 'torchvision':
            raise ImportError('libcudart.so: cannot open')
        return import_module(name, *args, **kwargs)

    import_module = builtins.__import__
    monkeypatch.setattr(builtins, '__import__', refuse)
    check = doctor._run('torchvision', doctor._torchvision, 'install it again')
    assert check == Check(
        'torchvision', 'ImportError: libcudart.so: cannot open', 'install it again'
    )


def test_a_python_that_is_too_new(monkeypatch):
    monkeypatch.setattr(doctor.sys, 'version_info', (3, 99, 0))
    assert 'must be 3.10 to 3.13' in doctor._run('python', doctor._python, 'remedy').finding


def test_a_gpu_that_torch_cannot_use(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(torch.version, 'cuda', '12.8')
    monkeypatch.setattr(doctor.os.path, 'exists', lambda path: True)
    check = doctor._run('device', doctor._device, 'remedy')
    assert 'torch for CUDA 12.8 cannot use it' in check.finding


def test_the_command_prints_the_findings(capsys):
    code, out, _ = run(capsys, 'doctor')
    assert code == 0
    assert 'torchvision' in out
    assert 'BROKEN' not in out
