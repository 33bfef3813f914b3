from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from mmotion.inference.exported import ExportedModel
from mmotion.inference.features import Features, average, extract_features, find_layer


class Looker:
    """A predictor whose model sees three windows in two views each, or each frame once."""

    features_layer = None

    def __init__(self, calls=(6,), **result):
        self.model = nn.Module()
        self.model.backbone = nn.Conv3d(3, 4, 1)
        self.model.head = nn.Linear(4, 2)
        self.calls, self.result = calls, result

    @torch.no_grad()
    def predict(self, video, *, fps):
        for size in self.calls:
            self.model.backbone(torch.ones(size, 3, 2, 4, 4))
        frames = {'num_frames': 6, 'fps': 2.0, 'start_s': 1.0, 'frame_times_s': None}
        return SimpleNamespace(**frames | self.result)


def test_averages():
    tokens = torch.arange(12.0).reshape(1, 3, 4)
    assert average(tokens).tolist() == [[4, 5, 6, 7]]
    maps = torch.arange(24.0).reshape(1, 2, 3, 2, 2)
    assert average(maps).tolist() == [[5.5, 17.5]]
    assert average([maps, torch.ones(1, 1)]).tolist() == [[5.5, 17.5, 1]]
    for output in (torch.ones(3), {'a': 1}, ()):
        with pytest.raises(ValueError, match=r'a layer must give tensors \(B, D, \.\.\.\)'):
            average(output)


def test_a_layer_is_found_by_its_name():
    looker = Looker()
    model = looker.model
    assert find_layer(looker, None) == ('backbone', model.backbone)
    assert find_layer(looker, 'head') == ('head', model.head)
    looker.features_layer = 'head'
    assert find_layer(looker, None) == ('head', model.head)
    message = 'a layer must be one of the model, got neck; it has backbone, head, and parts'
    with pytest.raises(ValueError, match=message):
        find_layer(looker, 'neck')
    looker.model = ExportedModel.__new__(ExportedModel)
    with pytest.raises(ValueError, match='must be of a model in torch, got one that was exported'):
        find_layer(looker, None)


def test_views_of_a_window_are_averaged():
    windows = {'window_start_s': np.array([0.0, 1.0, 2.0]), 'window_end_s': np.array([2.0, 3, 4])}
    looker = Looker(calls=(4, 2), **windows)
    features = extract_features(looker, looker.model.backbone, 'a.mp4')
    assert features.values.shape == (3, 4)
    assert (features.start_s.tolist(), features.end_s.tolist()) == ([0, 1, 2], [2, 3, 4])
    # nothing goes on listening
    assert not looker.model.backbone._forward_hooks


def test_a_row_a_frame_has_its_time():
    looker = Looker()
    features = extract_features(looker, looker.model.backbone, 'a.mp4')
    assert features.start_s.tolist() == [1.0, 1.5, 2.0, 2.5, 3.0, 3.5]
    assert features.end_s[-1] == 4.0
    looker.calls = (5,)
    assert extract_features(looker, looker.model.backbone, 'a.mp4').start_s is None


def test_a_layer_that_is_not_run_gives_nothing():
    looker = Looker()
    with pytest.raises(ValueError, match='a layer must be run in predicting'):
        extract_features(looker, looker.model.head, 'a.mp4')
    with pytest.raises(AttributeError):
        extract_features(SimpleNamespace(), looker.model.head, 'a.mp4')
    assert not looker.model.head._forward_hooks


def test_files_are_plain_arrays(tmp_path):
    values = np.ones((2, 3), np.float32)
    Features(values, np.array([0.0, 1]), np.array([1.0, 2])).write(tmp_path / 'a.npz')
    Features(values).write(tmp_path / 'b.npz')
    Features(values).write(tmp_path / 'c.npy')
    with np.load(tmp_path / 'a.npz') as content:
        assert sorted(content) == ['end_s', 'features', 'start_s']
        assert content['features'].dtype == np.float32
    assert sorted(np.load(tmp_path / 'b.npz')) == ['features']
    assert np.load(tmp_path / 'c.npy').shape == (2, 3)
