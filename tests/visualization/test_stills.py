import numpy as np
import pytest
from PIL import Image

from mmotion.video import VideoWriter
from mmotion.visualization.stills import GIF_BYTES, GIF_SIDES_PX, make_still

FPS = 25.0


@pytest.fixture
def make_video(tmp_path):
    """Writes `clip_overlay.mp4`, which is brighter in every frame, and to the right."""

    def make(num_frames, height=300, width=600, noise=0):
        rng = np.random.default_rng(0)
        path = tmp_path / 'clip_overlay.mp4'
        with VideoWriter(path, fps=FPS) as writer:
            for number in range(num_frames):
                level = 20 + 200 * number / num_frames + np.linspace(0, 60, width)[:, None]
                image = level + noise * rng.standard_normal((height, width, 3))
                writer.write(image.clip(0, 255).astype(np.uint8))
        return path

    return make


@pytest.mark.parametrize(
    ('num_frames', 'num_shown', 'seconds'),
    [
        pytest.param(1, 1, 0.1, id='one frame'),
        pytest.param(50, 20, 2.0, id='2 s'),
        pytest.param(400, 120, 12.0, id='longer than a GIF'),
    ],
)
def test_a_gif_is_small_and_loops(make_video, num_frames, num_shown, seconds):
    path = make_still(make_video(num_frames), 'gif')
    assert path.name == 'clip_overlay.gif'
    with Image.open(path) as picture:
        assert picture.size == (480, 240)
        assert picture.n_frames == num_shown
        durations_ms, levels = [], []
        for number in range(num_shown):
            picture.seek(number)
            durations_ms.append(picture.info['duration'])
            levels.append(np.asarray(picture.convert('L'))[:, 240].mean())
        assert num_shown == 1 or picture.info['loop'] == 0
    assert num_shown == 1 or sum(durations_ms) / 1000 == pytest.approx(seconds, abs=0.05)
    assert levels == sorted(levels)


def test_an_upright_gif_has_no_longer_sides(make_video):
    with Image.open(make_still(make_video(3, 600, 300), 'gif')) as picture:
        assert picture.size == (240, 480)


def test_a_gif_that_would_be_large_has_fewer_pixels(make_video, monkeypatch):
    video = make_video(10, noise=60)
    with Image.open(make_still(video, 'gif')) as picture:
        assert max(picture.size) == GIF_SIDES_PX[0]
    size = make_still(video, 'gif').stat().st_size
    monkeypatch.setattr('mmotion.visualization.stills.GIF_BYTES', size - 1)
    path = make_still(video, 'gif')
    with Image.open(path) as picture:
        assert max(picture.size) == GIF_SIDES_PX[1]
    assert path.stat().st_size < size <= GIF_BYTES


@pytest.mark.parametrize(
    ('size', 'num_frames', 'sheet', 'corners'),
    [
        # 12 stills of 400 x 200 with a line of 20 pixels below, 6 between them
        pytest.param((300, 600), 48, (1618, 672), 12, id='wide'),
        pytest.param((600, 300), 48, (1230, 846), 12, id='upright'),
        pytest.param((300, 600), 2, (806, 220), 2, id='two frames'),
    ],
)
def test_a_sheet_has_stills_from_all_of_it(make_video, size, num_frames, sheet, corners):
    path = make_still(make_video(num_frames, *size), 'sheet')
    assert path.name == 'clip_sheet.png'
    with Image.open(path) as picture:
        assert picture.size == sheet
        image = np.asarray(picture.convert('L')).astype(int)
    num_columns = min(4 if size[1] > size[0] else 6, corners)
    width, height = (sheet[0] + 6) // num_columns, (sheet[1] + 6) // -(-corners // num_columns)
    levels = [
        image[height * (number // num_columns) + 9, width * (number % num_columns) + 9]
        for number in range(corners)
    ]
    # the middle of each part of the video
    expected = 20 + 200 * (np.arange(corners) + 0.5) / corners
    np.testing.assert_allclose(levels, expected, atol=3 + 100 / num_frames)


def test_times_of_a_sheet_are_those_of_the_video_that_was_drawn_on(make_video, monkeypatch):
    written = []
    monkeypatch.setattr(
        'mmotion.visualization.drawing.write_text', lambda *args: written.append(args[1])
    )
    make_still(make_video(24), 'sheet', start_s=59.5)
    assert written[0] == '0:59.5' and written[-1] == '1:00.4'
