"""MotionShapes: exact truth, determinism, and enough variety."""

import numpy as np
import pytest

from mmotion.shapes import MotionShapes
from mmotion.shapes.scene import Scene


def scenes(number: int = 60, **options) -> list[Scene]:
    shapes = MotionShapes(split='val', size=32, **options)
    return [shapes[i] for i in range(number)]


def test_same_split_and_index_give_the_same_video() -> None:
    one, other = (MotionShapes(split='train', size=32)[7].render() for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_splits_and_indices_differ() -> None:
    first = MotionShapes(split='train', size=32)
    second = MotionShapes(split='test', size=32)
    textures = [shapes[i].backgrounds[0] for shapes in (first, second) for i in range(20)]
    assert len({texture.tobytes() for texture in textures}) == 40


@pytest.mark.parametrize(
    ('in_the_wild', 'index', 'recorded'),
    [
        pytest.param(False, 0, (445, 17.0, 0.4293, 64.293), id='plain-0'),
        pytest.param(False, 5, (412, 4.0, 0.7376, 140.558), id='plain-5'),
        pytest.param(False, 21, (170, 15.0, 0.6884, 96.778), id='plain-21'),
        pytest.param(True, 0, (119, 9.0, 0.1458, 95.709), id='wild-0'),
        pytest.param(True, 5, (283, 9.0, 0.1211, 100.24), id='wild-5'),
        pytest.param(True, 21, (200, 5.0, 0.0971, 127.59), id='wild-21'),
    ],
)
def test_videos_are_what_they_have_always_been(
    in_the_wild: bool, index: int, recorded: tuple[float, ...]
) -> None:
    """Weights and their recorded counts rest on these videos: frames, count, a place, a color."""
    scene = MotionShapes(split='test', size=64, in_the_wild=in_the_wild)[index]
    place = np.median(scene.parts[0].placement[len(scene) // 3])
    found = (len(scene), scene.count, place, scene.backgrounds[0].mean())
    assert found == pytest.approx(recorded, abs=1e-2)


def test_counts_are_whole_and_agree_with_the_periods() -> None:
    for scene in scenes():
        assert scene.count == pytest.approx(round(scene.count), abs=1e-6)
        assert scene.count == 0 or scene.count >= 2
        repeating = scene.period > 0
        assert np.sum(1 / scene.period[repeating]) == pytest.approx(scene.count)
        assert np.all(np.diff(scene.cycles) >= 0)


def test_one_video_in_eight_does_not_repeat() -> None:
    still = [scene.count == 0 for scene in scenes(400)]
    assert 0.07 < np.mean(still) < 0.18


def test_periods_drift_and_stay_in_their_range() -> None:
    drifts = []
    for scene in scenes(periods=(8.0, 40.0)):
        period = scene.period[scene.period > 0]
        if len(period):
            assert 5 < period.min() <= period.max() < 70
            drifts.append(period.max() / period.min())
    assert np.median(drifts) > 1.1


def test_what_repeats_looks_alike_one_cycle_later() -> None:
    """The nearest look-alike of a frame, a cycle away or more, is at a whole number of cycles."""
    agree = []
    for scene in scenes(80, num_frames=(128, 128), periods=(12.0, 20.0)):
        if scene.count < 5 or not scene.period.all():
            continue
        # without camera, noise and light, what is left to see is the motion
        still = Scene(
            **{
                **vars(scene),
                'camera': np.tile(np.eye(2, 3), (len(scene), 1, 1)),
                'noise': 0.0,
                'light': np.ones(len(scene)),
            }
        )
        frames = still.render().reshape(len(scene), -1).astype(np.float64)
        phase = scene.cycles % 1
        distance = np.linalg.norm(frames[:, None, ::7] - frames[None, :, ::7], axis=-1)
        apart = np.abs(scene.cycles[:, None] - scene.cycles[None])
        same = np.abs((phase[:, None] - phase[None] + 0.5) % 1 - 0.5) < 0.05
        agree.append(distance[same & (apart > 0.5)].mean() < distance[~same & (apart > 0.5)].mean())
    assert len(agree) >= 8
    assert np.mean(agree) > 0.9


def test_take_halves_the_period_at_stride_two() -> None:
    scene = next(s for s in scenes() if s.count > 4)
    clip = scene.take(np.arange(0, len(scene), 2), stride=2)
    np.testing.assert_allclose(clip.period, scene.period[::2] / 2)
    assert len(clip) == (len(scene) + 1) // 2


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        pytest.param({'split': 'training'}, "one of .* got split='training'", id='split'),
        pytest.param({'size': 8}, 'at least 16, got size=8', id='size'),
        pytest.param({'num_frames': (90, 30)}, r'got num_frames=\(90, 30\)', id='num-frames'),
        pytest.param(
            {'periods': (1, 30)}, r'from 3 frames up, got periods=\(1, 30\)', id='periods'
        ),
    ],
)
def test_wrong_options_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MotionShapes(**options)


def test_negative_index_is_refused() -> None:
    with pytest.raises(ValueError, match='at least 0, got index=-1'):
        MotionShapes()[-1]


@pytest.fixture(scope='module')
def wild() -> list[Scene]:
    return scenes(300, num_frames=(64, 640), periods=(4.0, 120.0), in_the_wild=True)


def test_wild_videos_have_what_they_promise(wild: list[Scene]) -> None:
    repeating = [scene for scene in wild if scene.count]
    assert 0.07 < 1 - len(repeating) / len(wild) < 0.18
    assert all(2 <= scene.count <= 40 for scene in repeating)
    assert min(map(len, wild)) >= 60
    assert 0.4 < np.mean([not scene.period.all() for scene in repeating]) < 0.65
    typical = [np.median(scene.period[scene.period > 0]) for scene in repeating]
    assert np.percentile(typical, 10) < 9
    assert np.percentile(typical, 90) > 60


def test_wild_cycles_are_whole_and_agree_with_the_periods(wild: list[Scene]) -> None:
    for scene in wild:
        assert scene.count == pytest.approx(round(scene.count), abs=1e-5)
        assert np.all(np.diff(scene.cycles) >= 0)
        repeating = scene.period > 0
        assert np.sum(1 / scene.period[repeating]) == pytest.approx(scene.count, abs=1e-5)


def test_cuts_are_only_where_nothing_repeats(wild: list[Scene]) -> None:
    cut = [scene for scene in wild if scene.shot.any()]
    assert len(cut) > 20
    # a frame that is shown again may be one from before the cut
    assert all((scene.period[scene.shot > 0] > 0).sum() <= 6 for scene in cut)


def test_every_wild_video_can_be_drawn_and_most_move(wild: list[Scene]) -> None:
    moves = []
    for scene in wild[:60]:
        first, later = scene.take(np.array([len(scene) // 3, len(scene) // 2])).render()
        assert first.shape == later.shape == (32, 32, 3)
        moves.append((first != later).any())
    assert np.mean(moves) > 0.9
