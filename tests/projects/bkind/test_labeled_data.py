"""Generated figures: joints are where the picture shows them, and nothing simple tells them."""

import cv2
import numpy as np
import pytest

from projects.bkind.labeled_data import BONES, JOINTS, FramePairsShapes, figure_scene


def make(**options) -> FramePairsShapes:
    return FramePairsShapes(**{'split': 'test', 'num_videos': 3, 'pipeline': [], **options})


def test_a_pair_is_two_frames_of_a_video_with_the_joints_of_the_first() -> None:
    data = make(num_frames=20, gap_frames=4, size=48)
    assert len(data) == 3 * 16
    pair = data[16 + 5]
    assert (pair['video'], pair['frame'], pair['gap']) == ('test_000001', 5, 4)
    assert (pair['name'], pair['weight']) == ('test_000001_000005', 1.0)
    frames, joints = data.frames(1), data.joints(1)
    assert frames.shape == (20, 48, 48, 3)
    assert joints.shape == (20, len(JOINTS), 2)
    np.testing.assert_array_equal(pair['imgs'], frames[[5, 9]])
    np.testing.assert_array_equal(pair['gt_joints'], joints[5])
    assert data.metainfo['joints'] == JOINTS


def test_a_number_always_gives_the_same_video_and_splits_share_none() -> None:
    first = make(num_frames=8).frames(1)
    np.testing.assert_array_equal(first, make(num_videos=2, num_frames=8).frames(1))
    for other in (make(num_frames=8).frames(2), make(split='val', num_frames=8).frames(1)):
        assert not np.array_equal(first, other)


@pytest.mark.parametrize('camera_motion', [0.0, 0.08])
def test_joints_are_where_the_picture_shows_the_bones(camera_motion: float) -> None:
    for seed in range(6):
        rng = np.random.default_rng(seed)
        scene, joints = figure_scene(rng, num_frames=8, size=128, camera_motion=camera_motion)
        assert 0 <= joints.mean() <= 128
        for frame, places in zip(scene.frames(), joints, strict=True):
            # the head is in front of all else, and its color is there at its two ends
            for share in (0.25, 0.75):
                x, y = places[1] + share * (places[2] - places[1])
                if 2 < x < 125 and 2 < y < 125:
                    seen = frame[round(y) - 1 : round(y) + 2, round(x) - 1 : round(x) + 2]
                    color = seen.reshape(-1, 3).mean(0)
                    assert color[0] > color[1] > 2 * color[2]
            # beyond the hand there is no more of the arm
            for hand, bone in ((3, BONES[2]), (4, BONES[3])):
                way = places[hand] - places[1]
                x, y = np.rint(places[hand] + 0.15 * way).astype(int).tolist()
                if 2 < x < 125 and 2 < y < 125:
                    assert np.abs(frame[y, x].astype(int) - bone.color).max() > 40


def test_the_background_is_still_and_moves_with_the_camera() -> None:
    def count_changes(camera_motion: float) -> float:
        frames = make(num_frames=20, camera_motion=camera_motion).frames(0)
        greys = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames[[0, 10]]]
        return float((cv2.absdiff(*greys) > 15).mean())

    assert count_changes(0) < 0.25
    assert count_changes(0.1) > 1.5 * count_changes(0)


def test_no_joint_is_known_from_where_the_others_are() -> None:
    data = make(num_videos=40, num_frames=30)
    joints = np.concatenate([data_joints(data, video) for video in range(40)]) / 64
    centre = joints.mean(axis=1, keepdims=True)
    # hands and feet, from the middle of the figure
    spread = np.linalg.norm((joints - centre)[:, 3:].std(axis=0), axis=1)
    assert spread.min() > 0.1
    assert ((joints > 0) & (joints < 1)).mean() > 0.97


def data_joints(data: FramePairsShapes, video: int) -> np.ndarray:
    """Joints without drawing the video."""
    rng = np.random.default_rng([2, video])
    return figure_scene(rng, num_frames=data.num_frames, size=data.size)[1]


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        pytest.param({'split': 'dev'}, r"split must be one of .*, got split='dev'", id='split'),
        pytest.param({'num_videos': 0}, 'num_videos must be at least 1', id='empty'),
        pytest.param({'gap_frames': 60}, 'gap_frames must be .* less than num_frames', id='gap'),
        pytest.param({'size': 16}, 'size must be at least 32 pixels', id='size'),
        pytest.param({'camera_motion': 1}, r'camera_motion must be in \[0, 0.15\]', id='camera'),
    ],
)
def test_wrong_options_are_refused(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        make(**options)


def test_wrong_numbers_are_refused() -> None:
    with pytest.raises(IndexError, match=r'index must lie in 0..164, got index=165'):
        make()[165]
