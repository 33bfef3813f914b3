from typing import Any

import cv2
import numpy as np
import pytest
import torch

from mmotion.shapes import MotionShapes
from mmotion.shapes.jpeg import compress_jpeg


def compress_by_opencv(picture: np.ndarray, quality: int) -> np.ndarray:
    _, data = cv2.imencode('.jpg', picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded: Any = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return decoded[..., ::-1].astype(float)


@pytest.fixture(scope='module')
def pictures() -> np.ndarray:
    scenes = [MotionShapes(split='test', size=96, num_frames=(64, 64))[i] for i in range(4)]
    return np.stack([scene.take(np.array([20])).render()[0] for scene in scenes])


@pytest.mark.parametrize('quality', [0, 15, 30, 49, 50, 79])
@pytest.mark.parametrize('size', [96, 80, 75])
def test_what_is_lost_is_what_libjpeg_loses(pictures, quality, size):
    cut = pictures[:, :size, : size - 6]
    expected = np.stack([compress_by_opencv(picture, quality) for picture in cut])
    tensor = torch.from_numpy(cut).permute(0, 3, 1, 2).float()
    found = compress_jpeg(tensor, torch.full((len(cut),), quality)).permute(0, 2, 3, 1).numpy()
    lost = np.abs(expected - cut).mean((1, 2, 3))
    assert (lost > 1).all()
    # a rounding to the other side is a whole step, seldom
    assert (np.abs(found - expected).mean((1, 2, 3)) < 0.1 * lost).all()
    assert np.abs(found.mean() - expected.mean()) < 0.2


def test_each_picture_has_its_quality(pictures):
    tensor = torch.from_numpy(pictures).permute(0, 3, 1, 2).float()
    quality = torch.tensor([20, 90, 50, 70])
    together = compress_jpeg(tensor, quality)
    alone = torch.cat([compress_jpeg(tensor[i : i + 1], quality[i : i + 1]) for i in range(4)])
    assert torch.equal(together, alone)
    lost = (together - tensor).abs().mean((1, 2, 3))
    assert lost[0] > lost[1]


def test_one_gray_stays(pictures):
    gray = torch.full((1, 3, 16, 24), 100.0)
    assert torch.equal(compress_jpeg(gray, torch.tensor([50])), gray)
