"""Alarms worked out by hand, and what can be seen of them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmotion.regions import Region, RegionResults
from mmotion.visualization import draw_result, make_caption, make_painter, plot_result
from projects.anomaly.results import ALARM, Alarm, AnomalyScores, RunningAnomaly


def make_scores(**changes: Any) -> AnomalyScores:
    """Windows of 2 s every second; those that begin after 1 and 2 s are alarms, and the last."""
    values: dict[str, Any] = {
        'fps': 10.0,
        'num_frames': 70,
        'window_start_s': np.arange(6.0),
        'window_end_s': np.arange(2.0, 8.0),
        'errors': [3.0, 8.0, 9.0, 7.0, 2.0, 8.0],
        'scores': [0.5, 0.96, 0.98, 0.9, 0.25, 0.96],
        'threshold': 7.0,
        'false_alarm_rate': 0.05,
    }
    return AnomalyScores(**{**values, **changes})


def test_alarms_are_merged() -> None:
    result = make_scores()
    # an error at the threshold is none
    assert result.is_alarm.tolist() == [False, True, True, False, False, True]
    assert result.segments == (Alarm(1.5, 3.5, 0.98), Alarm(5.5, 7.0, 0.96))
    assert result.score == 0.98
    assert result.describe() == 'alarms at 1.5-3.5 s, 5.5-7.0 s, highest score 0.980'


def test_a_part_of_a_video() -> None:
    starts = np.arange(6.0) + 10
    result = make_scores(start_s=10.0, window_start_s=starts, window_end_s=starts + 2)
    assert result.segments[0] == Alarm(11.5, 13.5, 0.98)
    assert [result.window_at(frame) for frame in (0, 14, 15, 69)] == [0, 0, 1, 5]


def test_a_table_has_the_alarms_and_when_they_were() -> None:
    assert make_scores().to_rows() == [
        {'alarms': 2, 'score': 0.98, 'first_alarm_s': 1.5, 'all_alarms_s': 3.5}
    ]


def test_nothing_is_an_alarm() -> None:
    result = make_scores(threshold=np.inf)
    assert result.to_rows() == [{'alarms': 0, 'score': 0.98}]
    assert result.segments == ()
    assert result.describe() == 'no alarm, highest score 0.980'
    assert result.to_dict()['threshold'] is None


def test_to_dict_gives_plain_json_types() -> None:
    entries = json.loads(json.dumps(make_scores().to_dict(), allow_nan=False))
    assert entries['segments'][0] == {'start_s': 1.5, 'end_s': 3.5, 'score': 0.98}
    assert (entries['is_alarm'], entries['false_alarm_rate']) == (True, 0.05)
    second, fifth = entries['timeline'][1], entries['timeline'][4]
    assert second == {'start_s': 1, 'end_s': 3, 'error': 8, 'score': 0.96, 'is_alarm': True}
    assert (fifth['error'], fifth['score'], fifth['is_alarm']) == (2.0, 0.25, False)


def test_a_running_anomaly() -> None:
    running = RunningAnomaly(
        num_frames=20, start_s=0.0, end_s=2.0, error=2.5, score=0.5, is_alarm=False
    )
    entries = json.loads(json.dumps(running.to_dict(), allow_nan=False))
    assert entries == {
        'num_frames': 20,
        'start_s': 0.0,
        'end_s': 2.0,
        'error': 2.5,
        'score': 0.5,
        'is_alarm': False,
        'alarm_s': None,
    }


@pytest.mark.parametrize('values', [(np.nan, np.nan), (np.nan, 0.5), (2.5, np.nan)])
def test_a_running_anomaly_that_is_not_known_is_refused(values: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match=r'errors must be finite|score must lie in \[0, 1\]'):
        RunningAnomaly(
            num_frames=2, start_s=0.0, end_s=1.0, error=values[0], score=values[1], is_alarm=False
        )


def test_a_result_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match='read-only'):
        make_scores().errors[0] = 1.0


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        pytest.param({'fps': 0}, 'fps must be above 0', id='fps'),
        pytest.param({'num_frames': 0}, 'num_frames must be at least 1', id='frames'),
        pytest.param({'threshold': np.nan}, 'threshold must be a number', id='threshold'),
        pytest.param({'false_alarm_rate': 1}, r'must lie in \(0, 1\)', id='rate'),
        pytest.param({'errors': [1.0]}, 'each with a start, an end, an error', id='lengths'),
        pytest.param({'scores': [2.0] * 6}, r'must lie in \[0, 1\], got 2', id='scores'),
        pytest.param({'scores': [np.nan] * 6}, r'must lie in \[0, 1\], got nan', id='no score'),
        pytest.param({'errors': [np.nan] * 6}, 'errors must be finite, got .nan', id='no error'),
        pytest.param({'errors': [np.inf] * 6}, 'errors must be finite', id='infinite error'),
        pytest.param({'errors': [[1.0]]}, 'errors must have 1 dimension,', id='axes'),
        pytest.param({'window_start_s': np.zeros(6)}, 'must be in order', id='order'),
    ],
)
def test_bad_values(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_scores(**change)


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        pytest.param((2.0, 2.0, 0.5), 'end after its start', id='empty'),
        pytest.param((0.0, 1.0, 1.5), r'score must lie in \[0, 1\]', id='score'),
    ],
)
def test_bad_alarm(values: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Alarm(*values)


def find(image: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    return (np.abs(image.astype(int) - color) <= 2).all(axis=-1)


@pytest.mark.parametrize('size', [(256, 320), (720, 480)])
def test_painter_frames_an_alarm(size: tuple[int, int]) -> None:
    image = np.full((*size, 3), 128, np.uint8)
    paint = make_painter(make_scores())
    normal, alarm = paint(image, 0), paint(image, 20)
    # what is in the picture is not covered
    for painted in (normal, alarm):
        np.testing.assert_array_equal(painted[: size[0]], image)
    assert find(alarm, ALARM)[size[0] + 1].all() and not find(normal, ALARM)[size[0] + 1].any()
    # the timeline shows both alarms at any time
    row = find(normal, ALARM)[-round(0.03 * min(size))]
    assert 0.4 < row.mean() < 0.6
    assert (image == 128).all()


def test_caption_is_the_score_of_the_moment() -> None:
    assert make_caption(make_scores(), 30) == ('0.98', True)
    assert make_caption(make_scores(), 50) == ('0.25', False)


@pytest.mark.parametrize('change', [{}, {'threshold': np.inf}], ids=['alarms', 'none'])
def test_plot(tmp_path: Path, change: dict) -> None:
    plot_result(make_scores(**change), tmp_path / 'plot.png', title='clip', truth=1)
    assert (tmp_path / 'plot.png').stat().st_size > 5000


def test_regions_are_drawn_and_plotted(tmp_path: Path) -> None:
    result = RegionResults(
        regions=(Region(name='door', boxes_xyxy=[[4, 4, 30, 30]]),),
        results=(make_scores(),),
        fps=10.0,
        frames=np.arange(70),
        start_s=0.0,
        width=40,
        height=40,
    )
    draw_result(np.zeros((70, 40, 40, 3), np.uint8), result, tmp_path / 'video.mp4')
    plot_result(result, tmp_path / 'plot.png')
    assert (tmp_path / 'plot.png').stat().st_size > 5000
