import threading
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import pytest
import torch

from mmotion.inference import Predictor, load_model
from mmotion.inference.batching import SharedPart, SharedPartClosedError, share
from tests.command_lines import TOY

LIMIT_S = 30


class Pair(NamedTuple):
    total: torch.Tensor
    names: list


class Model:
    """Notes the sizes of its batches; it may be held back, so that calls wait."""

    threshold = 0.5

    def __init__(self):
        self.sizes = []
        self.begun, self.may_go_on = threading.Event(), threading.Event()
        self.may_go_on.set()

    def __call__(self, inputs, data_samples, mode='tensor'):
        assert not torch.is_grad_enabled()
        self._note(len(inputs))
        if (inputs < 0).any():
            raise ValueError('inputs must not be negative')
        sums = inputs.flatten(1).sum(1)
        return [f'{mode} {name} {value:g}' for name, value in zip(data_samples, sums, strict=True)]

    def both(self, inputs, names):
        self._note(len(inputs))
        return {'pair': Pair(inputs.sum(1), names), 'mean': inputs.mean(1)}

    def whole(self, inputs):
        self._note(len(inputs))
        return float(inputs.sum())

    def _note(self, size):
        self.sizes.append(size)
        self.begun.set()
        assert self.may_go_on.wait(LIMIT_S)


@pytest.fixture
def model():
    return Model()


def ask_at_once(model, shared, calls):
    """Answers, or errors, to calls that wait while another one is answered."""
    model.begun.clear()
    model.may_go_on.clear()
    with ThreadPoolExecutor(len(calls) + 1) as pool:
        pool.submit(shared.both, torch.zeros(1, 7), ['first'])
        assert model.begun.wait(LIMIT_S)
        futures = []
        for number, call in enumerate(calls, start=1):
            futures.append(pool.submit(call))
            while len(shared._waiting) < number:
                assert not futures[-1].done()
        model.may_go_on.set()
        return [future.exception(LIMIT_S) or future.result() for future in futures]


def test_what_waits_is_answered_at_once(model):
    with SharedPart(model, ['__call__', 'both'], max_batch=8) as shared:
        calls = [
            lambda: shared(torch.full((2, 3), 1.0), data_samples=['a', 'b'], mode='x'),
            lambda: shared(torch.full((1, 3), 2.0), data_samples=['c'], mode='x'),
            # another shape, another mode, another kind
            lambda: shared(torch.full((1, 4), 1.0), data_samples=['d'], mode='x'),
            lambda: shared(torch.full((1, 3), 3.0), data_samples=['e'], mode='y'),
            lambda: shared(torch.full((1, 3), 3), data_samples=['f'], mode='x'),
            lambda: shared(torch.full((1, 3), 4.0), data_samples=['g'], mode='x'),
        ]
        answers = ask_at_once(model, shared, calls)
        assert answers == [
            ['x a 3', 'x b 3'],
            ['x c 6'],
            ['x d 4'],
            ['y e 9'],
            ['x f 9'],
            ['x g 12'],
        ]
        assert model.sizes == [1, 4, 1, 1, 1]
        assert (shared.num_calls, shared.num_batches) == (7, 5)


def test_no_batch_is_too_large(model):
    with SharedPart(model, ['__call__', 'both'], max_batch=2) as shared:
        calls = [lambda: shared(torch.ones(1, 3), ['a'])] * 5
        assert ask_at_once(model, shared, calls) == [['tensor a 3']] * 5
        assert model.sizes == [1, 2, 2, 1]


@pytest.mark.parametrize('library', [np, torch])
def test_answers_of_several_parts(model, library):
    with SharedPart(model, ['both'], max_batch=8) as shared:
        calls = [
            lambda: shared.both(library.ones((2, 3)), ['a', 'b']),
            lambda: shared.both(library.zeros((1, 3)), ['c']),
        ]
        first, second = ask_at_once(model, shared, calls)
        assert model.sizes == [1, 3]
        assert isinstance(first['pair'], Pair) and first['pair'].names == ['a', 'b']
        assert first['pair'].total.tolist() == [3, 3] and second['pair'].total.tolist() == [0]
        assert first['mean'].tolist() == [1, 1] and second['mean'].tolist() == [0]


def test_only_the_wrong_call_fails(model):
    with SharedPart(model, ['__call__', 'both'], max_batch=8) as shared:
        calls = [
            lambda: shared(torch.ones(1, 3), ['a']),
            lambda: shared(-torch.ones(1, 3), ['b']),
            lambda: shared(torch.ones(1, 3), ['c']),
        ]
        first, second, third = ask_at_once(model, shared, calls)
        assert (first, third) == (['tensor a 3'], ['tensor c 3'])
        assert isinstance(second, ValueError) and 'must not be negative' in str(second)


def test_what_tells_no_samples_apart_is_asked_one_by_one(model):
    with SharedPart(model, ['whole', 'both'], max_batch=8) as shared:
        calls = [lambda: shared.whole(torch.ones(2, 3)), lambda: shared.whole(torch.zeros(1, 3))]
        assert ask_at_once(model, shared, calls) == [6, 0]
        assert model.sizes == [1, 3, 2, 1]
        model.sizes.clear()
        assert ask_at_once(model, shared, calls) == [6, 0]
        assert model.sizes == [1, 2, 1]


def test_it_is_what_it_stands_for(model):
    with SharedPart(model, [], max_batch=1) as shared:
        assert isinstance(shared, Model) and shared.threshold == 0.5
        # what is not named is called as it is, in the thread that calls
        with torch.no_grad():
            assert shared(torch.ones(1, 3), ['a']) == ['tensor a 3']
        assert shared.num_calls == 0


def test_nothing_waits_for_ever_at_the_end(model):
    shared = SharedPart(model, ['__call__', 'both'], max_batch=1)
    model.may_go_on.clear()
    with ThreadPoolExecutor(2) as pool:
        begun = pool.submit(shared.both, torch.zeros(1, 7), ['first'])
        assert model.begun.wait(LIMIT_S)
        waits = pool.submit(shared, torch.ones(1, 3), ['a'])
        while not shared._waiting:
            assert not waits.done()
        shared.close()
        model.may_go_on.set()
        assert begun.result(LIMIT_S)['pair'].names == ['first']
        with pytest.raises(SharedPartClosedError):
            waits.result(LIMIT_S)
    with pytest.raises(SharedPartClosedError):
        shared(torch.ones(1, 3), ['a'])


def test_a_batch_of_none(model):
    with pytest.raises(ValueError, match='max_batch must be at least 1, got max_batch=0'):
        SharedPart(model, [], max_batch=0)


def test_predictors_share_the_model_alone():
    predictor = load_model(TOY, 'random', device='cpu')
    (first, second), (part,) = share(predictor, 2, max_batch=4)
    assert first.model is part and second.model is part
    assert isinstance(first, Predictor) and first.config is predictor.config
    assert first._pipeline is not second._pipeline
    vectors = [torch.ones(8), torch.zeros(8)]
    with torch.no_grad():
        expected = predictor.model(vectors)
    assert torch.equal(first.model(vectors), expected)
    part.close()
