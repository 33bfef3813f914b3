"""The weights that ship: small, whole, and counting what their card says."""

import re
from pathlib import Path

import cv2
import pytest

from mmotion.checkpoint import find_weights
from mmotion.config import load_config
from mmotion.inference import load_model
from mmotion.shapes import MotionShapes

WEIGHTS = Path(__file__).resolve().parents[3] / 'projects' / 'repnet' / 'weights'
CARD = (WEIGHTS / 'repnet_small.md').read_text(encoding='utf-8')
# | 17 | 4 | 3.98 |
COUNTED = re.findall(r'^\| (\d+) \| ([\d.]+) \| ([\d.]+) \|$', CARD, re.MULTILINE)


@pytest.fixture(scope='module')
def predictor():
    return load_model('repnet_small', device='cpu')


def test_file_is_the_one_of_the_card_and_small():
    path = find_weights(load_config('repnet_small'))
    assert path == WEIGHTS / 'repnet_small.pth'
    assert path.stat().st_size <= 12e6
    assert (WEIGHTS / 'repnet_small.pth.sha256').read_text().split()[0] in CARD


def test_card_has_three_videos():
    assert len(COUNTED) == 3


# OpenCV 4.7 draws 3 % of a video's pixels otherwise, by up to 31 grey levels: 6.48 for 4.95
@pytest.mark.skipif(int(cv2.__version__.split('.')[0]) < 5, reason='the card is of OpenCV 5')
@pytest.mark.parametrize(('index', 'true', 'counted'), COUNTED)
def test_counts_are_those_of_the_card(predictor, index, true, counted):
    options = load_config('repnet_small').test_dataloader.dataset
    shapes = MotionShapes(split='test', size=options['size'], **options['shapes'])
    scene = shapes[int(index)]
    assert scene.count == float(true)
    result = predictor.predict(scene.render(), fps=30.0)
    # the card has two decimals; another processor may round otherwise
    assert result.count == pytest.approx(float(counted), abs=0.05)
