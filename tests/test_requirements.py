"""`make install` takes OpenMMLab's packages without their requirements; ours must name the rest."""

import re
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

REQUIREMENTS = Path(__file__).resolve().parents[1] / 'requirements'
# two OpenCVs in one folder, and a reader of videos that is not used and has no wheel for ARM
LEFT_OUT = {'opencv-python', 'opencv-contrib-python', 'decord'}


def read(name: str) -> dict[str, Requirement]:
    lines = (REQUIREMENTS / f'{name}.txt').read_text(encoding='utf-8').splitlines()
    required = [Requirement(line) for line in lines if line and not line.startswith('#')]
    return {requirement.name.lower().replace('_', '-'): requirement for requirement in required}


@pytest.mark.parametrize('package', sorted(read('openmmlab')))
def test_what_openmmlab_requires_is_required_here(package: str):
    required = {
        requirement.name.lower().replace('_', '-')
        for line in metadata.requires(package) or []
        if 'extra' not in str((requirement := Requirement(line)).marker)
    }
    ours = read('runtime').keys() | read('openmmlab').keys() | LEFT_OUT
    assert required
    assert required <= ours


def test_the_opencvs_of_a_wheel_are_one_version():
    ranges = {str(requirement.specifier) for requirement in read('opencv').values()}
    ranges.add(str(read('headless')['opencv-contrib-python-headless'].specifier))
    assert read('opencv').keys() == {'opencv-python', 'opencv-contrib-python'}
    assert len(ranges) == 1


def test_the_oldest_versions_are_in_range():
    ours = read('runtime') | read('openmmlab') | read('opencv') | read('headless')
    for name, pin in read('oldest').items():
        (version,) = (specifier.version for specifier in pin.specifier)
        assert ours[name].specifier.contains(version), name


def read_extras() -> dict[str, list[str]]:
    """The extras, each with the lists of requirements that it is made of."""
    text = (REQUIREMENTS.parent / 'pyproject.toml').read_text(encoding='utf-8')
    lines = re.findall(r'^optional-dependencies\.(\w+) = (.*)$', text, re.MULTILINE)
    return {name: re.findall(r'requirements/(\w+)\.txt', files) for name, files in lines}


def test_each_list_is_of_use_somewhere():
    lists = {file.stem for file in REQUIREMENTS.glob('*.txt')}
    of_extras = {name for names in read_extras().values() for name in names}
    # the wheel's own, those of `make install`, and those of tests
    others = {'runtime', 'openmmlab', 'opencv', 'headless', 'clients', 'oldest'}
    assert lists == of_extras | others


@pytest.mark.parametrize('name', read_extras())
def test_an_extra_fits_what_mmotion_requires_anyway(name: str):
    always = read('runtime') | read('openmmlab') | read('opencv')
    for file in read_extras()[name]:
        for package, requirement in read(file).items():
            if package in always:
                # one range for both, or the extra could not be installed beside the rest
                assert requirement.specifier == always[package].specifier, package


@pytest.mark.parametrize('name', read_extras())
def test_an_extra_is_told_of_in_the_install_page(name: str):
    page = (REQUIREMENTS.parent / 'docs' / 'install.md').read_text(encoding='utf-8')
    assert f'| `mmotion[{name}]` |' in page
