"""Networks of another system as the embedding, by their registered names alone."""

import torch

from mmotion.config import load_config
from mmotion.registry import MODELS


def test_a_network_of_torchvision_embeds_clips():
    config = load_config('anomaly_shapes_knn')
    config.model.backbone = dict(type='TorchvisionBackbone', name='mc3_18', num_frames=2)
    config.model.data_preprocessor.update(mean=None, std=None)
    model = MODELS.build(config.model).eval()
    with torch.no_grad():
        assert model.backbone(torch.full((1, 3, 2, 112, 112), 100.0)).shape == (1, 512)
