"""Which frame stands for which moment."""

import numpy as np
import pytest

from projects.repnet.multirate.clock import SampleClock


@pytest.mark.parametrize(
    ('fps', 'rate_hz'),
    [(1.0, 1.0), (24.0, 24.0), (29.97, 29.97), (32.0, 32.0), (50.0, 25.0), (1000.0, 31.25)],
)
def test_every_kth_frame_is_taken(fps, rate_hz):
    assert SampleClock(fps=fps, max_rate_hz=32.0).rate_hz == pytest.approx(rate_hz)


def test_the_clock_takes_the_nearest_frames():
    clock = SampleClock(fps=240.0, max_rate_hz=32.0)
    taken = [clock.count_before((number + 0.5) / 240) for number in range(24)]
    assert [number for number, there in enumerate(taken) if there] == [0, 8, 16]


def test_a_frame_that_stays_stands_for_more_moments():
    clock = SampleClock(fps=20.0, max_rate_hz=32.0)
    times_s = np.concatenate([np.arange(30) / 30, 1 + np.arange(10) / 10])
    middles = np.append((times_s[1:] + times_s[:-1]) / 2, 2.0)
    taken = [clock.count_before(middle) for middle in middles]
    assert sum(taken) == 40
    assert {*taken[:29]} == {0, 1}
    assert {*taken[31:-1]} == {2}
