"""The measures: the protocol against its golden file and closed forms, and what is measured."""

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.structures import BaseDataElement

from mmotion.checkpoint import save_checkpoint_file
from mmotion.cli import main
from mmotion.config import load_config
from mmotion.inference import load_model
from mmotion.registry import DATASETS, MODELS
from mmotion.video.writer import VideoWriter
from projects.bkind import metrics
from projects.bkind.results import KeypointTracks

ACTIVITIES = ('Waiting', 'Posing', 'Greeting', 'Directions', 'Discussion', 'Walking')


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


def test_the_error_is_averaged_over_pairs() -> None:
    metric = metrics.ReconstructionMetric()
    metric.process(None, [{'recon_error': 0.1}, {'recon_error': np.float32(0.3)}])
    metric.process(None, [{'recon_error': 0.5}])
    assert metric.evaluate(3) == {'pairs/recon_error': pytest.approx(0.3)}


def test_protocol_agrees_with_the_reference(golden_root):
    path = golden_root / 'bkind_regression_eval.npz'
    if not path.is_file():
        pytest.skip(f'needs {path}')
    with np.load(path) as golden:
        content = {key: golden[key] for key in golden.files}
    config = json.loads(str(content['meta']))['config']
    inputs = {k[3:]: v.astype(np.float64) for k, v in content.items() if k.startswith('in.')}
    weights = metrics.fit_regression(inputs['pred'], inputs['gt'])
    regressed = metrics.apply_regression(inputs['test_pred'], weights)
    np.testing.assert_allclose(regressed, content['out.regressed'], atol=2e-5)
    distances = metrics.measure_distances(regressed, inputs['test_gt']).mean(axis=1)
    np.testing.assert_allclose(distances, content['out.distance'], atol=1e-5)
    pairs = [tuple(pair) for pair in config['lr_pairs']]
    smaller, is_plain = metrics.measure_swapped(regressed, inputs['test_gt'], pairs)
    np.testing.assert_allclose(smaller, content['out.min_distance'], atol=1e-5)
    np.testing.assert_array_equal(is_plain, content['out.correct_flip'])
    activities = np.array(ACTIVITIES)[np.arange(len(distances)) % len(ACTIVITIES)]
    assert metrics.average_groups(distances, activities) == pytest.approx(
        config['mean_of_activities'], abs=1e-5
    )


def test_a_linear_map_is_found_and_a_bias_is_not():
    rng = np.random.default_rng(0)
    keypoints = rng.uniform(-1, 1, (50, 3, 2))
    matrix = rng.normal(size=(6, 4))
    points = (keypoints.reshape(50, 6) @ matrix).reshape(50, 2, 2)
    missing = points.copy()
    missing[:20, 1] = np.nan
    np.testing.assert_allclose(metrics.fit_regression(keypoints, missing), matrix, atol=1e-9)
    weights = metrics.fit_regression(keypoints, points + 1)
    assert np.abs(metrics.apply_regression(keypoints, weights) - points - 1).max() > 0.1


def test_errors_by_hand():
    # a tenth of the width, and of the height, of a picture that is 2 wide and high
    points = np.array([[[0.0, 0.0], [0.5, 0.5]], [[0.0, 0.0], [np.nan, np.nan]]])
    predicted = points + np.array([0.2, 0.0])
    predicted[1, 0] = [0.0, 0.6]
    distances = metrics.measure_distances(predicted, points)
    np.testing.assert_allclose(distances, [[0.1, 0.1], [0.3, np.nan]])
    error, pck_5, pck_10 = metrics.summarize(distances.round(6))
    assert error == pytest.approx(100 * 0.5 / 3)
    assert (pck_5, pck_10) == (0, pytest.approx(2 / 3))


def test_a_swap_of_sides_is_forgiven():
    points = np.array([[[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]] * 2)
    predicted = points[:, [1, 0, 2]].copy()
    predicted[1] = points[1]
    smaller, is_plain = metrics.measure_swapped(predicted, points, [(0, 1)])
    assert smaller.tolist() == [0, 0]
    assert is_plain.tolist() == [False, True]


def test_groups_count_alike():
    assert metrics.average_groups(np.array([1.0, 1.0, 1.0, 5.0]), np.array(list('aaab'))) == 3


def test_each_block_is_tested_on_the_others():
    rng = np.random.default_rng(0)
    keypoints = rng.uniform(-1, 1, (23, 2, 2))
    examples = metrics.Examples({'m': keypoints}, keypoints[:, ::-1].copy(), ('a', 'b'))
    distances = metrics.evaluate_blocks(examples, 5)['m']
    assert distances.shape == (23, 2)
    assert distances.max() < 1e-9
    # noise that is learned by heart shows in the frames that were not fitted
    noise = metrics.Examples({'m': keypoints}, rng.uniform(-1, 1, (23, 1, 2)), ('a',))
    same = metrics.evaluate_split(noise, noise)['m']
    assert metrics.evaluate_blocks(noise, 5)['m'].mean() > same.mean()
    with pytest.raises(ValueError, match='number of annotated frames, 23, got num_folds=24'):
        metrics.evaluate_blocks(examples, 24)


def test_a_point_that_is_never_seen_is_named():
    points = np.full((4, 2, 2), np.nan)
    points[:, 0] = 0
    with pytest.raises(ValueError, match='got none for point 1'):
        metrics.fit_regression(np.ones((4, 1, 2)), points)


def test_centroid_is_the_middle_of_what_moved():
    black = np.zeros((41, 81, 3), np.uint8)
    other = black.copy()
    other[28:33, 18:23] = 200
    other[5, 5] = 20  # noise
    np.testing.assert_allclose(metrics.find_centroid(black, other), [-0.5, 0.5])
    assert metrics.find_centroid(black, black).tolist() == [0, 0]


def write_annotations(path, frames, places):
    rows = [f'{frame},{x},{y},{x + 6},{y}' for frame, (x, y) in zip(frames, places, strict=True)]
    path.write_text('\n'.join(['frame,nose_x,nose_y,tail_x,tail_y', *rows]) + '\n')


def test_annotated_frames_of_a_video(tmp_path):
    places = [(10 + 2 * n, 20 + n) for n in range(30)]
    with VideoWriter(tmp_path / 'clip.mp4', fps=10.0) as writer:
        for place in places:
            writer.write(draw_frame(*place))
    frames = [3, 9, 14, 20, 29]
    write_annotations(tmp_path / 'a.csv', frames, [places[n] for n in frames])
    examples = metrics.collect_annotated(
        tmp_path / 'a.csv', tmp_path / 'clip.mp4', {'trained': Tracker()}, gap=5
    )
    assert examples.names == ('nose', 'tail')
    np.testing.assert_allclose(examples.found['trained'][:, 0], examples.points[:, 0], atol=0.02)
    # between frame 3 and frame 8, and at the end between 29 and 24
    middle = 2 * (np.array(places[3]) + places[8]) / 2 / [95, 63] - 1
    np.testing.assert_allclose(examples.found[metrics.CENTROID][0, 0], middle, atol=0.05)
    middle = 2 * (np.array(places[29]) + places[24]) / 2 / [95, 63] - 1
    np.testing.assert_allclose(examples.found[metrics.CENTROID][-1, 0], middle, atol=0.05)


def test_annotated_images_are_compared_with_the_background(tmp_path):
    rows = ['scorer,me,me', 'bodyparts,nose,nose', 'coords,x,y']
    for n in range(5):
        image = draw_frame(10 + 15 * n, 30)
        cv2.imwrite(str(tmp_path / f'img{n}.png'), image)
        rows.append(f'img{n}.png,{10 + 15 * n},30')
    (tmp_path / 'CollectedData_me.csv').write_text('\n'.join(rows) + '\n')
    examples = metrics.collect_annotated(
        tmp_path / 'CollectedData_me.csv', None, {'trained': Tracker()}, gap=5
    )
    for method in ('trained', metrics.CENTROID):
        np.testing.assert_allclose(examples.found[method][:, 0], examples.points[:, 0], atol=1e-6)
    (tmp_path / 'img3.png').write_bytes(b'no picture')
    with pytest.raises(ValueError, match=r'must be a picture, got .*img3\.png'):
        metrics.collect_annotated(
            tmp_path / 'CollectedData_me.csv', None, {'trained': Tracker()}, gap=5
        )


@DATASETS.register_module(force=True)
class KnownSpots(torch.utils.data.Dataset):
    """A spot at a random place, and the same at another; joints are at the first and beside it."""

    metainfo = {'joints': ('nose', 'tail')}

    def __init__(self, *, seed, has_joints=True):
        self.places = np.random.default_rng(seed).integers(10, 54, (20, 2, 2))
        self.has_joints = has_joints

    def __len__(self):
        return len(self.places)

    def __getitem__(self, index):
        frames = np.stack([draw_frame(*place) for place in self.places[index].tolist()])
        sample = BaseDataElement(metainfo={'frame_size': (96, 96)})
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


def test_known_joints_of_a_data_set():
    examples = [
        metrics.collect_known(
            {'type': 'KnownSpots', 'seed': seed}, {'trained': SpotPredictor()}, 12
        )
        for seed in (0, 1)
    ]
    assert examples[0].points.shape == (12, 2, 2)
    assert examples[0].names == ('nose', 'tail')
    distances = metrics.evaluate_split(*examples)
    assert distances['trained'].shape == (12, 2)
    with pytest.raises(ValueError, match='KnownSpots must know the joints of its samples'):
        metrics.collect_known({'type': 'KnownSpots', 'seed': 0, 'has_joints': False}, {}, 12)


def test_both_networks_are_of_one_config(monkeypatch):
    calls = []
    monkeypatch.setattr(metrics, 'load_model', lambda *args, **kwargs: calls.append((args, kwargs)))
    config = Config({'model': {}, 'shipped_weights': 'weights.pth'})
    assert list(metrics.load_predictors(config, None, 'cpu')) == ['trained', 'untrained']
    assert calls[0] == ((config, 'random'), {'device': 'cpu'})
    assert calls[1] == ((config, None), {'device': 'cpu'})


def make_samples(keypoints, points, **fields):
    """Data samples of coordinates in [-1, 1], which are those of 3 x 3 pixels around the middle."""
    return [
        {'keypoints': torch.tensor(one), 'gt_joints': other + 1, 'frame_size': (3, 3), **fields}
        for one, other in zip(keypoints, points, strict=True)
    ]


def test_the_metric_is_the_protocol_of_the_reference(golden_root, monkeypatch):
    golden = np.load(golden_root / 'bkind_regression_eval.npz')
    metric = metrics.KeypointRegressionMetric()
    metric.process(None, make_samples(golden['in.pred'], golden['in.gt'], part='fitted'))
    tested = make_samples(golden['in.test_pred'], golden['in.test_gt'], part='tested')
    metric.process(None, tested)
    lines: list[str] = []
    monkeypatch.setattr(metrics, 'print_log', lambda text, **_: lines.extend(text.splitlines()))
    found = metric.evaluate(len(golden['in.gt']) + len(tested))
    error = 100 * golden['out.distance'].mean()
    assert found['regression/percent_mse'] == pytest.approx(error, abs=1e-3)
    distances = np.linalg.norm((golden['out.regressed'] - golden['in.test_gt']) / 2, axis=-1)
    assert found['regression/pck_0.05'] == pytest.approx((distances <= 0.05).mean(), abs=1e-9)
    how = f'fitted on {len(golden["in.gt"]):,} frames, tested on {len(tested):,} others'
    # the protocol stands beside each number
    assert [how in line for line in lines[1:4]] == [True] * 3
    assert lines[1].split()[:2] == ['%-MSE:', f'{error:.2f}']


def test_without_frames_to_fit_blocks_are_tested_on_the_others(monkeypatch):
    rng = np.random.default_rng(0)
    keypoints, points = rng.uniform(-1, 1, (23, 2, 2)), rng.uniform(-1, 1, (23, 1, 2))
    points[4] = np.nan
    metric = metrics.KeypointRegressionMetric(num_folds=4)
    metric.dataset_meta = {'joints': ('nose',)}
    metric.process(None, make_samples(keypoints, points))
    lines: list[str] = []
    monkeypatch.setattr(metrics, 'print_log', lambda text, **_: lines.append(text))
    found = metric.evaluate(23)
    examples = metrics.Examples({'m': keypoints}, points, ('nose',))
    wanted = metrics.summarize(metrics.evaluate_blocks(examples, 4)['m'])
    assert list(found.values()) == pytest.approx(wanted)
    assert '23 frames, each of 4 blocks tested on the others; 2 keypoints to 1 points' in lines[0]
    assert f'%-MSE of nose {wanted[0]:.2f}' in lines[0]


def test_what_the_metric_cannot_measure_is_refused():
    with pytest.raises(ValueError, match='num_folds must be at least 2, got num_folds=1'):
        metrics.KeypointRegressionMetric(num_folds=1)
    sample = {'keypoints': torch.zeros(1, 2), 'name': 'a'}
    with pytest.raises(ValueError, match=r'gt_joints and frame_size .* the fields keypoints, n'):
        metrics.KeypointRegressionMetric().process(None, [sample])


def test_pairs_that_are_fitted_have_no_part_in_the_error():
    metric = metrics.ReconstructionMetric()
    metric.process(None, [{'recon_error': 0.1, 'part': 'fitted'}, {'recon_error': 0.3}])
    assert metric.evaluate(2) == {'pairs/recon_error': pytest.approx(0.3)}


def write_config(path, *, dataset, evaluator):
    """`bkind_shapes` with few frames and another test set."""
    config = load_config('bkind_shapes')
    config.test_dataloader.update(batch_size=4, num_workers=0)
    config.test_dataloader.dataset = dataset
    # few numbers to fit, so that rounding hardly shows
    config.model.num_keypoints = 2
    config.test_evaluator = evaluator
    config.work_dir = str(path.parent / 'run')
    config.dump(path)
    return config


def save_weights(config, path):
    """Those of a network whose keypoints are not all in the middle, where rounding is all."""
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    torch.nn.init.constant_(model.encoder.pose.predict.norm.weight, 1e5)
    save_checkpoint_file({'state_dict': model.state_dict()}, path)


def test_mmotion_test_prints_what_the_script_prints(tmp_path, capfd):
    config = load_config('bkind_shapes')
    dataset = config.test_dataloader.dataset
    dataset.max_frames = 20
    for part in (dataset.fitted, dataset.tested):
        part.update(num_videos=2, num_frames=17)
    file, weights = tmp_path / 'few.py', tmp_path / 'weights.pth'
    config = write_config(file, dataset=dataset, evaluator=config.test_evaluator)
    save_weights(config, weights)
    assert main(['test', str(file), str(weights)]) == 0
    printed = ''.join(capfd.readouterr())

    predictors = {'m': load_model(config, str(weights), device='cpu')}
    examples = [
        metrics.collect_known(part, predictors, 20) for part in (dataset.fitted, dataset.tested)
    ]
    error, pck, _ = metrics.summarize(metrics.evaluate_split(*examples)['m'])
    how = 'fitted on 20 frames, tested on 20 others; 2 keypoints to 7 points, no bias'
    assert re.search(rf'%-MSE: +{error:.2f} +{how}', printed), printed
    assert re.search(rf'PCK@0\.05: +{pck:.3f} +{how}', printed)
    assert re.search(r'%-MSE of hip \d+\.\d\d, neck', printed)
    assert 'painted difference, 20 pairs' in printed


def test_the_config_of_the_readme_tests_annotated_frames(tmp_path):
    root = Path(__file__).resolve().parents[3]
    readme = (root / 'projects/bkind/README.md').read_text(encoding='utf-8')
    (text,) = re.findall(r'```python\n(# mouse\.py.*?)```', readme, re.DOTALL)
    file = tmp_path / 'mouse.py'
    file.write_text(text.replace("['bkind_", f"['{root}/configs/bkind_"))
    config = load_config(file)
    assert {*config.test_dataloader.dataset} == {'type', 'annotations', 'pipeline'}
    assert config.test_evaluator == {'type': 'KeypointRegressionMetric'}
    assert config.val_evaluator == {'type': 'ReconstructionMetric'}


def test_mmotion_test_measures_annotated_frames(tmp_path, capfd):
    places = [(10 + 2 * n, 20 + n) for n in range(30)]
    with VideoWriter(tmp_path / 'clip.mp4', fps=10.0) as writer:
        for place in places:
            writer.write(draw_frame(*place))
    write_annotations(tmp_path / 'a.csv', range(30), places)
    dataset = dict(
        type='AnnotatedFrames',
        annotations=str(tmp_path / 'a.csv'),
        video=str(tmp_path / 'clip.mp4'),
        pipeline=[dict(type='ResizePair', size=64), dict(type='PackPair')],
    )
    file, weights = tmp_path / 'mouse.py', tmp_path / 'weights.pth'
    config = write_config(file, dataset=dataset, evaluator=dict(type='KeypointRegressionMetric'))
    save_weights(config, weights)
    assert main(['test', str(file), str(weights)]) == 0
    printed = ''.join(capfd.readouterr())
    predictors = {'m': load_model(config, str(weights), device='cpu')}
    examples = metrics.collect_annotated(
        tmp_path / 'a.csv', tmp_path / 'clip.mp4', predictors, gap=2
    )
    error, *_ = metrics.summarize(metrics.evaluate_blocks(examples, 5)['m'])
    found = re.search(r'%-MSE: +([\d.]+) +30 frames, each of 5 blocks tested on the oth', printed)
    assert found, printed
    # the one reads coordinates in pixels, the other from -1 to 1: float32 and a map of little rank
    assert float(found[1]) == pytest.approx(error, rel=0.01)
