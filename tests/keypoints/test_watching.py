"""People in a video, step by step: of a keypoint file, or by a detector."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from mmotion.keypoints.files import write_poses
from mmotion.keypoints.skeletons import COCO17
from mmotion.keypoints.watching import (
    KeypointFileSource,
    cut_poses,
    is_keypoint_file,
    open_keypoints,
    watch_frames,
)
from mmotion.video import VideoFrame
from mmotion.video.timing import FrameTimes
from tests.pose_videos import make_video


class SquareDetector:
    """Finds a person around the bright pixel of an image."""

    name = 'square'
    skeleton = COCO17

    def detect(self, images):
        (people,) = make_video(1, missing=0.0).frames
        return [list(people) if image.any() else [] for image in images]


def test_a_detector_looks_at_every_nth_frame():
    images = np.zeros((8, 4, 6, 3), np.uint8)
    images[3:] = 255
    frames = (VideoFrame(image=image, index=i, time_s=i / 10) for i, image in enumerate(images))
    poses, steps, times_s = watch_frames(frames, SquareDetector(), every=3, fps=10.0)
    assert [(step.index, step.end) for step in steps] == [(0, 3), (3, 6), (6, 8)]
    assert [len(step.people) for step in steps] == [0, 1, 1]
    assert (poses.width, poses.height, poses.num_frames, poses.tracks) == (6, 4, 8, (0,))
    np.testing.assert_allclose(times_s, np.arange(8) / 10)


def test_a_part_of_a_file_is_watched_from_its_first_frame_on(tmp_path):
    source = KeypointFileSource(tmp_path / 'a.json', make_video(8))
    poses, steps, times_s = source.watch(0.1, 0.4)
    assert [step.index for step in steps] == [4, 6, 8]
    assert (poses.num_frames, len(times_s)) == (10, 7)
    assert times_s[0] == pytest.approx(3 / 25)


@pytest.mark.parametrize(
    ('video', 'expected'),
    [('a.json', True), (Path('a.JSON'), True), ('a.mp4', False), (np.zeros(3), False)],
)
def test_keypoint_files_are_told_by_their_names(video, expected):
    assert is_keypoint_file(video) is expected


def test_a_file_has_its_own_rate(tmp_path):
    write_poses(make_video(3), tmp_path / 'a.json')
    assert open_keypoints(tmp_path / 'a.json').num_frames == 6
    with pytest.raises(ValueError, match=r'fps must be left out for a file, .* got fps=10'):
        open_keypoints(tmp_path / 'a.json', 10.0)


@pytest.mark.parametrize(
    ('times', 'message'),
    [
        pytest.param((-1.0, None), 'start_s must be at least 0', id='before'),
        pytest.param((2.0, 1.0), 'end_s must be above start_s=2.0', id='order'),
        pytest.param((8.0, None), r'walk.mp4 must have a frame .* for 0.64 s', id='behind'),
    ],
)
def test_wrong_times_are_refused(times, message):
    with pytest.raises(ValueError, match=message):
        cut_poses(make_video(8, source='walk.mp4'), FrameTimes(25.0), *times)


def test_a_file_that_begins_later_keeps_the_first_frame_at_0(tmp_path):
    """By the gaps after it, the frames before a slow beginning had times below 0."""
    later = {'frame_indices': np.array([4, 5, 6]), 'frame_times_s': np.array([0.2, 0.4, 0.6])}
    poses = dataclasses.replace(make_video(3), num_frames=7, **later)
    source = KeypointFileSource(tmp_path / 'a.json', poses)
    numbers = range(7)
    expected = [0, 0.05, 0.1, 0.15, 0.2, 0.4, 0.6]
    np.testing.assert_allclose([source.times.time_at(n) for n in numbers], expected)
