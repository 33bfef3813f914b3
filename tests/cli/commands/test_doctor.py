import builtins
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mmotion.cli.commands import doctor
from mmotion.cli.commands.doctor import KEEP_ONE_OPENCV, OPENCVS, Check, check_installation
from tests.command_lines import run

CHECKOUT = Path(__file__).resolve().parents[3]


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


class TestOpenCV:
    """Several packages fill the folder `cv2`; the last one written is imported."""

    @pytest.fixture
    def installed(self, monkeypatch) -> dict[str, str]:
        versions: dict[str, str] = {}

        def version(name):
            if name not in versions:
                raise doctor.metadata.PackageNotFoundError(name)
            return versions[name]

        # as a whole: other packages ask the real one
        fake = SimpleNamespace(
            version=version, PackageNotFoundError=doctor.metadata.PackageNotFoundError
        )
        monkeypatch.setattr(doctor, 'metadata', fake)
        return versions

    def check(self) -> Check:
        return doctor._run('opencv', doctor._opencv, KEEP_ONE_OPENCV)

    def test_two_versions_are_broken_and_the_remedy_leaves_one(self, installed):
        installed |= {'opencv-python': '5.0.0.93', 'opencv-contrib-python': '5.1.0.95'}
        check = self.check()
        assert 'opencv-python 5.0.0.93, opencv-contrib-python 5.1.0.95' in check.finding
        assert check.remedy == KEEP_ONE_OPENCV

    def test_two_of_one_version_work_and_are_told(self, installed):
        installed |= dict.fromkeys(['opencv-python', 'opencv-contrib-python'], '5.0.0.93')
        check = self.check()
        assert check.remedy is None
        assert 'remove all or none' in check.finding

    @pytest.mark.parametrize('name', OPENCVS)
    def test_one_is_fine(self, installed, name):
        installed[name] = '5.0.0.93'
        check = self.check()
        assert check.remedy is None
        assert check.finding.endswith(f'({name} 5.0.0.93)')

    def test_one_without_metadata_as_of_the_system_is_fine(self, installed):
        assert self.check().remedy is None

    def test_the_remedy_is_that_of_the_requirements_and_of_the_docs(self):
        headless = (CHECKOUT / 'requirements' / 'headless.txt').read_text().splitlines()[-1]
        assert KEEP_ONE_OPENCV.endswith(f'"{headless}"')
        assert KEEP_ONE_OPENCV in (CHECKOUT / 'docs' / 'install.md').read_text()


def test_the_command_prints_the_findings(capsys):
    code, out, _ = run(capsys, 'doctor')
    assert code == 0
    assert 'torchvision' in out
    assert 'BROKEN' not in out
