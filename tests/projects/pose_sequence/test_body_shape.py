"""Another body that does the same."""

import numpy as np
import pytest
import torch

from mmotion.registry import TRANSFORMS
from projects.pose_sequence.body_shape import ReshapeBody
from projects.pose_sequence.transforms import find_center, find_size


def reshape(sample, seed=0, **options):
    torch.manual_seed(seed)
    return ReshapeBody(**options)({**sample})['keypoints']


def test_points_keep_their_motion_and_get_another_place(make_sample):
    before = make_sample(20, missing=0.1)
    after = reshape(before, max_stretch=1.0)
    moved = after - before['keypoints']
    np.testing.assert_array_equal(np.isnan(after), np.isnan(before['keypoints']))
    assert np.nanmax(np.nanstd(moved, axis=0)) < 1e-3
    assert after.dtype == np.float32


def test_offsets_are_in_sizes_of_the_person(make_sample):
    before = make_sample(4)
    size = find_size(before['keypoints'])
    offsets = [
        (reshape(before, seed, offset_std=0.2, max_stretch=1.0) - before['keypoints'])[0]
        for seed in range(40)
    ]
    assert np.std(offsets) / size == pytest.approx(0.2, rel=0.1)


def test_stretch_is_within_its_range_and_around_the_center(make_sample):
    before = make_sample(4)['keypoints']
    center = find_center(before)
    factors = []
    for seed in range(40):
        after = reshape(make_sample(4), seed, offset_std=0.0, max_stretch=1.5)
        factor = np.median((after - center) / (before - center), axis=(0, 1))
        np.testing.assert_allclose(after - center, (before - center) * factor, atol=1e-2)
        factors.append(factor)
    assert 1 / 1.5 <= np.min(factors) < 0.75
    assert 1.35 < np.max(factors) <= 1.5
    # x and y by themselves
    assert np.corrcoef(np.transpose(factors))[0, 1] < 0.6


def test_the_seed_decides_and_nothing_is_changed_in_place(make_sample):
    sample = make_sample(8)
    original = sample['keypoints'].copy()
    np.testing.assert_array_equal(reshape(sample, 1), reshape(sample, 1))
    assert not np.array_equal(reshape(sample, 1), reshape(sample, 2))
    np.testing.assert_array_equal(sample['keypoints'], original)


def test_nobody_stays_nobody(make_sample):
    sample = make_sample(5)
    sample['keypoints'][:] = np.nan
    assert np.isnan(reshape(sample)).all()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        pytest.param({'offset_std': -0.1}, 'offset_std must be at least 0', id='offset'),
        pytest.param({'max_stretch': 0.9}, 'max_stretch must be at least 1', id='stretch'),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ReshapeBody(**options)


def test_is_registered():
    assert TRANSFORMS.get('ReshapeBody') is ReshapeBody
