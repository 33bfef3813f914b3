import numpy as np
import PIL
import pytest
from PIL import Image

from mmotion.video import resizing
from mmotion.video.resizing import resize_area, resize_bilinear, resize_linear

# what is high is made lower first
SIZES = [(360, 640, 96), (640, 360, 96), (640, 361, 96), (720, 1280, 112), (50, 70, 96)]
SIZES += [(97, 95, 96), (300, 80, 96), (96, 200, 96), (96, 96, 96)]


@pytest.fixture(params=SIZES, ids=lambda sizes: 'x'.join(map(str, sizes)))
def case(request):
    height, width, size = request.param
    rng = np.random.default_rng(height)
    # one of two frames with edges that go beyond black and white
    frames = rng.integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    frames[1] = np.where(frames[1] > 127, 255, 0)
    return frames, size


def test_numpy_gives_what_pillow_gives_to_the_last_digit(case, monkeypatch):
    frames, size = case
    expected = [resize_bilinear(frame, size, size) for frame in frames]
    monkeypatch.setattr(resizing, 'Image', None)
    np.testing.assert_array_equal(
        [resize_bilinear(frame, size, size) for frame in frames], expected
    )


def test_numpy_gives_what_pillow_gives_of_another_form(monkeypatch):
    frame = np.random.default_rng(0).integers(0, 256, (90, 160, 3), dtype=np.uint8)
    expected = [resize_bilinear(frame, *size) for size in ((64, 36), (200, 40), (30, 100))]
    assert [image.shape for image in expected] == [(36, 64, 3), (40, 200, 3), (100, 30, 3)]
    monkeypatch.setattr(resizing, 'Image', None)
    for image in expected:
        height, width = image.shape[:2]
        np.testing.assert_array_equal(resize_bilinear(frame, width, height), image)


@pytest.mark.skipif(PIL.__version__ < '13', reason='which always begins with the width')
def test_two_passes_are_pillows_own(case):
    frames, size = case
    for frame in frames:
        expected = Image.fromarray(frame).resize((size, size), Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(resize_bilinear(frame, size, size), np.asarray(expected))


@pytest.mark.parametrize(
    'sizes',
    [(360, 640, 64, 64), (128, 128, 64, 64), (720, 1280, 224, 398), (48, 64, 96, 128)],
    ids=lambda sizes: 'x'.join(map(str, sizes)),
)
def test_numpy_gives_what_opencv_gives_to_the_last_digit(sizes, monkeypatch):
    height, width, *wanted = sizes
    rng = np.random.default_rng(height)
    frames = rng.integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    frames[1] = np.where(frames[1] > 127, 255, 0)
    expected = [resize_linear(frame, wanted[1], wanted[0]) for frame in frames]
    monkeypatch.setattr(resizing, 'cv2', None)
    found = [resize_linear(frame, wanted[1], wanted[0]) for frame in frames]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    'sizes', [(128, 128, 64), (256, 256, 64), (360, 640, 128), (123, 77, 64), (50, 70, 64)]
)
def test_numpy_averages_areas_as_opencv_does(sizes, monkeypatch):
    height, width, size = sizes
    frame = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    expected = resize_area(frame, size)
    monkeypatch.setattr(resizing, 'cv2', None)
    apart = np.abs(resize_area(frame, size).astype(int) - expected)
    # a mean between two grey levels
    assert apart.max() <= 1
    assert (apart > 0).mean() < 1e-4
