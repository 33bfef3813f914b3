"""`import mmotion` gives everything a user needs first, and loads nothing until it is used."""

import subprocess
import sys

import pytest

import mmotion


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_the_import_loads_nothing_else() -> None:
    loaded = 'set(__import__("sys").modules)'
    code = f'before = {loaded}; import mmotion; print(sorted({loaded} - before))'
    assert run(code) == "['mmotion']"


@pytest.mark.parametrize(
    ('name', 'not_needed'),
    [
        pytest.param('read_frames', 'torch mmengine matplotlib mmaction', id='video'),
        pytest.param('MotionShapes', 'mmaction matplotlib', id='shapes'),
        pytest.param('ActionScores', 'torch mmengine matplotlib av', id='results'),
        pytest.param('read_poses', 'mmaction', id='poses'),
    ],
)
def test_a_name_loads_what_it_needs(name: str, not_needed: str) -> None:
    print_loaded = 'import sys; print(*sys.modules)'
    loaded = run(f'import mmotion; mmotion.{name}; {print_loaded}').split()
    assert not set(loaded) & set(not_needed.split())


@pytest.mark.parametrize('name', mmotion.__all__)
def test_each_name_is_there(name: str) -> None:
    if name == 'predict_corpus':
        pytest.importorskip('pyarrow', reason='needs the extra [corpus]')
    value = getattr(mmotion, name)
    assert value.__name__ == name
    assert value.__module__.startswith('mmotion.')


def test_a_name_of_an_extra_says_what_to_install() -> None:
    code = 'import sys; sys.modules["pyarrow"] = None; import mmotion; mmotion.predict_corpus'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert 'got no pyarrow; pip install "mmotion[corpus]"' in done.stderr


def test_the_names_for_type_checkers_are_those_of_the_program() -> None:
    import ast
    from pathlib import Path

    tree = ast.parse(Path(mmotion.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {alias.name: node.module for node in block.body for alias in node.names}
    places = {n: f'mmotion.{p}' for p, names in mmotion._PLACES.items() for n in names.split()}
    assert typed == places
    assert sorted(typed) == sorted(mmotion.__all__)
    assert set(mmotion.__all__) <= set(dir(mmotion))


def test_a_name_that_is_not_there_is_an_error() -> None:
    with pytest.raises(AttributeError, match="module 'mmotion' has no attribute 'predict'"):
        mmotion.predict  # noqa: B018
