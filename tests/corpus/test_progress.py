import pytest

from mmotion.corpus import progress as module
from mmotion.corpus.progress import Progress


@pytest.fixture
def clock(monkeypatch):
    """What time it is, in seconds."""
    now = [100.0]
    monkeypatch.setattr(module.time, 'monotonic', lambda: now[0])
    return now


def test_rate_failures_and_end_are_told(clock, capsys):
    progress = Progress(1200)
    assert progress.describe() == '0 of 1,200 videos, 0 failed'
    for i in range(200):
        progress.note(is_right=i != 7)
    clock[0] += 40
    assert progress.describe() == '200 of 1,200 videos, 1 failed, 5/s, 3 min left'
    progress.show()
    assert capsys.readouterr().err == f'mmotion: {progress.describe()}\n'
    clock[0] += 1
    progress.show()
    progress.show(last=True)
    assert capsys.readouterr().err == ''


def test_a_terminal_shows_a_line_that_changes(clock, capsys, monkeypatch):
    progress = Progress(2)
    progress._is_terminal = True
    progress.note(is_right=True)
    progress.show()
    progress.note(is_right=True)
    progress.show(last=True)
    first, second = capsys.readouterr().err.split('\r')[1:]
    assert first.startswith('1 of 2') and not first.endswith('\n')
    assert second.startswith('2 of 2') and second.endswith('\n')
