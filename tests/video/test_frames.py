import itertools

import pytest

from mmotion.video.frames import slide, take_chunks


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


@pytest.mark.parametrize('pause', range(1, 20))
@pytest.mark.parametrize('hop_s', [1, 2, 3, 5])
def test_windows_behind_a_pause_begin_one_after_the_other(pause, hop_s):
    times = [*range(8), *range(7 + pause, 20 + pause)]
    windows = list(slide(times, float, size_s=5, hop_s=hop_s, fps=len(times) / times[-1]))
    assert sorted(set(itertools.chain(*windows))) == times
    for place in (0, -1):
        found = [window[place] for window in windows]
        assert found == sorted(set(found))
