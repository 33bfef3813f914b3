"""COCO keypoints: our own, those of others, and broken ones."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmotion.keypoints.coco import read_coco, write_coco
from mmotion.keypoints.files import PoseFileError
from mmotion.keypoints.skeletons import COCO17, OPENPOSE18
from tests.pose_videos import assert_equal, make_video


@pytest.mark.parametrize('skeleton', [COCO17, OPENPOSE18], ids=lambda skeleton: skeleton.name)
def test_what_is_written_is_read(tmp_path: Path, skeleton: Any) -> None:
    video = make_video(people=2, nobody=(0, 3), skeleton=skeleton, labels={'label': 'squat'})
    write_coco(video, tmp_path / 'v.json')
    found = read_coco(tmp_path / 'v.json')
    assert_equal(found, video)
    box = found.frames[1][0].box_xyxy
    assert found.frames[1][0].score == 0.75 and box is not None
    assert box.tolist() == [5, 6, 407, 408]


def foreign() -> dict[str, Any]:
    """Two pictures with a rabbit each, as an annotation tool writes them, in another order."""
    categories = [
        {'id': 1, 'name': 'box'},
        {
            'id': 4,
            'name': 'rabbit',
            'keypoints': ['nose', 'left_ear', 'right_ear'],
            'skeleton': [[1, 2], [1, 3]],
        },
    ]
    images = [
        {'id': 11, 'file_name': 'b.jpg', 'width': 64, 'height': 48},
        {'id': 10, 'file_name': 'a.jpg', 'width': 64, 'height': 48},
    ]
    rabbit = {'category_id': 4, 'bbox': [1, 2, 3, 4], 'iscrowd': 0}
    annotations = [
        {**rabbit, 'image_id': 10, 'keypoints': [1, 2, 2, 3, 4, 1, 0, 0, 0]},
        {**rabbit, 'image_id': 11, 'keypoints': [9, 8, 2, 3, 4, 2, 5, 6, 2]},
        {**rabbit, 'image_id': 11, 'keypoints': [], 'iscrowd': 1},
        {'category_id': 1, 'image_id': 11, 'bbox': [0, 0, 1, 1]},
    ]
    return {'images': images, 'annotations': annotations, 'categories': categories}


def test_files_of_others_are_read(tmp_path: Path) -> None:
    (tmp_path / 'v.json').write_text(json.dumps(foreign()))
    video = read_coco(tmp_path / 'v.json', fps=5.0)
    assert (video.fps, video.num_frames, video.skeleton.name) == (5.0, 2, 'rabbit')
    assert video.skeleton.mirror == (0, 2, 1) and video.skeleton.edges == ((0, 1), (0, 2))
    (first,), (second,) = video.frames
    assert first.scores.tolist() == [1.0, 0.5, 0.0] and np.isnan(first.keypoints[2]).all()
    assert second.keypoints.tolist() == [[9, 8], [3, 4], [5, 6]]
    assert first.box_xyxy is not None and first.box_xyxy.tolist() == [1, 2, 4, 6]


@pytest.mark.parametrize(
    ('names', 'frames'),
    [
        pytest.param(['f1.jpg', 'f2.jpg', 'f10.jpg'], [1, 2, 10], id='unpadded'),
        pytest.param(['v2/img0005.png', 'v2/img0025.png'], [5, 25], id='gap'),
        pytest.param(['a1_x.jpg', 'a2_y.jpg', 'a10_x.jpg'], [0, 1, 2], id='several-parts-differ'),
        pytest.param(['000000000139.jpg', '000000397133.jpg'], [139, 397133], id='coco'),
        pytest.param(['20240101120000.jpg', '20240101120001.jpg'], [0, 1], id='clock'),
        pytest.param(['a.jp2', 'b.jp2'], [0, 1], id='number-in-the-suffix'),
    ],
)
def test_numbers_in_names_are_those_of_frames(
    tmp_path: Path, names: list[str], frames: list[int]
) -> None:
    content = foreign()
    content['images'] = [
        {'id': i, 'file_name': name, 'width': 64, 'height': 48} for i, name in enumerate(names)
    ]
    content['annotations'] = []
    content['images'].reverse()
    (tmp_path / 'v.json').write_text(json.dumps(content))
    video = read_coco(tmp_path / 'v.json', fps=10.0)
    assert video.frame_indices.tolist() == frames and video.num_frames == frames[-1] + 1


def test_a_rate_is_not_guessed_and_pixels_are_not_shares(tmp_path: Path) -> None:
    content = foreign()
    (tmp_path / 'v.json').write_text(json.dumps(content))
    with pytest.raises(PoseFileError, match=r'v\.json: .* fps must be given'):
        read_coco(tmp_path / 'v.json')
    for annotation in content['annotations'][:2]:
        annotation['keypoints'] = [0.1, 0.2, 2, 0.3, 0.4, 2, 0.5, 1.1, 2]
    (tmp_path / 'v.json').write_text(json.dumps(content))
    with pytest.raises(PoseFileError, match=r'must be in pixels, got none beyond 1\.1; if they'):
        read_coco(tmp_path / 'v.json', fps=10.0)


def test_scores_in_the_place_of_flags_are_read(tmp_path: Path) -> None:
    content = foreign()
    content['annotations'][0]['keypoints'] = [1, 2, 0.9, 3, 4, 1.0, 5, 6, 0.0]
    content['annotations'][1]['keypoints'][2::3] = [1, 1, 0]
    (tmp_path / 'v.json').write_text(json.dumps(content))
    (first,), (second,) = read_coco(tmp_path / 'v.json', fps=10.0).frames
    np.testing.assert_allclose(first.scores, [0.9, 1, 0])
    # of one file, though these numbers alone could be flags
    assert second.scores.tolist() == [1, 1, 0]
    assert first.keypoints[:2].tolist() == [[1, 2], [3, 4]] and np.isnan(first.keypoints[2]).all()


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        pytest.param(lambda c: c.pop('images'), "no 'images'", id='no-images'),
        pytest.param(lambda c: c['categories'].pop(), "no 'keypoints'", id='no-category'),
        pytest.param(lambda c: c['images'].pop(), 'no 10', id='unknown-image'),
        pytest.param(
            lambda c: c['annotations'][0]['keypoints'].pop(), 'reshape', id='half-a-point'
        ),
        pytest.param(lambda c: c['annotations'][0].pop('bbox'), "no 'bbox'", id='no-box'),
        pytest.param(
            lambda c: c['categories'][1]['keypoints'].append('left_eye'), 'left_eye', id='one-side'
        ),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, change: Any, message: str) -> None:
    content = foreign()
    change(content)
    (tmp_path / 'bad.json').write_text(json.dumps(content))
    with pytest.raises(PoseFileError, match=rf'bad\.json: .* COCO keypoints, got .*{message}'):
        read_coco(tmp_path / 'bad.json', fps=10.0)


def test_no_file_and_no_json(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r'keypoints must be in a file, got .*none\.json'):
        read_coco(tmp_path / 'none.json')
    (tmp_path / 'bad.json').write_text('{"images": ')
    with pytest.raises(PoseFileError, match=r'bad\.json: the file must be COCO keypoints, got Exp'):
        read_coco(tmp_path / 'bad.json')
