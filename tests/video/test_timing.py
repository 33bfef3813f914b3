"""One rule leads from a time to a frame, whatever holds the frames."""

from fractions import Fraction

import numpy as np
import pytest

from mmotion.video.sources import open_source
from mmotion.video.timing import FrameTimes, check_times
from tests.video_files import encode, paint, read_number


@pytest.fixture(scope='module')
def as_array() -> np.ndarray:
    return np.stack([*map(paint, range(24))])


@pytest.mark.parametrize('holder', ['file', 'array'])
@pytest.mark.parametrize(
    ('start_s', 'end_s', 'numbers'),
    [
        # a millisecond and a half of a frame: once 12 of a file, and 13 of an array
        pytest.param(1.2004, 1.5, [12, 13, 14], id='just after a frame'),
        pytest.param(1.2006, 1.5, [13, 14], id='after a frame'),
        pytest.param(0.7, 0.9004, [7, 8], id='end just after a frame'),
        pytest.param(0.7, 0.9006, [7, 8, 9], id='end after a frame'),
        pytest.param(2.2, 99.0, [22, 23], id='end after the video'),
    ],
)
def test_a_file_and_an_array_begin_at_the_same_frame(
    tmp_path, as_array, holder, start_s, end_s, numbers
) -> None:
    if holder == 'file':
        source = open_source(encode(tmp_path / 'a.mp4', fps=10))
    else:
        source = open_source(as_array, fps=10.0)
    frames = list(source.frames(start_s, end_s))
    assert [frame.index for frame in frames] == numbers
    assert [read_number(frame.image) for frame in frames] == numbers


@pytest.mark.parametrize('fps', [Fraction(30000, 1001), 10, 25, 240, 1000])
def test_the_time_of_a_frame_leads_back_to_it(fps) -> None:
    even = FrameTimes(float(fps))
    listed = FrameTimes(float(fps), np.arange(500) / float(fps))
    for number in range(500):
        assert even.first_from(even.time_at(number)) == number
        assert listed.first_from(listed.time_at(number)) == number
        # half a frame later it is the next one
        assert even.first_from((number + 0.5) / fps) == listed.first_from((number + 0.5) / fps)


def test_frames_that_are_listed_need_not_be_even() -> None:
    times = FrameTimes(5.0, np.array([0.0, 0.04, 0.5, 1.0]))
    assert times.time_at(2) == 0.5
    assert times.span(0.05, 1.0) == (2, 3)
    assert times.span(0.05, None) == (2, 4)


@pytest.mark.parametrize(
    ('times', 'message'),
    [
        pytest.param((-1.0, None), 'start_s must be at least 0, got start_s=-1', id='before'),
        pytest.param((float('nan'), None), 'start_s must be at least 0', id='no number'),
        pytest.param((2.0, 1.0), r'end_s must be above start_s=2\.0, got end_s=1\.0', id='order'),
    ],
)
def test_times_that_enclose_nothing_are_refused(times, message) -> None:
    with pytest.raises(ValueError, match=message):
        check_times(*times)


def test_listed_times_may_be_evenly_spaced() -> None:
    assert FrameTimes(10.0).is_regular
    assert FrameTimes(10.0, np.array([0.0, 0.1, 0.2])).is_regular
    assert not FrameTimes(10.0, np.array([0.0, 0.1, 0.3])).is_regular
