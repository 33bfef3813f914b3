"""Transforms: what they keep of a skeleton, that they draw by the seed, and what a model gets."""

from typing import Any

import numpy as np
import pytest
import torch
from mmengine.dataset import Compose, pseudo_collate

from mmotion.keypoints.skeletons import COCO17, FIGURE, MEDIAPIPE33, OPENPOSE18, Skeleton
from mmotion.registry import TRANSFORMS
from projects.pose_sequence.transforms import find_center, find_size

from .conftest import Maker, apply

RANDOM = [
    pytest.param({'type': 'ReverseSequence'}, id='reverse'),
    pytest.param({'type': 'JitterPose'}, id='jitter'),
    pytest.param({'type': 'CropSequence'}, id='crop'),
    pytest.param({'type': 'MirrorPose'}, id='mirror'),
    pytest.param({'type': 'RotatePose'}, id='rotate'),
    pytest.param({'type': 'WarpTime'}, id='warp'),
]
FIXED = [
    pytest.param({'type': 'NormalizePose'}, id='normalize'),
    pytest.param({'type': 'NormalizePose', 'per_step': True}, id='normalize-per-step'),
    pytest.param({'type': 'FillMissing'}, id='fill'),
    pytest.param({'type': 'MakeFigure'}, id='figure'),
    pytest.param({'type': 'ResampleSequence', 'num_steps': 33}, id='resample'),
]


@pytest.mark.parametrize('config', RANDOM + FIXED)
@pytest.mark.parametrize('num_steps', [1, 2, 20])
def test_any_sequence_passes_and_its_source_stays_as_it_is(
    make_sample: Maker, config: dict[str, Any], num_steps: int
) -> None:
    sample = make_sample(num_steps, missing=0.3)
    sample['keypoints'][:, 4], sample['scores'][:, 4] = np.nan, 0
    before = {key: sample[key].copy() for key in ('keypoints', 'scores')}
    found = apply(sample, **config)
    for key, array in before.items():
        np.testing.assert_array_equal(sample[key], array)
    assert found['keypoints'].shape[1:] == (15, 2) and len(found['keypoints']) > 0
    assert found['scores'].shape == found['keypoints'].shape[:2]
    assert found['keypoints'].dtype == found['scores'].dtype == np.float32
    # what was never there is not made up, and a point without a place has no score
    assert np.isnan(found['keypoints'][:, found['scores'].max(0) == 0]).all()
    assert not found['scores'][np.isnan(found['keypoints']).any(-1)].any()


@pytest.mark.parametrize('config', RANDOM + FIXED)
def test_a_sequence_without_anybody_passes(make_sample: Maker, config: dict[str, Any]) -> None:
    found = apply(make_sample(missing=1.0), **config)
    assert np.isnan(found['keypoints']).all() and not found['scores'].any()


@pytest.mark.parametrize('config', RANDOM)
def test_the_seed_decides(make_sample: Maker, config: dict[str, Any]) -> None:
    def draw(seed: int) -> list[bytes]:
        torch.manual_seed(seed)
        return [apply(make_sample(), **config)['keypoints'].tobytes() for _ in range(8)]

    assert draw(1) == draw(1) != draw(2)
    assert len(set(draw(1))) > 1


def test_place_and_size_are_normalized_away(make_sample: Maker) -> None:
    sample = make_sample(missing=0.1)
    moved = sample | {'keypoints': 3 * sample['keypoints'] + np.array([70, -20], np.float32)}
    for options in ({}, {'per_step': True}):
        one, other = (apply(s, 'NormalizePose', **options)['keypoints'] for s in (sample, moved))
        np.testing.assert_allclose(one, other, atol=1e-4)
        np.testing.assert_allclose(find_center(one), 0, atol=1e-4)
        assert find_size(one) == pytest.approx(1, abs=1e-4)


def test_only_the_center_of_each_step_hides_where_a_person_goes(make_sample: Maker) -> None:
    sample = make_sample()
    sample['keypoints'][..., 0] += 10 * np.arange(20, dtype=np.float32)[:, None]
    whole = apply(sample, 'NormalizePose')['keypoints'][..., 0].mean(1)
    steps = apply(sample, 'NormalizePose', per_step=True)['keypoints'][..., 0].mean(1)
    assert whole[-1] - whole[0] > 3
    np.testing.assert_allclose(steps, 0, atol=1e-5)


def test_gaps_are_filled_on_a_line_with_score_0(make_sample: Maker) -> None:
    sample = make_sample(8)
    x = sample['keypoints'][:, 3, 0]
    x[:] = [np.nan, 10, np.nan, np.nan, 40, 50, np.nan, np.nan]
    sample['scores'][np.isnan(x), 3] = 0
    found = apply(sample, 'FillMissing')
    assert found['keypoints'][:, 3, 0].tolist() == [10, 10, 20, 30, 40, 50, 50, 50]
    np.testing.assert_array_equal(found['scores'], sample['scores'])
    short = apply(sample, 'FillMissing', max_gap_steps=1)['keypoints'][:, 3, 0]
    np.testing.assert_array_equal(short, [10, 10, np.nan, np.nan, 40, 50, np.nan, np.nan])


@pytest.mark.parametrize(
    ('options', 'num_steps', 'fps'),
    [
        pytest.param({'num_steps': 5}, 5, 2.5, id='fewer'),
        pytest.param({'num_steps': 39}, 39, 19.5, id='more'),
        pytest.param({'rate_hz': 5.0}, 10, 5.0, id='half-the-rate'),
        pytest.param({'rate_hz': 20.0}, 39, 20.0, id='twice-the-rate'),
    ],
)
def test_a_resampled_sequence_shows_the_same(
    make_sample: Maker, options: dict[str, Any], num_steps: int, fps: float
) -> None:
    sample = make_sample(20)
    sample['keypoints'][:, 0, 0] = np.arange(20)
    found = apply(sample, 'ResampleSequence', **options)
    clock = found['keypoints'][:, 0, 0]
    assert len(clock) == num_steps and found['fps'] == fps
    np.testing.assert_allclose(np.diff(clock), clock[1], rtol=1e-4)
    assert clock[0] == 0 and clock[-1] <= 19


def test_beside_a_missing_point_the_nearer_step_counts(make_sample: Maker) -> None:
    sample = make_sample(3)
    sample['keypoints'][:, 0, 0] = [0, 10, 20]
    sample['keypoints'][1, 0], sample['scores'][1, 0] = np.nan, 0
    x = apply(sample, 'ResampleSequence', num_steps=7)['keypoints'][:, 0, 0]
    np.testing.assert_array_equal(x, [0, 0, np.nan, np.nan, np.nan, 20, 20])


@pytest.mark.parametrize('num_steps', [1, 6, 8, 11])
def test_a_packed_sequence_is_padded_or_trimmed(make_sample: Maker, num_steps: int) -> None:
    sample = make_sample(num_steps, missing=0.2)
    packed = apply(sample, 'PackSequence', max_seq_length=8)
    inputs, data = packed['inputs'], packed['data_samples']
    length = min(num_steps, 8)
    assert inputs.shape == (8, 15, 3) and inputs.dtype == torch.float32
    assert data.length == length and data.gt_label.tolist() == [1]
    assert (data.name, data.group) == ('sample0', 'ann')
    assert data.views == '1 sequence of 8 steps x 15 points'
    assert not inputs[length:].any()
    first = 1 if num_steps == 11 else 0
    points = sample['keypoints'][first : first + length]
    there = ~np.isnan(points[..., 0])
    np.testing.assert_array_equal(inputs[:length, :, :2].numpy()[there], points[there])
    np.testing.assert_array_equal(inputs[:length, :, 2].numpy(), sample['scores'][first:][:length])
    assert not inputs[:length].numpy()[~there].any()


def test_a_sequence_without_a_class_has_no_label(make_sample: Maker) -> None:
    packed = apply(make_sample() | {'label': -1}, 'PackSequence', max_seq_length=8)
    assert 'gt_label' not in packed['data_samples']


def test_two_views_differ_and_can_be_batched(make_sample: Maker) -> None:
    pipeline = Compose(
        [
            {
                'type': 'TwoViews',
                'transforms': [
                    {'type': 'CropSequence', 'min_share': 0.3},
                    {'type': 'JitterPose'},
                    {'type': 'NormalizePose'},
                    {'type': 'PackSequence', 'max_seq_length': 16},
                ],
            }
        ]
    )
    items = [pipeline(make_sample(12, seed=seed)) for seed in range(6)]
    for item in items:
        assert item is not None and item['inputs'].shape == (2, 16, 15, 3)
        for view, length in zip(item['inputs'], item['data_samples'].length, strict=True):
            assert view[:length].any(-1).all() and not view[length:].any()
    assert any(len(set(item['data_samples'].length)) == 2 for item in items if item)
    batch: Any = pseudo_collate(items)
    assert [sample.name for sample in batch['data_samples']] == [f'sample{i}' for i in range(6)]


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        pytest.param(
            {'type': 'MirrorPose', 'prob': 2}, r'prob must lie in \[0, 1\], got prob=2', id='prob'
        ),
        pytest.param({'type': 'ReverseSequence', 'prob': -1}, 'prob must lie in', id='reverse'),
        pytest.param({'type': 'JitterPose', 'std': -0.1}, 'std must be at least 0', id='std'),
        pytest.param(
            {'type': 'RotatePose', 'max_deg': 200}, r'max_deg must lie in \[0, 180\]', id='deg'
        ),
        pytest.param(
            {'type': 'WarpTime', 'max_speed': 0.5}, 'max_speed must be at least 1', id='warp'
        ),
        pytest.param(
            {'type': 'CropSequence', 'min_share': 0}, r'min_share must lie in \(0, 1\]', id='crop'
        ),
        pytest.param(
            {'type': 'FillMissing', 'max_gap_steps': 0}, 'max_gap_steps must be', id='gap'
        ),
        pytest.param(
            {'type': 'PackSequence', 'max_seq_length': 0}, 'max_seq_length must be', id='pack'
        ),
        pytest.param({'type': 'ResampleSequence'}, 'one of num_steps and rate_hz', id='no-goal'),
        pytest.param(
            {'type': 'ResampleSequence', 'num_steps': 4, 'rate_hz': 2.0}, 'one of', id='two-goals'
        ),
        pytest.param({'type': 'ResampleSequence', 'rate_hz': 0.0}, 'above 0', id='rate-0'),
    ],
)
def test_a_wrong_option_is_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TRANSFORMS.build(config)


@pytest.mark.parametrize('skeleton', [COCO17, MEDIAPIPE33, OPENPOSE18])
def test_a_figure_of_the_points_of_a_detector(make_sample: Maker, skeleton: Skeleton) -> None:
    sample = make_sample(4, missing=0)
    # point i at (i, 10 i) with a score of i / 100
    numbers = np.arange(skeleton.num_points, dtype=np.float32)
    sample['keypoints'] = np.tile(np.stack([numbers, 10 * numbers], axis=1), (4, 1, 1))
    sample['scores'] = np.tile(numbers / 100, (4, 1))
    sample['skeleton'] = skeleton
    # in the second step one shoulder is missing
    left, right = (skeleton.points.index(f'{side}_shoulder') for side in ('left', 'right'))
    sample['keypoints'][1, left], sample['scores'][1, left] = np.nan, 0
    found = apply(sample, type='MakeFigure')
    assert found['skeleton'] is FIGURE
    assert found['keypoints'].dtype == found['scores'].dtype == np.float32
    at = FIGURE.points.index
    np.testing.assert_array_equal(
        found['keypoints'][0, at('left_knee')],
        sample['keypoints'][0][skeleton.points.index('left_knee')],
    )
    np.testing.assert_array_equal(found['keypoints'][0, at('head')], sample['keypoints'][0, 0])
    if 'neck' in skeleton.points:
        assert not np.isnan(found['keypoints'][1, at('neck')]).any()
    else:
        middle = (left + right) / 2
        np.testing.assert_allclose(found['keypoints'][0, at('neck')], [middle, 10 * middle])
        assert found['scores'][0, at('neck')] == pytest.approx(min(left, right) / 100)
        assert np.isnan(found['keypoints'][1, at('neck')]).all()
        assert found['scores'][1, at('neck')] == 0


def test_a_figure_is_of_a_person(make_sample: Maker) -> None:
    sample = make_sample(2)
    sample['skeleton'] = Skeleton('mouse', ('nose', 'tail'), ((0, 1),), (0, 1))
    with pytest.raises(ValueError, match="person, got 'mouse' without neck, pelvis, left_shoulder"):
        apply(sample, type='MakeFigure')
