"""The period that autocorrelation finds."""

import numpy as np
import pytest

from mmotion.keypoints.files import write_poses
from mmotion.keypoints.poses import Person
from projects.repnet.commands._baselines import find_period, find_rhythms, measure_clip
from projects.repnet.table_data import CountedClip
from tests.pose_videos import make_video


@pytest.mark.parametrize('period', [6, 13, 30])
@pytest.mark.parametrize('height', [48, 96])
def test_baselines_find_the_period_of_a_moving_bar(draw_bar, period, height):
    rhythms = find_rhythms(draw_bar(150, period, height))
    assert list(rhythms) == ['PCA of frames', 'PCA of flow']
    for rhythm in rhythms.values():
        assert rhythm.period == pytest.approx(period, abs=0.3)
        assert rhythm.height > 0.5
        result = rhythm.count(fps=10.0)
        assert (result.count, result.num_frames) == (pytest.approx(150 / rhythm.period), 150)
        assert rhythm.count(fps=10.0, threshold=1.1).count == 0


@pytest.mark.parametrize('num_frames', [1, 4, 60])
def test_baselines_find_nothing_in_a_still_video(num_frames):
    for rhythm in find_rhythms(np.full((num_frames, 32, 32, 3), 90, np.uint8)).values():
        assert rhythm.count(fps=10.0).count == 0


def test_period_is_neither_too_short_nor_a_multiple():
    times = np.arange(200)
    curve = np.sin(2 * np.pi * times / 20) + 0.01 * times
    assert find_period(curve)[0] == pytest.approx(20, abs=0.2)
    assert find_period(curve, min_period=25)[0] == pytest.approx(40, abs=0.2)


def test_baseline_of_keypoints_finds_the_period_through_missing_points(tmp_path):
    frames = []
    for step in range(100):
        points = np.full((17, 2), 100.0)
        points[:5, 1] += 30 * np.sin(2 * np.pi * step / 20)
        points[step % 5] = np.nan
        person = Person(keypoints=points, scores=np.ones(17), score=1.0, track=0)
        frames.append(() if step in (33, 34) else (person,))
    write_poses(make_video(100, frames=tuple(frames)), tmp_path / 'a.json')
    # every second frame of 25 a second was looked at
    for end_s, count in ((None, 5), (4.8, 3)):
        clip = CountedClip(path=tmp_path / 'a.json', count=5, end_s=end_s)
        ((name, result),) = measure_clip(clip).items()
        assert name == 'PCA of keypoints'
        assert result.count == pytest.approx(count, abs=0.1)
