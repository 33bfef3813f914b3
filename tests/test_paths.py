"""Where projects/ and configs/ are found, and what hides them."""

import subprocess
import sys
from pathlib import Path

import pytest

from mmotion import paths
from mmotion.paths import enable_projects, find_config, find_root

CHECKOUT = Path(__file__).resolve().parents[1]


def make_install(folder: Path, *parts: str) -> Path:
    """Make a folder with an empty package `mmotion` and projects/ and configs/ under `parts`."""
    (folder / 'mmotion').mkdir(parents=True)
    for name in ('projects', 'configs'):
        folder.joinpath(*parts, name).mkdir(parents=True)
    return folder / 'mmotion'


def test_root_of_a_checkout_is_the_folder_of_the_package():
    assert find_root() == CHECKOUT


def test_root_of_a_wheel_is_the_bundle(tmp_path, monkeypatch):
    package = make_install(tmp_path, 'mmotion', 'bundle')
    monkeypatch.setattr(paths, 'PACKAGE_DIR', package)
    assert find_root() == package / 'bundle'


def test_root_must_hold_both_folders(tmp_path, monkeypatch):
    package = make_install(tmp_path)
    (tmp_path / 'configs').rmdir()
    monkeypatch.setattr(paths, 'PACKAGE_DIR', package)
    with pytest.raises(FileNotFoundError, match=r'must come with .* projects/ and configs/'):
        find_root()


def test_enable_projects_appends_and_never_prepends(monkeypatch):
    monkeypatch.setattr(sys, 'path', [entry for entry in sys.path if entry != str(CHECKOUT)])
    first = sys.path[0]
    assert enable_projects() == enable_projects() == CHECKOUT
    assert sys.path[0] == first
    assert sys.path[-1] == str(CHECKOUT)
    assert sys.path.count(str(CHECKOUT)) == 1


@pytest.mark.parametrize(
    ('other', 'message'),
    [
        pytest.param('projects/my_system/__init__.py', None, id='namespace folder joins ours'),
        pytest.param('projects/__init__.py', 'remove its __init__', id='package hides ours'),
        pytest.param('projects.py', 'rename that package', id='module hides ours'),
    ],
)
def test_something_else_named_projects(tmp_path, other, message):
    (tmp_path / other).parent.mkdir(exist_ok=True, parents=True)
    (tmp_path / other).touch()
    code = (
        'import sys; sys.path[:0] = sys.argv[1:]\n'
        'from mmotion.paths import enable_projects; enable_projects()\n'
        'import importlib.util as util\n'
        'assert util.find_spec("projects.my_system"), "theirs is gone"\n'
        'assert util.find_spec("projects.example_project"), "ours is gone"\n'
    )
    done = subprocess.run(
        [sys.executable, '-c', code, str(tmp_path), str(CHECKOUT)], capture_output=True, text=True
    )
    assert (message or '') in done.stderr
    assert (done.returncode == 0) == (message is None), done.stderr


@pytest.mark.parametrize(
    'name',
    ['example_project_dots', 'example_project_dots.py', 'configs/example_project_dots.py'],
)
def test_a_bundled_config_is_found_from_any_folder(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    assert find_config(name).samefile(CHECKOUT / 'configs' / 'example_project_dots.py')


def test_a_file_in_the_working_folder_comes_before_a_bundled_config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'example_project_dots.py').touch()
    found = find_config('example_project_dots.py')
    assert found.resolve() == tmp_path.resolve() / 'example_project_dots.py'


@pytest.mark.parametrize(
    'name', ['example_project_dot', 'nowhere/example_project_dost.py'], ids=['name', 'path']
)
def test_an_unknown_config_is_answered_with_the_nearest_names(name):
    with pytest.raises(FileNotFoundError, match=rf"got config='{name}'; .*example_project_dots"):
        find_config(name)


def test_a_folder_is_no_config(tmp_path):
    with pytest.raises(FileNotFoundError, match='config must be a file'):
        find_config(tmp_path)
