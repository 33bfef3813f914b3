import dataclasses
import json
import math
import pickle

import numpy as np
import pytest

from mmotion.structures.actions import ActionScores, ActionSegment, RunningScores, rank_classes
from mmotion.structures.results import list_rows

VALID = {
    'classes': ('sit', 'walk', 'run'),
    'scores': [0.25, 0.5, 0.25],
    'views': '1 clip x 3 crops of 8x224x224',
    'fps': 10.0,
    'num_frames': 60,
    'window_start_s': [1.0, 2.0, 3.0, 4.0, 5.0],
    'window_end_s': [3.0, 4.0, 5.0, 6.0, 7.0],
    'window_scores': [
        [0.5, 0.25, 0.25],
        [0.75, 0.125, 0.125],
        [0.0, 1.0, 0.0],
        [0.5, 0.375, 0.125],
        [0.25, 0.25, 0.5],
    ],
    'start_s': 1.0,
}


@pytest.fixture
def make_scores():
    return lambda **changes: ActionScores(**{**VALID, **changes})


def test_the_best_class(make_scores):
    result = make_scores()
    assert (result.label, result.score) == ('walk', 0.5)
    assert result.top(2) == [('walk', 0.5), ('sit', 0.25)]
    assert result.describe() == 'walk 0.500, sit 0.250, run 0.250'


def test_window_scores_hold_from_middle_to_middle(make_scores):
    result = make_scores()
    np.testing.assert_allclose(result.edges_s, [1, 2.5, 3.5, 4.5, 5.5, 7])
    # frame 14 begins at 2.4 s and frame 15 at 2.5 s
    assert [result.window_at(frame) for frame in (0, 14, 15, 44, 45, 59)] == [0, 0, 1, 3, 4, 4]


def test_neighbours_of_one_class_are_merged(make_scores):
    segments = make_scores().segments
    assert [(s.start_s, s.end_s, s.label) for s in segments] == [
        (1.0, 3.5, 'sit'),
        (3.5, 4.5, 'walk'),
        (4.5, 5.5, 'sit'),
        (5.5, 7.0, 'run'),
    ]
    # 1.5 s at 0.5 and 1 s at 0.75
    assert segments[0].score == pytest.approx(0.6)


def test_low_scores_make_no_segment(make_scores):
    segments = make_scores(min_score=0.6).segments
    assert [(s.start_s, s.end_s, s.label) for s in segments] == [
        (2.5, 3.5, 'sit'),
        (3.5, 4.5, 'walk'),
    ]
    assert make_scores(min_score=1.0, window_scores=np.full((5, 3), 0.3)).segments == ()


def test_a_single_window_covers_the_video(make_scores):
    result = make_scores(window_start_s=[1.0], window_end_s=[7.0], window_scores=[[0.2, 0.5, 0.3]])
    (segment,) = result.segments
    assert (segment.start_s, segment.end_s, segment.label) == (1.0, 7.0, 'walk')


def test_to_dict_gives_plain_json_types(make_scores):
    # allow_nan=False refuses NaN
    loaded = json.loads(json.dumps(make_scores().to_dict(), allow_nan=False))
    assert loaded['top'][0] == {'label': 'walk', 'score': 0.5}
    assert loaded['scores'] == {'sit': 0.25, 'walk': 0.5, 'run': 0.25}
    assert loaded['segments'][1] == {'start_s': 3.5, 'end_s': 4.5, 'label': 'walk', 'score': 1.0}
    assert len(loaded['timeline']) == 5
    assert loaded['timeline'][2]['top'][0] == {'label': 'walk', 'score': 1.0}
    assert (loaded['fps'], loaded['num_frames'], loaded['views']) == (10.0, 60, VALID['views'])


def test_a_result_cannot_be_changed(make_scores):
    scores = np.array([0.25, 0.5, 0.25])
    result = make_scores(scores=scores)
    scores[:] = 0
    assert result.score == 0.5
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.fps = 3
    with pytest.raises(ValueError, match='read-only'):
        result.window_scores[0] = 0
    assert pickle.loads(pickle.dumps(result)).top() == result.top()


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        pytest.param({'fps': 0.0}, 'fps must be above 0 and finite, got fps=0', id='fps'),
        pytest.param({'num_frames': 0}, 'num_frames must be at least 1', id='frames'),
        pytest.param({'start_s': -1.0}, 'start_s must be at least 0', id='start'),
        pytest.param({'min_score': 1.5}, r'min_score must lie in \[0, 1\]', id='minimum'),
        pytest.param({'classes': ()}, 'at least one class, got 0 classes', id='no class'),
        pytest.param({'scores': [0.5, 0.5]}, r'got 3 classes and scores of shape \(2,\)', id='C'),
        pytest.param({'scores': [[0.5]]}, r'scores must have 1 dimension, got shape', id='views'),
        pytest.param({'scores': [0.5, 8.0, -3.0]}, r"average_clips='prob'", id='logits'),
        pytest.param({'scores': [0.5, math.nan, 0.0]}, r'scores must lie in \[0, 1\]', id='NaN'),
        pytest.param({'window_start_s': [1.0]}, 'got window_start_s=1, window_end_s=5', id='W'),
        pytest.param({'window_scores': np.ones((5, 2))}, r'window_scores=\(5, 2\)', id='W C'),
        pytest.param({'window_start_s': [1, 3, 2, 4, 5]}, 'must be in order', id='order'),
        pytest.param({'window_end_s': [0.5, 4, 5, 6, 7]}, 'end after they start', id='empty'),
        pytest.param({'start_s': 1.5}, r'not start before start_s=1.5, got window', id='early'),
    ],
)
def test_bad_values(make_scores, change, message):
    with pytest.raises(ValueError, match=message):
        make_scores(**change)


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        pytest.param((1.0, 1.0, 'sit', 0.5), 'got start_s=1.0 and end_s=1.0', id='empty'),
        pytest.param((-1.0, 1.0, 'sit', 0.5), 'start at 0 or later', id='before the video'),
        pytest.param((0.0, 1.0, 'sit', 1.5), r'score must lie in \[0, 1\], got score=1.5', id='s'),
    ],
)
def test_bad_segment(values, message):
    with pytest.raises(ValueError, match=message):
        ActionSegment(*values)


def test_running_scores():
    running = RunningScores(
        classes=('sit', 'walk'),
        num_frames=20,
        start_s=0.0,
        end_s=2.0,
        scores=np.float32([0.25, 0.75]),
        mean_scores=np.float32([0.5, 0.5]),
    )
    assert (running.label, running.score) == ('walk', 0.75)
    assert running.top(1) == [('walk', 0.75)]
    loaded = json.loads(json.dumps(running.to_dict()))
    assert loaded['top'][1] == {'label': 'sit', 'score': 0.25}
    assert loaded['mean_scores'] == [0.5, 0.5]


def test_equal_scores_keep_the_order_of_the_classes():
    assert [label for label, _ in rank_classes('abc', np.array([0.2, 0.4, 0.4]), 5)] == list('bca')


def test_a_table_has_the_best_class_and_the_next(make_scores):
    assert list_rows(make_scores()) == [
        {'label': 'walk', 'score': 0.5, 'next_label': 'sit', 'next_score': 0.25}
    ]
