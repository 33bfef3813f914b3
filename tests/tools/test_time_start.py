from tools.analysis import time_start


def test_each_command_is_timed_beside_torch(monkeypatch, capsys):
    asked = []

    def take(arguments):
        asked.append(arguments)
        # the first round, which warms up, is slower
        clock = (9.0 if len(asked) <= 2 else 1.0) * (2.0 if 'import torch' in arguments else 0.5)
        return clock, clock / 4

    monkeypatch.setattr(time_start, 'time_process', take)
    monkeypatch.setattr(time_start, 'count_modules', lambda arguments: 100 * len(arguments))
    time_start.main(['list models', '--rounds', '3'])
    assert asked[:2] == [['-c', 'import torch'], ['-m', 'mmotion.cli', 'list', 'models']]
    assert len(asked) == 8
    head, torch, models = capsys.readouterr().out.splitlines()
    assert head.split() == ['clock', 'processor', 'modules']
    assert ' '.join(torch.split()) == 'import torch 2.00 s 1.00 x 0.50 s 1.00 x 200'
    assert ' '.join(models.split()) == 'mmotion list models 0.50 s 0.25 x 0.12 s 0.25 x 400'


def test_a_process_is_timed():
    taken, used = time_start.time_process(['-c', 'pass'])
    assert 0 < taken < 60
    assert 0 <= used < 60


def test_modules_are_counted():
    few = time_start.count_modules(['-c', 'pass'])
    assert few > 10
    assert time_start.count_modules(['-c', 'import wave, sqlite3']) > few + 2
