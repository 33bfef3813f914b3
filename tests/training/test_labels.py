import logging

import pytest
from mmengine.dataset import BaseDataset

from mmotion.training.labels import check_labels, find_num_classes

MODEL = {'type': 'Recognizer3D', 'cls_head': {'type': 'TimeSformerHead', 'num_classes': 3}}
LOADER = {'dataset': {'type': 'RepeatDataset', 'dataset': {'ann_file': 'lists/train.txt'}}}


class Labelled(BaseDataset):
    """Entries with labels, as MMAction2's data sets have them."""

    def __init__(self, labels, classes=()):
        self.labels = labels
        super().__init__(metainfo={'classes': classes} if classes else None)

    def load_data_list(self):
        return [{'name': f'{i}.mp4', 'label': label} for i, label in enumerate(self.labels)]


class Wrapper:
    def __init__(self, dataset):
        self.dataset = dataset


def check(labels, classes=(), model=MODEL, is_training=True):
    dataset = Wrapper(Labelled(labels, classes))
    check_labels(model, LOADER, dataset, is_training=is_training)


@pytest.mark.parametrize(
    ('labels', 'classes', 'message'),
    [
        pytest.param(
            [1, 2, 3],
            (),
            r'label must lie in 0\.\.2, got label=3 of 2\.mp4 in lists/train\.txt and '
            r'model\.cls_head\.num_classes=3; labels count from 0, so subtract 1',
            id='from 1',
        ),
        pytest.param([1, 5], (), 'set .*num_classes=5, and subtract 1', id='from 1 and too many'),
        pytest.param([0, 5], (), 'label=5 of 1.mp4.*set model.cls_head.num_classes=6', id='many'),
        pytest.param([0, -1], (), 'label=-1 of 1.mp4.*from 0 on', id='negative'),
        pytest.param([[0, 2], [1, 3]], (), 'label=3 of 1.mp4', id='several each'),
        pytest.param(
            [0, 1],
            ('a', 'b', 'c', 'd'),
            r'got model\.cls_head\.num_classes=3 and 4 classes in lists/train\.txt '
            r'\(a, b, c, d\); set model\.cls_head\.num_classes=4',
            id='more classes than outputs',
        ),
    ],
)
def test_labels_that_are_no_class(labels, classes, message):
    with pytest.raises(ValueError, match=message):
        check(labels, classes)


@pytest.mark.parametrize(
    ('labels', 'message'),
    [
        pytest.param([0, 1], 'num_classes=3, and lists/train.txt has 2 classes', id='fewer'),
        pytest.param([1, 2], 'has label 0: labels count from 0, so subtract 1', id='none is 0'),
    ],
)
def test_what_trains_but_may_not_be_meant_is_warned_of(labels, message, monkeypatch):
    said = []
    monkeypatch.setattr(
        'mmotion.training.labels.print_log', lambda text, logger, level: said.append((level, text))
    )
    check(labels, is_training=False)
    assert said == []
    check(labels)
    assert said[0][0] == logging.WARNING and message in said[0][1]


def test_labels_that_are_classes():
    check([0, 2, 1, 1], ('a', 'b', 'c'))
    check([[0, 2], [1]])
    # of a model without classes nothing is asked
    check([0, 7], model={'type': 'RepNet'})


def test_two_numbers_of_classes_in_a_model():
    mixup = {'blending': {'type': 'MixupBlending', 'num_classes': 4}}
    model = {**MODEL, 'data_preprocessor': mixup, 'backbone': {'num_classes': 1000}}
    assert dict(find_num_classes(model)) == {
        'model.cls_head.num_classes': 3,
        'model.data_preprocessor.blending.num_classes': 4,
    }
    with pytest.raises(ValueError, match='num_classes must be the same in all parts of a model'):
        check([0, 1], model=model)
