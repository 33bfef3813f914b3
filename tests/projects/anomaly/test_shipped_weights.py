"""The weights that ship raise an alarm where a generated shape turns."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from mmotion.config import load_config
from mmotion.inference import load_model
from mmotion.registry import DATASETS
from projects.timesformer.shapes_data import ACTIONS, action_scene

TURNING = ('clockwise', 'anticlockwise', 'rock')


@pytest.fixture(scope='module')
def predictor():
    return load_model('anomaly_shapes', device='cpu')


def test_the_threshold_is_in_the_file(predictor):
    assert math.isfinite(predictor.model.threshold)
    assert predictor.model.num_recordings == 1200


def test_what_turns_is_less_usual(predictor):
    subsets = load_config('anomaly_shapes').test_dataloader.dataset.dataset.subsets
    errors = {}
    for name in ('test', 'anomaly'):
        clips = DATASETS.build({**subsets[name], 'num_videos': 60})
        batch = predictor.collate([clips[i] for i in range(len(clips))])
        with torch.no_grad():
            samples = predictor.model(**batch, mode='predict')
        errors[name] = [float(sample.error) for sample in samples]
    labels = np.repeat([0, 1], 60)
    # of 3,600 clips it is MEASURED
    assert roc_auc_score(labels, [*errors['test'], *errors['anomaly']]) >= 0.9


def test_videos_raise_an_alarm(predictor):
    found = dict.fromkeys(ACTIONS, 0)
    for name in found:
        for number in range(4):
            scene = action_scene(name, np.random.default_rng(number), num_frames=8, size=64)
            result = predictor.predict(np.stack(list(scene.frames())), fps=8.0)
            assert math.isfinite(result.threshold)
            found[name] += bool(result.segments)
    alarms = [found[name] for name in TURNING], [found[n] for n in found if n not in TURNING]
    assert sum(alarms[0]) >= 7
    assert sum(alarms[1]) <= 9
