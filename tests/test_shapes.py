"""MotionShapes: exact truth, determinism, and enough variety."""

import numpy as np
import pytest

from mmotion.shapes import MotionShapes, Part, Scene


def scenes(number: int = 60, **options) -> list[Scene]:
    shapes = MotionShapes(split='val', size=32, **options)
    return [shapes[i] for i in range(number)]


def test_same_split_and_index_give_the_same_video() -> None:
    one, other = (MotionShapes(split='train', size=32)[7].render() for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_splits_and_indices_differ() -> None:
    first = MotionShapes(split='train', size=32)
    assert len({first[i].background.tobytes() for i in range(20)}) == 20
    assert (
        first[0].background.tobytes() != MotionShapes(split='test', size=32)[0].background.tobytes()
    )


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


def test_part_is_drawn_where_it_is_placed() -> None:
    sprite = np.zeros((4, 4, 4), np.uint8)
    sprite[..., 0] = sprite[..., 3] = 255
    placement = np.array([[[1.0, 0, 10], [0, 1.0, 20]], [[1.0, 0, 29], [0, 1.0, -2]]])
    scene = Scene(
        size=32,
        background=np.full((48, 48, 3), 100, np.uint8),
        camera=np.tile(np.eye(2, 3), (2, 1, 1)),
        parts=(Part(sprite, placement),),
        light=np.ones(2),
        noise=0.0,
        cycles=np.zeros(2),
        period=np.zeros(2),
    )
    first, second = scene.render()
    red = (first[..., 0] > 200) & (first[..., 1] < 10)
    assert np.argwhere(red).min(0).tolist() == [20, 10]
    assert np.argwhere(red).max(0).tolist() == [23, 13]
    # beyond the border it is cut
    red = (second[..., 0] > 200) & (second[..., 1] < 10)
    assert np.argwhere(red).max(0).tolist() == [1, 31]


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        pytest.param({'split': 'training'}, "one of .* got split='training'", id='split'),
        pytest.param({'size': 8}, 'at least 16 pixels, got size=8', id='size'),
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
