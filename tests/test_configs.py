"""Every config follows the rules of form, and its model takes a step on a CPU."""

import ast
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope

from mmotion.config import load_config
from mmotion.inference import load_model
from mmotion.keypoints.files import write_poses
from mmotion.registry import MODELS
from mmotion.training.runner import Runner
from tests import action_files, anomaly_files, pair_files, repetition_files
from tests.pose_videos import make_video

ROOT = Path(__file__).resolve().parents[1]
SYSTEMS = sorted(path.parent.name for path in ROOT.glob('projects/*/__init__.py'))
BASES = sorted(ROOT.glob('configs/_base_/*.py'))
LEAVES = sorted(ROOT.glob('configs/*.py'))

each_leaf = pytest.mark.parametrize('leaf', LEAVES, ids=lambda path: path.stem)
each_file = pytest.mark.parametrize('file', BASES + LEAVES, ids=lambda path: path.stem)


def names_of_bases(file: Path) -> list[str]:
    """Read the value of `_base_` without running the config."""
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == '_base_':
            bases = ast.literal_eval(node.value)
            return [bases] if isinstance(bases, str) else list(bases)
    return []


def system_of(leaf: Path) -> str:
    """The system whose base a config has."""
    stems = [Path(base).stem for base in names_of_bases(leaf)]
    return next(system for system in SYSTEMS if system in stems)


def test_there_are_configs_of_every_system():
    for system in SYSTEMS:
        assert ROOT / 'configs' / '_base_' / f'{system}.py' in BASES
    assert {system_of(leaf) for leaf in LEAVES} == set(SYSTEMS)


@each_leaf
def test_a_leaf_has_the_bases_of_its_system_and_of_the_runtime(leaf):
    system = system_of(leaf)
    assert leaf.stem.split('_')[0] == system.split('_')[0]
    first, second, *more = names_of_bases(leaf)
    assert [first, second] == ['_base_/default_runtime.py', f'_base_/{system}.py']
    assert all(base.startswith(f'_base_/{system}_') for base in more)


@pytest.mark.parametrize('base', BASES, ids=lambda path: path.stem)
def test_a_base_has_no_base(base):
    assert names_of_bases(base) == []


@each_leaf
def test_a_leaf_is_short(leaf):
    assert len(leaf.read_text().splitlines()) <= 25


@each_file
def test_a_config_starts_with_one_comment(file):
    first, second = file.read_text().splitlines()[:2]
    assert first.startswith('# ')
    assert not second.startswith('#')


@each_file
def test_a_config_changes_nothing_of_its_base(file):
    assert '_delete_' not in file.read_text()
    assert '_base_.' not in file.read_text()


def test_leaves_do_not_repeat_each_other():
    windows = []
    for leaf in LEAVES:
        lines = [line.strip() for line in leaf.read_text().splitlines() if line.strip()]
        windows += [tuple(lines[start : start + 6]) for start in range(len(lines) - 5)]
    repeated = sum(windows.count(window) > 1 for window in windows)
    assert repeated <= 0.1 * len(windows)


def write_pose_folder(root: Path) -> None:
    """Write keypoint files of two activities by three persons."""
    for label in ('squat', 'jump'):
        for i in range(3):
            write_poses(make_video(20, seed=i), root / label / f'{i}.json')


@each_leaf
def test_the_model_takes_a_step(leaf, tmp_path, monkeypatch):
    config = load_config(leaf)
    if '_base_/repnet_videos.py' in names_of_bases(leaf):
        # data that must be downloaded: a tiny copy of it, and a network that needs no weights
        repetition_files.write_all(tmp_path)
        monkeypatch.chdir(tmp_path)
        config.model.encoder = dict(type='ConvEncoder', channels=(4, 8))
    if '_base_/timesformer_videos.py' in names_of_bases(leaf):
        action_files.write_all(tmp_path)
        monkeypatch.chdir(tmp_path)
        tiny = dict(patch_size=56, vit=dict(embed_dim=24, depth=2, num_heads=2), init=None)
        config.model.backbone.update(tiny)
        config.model.cls_head.in_channels = 24
    if '_base_/anomaly.py' in names_of_bases(leaf):
        anomaly_files.write_all(tmp_path)
        anomaly_files.shrink(config)
        monkeypatch.chdir(tmp_path)
    if '_base_/bkind_videos.py' in names_of_bases(leaf) or leaf.stem == 'bkind_custom_small':
        pair_files.write_all(tmp_path)
        pair_files.shrink(config)
        monkeypatch.chdir(tmp_path)
    if 'data/poses' in leaf.read_text():
        write_pose_folder(tmp_path / 'data' / 'poses')
        monkeypatch.chdir(tmp_path)
    if not config.get('train_dataloader'):
        # a config of released weights: it answers for a video
        predictor = load_model(config, device='cpu')
        assert predictor.predict(np.zeros((4, 32, 32, 3), np.uint8), fps=25.0)
        return
    config.train_dataloader.update(batch_size=2, num_workers=0, persistent_workers=False)
    model = MODELS.build(config.model)
    with DefaultScope.overwrite_default_scope('mmotion'):
        batch = next(iter(Runner.build_dataloader(config.train_dataloader)))
        optim_wrapper = build_optim_wrapper(model, config.optim_wrapper)

    if config.train_cfg.get('type') == 'FitLoop':
        embeddings = model.embed(model.data_preprocessor(batch)['inputs'])
        model.fit(embeddings, torch.zeros(len(embeddings), dtype=torch.long))
        assert torch.isfinite(model.scorer.error(embeddings)).all()
        return
    before = [parameter.detach().clone() for parameter in model.parameters()]
    losses = model.train_step(batch, optim_wrapper)
    assert all(torch.isfinite(torch.as_tensor(loss)).all() for loss in losses.values())
    after = list(model.parameters())
    assert any(not torch.equal(old, new) for old, new in zip(before, after, strict=True))
