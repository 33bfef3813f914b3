import dataclasses

import numpy as np
import pytest

from mmotion.structures.results import Clock, time_at
from mmotion.structures.times import (
    describe_frames,
    find_end,
    freeze_frame_times,
    list_irregular,
    measure_rate,
)

# 30 frames at 30 a second, then 20 at 10
TIMES_S = np.concatenate([np.arange(30) / 30, 1 + np.arange(20) / 10])
FPS = 50 / 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Watched:
    """A result of frames alone."""

    fps: float = FPS
    start_s: float = 0.0
    num_frames: int = 50
    frame_times_s: np.ndarray | None = None
    num_lost: int = 0

    def __post_init__(self) -> None:
        freeze_frame_times(self)


@pytest.mark.parametrize(
    'times_s',
    [
        pytest.param(5 + np.arange(300) / 29.97, id='even'),
        pytest.param((5 + np.arange(300) / 29.97).round(3), id='as Matroska rounds them'),
        pytest.param([0.4], id='a single frame'),
    ],
)
def test_evenly_spaced_frames_need_no_list(times_s: np.ndarray) -> None:
    assert list_irregular(times_s, 29.97) is None
    assert measure_rate(times_s, 29.97) == 29.97
    assert find_end(times_s, 29.97) == pytest.approx(times_s[0] + len(times_s) / 29.97)


def test_others_are_listed() -> None:
    listed = list_irregular(TIMES_S, FPS)
    assert listed is not None
    assert listed.tolist() == TIMES_S.tolist()
    assert (measure_rate(TIMES_S[:30], FPS), measure_rate(TIMES_S[30:], FPS)) == pytest.approx(
        (30, 10)
    )
    # the rate is right, and the frames between are not
    assert list_irregular([0.0, 0.1, 0.27, 0.3], 10.0) is not None
    # a frame that is missing
    assert list_irregular([0.0, 0.1, 0.3], 10.0) is not None


def test_times_of_a_result_are_those_of_its_frames() -> None:
    clock = Clock(FPS, 0.0, TIMES_S)
    assert time_at(clock, np.arange(50)).tolist() == TIMES_S.tolist()
    assert time_at(clock, 50) == pytest.approx(3.0)
    assert time_at(clock, np.array([0.5, 30.5, 50.0])) == pytest.approx([1 / 60, 1.05, 3.0])
    assert time_at(Clock(10.0, 2.0), 5) == 2.5


def test_a_pause_does_not_make_the_last_frame_long() -> None:
    assert find_end([0.0, 0.1, 9.0], 10.0) == pytest.approx(9.1)


def test_a_file_has_times_only_where_they_say_something() -> None:
    assert describe_frames(Watched()) == {}
    content = describe_frames(Watched(frame_times_s=TIMES_S))
    assert content == {'frame_times_s': TIMES_S.round(6).tolist()}
    assert describe_frames(Watched(num_lost=3)) == {'num_lost': 3}


@pytest.mark.parametrize(
    'times_s',
    [
        pytest.param(TIMES_S[:-1], id='one is missing'),
        pytest.param(TIMES_S[::-1], id='falling'),
        pytest.param(TIMES_S + 1, id='another start'),
        pytest.param(np.where(TIMES_S > 2, np.nan, TIMES_S), id='NaN'),
    ],
)
def test_bad_times(times_s: np.ndarray) -> None:
    with pytest.raises(ValueError, match='frame_times_s must be a time for each of 50 frames, ris'):
        Watched(frame_times_s=times_s)
