import dataclasses
import math

import numpy as np
import pytest
import torch

from mmotion.checks import (
    check_at_least,
    check_choice,
    check_fps,
    check_index,
    check_positive,
    check_range,
    check_score,
    check_scores,
    check_segment,
    choose_device,
    freeze_array,
    make_plain,
    read_num_threads,
)


@pytest.mark.parametrize(
    ('check', 'values'),
    [
        pytest.param(check_fps, (0, -1, math.nan, math.inf), id='fps'),
        pytest.param(check_score, (-0.1, 1.1, math.nan), id='score'),
        pytest.param(
            lambda value: check_at_least('x', value, 2), (1.9, math.nan, math.inf), id='at least'
        ),
        pytest.param(lambda end: check_segment(1.0, end), (0.5, 1.0, math.nan), id='segment'),
        pytest.param(lambda value: check_positive('x', value), (0, math.nan, math.inf), id='above'),
        pytest.param(lambda value: check_range('x', value, 0, 1), (-1, 2, math.nan), id='range'),
        pytest.param(
            lambda value: check_range('x', value, 0, 1, ends='()'), (0, 1, math.nan), id='open'
        ),
        pytest.param(
            lambda value: check_range('x', value, 1, math.inf), (0, math.nan, math.inf), id='no end'
        ),
        pytest.param(lambda value: check_choice('x', value, ('a', 'b')), ('c', None), id='choice'),
        pytest.param(
            lambda value: check_scores('x', [0.5, value]), (-0.1, 1.1, math.nan), id='scores'
        ),
    ],
)
def test_numbers_out_of_range_are_refused(check, values):
    for value in values:
        with pytest.raises(ValueError, match='must'):
            check(value)


@pytest.mark.parametrize('value', [None, True, '3', [3], (3,), {}], ids=repr)
def test_what_is_no_number_is_refused(value):
    for check in (
        lambda: check_positive('x', value),
        lambda: check_at_least('x', value, 1),
        lambda: check_range('x', value, 0, 5),
        lambda: check_range('x', value, 0, math.inf),
    ):
        with pytest.raises(ValueError, match='x must be a number, got x='):
            check()


def test_what_is_in_range_passes():
    check_range('x', 0, 0, 1, ends='[)')
    check_range('x', 1, 0, 1, ends='(]')
    check_range('x', 7, 1, math.inf)
    check_at_least('x', 2, 2)
    check_scores('x', [0.0, 1.00001])
    check_choice('x', 'a', {'a': 1})


@pytest.mark.parametrize(
    ('check', 'message'),
    [
        pytest.param(
            lambda: check_range('x', 2, 0, 1, ends='(]'),
            r'x must lie in \(0, 1\], got x=2',
            id='range',
        ),
        pytest.param(
            lambda: check_at_least('x', 0, 1), 'x must be at least 1, got x=0', id='at least'
        ),
        pytest.param(
            lambda: check_at_least('x', math.inf, 1), 'at least 1 and finite, got', id='infinite'
        ),
        pytest.param(
            lambda: check_choice('x', 'c', ('a', 'b')), "one of a, b, got x='c'", id='choice'
        ),
        pytest.param(
            lambda: check_scores('x', [0, 2], 'help'), r'in \[0, 1\], got 0 to 2; help', id='scores'
        ),
    ],
)
def test_messages_name_the_value(check, message):
    with pytest.raises(ValueError, match=message):
        check()


def test_an_index_ends_iteration():
    check_index(2, 3)
    for index in (-1, 3):
        with pytest.raises(IndexError, match=rf'0..2, got index={index}'):
            check_index(index, 3)


def test_a_frozen_array_is_a_copy_that_cannot_be_changed():
    values = np.zeros(3)
    frozen = freeze_array('x', values, np.float64, 1)
    values[0] = 1
    assert frozen[0] == 0
    with pytest.raises(ValueError, match='read-only'):
        frozen[0] = 1
    with pytest.raises(ValueError, match=r'x must have 2 dimensions, got shape \(3,\)'):
        freeze_array('x', values, np.float64, 2)


def test_plain_values_are_json_types():
    @dataclasses.dataclass
    class Part:
        value: float

    plain = make_plain({'a': np.array([1.0, math.nan]), 'b': (Part(math.inf),), 'c': np.int64(3)})
    assert plain == {'a': [1.0, None], 'b': [{'value': None}], 'c': 3}
    assert type(plain['c']) is int


@pytest.mark.parametrize('has_gpu', [False, True])
def test_a_device_is_a_gpu_if_there_is_one_and_must_be_there(monkeypatch, has_gpu):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: has_gpu)
    assert choose_device(None) == ('cuda' if has_gpu else 'cpu')
    assert choose_device('cpu') == 'cpu'
    with pytest.raises(ValueError, match=r"device must be 'cpu' or a GPU, got device='tpu9': \w"):
        choose_device('tpu9')


@pytest.mark.parametrize(
    ('wanted', 'number'), [('4', 4), ('4,2', 4), (' 3 ', 3), ('0', 0), ('', 0), ('many', 0)]
)
def test_how_many_threads_are_asked_for(monkeypatch, wanted, number):
    monkeypatch.setenv('OMP_NUM_THREADS', wanted)
    assert read_num_threads() == number
    monkeypatch.delenv('OMP_NUM_THREADS')
    assert read_num_threads() == 0
