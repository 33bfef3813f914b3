"""Data that are trained on and measured on are warned of, whoever has read them."""

from types import SimpleNamespace
from typing import Any

import pytest

from mmotion.training.leaks import LeakHook


def of(*recordings: str) -> Any:
    return SimpleNamespace(recordings=set(recordings))


def warn(train: Any, val: Any) -> list[str]:
    said: list[str] = []
    runner: Any = SimpleNamespace(
        val_loop=val,
        train_dataloader=SimpleNamespace(dataset=train),
        val_dataloader=SimpleNamespace(dataset=val),
        logger=SimpleNamespace(warning=said.append),
    )
    LeakHook().before_train(runner)
    return said


@pytest.mark.parametrize(
    'train',
    [
        pytest.param(of('a', 'b'), id='plain'),
        pytest.param(SimpleNamespace(dataset=of('b')), id='repeated'),
        pytest.param(SimpleNamespace(datasets=[of('x'), of('b')]), id='concatenated'),
    ],
)
def test_a_recording_of_both_is_warned_of(train):
    (said,) = warn(train, of('b', 'c'))
    assert said.startswith('1 of 2 recordings of the validation are trained on, such as b: ')


@pytest.mark.parametrize(
    ('train', 'val'),
    [
        pytest.param(of('a'), of('b'), id='others'),
        pytest.param(SimpleNamespace(), of('b'), id='unknown'),
        pytest.param(of('a'), None, id='no-validation'),
    ],
)
def test_nothing_is_said_where_nothing_is_known(train, val):
    assert warn(train, val) == []
