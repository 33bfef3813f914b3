import numpy as np
import pytest
import torch
import torch.nn.functional as F
from einops import rearrange
from torch.utils.data import DataLoader
from torchvision.transforms import v2

from mmotion.registry import TRANSFORMS
from mmotion.shapes import MotionShapes
from mmotion.transforms import CameraMotion, CameraPath, ClipJitter, move_camera

STILL = CameraMotion(rotation_deg=0, shift=0, zoom=1)
NO_JITTER = ClipJitter(brightness=0, contrast=0, saturation=0, hue=0, blur_px=0)


def make_frames(num_frames=6, height=24, width=36):
    rng = np.random.default_rng(0)
    return list(rng.integers(0, 256, (num_frames, height, width, 3), dtype=np.uint8))


def to_clip(frames):
    return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)


def to_frames(clip):
    return list(clip.permute(0, 2, 3, 1).numpy())


def make_path(num_frames=6, rotation_deg=0.0, shift_x=0.0, shift_y=0.0, zoom=1.0):
    """One clip with the same placement, or one a frame, in all frames."""
    values = (rotation_deg, shift_x, shift_y, zoom)
    return CameraPath(*(torch.zeros(1, num_frames) + torch.as_tensor(v) for v in values))


def apply(transform, frames, seed=0):
    torch.manual_seed(seed)
    return np.stack(transform.transform({'imgs': list(frames)})['imgs'])


@pytest.mark.parametrize('dtype', [torch.uint8, torch.float32], ids=['uint8', 'float32'])
def test_a_shift_by_whole_pixels_rolls_the_frames(dtype):
    frames = make_frames()
    # one pixel more in each frame to the right, and 3 up
    path = make_path(shift_x=torch.arange(6) / 36, shift_y=-3 / 24)
    moved = move_camera(to_clip(frames).to(dtype), path)
    assert moved.dtype == dtype
    for i, (frame, result) in enumerate(zip(frames, to_frames(moved), strict=True)):
        rolled = np.roll(frame, (-3, i), axis=(0, 1))[:-3, i:]
        np.testing.assert_allclose(result[:-3, i:], rolled, atol=0 if dtype == torch.uint8 else 0.1)
        # what comes in is mirrored at the border
        np.testing.assert_allclose(result[-3:, i:], result[-6:-3, i:][::-1], atol=0.1)


def test_a_quarter_turn_is_clockwise():
    frames = make_frames(height=24, width=24)
    moved = to_frames(move_camera(to_clip(frames), make_path(rotation_deg=90.0)))
    np.testing.assert_array_equal(moved, np.rot90(frames, -1, axes=(1, 2)))


def test_half_a_turn_of_frames_that_are_not_square():
    frames = make_frames()
    moved = to_frames(move_camera(to_clip(frames), make_path(rotation_deg=180.0)))
    np.testing.assert_array_equal(moved, np.rot90(frames, 2, axes=(1, 2)))


def test_a_turn_keeps_lengths_where_frames_are_not_square():
    frame = np.zeros((40, 80, 3), np.uint8)
    # 10 pixels to the right of the center
    frame[19:21, 49:51] = 255
    moved = to_frames(move_camera(to_clip([frame]), make_path(1, rotation_deg=90.0)))[0]
    # 10 pixels below the center; left and right of the middle is what is mirrored
    expected = np.zeros((40, 40, 3), np.uint8)
    expected[29:31, 19:21] = 255
    np.testing.assert_array_equal(moved[:, 20:60], expected)


def test_zoom_enlarges_the_middle():
    frame = np.zeros((40, 40, 3), np.uint8)
    frame[15:25, 18:22] = 255
    moved = to_frames(move_camera(to_clip([frame]), make_path(1, zoom=2.0)))[0]
    rows, columns = (moved[..., 0] > 127).nonzero()
    assert (rows.min(), rows.max()) == (10, 29)
    assert (columns.min(), columns.max()) == (16, 23)


def test_shift_comes_after_turn_and_zoom():
    frames = make_frames(height=24, width=24)
    path = make_path(rotation_deg=90.0, shift_x=3 / 24)
    turned = np.rot90(frames, -1, axes=(1, 2))
    moved = np.stack(to_frames(move_camera(to_clip(frames), path)))
    np.testing.assert_array_equal(moved[:, :, 3:], turned[:, :, :-3])


@pytest.mark.parametrize('value', [0, 128, 255])
def test_an_even_picture_stays_as_it_is(value):
    frames = np.full((6, 24, 36, 3), value, np.uint8)
    np.testing.assert_array_equal(apply(CameraMotion(rotation_deg=90), frames), frames)


@pytest.mark.parametrize(
    'transform',
    [
        pytest.param(STILL, id='camera without motion'),
        pytest.param(CameraMotion(prob=0), id='camera with probability 0'),
        pytest.param(NO_JITTER, id='jitter of nothing'),
        pytest.param(ClipJitter(prob=0), id='jitter with probability 0'),
    ],
)
def test_identity_is_exact(transform):
    frames = make_frames()
    np.testing.assert_array_equal(apply(transform, frames), frames)


def test_a_still_camera_gives_floats_back_exactly():
    clip = torch.rand(4, 3, 6, 24, 36)
    assert move_camera(clip, STILL.sample_paths(6, num_clips=4)) is clip
    # beside clips that move
    torch.manual_seed(0)
    path = CameraMotion(prob=0.5).sample_paths(6, num_clips=4)
    moves = (path.zoom != 1).any(1)
    assert 0 < moves.sum() < 4
    moved = move_camera(clip, path)
    assert torch.equal(moved[~moves], clip[~moves])
    assert not torch.isclose(moved[moves], clip[moves]).all()


@pytest.mark.parametrize('transform', [CameraMotion(), ClipJitter()], ids=['camera', 'jitter'])
def test_the_seed_gives_the_clip(transform):
    frames = make_frames()
    before = np.stack(frames)
    first = apply(transform, frames, seed=1)
    assert first.shape == before.shape
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(apply(transform, frames, seed=1), first)
    assert (apply(transform, frames, seed=2) != first).any()
    assert (first != before).any()
    # the arrays of the data set are not touched
    np.testing.assert_array_equal(frames, before)


def test_data_workers_draw_different_clips_and_repeat_them():
    frames = make_frames()
    camera = CameraMotion()

    def load():
        torch.manual_seed(3)
        loader = DataLoader(
            [frames] * 8,
            batch_size=None,
            num_workers=2,
            collate_fn=lambda imgs: camera({'imgs': imgs}),
        )
        return [np.stack(item['imgs']) for item in loader]

    first = load()
    np.testing.assert_array_equal(load(), first)
    assert len({clip.tobytes() for clip in first}) == 8


def test_the_batch_on_a_device_is_moved_as_the_clips_in_the_worker():
    frames = make_frames()
    camera = CameraMotion(rotation_deg=30, shift=0.2, zoom=1.5)
    in_worker = apply(camera, frames)
    clip = to_clip(frames)
    torch.manual_seed(0)
    path = camera.sample_paths(6, num_clips=2)
    batch = move_camera(rearrange([clip, clip], 'b t c h w -> b c t h w'), path)
    np.testing.assert_array_equal(rearrange(batch[0], 'c t h w -> t h w c').numpy(), in_worker)
    assert not torch.equal(batch[0], batch[1])


DEVICES = [
    'cpu',
    pytest.param(
        'cuda',
        marks=[
            pytest.mark.gpu,
            pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU'),
        ],
    ),
]


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize(
    'transform', [CameraMotion(prob=0.7), ClipJitter(prob=0.7)], ids=['camera', 'jitter']
)
def test_a_batch_is_changed_as_its_clips_are_in_workers(transform, device):
    clips = [[255 - frame for frame in make_frames()], make_frames(), make_frames()]
    torch.manual_seed(3)
    expected = [np.stack(transform.transform({'imgs': clip})['imgs']) for clip in clips]
    assert sum((one == clip).all() for one, clip in zip(expected, clips, strict=True)) == 1
    batch = torch.stack([rearrange(to_clip(clip), 't c h w -> c t h w') for clip in clips])
    torch.manual_seed(3)
    changed = transform.transform_batch(batch.to(device))
    assert changed.shape == batch.shape
    assert changed.device.type == device
    found = rearrange(changed.cpu(), 'b c t h w -> b t h w c').int()
    # what is rounded may go to the other side
    assert (found - torch.from_numpy(np.stack(expected)).int()).abs().max() <= 1


def test_the_places_are_those_of_affine_grid():
    clip = torch.rand(6, 3, 24, 36)
    path = CameraMotion(rotation_deg=90, shift=0.5, zoom=2).sample_paths(6)
    matrices = path.sampling_matrices(24, 36)[0]
    grid = F.affine_grid(matrices, [6, 3, 24, 36], align_corners=False)
    expected = F.grid_sample(clip, grid, padding_mode='reflection', align_corners=False)
    torch.testing.assert_close(move_camera(clip, path), expected, atol=1e-4, rtol=0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_a_gpu_moves_as_the_cpu():
    clips = torch.rand(2, 3, 6, 24, 36) * 255
    path = CameraMotion(rotation_deg=30, prob=0.9).sample_paths(6, num_clips=2)
    moved = move_camera(clips.cuda(), path)
    assert moved.is_cuda
    torch.testing.assert_close(moved.cpu(), move_camera(clips, path), atol=0.1, rtol=0)


def test_paths_are_smooth_and_stay_within_their_limits():
    camera = CameraMotion(rotation_deg=20, shift=0.25, zoom=1.25, spacing_frames=(16, 16))
    path = camera.sample_paths(256, num_clips=50)
    curves = torch.stack(
        [path.rotation_deg / 20, path.shift_x / 0.25, path.shift_y / 0.25, path.zoom.log()]
    )
    curves[3] /= np.log(1.25)
    assert 0.95 < float(curves.abs().max()) <= 1 + 1e-9
    # a curve that goes from one limit to the other does so in 16 frames, at most twice as fast
    # in its middle, and there is no step in its speed
    assert float(curves.diff(dim=-1).abs().max()) < 2 * 2 / 16
    assert float(curves.diff(n=2, dim=-1).abs().max()) < 0.08
    # the four go their own ways
    assert float(torch.corrcoef(curves.flatten(1)).fill_diagonal_(0).abs().max()) < 0.1


def test_the_spacing_is_the_speed():
    torch.manual_seed(0)
    speeds = [
        float(
            CameraMotion(spacing_frames=(s, s)).sample_paths(64, num_clips=99).shift_x.diff().std()
        )
        for s in (8, 32)
    ]
    assert speeds[0] / speeds[1] == pytest.approx(4, rel=0.3)


def test_jitter_is_the_same_for_all_frames():
    """The same frame looks the same wherever it stands, among darker and brighter ones."""
    frame, dark = make_frames(1)[0], np.zeros((24, 36, 3), np.uint8)
    for seed in range(5):
        result = apply(ClipJitter(contrast=1.0), [frame, dark, frame, frame // 2], seed)
        np.testing.assert_array_equal(result[0], result[2])
        assert (result[0] != frame).any()


def test_contrast_changes_around_the_mean_of_the_clip():
    grey = [np.full((8, 8, 3), value, np.uint8) for value in (60, 100, 140)]
    jitter = ClipJitter(brightness=0, contrast=1.0, saturation=0, hue=0, blur_px=0)
    levels = apply(jitter, grey)[:, 0, 0, 0].astype(float)
    # the middle stays, the others keep their distance to it: around the mean of each frame
    # nothing would change
    assert levels[1] == pytest.approx(100, abs=1)
    assert levels[1] - levels[0] == pytest.approx(levels[2] - levels[1], abs=1)
    assert abs(levels[2] - levels[0] - 80) > 5


def test_blur_is_torchvisions():
    frames = make_frames()
    jitter = ClipJitter(brightness=0, contrast=0, saturation=0, hue=0, blur_px=2.0)
    torch.manual_seed(0)
    # the first number is for `prob`, the random order of the colors takes another
    torch.rand(())
    torch.randperm(4)
    sigma = 2.0 * float(torch.rand(()))
    size = 2 * int(np.ceil(3 * sigma)) + 1
    expected = v2.functional.gaussian_blur(to_clip(frames), [size, size], [sigma, sigma])
    np.testing.assert_array_equal(apply(jitter, frames), to_frames(expected))


def test_a_small_frame_is_blurred_as_far_as_it_can_be_mirrored():
    frames = make_frames(height=3, width=2)
    assert apply(ClipJitter(blur_px=50.0), frames).shape == (6, 3, 2, 3)


@pytest.mark.parametrize('transform', [CameraMotion, ClipJitter])
def test_a_share_of_the_clips_is_changed(transform):
    frames = make_frames(2, 8, 8)
    some = transform(prob=0.25)
    changed = [(apply(some, frames, seed) != np.stack(frames)).any() for seed in range(200)]
    assert 0.15 < np.mean(changed) < 0.35


def test_built_from_a_config_before_what_packs():
    scene = MotionShapes(split='train', size=64)[0]
    results = {'imgs': list(scene.frames())[:64], 'fps': 30.0, 'gt_count': 3.0}
    pipeline = [
        dict(type='CameraMotion', rotation_deg=5.0, spacing_frames=(16, 32), prob=0.8),
        dict(type='ClipJitter', hue=0.1, prob=0.5),
    ]
    for config in pipeline:
        results = TRANSFORMS.build(config)(results)
    assert np.stack(results['imgs']).shape == (64, 64, 64, 3)
    assert (results['fps'], results['gt_count']) == (30.0, 3.0)


@pytest.mark.parametrize(
    ('transform', 'options', 'message'),
    [
        (CameraMotion, {'rotation_deg': -1}, r'rotation_deg must lie in \[0, 180\], got rotation_'),
        (CameraMotion, {'shift': 2}, r'shift must lie in \[0, 1\], got shift=2'),
        (CameraMotion, {'zoom': 0.5}, 'zoom must be at least 1, got zoom=0.5'),
        (CameraMotion, {'prob': 1.5}, r'prob must lie in \[0, 1\], got prob=1.5'),
        (CameraMotion, {'spacing_frames': (9, 3)}, r'from 1 up, got spacing_frames=\(9, 3\)'),
        (ClipJitter, {'brightness': 2}, 'brightness must lie in'),
        (ClipJitter, {'contrast': -1}, 'contrast must lie in'),
        (ClipJitter, {'saturation': 2}, 'saturation must lie in'),
        (ClipJitter, {'hue': 0.6}, r'hue must lie in \[0, 0.5\], got hue=0.6'),
        (ClipJitter, {'blur_px': -1}, 'blur_px must be at least 0, got blur_px=-1'),
        (ClipJitter, {'prob': -0.1}, r'prob must lie in \[0, 1\], got prob=-0.1'),
    ],
)
def test_bad_options(transform, options, message):
    with pytest.raises(ValueError, match=message):
        transform(**options)


@pytest.mark.parametrize('transform', [CameraMotion(), ClipJitter()], ids=['camera', 'jitter'])
def test_frames_must_have_one_size(transform):
    frames = [*make_frames(1, 8, 8), *make_frames(1, 8, 9)]
    with pytest.raises(ValueError, match=r'shapes \(8, 8, 3\), \(8, 9, 3\); resize them first'):
        transform.transform({'imgs': frames})
    with pytest.raises(ValueError, match='got the shapes of no frame'):
        transform.transform({'imgs': []})


@pytest.mark.parametrize('shape', [(3, 8, 8), (6, 8, 8, 3), (1, 6, 3, 8, 8)])
def test_a_clip_of_another_shape(shape):
    with pytest.raises(ValueError, match=r'shape \(T, 3, H, W\) or \(B, 3, T, H, W\), got \('):
        move_camera(torch.zeros(shape), make_path())


def test_a_path_of_another_length():
    with pytest.raises(ValueError, match=r'1 clips of 5 frames, as the clip has, got \(1, 6\)'):
        move_camera(torch.zeros(5, 3, 8, 8), make_path())
