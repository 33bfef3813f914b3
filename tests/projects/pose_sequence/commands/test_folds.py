"""Samples that are divided into folds, and oversampled."""

import sys

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.dataset import BaseDataset

from mmotion.registry import DATASETS
from projects.pose_sequence.commands._folds import (
    list_samples,
    oversample,
    whole_training_data,
)


def test_data_without_labels():
    class NoLabels(BaseDataset):
        def load_data_list(self):
            return [{'name': 'a', 'label': -1}, {'name': 'b'}]

    DATASETS.register_module(module=NoLabels, force=True)
    with pytest.raises(ValueError, match='a label each, got 2 of 2 without; choose a config'):
        list_samples({'type': 'NoLabels', 'pipeline': []})


def test_oversampling_needs_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, 'imblearn.over_sampling', None)
    with pytest.raises(ImportError, match=r'must have the package imbalanced-learn, .*leave out'):
        oversample(np.arange(3), np.array([0, 0, 1]), minimum=2, seed=0)


def test_oversampling_repeats_what_is_rare_in_the_training_fold_alone():
    pytest.importorskip('imblearn')
    labels = np.array([0, 0, 0, 0, 1, 1, 2, 2])
    indices = np.array([0, 1, 2, 4, 7])
    taken = oversample(indices, labels, minimum=2, seed=0)
    assert np.bincount(labels[taken]).tolist() == [3, 2, 2]
    assert set(taken) == set(indices)
    assert oversample(indices[:3], labels, minimum=9, seed=0).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ('split', 'whole'),
    [
        pytest.param({'split': 'train'}, {'split': None}, id='flat'),
        pytest.param(
            {'subset': {'split': 'train', 'val_share': 0.1}},
            {'subset': {'split': None, 'val_share': 0.1}},
            id='options',
        ),
        pytest.param({}, {}, id='not split'),
    ],
)
def test_folds_are_made_of_all_training_data(split, whole):
    data = {'type': 'Blobs', 'group_pattern': '[a-z]+'}
    config = Config({'train_dataloader': {'dataset': {**data, **split}}})
    assert whole_training_data(config) == {**data, **whole}
