"""Checkpoints of models of all systems that have learned nothing."""

import torch

from mmotion.checkpoint import save_checkpoint_file
from mmotion.config import load_config
from mmotion.registry import MODELS


def make_checkpoint(name, folder):
    """Random weights, and for an anomaly detector what it takes for normal."""
    config = load_config(name)
    if 'backbone' in config.model:
        config.model.backbone.init = None
    model = MODELS.build(config.model).eval()
    if hasattr(model, 'calibrate'):
        with torch.no_grad():
            normal = torch.cat([model.backbone(torch.randn(8, 3, 8, 64, 64)) for _ in range(5)])
        if hasattr(model.scorer, 'fit'):
            model.scorer.fit(normal, torch.arange(40) % 3)
        model.calibrate(model.scorer.error(normal).detach())
    save_checkpoint_file({'state_dict': model.state_dict(), 'meta': {}}, folder / 'weights.pth')
    return folder / 'weights.pth'
