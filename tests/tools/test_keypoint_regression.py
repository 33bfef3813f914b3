"""The protocol against its golden file and closed forms, and the command on small data."""

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import BaseDataElement

from mmotion.registry import DATASETS
from mmotion.video.writer import VideoWriter
from projects.bkind.results import KeypointTracks

ANALYSIS = Path(__file__).resolve().parents[2] / 'tools' / 'analysis'
ACTIVITIES = ('Waiting', 'Posing', 'Greeting', 'Directions', 'Discussion', 'Walking')


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    # where Python looks when a script is run
    monkeypatch.syspath_prepend(ANALYSIS)
    return importlib.import_module('keypoint_regression')


@pytest.fixture
def protocol(script) -> ModuleType:
    return importlib.import_module('regression_protocol')


class Tracker:
    """Sees the middle of the white spot, and the mirror image of it."""

    def predict(self, frames, *, fps):
        points = []
        for image in frames:
            ys, xs = np.nonzero(image.mean(axis=2) > 128)
            points.append([[xs.mean(), ys.mean()], [95 - xs.mean(), 63 - ys.mean()]])
        num_frames = len(points)
        return KeypointTracks(
            fps=fps,
            width=96,
            height=64,
            frames=np.arange(num_frames),
            keypoints=points,
            confidence=np.full((num_frames, 2), 0.5),
            covariance=np.ones((num_frames, 2, 3)),
            names=('one', 'other'),
        )


def draw_frame(x, y):
    image = np.full((64, 96, 3), 20, np.uint8)
    cv2.rectangle(image, (x - 2, y - 2), (x + 2, y + 2), (255, 255, 255), cv2.FILLED)
    return image


def test_protocol_agrees_with_the_reference(protocol, golden_root):
    path = golden_root / 'bkind_regression_eval.npz'
    if not path.is_file():
        pytest.skip(f'needs {path}')
    with np.load(path) as golden:
        content = {key: golden[key] for key in golden.files}
    config = json.loads(str(content['meta']))['config']
    inputs = {k[3:]: v.astype(np.float64) for k, v in content.items() if k.startswith('in.')}
    weights = protocol.fit_regression(inputs['pred'], inputs['gt'])
    regressed = protocol.apply_regression(inputs['test_pred'], weights)
    np.testing.assert_allclose(regressed, content['out.regressed'], atol=2e-5)
    distances = protocol.measure_distances(regressed, inputs['test_gt']).mean(axis=1)
    np.testing.assert_allclose(distances, content['out.distance'], atol=1e-5)
    pairs = [tuple(pair) for pair in config['lr_pairs']]
    smaller, is_plain = protocol.measure_swapped(regressed, inputs['test_gt'], pairs)
    np.testing.assert_allclose(smaller, content['out.min_distance'], atol=1e-5)
    np.testing.assert_array_equal(is_plain, content['out.correct_flip'])
    activities = np.array(ACTIVITIES)[np.arange(len(distances)) % len(ACTIVITIES)]
    assert protocol.average_groups(distances, activities) == pytest.approx(
        config['mean_of_activities'], abs=1e-5
    )


def test_a_linear_map_is_found_and_a_bias_is_not(protocol):
    rng = np.random.default_rng(0)
    keypoints = rng.uniform(-1, 1, (50, 3, 2))
    matrix = rng.normal(size=(6, 4))
    points = (keypoints.reshape(50, 6) @ matrix).reshape(50, 2, 2)
    missing = points.copy()
    missing[:20, 1] = np.nan
    np.testing.assert_allclose(protocol.fit_regression(keypoints, missing), matrix, atol=1e-9)
    weights = protocol.fit_regression(keypoints, points + 1)
    assert np.abs(protocol.apply_regression(keypoints, weights) - points - 1).max() > 0.1


def test_errors_by_hand(protocol):
    # a tenth of the width, and of the height, of a picture that is 2 wide and high
    points = np.array([[[0.0, 0.0], [0.5, 0.5]], [[0.0, 0.0], [np.nan, np.nan]]])
    predicted = points + np.array([0.2, 0.0])
    predicted[1, 0] = [0.0, 0.6]
    distances = protocol.measure_distances(predicted, points)
    np.testing.assert_allclose(distances, [[0.1, 0.1], [0.3, np.nan]])
    error, pck_5, pck_10 = protocol.summarize(distances.round(6))
    assert error == pytest.approx(100 * 0.5 / 3)
    assert (pck_5, pck_10) == (0, pytest.approx(2 / 3))


def test_a_swap_of_sides_is_forgiven(protocol):
    points = np.array([[[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]] * 2)
    predicted = points[:, [1, 0, 2]].copy()
    predicted[1] = points[1]
    smaller, is_plain = protocol.measure_swapped(predicted, points, [(0, 1)])
    assert smaller.tolist() == [0, 0]
    assert is_plain.tolist() == [False, True]


def test_groups_count_alike(protocol):
    assert protocol.average_groups(np.array([1.0, 1.0, 1.0, 5.0]), np.array(list('aaab'))) == 3


def test_each_block_is_tested_on_the_others(protocol):
    rng = np.random.default_rng(0)
    keypoints = rng.uniform(-1, 1, (23, 2, 2))
    examples = protocol.Examples({'m': keypoints}, keypoints[:, ::-1].copy(), ('a', 'b'))
    distances = protocol.evaluate_blocks(examples, 5)['m']
    assert distances.shape == (23, 2)
    assert distances.max() < 1e-9
    # noise that is learned by heart shows in the frames that were not fitted
    noise = protocol.Examples({'m': keypoints}, rng.uniform(-1, 1, (23, 1, 2)), ('a',))
    same = protocol.evaluate_split(noise, noise)['m']
    assert protocol.evaluate_blocks(noise, 5)['m'].mean() > same.mean()
    with pytest.raises(ValueError, match='number of annotated frames, 23, got --folds 24'):
        protocol.evaluate_blocks(examples, 24)


def test_a_point_that_is_never_seen_is_named(protocol):
    points = np.full((4, 2, 2), np.nan)
    points[:, 0] = 0
    with pytest.raises(ValueError, match='got none for point 1'):
        protocol.fit_regression(np.ones((4, 1, 2)), points)


def test_centroid_is_the_middle_of_what_moved(script):
    black = np.zeros((41, 81, 3), np.uint8)
    other = black.copy()
    other[28:33, 18:23] = 200
    other[5, 5] = 20  # noise
    np.testing.assert_allclose(script.find_centroid(black, other), [-0.5, 0.5])
    assert script.find_centroid(black, black).tolist() == [0, 0]


def write_annotations(path, frames, places):
    rows = [f'{frame},{x},{y},{x + 6},{y}' for frame, (x, y) in zip(frames, places, strict=True)]
    path.write_text('\n'.join(['frame,nose_x,nose_y,tail_x,tail_y', *rows]) + '\n')


def test_annotated_frames_of_a_video(script, tmp_path):
    places = [(10 + 2 * n, 20 + n) for n in range(30)]
    with VideoWriter(tmp_path / 'clip.mp4', fps=10.0) as writer:
        for place in places:
            writer.write(draw_frame(*place))
    frames = [3, 9, 14, 20, 29]
    write_annotations(tmp_path / 'a.csv', frames, [places[n] for n in frames])
    examples = script.collect_annotated(
        tmp_path / 'a.csv', tmp_path / 'clip.mp4', {'trained': Tracker()}, gap=5
    )
    assert examples.names == ('nose', 'tail')
    np.testing.assert_allclose(examples.found['trained'][:, 0], examples.points[:, 0], atol=0.02)
    # between frame 3 and frame 8, and at the end between 29 and 24
    middle = 2 * (np.array(places[3]) + places[8]) / 2 / [95, 63] - 1
    np.testing.assert_allclose(examples.found[script.CENTROID][0, 0], middle, atol=0.05)
    middle = 2 * (np.array(places[29]) + places[24]) / 2 / [95, 63] - 1
    np.testing.assert_allclose(examples.found[script.CENTROID][-1, 0], middle, atol=0.05)


def test_annotated_images_are_compared_with_the_background(script, tmp_path):
    rows = ['scorer,me,me', 'bodyparts,nose,nose', 'coords,x,y']
    for n in range(5):
        image = draw_frame(10 + 15 * n, 30)
        cv2.imwrite(str(tmp_path / f'img{n}.png'), image)
        rows.append(f'img{n}.png,{10 + 15 * n},30')
    (tmp_path / 'CollectedData_me.csv').write_text('\n'.join(rows) + '\n')
    examples = script.collect_annotated(
        tmp_path / 'CollectedData_me.csv', None, {'trained': Tracker()}, gap=5
    )
    for method in ('trained', script.CENTROID):
        np.testing.assert_allclose(examples.found[method][:, 0], examples.points[:, 0], atol=1e-6)
    (tmp_path / 'img3.png').write_bytes(b'no picture')
    with pytest.raises(ValueError, match=r'must be a picture, got .*img3\.png'):
        script.collect_annotated(
            tmp_path / 'CollectedData_me.csv', None, {'trained': Tracker()}, gap=5
        )


@DATASETS.register_module(force=True)
class KnownSpots(torch.utils.data.Dataset):
    """A spot at a random place, and the same at another; joints are at the first and beside it."""

    size = 96
    metainfo = {'joints': ('nose', 'tail')}

    def __init__(self, *, seed, has_joints=True):
        self.places = np.random.default_rng(seed).integers(10, 54, (20, 2, 2))
        self.has_joints = has_joints

    def __len__(self):
        return len(self.places)

    def __getitem__(self, index):
        frames = np.stack([draw_frame(*place) for place in self.places[index].tolist()])
        sample = BaseDataElement()
        if self.has_joints:
            x, y = self.places[index, 0]
            sample.gt_joints = torch.tensor([[x, y], [95 - x, 95 - y]])
        return {'inputs': torch.from_numpy(frames).permute(0, 3, 1, 2), 'data_samples': sample}


class SpotPredictor(Tracker):
    """The same for packed pairs, whose height of 64 pixels is that of 96 before resizing."""

    def __init__(self):
        self.model = self

    def data_preprocessor(self, data, training):
        return {'inputs': torch.stack(data['inputs'])}

    def __call__(self, inputs, mode):
        assert inputs.shape[1] == 1
        images = inputs[:, 0].permute(0, 2, 3, 1).numpy()
        keypoints = self.predict(images, fps=1.0).keypoints
        return [
            BaseDataElement(keypoints=torch.tensor(2 * points / [95, 63] - 1))
            for points in keypoints
        ]


def test_known_joints_of_a_data_set(script):
    examples = [
        script.collect_known({'type': 'KnownSpots', 'seed': seed}, {'trained': SpotPredictor()}, 12)
        for seed in (0, 1)
    ]
    assert examples[0].points.shape == (12, 2, 2)
    assert examples[0].names == ('nose', 'tail')
    distances = script.evaluate_split(*examples)
    assert distances['trained'].shape == (12, 2)
    lines = script.describe(distances, examples[1], 12)
    assert lines[0].startswith('2 annotated points; 12 frames tested, about 12 fitted')
    assert [line.split()[0] for line in lines[2:6]] == [
        'trained', 'centroid', 'centroid', 'constant',
    ]  # fmt: skip
    with pytest.raises(ValueError, match='KnownSpots must know the joints of its samples'):
        script.collect_known({'type': 'KnownSpots', 'seed': 0, 'has_joints': False}, {}, 12)


def test_command_prints_the_report_and_writes_the_table(script, tmp_path, monkeypatch, capsys):
    places = [(10 + 2 * n, 20 + n % 7) for n in range(30)]
    with VideoWriter(tmp_path / 'clip.mp4', fps=10.0) as writer:
        for place in places:
            writer.write(draw_frame(*place))
    write_annotations(tmp_path / 'a.csv', range(30), places)
    monkeypatch.setattr(script, 'load_config', lambda name, options: {})
    monkeypatch.setattr(
        script, 'load_predictors', lambda *args: {'trained': Tracker(), 'untrained': Tracker()}
    )
    command = ['keypoint_regression', 'spot', '--annotations', str(tmp_path / 'a.csv')]
    options = [
        '--video',
        str(tmp_path / 'clip.mp4'),
        '--gap',
        '2',
        '--out',
        str(tmp_path / 't.csv'),
    ]
    monkeypatch.setattr(sys, 'argv', [*command, *options])
    script.main()
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == '2 annotated points; 30 frames tested, about 24 fitted, without bias'
    assert printed[2].split()[:2] == ['trained', '2']
    rows = (tmp_path / 't.csv').read_text().splitlines()
    assert rows[0] == 'method,percent_mse,pck_0.05,pck_0.1'
    assert [row.split(',')[0] for row in rows[1:]] == [
        'trained', 'untrained', 'centroid of the difference', 'centroid and constant', 'constant',
    ]  # fmt: skip
    assert float(rows[1].split(',')[1]) < 1


def test_both_networks_are_of_one_config(script, monkeypatch):
    from mmengine.config import Config

    calls = []
    monkeypatch.setattr(script, 'load_model', lambda *args, **kwargs: calls.append((args, kwargs)))
    config = Config({'model': {}, 'shipped_weights': 'weights.pth'})
    assert list(script.load_predictors(config, None, 'cpu')) == ['trained', 'untrained']
    assert calls[0][0][0].shipped_weights is None
    assert calls[1] == ((config, None), {'device': 'cpu'})
