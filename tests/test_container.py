"""The image: its files are sound, and what it runs installs mmotion into an empty environment."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from mmotion.cli.discovery import find_commands
from mmotion.cli.parser import build_parser
from mmotion.shapes import MotionShapes
from tests.video_files import encode

CHECKOUT = Path(__file__).resolve().parents[1]
DOCKERFILE = CHECKOUT / 'docker' / 'Dockerfile'
COMPOSE = CHECKOUT / 'docker' / 'compose.yml'
# of the system, which only root of an image may change
OF_THE_SYSTEM = ('useradd', 'apt-get')
NOBODY = 65534


class Step(NamedTuple):
    """An instruction of a Dockerfile, and what follows it."""

    name: str
    text: str


def read_steps() -> list[Step]:
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.startswith('#')]
    text = re.sub(r'\\\n\s*', '', '\n'.join(lines))
    return [Step(*line.split(maxsplit=1)) for line in text.splitlines() if line]


def texts_of(name: str) -> list[str]:
    return [step.text for step in read_steps() if step.name == name]


def copy_context(target: Path) -> None:
    """Copy what `docker build` would be given."""
    rules = (CHECKOUT / '.dockerignore').read_text().splitlines()
    assert '*' in rules
    kept = [rule[1:] for rule in rules if rule.startswith('!')]
    left_out = [rule.removeprefix('**/') for rule in rules if rule.startswith('**/')]
    for name in kept:
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns(*left_out))
        else:
            shutil.copy(source, target / name)


def test_the_image_runs_as_somebody_without_rights_and_answers_a_check_of_its_health():
    steps = read_steps()
    assert steps[0].text.startswith('python:3.') and steps[0].text.endswith('-slim')
    assert texts_of('USER') == ['1000']
    assert steps.index(Step('USER', '1000')) > max(
        i for i, step in enumerate(steps) if step.name in ('RUN', 'COPY')
    )
    assert '/healthz' in texts_of('HEALTHCHECK')[0]
    # the exec form: signals reach mmotion, and not a shell
    assert json.loads(texts_of('ENTRYPOINT')[0]) == ['mmotion']


def test_nothing_of_a_cache_stays():
    (environment,) = texts_of('ENV')
    assert 'PIP_NO_CACHE_DIR=1' in environment
    for text in texts_of('RUN'):
        assert text.count('apt-get update') == text.count('rm -rf /var/lib/apt/lists/*')


def test_what_the_image_is_built_from_is_there_and_little():
    arguments = dict(text.split('=', 1) for text in texts_of('ARG'))
    for name in arguments['EXTRAS'].strip('"').split():
        assert (CHECKOUT / 'requirements' / f'{name}.txt').is_file()
    rules = (CHECKOUT / '.dockerignore').read_text().splitlines()
    kept = {rule[1:] for rule in rules if rule.startswith('!')}
    assert all((CHECKOUT / name).exists() for name in kept)
    # what a wheel is built from
    pyproject = (CHECKOUT / 'pyproject.toml').read_text()
    needed = {'mmotion', 'projects', 'configs', 'tools', 'requirements', 'README.md', 'LICENSE'}
    assert kept == needed | {'pyproject.toml', 'setup.py'}
    assert "readme = 'README.md'" in pyproject
    assert not any(fnmatch('.git', name) for name in kept)


def read_services() -> dict[str, Any]:
    return yaml.safe_load(COMPOSE.read_text())['services']


def test_each_service_runs_a_command_with_arguments_that_it_has():
    default = json.loads(texts_of('CMD')[0])
    commands = find_commands()
    for name, service in read_services().items():
        before = service.get('entrypoint', ['mmotion'])[1:]
        command, *words = [*before, *service.get('command', default)]
        parser = build_parser(commands[command], commands[command].load(), words)
        args = parser.parse_args(words)
        assert name.startswith('train') or args.port == 8000


def test_services_are_kept_apart():
    for name, service in read_services().items():
        assert service['profiles'] and service['init'] is True
        assert service['cap_drop'] == ['ALL']
        if name.startswith('train'):
            assert service['shm_size'] and service['healthcheck'] == {'disable': True}
        else:
            # this machine alone, and nobody without a token
            assert service['ports'] == ['127.0.0.1:8000:8000']
            assert service['environment']['MMOTION_TOKEN'] == '${MMOTION_TOKEN:?must be set}'


def find_program(name: str) -> str:
    """A linter of `requirements/clients.txt`, beside this Python or elsewhere on the path."""
    found = shutil.which(
        name, path=f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}'
    )
    if found is None:
        pytest.skip(f'no {name}; pip install -r requirements/clients.txt')
    return found


def test_the_linter_of_dockerfiles_says_nothing():
    done = subprocess.run(
        [find_program('hadolint'), '--no-color', str(DOCKERFILE)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_services_are_as_the_specification_says():
    check = [find_program('check-jsonschema'), '--builtin-schema', 'vendor.compose-spec']
    done = subprocess.run([*check, str(COMPOSE)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope='module')
def installed() -> Iterator[dict[str, str]]:
    """An environment in which the image's own steps were run, but for those of the system."""
    root = Path(tempfile.mkdtemp(prefix='mmotion-image-'))
    # others may read it, as in the image
    root.chmod(0o755)
    try:
        venv.create(root / 'python', with_pip=True)
        sources = root / 'opt'
        sources.mkdir()
        copy_context(sources)
        outside = ('PYTHONPATH', 'VIRTUAL_ENV', 'MMOTION_HOME')
        env = {key: value for key, value in os.environ.items() if key not in outside}
        for text in texts_of('ENV'):
            env |= dict(word.split('=', 1) for word in text.split())
        env |= {
            'PATH': f'{root}/python/bin:/usr/bin:/bin',
            'EXTRAS': dict(text.split('=', 1) for text in texts_of('ARG'))['EXTRAS'].strip('"'),
            'HOME': str(root),
        }
        # hundreds of MB that are the same at each run
        env.pop('PIP_NO_CACHE_DIR')
        for text in texts_of('RUN'):
            if not any(word in text for word in OF_THE_SYSTEM):
                done = subprocess.run(
                    ['/bin/sh', '-ec', text], cwd=sources, env=env, capture_output=True, text=True
                )
                assert done.returncode == 0, f'{text}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}'
        # what is left are the installed packages
        shutil.rmtree(sources)
        yield env
    finally:
        shutil.rmtree(root)


@pytest.mark.slow
def test_the_steps_of_the_image_install_what_predicts(installed: dict[str, str]):
    folder = Path(tempfile.mkdtemp(prefix='mmotion-data-'))
    who = {'user': NOBODY, 'group': NOBODY, 'extra_groups': []} if os.geteuid() == 0 else {}
    try:
        scene = MotionShapes(split='test', size=96, num_frames=(64, 64))[0]
        encode(folder / 'clip.mp4', list(scene.render()))
        if who:
            os.chown(folder, NOBODY, NOBODY)
        env = installed | {'HOME': str(folder)}

        def run(*words: str) -> str:
            done = subprocess.run(
                ['mmotion', *words], cwd=folder, env=env, capture_output=True, text=True, **who
            )
            assert done.returncode == 0, f'{words}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}'
            return done.stdout

        doctor = run('doctor')
        assert 'BROKEN' not in doctor
        assert '(opencv-contrib-python-headless ' in doctor
        run('predict', 'repnet_small', 'clip.mp4', '--out', 'out')
        result = json.loads((folder / 'out' / 'clip.json').read_text())
        assert result['count'] >= 0
        assert '--port' in run('serve', '--help')
    finally:
        shutil.rmtree(folder)
