"""Pairs are cut, scaled, registered, freed of shadows and packed."""

import sys
import unicodedata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from mmotion.registry import TRANSFORMS
from mmotion.video import VideoError
from mmotion.video.sources import VideoSource, open_source
from projects.bkind.labeled_data import FramePairsShapes
from projects.bkind.transforms import Boxes, square_box
from tests.moving_boxes import HEIGHT, WIDTH, draw_frames, write_pictures, write_video


def apply(sample: dict[str, Any], type: str, **options: Any) -> dict[str, Any]:
    return TRANSFORMS.build({'type': type, **options})(dict(sample))


@pytest.fixture
def pair() -> dict[str, Any]:
    frames = draw_frames(18)
    return {'imgs': [frames[5], frames[17]], 'name': 'a_000005', 'video': 'a.mp4', 'frame': 5}


def test_both_frames_are_cut_to_the_box_as_far_as_it_is_within(pair) -> None:
    cut = apply({**pair, 'box': (-10.0, 8.4, 30.2, 48.0)}, 'CropBox')['imgs']
    for image, whole in zip(cut, pair['imgs'], strict=True):
        np.testing.assert_array_equal(image, whole[8:48, :30])
    with pytest.raises(ValueError, match="a pair must have a box to be cut, got none for 'a_0000"):
        apply(pair, 'CropBox')
    with pytest.raises(ValueError, match='a box must lie in the frame of 96 x 64 pixels'):
        apply({**pair, 'box': (100, 0, 120, 20)}, 'CropBox')


def test_frames_become_squares(pair) -> None:
    images = apply(pair, 'ResizePair', size=32)['imgs']
    assert [image.shape for image in images] == [(32, 32, 3)] * 2
    np.testing.assert_array_equal(
        images[0], cv2.resize(pair['imgs'][0], (32, 32), interpolation=cv2.INTER_AREA)
    )
    same = apply({'imgs': images}, 'ResizePair', size=32)['imgs']
    assert same[0] is images[0]
    assert apply(pair, 'ResizePair', size=128)['imgs'][1].shape == (128, 128, 3)
    with pytest.raises(ValueError, match='size must be at least 1 pixel, got size=0'):
        apply(pair, 'ResizePair', size=0)


def difference(pair: dict[str, Any], still: np.ndarray) -> float:
    """Mean absolute difference of the frames, in grey levels, where the figure is not."""
    # without the noise of the camera, which nothing takes away
    one, other = (cv2.GaussianBlur(image.astype(float), (0, 0), 2) for image in pair['imgs'])
    return float(np.abs(one - other).mean(-1)[still].mean())


def test_registering_takes_away_what_the_camera_moved() -> None:
    with_motion, without = [], []
    num_registered = 0
    moving = FramePairsShapes(
        split='test', num_videos=6, pipeline=[], num_frames=20, size=128, camera_motion=0.08
    )
    for video in range(6):
        sample = moving[15 * video + 7]
        registered = apply(sample, 'RegisterPair')
        num_registered += registered['registered']
        # around the figure; the camera may show at the border what it did not see before
        still = np.zeros((128, 128), bool)
        still[12:116, 12:116] = True
        for frame in (7, 12):
            low, high = moving.joints(video)[frame].min(0) - 14, moving.joints(video)[frame].max(0)
            (left, top), (right, bottom) = low.clip(0).astype(int), high.astype(int) + 14
            still[top:bottom, left:right] = False
        with_motion.append(difference(sample, still))
        without.append(difference(registered, still))
    assert num_registered >= 5
    assert np.mean(without) < 0.4 * np.mean(with_motion)


def test_what_the_camera_did_not_see_is_taken_from_the_first_frame() -> None:
    world = np.random.default_rng(0).uniform(60, 200, (20, 28, 3)).astype(np.float32)
    world = cv2.resize(world, (140, 100), interpolation=cv2.INTER_CUBIC).clip(0, 255)
    first, second = (world[:, start : start + 120].astype(np.uint8) for start in (0, 15))
    _, registered = apply({'imgs': [first, second]}, 'RegisterPair')['imgs']
    # the second frame begins 15 pixels further right
    np.testing.assert_array_equal(registered[:, :14], first[:, :14])
    assert np.abs(registered.astype(int) - first).mean() < 3 < np.abs(second - 1.0 * first).mean()


def test_frames_that_cannot_be_registered_stay() -> None:
    empty = {'imgs': [np.full((64, 64, 3), level, np.uint8) for level in (50, 60)]}
    result = apply(empty, 'RegisterPair')
    assert result['registered'] is False
    np.testing.assert_array_equal(result['imgs'], empty['imgs'])
    single = apply({'imgs': empty['imgs'][:1]}, 'RegisterPair')
    assert len(single['imgs']) == 1


def test_shadows_are_removed_with_what_the_video_shows(tmp_path: Path, pair) -> None:
    write_pictures(tmp_path / 'v')
    sample = {**pair, 'video': str(tmp_path / 'v')}
    for method in ('background', 'hsv'):
        cleaned = apply(sample, 'RemoveShadows', method=method, num_frames=12)['imgs']
        # the box stays
        for image, left in zip(cleaned, (10, 34), strict=True):
            assert image[26:38, left + 2 : left + 14].min() > 200
    changed = apply(sample, 'RemoveShadows', method='ssim', options={'threshold': 0.5})['imgs']
    # each frame is compared with the other one
    assert changed[0][32, 18].any()
    assert changed[1][32, 42].any()
    assert not changed[0][50:, 60:].any()
    single = {'imgs': sample['imgs'][:1], 'video': ''}
    assert apply(single, 'RemoveShadows', method='filter')['imgs'][0].shape == (HEIGHT, WIDTH, 3)
    with pytest.raises(ValueError, match=r"'background' must know the whole video.*mmotion re"):
        apply(single, 'RemoveShadows', method='background')


def test_a_video_is_learned_once_and_some_are_remembered(tmp_path: Path, monkeypatch) -> None:
    learned = []
    monkeypatch.setattr(
        VideoSource, 'sample', lambda self, n: learned.append(self.name) or draw_frames(n)
    )
    videos = [str(write_pictures(tmp_path / f'{i}', 2)) for i in range(9)]
    remove = TRANSFORMS.build({'type': 'RemoveShadows', 'method': 'background', 'num_frames': 4})
    for video in [videos[0], *videos, videos[8], videos[0]]:
        remove({'imgs': draw_frames(2), 'video': video})
    assert learned == [*videos, videos[0]]


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        pytest.param({'type': 'RegisterPair', 'max_error_px': 0}, 'max_error_px', id='error'),
        pytest.param({'type': 'RegisterPair', 'min_matches': 3}, 'at least 4', id='matches'),
        pytest.param({'type': 'RemoveShadows', 'method': 'x'}, 'method must be', id='method'),
        pytest.param(
            {'type': 'RemoveShadows', 'method': 'hsv', 'num_frames': 1}, 'num_frames', id='frames'
        ),
    ],
)
def test_wrong_options_are_refused(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        TRANSFORMS.build(options)


def test_a_pair_is_packed_with_what_is_known_of_it(pair) -> None:
    joints = np.arange(6.0).reshape(3, 2)
    packed = apply({**pair, 'gap': 6, 'weight': 0.5, 'gt_joints': joints}, 'PackPair')
    assert packed['inputs'].shape == (2, 3, HEIGHT, WIDTH)
    np.testing.assert_array_equal(packed['inputs'][1].permute(1, 2, 0), pair['imgs'][1])
    sample = packed['data_samples']
    assert (sample.name, sample.video, sample.frame, sample.gap) == ('a_000005', 'a.mp4', 5, 6)
    assert sample.weight == 0.5
    np.testing.assert_array_equal(sample.gt_joints, joints)
    alone = apply({'imgs': pair['imgs'][:1]}, 'PackPair')
    assert alone['inputs'].shape == (1, 3, HEIGHT, WIDTH)
    assert 'gt_joints' not in alone['data_samples']


@pytest.fixture
def sources(tmp_path: Path) -> list[VideoSource]:
    write_video(tmp_path / 'a.mp4', 4)
    write_pictures(tmp_path / 'S1' / 'Walking-1' / 'imageSequence' / '54138969', 4)
    return [
        open_source(tmp_path / 'a.mp4', name='a.mp4'),
        open_source(tmp_path / 'S1/Walking-1/imageSequence/54138969', name='s1'),
    ]


def test_boxes_are_of_a_video_or_of_a_frame(tmp_path: Path, sources) -> None:
    of_videos = Boxes({'a.mp4': [1, 2, 3, 4], 's1': [0, 0, 9, 9]}, sources)
    assert of_videos.find('a.mp4', 7) == (1, 2, 3, 4)
    table = tmp_path / 'boxes.csv'
    table.write_text(
        'video,left,top,right,bottom,frame\na.mp4,0,0,8,8,\na.mp4,1,1,9,9,2\ns1,0,0,5,5,1\n'
    )
    of_frames = Boxes(str(table), sources)
    assert of_frames.find('a.mp4', 2) == (1, 1, 9, 9)
    assert of_frames.find('a.mp4', 3) == (0, 0, 8, 8)
    with pytest.raises(VideoError, match=r'one for each frame .* got none for frame 2 of s1'):
        of_frames.find('s1', 2)


def test_boxes_are_found_however_the_accents_of_a_name_are_written(sources) -> None:
    sources[0].name, written = (unicodedata.normalize(f, 'Übung.mp4') for f in ('NFD', 'NFC'))
    boxes = Boxes({written: [1, 2, 3, 4], 's1': [0, 0, 9, 9]}, sources)
    assert boxes.find(sources[0].name, 7) == (1, 2, 3, 4) == boxes.find_fixed(sources[0].name)


def test_boxes_of_human36m_enclose_the_joints(tmp_path: Path, sources, monkeypatch) -> None:
    joints = np.array([[[10, 20], [20, 60]], [[0, 0], [1, 1]], [[30, 20], [40, 60]]], float)
    content = {
        'camera': np.array([54138969, 55011271, 54138969]),
        'frame': np.array([2, 2, 4]),
        'pose/2d': joints,
    }

    class File(dict):
        def __init__(self, path: Path, mode: str) -> None:
            assert (path.name, mode) == ('annot.h5', 'r')
            super().__init__(content)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

    with pytest.raises(FileNotFoundError, match=r'boxes must be the name of a file, got .*annot'):
        Boxes('annot.h5', sources[1:])
    (tmp_path / 'S1' / 'Walking-1' / 'annot.h5').touch()
    monkeypatch.setitem(sys.modules, 'h5py', None)
    with pytest.raises(ModuleNotFoundError, match=r"h5py must be installed to read boxes='annot"):
        Boxes('annot.h5', sources[1:])
    monkeypatch.setitem(sys.modules, 'h5py', SimpleNamespace(File=File))
    boxes = Boxes('annot.h5', sources[1:])
    # pictures are numbered from 1, frames from 0: 1.6 times the square around the joints
    assert boxes.find('s1', 1) == pytest.approx((-17, 8, 47, 72))
    assert boxes.find('s1', 3) == pytest.approx((3, 8, 67, 72))
    assert boxes.find('s1', 1) == square_box(joints[0])


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        pytest.param('a.mp4,0,0,8,8', r"boxes must have .*, got none for 's1' and 0", id='none'),
        pytest.param('a.mp4,9,0,8,8', r'line 2 of .*a box must be left, top', id='empty'),
        pytest.param(
            'a.mp4,0,0,8,x', r"bottom must be a number, got bottom='x' in line 2", id='word'
        ),
        pytest.param('a.mp4,0,0', r'for each of 5 columns, got 3 values in line 2', id='short'),
    ],
)
def test_broken_boxes_are_named(tmp_path: Path, sources, text: str, message: str) -> None:
    table = tmp_path / 'boxes.csv'
    table.write_text(f'video,left,top,right,bottom\n{text}\n')
    with pytest.raises(ValueError, match=message):
        Boxes(str(table), sources)
