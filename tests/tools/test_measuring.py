"""What the benchmarks share: turns, shares of what the machine can do, tables, arguments."""

import sys

import pytest
import torch
from torch import nn


@pytest.fixture
def measuring(import_script):
    return import_script('measuring')


def read_rows(table: str) -> dict[str, list[str]]:
    lines = [line.strip('| ').split(' | ') for line in table.splitlines() if line.startswith('| ')]
    return {name: cells for name, *cells in lines[1:]}


def test_tasks_take_turns_after_a_round_that_warms_up(measuring):
    calls = []
    tasks = {name: lambda name=name: calls.append(name) for name in 'ab'}
    seconds = measuring.time_in_turn(tasks, 3)
    # another one begins each round
    assert calls == list('abbaabba')
    assert {name: len(times) for name, times in seconds.items()} == {'a': 3, 'b': 3}


def test_the_seconds_are_those_of_the_task(measuring, monkeypatch):
    now = iter([0.0, 1.0, 10.0, 10.5])
    monkeypatch.setattr(measuring.time, 'perf_counter', lambda: next(now))
    assert measuring.time_in_turn({'a': lambda: None}, 1) == {'a': [0.5]}


def test_a_table_of_ways(measuring, monkeypatch):
    linear = nn.Linear(64, 32)
    inputs = torch.randn(8, 64)

    def build(name):
        if name == 'other':
            raise ImportError("No module named 'other'")
        return measuring.make_way(linear, inputs, [*linear.parameters()], bf16='bf16' in name)

    # a pass takes 1 ms, a step 2 ms, the products 0.5 and 0.25 ms
    taken = {'forward': 1e-3, 'step': 2e-3, 'fp32': 5e-4, 'bf16': 2.5e-4}
    monkeypatch.setattr(
        measuring,
        'time_in_turn',
        lambda tasks, *_: {key: [taken[key[1] if key[0] in names else key]] for key in tasks},
    )
    names = ['ours', 'other', 'ours, bf16']
    before = linear.weight.detach().clone()
    table = measuring.compare_ways(
        'Rows',
        build,
        names,
        compiled='compiled',
        items=8,
        options=measuring.Options(tiny=True, memory=False, rounds=1),
    )
    rows = read_rows(table)
    assert list(rows) == ['ours', 'ours, bf16']
    peak = 2 * 512**3 / 5e-4
    # a multiply-add is two; behind it come the products for the weights, none for the inputs
    forward, step = 2 * 8 * 64 * 32 / 1e-3 / peak, 4 * 8 * 64 * 32 / 2e-3 / peak
    assert rows['ours'][3] == f'{forward:.0%} and {step:.0%}'
    assert rows['ours'][2] == '8e+03 and 4e+03' and rows['ours'][-2:] == ['-', '-']
    assert 1e-4 < float(rows['ours, bf16'][-1]) < 0.1
    assert "other: not measured, No module named 'other'." in table
    assert torch.equal(linear.weight, before)


def test_flops_are_counted(measuring):
    linear = nn.Linear(64, 32)
    way = measuring.make_way(linear, torch.randn(8, 64), [*linear.parameters()])
    assert measuring._count_flops(way) == (2 * 8 * 64 * 32, 4 * 8 * 64 * 32)


def test_differences_are_told_in_deviations_or_as_a_share(measuring):
    expected = torch.tensor([0.0, 2.0, 4.0])
    assert measuring.relative_difference(expected + 1, expected) == pytest.approx(0.5)
    assert measuring.relative_difference(torch.tensor(3.0), torch.tensor(2.0)) == 0.5


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['--rounds', '0'], '--rounds must be at least 1, got --rounds 0'),
        (['--batch-size', '-1'], '--batch-size must be at least 1, got --batch-size -1'),
    ],
)
def test_wrong_arguments(measuring, monkeypatch, capsys, words, message):
    monkeypatch.setattr(sys, 'argv', ['benchmark', *words])
    with pytest.raises(SystemExit):
        measuring.run_benchmark('', lambda options: [], predicts=lambda options: '')
    assert message in capsys.readouterr().err


def test_no_gpu_is_an_error_of_the_arguments(measuring, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['benchmark', '--device', 'cuda'])
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(SystemExit):
        measuring.run_benchmark('', lambda options: [], predicts=lambda options: '')
    assert 'got --device cuda without a GPU; take --device cpu' in capsys.readouterr().err


def test_the_arguments_choose_the_table(measuring, monkeypatch, capsys):
    def run(*words):
        monkeypatch.setattr(sys, 'argv', ['benchmark', *words])
        measuring.run_benchmark(
            '', lambda options: [f'{options}'], predicts=lambda options: 'a prediction', rounds=7
        )
        return capsys.readouterr().out

    assert 'rounds=7' in run() and 'rounds=2' in run('--rounds', '2')
    assert run('--end-to-end') == 'a prediction\n'


def build_adder(name: str):
    import measuring

    weight = nn.Parameter(torch.zeros(4))
    return measuring.make_way(lambda x: x + weight, torch.zeros(4), [weight])


@pytest.mark.slow
def test_memory_is_that_of_a_process_of_its_own(measuring):
    assert 0.05 < measuring._peak_memory(build_adder, 'ours', measuring.Options()) < 4
