import json

import numpy as np
import pytest

from mmotion.regions.files import (
    MAX_GAP_FRAMES,
    MIN_TRACK_FRAMES,
    Detection,
    join_detections,
    read_region_file,
    read_regions,
)

BOX = [10, 20, 200, 300]


@pytest.fixture
def write(tmp_path):
    def write(content, name='regions.json'):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def walk(start, *, frames=range(40), step=0.0, **more):
    """Detections of 40 x 80 pixels, from the corner `start` on to the right."""
    x, y = start
    return [
        Detection(frame=i, box_xyxy=(x + step * i, y, x + step * i + 40, y + 80), **more)
        for i in frames
    ]


# what the user writes


def test_boxes_and_files_together(write):
    file = write({'regions': [{'name': 'file', 'box_xyxy': BOX}]})
    regions = read_regions(['0,0,50.5,80', 'left=-1,.5,110,80', str(file)])
    assert [region.name for region in regions] == ['1', 'left', 'file']
    boxes = [region.boxes_xyxy[0].tolist() for region in regions]
    assert boxes == [[0, 0, 50.5, 80], [-1, 0.5, 110, 80], BOX]


@pytest.mark.parametrize(
    ('texts', 'message'),
    [
        pytest.param(['1,2,3'], "JSON file that is there, got '1,2,3'", id='three numbers'),
        pytest.param(['1,2,3,x'], "got '1,2,3,x'", id='no number'),
        pytest.param(['0,0,nan,9'], "got '0,0,nan,9'", id='NaN'),
        pytest.param(['none.json'], "got 'none.json'", id='missing file'),
        pytest.param(['9,0,3,5'], "box_xyxy of region '1' must be finite .* x1 < x2", id='x2 < x1'),
        pytest.param(['=0,0,9,9'], "must be a text, got name=''", id='empty name'),
        pytest.param(['a=0,0,9,9', 'a=0,0,8,8'], "got 2 with name='a'", id='same names'),
        pytest.param([], 'at least one region, got none', id='none'),
    ],
)
def test_bad_texts(texts, message):
    with pytest.raises(ValueError, match=message):
        read_regions(texts)


# files of regions


def test_a_file_of_regions(write):
    frames = [{'frame': 0, 'box_xyxy': BOX}, {'frame': 30, 'box_xyxy': [20, 20, 210, 300]}]
    content = [{'name': 'left', 'box_xyxy': BOX, 'count': 3}, {'name': 'p2', 'frames': frames}]
    left, moving = read_region_file(write({'regions': content, 'video': 'a.mp4'}))
    assert (left.name, left.is_fixed, moving.name, moving.is_fixed) == ('left', True, 'p2', False)
    assert moving.boxes_at([15])[0].tolist() == [15, 20, 205, 300]
    # and back
    again = read_region_file(write({'regions': [left.to_dict(), moving.to_dict()]}))
    assert [region.to_dict() for region in again] == [left.to_dict(), moving.to_dict()]


def a_region(**entry):
    return {'regions': [{'name': 'a', **entry}]}


def a_frame(**entry):
    return a_region(frames=[{'frame': 0, 'box_xyxy': BOX}, entry])


def a_detection(**entry):
    return [{'image_id': 0, 'bbox': BOX, **entry}]


BAD_FILES = {
    'no JSON': ('{"regions": [', 'a file of regions must be JSON, got .*regions.json'),
    'a picture': ('\x00\x01', 'must be JSON'),
    'nested without end': ('[' * 100_000, 'must be JSON'),
    'a number': ('3', r'must be {"regions": \[...\]}, or the list'),
    'other keys': ({'annotations': []}, r'must be {"regions": \[...\]}'),
    'regions is no list': ({'regions': {}}, r'must be {"regions": \[...\]}'),
    'no region': ({'regions': []}, 'at least one region, got none'),
    'a region is a text': ({'regions': ['a']}, r"regions\[0\] must be an object .* got 'a'"),
    'no name': ({'regions': [{'box_xyxy': BOX}]}, r"regions\[0\] must have name, got \['box_xyxy"),
    'no box': (a_region(), r'must have box_xyxy or frames'),
    'box and frames': (a_region(box_xyxy=BOX, frames=[]), 'must have box_xyxy or frames'),
    'no frames': (a_region(frames=[]), r'must have frames as a list that is not empty, got \[\]'),
    'box is a text': (a_region(box_xyxy='1,2,3,4'), "region 'a' must have four numbers"),
    'box of three': (a_region(box_xyxy=[1, 2, 3]), "region 'a' must have four numbers"),
    'box with NaN': (a_region(box_xyxy=[0, 0, float('nan'), 9]), "region 'a' must be finite"),
    'box upside down': (a_region(box_xyxy=[0, 9, 9, 0]), 'y1 < y2'),
    'huge number': (a_region(box_xyxy=[0, 0, 10**400, 9]), "region 'a' must be finite numbers"),
    'frame without box': (a_frame(frame=1), r'regions\[0\].frames\[1\] must have box_xyxy'),
    'frame without number': (a_frame(box_xyxy=BOX), r'frames\[1\] must have frame, got'),
    'frame is a text': (a_frame(frame='1', box_xyxy=BOX), "counted from 0, got frame='1'"),
    'negative frame': (a_frame(frame=-1, box_xyxy=BOX), 'counted from 0, got frame=-1'),
    'frames fall': (a_frame(frame=0, box_xyxy=BOX), 'must be counted from 0 and rise'),
    'box of a frame': (a_frame(frame=1, box_xyxy=[1]), r'frames\[1\] must have four finite'),
    'same names': ({'regions': [{'name': 'a', 'box_xyxy': BOX}] * 2}, "got 2 with name='a'"),
    'empty list': ([], 'got 0 detections, 0 with that score'),
    'detection is a number': ([3], r'detection 0 must be an object'),
    'detection without box': ([{'image_id': 0}], r"detection 0 must have bbox, got \['image_id'\]"),
    'detection without frame': ([{'bbox': BOX}], 'detection 0 must have image_id'),
    'detection with NaN': (a_detection(bbox=[0, 0, float('nan'), 1]), 'four finite numbers'),
    'detection without size': (a_detection(bbox=[5, 5, 0, 9]), r'a size above 0, got \[5, 5, 0'),
    'score above 1': (a_detection(score=98), r'must have a score in \[0, 1\], got score=98'),
    'score is null': (a_detection(score=None), 'got score=None'),
    'name of a picture': (a_detection(image_id='0001.jpg'), "got image_id='0001.jpg'"),
    'category is a text': (a_detection(category_id='person'), "got category_id='person'"),
    'track is a list': (a_detection(track_id=[1]), r'got track_id=\[1\]'),
}  # fmt: skip


@pytest.mark.parametrize(('content', 'message'), BAD_FILES.values(), ids=BAD_FILES)
def test_bad_files(write, content, message):
    path = write(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_region_file(path)
    assert str(path) in str(caught.value) and '\n' not in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(OSError, match='folder'):
        read_region_file(tmp_path / 'folder')


# detectors


def test_a_file_of_a_detector(write):
    found = [
        {'image_id': i, 'category_id': 1, 'bbox': [10 + i, 20, 190, 280], 'score': 0.9}
        for i in range(40)
    ]
    (region,) = read_region_file(write(found))
    assert region.name == '1'
    assert region.boxes_at([0, 39]).tolist() == [[10, 20, 200, 300], [49, 20, 239, 300]]


def test_the_tracks_of_a_detector(write):
    found = [
        {'frame': i, 'bbox': [10, 20, 30, 40], 'track_id': track}
        for i in range(40)
        for track in (7, 'ball', None)
    ]
    assert [region.name for region in read_region_file(write(found))] == ['7', 'ball']


def test_two_things_that_pass_each_other():
    one = walk((0, 0), step=4)
    other = walk((160, 60), step=-4)
    tracks = join_detections([*other, *one])
    assert [region.name for region in tracks] == ['1', '2']
    steps = {round(float(np.diff(track.boxes_xyxy[:, 0]).mean())) for track in tracks}
    assert steps == {4, -4}
    assert all(len(track.frames) == 40 for track in tracks)


def test_the_best_overlap_comes_first():
    # the second box overlaps the first track as well, but its own more
    near = walk((0, 0)), walk((15, 0))
    tracks = join_detections([box for boxes in zip(*near, strict=True) for box in reversed(boxes)])
    assert [np.ptp(track.boxes_xyxy, axis=0).max() for track in tracks] == [0, 0]


def test_a_box_belongs_to_one_thing():
    # where the second is not found, its track does not take the box of the first
    found = walk((0, 0)) + walk((15, 0), frames=range(35))
    assert sorted(len(track.frames) for track in join_detections(found)) == [35, 40]


def test_other_categories_are_other_things():
    frames = range(0, 40, 2), range(1, 40, 2)
    found = [*walk((0, 0), frames=frames[0], category=1)]
    found += walk((0, 0), frames=frames[1], category=2)
    assert [len(track.frames) for track in join_detections(found)] == [20, 20]


@pytest.mark.parametrize(
    ('gap', 'num_tracks'),
    [pytest.param(MAX_GAP_FRAMES, 1, id='short'), pytest.param(MAX_GAP_FRAMES + 1, 2, id='long')],
)
def test_a_thing_that_is_hidden(gap, num_tracks):
    found = walk((0, 0)) + walk((0, 0), frames=range(39 + gap, 79 + gap))
    assert len(join_detections(found)) == num_tracks


def test_a_jump_is_another_thing():
    found = walk((0, 0)) + walk((30, 0), frames=range(40, 80))
    assert len(join_detections(found)) == 2


def test_what_is_left_out():
    long, short = walk((0, 0)), walk((200, 0), frames=range(MIN_TRACK_FRAMES - 1))
    unsure = walk((400, 0), score=0.49)
    (region,) = join_detections([*long, *short, *unsure])
    assert region.boxes_xyxy[0, 0] == 0
    with pytest.raises(ValueError, match='got 69 detections, 29 with that score, and no track'):
        join_detections([*short, *unsure])


def test_a_detector_that_looks_at_every_tenth_frame():
    (region,) = join_detections(walk((0, 0), frames=range(0, 100, 10)))
    assert region.frames.tolist() == list(range(0, 100, 10))


def test_two_boxes_of_a_track_in_one_frame():
    with pytest.raises(ValueError, match="region '5' must be counted from 0 and rise"):
        join_detections(walk((0, 0), track=5) + walk((50, 0), track=5))
