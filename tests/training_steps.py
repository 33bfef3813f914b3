"""What a training step of each system needs, with tiny data and networks."""

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from mmotion.config import load_config
from mmotion.registry import MODELS
from mmotion.training.runner import Runner
from tests.test_configs import system_of

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = (
    'timesformer_shapes',
    'repnet_small',
    'repnet_pose',
    'bkind_shapes',
    'anomaly_shapes',
    'anomaly_ucf_sports_timesformer_finetune',
    'anomaly_ucf_sports_r2plus1d_finetune',
    'pose_convlstm_shapes',
    'pose_lstm_shapes',
    'pose_transformer_shapes',
    'pose_simclr_shapes',
)


@dataclass
class Step:
    """A model in training mode, its config, and a batch behind its data preprocessor."""

    config: Config
    model: nn.Module
    batch: dict[str, Any]

    def build_optimizer(self) -> OptimWrapper:
        """The optimizer that the config names."""
        with DefaultScope.overwrite_default_scope('mmotion'):
            return build_optim_wrapper(self.model, self.config.optim_wrapper)

    def to(self, device: str) -> None:
        """Move model and batch."""
        self.model.to(device)
        preprocessor: Any = self.model.data_preprocessor
        self.batch = preprocessor.cast_data(self.batch)


def prepare_step(name: str, folder: Path) -> Step:
    """Build the model of a config and a batch of 2; data that it needs are written below a folder.

    The folder must be the working directory.
    """
    config = load_config(name)
    system = system_of(ROOT / 'configs' / f'{name}.py')
    if (ROOT / 'tests' / 'projects' / system / 'config_data.py').is_file():
        importlib.import_module(f'tests.projects.{system}.config_data').prepare(config, folder)
    config.train_dataloader.update(batch_size=2, num_workers=0, persistent_workers=False)
    torch.manual_seed(0)
    model = MODELS.build(config.model).train()
    # all losses of a curriculum
    model.epoch = 100
    with DefaultScope.overwrite_default_scope('mmotion'):
        loader = Runner.build_dataloader(config.train_dataloader)
        batch = model.data_preprocessor(next(iter(loader)), True)
    if not isinstance(batch['inputs'], Tensor):
        batch['inputs'] = torch.stack(list(batch['inputs']))
    return Step(config, model, batch)
