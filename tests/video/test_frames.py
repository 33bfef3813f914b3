import itertools
import threading
import warnings

import numpy as np
import pytest

from mmotion.video import VideoFrame
from mmotion.video.frames import number_frames, read_ahead, slide, take_chunks
from mmotion.video.timing import FrameTimes


def test_take_chunks_asks_for_no_more_than_it_gives():
    source = iter(range(10))
    assert next(take_chunks(source, 4)) == [0, 1, 2, 3]
    assert next(source) == 4


@pytest.mark.parametrize('num_frames', range(1, 14))
def test_windows_cover_all_frames(num_frames):
    windows = list(slide(range(num_frames), float, size_s=5, hop_s=3, fps=1))
    assert all(len(window) == min(5, num_frames) for window in windows)
    assert sorted(set(itertools.chain(*windows))) == list(range(num_frames))
    assert len({window[0] for window in windows}) == len(windows)


IMAGE = np.zeros((2, 2, 3), np.uint8)
# 10 frames a second, then 5, and every second frame is left out
TIMED = [VideoFrame(2 * n, time_s, IMAGE) for n, time_s in enumerate((0.0, 0.2, 0.4, 0.8, 1.2))]


def test_frames_that_have_times_keep_them():
    given = [*number_frames(iter(TIMED), FrameTimes(10.0))]
    assert [(frame.index, frame.time_s) for frame in given] == [
        (frame.index, frame.time_s) for frame in TIMED
    ]
    part = number_frames(TIMED, FrameTimes(10.0), 0.2004, 0.8)
    assert [frame.index for frame in part] == [2, 4]


def test_a_part_of_arrays_leaves_the_next_one_to_others():
    source = iter([IMAGE] * 10)
    part = [*number_frames(source, FrameTimes(10.0), 0.2, 0.5)]
    assert [(frame.index, frame.time_s) for frame in part] == [(2, 0.2), (3, 0.3), (4, 0.4)]
    assert len([*source]) == 5
    assert not [*number_frames([], FrameTimes(10.0))]


@pytest.mark.parametrize(
    ('frames', 'message'),
    [
        pytest.param([*TIMED, *TIMED], r'got frame 0 at 0 s after frame 8 at 1\.2 s', id='twice'),
        pytest.param([TIMED[1], TIMED[1]], 'got frame 2 at 0.2 s after frame 2', id='same'),
        pytest.param([TIMED[0], IMAGE], 'all arrays or all VideoFrames, .* at place 1', id='array'),
        pytest.param([IMAGE, TIMED[0]], 'all arrays or all VideoFrames, .* at place 1', id='frame'),
    ],
)
def test_frames_must_be_of_one_video(frames, message):
    with pytest.raises(ValueError, match=message):
        list(number_frames(frames, FrameTimes(10.0)))


@pytest.mark.parametrize('pause', range(1, 20))
@pytest.mark.parametrize('hop_s', [1, 2, 3, 5])
def test_windows_behind_a_pause_begin_one_after_the_other(pause, hop_s):
    times = [*range(8), *range(7 + pause, 20 + pause)]
    windows = list(slide(times, float, size_s=5, hop_s=hop_s, fps=len(times) / times[-1]))
    assert sorted(set(itertools.chain(*windows))) == times
    for place in (0, -1):
        found = [window[place] for window in windows]
        assert found == sorted(set(found))


# read ahead


def test_no_more_is_read_ahead_than_was_said():
    taken = []
    items = read_ahead((taken.append(item) or item for item in range(20)), depth=3)
    assert next(items) == 0
    assert next(items) == 1
    items.close()
    # the thread has ended: those given, and up to three more
    assert taken == [*range(len(taken))]
    assert 2 <= len(taken) <= 5


def test_what_is_raised_while_reading_ahead_comes_when_it_is_its_turn():
    def fail_at_two():
        yield from range(2)
        warnings.warn('soon', stacklevel=1)
        raise LookupError('no third one')

    items = read_ahead(fail_at_two(), depth=8)
    with pytest.warns(UserWarning, match='soon'):
        assert [next(items), next(items)] == [0, 1]
        with pytest.raises(LookupError, match='no third one'):
            next(items)
    assert list(items) == []


@pytest.mark.parametrize('end', ['closed', 'forgotten', 'failed'])
def test_reading_ahead_leaves_no_thread(end):
    before = set(threading.enumerate())
    items = read_ahead(itertools.count(), depth=4)
    assert next(items) == 0
    assert set(threading.enumerate()) > before
    if end == 'closed':
        items.close()
    elif end == 'failed':
        with pytest.raises(ZeroDivisionError):
            items.throw(ZeroDivisionError())
    del items
    assert set(threading.enumerate()) == before
