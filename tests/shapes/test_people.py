"""People as points: they repeat as they say, and what detectors make of them."""

import numpy as np
import pytest

from mmotion.shapes import PersonShapes, simulate_detector


def test_the_same_index_gives_the_same_person_and_splits_share_none() -> None:
    one, again = (PersonShapes(split='val')[4] for _ in range(2))
    np.testing.assert_array_equal(one.joints, again.joints)
    other = PersonShapes(split='test')[4]
    assert other.joints.shape != one.joints.shape or not np.allclose(other.joints, one.joints)


def test_a_cycle_later_people_are_nearly_back() -> None:
    nearer = []
    for index in range(60):
        motion = PersonShapes(split='test', num_frames=(128, 256), periods=(16, 16))[index]
        # the frame in which the same phase comes again, and that of the opposite one
        frames = np.arange(len(motion.cycles))
        first = frames[motion.period > 0][: len(frames) // 4]
        if not len(first):
            continue
        cycles = motion.cycles + 1e-9 * frames
        later = [np.interp(motion.cycles[first] + ahead, cycles, frames) for ahead in (1, 0.5)]
        cycle, half = (
            np.linalg.norm(motion.joints[np.rint(at).astype(int)] - motion.joints[first], axis=-1)
            for at in later
        )
        nearer.append(cycle.mean() < 0.7 * half.mean())
    assert len(nearer) > 30
    assert np.mean(nearer) > 0.8


def test_a_detector_finds_people_around_0_at_the_size_1() -> None:
    rng = np.random.default_rng(0)
    shares = []
    for index in range(40):
        joints = PersonShapes()[index].joints
        found = simulate_detector(joints, rng)
        assert found.shape == (len(joints), 13, 3)
        there = found[..., 2] == 1
        assert (found[~there] == 0).all()
        assert np.median(np.abs(found[there][:, :2])) < 3
        shares.append(there.mean())
    assert 0.8 < np.mean(shares) < 1 > np.min(shares)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'split': 'tset'}, 'split must be one of'),
        ({'num_frames': (64, 32)}, r'num_frames must be a range .* got num_frames=\(64, 32\)'),
        ({'periods': (2, 32)}, r'periods must be a range .* from 3 frames up'),
    ],
)
def test_wrong_options_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PersonShapes(**options)
