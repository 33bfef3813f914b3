"""Every config follows the rules of form, and its model takes a step on a CPU."""

import ast
import importlib
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope

from mmotion.config import load_config
from mmotion.inference import load_model
from mmotion.registry import MODELS
from mmotion.training.runner import Runner

ROOT = Path(__file__).resolve().parents[1]
SYSTEMS = sorted(path.parent.name for path in ROOT.glob('projects/*/__init__.py'))
BASES = sorted(ROOT.glob('configs/_base_/*.py'))
LEAVES = sorted(ROOT.glob('configs/*.py'))
MAX_LINES = 25
MAX_FILES_IN_A_CHAIN = 3
MAX_SHARE_OF_REPEATED_LINES = 0.35

each_leaf = pytest.mark.parametrize('leaf', LEAVES, ids=lambda path: path.stem)
each_base = pytest.mark.parametrize('base', BASES, ids=lambda path: path.stem)
each_file = pytest.mark.parametrize('file', BASES + LEAVES, ids=lambda path: path.stem)


def find_bases(file: Path) -> list[Path]:
    """Read the value of `_base_` without running the config."""
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == '_base_':
            names = ast.literal_eval(node.value)
            return [file.parent / name for name in ([names] if isinstance(names, str) else names)]
    return []


def find_chain(file: Path) -> list[Path]:
    """A config, the leaf that it varies, and so on to the one that stands on bases alone."""
    bases = find_bases(file)
    return [file, *find_chain(bases[0])] if bases and bases[0] in LEAVES else [file]


def system_of(leaf: Path) -> str:
    """The system whose base a config, or the leaf that it varies, has."""
    stems = [base.stem for base in find_bases(find_chain(leaf)[-1])]
    return next(system for system in SYSTEMS if system in stems)


def telling_lines(leaf: Path) -> list[str]:
    """The lines that say something: no comments, no brackets alone, no `model = dict(` alone."""
    lines = [line.strip() for line in leaf.read_text().splitlines()]
    return [line for line in lines if not re.fullmatch(r'#.*|[\[\](){},]*|.*[(\[{]', line)]


def share_of_repeated_lines(leaves: list[Path]) -> float:
    """How many of the lines that say something stand verbatim in another leaf too."""
    lines = {leaf: telling_lines(leaf) for leaf in leaves}
    num_leaves = Counter(line for found in lines.values() for line in set(found))
    every_line = [line for found in lines.values() for line in found]
    return sum(num_leaves[line] > 1 for line in every_line) / len(every_line)


def test_there_are_configs_of_every_system():
    for system in SYSTEMS:
        assert ROOT / 'configs' / '_base_' / f'{system}.py' in BASES
    assert {system_of(leaf) for leaf in LEAVES} == set(SYSTEMS)


@each_leaf
def test_a_leaf_has_the_bases_of_its_system_or_varies_one_leaf_of_it(leaf):
    system = system_of(leaf)
    assert leaf.stem.split('_')[0] == system.split('_')[0]
    bases = find_bases(leaf)
    if bases[0] in LEAVES:
        assert len(bases) == 1
        # the bases count as one: the chain is bases, leaf, variant
        assert len(find_chain(leaf)) + 1 <= MAX_FILES_IN_A_CHAIN
    else:
        stems = [base.stem for base in bases]
        assert stems[:2] == ['default_runtime', system]
        assert all(stem.startswith(f'{system}_') for stem in stems[2:])
        assert set(bases) <= set(BASES)


@each_base
def test_a_base_has_no_base(base):
    assert find_bases(base) == []


@each_leaf
def test_a_leaf_is_short(leaf):
    assert len(leaf.read_text().splitlines()) <= MAX_LINES


@each_file
def test_a_config_starts_with_one_comment(file):
    first, second = file.read_text().splitlines()[:2]
    assert first.startswith('# ')
    assert not second.startswith('#')


@each_leaf
def test_the_comment_says_what_on_which_machine_and_with_which_result(leaf):
    # `mmotion list configs` shows it among the comments of all others
    what, machine, result = leaf.read_text().splitlines()[0].split('; ')
    assert not re.match('# (The same|It|Its|As) ', what)
    assert re.search(r'\b[CG]PUs?\b', machine)
    assert re.search(r'\d|not measured', result)
    assert result.endswith('.')


@each_file
def test_a_config_changes_nothing_of_its_base(file):
    assert '_delete_' not in file.read_text()
    assert '_base_.' not in file.read_text()


def test_the_share_of_repeated_lines(tmp_path):
    first, second = tmp_path / 'first.py', tmp_path / 'second.py'
    first.write_text('# same\nmodel = dict(\n    width=1,\n    depth=2,\n)\n')
    second.write_text('# same\nmodel = dict(\n    width=1,\n    depth=3,\n    depth=3,\n)\n')
    assert telling_lines(first) == ['width=1,', 'depth=2,']
    # width=1 twice, of five lines
    assert share_of_repeated_lines([first, second]) == 0.4


def test_leaves_do_not_repeat_each_other():
    assert share_of_repeated_lines(LEAVES) <= MAX_SHARE_OF_REPEATED_LINES
    windows = []
    for leaf in LEAVES:
        lines = [line.strip() for line in leaf.read_text().splitlines() if line.strip()]
        windows += [tuple(lines[start : start + 6]) for start in range(len(lines) - 5)]
    repeated = sum(windows.count(window) > 1 for window in windows)
    assert repeated <= 0.1 * len(windows)


@each_leaf
def test_the_model_takes_a_step(leaf, tmp_path, monkeypatch):
    config = load_config(leaf)
    monkeypatch.chdir(tmp_path)
    if not config.get('train_dataloader'):
        # a config of released weights: it answers for a video
        predictor = load_model(config, 'random', device='cpu')
        assert predictor.predict(np.zeros((4, 32, 32, 3), np.uint8), fps=25.0)
        return
    # what a system needs for it, such as a tiny copy of data that must be downloaded
    package = f'tests.projects.{system_of(leaf)}'
    preparation = None
    if (ROOT / package.replace('.', '/') / 'config_data.py').is_file():
        preparation = importlib.import_module(f'{package}.config_data')
        preparation.prepare(config, tmp_path)
    config.train_dataloader.update(batch_size=2, num_workers=0, persistent_workers=False)
    model = MODELS.build(config.model)
    with DefaultScope.overwrite_default_scope('mmotion'):
        batch = next(iter(Runner.build_dataloader(config.train_dataloader)))
        optim_wrapper = build_optim_wrapper(model, config.optim_wrapper)

    if config.train_cfg.get('type'):
        # a loop of the system's own
        preparation.take_step(model, batch)
        return
    before = [parameter.detach().clone() for parameter in model.parameters()]
    losses = model.train_step(batch, optim_wrapper)
    assert all(torch.isfinite(torch.as_tensor(loss)).all() for loss in losses.values())
    after = list(model.parameters())
    assert any(not torch.equal(old, new) for old, new in zip(before, after, strict=True))
