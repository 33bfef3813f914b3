"""Scores with the keypoints that say so: as plain data, and on the video."""

import numpy as np
import pytest

from mmotion.visualization import make_painter
from projects.pose_sequence.results import PoseScores

from .test_inference import FPS, HEIGHT, NAMES, WALK, WIDTH, make_poses


@pytest.fixture
def result() -> PoseScores:
    """Somebody who walks to the right, with a step every 5 frames."""
    poses = make_poses(WALK)
    return PoseScores(
        classes=NAMES,
        scores=[0.5, 0.5],
        views='1 sequence',
        fps=FPS,
        num_frames=poses.num_frames,
        window_start_s=[0.0],
        window_end_s=[poses.num_frames / FPS],
        window_scores=[[0.5, 0.5]],
        poses=poses,
    )


def test_plain_data_say_how_often_somebody_was_seen(result: PoseScores) -> None:
    plain = result.to_dict()
    assert (plain['detector'], plain['num_steps'], plain['num_detections']) == ('spot', 16, 16)
    assert plain['label'] in NAMES and 'poses' not in plain


def test_the_painter_shows_the_last_step(result: PoseScores) -> None:
    paint = make_painter(result)
    black = np.zeros((3 * HEIGHT, 3 * WIDTH, 3), np.uint8)
    left, right = paint(black, 39), paint(black, 40)
    assert not black.any()
    # three times as large as the video: at 60 and at 540
    assert left[140:160, 40:80].any()
    assert not right[140:160, 40:80].any()
    assert right[140:160, 520:560].any()
