"""The comparison with other implementations, on tiny ones."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

ANALYSIS = Path(__file__).resolve().parents[2] / 'tools' / 'analysis'


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    # where Python looks when a script is run
    monkeypatch.syspath_prepend(ANALYSIS)
    module = importlib.import_module('benchmark_timesformer')
    monkeypatch.setattr(module, 'PEAK_SIZE', 64)
    return module


@pytest.fixture
def sizes(script):
    return script.Sizes(num_frames=2, image_size=32, embed_dim=32, depth=1, num_heads=2)


def read_rows(table: str) -> dict[str, list[str]]:
    lines = [line.strip('| ').split(' | ') for line in table.splitlines() if line.startswith('| ')]
    return {name: cells for name, *cells in lines[1:]}


def test_tasks_take_turns_after_a_round_that_warms_up(script) -> None:
    calls = []
    tasks = {name: lambda name=name: calls.append(name) for name in 'ab'}
    seconds = script.time_in_turn(tasks, 3, lambda: calls.append('wait'))
    # another one begins each round
    assert [call for call in calls if call != 'wait'] == list('abbaabba')
    # before and after each
    assert calls[:6] == ['wait', 'a', 'wait', 'wait', 'b', 'wait']
    assert {name: len(times) for name, times in seconds.items()} == {'a': 3, 'b': 3}


def test_implementations_agree_and_who_is_missing_is_named(script, sizes, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, 'transformers', None)
    monkeypatch.setattr(script, 'measure_memory', lambda names, *_: dict.fromkeys(names, (1, 2)))
    table = script.compare_timesformers(sizes, rounds=1, batch_size=2, device='cpu')
    rows = read_rows(table)
    assert list(rows) == ['ours', 'MMAction2', 'ours, bf16']
    assert rows['ours'][-2:] == ['1.00 and 2.00', '-']
    assert float(rows['MMAction2'][-1]) < 1e-4
    assert 1e-4 < float(rows['ours, bf16'][-1]) < 0.5
    assert 'Hugging Face: not there, `pip install transformers` brings it.' in table
    assert 'sgemm peak' in table


def test_hugging_face_agrees(script, sizes) -> None:
    pytest.importorskip('transformers')
    models = [script.build(name, sizes, 'cpu') for name in ('ours', 'Hugging Face')]
    assert script._difference(*models, script.draw_clips(sizes, 2, 'cpu')) < 1e-4


@pytest.mark.slow
def test_memory_is_that_of_a_process_of_its_own(script, sizes) -> None:
    ((forward, train),) = script.measure_memory(['ours'], sizes, 1, 'cpu').values()
    assert 0.05 < forward <= train < 4


def test_the_command_prints_the_table(script, monkeypatch, capsys) -> None:
    monkeypatch.setattr(script, 'compare_timesformers', lambda sizes, **options: f'{options}')
    monkeypatch.setattr(sys, 'argv', ['benchmark_timesformer', '--tiny', '--rounds', '2'])
    script.main()
    assert "'rounds': 2" in capsys.readouterr().out
