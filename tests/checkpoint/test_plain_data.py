import pickle
from collections import Counter, OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer

from mmotion.checkpoint.plain_data import read_back, to_plain


@pytest.mark.parametrize(
    ('value', 'plain'),
    [
        pytest.param(np.float64(0.5), 0.5, id='numpy number'),
        pytest.param(np.str_('a'), 'a', id='numpy string'),
        pytest.param(np.bool_(True), True, id='numpy bool'),
        pytest.param(np.array(['a', 'b']), ['a', 'b'], id='array of strings'),
        pytest.param(Path('a') / 'b', 'a/b', id='path'),
        pytest.param(ConfigDict(a=ConfigDict(b=1)), {'a': {'b': 1}}, id='config'),
        pytest.param((1, {2}), (1, [2]), id='set in a tuple'),
        pytest.param(Counter(a=2), Counter(a=2), id='counter'),
        pytest.param({'a': object()}, {'a': None}, id='unknown class'),
    ],
)
def test_values_become_plain(value, plain):
    result = to_plain(value)
    assert result == plain
    assert type(result) is type(plain)


def test_arrays_become_tensors():
    assert torch.equal(to_plain(np.arange(3)), torch.arange(3))


def test_a_loss_history_survives():
    history = HistoryBuffer()
    for value in (1.5, 0.1, 2):
        history.update(value, 4)
    plain = pickle.loads(pickle.dumps(to_plain({'loss': history})))
    restored = read_back(plain, '', {})['loss']
    assert isinstance(restored, HistoryBuffer)
    for before, after in zip(history.data, restored.data, strict=True):
        np.testing.assert_array_equal(before, after)
        assert before.dtype == after.dtype


def test_a_state_dict_keeps_its_versions():
    state_dict = torch.nn.BatchNorm1d(2).state_dict()
    plain = to_plain(state_dict)
    assert type(plain) is OrderedDict
    assert plain._metadata == state_dict._metadata


def test_what_is_not_saved_is_named(monkeypatch):
    logged = []
    monkeypatch.setattr(
        'mmotion.checkpoint.plain_data.print_log', lambda text, **_: logged.append(text)
    )
    to_plain({'meta': {'odd': object()}})
    assert 'not saved in the checkpoint: meta.odd, as reading builtins.object back' in logged[0]
