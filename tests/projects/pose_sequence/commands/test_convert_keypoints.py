"""Keypoint files are turned into each other's formats, and come back as they were."""

import json
from pathlib import Path

import numpy as np
import pytest

from mmotion.cli import main
from mmotion.keypoints.arrays import read_mmaction_pickle, write_mmaction_pickle
from mmotion.keypoints.coco import read_coco
from mmotion.keypoints.files import read_poses, write_poses
from mmotion.keypoints.poses import PoseVideo
from tests.pose_videos import assert_equal, make_video, write_deeplabcut


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


def test_deeplabcut_becomes_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / 'dlc' / 'run' / 'aDLC_net.csv'
    write_deeplabcut(make_video(), file)
    for source in (file, tmp_path / 'dlc'):
        assert convert(source, tmp_path / source.name, '--to', 'json', '--fps', 30) == 0
    one = read_poses(tmp_path / 'aDLC_net.csv' / 'aDLC_net.json')
    other = read_poses(tmp_path / 'dlc' / 'run' / 'aDLC_net.json')
    assert other.labels == {'label': 'run'} and one.fps == other.fps == 30
    np.testing.assert_allclose(one.main_track()[0], make_video().main_track()[0], atol=1e-3)
    assert convert(file, tmp_path / 'none', '--to', 'json') == 2
    assert 'fps must be given for files of DeepLabCut' in capsys.readouterr().err


def test_a_broken_file_is_left_out_and_named(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / 'jump' / 'broken.json').write_text('{"format": 1')
    assert convert(folder, tmp_path / 'poses.pkl', '--to', 'mmaction') == 1
    output = capsys.readouterr()
    assert '4 videos written' in output.out and '1 left out' in output.out
    assert 'left out: ' in output.err and 'broken.json' in output.err


def test_each_video_has_a_file_of_its_own(tmp_path: Path, capsys) -> None:
    names = ('a/clip.v1', 'a/clip.v2', 'b/clip.v1', 'b/CLIP.V2.mp4')
    videos = [
        make_video(seed=i, source=name, labels={'label': 'run'}) for i, name in enumerate(names)
    ]
    write_mmaction_pickle(videos, tmp_path / 'poses.pkl')
    assert convert(tmp_path / 'poses.pkl', tmp_path / 'out', '--to', 'json') == 0
    assert '4 videos written' in capsys.readouterr().out
    found = read_all(tmp_path / 'out')
    stems = ['CLIP.V2-2', 'clip.v1', 'clip.v1-2', 'clip.v2']
    assert sorted(found) == sorted(f'run/{stem}.json' for stem in stems)
    assert {video.source for video in found.values()} == set(names)
    # a folder is converted by the names of its files
    assert convert(tmp_path / 'out', tmp_path / 'coco', '--to', 'coco') == 0
    files = sorted(path.stem for path in (tmp_path / 'coco' / 'run').iterdir())
    assert files == sorted(stems)


@pytest.mark.parametrize('kind', ['json', 'coco'])
def test_what_is_read_is_not_written_over(folder: Path, capsys, kind: str) -> None:
    before = {path: path.read_bytes() for path in folder.rglob('*.json')}
    link = folder.parent / 'link'
    link.symlink_to(folder)
    for target in (folder, link):
        assert convert(folder, target, '--to', kind) == 2
        assert 'TARGET must be another place than SOURCE' in capsys.readouterr().err
    assert {path: path.read_bytes() for path in folder.rglob('*.json')} == before


def test_a_pickle_is_not_written_over(tmp_path: Path, capsys) -> None:
    video = make_video(labels={'label': 'run'})
    write_mmaction_pickle([video], tmp_path / 'poses.pkl')
    before = (tmp_path / 'poses.pkl').read_bytes()
    assert convert(tmp_path / 'poses.pkl', tmp_path / 'poses.pkl', '--to', 'mmaction') == 2
    assert 'TARGET must be another place' in capsys.readouterr().err
    assert (tmp_path / 'poses.pkl').read_bytes() == before


@pytest.mark.parametrize('label', ['../../X', '/X', '..', '', 'push/pull', r'a\b'])
def test_a_label_does_not_lead_out_of_the_target(tmp_path: Path, capsys, label: str) -> None:
    write_mmaction_pickle([make_video(labels={'label': label})], tmp_path / 'poses.pkl')
    assert convert(tmp_path / 'poses.pkl', tmp_path / 'in' / 'out', '--to', 'json') == 2
    assert 'label must be the name of a folder' in capsys.readouterr().err
    assert [path.name for path in tmp_path.rglob('*')] == ['poses.pkl']


def test_skeleton_and_rate_of_files_that_do_not_tell(tmp_path: Path, capsys) -> None:
    (tmp_path / 'poses' / 'run').mkdir(parents=True)
    values = np.random.default_rng(0).uniform(10, 90, (20, 3, 3))
    values[..., 2] = 0.5
    np.save(tmp_path / 'poses' / 'run' / 'a.npy', values)
    skeleton = {'name': 'mouse', 'points': ['snout', 'back', 'tail'], 'edges': [[0, 1], [1, 2]]}
    (tmp_path / 'mouse.json').write_text(json.dumps({'skeleton': skeleton}))
    options = ['--to', 'mmaction', '--skeleton', tmp_path / 'mouse.json']
    assert convert(tmp_path / 'poses', tmp_path / 'a.pkl', *options) == 2
    assert 'skeleton and fps must be given for arrays' in capsys.readouterr().err
    assert convert(tmp_path / 'poses', tmp_path / 'a.pkl', *options, '--fps', 21.5) == 0
    (video,) = read_mmaction_pickle(tmp_path / 'a.pkl')
    assert (video.fps, video.skeleton.name) == (21.5, 'mouse')
    assert video.skeleton.points == ('snout', 'back', 'tail')
    assert video.skeleton.edges == ((0, 1), (1, 2))
    np.testing.assert_allclose(video.main_track()[0], values[..., :2], rtol=1e-6)


def test_an_unknown_skeleton(folder: Path, tmp_path: Path, capsys) -> None:
    assert convert(folder, tmp_path / 'a.pkl', '--to', 'mmaction', '--skeleton', 'coco99') == 2
    assert 'skeleton must be one of coco17, ' in capsys.readouterr().err


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
