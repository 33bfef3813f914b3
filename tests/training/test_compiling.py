"""What of a model is compiled, and by what."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mmotion.config import load_config
from mmotion.registry import MODELS
from mmotion.training.compiling import compile_parts, find_parts
from tests.training_runs import train

TOY = Path(__file__).resolve().parents[1] / 'toy' / 'toy.py'


class Chosen(nn.Module):
    """Has two layers, of which it names one."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(2, 2), nn.Linear(2, 2)

    def compile(self, **options) -> None:
        self.first.compile(**options)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))


def test_the_outermost_modules_that_say_something_are_found():
    inner, outer = Chosen(), Chosen()
    outer.second = inner
    last = Chosen()
    assert [*find_parts(nn.Sequential(nn.ReLU(), outer, last))] == [outer, last]
    assert not [*find_parts(nn.Linear(2, 2))]


@pytest.mark.parametrize('options', [None, False])
def test_nothing_is_compiled_unless_it_is_asked_for(options):
    model = Chosen()
    assert not compile_parts(model, options)
    assert model.first._compiled_call_impl is None


def test_what_a_part_names_is_compiled_in_place():
    graphs = []

    def backend(graph, _):
        graphs.append(graph)
        return graph

    torch.compiler.reset()
    model = nn.Sequential(Chosen())
    inputs = torch.randn(3, 2)
    expected, names = model(inputs), list(model.state_dict())
    assert compile_parts(model, {'backend': backend})
    torch.testing.assert_close(model(inputs), expected)
    assert len(graphs) == 1 and list(model.state_dict()) == names
    assert not compile_parts(nn.Linear(2, 2), True)


def test_a_run_compiles_what_its_model_names_and_trains_as_before(tmp_path, monkeypatch):
    quiet = {'log_level': 'ERROR', 'train_cfg.max_epochs': 1}
    plain = train(load_config(TOY, quiet), work_dir=tmp_path / 'plain')
    named = []

    def compile(self, **options):
        named.append(options)
        self.body.compile(**options)

    model = MODELS.get('ToyCounter')
    monkeypatch.setattr(model, 'compile', compile)
    config = load_config(TOY, {**quiet, 'compile': {'backend': 'eager'}})
    compiled = train(config, work_dir=tmp_path / 'compiled')
    assert named == [{'backend': 'eager'}]
    for one, other in zip(plain.model.parameters(), compiled.model.parameters(), strict=True):
        torch.testing.assert_close(one, other)
    # what the run was asked for is in its config
    assert "backend='eager'" in (tmp_path / 'compiled' / 'toy.py').read_text()
