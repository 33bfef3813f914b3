"""What a user gets who installs mmotion without the checkout.

The wheel is built from the sdist, so both are held: it carries the systems and the configs, adds
one name to site-packages, and runs a config. This is tried twice: in seconds with the packages of
the running environment, and (slow) in an environment that gets its packages from the requirements
of the wheel alone.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from mmotion.cli.commands.prepare import ALIASES
from mmotion.cli.discovery import find_commands
from mmotion.cli.scripts import find_scripts
from tests.type_checks import run_pyright

CHECKOUT = Path(__file__).resolve().parents[1]
BUNDLED = ('projects', 'configs', 'tools')
CONFIG = 'example_project_dots'
# commands that list scripts of tools/
LISTING = ('tool', 'prepare', 'benchmark')


class Distribution(NamedTuple):
    sdist: Path
    wheel: Path


class Environment(NamedTuple):
    bin: Path
    site_packages: Path

    def run(self, *command: str, cwd: Path) -> str:
        """Run a program of the environment, where nothing of the checkout can be imported."""
        hidden = ('PYTHONPATH', 'VIRTUAL_ENV')
        return run(
            str(self.bin / command[0]),
            *command[1:],
            cwd=cwd,
            env={name: value for name, value in os.environ.items() if name not in hidden},
        )


def run(*command: str, cwd: Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, (
        f'{" ".join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}'
    )
    return done.stdout


def list_files(folder: str) -> set[str]:
    """Name the files of a folder of the checkout, as paths from the checkout."""
    made = {'__pycache__', '_build', 'generated'}
    files = (path for path in (CHECKOUT / folder).rglob('*') if path.is_file())
    return {str(f.relative_to(CHECKOUT)) for f in files if not made & {*f.parts}}


def list_wheel(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


@pytest.fixture(scope='module')
def distribution(tmp_path_factory: pytest.TempPathFactory) -> Distribution:
    pytest.importorskip('build', reason='builds a wheel; pip install -e .[dev]')
    out_dir = tmp_path_factory.mktemp('dist')
    run(sys.executable, '-m', 'build', '--outdir', str(out_dir), str(CHECKOUT), cwd=out_dir)
    (sdist,) = out_dir.glob('mmotion-*.tar.gz')
    (wheel,) = out_dir.glob('mmotion-*.whl')
    return Distribution(sdist, wheel)


@pytest.fixture(
    scope='module',
    params=[
        pytest.param(True, id='borrowed_packages'),
        pytest.param(False, id='own_packages', marks=pytest.mark.slow),
    ],
)
def environment(
    request: pytest.FixtureRequest,
    distribution: Distribution,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Environment]:
    root = tmp_path_factory.mktemp('environment')
    venv.create(root, with_pip=True)
    code = 'import sysconfig; print(sysconfig.get_path("purelib"))'
    site_packages = run(str(root / 'bin' / 'python'), '-c', code, cwd=root).strip()
    environment = Environment(bin=root / 'bin', site_packages=Path(site_packages))
    if request.param:
        # a plain path: the .pth files behind it, such as that of an editable install, are not read
        lender = Path(sysconfig.get_path('purelib'))
        (environment.site_packages / 'borrowed.pth').write_text(str(lender), encoding='utf-8')
        # but this one is setuptools' own, and stands in for Python's distutils
        for distutils in lender.glob('distutils-precedence.pth'):
            shutil.copy(distutils, environment.site_packages)
    options = ['--no-deps'] if request.param else []
    environment.run('python', '-m', 'pip', 'install', *options, str(distribution.wheel), cwd=root)
    yield environment
    # gigabytes, and pytest keeps the folders of three runs
    shutil.rmtree(root)


def test_wheel_carries_every_file_of_projects_and_configs(distribution: Distribution) -> None:
    names = set(list_wheel(distribution.wheel))

    wanted = {f'mmotion/bundle/{name}' for folder in BUNDLED for name in list_files(folder)}
    assert wanted
    assert wanted <= names


def test_wheel_adds_one_name_to_site_packages(distribution: Distribution) -> None:
    top_level = {name.split('/')[0] for name in list_wheel(distribution.wheel)}

    assert {name for name in top_level if not name.endswith('.dist-info')} == {'mmotion'}


def test_wheel_tells_a_type_checker_what_a_model_answers(
    distribution: Distribution, tmp_path: Path
) -> None:
    packages, folder = tmp_path / 'packages', tmp_path / 'program'
    folder.mkdir()
    with zipfile.ZipFile(distribution.wheel) as archive:
        archive.extractall(packages)
    code = (
        "import mmotion\nreveal_type(mmotion.load_model('repnet_small').predict('a.mp4').count)\n"
    )
    (said,) = run_pyright(code, folder=folder, packages=packages)

    assert said['message'].endswith('is "float"'), said


def test_sdist_holds_what_is_needed_to_build_test_and_read_it(distribution: Distribution) -> None:
    with tarfile.open(distribution.sdist) as sdist:
        names = {name.partition('/')[2] for name in sdist.getnames()}

    folders = ('mmotion', *BUNDLED, 'tests', 'docs', 'requirements')
    wanted = {name for folder in folders for name in list_files(folder)}
    assert wanted | {'LICENSE', 'Makefile', 'README.md', 'CHANGELOG.md'} <= names


def test_installed_wheel_lists_the_bundled_configs(
    environment: Environment, tmp_path: Path
) -> None:
    listed = environment.run('mmotion', 'list', 'configs', cwd=tmp_path)

    configs = {path.stem for path in (CHECKOUT / 'configs').glob('*.py')}
    assert {line.split()[0] for line in listed.splitlines()} == configs


def test_installed_wheel_passes_the_doctor(environment: Environment, tmp_path: Path) -> None:
    report = environment.run('mmotion', 'doctor', '--full', cwd=tmp_path)

    assert 'ok      opencv' in report


def test_installed_wheel_has_every_command(environment: Environment, tmp_path: Path) -> None:
    text = environment.run('mmotion', '--help', cwd=tmp_path)
    listed = {line.split()[0] for line in text.splitlines() if line.startswith('  ')}
    assert {*find_commands()} <= listed
    # of the core, of a system, and a script
    for command in (['flops'], ['convert-keypoints'], ['prepare', 'ucf-sports']):
        text = environment.run('mmotion', *command, '--help', cwd=tmp_path)
        assert text.startswith(f'usage: mmotion {" ".join(command)} ')
    # every script of the checkout is listed, by one of the three
    lists = [environment.run('mmotion', name, cwd=tmp_path) for name in LISTING]
    assert sum(len(text.splitlines()) for text in lists) == len(find_scripts()) + len(ALIASES)


def test_installed_wheel_prints_a_config_and_its_data(
    environment: Environment, tmp_path: Path
) -> None:
    text = environment.run('mmotion', 'print-config', CONFIG, '--keys', 'model', cwd=tmp_path)
    assert text.startswith('model = dict(')
    environment.run('mmotion', 'browse-dataset', CONFIG, '-n', '1', cwd=tmp_path)
    assert (tmp_path / 'browse' / f'{CONFIG}_train.png').is_file()
    # a door of MMAction2's name, which finds the installed package
    door = environment.site_packages / 'mmotion' / 'bundle' / 'tools' / 'analysis'
    door_text = environment.run(
        'python', str(door / 'print_config.py'), CONFIG, '--keys', 'model', cwd=tmp_path
    )
    assert door_text == text


def test_installed_wheel_imports_projects_from_the_bundle(
    environment: Environment, tmp_path: Path
) -> None:
    code = (
        'import mmotion.paths; mmotion.paths.enable_projects(); '
        'import projects.example_project as p; print(p.__file__)'
    )
    file = environment.run('python', '-c', code, cwd=tmp_path).strip()

    assert Path(file).parent == (
        environment.site_packages / 'mmotion' / 'bundle' / 'projects' / 'example_project'
    )


def test_installed_wheel_trains_and_tests_a_config(
    environment: Environment, tmp_path: Path
) -> None:
    options = ['train_cfg.max_epochs=1', 'train_dataloader.dataset.num_clips=32']
    environment.run(
        'mmotion', 'train', CONFIG, '--work-dir', 'run', '--cfg-options', *options, cwd=tmp_path
    )

    checkpoint = tmp_path / 'run' / 'epoch_1.pth'
    assert checkpoint.is_file()
    environment.run('mmotion', 'test', CONFIG, str(checkpoint), '--work-dir', 'run', cwd=tmp_path)
