import csv
import logging
import math

import cv2
import numpy as np
import pytest
import torch
from mmaction.evaluation import mean_class_accuracy as reference_mean_class_accuracy
from mmaction.evaluation import top_k_accuracy as reference_top_k_accuracy
from mmengine.logging import MMLogger

from mmotion.metrics import (
    ActionMetric,
    count_confusion,
    describe_views,
    mean_class_accuracy,
    plot_confusion,
    top_k_accuracy,
)
from mmotion.registry import METRICS

CLASSES = ('sit', 'walk', 'run')
# three videos of sit, one of walk; the second and the last are wrong
SCORES = [[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.5, 0.4, 0.1], [0.6, 0.3, 0.1]]
LABELS = [0, 0, 0, 1]


@pytest.fixture
def log():
    """What is logged while the test runs."""
    records = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    yield records
    logger.removeHandler(handler)


def evaluate(metric, scores=SCORES, labels=LABELS, *, views=3, excluded=(), classes=CLASSES):
    metric.dataset_meta = {'classes': classes}
    for number, (score, label) in enumerate(zip(scores, labels, strict=True)):
        sample = {
            'pred_score': torch.tensor(score),
            'gt_label': torch.tensor([label]),
            'name': f'video_{number}',
            'num_clips': 1,
            'excluded': number in excluded,
        }
        metric.process({'inputs': [torch.zeros(views, 3, 2, 4, 4)]}, [sample])
    return metric.evaluate(len(scores))


def test_by_hand(tmp_path):
    result = evaluate(ActionMetric(out_dir=str(tmp_path)))
    # of sit 2 of 3 are right, of walk none
    assert result == {'acc/top1': 0.5, 'acc/mean1': pytest.approx(1 / 3)}


def test_top5_is_left_out_where_it_says_nothing(tmp_path):
    scores = np.eye(6, dtype=np.float32)[[0, 1, 2]]
    result = evaluate(ActionMetric(out_dir=str(tmp_path)), scores, [0, 1, 5], classes=range(6))
    assert result['acc/top1'] == pytest.approx(2 / 3)
    # class 5 ties with three others for the last place
    assert result['acc/top5'] == pytest.approx(2 / 3)


def test_agrees_with_mmaction():
    rng = np.random.default_rng(0)
    scores, labels = rng.random((200, 12)), rng.integers(0, 12, 200)
    for k in (1, 5):
        (expected,) = reference_top_k_accuracy(list(scores), labels.tolist(), (k,))
        assert top_k_accuracy(scores, labels, k) == pytest.approx(expected)
    expected = reference_mean_class_accuracy(list(scores), labels.tolist())
    assert mean_class_accuracy(scores, labels) == pytest.approx(expected)


@pytest.mark.parametrize('value', [0.1, np.nan])
def test_a_model_that_says_nothing_is_not_right(value):
    scores, labels = np.full((4, 10), value), np.array([0, 1, 2, 3])
    assert top_k_accuracy(scores, labels, 1) == top_k_accuracy(scores, labels, 5) == 0


def test_scores_that_are_not_finite_are_refused():
    """They measured 0.0, or the share of the first class, with exit 0."""
    scores = [*SCORES[:3], [0.6, math.nan, 0.1]]
    with pytest.raises(ValueError, match=r'pred_score must be finite, got .* look at the weights'):
        evaluate(ActionMetric(), scores)


def test_protocol_is_printed_beside_the_numbers(tmp_path, log):
    evaluate(ActionMetric(out_dir=str(tmp_path)), excluded=(3,))
    assert '  top1: 0.6667   1 clip x 3 crops of 2x4x4, 3 videos, 1 excluded' in log[0]


def test_excluded_videos_do_not_count(tmp_path, log):
    result = evaluate(ActionMetric(out_dir=str(tmp_path)), excluded=(1, 3))
    assert result == {'acc/top1': 1.0, 'acc/mean1': 1.0}
    assert evaluate(ActionMetric(out_dir=str(tmp_path)), excluded=range(4)) == {}
    assert 'all of the 4 videos are excluded' in log[-1]


def test_scores_of_each_video_are_written(tmp_path):
    evaluate(ActionMetric(out_dir=str(tmp_path / 'new')), excluded=(2,))
    with open(tmp_path / 'new' / 'scores.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert rows[1] == {
        'video': 'video_1',
        'class': 'sit',
        'predicted': 'run',
        'sit': '0.1',
        'walk': '0.3',
        'run': '0.6',
    }
    assert (rows[2]['class'], rows[2]['predicted'], rows[2]['sit']) == ('sit', None, None)
    assert sorted(p.name for p in (tmp_path / 'new').iterdir()) == ['confusion.png', 'scores.csv']


def test_files_lie_beside_the_log_by_default(tmp_path, log, monkeypatch):
    logger = MMLogger.get_current_instance()
    # without the log of a run of another test
    own = [handler for handler in logger.handlers if not isinstance(handler, logging.FileHandler)]
    monkeypatch.setattr(logger, 'handlers', own)
    handler = logging.FileHandler(tmp_path / 'run.log')
    logger.addHandler(handler)
    try:
        evaluate(ActionMetric())
    finally:
        logger.removeHandler(handler)
        handler.close()
    assert (tmp_path / 'scores.csv').is_file()
    assert log[-1].endswith(f'written to {tmp_path}')


def test_confusion():
    confusion = count_confusion(np.array(SCORES), np.array(LABELS))
    np.testing.assert_array_equal(confusion, [[2, 0, 1], [1, 0, 0], [0, 0, 0]])


@pytest.mark.parametrize('num_classes', [2, 400])
def test_picture_of_the_confusion(tmp_path, num_classes):
    path = tmp_path / 'confusion.png'
    plot_confusion(np.eye(num_classes, dtype=int), [f'class {i}' for i in range(num_classes)], path)
    image = cv2.imread(str(path))
    assert image is not None and image.shape[1] < 2500
    # the diagonal is dark, at most a row of it may be lost to the size of a pixel
    assert image.min() < 110


@pytest.mark.parametrize(
    'label',
    [
        pytest.param([3], id='too large'),
        pytest.param([0, 1], id='two'),
        pytest.param([-1], id='no'),
    ],
)
def test_a_video_must_have_one_class(label):
    sample = {'pred_score': torch.ones(3), 'gt_label': torch.tensor(label), 'name': 'a.mp4'}
    with pytest.raises(ValueError, match=r"must be one class of 3, got .* for video 'a.mp4'"):
        ActionMetric().process({'inputs': [torch.zeros(1, 3, 2, 4, 4)]}, [sample])


def test_views_of_an_unknown_number_of_clips():
    assert describe_views((30, 3, 8, 16, 16)) == '30 views of 8x16x16'


def test_is_registered():
    assert METRICS.get('ActionMetric') is ActionMetric


def test_each_class_by_hand(tmp_path, log):
    evaluate(ActionMetric(out_dir=str(tmp_path), per_class=True))
    text = next(record for record in log if record.startswith('accuracy of each class'))
    # the worst first; of run there is no video
    assert text.splitlines()[1:] == [
        'walk  0.0000  of 1 videos; 1 taken for sit',
        'sit   0.6667  of 3 videos; 1 taken for run',
    ]
    assert (tmp_path / 'classes.csv').read_text().splitlines() == [
        'class,videos,right,accuracy,taken_for,taken_for_videos',
        'sit,3,2,0.66667,run,1',
        'walk,1,0,0,sit,1',
        'run,0,,,,',
    ]
    assert (tmp_path / 'confusion.csv').read_text().splitlines() == [
        'class,sit,walk,run', 'sit,2,0,1', 'walk,1,0,0', 'run,0,0,0',
    ]  # fmt: skip
