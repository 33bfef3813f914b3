"""What a model that gives no finite numbers says is an error, of a video and of a stream."""

import numpy as np
import pytest
import torch

from mmotion import load_model


@pytest.mark.parametrize(
    ('config', 'weights', 'message'),
    [
        pytest.param('repnet_small', None, 'must be finite, got', id='repnet'),
        pytest.param('timesformer_shapes', 'random', 'scores must lie in', id='timesformer'),
        pytest.param('bkind_shapes', 'random', 'keypoints must be finite', id='bkind'),
        pytest.param('anomaly_shapes', 'random', 'errors must be finite', id='anomaly'),
        pytest.param('example_project_dots', 'random', 'score must lie in', id='example'),
    ],
)
def test_no_number_is_made_of_nan(config, weights, message):
    """The streams of two systems gave null for every point, and a class of score NaN."""
    predictor = load_model(config, weights, device='cpu')
    with torch.no_grad():
        for parameter in predictor.model.parameters():
            # finite, so that loading lets them pass, and too large for what they are used for
            parameter.mul_(1e20)
    frames = np.random.default_rng(0).integers(0, 255, (20, 64, 64, 3), dtype=np.uint8)
    with pytest.raises(ValueError, match=message):
        predictor.predict(frames, fps=30.0)
    with pytest.raises(ValueError, match=message):
        list(predictor.stream(frames, fps=30.0))
