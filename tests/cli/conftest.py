import numpy as np
import pytest
import torch

from mmotion.config import load_config
from mmotion.training.runner import build_runner
from mmotion.video.writer import VideoWriter
from tests.command_lines import TOY


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    """Weights of the toy model."""
    path = tmp_path_factory.mktemp('weights')
    model = build_runner(load_config(TOY, {'log_level': 'ERROR'}), work_dir=path).model
    torch.save({'state_dict': model.state_dict()}, path / 'toy.pth')
    return str(path / 'toy.pth')


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with good and bad files."""
    monkeypatch.chdir(tmp_path)
    with VideoWriter(tmp_path / 'clip.mp4', fps=10.0) as writer:
        for level in range(6):
            writer.write(np.full((32, 32, 3), 20 * level, np.uint8))
    torch.save({'state_dict': {'other': torch.zeros(1)}}, 'other.pth')
    (tmp_path / 'text.pth').write_text('not weights')
    (tmp_path / 'broken.py').write_text('model = dict(')
    (tmp_path / 'unknown_key.py').write_text("modle = dict(type='ToyCounter')")
    (tmp_path / 'no_test.py').write_text("model = dict(type='ToyCounter')")
    (tmp_path / 'unknown_type.py').write_text(
        f"_base_ = [{TOY!r}]\ncustom_imports = dict(imports=['projects.example_project'])\n"
        "model = dict(type='ClipClasifier')\npredictor = dict(type='NoPredictor')\n"
    )
    (tmp_path / 'no_module.py').write_text("custom_imports = dict(imports=['not_there'])")
    (tmp_path / 'empty').mkdir()
    return tmp_path
