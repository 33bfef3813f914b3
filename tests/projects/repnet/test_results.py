import dataclasses
import json
import math
import pickle

import numpy as np
import pytest

from mmotion.visualization import make_caption, make_painter, plot_result, plot_row
from projects.repnet.results import RepetitionCount, RepetitionSegment, RunningCount

VALID = {
    'count': 1.0,
    'fps': 2.0,
    'count_per_frame': [0.0, 0.5, 1.0],
    'period_s_per_frame': [np.nan, 1.0, 1.0],
    'periodicity_per_frame': [0.1, 0.9, 1.0],
    'confidence': 0.6,
    'stride': 2,
    'segments': (RepetitionSegment(start_s=0.5, end_s=1.5, count=1.0),),
    'repetition_times_s': [1.5],
    'strides': (1, 2),
}


def from_rates(rate, **changes):
    options = {'fps': 10.0, 'confidence': 0.5, 'stride': 1, **changes}
    return RepetitionCount.from_rates(np.array(rate, float), np.ones(len(rate)), **options)


def test_to_dict_gives_plain_json_types():
    # allow_nan=False refuses NaN
    loaded = json.loads(json.dumps(RepetitionCount(**VALID).to_dict(), allow_nan=False))
    assert loaded == {
        **VALID,
        'repetitions': 1,
        'period_s_per_frame': [None, 1.0, 1.0],
        'segments': [{'start_s': 0.5, 'end_s': 1.5, 'count': 1.0}],
        'strides': [1, 2],
        'start_s': 0.0,
    }


def test_to_dict_of_numpy_scalars():
    result = RepetitionCount(**{**VALID, 'confidence': np.float32(0.5), 'stride': np.int64(2)})
    plain = result.to_dict()
    assert type(plain['confidence']) is float and type(plain['stride']) is int


def test_a_result_cannot_be_changed():
    result = RepetitionCount(**VALID)
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.count = 3
    with pytest.raises(ValueError, match='read-only'):
        result.count_per_frame[0] = 3


def test_a_result_does_not_share_memory_with_its_input():
    counts = np.array([0.0, 0.5, 1.0])
    result = RepetitionCount(**{**VALID, 'count_per_frame': counts})
    counts[:] = 7
    assert result.count_per_frame[-1] == 1


def test_a_result_survives_pickling():
    result = pickle.loads(pickle.dumps(RepetitionCount(**VALID)))
    assert result.num_frames == 3 and result.segments == VALID['segments']


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        pytest.param({'count': -1.0}, 'count must be at least 0, got count=-1.0', id='c'),
        pytest.param({'count': math.nan}, 'count must be at least 0', id='count NaN'),
        pytest.param({'count': 2.0}, r'last of count_per_frame=1.0, got count=2.0', id='sum'),
        pytest.param({'fps': 0}, 'fps must be above 0 and finite, got fps=0', id='fps'),
        pytest.param({'fps': math.inf}, 'fps must be above 0', id='fps infinite'),
        pytest.param({'confidence': 1.1}, r'confidence must lie in \[0, 1\]', id='confidence'),
        pytest.param({'stride': 0}, 'stride must be at least 1', id='stride'),
        pytest.param({'stride': 4}, r'one of strides=\(1, 2\), got stride=4', id='strides'),
        pytest.param({'start_s': -1.0}, 'start_s must be at least 0', id='start'),
        pytest.param({'count_per_frame': [0.0, 1.0]}, 'got lengths count_per_frame=2', id='short'),
        pytest.param({'count_per_frame': [[0.0]]}, r'1 dimension, got shape \(1, 1\)', id='2-d'),
        pytest.param({'count_per_frame': [0.0, 2.0, 1.0]}, 'never fall', id='falls'),
        pytest.param({'count_per_frame': [-1.0, 0.0, 1.0]}, 'start at 0', id='negative'),
        pytest.param({'count_per_frame': [0.0, np.nan, 1.0]}, 'never fall', id='count has NaN'),
        pytest.param({'period_s_per_frame': [0.0, 1, 1]}, 'or NaN', id='period 0'),
        pytest.param({'period_s_per_frame': [np.inf, 1, 1]}, 'finite, or NaN', id='period inf'),
        pytest.param({'periodicity_per_frame': [0, 0, 1.5]}, r'in \[0, 1\]', id='periodicity'),
        pytest.param({'periodicity_per_frame': [0, 0, np.nan]}, r'in \[0, 1\]', id='its NaN'),
        pytest.param({'segments': VALID['segments'] * 2}, 'segment 0 ending at 1.5 s', id='order'),
        pytest.param({'repetition_times_s': [2.0, 1.0]}, 'must be in order', id='times'),
    ],
)
def test_bad_values(change, message):
    with pytest.raises(ValueError, match=message):
        RepetitionCount(**{**VALID, **change})


def test_no_frames():
    empty = {name: [] for name in VALID if name.endswith('_per_frame')}
    with pytest.raises(ValueError, match='at least one frame'):
        RepetitionCount(**{**VALID, **empty})


@pytest.mark.parametrize(
    ('segment', 'message'),
    [
        pytest.param((1.0, 1.0, 1.0), 'got start_s=1.0 and end_s=1.0', id='empty'),
        pytest.param((-1.0, 1.0, 1.0), 'start at 0 or later', id='before the video'),
        pytest.param((0.0, 1.0, -1.0), 'count must be at least 0', id='negative'),
    ],
)
def test_bad_segment(segment, message):
    with pytest.raises(ValueError, match=message):
        RepetitionSegment(*segment)


# what from_rates derives


def test_from_rates_by_hand():
    result = from_rates([0, 0, 0.5, 0.5, 0.5, 0, 0, 0, 0.25, 0.25])
    assert result.count == 2
    np.testing.assert_allclose(result.count_per_frame, [0, 0, 0.5, 1, 1.5, 1.5, 1.5, 1.5, 1.75, 2])
    np.testing.assert_allclose(result.period_s_per_frame[[2, 8]], [0.2, 0.4])
    assert np.isnan(result.period_s_per_frame[[0, 5]]).all()
    assert [(s.start_s, s.end_s, s.count) for s in result.segments] == [
        (0.2, 0.5, 1.5),
        (0.8, 1.0, 0.5),
    ]
    # reached at the end of the fourth and of the last frame
    np.testing.assert_allclose(result.repetition_times_s, [0.4, 1.0], atol=1e-6)


def test_times_are_interpolated_within_a_frame():
    # 0.75 after the first frame, so 1 is reached after a third of the second
    np.testing.assert_allclose(from_rates([0.75, 0.75]).repetition_times_s, [(1 + 1 / 3) / 10])


def test_more_than_one_repetition_in_a_frame():
    np.testing.assert_allclose(from_rates([0, 2.5]).repetition_times_s, [0.14, 0.18])


@pytest.mark.parametrize(
    ('rate', 'times_s'),
    [
        pytest.param([0.5] * 15 + [0.411], [0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6], id='7.911'),
        pytest.param([0.0, 0.6, 0.6, 0.0], [(2 + 0.4 / 0.6) / 10], id='1.2'),
        pytest.param([0.4, 0.0], [], id='less than half'),
        pytest.param([0.5, 0.0], [], id='half'),
        pytest.param([0.6, 0.0], [0.1], id='more than half'),
        # 0.7 counts as one when its set ends, and what the next one adds to it does not again
        pytest.param([0.7, 0, 0, 0.7, 0, 0, 0.7], [0.1, 0.6 + 0.06 / 0.7], id='parts'),
    ],
)
def test_repetitions_are_counted_as_a_person_does(rate, times_s):
    result = from_rates(rate)
    np.testing.assert_allclose(result.repetition_times_s, times_s, atol=1e-6)
    assert result.repetitions == len(times_s) == math.ceil(result.count - 0.5 - 1e-6)


@pytest.mark.parametrize(('count', 'shown'), [(7.911, 8), (1.949, 2), (5.0, 5), (3.45, 3)])
def test_all_that_is_shown_has_one_number(count, shown, tmp_path, monkeypatch):
    """Eight jumping jacks of 7.911 ended on screen as 7, two squats of 1.949 as 1."""
    written, module = [], 'projects.repnet.results'
    monkeypatch.setattr(
        'mmotion.visualization.drawing.write_text', lambda *args: written.append(args[1])
    )
    result = from_rates(np.r_[np.full(50, count / 50), np.zeros(10)])
    make_painter(result)(np.zeros((256, 256, 3), np.uint8), 59)
    assert written[0] == f'Repetitions {make_caption(result, 59).text}' == f'Repetitions {shown}'
    assert result.describe().startswith(f'count {shown}, fps 10,')
    assert result.to_rows()[0] == {'count': shown, 'confidence': result.confidence, 'sets': 1}
    figures = []
    monkeypatch.setattr(f'{module}.save_figure', lambda *args: figures.append(args))
    plot_result(result, tmp_path / 'plot.png', title='clip')
    figure = figures[0][0]
    assert figure.get_suptitle().startswith(f'clip: {shown} repetitions')
    dots = [line for line in figure.axes[0].lines if line.get_marker() == 'o']
    assert len(dots[0].get_xdata()) == shown
    assert plot_row(result, figure.axes[1]).startswith(f'{shown} repetitions')
    content = result.to_dict()
    assert content['count'] == pytest.approx(count) and content['repetitions'] == shown


@pytest.mark.parametrize(
    ('alternatives', 'rival'),
    [
        pytest.param((), None, id='none'),
        pytest.param(((7.1, 0.6), (14.2, 0.3)), 14.2, id='half as likely'),
        pytest.param(((7.1, 0.6), (14.2, 0.29)), None, id='less likely'),
        pytest.param(((14.2, 0.6), (7.1, 0.4)), 14.2, id='more likely'),
        pytest.param(((7.1, 0.5), (7.3, 0.4)), None, id='nearly the same count'),
    ],
)
def test_another_count_that_is_nearly_as_likely_is_said(alternatives, rival, monkeypatch):
    result = dataclasses.replace(from_rates(np.full(50, 7.1 / 50)), alternatives=alternatives)
    assert result.rival == rival
    said = '' if rival is None else ', perhaps 14.2'
    start = f'count 7{said and ".1"}{said}, fps 10,'
    assert result.describe().startswith(start)
    written = []
    monkeypatch.setattr(
        'mmotion.visualization.drawing.write_text', lambda *args: written.append(args[1])
    )
    make_painter(result)(np.zeros((256, 256, 3), np.uint8), 49)
    assert written[2].startswith('perhaps 14.2' if rival else 'sure: ')


def test_a_whole_count_missed_by_rounding_errors_is_reached():
    rate = np.full(30, 1 / 3 - 1e-9)
    assert rate.sum() < 10
    result = from_rates(rate)
    assert len(result.repetition_times_s) == 10
    assert result.repetition_times_s[-1] <= 3.0


@pytest.mark.parametrize(
    ('gap', 'num_segments'),
    [pytest.param(3, 1, id='below one cycle'), pytest.param(4, 2, id='one cycle')],
)
def test_short_gaps_are_joined(gap, num_segments):
    result = from_rates([0.25] * 8 + [0] * gap + [0.25] * 8)
    assert len(result.segments) == num_segments
    assert sum(segment.count for segment in result.segments) == result.count == 4


def test_start_shifts_times():
    result = from_rates([0, 0.5, 0.5], start_s=60.0)
    assert (result.segments[0].start_s, result.segments[0].end_s) == (60.1, 60.3)
    np.testing.assert_allclose(result.repetition_times_s, [60.3])


@pytest.mark.parametrize('count', [0.0, 0.5, 0.51, 0.96, 1.0, 1.5, 7.6, 7.9999999])
def test_a_stream_counts_as_its_video_does(count):
    whole = from_rates([0.0, *[count / 5] * 5])
    running = RunningCount(
        num_frames=6, time_s=0.6, count=whole.count, period_s=math.nan, periodicity=0.1,
        confidence=0.2, stride=1,
    )  # fmt: skip
    assert running.repetitions == whole.repetitions == whole.repetitions_at(5)


@pytest.mark.parametrize(
    ('count', 'repetitions'), [(0.0, 0), (0.5, 0), (0.51, 1), (1.5, 1), (1.949, 2), (8.0, 8)]
)
def test_running_count_to_dict(count, repetitions):
    running = RunningCount(
        num_frames=3,
        time_s=0.1,
        count=count,
        period_s=math.nan,
        periodicity=0.1,
        confidence=0.2,
        stride=1,
    )
    assert running.to_dict()['period_s'] is None
    assert running.to_dict()['num_frames'] == 3
    assert running.to_dict()['repetitions'] == running.repetitions == repetitions
