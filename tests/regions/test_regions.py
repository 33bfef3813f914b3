from types import SimpleNamespace

import numpy as np
import pytest

from mmotion.regions import CropWindow, Region, RegionResults, check_regions

VIDEO = dict(num_frames=200, fps=20.0, width=640, height=360)


def make_track(middles, *, sides=(100, 80), jitter=0.0):
    """A box for each frame around points (N, 2), with noise of `jitter` pixels on each edge."""
    middles, half = np.asarray(middles, float), np.asarray(sides) / 2
    boxes = np.concatenate([middles - half, middles + half], axis=1)
    boxes += np.random.default_rng(0).normal(0, jitter, boxes.shape)
    return Region(name='track', boxes_xyxy=boxes, frames=np.arange(len(boxes)))


def stay(num_frames=200, x=300, y=180):
    return np.tile([float(x), float(y)], (num_frames, 1))


# regions


def test_a_fixed_region_is_the_same_in_all_frames():
    region = Region(name='left', boxes_xyxy=[[1, 2, 30, 40.5]])
    assert region.is_fixed
    np.testing.assert_array_equal(region.boxes_at([0, 7]), [[1, 2, 30, 40.5]] * 2)
    assert region.to_dict() == {'name': 'left', 'box_xyxy': [1, 2, 30, 40.5]}


def test_a_track_is_linear_between_boxes_and_held_beyond_them():
    region = Region(name='p', boxes_xyxy=[[0, 0, 10, 10], [20, 0, 40, 10]], frames=[10, 20])
    assert not region.is_fixed
    np.testing.assert_array_equal(
        region.boxes_at([0, 10, 15, 20, 99]),
        [[0, 0, 10, 10], [0, 0, 10, 10], [10, 0, 25, 10], [20, 0, 40, 10], [20, 0, 40, 10]],
    )
    assert region.to_dict() == {
        'name': 'p',
        'frames': [
            {'frame': 10, 'box_xyxy': [0, 0, 10, 10]},
            {'frame': 20, 'box_xyxy': [20, 0, 40, 10]},
        ],
    }


BOX = [0, 0, 9, 9]


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        pytest.param({'name': ' '}, "must be a text, got name=' '", id='blank name'),
        pytest.param({'name': 3}, 'must be a text, got name=3', id='name is a number'),
        pytest.param({'boxes_xyxy': []}, 'must have four numbers', id='no box'),
        pytest.param({'boxes_xyxy': [[1, 2, 3]]}, 'must have four numbers', id='three numbers'),
        pytest.param({'boxes_xyxy': [BOX, [1]]}, 'must have four numbers', id='ragged'),
        pytest.param({'boxes_xyxy': [BOX] * 2}, 'for each of 1 frames', id='too many boxes'),
        pytest.param({'boxes_xyxy': [list('0099')]}, 'must have four numbers', id='texts'),
        pytest.param({'boxes_xyxy': [[5, 0, 5, 9]]}, r'x1 < x2 .* got box_xyxy=\[5', id='no width'),
        pytest.param({'boxes_xyxy': [[0, 9, 9, 0]]}, 'y1 < y2', id='upside down'),
        pytest.param({'boxes_xyxy': [[0, 0, np.nan, 9]]}, 'finite numbers', id='NaN'),
        pytest.param({'boxes_xyxy': [[0, 0, np.inf, 9]]}, 'finite numbers', id='infinite'),
        pytest.param({'frames': []}, 'at least one whole number', id='no frame'),
        pytest.param({'frames': [0.5]}, 'at least one whole number', id='half a frame'),
        pytest.param({'frames': [-1]}, 'counted from 0 and rise, got frame=-1', id='negative'),
        pytest.param(
            {'frames': [4, 4], 'boxes_xyxy': [BOX] * 2}, 'got frame=4 at place 1', id='twice'
        ),
    ],
)
def test_bad_regions(options, message):
    with pytest.raises(ValueError, match=message):
        Region(**{'name': 'a', 'boxes_xyxy': [BOX], **options})


def test_regions_need_different_names():
    regions = [Region(name=name, boxes_xyxy=[BOX]) for name in 'abca']
    check_regions(regions[:3])
    with pytest.raises(ValueError, match="must differ, got 2 with name='a'"):
        check_regions(regions)
    with pytest.raises(ValueError, match='at least one region, got none'):
        check_regions([])


# results


def make_results(**options):
    given = dict(
        regions=[Region(name='a', boxes_xyxy=[BOX])],
        results=[SimpleNamespace(to_dict=lambda: {'count': 3.0})],
        fps=10.0,
        frames=np.arange(4),
        start_s=0.0,
        width=64,
        height=48,
    )
    return RegionResults(**{**given, **options})


def test_results_as_a_dict():
    results = make_results()
    assert results.num_frames == 4
    assert results.to_dict() == {'regions': [{'name': 'a', 'box_xyxy': BOX, 'count': 3.0}]}


@pytest.mark.parametrize(
    'options', [{'regions': []}, {'results': []}, {'frames': np.zeros(0, int)}]
)
def test_bad_results(options):
    with pytest.raises(ValueError, match='at least one region, a result for each, and a frame'):
        make_results(**options)


# crops


@pytest.mark.parametrize(
    ('box', 'margin', 'corner', 'size'),
    [
        pytest.param([100, 50, 300, 150], 0, (100, 50), (200, 100), id='the box'),
        pytest.param([100, 50, 300, 150], 0.1, (80, 40), (240, 120), id='margin'),
        pytest.param([0, 0, 640, 360], 0.1, (0, 0), (640, 360), id='the whole picture'),
        pytest.param([0, 50, 100, 150], 0.5, (0, 0), (150, 200), id='margin cut on the left'),
        pytest.param([600, 300, 700, 400], 0, (600, 300), (40, 60), id='partly outside'),
        pytest.param([10.4, 20.4, 60.4, 80.4], 0, (10, 20), (50, 60), id='between pixels'),
    ],
)
def test_window_of_a_fixed_region(box, margin, corner, size):
    window = CropWindow(Region(name='a', boxes_xyxy=[box]), margin=margin, **VIDEO)
    assert tuple(window.size) == size
    assert (window.corners == corner).all() and len(window.corners) == 200


def test_crop_is_a_copy_of_the_piece():
    image = np.random.default_rng(0).integers(0, 256, (360, 640, 3), dtype=np.uint8)
    window = CropWindow(Region(name='a', boxes_xyxy=[[10, 20, 110, 70]]), margin=0, **VIDEO)
    crop = window.crop(image, frame=199)
    np.testing.assert_array_equal(crop, image[20:70, 10:110])
    assert crop.base is None


def test_jitter_of_a_detector_does_not_move_the_window():
    track = make_track(stay(), jitter=4.0)
    # the boxes jump by several pixels from frame to frame
    assert np.abs(np.diff(track.boxes_xyxy, axis=0)).mean() > 4
    window = CropWindow(track, margin=0, **VIDEO)
    assert np.abs(np.diff(window.corners, axis=0)).mean() < 0.1
    assert np.ptp(window.corners, axis=0).max() <= 3


@pytest.mark.parametrize('period', [10, 20, 40])
def test_a_repetition_is_not_followed(period):
    """Up and down by 30 pixels: the window stays, so that the motion is seen in it."""
    middles = stay()
    middles[:, 1] += 30 * np.sin(np.arange(200) / period * 2 * np.pi)
    window = CropWindow(make_track(middles), margin=0, **VIDEO)
    assert np.ptp(window.corners[:, 1]) <= 0.2 * 60


def test_a_box_that_breathes_does_not_scale_the_window():
    breath = np.sin(np.arange(200) / 20 * 2 * np.pi)[:, None]
    boxes = np.array([250, 140, 350, 220]) + 20 * breath * [-1, -1, 1, 1]
    window = CropWindow(
        Region(name='a', boxes_xyxy=boxes, frames=np.arange(200)), margin=0, **VIDEO
    )
    np.testing.assert_allclose(window.size, (140, 120), atol=2)
    assert np.ptp(window.corners, axis=0).max() == 0


def test_a_walk_is_followed():
    middles = stay(400)
    middles[:, 0] = np.linspace(100, 500, 400)
    window = CropWindow(make_track(middles, jitter=2.0), **VIDEO | {'num_frames': 400})
    seen = (window.corners + window.size / 2)[:, 0]
    # the path is flat at its ends, where only one side is known
    assert np.abs(seen - middles[:, 0])[80:-80].max() < 6
    assert np.abs(seen - middles[:, 0]).max() < 40


def test_a_window_stops_at_the_edge_of_the_picture():
    middles = stay(y=180)
    middles[:, 0] = np.minimum(np.linspace(300, 900, 200), 635)
    window = CropWindow(make_track(middles), margin=0, **VIDEO)
    assert (window.corners >= 0).all()
    assert (window.corners + window.size <= [640, 360]).all()
    assert window.corners[-1, 0] + window.size[0] == 640


@pytest.mark.parametrize(
    ('region', 'options', 'message'),
    [
        pytest.param(
            Region(name='a', boxes_xyxy=[[640, 0, 700, 90]]), {},
            r"region 'a' must lie in the video of 640 x 360 pixels, got box_xyxy=\[640",
            id='beside',
        ),
        pytest.param(
            Region(name='a', boxes_xyxy=[[-60, -60, 0, 0]]), {}, 'must lie in the video of 640',
            id='before',
        ),
        pytest.param(
            Region(name='b', boxes_xyxy=[[0, 0, 50, 50], [0, 400, 50, 500]], frames=[3, 8]), {},
            'got box_xyxy=.* in frame 8', id='track leaves',
        ),
        pytest.param(
            Region(name='b', boxes_xyxy=[[0, 0, 50, 50]] * 2, frames=[3, 200]), {},
            "region 'b' must lie in the video, from 0 to 199, got frame=200", id='after the end',
        ),
        pytest.param(
            Region(name='c', boxes_xyxy=[[0, 0, 90, 12]]), {},
            "region 'c' must show at least 16 x 16 pixels of the video of 640 x 360, got 99 x 13",
            id='too small',
        ),
        pytest.param(
            Region(name='c', boxes_xyxy=[[635, 0, 900, 90]]), {'margin': 0}, 'got 5 x 90',
            id='too little of it inside',
        ),
        pytest.param(
            Region(name='a', boxes_xyxy=[[0, 0, 90, 90]]), {'margin': -0.1},
            'margin must be at least 0, got margin=-0.1', id='negative margin',
        ),
        pytest.param(
            Region(name='a', boxes_xyxy=[[0, 0, 90, 90]]), {'margin': np.nan},
            'margin must be at least 0', id='margin NaN',
        ),
    ],
)  # fmt: skip
def test_regions_that_do_not_fit(region, options, message):
    with pytest.raises(ValueError, match=message):
        CropWindow(region, **VIDEO, **options)
