"""The weights that ship name most generated motions, of clips and of videos."""

import numpy as np
import pytest

from mmotion.config import load_config
from mmotion.inference import load_model
from mmotion.registry import DATASETS
from projects.timesformer.shapes_data import ACTIONS, action_scene


@pytest.fixture(scope='module')
def predictor():
    return load_model('timesformer_shapes', device='cpu')


def test_most_motions_are_named(predictor):
    data = load_config('timesformer_shapes').test_dataloader.dataset
    clips = DATASETS.build({**data, 'num_videos': 60})
    batch = predictor.collate([clips[i] for i in range(len(clips))])
    samples = predictor.model(**batch, mode='predict')
    right = [int(sample.pred_score.argmax()) == int(sample.gt_label) for sample in samples]
    # of 400 it is 0.96
    assert np.mean(right) >= 0.85


def test_videos_get_the_names_of_their_motions(predictor):
    named = 0
    for number, action in enumerate(ACTIONS):
        scene = action_scene(action, np.random.default_rng(number), num_frames=8, size=64)
        result = predictor.predict(np.stack(list(scene.frames())), fps=8.0)
        assert result.classes == ACTIONS
        named += result.label == action
    assert named >= 9
