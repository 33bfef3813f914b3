"""What a prediction takes: parts, growth, and the proxy that takes the network's time."""

import pytest
import torch

from tests.tools.test_benchmark_timesformer import make_options


@pytest.fixture
def script(import_script):
    return import_script('end_to_end')


class Model:
    name = 'a model'

    def encode(self, frames):
        return frames + 1

    def __call__(self, inputs, mode='tensor'):
        return [inputs[0] * 2]


def test_named_calls_are_timed_and_all_else_is_passed_on(script, monkeypatch):
    now = iter([0.0, 2.0, 5.0, 5.5])
    monkeypatch.setattr(script.time, 'thread_time', lambda: next(now))
    timed = script.TimedPart(Model(), ['encode', '__call__'], 'cpu')
    assert torch.equal(timed.encode(torch.zeros(3, 2)), torch.ones(3, 2))
    assert timed.name == 'a model' and timed.seconds == 2
    timed(inputs=[torch.ones(2), torch.ones(2)], mode='predict')
    assert timed.seconds == 2.5
    assert {name: tuple(x.shape) for name, x in timed.samples.items()} == {
        'encode': (1, 2),
        '__call__': (1, 2),
    }


def test_growth_is_fitted(script):
    row = script._write_growth('length, s', (1, 2, 4), (1.0, 4.0, 16.0))
    assert row == '| length, s | 1, 2, 4 | 1, 4, 16 | 2.00 |'


def test_parts_of_a_prediction(script):
    threads = torch.get_num_threads()
    try:
        table = script.measure_prediction('repnet_small', make_options())
    finally:
        torch.set_num_threads(threads)
    rows = [line.strip('| ').split(' | ') for line in table.splitlines() if line.startswith('| ')]
    parts = {name: cells for name, *cells in rows[1:6]}
    assert list(parts) == [
        'decoding',
        'network',
        'scaling, copies, all else',
        'a prediction',
        'drawing, beside it',
    ]
    assert parts['a prediction'][1] == '100%' and float(parts['network'][0]) > 0
    assert [name for name, *_ in rows[7:]] == [
        'length, s',
        'pixels of a frame',
        'batch of the network, `encode_frames`',
        'batch of the network, `score_windows`',
    ]
