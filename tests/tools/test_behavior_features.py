"""Features of tracks, labels, and the baseline on behaviours that are plain to see."""

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from projects.bkind.results import KeypointTracks

ANALYSIS = Path(__file__).resolve().parents[2] / 'tools' / 'analysis'


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    # where Python looks when a script is run
    monkeypatch.syspath_prepend(ANALYSIS)
    return importlib.import_module('behavior_features')


def make_tracks(num_frames=200, seed=0):
    """A keypoint that is on the left in frames 50 to 99, runs from 120 to 159, and rests else."""
    rng = np.random.default_rng(seed)
    x = np.full(num_frames, 400.0)
    x[50:100] = 100
    x[120:160] += 40 * (np.arange(40) % 4)
    x = x + rng.normal(0, 3, num_frames)
    return KeypointTracks(
        fps=25.0,
        width=640,
        height=480,
        frames=np.arange(num_frames),
        keypoints=np.stack([x, np.full(num_frames, 240.0)], axis=1)[:, None],
        confidence=np.full((num_frames, 1), 0.5),
        covariance=np.tile([640.0**2, 480.0**2 / 4, 640.0 * 480 / 8], (num_frames, 1, 1)),
        names=('nose',),
    )


@pytest.fixture
def videos(tmp_path):
    paths = []
    for seed in range(4):
        path = tmp_path / f'mouse{seed}.json'
        path.write_text(json.dumps(make_tracks(seed=seed).to_dict()))
        paths.append(path)
    rows = [f'mouse{seed},50,100,left\nmouse{seed},120,160,run\n' for seed in range(4)]
    (tmp_path / 'labels.csv').write_text('video,start,end,label\n' + ''.join(rows))
    return paths


def test_features_are_in_sizes_of_the_picture(script):
    tracks = make_tracks()
    features = script.make_features(tracks)
    assert script.name_features(tracks) == [
        f'nose_{value}' for value in ('x', 'y', 'confidence', 'var_x', 'var_y', 'cov_xy')
    ]
    np.testing.assert_allclose(features[:, 0], tracks.keypoints[:, 0, 0] / 640)
    np.testing.assert_allclose(features[0, 1:], [0.5, 0.5, 1, 0.25, 0.125])


def test_context_repeats_the_ends(script):
    features = np.arange(120, dtype=np.float32)[:, None]
    context = script.add_context(features)
    assert context.shape == (120, 10)
    assert context[60].tolist() == [10, 35, 50, 55, 60, 65, 70, 85, 110, 10]
    assert context[0, :5].tolist() == [0] * 5
    assert context[-1, 4:9].tolist() == [119] * 5


def test_command_writes_features_and_finds_behaviours(
    script, videos, tmp_path, monkeypatch, capsys
):
    command = ['behavior_features', *map(str, videos), '--out', str(tmp_path / 'out')]
    labels = ['--labels', str(tmp_path / 'labels.csv'), '--test', 'mouse3', 'mouse[2]']
    monkeypatch.setattr(sys, 'argv', [*command, *labels])
    script.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == '400 frames tested'
    assert lines[-1].startswith('MAP')
    assert float(lines[-1].split()[1]) > 0.9
    with np.load(tmp_path / 'out' / 'mouse1.npz') as content:
        assert content['features'].shape == (200, 6)
        assert content['frames'].tolist() == list(range(200))
        assert content['names'][0] == 'nose_x'
    monkeypatch.setattr(sys, 'argv', [*command, '--csv'])
    script.main()
    rows = (tmp_path / 'out' / 'mouse0.csv').read_text().splitlines()
    assert len(rows) == 201 and rows[0].startswith('frame,nose_x,nose_y,')


def test_labels_of_calms21(script, tmp_path):
    content = {
        'annotator-id_0': {
            'task1/train/mouse0': {
                'annotations': [3] * 10 + [0] * 190,
                'metadata': {'vocab': {'attack': 0, 'other': 3}},
            }
        }
    }
    path = tmp_path / 'calms21.json'
    path.write_text(json.dumps(content))
    labels = script.read_labels(path, {'mouse0': make_tracks(), 'mouse1': make_tracks()})
    assert list(labels) == ['mouse0']
    assert labels['mouse0'][[9, 10]].tolist() == ['other', 'attack']


def test_precision_of_a_class_that_is_only_guessed(script, monkeypatch):
    """A classifier that gives all frames one score has the share of a class as its precision."""

    class Guess:
        classes_ = np.array(['a', 'b', 'other'])

        def fit(self, inputs, truth):
            pass

        def predict_proba(self, inputs):
            return np.tile([0.5, 0.2, 0.3], (len(inputs), 1))

        def predict(self, inputs):
            return np.full(len(inputs), 'a')

    monkeypatch.setattr(script, 'HistGradientBoostingClassifier', lambda **_: Guess())
    labels = {name: np.array(['a', 'a', 'b', 'other'] * 5) for name in ('one', 'two')}
    features = {name: np.zeros((20, 3), np.float32) for name in labels}
    results = script.try_baseline(features, labels, ['two'])
    assert results['a'] == (pytest.approx(0.5), pytest.approx(2 / 3), 10)
    assert results['b'] == (pytest.approx(0.25), 0.0, 5)
    assert list(results) == ['a', 'b']


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        pytest.param('video,start\nmouse0,3\n', 'must be a table with video, start', id='columns'),
        pytest.param(
            'video,start,end,label\nother,0,9,run\n', 'name the videos as there', id='names'
        ),
    ],
)
def test_wrong_labels_are_refused(script, tmp_path, content, message):
    path = tmp_path / 'labels.csv'
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        script.read_labels(path, {'mouse0': make_tracks()})


def test_wrong_splits_and_files_are_refused(script, tmp_path):
    features = {'one': np.zeros((4, 2), np.float32)}
    with pytest.raises(ValueError, match='must leave videos to train and to test on, got 1 and 0'):
        script.try_baseline(features, {'one': np.array(['a'] * 4)}, [])
    features['two'] = features['one']
    labels = {'one': np.array(['a'] * 4), 'two': np.array(['b'] * 4)}
    with pytest.raises(ValueError, match='must be in training and test videos, got a and b'):
        script.try_baseline(features, labels, ['two'])
    (tmp_path / 'a.json').write_text('{"count": 3}')
    with pytest.raises(ValueError, match=r'a\.json must hold keypoint tracks: tracks must'):
        script.read_tracks(tmp_path / 'a.json')
