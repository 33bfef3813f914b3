"""The smallest config with a predictor."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseDataPreprocessor, BaseModel

from mmotion.inference import Predictor, load_model
from mmotion.registry import MODELS, PREDICTORS, TRANSFORMS


@TRANSFORMS.register_module()
class HalveFrames:
    """Leave out every second pixel."""

    def __call__(self, results):
        return {'inputs': np.stack(results['imgs'])[:, ::2, ::2], 'data_samples': results['fps']}


@MODELS.register_module()
class OneWeightModel(BaseModel):
    def __init__(self):
        super().__init__(data_preprocessor=BaseDataPreprocessor())
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, *args, **kwargs):
        raise NotImplementedError


@PREDICTORS.register_module()
class BrightnessPredictor(Predictor):
    """Answers with the brightness of each frame: the smallest predictor."""

    def _predict_frames(self, frames, fps):
        assert torch.is_inference_mode_enabled()
        return [float(frame.image.mean()) for frame in frames]

    def _stream_frames(self, frames, fps):
        seen = []
        for frame in frames:
            seen.append(float(frame.image.mean()))
            yield list(seen)

    def draw(self, video, result, out_dir):
        return []


@pytest.fixture
def config():
    return Config(
        dict(
            model=dict(type='OneWeightModel'),
            predictor=dict(type='BrightnessPredictor'),
            test_pipeline=[dict(type='HalveFrames')],
        )
    )


@pytest.fixture
def predictor(config):
    return load_model(config, 'random', device='cpu')
