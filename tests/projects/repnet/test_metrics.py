import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger

from mmotion.registry import METRICS
from projects.repnet.metrics import RepetitionMetric
from projects.repnet.results import RepetitionCount


@pytest.fixture
def make_sample():
    """A prediction that counts `count` at a period of 10 frames in the first frames."""

    def make(count, true_count, *, strides=(1, 2), num_frames=100, **labels):
        rate = np.zeros(num_frames)
        rate[: round(count * 10)] = 0.1
        pred = RepetitionCount.from_rates(
            rate, np.zeros(num_frames), fps=25.0, confidence=0.5, stride=1, strides=strides
        )
        return {'pred': pred, 'gt_count': true_count, 'name': 'clip', **labels}

    return make


def evaluate(samples, **options):
    metric = RepetitionMetric(**options)
    metric.process(None, samples)
    return metric.evaluate(size=len(samples))


def test_scores_of_counts_by_hand(make_sample):
    # errors 0, 1, 1.6, 3 of 4, 4, 8, 2
    samples = [make_sample(p, t) for p, t in ((4, 4), (3, 4), (9.6, 8), (5, 2))]
    scores = evaluate(samples)
    assert scores == {
        'count/MAE': pytest.approx((0 + 1 / 4 + 1.6 / 8 + 3 / 2) / 4),
        'count/abs_MAE': pytest.approx((0 + 1 + 1.6 + 3) / 4),
        # 9.6 is rounded to 10, two off
        'count/OBO': 0.5,
        'count/OBZ': 0.25,
    }


@pytest.mark.parametrize(
    ('count', 'true_count', 'obo', 'obz'),
    [
        pytest.param(4.4, 4, 1, 1, id='rounds down to right'),
        pytest.param(4.5, 5, 1, 1, id='half is rounded up'),
        pytest.param(2.5, 2, 1, 0, id='half is rounded up, to an odd number too'),
        pytest.param(5.4, 4, 1, 0, id='one off'),
        pytest.param(5.6, 4, 0, 0, id='two off'),
        pytest.param(4.0, 3.6, 1, 1, id='a true count that is not whole'),
    ],
)
def test_rounding(make_sample, count, true_count, obo, obz):
    scores = evaluate([make_sample(count, true_count)])
    assert (scores['count/OBO'], scores['count/OBZ']) == (obo, obz)


@pytest.mark.parametrize(
    ('zero_count', 'mae'),
    [pytest.param('skip', 0.25, id='skip'), pytest.param('one', (0.25 + 3) / 2, id='one')],
)
def test_true_count_of_zero(make_sample, zero_count, mae):
    scores = evaluate([make_sample(5, 4), make_sample(3, 0)], zero_count=zero_count)
    assert scores['count/MAE'] == pytest.approx(mae)
    assert scores['count/abs_MAE'] == pytest.approx(2)
    assert scores['count/OBO'] == 0.5


def test_mae_is_left_out_if_all_true_counts_are_zero(make_sample):
    scores = evaluate([make_sample(1, 0)])
    assert 'count/MAE' not in scores
    assert scores['count/abs_MAE'] == pytest.approx(1)


def test_scores_of_frames_by_hand(make_sample):
    # predicted: frames 0..39 at period 10. true: frames 20..69, at period 8 up to 29, then 10
    period = torch.zeros(100)
    period[20:30], period[30:70] = 8, 10
    labels = {'gt_period': period, 'gt_periodicity': (period > 0).float()}
    # a second video that repeats nowhere and is said to nowhere
    nothing = {'gt_period': torch.zeros(100), 'gt_periodicity': torch.zeros(100)}
    scores = evaluate([make_sample(4, 5, **labels), make_sample(0, 0, **nothing)])
    assert scores['count/period_error'] == pytest.approx((10 * 0.25 + 10 * 0) / 20)
    assert scores['count/precision'] == pytest.approx(20 / 40)
    assert scores['count/recall'] == pytest.approx(20 / 50)
    assert scores['count/F1'] == pytest.approx(2 * 20 / (40 + 50))


def test_frame_scores_are_left_out_where_there_is_nothing_to_average(make_sample):
    nothing = {'gt_period': torch.zeros(100), 'gt_periodicity': torch.zeros(100)}
    scores = evaluate([make_sample(0, 0, **nothing)])
    assert not {'count/period_error', 'count/precision', 'count/recall', 'count/F1'} & set(scores)
    # one video with labels is enough, the others are left out
    scores = evaluate([make_sample(0, 0, **nothing), make_sample(5, 5)])
    assert 'count/recall' not in scores and scores['count/OBZ'] == 1


def test_protocol_is_printed_beside_each_number(make_sample, caplog):
    samples = [make_sample(4, 4), make_sample(1, 0), make_sample(1, 1, strides=(1,))]
    # mmengine's logger does not pass records on to the root logger
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    metric = METRICS.build({'type': 'RepetitionMetric'})
    metric.process(None, samples)
    metric.evaluate(size=3)
    logger.removeHandler(caplog.handler)
    lines = [line for line in caplog.text.splitlines() if 'MAE: ' in line or 'OB' in line]
    assert len(lines) == 4
    for line in lines:
        assert 'multi_speed(1,2) and single_speed(1), 3 videos, 1 of them with true count 0' in line
        assert '(left out of MAE)' in line


def test_prefix(make_sample):
    assert 'swim/MAE' in evaluate([make_sample(1, 1)], prefix='swim')


def test_bad_zero_count():
    with pytest.raises(ValueError, match="zero_count must be one of skip, one, got zero_count='x'"):
        RepetitionMetric(zero_count='x')


def test_labels_of_another_length(make_sample):
    labels = {'gt_period': torch.zeros(99), 'gt_periodicity': torch.zeros(99)}
    with pytest.raises(ValueError, match=r"each of 100 frames, got shapes \(99,\) .* 'clip'"):
        RepetitionMetric().process(None, [make_sample(1, 1, **labels)])


def test_only_named_samples_are_scored(make_sample):
    samples = [make_sample(4, 4), {**make_sample(9, 3), 'name': 'real/clip'}]
    assert evaluate(samples, names='real/*', prefix='real')['real/abs_MAE'] == pytest.approx(6)
    assert evaluate(samples, names='clip')['count/OBZ'] == 1
    assert evaluate(samples, names='other') == {}
