"""What all results have, and when their frames appear."""

import numpy as np
import pytest

from mmotion.structures import ActionScores, Result, time_at
from mmotion.structures.results import describe_numbers


def make_result(**changes) -> Result:
    values = dict(
        classes=('sit', 'walk'), scores=[0.3, 0.7], views='1 clip', fps=10.0, num_frames=40,
        window_start_s=[2.0], window_end_s=[6.0], window_scores=[[0.3, 0.7]], start_s=2.0,
    )  # fmt: skip
    return ActionScores(**(values | changes))


def test_frames_are_on_the_clock_of_the_video() -> None:
    result = make_result()
    assert time_at(result, 0) == 2.0
    assert time_at(result, 2.5) == 2.25
    assert time_at(result, result.num_frames) == result.end_s == 6.0
    np.testing.assert_array_equal(time_at(result, np.arange(3)), [2.0, 2.1, 2.2])


@pytest.mark.parametrize('name', ['fps', 'num_frames', 'start_s', 'to_dict', 'describe'])
def test_a_result_shared_by_systems_is_a_result(name: str) -> None:
    assert hasattr(make_result(), name)


def test_only_numbers_are_described() -> None:
    content = {'count': 3.14159, 'stride': 2, 'name': 'a', 'none': None, 'times': [1.0]}
    assert describe_numbers(content) == 'count 3.142, stride 2'
