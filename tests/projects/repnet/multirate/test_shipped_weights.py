"""The weights of `repnet_multirate`: small, whole, and independent of the frame rate."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from mmotion.checkpoint import find_weights
from mmotion.config import load_config
from mmotion.inference import load_model
from mmotion.shapes import MotionShapes
from projects.repnet.multirate.counting import MultiRateCounter
from projects.repnet.multirate.decoding import MultiRateOptions

WEIGHTS = Path(__file__).resolve().parents[4] / 'projects' / 'repnet' / 'weights'
CARD = (WEIGHTS / 'repnet_multirate.md').read_text(encoding='utf-8')
# | 17 | 4 | 3.98 |
COUNTED = re.findall(r'^\| (\d+) \| ([\d.]+) \| ([\d.]+) \|$', CARD, re.MULTILINE)
MIXED = torch.randn(8, 96, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope='module')
def predictor():
    return load_model('repnet_multirate', device='cpu')


class Known:
    """The shipped head behind embeddings that are known: a frame is its own embedding."""

    def __init__(self, model):
        self.score_levels = model.score_levels

    def encode_frames(self, frames):
        return frames

    def embed(self, maps):
        return maps


def count(predictor, numbers, times_s, fps, **hints):
    """Count in embeddings made of some numbers a frame (N, 8), as far apart as real ones are."""
    counter = MultiRateCounter(Known(predictor.model), fps=fps, options=MultiRateOptions(**hints))
    embeddings = 0.17 * torch.as_tensor(numbers, dtype=torch.float32) @ MIXED + 1.3
    counter.push([*embeddings], times_s.tolist())
    return counter.result()


def make_cycles(times_s, period_s, strengths=(1, 1 / 2, 1 / 3, 1 / 4)):
    """A motion and its harmonics (N, 8)."""
    phase = 2 * np.pi * times_s / period_s
    waves = [
        strength * f(k * phase) for k, strength in enumerate(strengths, 1) for f in (np.sin, np.cos)
    ]
    return np.stack(waves, -1)


def test_file_is_the_one_of_the_card_and_small():
    path = find_weights(load_config('repnet_multirate'))
    assert path == WEIGHTS / 'repnet_multirate.pth'
    assert (WEIGHTS / 'repnet_multirate.pth').stat().st_size <= 12e6
    assert (WEIGHTS / 'repnet_multirate.pth.sha256').read_text().split()[0] in CARD


@pytest.mark.parametrize('fps', [10.0, 24.0, 30.0, 60.0, 240.0])
@pytest.mark.parametrize('period_s', [0.6, 1.3, 5.0])
def test_a_period_is_found_at_any_frame_rate(predictor, fps, period_s):
    times_s = np.arange(int(30 * fps)) / fps
    result = count(predictor, make_cycles(times_s, period_s), times_s, fps)
    assert result.count == pytest.approx(30 / period_s, rel=0.03)
    assert np.nanmedian(result.period_s_per_frame) == pytest.approx(period_s, rel=0.03)


def test_a_video_of_variable_rate_keeps_its_seconds(predictor):
    times_s = np.concatenate([np.arange(300) / 30, 10 + np.arange(100) / 10])
    result = count(predictor, make_cycles(times_s, 1.0), times_s, 20.0)
    assert result.count == pytest.approx(20, abs=0.3)
    np.testing.assert_allclose(result.repetition_times_s, np.arange(1, 21), atol=0.3)


def test_what_stands_still_does_not_repeat(predictor):
    numbers = 0.05 * np.random.default_rng(0).standard_normal((900, 8))
    result = count(predictor, numbers, np.arange(900) / 30, 30.0)
    assert result.count == 0
    assert result.confidence > 0.7


def test_an_example_decides_between_half_and_whole(predictor):
    times_s = np.arange(900) / 30
    # left and right look nearly alike
    numbers = make_cycles(times_s, 2.0, strengths=(0.3, 1, 0.1, 0.5))
    for example_s, expected in (((4.0, 5.0), 30), ((4.0, 6.0), 15)):
        result = count(predictor, numbers, times_s, 30.0, example_s=example_s)
        assert result.count == pytest.approx(expected, rel=0.05)


# OpenCV 4.7 draws a few pixels of a video otherwise
@pytest.mark.skipif(int(cv2.__version__.split('.')[0]) < 5, reason='the card is of OpenCV 5')
@pytest.mark.parametrize(('index', 'true', 'counted'), COUNTED)
def test_counts_are_those_of_the_card(predictor, index, true, counted):
    assert len(COUNTED) == 3
    options = load_config('repnet_multirate').test_dataloader.dataset
    shapes = MotionShapes(split='test', size=96, **options['wild'])
    scene = shapes[int(index)]
    assert scene.count == float(true)
    result = predictor.predict(scene.render(), fps=30.0)
    assert result.count == pytest.approx(float(counted), abs=0.05)
