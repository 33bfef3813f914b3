import dataclasses
import json

import cv2
import numpy as np
import pytest
import simplejson
from matplotlib.figure import Figure

from mmotion.structures.json_file import iterate_json
from mmotion.structures.results import list_entries
from mmotion.visualization import make_caption, make_painter, plot_result, plot_row
from mmotion.visualization.drawing import list_colors
from projects.bkind.results import FrameKeypoints, KeypointTracks


def make_tracks(num_frames=5, num_keypoints=2, **fields):
    """Keypoint k moves 3 px to the right and 4 px down a frame, from (10 + 20 k, 8)."""
    steps = np.arange(num_frames)[:, None, None] * np.array([3.0, 4.0])
    starts = np.stack([10 + 20 * np.arange(num_keypoints), np.full(num_keypoints, 8)], axis=1)
    values = {
        'fps': 10.0,
        'width': 64,
        'height': 48,
        'frames': np.arange(num_frames),
        'keypoints': starts + steps,
        'confidence': np.full((num_frames, num_keypoints), 0.25),
        'covariance': np.tile([16.0, 4.0, 0.0], (num_frames, num_keypoints, 1)),
        'names': tuple(f'keypoint_{k}' for k in range(num_keypoints)),
    }
    return KeypointTracks(**(values | fields))


def test_arrays_are_copied_and_read_only():
    keypoints = np.zeros((5, 2, 2))
    tracks = make_tracks(keypoints=keypoints)
    keypoints[:] = 7
    assert tracks.keypoints.max() == 0
    with pytest.raises(ValueError, match='read-only'):
        tracks.keypoints[0] = 1


def test_speed_counts_the_frames_that_were_left_out():
    # 5 px a step of two frames, 10 frames a second
    assert make_tracks(frames=[0, 2, 4, 6, 8]).speed_px_s == pytest.approx(25)
    assert make_tracks().describe() == ('2 keypoints in 5 frames, moving 50 px/s, confidence 0.25')
    assert 'moving 0 px/s' in make_tracks(1).describe()
    assert make_tracks().to_rows() == [{'keypoints': 2, 'found': 2, 'speed_px_s': 50.0}]


@pytest.mark.parametrize(
    ('fields', 'message'),
    [
        pytest.param({'fps': 0}, 'fps must be above 0', id='fps'),
        pytest.param({'width': 0}, 'width must be at least 1, got width=0', id='width'),
        pytest.param({'start_s': -1}, 'start_s must be at least 0', id='start'),
        pytest.param({'names': ('a', 'a')}, 'all of them different', id='names'),
        pytest.param(
            {'names': ('a',)}, r'shape \(5, 1, 2\) for 5 frames and 1 names', id='one name'
        ),
        pytest.param({'frames': [0, 1, 1, 2, 3]}, 'counted from 0 and rising', id='frames'),
        pytest.param({'frames': []}, 'at least one number of a frame', id='no frame'),
        pytest.param(
            {'confidence': np.full((5, 2), 1.1)}, r'must lie in \[0, 1\]', id='confidence'
        ),
        pytest.param({'keypoints': np.full((5, 2, 2), np.nan)}, 'must be finite', id='NaN'),
        pytest.param(
            {'covariance': np.full((5, 2, 3), -1)}, 'variances of at least 0', id='variance'
        ),
    ],
)
def test_wrong_values_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        make_tracks(**fields)


def test_json_keeps_everything():
    tracks = make_tracks(start_s=1.5, frames=np.arange(15, 20))
    content = json.loads(json.dumps({**tracks.to_dict(), 'video': 'clip.mp4'}))
    again = KeypointTracks.from_dict(content)
    for field in dataclasses.fields(tracks):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(tracks, field.name))
    del content['covariance']
    with pytest.raises(ValueError, match='got none for covariance; give a file'):
        KeypointTracks.from_dict(content)


def test_a_frame_of_a_stream_is_plain():
    tracks = make_tracks()
    frame = FrameKeypoints(
        frame=3,
        time_s=0.3,
        keypoints=tracks.keypoints[3],
        confidence=tracks.confidence[3],
        covariance=tracks.covariance[3],
        quality=tracks.sharpness[3],
    )
    assert len(frame.to_dict()['quality']) == 2
    assert frame.to_dict()['keypoints'] == [[19.0, 20.0], [39.0, 20.0]]


def test_points_and_trails_are_painted_where_they_are():
    tracks = make_tracks(covariance=np.zeros((5, 2, 3)), confidence=np.tile([[0.2, 0.4]], (5, 1)))
    paint = make_painter(tracks)
    black = np.zeros((480, 640, 3), np.uint8)
    image = paint(black, 4)
    assert not black.any()
    for k, color in enumerate(list_colors(2)):
        # ten times as large, from the middle of a pixel to the middle of its block
        x, y = ((tracks.keypoints[4, k] + 0.5) * 10 - 0.5).round().astype(int)
        np.testing.assert_array_equal(image[y, x], color)
        # the trail passes the second frame
        x, y = ((tracks.keypoints[1, k] + 0.5) * 10 - 0.5).round().astype(int)
        assert image[y - 1 : y + 2, x - 1 : x + 2].any()
    # no trail before the first frame
    assert not paint(black, 0)[200:480].any()
    # the names are below, in their colors
    for color in list_colors(2):
        assert (np.abs(image[480:].astype(int) - color).max(axis=-1) < 40).any()


def test_an_ellipse_is_one_standard_deviation_long():
    # 40 px along the diagonal to the lower right, 20 px across
    covariance = np.tile([1000.0, 1000.0, 600.0], (1, 1, 1))
    tracks = make_tracks(
        1, 1, width=640, height=640, keypoints=[[[320, 320]]], covariance=covariance
    )
    image = make_painter(tracks)(np.zeros((640, 640, 3), np.uint8), 0)[:640]
    ys, xs = np.nonzero(image.any(axis=2))
    along, across = (xs + ys - 640) / np.sqrt(2), (xs - ys) / np.sqrt(2)
    assert np.abs(along).max() == pytest.approx(40, abs=1.6)
    assert np.abs(across).max() == pytest.approx(20, abs=1.6)


def test_less_certain_points_are_darker():
    confidence = np.full((5, 2), 0.5)
    confidence[4, 0] = 0.05
    tracks = make_tracks(confidence=confidence)
    paint = make_painter(tracks)
    black = np.zeros((480, 640, 3), np.uint8)

    def brightness(index):
        x, y = ((tracks.keypoints[index, 0] + 0.5) * 10 - 0.5).round().astype(int)
        return int(paint(black, index)[y, x].max())

    assert brightness(4) < 0.5 * brightness(3)


def spread(*shares):
    """Covariances of heat maps that cover shares of 64 x 48 pixels, evenly."""
    return [[(64 * share) ** 2 / 12, (48 * share) ** 2 / 12, 0.0] for share in shares]


def test_a_keypoint_that_found_nothing_is_said_and_drawn_faintly():
    """Four or five of ten were drawn and exported like the others after a short training."""
    tracks = make_tracks(num_keypoints=3, covariance=[spread(0.1, 0.9, 1.02)] * 5)
    np.testing.assert_allclose(tracks.sharpness[0], [0.9, 0.1, 0.0], atol=1e-6)
    assert tracks.is_found.tolist() == [True, False, False]
    assert tracks.describe().endswith(
        '; 2 found nothing: train longer, or with fewer num_keypoints'
    )
    assert 'nothing' not in make_tracks().describe()
    painted = make_painter(tracks)(np.zeros((480, 640, 3), np.uint8), 0)
    for k, is_filled in enumerate((True, False, False)):
        x, y = ((tracks.keypoints[0, k] + 0.5) * 10 - 0.5).round().astype(int)
        assert painted[y, x].any() == is_filled
    # a piece of the picture keeps its own
    moved = dataclasses.replace(tracks, width=640, height=480)
    np.testing.assert_array_equal(moved.sharpness, tracks.sharpness)
    content = json.loads(json.dumps(tracks.to_dict()))
    again = KeypointTracks.from_dict(content)
    np.testing.assert_allclose(again.sharpness, tracks.sharpness, atol=1e-6)
    del content['quality']
    assert KeypointTracks.from_dict(content).is_found.tolist() == tracks.is_found.tolist()
    with pytest.raises(ValueError, match=r'quality must lie in \[0, 1\]'):
        make_tracks(quality=np.full((5, 2), 1.5))


def test_plots_and_captions(tmp_path):
    tracks = make_tracks()
    plot_result(tracks, tmp_path / 'plot.png', title='clip')
    assert cv2.imread(str(tmp_path / 'plot.png')).std() > 5
    axes = Figure().subplots()
    assert plot_row(tracks, axes) == tracks.describe()
    np.testing.assert_allclose(axes.lines[0].get_ydata(), 50)
    assert make_caption(tracks, 2) == ('50 px/s', True)
    assert make_caption(make_tracks(1), 0) == ('', False)
    assert plot_row(make_tracks(1), Figure().subplots())


def test_a_plot_of_many_frames_draws_some(monkeypatch):
    tracks = make_tracks(num_frames=9)
    monkeypatch.setattr('projects.bkind.results.MAX_PLOTTED', 4)
    axes = Figure().subplots()
    plot_row(tracks, axes)
    # every third of 9 frames, whose speeds begin with the second
    np.testing.assert_allclose(axes.lines[0].get_xdata(), [0.1, 0.4, 0.7])
    np.testing.assert_allclose(axes.lines[0].get_ydata(), 50)


def test_colors_are_different():
    assert len(set(list_colors(16))) == 16


def test_a_file_of_tracks_is_written_as_its_dictionary():
    numbers = np.random.default_rng(0).random((3000, 2, 3))
    tracks = KeypointTracks(
        fps=30.0, width=64, height=48, frames=np.arange(3000), names=('a', 'b'), num_lost=2,
        keypoints=40 * numbers[..., :2], confidence=numbers[..., 2], covariance=numbers,
    )  # fmt: skip
    text = simplejson.dumps(tracks.to_dict(), ignore_nan=True)
    assert ''.join(iterate_json(list_entries(tracks))) == text
