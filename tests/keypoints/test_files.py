"""The JSON file: what is written is read, and what is broken is named."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmotion.keypoints.files import PoseFileError, find_skeleton, read_poses, write_poses
from mmotion.keypoints.skeletons import MEDIAPIPE33, SKELETONS, Skeleton
from tests.pose_videos import assert_equal, make_video


@pytest.fixture
def content(tmp_path: Path) -> dict[str, Any]:
    """What a good file holds."""
    video = make_video(4, people=2, nobody=(2,), labels={'label': 'squat', 'group': 'ann'})
    write_poses(video, tmp_path / 'good.json')
    return json.loads((tmp_path / 'good.json').read_text())


@pytest.mark.parametrize('skeleton', SKELETONS.values(), ids=SKELETONS.keys())
def test_what_is_written_is_read(tmp_path: Path, skeleton: Skeleton) -> None:
    video = make_video(people=2, skeleton=skeleton, nobody=(0, 5), labels={'label': 'squat'})
    path = tmp_path / 'new' / 'folder' / 'v.json'
    write_poses(video, path)
    found = read_poses(path)
    assert_equal(found, video)
    assert found.num_detections == 10 and found.frames[5] == ()
    person = found.frames[1][1]
    assert person.score == 0.75 and person.box_xyxy is not None
    assert person.box_xyxy.tolist() == [5, 6, 407, 408]
    assert [*path.parent.iterdir()] == [path]
    # what was read is written as the same bytes
    write_poses(found, tmp_path / 'again.json')
    assert (tmp_path / 'again.json').read_bytes() == path.read_bytes()


def test_a_skeleton_of_ones_own_is_kept(tmp_path: Path) -> None:
    mouse = Skeleton('mouse', ('nose', 'left_ear', 'right_ear'), ((0, 1), (0, 2)), (0, 2, 1))
    write_poses(make_video(skeleton=mouse), tmp_path / 'v.json')
    assert read_poses(tmp_path / 'v.json').skeleton == mouse


def test_a_video_with_nobody_stays_one(tmp_path: Path) -> None:
    write_poses(make_video(3, nobody=(0, 1, 2), skeleton=MEDIAPIPE33), tmp_path / 'v.json')
    video = read_poses(tmp_path / 'v.json')
    assert video.frames == ((), (), ()) and np.isnan(video.main_track()[0]).all()


@pytest.mark.parametrize('word', ['null', 'NaN'])
def test_missing_coordinates_may_be_null_or_nan(tmp_path: Path, content: Any, word: str) -> None:
    content['frames'][0]['persons'][0]['keypoints'][3] = ['@', 7.5]
    path = tmp_path / 'v.json'
    path.write_text(json.dumps(content).replace('"@"', word))
    person = read_poses(path).frames[0][0]
    assert np.isnan(person.keypoints[3]).all() and person.scores[3] == 0


def test_what_may_be_left_out(tmp_path: Path, content: Any) -> None:
    del content['labels'], content['frames'][0]['persons'][0]['track']
    del content['frames'][0]['persons'][0]['box_xyxy']
    content['comment'] = 'of another program'
    (tmp_path / 'v.json').write_text(json.dumps(content))
    video = read_poses(tmp_path / 'v.json')
    assert video.labels == {} and video.frames[0][0].track is None


PERSON = ('frames', 1, 'persons', 0)


@pytest.mark.parametrize(
    ('place', 'value', 'message'),
    [
        pytest.param(
            ('format',), 'coco', 'format must be \'mmotion-poses\', got "coco"', id='format'
        ),
        pytest.param(('version',), 2, 'version must be 1, got 2', id='version'),
        pytest.param(('fps',), '25', 'fps must be a number, got "25"', id='fps-text'),
        pytest.param(('fps',), 0, 'fps must be above 0', id='fps-0'),
        pytest.param(('width',), 640.5, 'width must be a whole number, got 640.5', id='width'),
        pytest.param(
            ('num_frames',), True, 'num_frames must be a whole number, got true', id='true'
        ),
        pytest.param(('labels', 'label'), 3, 'labels.label must be text, got 3', id='label'),
        pytest.param(('frames',), {}, 'frames must be a list, got {}', id='frames'),
        pytest.param(('frames',), [], 'frame_indices must be a list of frames', id='no-frame'),
        pytest.param(('frames', 3), 7, r'frames\[3\] must be an object, got 7', id='frame'),
        pytest.param(('frames', 3, 'index'), 1, 'frame_indices must rise', id='order'),
        pytest.param(
            ('frames', 1, 'persons'),
            None,
            r'frames\[1\].persons must be a list, got null',
            id='persons',
        ),
        pytest.param(
            (*PERSON, 'keypoints', 0),
            [1],
            r'frames\[1\].persons\[0\].keypoints must be numbers',
            id='ragged',
        ),
        pytest.param(
            (*PERSON, 'keypoints', 0, 0),
            'x',
            r'frames\[1\].persons\[0\].keypoints must be num',
            id='text',
        ),
        pytest.param(
            (*PERSON, 'keypoints'),
            [[1, 2]],
            r'\.persons\[0\].scores must have one value',
            id='a-point',
        ),
        pytest.param(
            (*PERSON, 'scores', 0),
            1.5,
            r'frames\[1\].persons\[0\].scores must lie in',
            id='score-above-1',
        ),
        pytest.param(
            (*PERSON, 'score'), '1', r'frames\[1\].persons\[0\].score must be a number', id='score'
        ),
        pytest.param(
            (*PERSON, 'track'), 1.5, r'frames\[1\].persons\[0\].track must be a whole', id='track'
        ),
        pytest.param(
            (*PERSON, 'box_xyxy'),
            [1, 2],
            r'frames\[1\].persons\[0\].box_xyxy must be left',
            id='box',
        ),
        pytest.param(('skeleton', 'points', 0), 7, 'skeleton.points must be texts', id='points'),
        pytest.param(
            ('skeleton', 'edges', 2), [1], r'skeleton.edges\[2\] must be a pair', id='edge'
        ),
        pytest.param(('skeleton', 'mirror'), [0], 'skeleton.mirror of skeleton', id='mirror'),
    ],
)
def test_a_wrong_field_is_named(
    tmp_path: Path, content: Any, place: tuple[Any, ...], value: Any, message: str
) -> None:
    parent = content = copy.deepcopy(content)
    for key in place[:-1]:
        parent = parent[key]
    parent[place[-1]] = value
    path = tmp_path / 'bad.json'
    path.write_text(json.dumps(content))
    with pytest.raises(PoseFileError, match=rf'bad\.json: .*{message}'):
        read_poses(path)


@pytest.mark.parametrize('field', ['source', 'fps', 'skeleton', 'frames'])
def test_a_missing_field_is_named(tmp_path: Path, content: Any, field: str) -> None:
    del content[field]
    (tmp_path / 'bad.json').write_text(json.dumps(content))
    with pytest.raises(PoseFileError, match=f'bad.json: {field} must be .*, got nothing'):
        read_poses(tmp_path / 'bad.json')


@pytest.mark.parametrize(
    'content',
    [
        pytest.param(b'', id='empty'),
        pytest.param(b'{"format": "mmotion-poses", "ver', id='cut-off'),
        pytest.param(b'\xff\xd8\xff\xe0 a picture', id='binary'),
    ],
)
def test_a_file_that_is_no_json_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / 'bad.json').write_bytes(content)
    with pytest.raises(PoseFileError, match=r'bad\.json: the file must be JSON, got '):
        read_poses(tmp_path / 'bad.json')


def test_another_json_file_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / 'bad.json').write_text('[1, 2]')
    with pytest.raises(PoseFileError, match=r"format must be 'mmotion-poses', got \[1, 2\]"):
        read_poses(tmp_path / 'bad.json')
    with pytest.raises(FileNotFoundError, match=r'must be in a file, got .*none\.json'):
        read_poses(tmp_path / 'none.json')


def test_a_skeleton_is_found_by_name_or_in_a_file(tmp_path: Path) -> None:
    assert find_skeleton('mediapipe33') == MEDIAPIPE33
    write_poses(make_video(skeleton=MEDIAPIPE33), tmp_path / 'v.json')
    assert find_skeleton(str(tmp_path / 'v.json')) == MEDIAPIPE33
    content = {'name': 'hands', 'points': ['left_hand', 'right_hand'], 'edges': [[0, 1]]}
    (tmp_path / 'hands.json').write_text(json.dumps(content))
    assert find_skeleton(str(tmp_path / 'hands.json')).mirror == (1, 0)
    with pytest.raises(ValueError, match=r"skeleton must be one of coco17, .* got 'coco18'"):
        find_skeleton('coco18')
    (tmp_path / 'hands.json').write_text('{"name": "hands"}')
    with pytest.raises(PoseFileError, match=r'hands\.json: skeleton\.points must be a list'):
        find_skeleton(str(tmp_path / 'hands.json'))


def test_shares_of_the_picture_are_refused(tmp_path: Path, content: dict[str, Any]) -> None:
    for frame in content['frames']:
        for person in frame['persons']:
            person['keypoints'] = [[0.5, -0.2]] * len(person['keypoints'])
    (tmp_path / 'bad.json').write_text(json.dumps(content))
    with pytest.raises(PoseFileError, match=r'bad\.json: keypoints must be in pixels, got'):
        read_poses(tmp_path / 'bad.json')
