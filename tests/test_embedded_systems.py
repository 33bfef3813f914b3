"""Models of all systems give embeddings beside results, as `mmotion extract-features` does."""

from pathlib import Path

import numpy as np
import pytest

from mmotion.corpus.embedding import Embedder
from mmotion.inference import load_model
from mmotion.inference.features import extract_features, find_layer
from tests.moving_boxes import write_video

NUM_FRAMES = 40


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp('videos') / 'a.mp4', NUM_FRAMES)


@pytest.mark.parametrize(
    ('config', 'unit'),
    [
        ('repnet_small', 'frames'),
        ('timesformer_shapes', 'windows'),
        ('bkind_shapes', 'frames'),
        ('anomaly_shapes', 'windows'),
    ],
)
def test_a_row_a_window_or_frame(video, config, unit):
    predictor = load_model(config, device='cpu')
    times = {'fps': None, 'start_s': 0.0, 'end_s': None}
    result, columns = Embedder(predictor, True).predict(Path(video), **times)
    values = np.stack(columns['features'])
    alone = predictor.predict(video)
    number = NUM_FRAMES if unit == 'frames' else len(alone.window_start_s)
    assert len(values) == number == len(columns['features_start_s'])
    assert np.isfinite(values).all() and values.std() > 0
    # nothing of the result has changed, and the embeddings are those that are extracted alone
    assert result.describe() == alone.describe()
    layer = find_layer(predictor, None)[1]
    np.testing.assert_allclose(values, extract_features(predictor, layer, video).values, atol=1e-5)
    assert columns['features_start_s'][0] == 0.0
    is_named = 'features_clip' in columns
    assert is_named == (config == 'anomaly_shapes')
    # generated clips have no files
    assert not is_named or (columns['features_clip'] is None and columns['features_model'])
