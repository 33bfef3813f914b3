"""MMAction2's pickles and OpenPose's arrays, and that a pickle never runs code."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmotion.keypoints.arrays import read_mmaction_pickle, read_pose_array, write_mmaction_pickle
from mmotion.keypoints.files import PoseFileError
from mmotion.keypoints.skeletons import COCO17, MEDIAPIPE33, OPENPOSE18
from mmotion.registry import DATASETS
from tests.pose_videos import assert_equal, make_video


def labeled(seed: int, label: str, split: str = 'train', **fields: Any) -> Any:
    labels = {'label': label, 'split': split, 'group': f'g{seed}'}
    return make_video(seed=seed, labels=labels, **fields)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    videos = [
        labeled(1, 'squat', nobody=(0, 4)),
        labeled(2, 'jump', people=2, split='val'),
        labeled(3, 'squat', split='train extra', nobody=range(12)),
    ]
    write_mmaction_pickle(videos, tmp_path / 'poses.pkl')
    found = read_mmaction_pickle(tmp_path / 'poses.pkl')
    for one, other in zip(found, videos, strict=True):
        assert_equal(one, other)


def test_other_skeletons_are_told_by_the_file_or_the_caller(tmp_path: Path) -> None:
    path = tmp_path / 'poses.pkl'
    write_mmaction_pickle([labeled(1, 'squat', skeleton=MEDIAPIPE33)], path)
    assert read_mmaction_pickle(path)[0].skeleton == MEDIAPIPE33
    annotation = foreign(num_points=18)
    path.write_bytes(pickle.dumps([annotation]))
    (video,) = read_mmaction_pickle(path, skeleton=OPENPOSE18, fps=21.5)
    assert (video.skeleton, video.fps) == (OPENPOSE18, 21.5)
    with pytest.raises(PoseFileError, match=r'annotations\[0\] must be .* got 18'):
        read_mmaction_pickle(path, fps=21.5)
    with pytest.raises(PoseFileError, match='fps must be given'):
        read_mmaction_pickle(path, skeleton=OPENPOSE18)


def test_people_without_tracks_stay_people_without_tracks(tmp_path: Path) -> None:
    untracked = labeled(1, 'squat', people=2, track=False, nobody=(3,))
    write_mmaction_pickle([untracked], tmp_path / 'poses.pkl')
    found = read_mmaction_pickle(tmp_path / 'poses.pkl')[0]
    assert found.tracks == ()
    assert_equal(found, untracked)


def test_mmaction_trains_on_what_is_written(tmp_path: Path) -> None:
    videos = [labeled(i, 'jump' if i % 2 else 'squat', people=1 + i % 2) for i in range(4)]
    write_mmaction_pickle(videos, tmp_path / 'poses.pkl')
    data = DATASETS.build(
        {
            'type': 'mmaction.PoseDataset',
            'ann_file': str(tmp_path / 'poses.pkl'),
            'split': 'train',
            'pipeline': [
                {'type': 'PreNormalize2D'},
                {'type': 'GenSkeFeat', 'dataset': 'coco', 'feats': ['j']},
                {'type': 'UniformSampleFrames', 'clip_len': 8},
                {'type': 'PoseDecode'},
                {'type': 'FormatGCNInput', 'num_person': 2},
                {'type': 'PackActionInputs'},
            ],
        }
    )
    assert [int(data[i]['data_samples'].gt_label) for i in range(4)] == [1, 0, 1, 0]
    assert data[0]['inputs'].shape == (1, 2, 8, 17, 3)


def foreign(num_points: int = 17) -> dict[str, Any]:
    """An annotation as in MMAction2's own files."""
    rng = np.random.default_rng(0)
    keypoint = rng.uniform(1, 300, (2, 6, num_points, 2)).astype(np.float16)
    score = rng.uniform(0.1, 1, (2, 6, num_points)).astype(np.float16)
    keypoint[1, 3:], score[1, 3:] = 0, 0
    return {
        'frame_dir': 'S001C001P001R001A001',
        'label': np.int64(7),
        'img_shape': (1080, 1920),
        'original_shape': (1080, 1920),
        'total_frames': 6,
        'keypoint': keypoint,
        'keypoint_score': score,
    }


@pytest.mark.parametrize('protocol', [2, 3, 4, 5])
def test_files_of_others_are_read(tmp_path: Path, protocol: int) -> None:
    annotation = foreign()
    parts = {'xsub_train': [annotation['frame_dir']], 'xsub_val': []}
    content = {'split': parts, 'annotations': [annotation]}
    (tmp_path / 'ntu.pkl').write_bytes(pickle.dumps(content, protocol=protocol))
    (video,) = read_mmaction_pickle(tmp_path / 'ntu.pkl', fps=25.0)
    assert (video.width, video.height, video.fps, video.num_frames) == (1920, 1080, 25.0, 6)
    assert video.labels == {'label': '7', 'split': 'xsub_train'} and video.skeleton == COCO17
    assert [len(persons) for persons in video.frames] == [2, 2, 2, 1, 1, 1]
    np.testing.assert_array_equal(video.frames[2][1].keypoints, annotation['keypoint'][1, 2])


class Attack:
    """Writes a file while it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f'touch {self.path}',)


def test_a_pickle_never_runs_code(tmp_path: Path) -> None:
    path, trace = tmp_path / 'evil.pkl', tmp_path / 'trace'
    for content in ([Attack(trace)], [{'keypoint': np.array([Attack(trace)], dtype=object)}]):
        path.write_bytes(pickle.dumps(content))
        with pytest.raises(
            PoseFileError, match=r'evil\.pkl: .* got posix.system in it, which is not'
        ):
            read_mmaction_pickle(path)
        assert not trace.exists()


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        pytest.param(b'', 'the file must be a pose pickle', id='empty'),
        pytest.param(
            pickle.dumps([foreign()])[:200], 'the file must be a pose pickle', id='cut-off'
        ),
        pytest.param(b'path,label\n', 'the file must be a pose pickle', id='text'),
        pytest.param(
            b'\x80\x04\x95' + b'\xff' * 8,
            'the file must be a pose pickle, got FRAME length',
            id='too-long',
        ),
        pytest.param(pickle.dumps(3), 'annotations must be a list, got int', id='number'),
        pytest.param(pickle.dumps({'split': {}}), 'annotations must be a list', id='no-list'),
        pytest.param(
            pickle.dumps([foreign(), {'frame_dir': 'a'}]),
            r"annotations\[1\] must be as in a pose pickle, got no 'keypoint'",
            id='no-keypoints',
        ),
    ],
)
def test_a_broken_pickle_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / 'bad.pkl').write_bytes(content)
    with pytest.raises(PoseFileError, match=rf'bad\.pkl: {message}'):
        read_mmaction_pickle(tmp_path / 'bad.pkl', fps=25.0)


def test_what_cannot_be_written_for_mmaction(tmp_path: Path) -> None:
    path = tmp_path / 'poses.pkl'
    with pytest.raises(ValueError, match=r"labels\['label'\] must be given .* got none for video3"):
        write_mmaction_pickle([make_video(seed=3)], path)
    with pytest.raises(ValueError, match='got 2 videos with 1 sources'):
        write_mmaction_pickle([labeled(1, 'a'), labeled(1, 'b')], path)
    assert not path.exists()
    with pytest.raises(FileNotFoundError, match=r'got .*poses\.pkl, which is none'):
        read_mmaction_pickle(path)


def test_arrays_of_openpose_are_read(tmp_path: Path) -> None:
    values = np.random.default_rng(0).uniform(1, 400, (6, 18, 3))
    values[..., 2] = 1.02
    values[2, 5] = 0
    values[4] = 0
    np.save(tmp_path / 'a.npy', values)
    video = read_pose_array(tmp_path / 'a.npy', skeleton=OPENPOSE18, fps=25.0)
    keypoints, scores = video.main_track()
    assert np.isnan(keypoints[2, 5]).all() and np.isnan(keypoints[4]).all()
    assert not scores[4].any() and set(scores[[0, 1, 3, 5]].flat) == {1.0}
    assert video.num_detections == 5 and video.frames[4] == ()
    assert video.width >= np.nanmax(keypoints[..., 0]) and video.height <= 401


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        pytest.param(
            np.zeros((5, 17, 3)), r'must have the shape \(T, 18, 3\), .* got \(5, 17', id='K'
        ),
        pytest.param(np.zeros((0, 18, 3)), r'got \(0, 18, 3\); name its skeleton', id='no-step'),
        pytest.param(np.full((5, 18, 3), np.inf), 'keypoints must be finite', id='infinite'),
        pytest.param(np.full((5, 18, 3), 7.0), r'scores must lie in \[0, 1\]', id='scores'),
        pytest.param(
            np.full((5, 18, 3), 0.7), r'must be in pixels, got none beyond 0\.7', id='shares'
        ),
        pytest.param(np.array([None]), 'Object arrays cannot be loaded', id='objects'),
    ],
)
def test_a_broken_array_is_named(tmp_path: Path, values: Any, message: str) -> None:
    np.save(tmp_path / 'bad.npy', values, allow_pickle=True)
    with pytest.raises(PoseFileError, match=rf'bad\.npy: .*{message}'):
        read_pose_array(tmp_path / 'bad.npy', skeleton=OPENPOSE18, fps=25.0)


@pytest.mark.parametrize(
    'content',
    [
        pytest.param(b'', id='empty'),
        pytest.param(b"\x93NUMPY\x01\x00\x0a\x00{'descr': (", id='open-bracket'),
        pytest.param(b'PK\x03\x04 no archive', id='archive'),
    ],
)
def test_what_is_no_array_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / 'bad.npy').write_bytes(content)
    with pytest.raises(PoseFileError, match=r'bad\.npy: the file must be an array of numbers, got'):
        read_pose_array(tmp_path / 'bad.npy', skeleton=OPENPOSE18, fps=25.0)


def test_real_sequences_are_read(data_root: Path) -> None:
    for path in sorted((data_root / 'poses' / 'pose_trainer').glob('*/*_1.npy')):
        video = read_pose_array(path, skeleton=OPENPOSE18, fps=25.0)
        assert video.num_detections == len(video.frames) > 20
