"""Random changes of keypoint sequences: what they keep, and what they change."""

import numpy as np
import pytest
import torch

from mmotion.keypoints.skeletons import FIGURE
from projects.pose_sequence.augmentation import ReshapeBody
from projects.pose_sequence.transforms import find_center, find_size

from .conftest import Maker, Sample, apply


def edge_lengths(sample: Sample) -> np.ndarray:
    """Length of each bone in each step, (T, E)."""
    keypoints = sample['keypoints']
    starts, ends = np.array(sample['skeleton'].edges).T
    return np.linalg.norm(keypoints[:, starts] - keypoints[:, ends], axis=-1)


def left_hand_is_up(sample: Sample) -> bool:
    left, right = (FIGURE.points.index(f'{side}_wrist') for side in ('left', 'right'))
    return bool((sample['keypoints'][:, left, 1] < sample['keypoints'][:, right, 1]).all())


def test_a_reversed_sequence_has_the_same_skeletons(make_sample: Maker) -> None:
    sample = make_sample(missing=0.1)
    found = apply(sample, 'ReverseSequence', prob=1.0)
    np.testing.assert_array_equal(edge_lengths(found), edge_lengths(sample)[::-1])
    np.testing.assert_array_equal(found['scores'], sample['scores'][::-1])
    twice = apply(found, 'ReverseSequence', prob=1.0)
    np.testing.assert_array_equal(twice['keypoints'], sample['keypoints'])


def test_a_mirrored_skeleton_is_one_that_a_detector_could_give(make_sample: Maker) -> None:
    sample = make_sample()
    found = apply(sample, 'MirrorPose', prob=1.0)
    # each bone has the length of the same bone on the other side
    edges = [frozenset(edge) for edge in FIGURE.edges]
    other = [edges.index(frozenset(FIGURE.mirror[end] for end in edge)) for edge in edges]
    np.testing.assert_allclose(edge_lengths(found), edge_lengths(sample)[:, other], rtol=1e-4)
    np.testing.assert_array_equal(found['scores'], sample['scores'][:, FIGURE.mirror])
    # the person who lifted the left hand lifts the right one, on the same side of the picture
    assert left_hand_is_up(sample) and not left_hand_is_up(found)
    left = FIGURE.points.index('left_shoulder')
    right = FIGURE.points.index('right_shoulder')
    assert (found['keypoints'][:, left, 0] > found['keypoints'][:, right, 0]).all()
    # and stays where they are
    center, before = (find_center(s['keypoints']) for s in (found, sample))
    np.testing.assert_allclose(center, before, atol=1e-3)
    twice = apply(found, 'MirrorPose', prob=1.0)
    np.testing.assert_allclose(twice['keypoints'], sample['keypoints'], atol=1e-3)
    np.testing.assert_array_equal(twice['scores'], sample['scores'])


def test_a_rotated_skeleton_keeps_its_bones(make_sample: Maker) -> None:
    sample = make_sample()
    found = apply(sample, 'RotatePose', max_deg=90.0)
    np.testing.assert_allclose(edge_lengths(found), edge_lengths(sample), rtol=1e-4)
    np.testing.assert_allclose(
        find_center(found['keypoints']), find_center(sample['keypoints']), atol=3
    )
    angles = []
    for _ in range(100):
        body = apply(sample, 'RotatePose', max_deg=30.0)['keypoints'][0]
        x, y = body[1] - body[2]
        x0, y0 = sample['keypoints'][0, 1] - sample['keypoints'][0, 2]
        angles.append(np.rad2deg(np.arctan2(y, x) - np.arctan2(y0, x0)))
    assert -30 <= min(angles) < -20 and 20 < max(angles) <= 30


def test_a_crop_is_the_beginning_or_the_end(make_sample: Maker) -> None:
    sample = make_sample(20)
    kinds = set()
    for _ in range(50):
        kept = apply(sample, 'CropSequence', min_share=0.5)['keypoints']
        assert 10 <= len(kept) <= 20
        begins = np.array_equal(kept, sample['keypoints'][: len(kept)])
        ends = np.array_equal(kept, sample['keypoints'][-len(kept) :])
        assert begins or ends
        kinds.add((begins, ends))
    assert {(True, False), (False, True)} <= kinds


def test_jitter_is_in_sizes_of_the_person(make_sample: Maker) -> None:
    sample = make_sample(400)
    noise = apply(sample, 'JitterPose', std=0.05)['keypoints'] - sample['keypoints']
    assert noise.std() == pytest.approx(0.05 * find_size(sample['keypoints']), rel=0.05)
    assert abs(noise.mean()) < 0.1


def test_warped_time_runs_forward_from_the_first_step_to_the_last(make_sample: Maker) -> None:
    sample = make_sample(30)
    # a clock: its hand shows where each step comes from
    sample['keypoints'][:, 0, 0] = np.arange(30)
    speeds = []
    for _ in range(30):
        clock = apply(sample, 'WarpTime', max_speed=2.0)['keypoints'][:, 0, 0]
        assert clock[0] == 0 and clock[-1] == pytest.approx(29, abs=1e-4) and len(clock) == 30
        speeds += [*np.diff(clock)]
    # at 2, all other parts being at 1/2, a part runs at 2 / ((2 + 3/2) / 4)
    assert 0.25 < min(speeds) < 0.7 and 1.5 < max(speeds) <= 2 / ((2 + 1.5) / 4) + 1e-3


def reshape(sample, seed=0, **options):
    torch.manual_seed(seed)
    return ReshapeBody(**options)({**sample})['keypoints']


def test_points_of_another_body_keep_their_motion_and_get_another_place(make_sample):
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


def test_another_body_is_drawn_by_the_seed_and_nothing_is_changed_in_place(make_sample):
    sample = make_sample(8)
    original = sample['keypoints'].copy()
    np.testing.assert_array_equal(reshape(sample, 1), reshape(sample, 1))
    assert not np.array_equal(reshape(sample, 1), reshape(sample, 2))
    np.testing.assert_array_equal(sample['keypoints'], original)


def test_nobody_has_no_other_body(make_sample):
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
