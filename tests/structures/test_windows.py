"""Which window speaks for a moment, worked out by hand."""

import dataclasses

import numpy as np
import pytest

from mmotion.structures.windows import (
    WindowedResult,
    check_windows,
    cut_ends,
    find_edges,
    find_window,
)

STARTS, ENDS = np.array([0.5, 1.5, 2.0]), np.array([2.5, 3.5, 4.0])


def test_a_window_speaks_from_middle_to_middle() -> None:
    edges = find_edges(STARTS, ENDS, start_s=0.5, end_s=4.0)
    # the middles are at 1.5, 2.5 and 3.0
    assert edges.tolist() == [0.5, 2.0, 2.75, 4.0]
    times = (0.0, 0.5, 1.99, 2.0, 2.74, 3.9, 4.0, 9.0)
    assert [find_window(edges, time) for time in times] == [0, 0, 0, 1, 1, 2, 2, 2]


def test_a_single_window_speaks_for_all() -> None:
    edges = find_edges(STARTS[:1], ENDS[:1], start_s=0.5, end_s=3.0)
    assert edges.tolist() == [0.5, 3.0]
    assert find_window(edges, 2.9) == 0


@pytest.mark.parametrize(
    ('starts', 'ends', 'message'),
    [
        pytest.param([0.0, 0.0], [1.0, 2.0], 'must be in order', id='equal starts'),
        pytest.param([0.0, 1.0], [2.0, 1.5], 'must be in order', id='ends fall'),
        pytest.param([1.0], [1.0], 'end after they start', id='empty window'),
        pytest.param([0.0, np.nan], [1.0, 2.0], 'must be in order', id='NaN'),
        pytest.param([-0.1], [1.0], 'not start before start_s=0.0', id='before the video'),
    ],
)
def test_windows_are_in_order(starts: list, ends: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_windows(np.array(starts), np.array(ends), start_s=0.0)


def test_a_result_finds_its_edges_once_and_they_cannot_be_changed() -> None:
    @dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
    class Result(WindowedResult):
        fps: float
        num_frames: int
        start_s: float
        frame_times_s: None = None
        window_start_s: np.ndarray
        window_end_s: np.ndarray

    result = Result(fps=10.0, num_frames=35, start_s=0.5, window_start_s=STARTS, window_end_s=ENDS)
    assert result.end_s == 4.0
    np.testing.assert_array_equal(result.edges_s, find_edges(STARTS, ENDS, start_s=0.5, end_s=4.0))
    assert result.edges_s is result.edges_s
    with pytest.raises(ValueError, match='read-only'):
        result.edges_s[0] = 0.0
    assert [result.window_at(frame) for frame in (0, 34)] == [0, 2]


def test_a_window_ends_when_the_frame_after_it_appears() -> None:
    # the last frame of the first window is behind a pause, and seems to last as long as that
    ends = cut_ends([9.0, 6.0005, 7.0], [3, 4, 5], [0.0, 1.0, 5.0, 5.5, 6.0])
    assert ends.tolist() == [5.5, 6.0005, 7.0]
