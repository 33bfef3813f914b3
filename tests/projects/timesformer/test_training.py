"""Training a small TimeSformer on generated clips, on one process and on two."""

import random
from pathlib import Path

import pytest
import torch

from mmotion.checkpoint import load_checkpoint_file
from mmotion.config import load_config
from tests.training_runs import assert_same, kill_after, run_dist_script, run_in_child, train

ROOT = Path(__file__).resolve().parents[3]
CONFIG = ROOT / 'configs' / 'timesformer_shapes.py'
# 2 epochs of 6 steps in fp32
SMALL = {
    'model.backbone.vit.embed_dim': 32,
    'model.backbone.vit.depth': 2,
    'model.cls_head.in_channels': 32,
    'optim_wrapper.type': 'OptimWrapper',
    'train_cfg.max_epochs': 2,
    'train_cfg.val_interval': 5,
    'train_dataloader.num_workers': 0,
    'train_dataloader.sampler.epoch_size': 96,
}


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A config that writes weights and losses of each process into `tmp_path/ranks`."""
    config = tmp_path / 'recorded.py'
    toy = ROOT / 'tests' / 'toy'
    config.write_text(
        f"_base_ = ['{CONFIG}']\n"
        f"custom_hooks = [dict(type='RecordRanks', out_dir='{tmp_path / 'ranks'}')]\n"
        f"import sys\nsys.path.append('{toy}')\ndel sys\n"
        "custom_imports = dict(imports=['projects.timesformer', 'toy_motion'])\n"
    )
    return config


def losses_of(tmp_path: Path, rank: int) -> torch.Tensor:
    return torch.tensor(torch.load(tmp_path / 'ranks' / f'losses_{rank}.pth', weights_only=True))


def test_two_processes_have_the_loss_curve_of_one(tmp_path: Path, recorded: Path) -> None:
    given = [f'{key}={value}' for key, value in SMALL.items()]
    run_dist_script(
        'dist_train.sh',
        *(recorded, 2, '--work-dir', tmp_path / 'two'),
        *('--cfg-options', 'train_dataloader.batch_size=8', *given),
        cwd=tmp_path,
    )
    two = (losses_of(tmp_path, 0) + losses_of(tmp_path, 1)) / 2

    config = load_config(recorded, SMALL | {'train_dataloader.batch_size': 16})
    train(config, work_dir=tmp_path / 'one')
    one = losses_of(tmp_path, 0)
    assert one.shape == (12,)
    torch.testing.assert_close(two, one, rtol=1e-4, atol=0)


def test_a_killed_run_that_goes_on_ends_with_the_weights_of_an_unbroken_one(tmp_path: Path) -> None:
    # with what is drawn at random while training, and each step logged
    options = {
        'model.backbone.vit.drop_path': 0.2,
        'default_hooks.logger.interval': 1,
        'train_dataloader.batch_size': 16,
        'train_cfg.max_epochs': 4,
        'log_level': 'ERROR',
    }
    config = load_config(CONFIG, SMALL | options)
    whole = run_in_child(config, tmp_path / 'whole')
    whole.join()
    step = random.SystemRandom().randint(1, 22)
    kill_after(step, run_in_child(config, tmp_path / 'killed'), tmp_path / 'killed')
    resumed = run_in_child(config, tmp_path / 'killed')
    resumed.join()
    assert (whole.exitcode, resumed.exitcode) == (0, 0)
    states = (load_checkpoint_file(tmp_path / n / 'epoch_4.pth') for n in ('whole', 'killed'))
    assert_same(*(state['state_dict'] for state in states))
