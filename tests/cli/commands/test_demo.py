import argparse
import sys

import pytest

from mmotion.cli import main
from mmotion.cli.commands import demo


def test_others_are_let_in_by_a_token_alone(capsys, monkeypatch):
    monkeypatch.delenv('MMOTION_TOKEN', raising=False)
    assert main(['demo', '--host', '0.0.0.0']) == 2
    assert 'MMOTION_TOKEN must be set where others may send' in capsys.readouterr().err


def test_without_gradio_it_says_what_to_install(capsys, monkeypatch):
    monkeypatch.setattr(demo.importlib.util, 'find_spec', lambda name: None)
    assert main(['demo', '--port', '0']) == 2
    assert 'pip install "mmotion[web]"' in capsys.readouterr().err


def test_the_folder_goes_unless_it_was_named(tmp_path, monkeypatch):
    folders = []
    monkeypatch.setattr(demo, 'serve', lambda args, tokens: folders.append(args.folder))
    monkeypatch.setattr(demo.importlib.util, 'find_spec', lambda name: name)
    parser = argparse.ArgumentParser()
    demo.add_arguments(parser)
    assert demo.run(parser.parse_args([])) == 0
    assert demo.run(parser.parse_args(['--folder', str(tmp_path)])) == 0
    assert not folders[0].exists() and folders[1] == tmp_path


@pytest.mark.parametrize('has_windows', [True, False])
def test_a_browser_opens_only_where_somebody_sits(has_windows, monkeypatch):
    monkeypatch.setattr(sys, 'platform', 'linux')
    monkeypatch.delenv('WAYLAND_DISPLAY', raising=False)
    monkeypatch.setenv('DISPLAY', ':0' if has_windows else '')
    monkeypatch.setattr(sys.stdout, 'isatty', lambda: True, raising=False)
    assert demo.has_screen() is has_windows
    monkeypatch.setattr(sys.stdout, 'isatty', lambda: False, raising=False)
    assert not demo.has_screen()
