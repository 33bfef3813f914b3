"""Keypoint files are turned into each other's formats, and come back as they were."""

from pathlib import Path

import pytest

from mmotion.cli import main
from mmotion.keypoints.arrays import read_mmaction_pickle
from mmotion.keypoints.coco import read_coco
from mmotion.keypoints.files import read_poses, write_poses
from mmotion.keypoints.poses import PoseVideo
from tests.pose_videos import assert_equal, make_video


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two videos each of two classes, named by their folders."""
    root = tmp_path / 'poses'
    for i, label in enumerate(('jump', 'jump', 'squat', 'squat')):
        write_poses(make_video(seed=i), root / label / f'video{i}.json')
    return root


def convert(*arguments: object) -> int:
    return main(['convert-keypoints', *map(str, arguments)])


def read_all(root: Path) -> dict[str, PoseVideo]:
    return {
        path.relative_to(root).as_posix(): read_poses(path) for path in sorted(root.rglob('*.json'))
    }


def test_to_mmaction_and_back(folder: Path, tmp_path: Path) -> None:
    assert convert(folder, tmp_path / 'poses.pkl', '--to', 'mmaction') == 0
    labels = [video.labels['label'] for video in read_mmaction_pickle(tmp_path / 'poses.pkl')]
    assert labels == ['jump', 'jump', 'squat', 'squat']
    assert convert(tmp_path / 'poses.pkl', tmp_path / 'back', '--to', 'json') == 0
    before, after = read_all(folder), read_all(tmp_path / 'back')
    assert list(after) == list(before)
    for name, video in after.items():
        assert video.labels.pop('label') == name.split('/')[0]
        assert_equal(video, before[name])


def test_to_coco_and_back(folder: Path, tmp_path: Path) -> None:
    assert convert(folder, tmp_path / 'coco', '--to', 'coco') == 0
    file = tmp_path / 'coco' / 'squat' / 'video2.json'
    assert read_coco(file).num_detections == 12
    assert convert(file, tmp_path / 'back', '--to', 'json') == 0
    back = read_poses(tmp_path / 'back' / 'video2.json')
    assert back.frame_indices.tolist() == list(range(0, 24, 2))


def test_a_broken_file_is_left_out_and_named(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / 'jump' / 'broken.json').write_text('{"format": 1')
    assert convert(folder, tmp_path / 'poses.pkl', '--to', 'mmaction') == 1
    output = capsys.readouterr()
    assert '4 videos written' in output.out and '1 left out' in output.out
    assert 'left out: ' in output.err and 'broken.json' in output.err


def test_an_unknown_skeleton(folder: Path, tmp_path: Path, capsys) -> None:
    assert convert(folder, tmp_path / 'a.pkl', '--to', 'mmaction', '--skeleton', 'coco99') == 2
    assert '--skeleton must be one of coco17, ' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('source', 'message'),
    [
        pytest.param('none', 'none', id='missing'),
        pytest.param('text.json', 'text.json', id='not COCO'),
        pytest.param('text.pkl', 'must be a pose pickle', id='not a pickle'),
    ],
)
def test_a_wrong_source_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], source: str, message: str
) -> None:
    for name in ('text.json', 'text.pkl'):
        (tmp_path / name).write_text('text')
    assert convert(tmp_path / source, tmp_path / 'out', '--to', 'json') == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()
