"""Features of tracks, labels, and the baseline on behaviours that are plain to see."""

import json

import numpy as np
import pytest

from projects.bkind.commands import _behaviors
from tests.projects.bkind.commands.test_behavior_features import make_tracks


def test_features_are_in_sizes_of_the_picture():
    tracks = make_tracks()
    features = _behaviors.make_features(tracks)
    assert _behaviors.name_features(tracks) == [
        f'nose_{value}' for value in ('x', 'y', 'confidence', 'var_x', 'var_y', 'cov_xy')
    ]
    np.testing.assert_allclose(features[:, 0], tracks.keypoints[:, 0, 0] / 640)
    np.testing.assert_allclose(features[0, 1:], [0.5, 0.5, 1, 0.25, 0.125])


def test_context_repeats_the_ends():
    features = np.arange(120, dtype=np.float32)[:, None]
    context = _behaviors.add_context(features)
    assert context.shape == (120, 10)
    assert context[60].tolist() == [10, 35, 50, 55, 60, 65, 70, 85, 110, 10]
    assert context[0, :5].tolist() == [0] * 5
    assert context[-1, 4:9].tolist() == [119] * 5


def test_labels_of_calms21(tmp_path):
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
    labels = _behaviors.read_labels(path, {'mouse0': make_tracks(), 'mouse1': make_tracks()})
    assert list(labels) == ['mouse0']
    assert labels['mouse0'][[9, 10]].tolist() == ['other', 'attack']


def test_precision_of_a_class_that_is_only_guessed(monkeypatch):
    """A classifier that gives all frames one score has the share of a class as its precision."""

    class Guess:
        classes_ = np.array(['a', 'b', 'other'])

        def fit(self, inputs, truth):
            pass

        def predict_proba(self, inputs):
            return np.tile([0.5, 0.2, 0.3], (len(inputs), 1))

        def predict(self, inputs):
            return np.full(len(inputs), 'a')

    monkeypatch.setattr(_behaviors, 'HistGradientBoostingClassifier', lambda **_: Guess())
    labels = {name: np.array(['a', 'a', 'b', 'other'] * 5) for name in ('one', 'two')}
    features = {name: np.zeros((20, 3), np.float32) for name in labels}
    results = _behaviors.try_baseline(features, labels, ['two'])
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
def test_wrong_labels_are_refused(tmp_path, content, message):
    path = tmp_path / 'labels.csv'
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        _behaviors.read_labels(path, {'mouse0': make_tracks()})


def test_wrong_splits_and_files_are_refused(tmp_path):
    features = {'one': np.zeros((4, 2), np.float32)}
    with pytest.raises(ValueError, match='must leave videos to train and to test on, got 1 and 0'):
        _behaviors.try_baseline(features, {'one': np.array(['a'] * 4)}, [])
    features['two'] = features['one']
    labels = {'one': np.array(['a'] * 4), 'two': np.array(['b'] * 4)}
    with pytest.raises(ValueError, match='must be in training and test videos, got a and b'):
        _behaviors.try_baseline(features, labels, ['two'])
    (tmp_path / 'a.json').write_text('{"count": 3}')
    with pytest.raises(ValueError, match=r'a\.json must hold keypoint tracks: tracks must'):
        _behaviors.read_tracks(tmp_path / 'a.json')
