import builtins
import re
import subprocess
import sys
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
    return {check.name: check for check in check_installation(full=True)}


def test_nothing_is_broken_here(findings):
    broken = [check for check in findings.values() if check.remedy is not None]
    assert not broken


def test_versions_are_told(findings):
    assert findings['torch'].finding.startswith(torch.__version__)
    assert findings['mmaction'].finding.startswith('1.')
    assert 'example_project' in findings['systems'].finding


def test_all_of_it_is_imported_and_read(findings):
    # MMAction2 1.2.0 has 77
    assert int(findings['all models'].finding.split()[0]) > 50
    assert findings['all systems'] == Check('all systems', 'imported')
    assert findings['all configs'] == Check('all configs', 'read')


def test_without_full_nothing_is_imported_that_takes_long():
    names = [
        'torchvision',
        'mmengine',
        'mmaction',
        'timm',
        'scipy',
        'matplotlib',
        'projects.repnet',
    ]
    code = (
        'import sys; from mmotion.cli import main; main(["doctor"]); '
        f'print(*[name for name in {names} if name in sys.modules], file=sys.stderr)'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stderr.split() == []
    assert 'ok      torchvision ' in done.stdout
    assert 'all systems' not in done.stdout


def test_a_package_of_a_version_that_does_not_fit(monkeypatch):
    if doctor._find_version('mmotion') is None:
        pytest.skip('needs mmotion installed, not only on the path')
    wanted = ['torch>=2.4', 'timm>=99', 'absent', 'sleap-io; extra == "sleap"', 'opencv-python']
    monkeypatch.setattr(doctor.metadata, 'requires', lambda name: wanted)
    finding = doctor._run('packages', doctor._packages, 'remedy').finding
    assert re.fullmatch(r'.* mmotion requires: timm>=99 \(got .*\), absent \(got none\)', finding)


@pytest.mark.parametrize(
    ('installed', 'broken'),
    [
        pytest.param({'mmcv-lite': '2.1.0'}, False, id='lite'),
        pytest.param({'mmcv': '2.1.0'}, False, id='full'),
        # MMAction2 refuses it
        pytest.param({'mmcv-lite': '2.1.0', 'mmcv': '2.2.0'}, True, id='too new'),
        pytest.param({}, True, id='none'),
    ],
)
def test_mmcv(monkeypatch, installed, broken):
    monkeypatch.setattr(doctor, '_find_version', installed.get)
    assert (doctor._run('mmcv', doctor._mmcv, 'remedy').remedy is not None) == broken


def test_a_check_that_fails_names_the_remedy(monkeypatch):
    def refuse(name, *args, **kwargs):
        if name == 'cv2':
            raise ImportError('libGL.so.1: cannot open')
        return import_module(name, *args, **kwargs)

    import_module = builtins.__import__
    monkeypatch.setattr(builtins, '__import__', refuse)
    check = doctor._run('opencv', doctor._opencv, KEEP_ONE_OPENCV)
    assert check == Check('opencv', 'ImportError: libGL.so.1: cannot open', KEEP_ONE_OPENCV)


@pytest.mark.parametrize('content', [None, b'of another release'], ids=['none', 'another'])
def test_torchvision_without_its_compiled_part(monkeypatch, tmp_path, content):
    if content:
        (tmp_path / '_C.so').write_bytes(content)
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(doctor.importlib.util, 'find_spec', lambda name: spec)
    check = doctor._run('torchvision', doctor._torchvision, 'install both again')
    assert check.remedy == 'install both again'
    assert ('_C.so' if content else 'compiled part') in check.finding


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
