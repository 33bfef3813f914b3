"""What a type checker knows of `load_model`, and that it is true."""

import ast
from pathlib import Path

import pytest

from mmotion.config import load_config
from mmotion.inference import load
from mmotion.registry import PREDICTORS
from tests.type_checks import run_pyright

ROOT = Path(__file__).resolve().parents[2]
STUB = ast.parse((ROOT / 'mmotion' / 'inference' / 'load.pyi').read_text())
SNIPPET = """
import mmotion
from mmotion import ActionScores, Predictor

reveal_type(mmotion.load_model('repnet_small').predict('v.mp4').count)
reveal_type(mmotion.load_model('repnet_small').predict('v.mp4'))
reveal_type(mmotion.load_model('timesformer_k400', 'k400.pth').predict('v.mp4').label)
reveal_type(mmotion.load_model('pose_convlstm_json').predict('v.json').poses.num_frames)
reveal_type(mmotion.load_model('mine.py'))
mmotion.load_model('repnet_small').predict('v.mp4').cuont


def name(predictor: Predictor[ActionScores]) -> str:
    return predictor.predict('v.mp4').label


name(mmotion.load_model('repnet_small'))
"""


def read_stub() -> dict[str, str]:
    """The predictor of each config that the stub names."""
    predictors = {}
    for function in STUB.body:
        if isinstance(function, ast.FunctionDef) and function.name == 'load_model':
            kind = ast.unparse(function.returns)
            for node in ast.walk(function.args):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    predictors[node.value] = kind
    return predictors


def test_a_type_checker_knows_what_a_model_answers(tmp_path: Path) -> None:
    said = run_pyright(SNIPPET, folder=tmp_path, packages=ROOT)
    revealed = [part['message'].split('is ')[1] for part in said if part['severity'] != 'error']
    assert revealed == [
        '"float"',
        '"RepetitionCount"',
        '"str"',
        '"int"',
        '"Predictor[Any]"',
    ], said
    spelling, other = [part['message'] for part in said if part['severity'] == 'error']
    assert 'Cannot access attribute "cuont" for class "RepetitionCount"' in spelling
    assert '"RepetitionPredictor" is not assignable to "Predictor[ActionScores]"' in other


@pytest.mark.parametrize('name', read_stub())
def test_the_stub_says_what_a_config_builds(name: str) -> None:
    assert PREDICTORS.get(load_config(name).predictor.type).__name__ == read_stub()[name]


def test_the_stub_knows_all_configs_of_its_predictors() -> None:
    """One of another predictor need not be there: a new system edits no file of the core."""
    known = read_stub()
    configs = (path.stem for path in (ROOT / 'configs').glob('*.py'))
    kinds = {name: (load_config(name).get('predictor') or {}).get('type') for name in configs}
    assert not {n: k for n, k in kinds.items() if k in known.values() and n not in known}


def test_the_stub_has_all_that_the_module_has() -> None:
    names = {node.name for node in STUB.body if isinstance(node, ast.FunctionDef)}
    own = [
        value for value in vars(load).values() if getattr(value, '__module__', '') == load.__name__
    ]
    assert names == {value.__name__ for value in own if not value.__name__.startswith('_')}
