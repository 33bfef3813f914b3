from dataclasses import replace

import numpy as np
import pytest
import torch

from mmotion.shapes import MotionShapes, Scene
from mmotion.shapes.scene import Look
from mmotion.shapes.torch_renderer import render_scenes

NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
DEVICES = ['cpu', pytest.param('cuda', marks=[pytest.mark.gpu, NO_GPU])]


def make_scenes(number: int = 12, *, stride: int = 7, **options) -> list[Scene]:
    shapes = MotionShapes(**{'size': 64, 'num_frames': (96, 200), **options})
    return [shapes[i].take(stride * np.arange(12)) for i in range(number)]


def draw_both(scenes: list[Scene], device: str = 'cpu') -> tuple[np.ndarray, np.ndarray]:
    """Pictures of torch and of OpenCV, (B, T, S, S, 3) float64."""
    drawn = render_scenes(scenes, device=device).permute(0, 2, 3, 4, 1)
    return drawn.cpu().numpy().astype(float), np.stack([s.render() for s in scenes]).astype(float)


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize('in_the_wild', [False, True])
def test_pictures_are_those_of_opencv(device, in_the_wild):
    scenes = make_scenes(24, in_the_wild=in_the_wild)
    # of what JPEG does, a rounding can become a step of its frequencies, see below
    scenes = [replace(s, look=replace(s.look, jpeg_quality=None)) for s in scenes]
    drawn, expected = draw_both(scenes, device)
    difference = np.abs(drawn - expected)
    # OpenCV before 4.11 looks up sprites at 32 places in a pixel
    assert difference.mean((1, 2, 3, 4)).max() < 0.5
    assert np.quantile(difference, 0.999) <= 4
    # both have all of what there is to see, of the same colors
    np.testing.assert_allclose(drawn.mean((1, 2, 3)), expected.mean((1, 2, 3)), atol=0.3)
    np.testing.assert_allclose(drawn.std((1, 2, 3)), expected.std((1, 2, 3)), atol=0.3)


@pytest.mark.parametrize(
    'look',
    [
        pytest.param(Look(blur_px=0.4), id='soft'),
        pytest.param(Look(blur_px=1.7), id='out of focus'),
        pytest.param(Look(colors=0.3 * np.eye(3) + 0.7 / 3), id='pale'),
        pytest.param(
            Look(tones=np.arange(256, dtype=np.uint8)[None, ::-1, None].repeat(3, 2)), id='negative'
        ),
        pytest.param(Look(bars=(9, 5, 0, 0)), id='rows'),
        pytest.param(Look(bars=(0, 0, 11, 2)), id='columns'),
        pytest.param(Look(jpeg_quality=40), id='compressed'),
    ],
)
def test_a_look_is_applied_to_the_clips_that_have_it(look):
    first, second, third = make_scenes(3)
    scenes = [first, replace(second, look=look), third]
    drawn, expected = draw_both(scenes)
    changed = np.abs(draw_both([first, second, third])[0] - drawn).mean((1, 2, 3, 4))
    assert changed[1] > 0.3
    assert not changed[[0, 2]].any()
    assert np.abs(drawn - expected)[1].mean() < 0.6 + 0.05 * changed[1]


def test_a_clip_looks_alike_in_any_batch():
    scenes = make_scenes(9, in_the_wild=True)
    assert len({len(scene.parts) for scene in scenes}) > 3
    together = render_scenes(scenes)
    alone = torch.cat([render_scenes([scene]) for scene in scenes])
    assert together.shape == (9, 3, 12, 64, 64)
    assert together.dtype == torch.uint8
    assert torch.equal(together, alone)


def test_chunks_of_a_batch_change_roundings_alone(monkeypatch):
    scenes = make_scenes(8)
    expected = render_scenes(scenes).int()
    monkeypatch.setattr('mmotion.shapes.torch_renderer.CHUNK_PIXELS', {'cpu': 3 * 12 * 64**2})
    difference = (render_scenes(scenes).int() - expected).abs()
    assert difference.max() <= 2
    assert (difference > 0).float().mean() < 1e-3


def test_the_device_is_never_waited_for():
    # nothing can be read from this device, as its tensors have no values
    drawn = render_scenes(make_scenes(8, in_the_wild=True), device='meta')
    assert drawn.shape == (8, 3, 12, 64, 64)


@pytest.mark.gpu
@NO_GPU
def test_a_gpu_is_not_waited_for():
    scenes = make_scenes(8, in_the_wild=True)
    # what is sent once for all batches
    render_scenes(scenes, device='cuda')
    torch.cuda.set_sync_debug_mode('error')
    try:
        render_scenes(scenes, device='cuda')
    finally:
        torch.cuda.set_sync_debug_mode('default')


def test_a_scene_without_parts_and_with_one_out_of_sight():
    scene = make_scenes(1)[0]
    far = replace(scene.parts[0], placement=scene.parts[0].placement + 1e6)
    nothing, hidden = render_scenes([replace(scene, parts=()), replace(scene, parts=(far,))])
    assert torch.equal(nothing, hidden)


@pytest.mark.parametrize(
    ('others', 'match'),
    [
        pytest.param({'size': 32}, 'frames', id='size'),
        pytest.param({'stride': 2, 'length': 6}, 'frames', id='length'),
        pytest.param({'background': 20}, 'backgrounds', id='background'),
        pytest.param({'sprite': 20}, 'sprites', id='sprite'),
    ],
)
def test_scenes_of_several_sizes_are_refused(others, match):
    one, two = make_scenes(2)
    if 'size' in others:
        two = make_scenes(2, size=32)[1]
    elif 'length' in others:
        two = two.take(np.arange(others['length']))
    elif 'background' in others:
        two = replace(two, backgrounds=(two.backgrounds[0][:20],))
    else:
        two = replace(two, parts=(replace(two.parts[0], sprite=two.parts[0].sprite[:20]),))
    with pytest.raises(ValueError, match=f'scenes must have {match} of one'):
        render_scenes([one, two])


def test_no_scene_is_refused():
    with pytest.raises(ValueError, match='scenes must'):
        render_scenes([])
