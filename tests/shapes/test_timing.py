"""Times of sets: labels, holds, frame times, and curves that do not repeat."""

import numpy as np
import pytest

from mmotion.shapes.timing import (
    RepetitionSet,
    Timeline,
    Wander,
    sample_frame_times,
    sample_tempo,
    sample_timeline,
)


def test_labels_of_two_sets() -> None:
    first = RepetitionSet(np.array([1.0, 2.0, 4.0]), np.zeros(2))
    second = RepetitionSet(np.array([6.0, 7.0, 8.0]), np.zeros(2))
    timeline = Timeline(duration_s=9.0, sets=(first, second))
    labels = timeline.label(np.array([0.5, 1.5, 3.0, 4.0, 5.0, 6.25, 8.0]))
    np.testing.assert_allclose(labels.cycles, [0, 0.5, 1.5, 2, 2, 2.25, 4])
    np.testing.assert_allclose(labels.period_s, [0, 1, 2, 0, 0, 1, 0])
    np.testing.assert_allclose(labels.phase, [0, 0.5, 0.5, 0, 0, 0.25, 0])
    assert labels.set_number.tolist() == [0, 1, 1, 0, 0, 2, 0]
    assert labels.repeats.tolist() == [False, True, True, False, False, True, False]


def test_a_hold_waits_and_the_rest_of_the_cycle_catches_up() -> None:
    one = RepetitionSet(np.array([0.0, 1.0, 2.0]), np.array([0.5, 0.0]), hold_at=0.5)
    cycles = np.array([0, 0.25, 0.5, 0.75, 0.875, 1, 1.25, 2])
    np.testing.assert_allclose(
        one.pose_phase(cycles), [0, 0.5, 0.5, 0.5, 0.75, 1, 1.25, 2], atol=1e-12
    )


def test_a_set_is_done_as_often_as_it_is_long() -> None:
    one = RepetitionSet(np.array([3.0, 4.0, 6.0]), np.zeros(2))
    assert (one.count, one.start_s, one.end_s) == (2, 3.0, 6.0)


@pytest.mark.parametrize('tempo', [0.125, 1.0, 6.0])
def test_cuts_and_dissolves_are_apart_from_sets_and_from_each_other(tempo: float) -> None:
    for seed in range(100):
        rng = np.random.default_rng(seed)
        line = sample_timeline(rng, (6.0, 90.0), 1.5, tempo)
        borders = np.array([0, *line.cuts_s, line.duration_s])
        assert (np.diff(borders) > 0).all()
        for cut, length in zip(line.cuts_s, line.dissolves_s, strict=True):
            shown = not line.label(np.array([cut])).repeats[0]
            starts = any(np.isclose(cut, one.start_s) for one in line.sets)
            assert shown or starts
            assert 0 <= length <= 1.2


def test_frame_times_rise_from_zero_and_some_are_uneven() -> None:
    uneven = 0
    for seed in range(200):
        times = sample_frame_times(np.random.default_rng(seed), 10.0)
        steps = np.diff(times)
        assert times[0] == 0
        assert (steps > 0).all()
        assert 5 < len(times) / 10 < 245
        uneven += np.ptp(steps) > 1e-3
    assert 20 < uneven < 90


def test_most_videos_run_at_their_own_speed() -> None:
    tempos = [sample_tempo(np.random.default_rng(seed)) for seed in range(400)]
    assert 0.7 < np.mean(np.array(tempos) == 1) < 0.92
    assert min(tempos) < 0.3
    assert max(tempos) > 3


def test_wander_has_unit_size_and_rests_beyond_its_span() -> None:
    wander = Wander.sample(np.random.default_rng(0), (5.0, 505.0), 0.5, 2)
    values = wander(np.linspace(5, 505, 5000))
    assert values.shape == (5000, 2)
    assert values.std() == pytest.approx(1, abs=0.2)
    np.testing.assert_array_equal(wander(np.array([0.0, 5.0]))[0], wander(np.array([5.0]))[0])
