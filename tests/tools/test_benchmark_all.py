"""The page of all benchmarks: what it says of the machine, and that a failure does not end it."""

import subprocess
from types import SimpleNamespace

import pytest


@pytest.fixture
def script(import_script):
    return import_script('benchmark_all')


def test_a_page_with_a_table_of_each_and_what_failed(script, monkeypatch, tmp_path):
    commands = []

    def run(command, **_):
        if 'benchmark' not in command:
            return SimpleNamespace(returncode=0, stdout='1a2b3c4d5\n')
        commands.append(command[command.index('benchmark') + 1 :])
        is_broken = 'decoding' in command
        return SimpleNamespace(
            returncode=int(is_broken),
            stdout='| a table |\n',
            stderr='no decoder\n(--debug shows where it was raised)\n',
        )

    monkeypatch.setattr(subprocess, 'run', run)
    out = tmp_path / 'page.md'
    assert script.main(['--systems', 'repnet', '--rounds', '2', '--out', str(out)]) == 1
    shared = ['repnet', '--device', 'cpu', '--rounds', '2']
    assert commands == [['decoding'], shared, [*shared, '--end-to-end']]
    page = out.read_text()
    assert 'Commit: 1a2b3c4d5' in page or 'Commit: unknown' in page
    assert 'It failed: no decoder' in page and page.count('| a table |') == 2
    assert '`mmotion benchmark repnet --device cpu --rounds 2 --end-to-end`' in page


def test_only_predictions(script, monkeypatch, capsys):
    done = SimpleNamespace(returncode=0, stdout='x', stderr='')
    monkeypatch.setattr(subprocess, 'run', lambda *_, **__: done)
    assert script.main(['--systems', 'bkind', '--end-to-end']) == 0
    page = capsys.readouterr().out
    assert '## bkind, a prediction' in page and 'decoding' not in page and 'speed' not in page
