"""Generated figures: joints are where the picture shows them, and nothing simple tells them.

Annotated frames: read one by one, and divided for a regression.
"""

from pathlib import Path

import cv2
import numpy as np
import pytest

from projects.bkind.labeled_data import (
    BONES,
    JOINTS,
    AnnotatedFrames,
    FramePairsShapes,
    RegressionFrames,
    figure_scene,
)
from tests.moving_boxes import HEIGHT, WIDTH, draw_frames, write_video

PACK = [{'type': 'ResizePair', 'size': 32}, {'type': 'PackPair'}]


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


def test_annotated_frames_of_a_video_are_read(tmp_path: Path) -> None:
    write_video(tmp_path / 'a.mp4', 12)
    (tmp_path / 'a.csv').write_text('frame,nose_x,nose_y\n7,10,20\n3,,\n')
    frames = AnnotatedFrames(
        annotations=str(tmp_path / 'a.csv'), video=str(tmp_path / 'a.mp4'), pipeline=PACK
    )
    assert (len(frames), frames.metainfo) == (2, {'joints': ('nose',)})
    sample = frames[0]
    known = sample['data_samples']
    assert sample['inputs'].shape == (1, 3, 32, 32)
    assert (known.name, known.frame, known.frame_size) == ('a.mp4_000007', 7, (WIDTH, HEIGHT))
    assert known.gt_joints.tolist() == [[10, 20]]
    assert frames[1]['data_samples'].gt_joints.isnan().all()
    whole = AnnotatedFrames(
        annotations=str(tmp_path / 'a.csv'), video=str(tmp_path / 'a.mp4'), pipeline=[]
    )
    assert np.abs(whole[0]['imgs'][0] - 1.0 * draw_frames(8)[7]).mean() < 5
    with pytest.raises(ValueError, match='must have paths of images, got the frame number 7'):
        AnnotatedFrames(annotations=str(tmp_path / 'a.csv'), pipeline=PACK)


def test_annotated_images_of_12_bits_are_not_black(tmp_path: Path) -> None:
    """They were read as grey 2 to 13, while the videos they are from were not."""
    for number, level in enumerate((1000, 4000)):
        cv2.imwrite(str(tmp_path / f'{number}.png'), np.full((8, 8), level, np.uint16))
    (tmp_path / 'a.csv').write_text('image,nose_x,nose_y\n0.png,1,2\n1.png,1,2\n')
    frames = AnnotatedFrames(annotations=str(tmp_path / 'a.csv'), pipeline=[])
    levels = [frames[i]['imgs'][0].mean() for i in range(2)]
    assert levels == [1000 >> 4, 4000 >> 4]


def test_annotated_images_are_read(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / 'one.png'), draw_frames(1)[0][..., ::-1])
    (tmp_path / 'two.png').write_bytes(b'no picture')
    (tmp_path / 'a.csv').write_text('image,nose_x,nose_y\none.png,10,20\ntwo.png,1,2\n')
    frames = AnnotatedFrames(annotations=str(tmp_path / 'a.csv'), pipeline=[])
    np.testing.assert_array_equal(frames[0]['imgs'][0], draw_frames(1)[0])
    assert (frames[0]['name'], frames[0]['frame']) == ('one.png', 0)
    with pytest.raises(ValueError, match=r'must be a picture, got .*two\.png'):
        frames[1]
    with pytest.raises(ValueError, match=r"must have numbers of frames, got 'one\.png'; leave"):
        AnnotatedFrames(annotations=str(tmp_path / 'a.csv'), video='a.mp4', pipeline=[])


def test_a_regression_has_frames_to_fit_and_to_test() -> None:
    shapes = {'type': 'FramePairsShapes', 'num_videos': 1, 'num_frames': 14, 'pipeline': PACK}
    fitted, tested = ({**shapes, 'split': split} for split in ('train', 'test'))
    frames = RegressionFrames(fitted=fitted, tested=tested, max_frames=4)
    assert frames.metainfo == {'joints': JOINTS}
    samples = [frames[i]['data_samples'] for i in range(len(frames))]
    assert [sample.part for sample in samples] == ['fitted'] * 4 + ['tested'] * 4
    assert [sample.name for sample in samples[3:5]] == ['train_000000_000008', 'test_000000_000000']
    assert samples[0].frame_size == (64, 64)
    with pytest.raises(ValueError, match='max_frames must be at least 1, got max_frames=0'):
        RegressionFrames(fitted=fitted, tested=tested, max_frames=0)


def test_a_regression_needs_the_same_points(tmp_path: Path) -> None:
    shapes = {'type': 'FramePairsShapes', 'split': 'train', 'num_videos': 1, 'pipeline': PACK}
    cv2.imwrite(str(tmp_path / 'one.png'), draw_frames(1)[0])
    (tmp_path / 'a.csv').write_text('image,nose_x,nose_y\none.png,10,20\n')
    other = {'type': 'AnnotatedFrames', 'annotations': str(tmp_path / 'a.csv'), 'pipeline': PACK}
    with pytest.raises(ValueError, match=r"must know the same points, got \('hip', .*\('nose',\)"):
        RegressionFrames(fitted=shapes, tested=other)
