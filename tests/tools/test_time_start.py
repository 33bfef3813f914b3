import re

from tools.analysis import time_start


def test_each_command_is_timed_beside_torch(monkeypatch, capsys):
    asked = []

    def take(arguments):
        asked.append(arguments)
        # the first round, which warms up, is slower
        return (9.0 if len(asked) <= 2 else 1.0) * (2.0 if 'import torch' in arguments else 0.5)

    monkeypatch.setattr(time_start, 'time_process', take)
    time_start.main(['list models', '--rounds', '3'])
    assert asked[:2] == [['-c', 'import torch'], ['-m', 'mmotion.cli', 'list', 'models']]
    assert len(asked) == 8
    rows = [re.split(r'\s{2,}', line) for line in capsys.readouterr().out.splitlines()]
    assert rows == [
        ['import torch', '2.00 s', '1.00 x'],
        ['mmotion list models', '0.50 s', '0.25 x'],
    ]


def test_a_process_is_timed():
    assert 0 < time_start.time_process(['-c', 'pass']) < 60
