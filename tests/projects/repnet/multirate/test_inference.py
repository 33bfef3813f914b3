"""The predictor counts by time: files, arrays and streams say the same, hints are heeded."""

import numpy as np
import pytest

from mmotion.inference import load_model


@pytest.fixture(scope='module')
def predictor():
    return load_model('repnet_multirate', 'random', device='cpu')


def make_frames(num_frames: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (num_frames, 32, 32, 3), np.uint8)


def test_a_stream_ends_with_what_a_prediction_says(predictor):
    frames = make_frames(90)
    result = predictor.predict(frames, fps=30.0)
    *_, last = predictor.stream(iter(frames), fps=30.0)
    assert last.num_frames == result.num_frames == 90
    assert last.count == pytest.approx(result.count, abs=1e-3)
    assert last.confidence == pytest.approx(result.confidence, abs=1e-4)


def test_frames_above_the_rate_are_not_encoded(predictor, monkeypatch):
    encoded = []
    encode = predictor.model.encode_frames
    monkeypatch.setattr(
        predictor.model, 'encode_frames', lambda x: encoded.append(len(x)) or encode(x)
    )
    result = predictor.predict(make_frames(240), fps=240.0)
    assert result.stride == 8
    assert sum(encoded) == 30


def test_a_drawing_is_made(predictor, tmp_path):
    frames = make_frames(32)
    files = predictor.draw(frames, predictor.predict(frames, fps=16.0), tmp_path)
    assert all(file.is_file() for file in files)


def test_hints_are_options(predictor):
    hints = {'period_s': (0.2, 1.0), 'example_s': (1.0, 1.5), 'min_count': 2.0}
    kind = type(predictor)
    hinted = kind(config=predictor.config, model=predictor.model, **hints)
    assert hinted.options.period_s == (0.2, 1.0)
    result = hinted.predict(make_frames(60), fps=30.0)
    periods = result.period_s_per_frame
    assert (np.isnan(periods) | ((periods > 0.15) & (periods < 1.1))).all()
    with pytest.raises(ValueError, match='report_every_s must be above 0'):
        kind(config=predictor.config, model=predictor.model, report_every_s=0)
