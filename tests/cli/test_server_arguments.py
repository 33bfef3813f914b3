import argparse
import socket

import pytest

pytest.importorskip('fastapi', reason='needs the extra [serve]')
pytest.importorskip('psutil', reason='needs the extra [serve]')

from mmotion.cli.server_arguments import add_server_arguments, open_engine, read_tokens, run_app


def read(*words):
    parser = argparse.ArgumentParser()
    add_server_arguments(parser, port=8000)
    return parser.parse_args(words)


def test_tokens_come_from_the_environment(monkeypatch):
    monkeypatch.delenv('MMOTION_TOKEN', raising=False)
    assert read_tokens(read()) == [] and read_tokens(read('--host', 'localhost')) == []
    with pytest.raises(ValueError, match='MMOTION_TOKEN must be set where others may send'):
        read_tokens(read('--host', '0.0.0.0'))
    monkeypatch.setenv('MMOTION_TOKEN', ' ,')
    with pytest.raises(ValueError, match='MMOTION_TOKEN must be set'):
        read_tokens(read('--host', '::'))
    monkeypatch.setenv('MMOTION_TOKEN', 'gr\u00fcn')
    with pytest.raises(ValueError, match='of ASCII'):
        read_tokens(read())
    monkeypatch.setenv('MMOTION_TOKEN', 'one, two,')
    assert read_tokens(read('--host', '0.0.0.0')) == ['one', 'two']


def test_limits_are_those_of_the_arguments(tmp_path, monkeypatch):
    monkeypatch.setattr('tempfile.tempdir', None)
    words = ['--folder', str(tmp_path), '--max-mb', '2', '--keep-hours', '0.5', '--max-queued', '3']
    engine = open_engine(read(*words), extra='serve')
    limits = engine.limits
    assert (limits.max_bytes, limits.keep_s, limits.max_queued) == (2_000_000, 1800.0, 3)
    engine.stop()


def test_a_package_that_is_not_there_is_named_with_its_extra(monkeypatch):
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    with pytest.raises(ImportError, match=r'no fastapi; pip install "mmotion\[serve\]"'):
        open_engine(read(), extra='serve')


@pytest.mark.parametrize('value', ['nan', '-1', 'inf'])
def test_wrong_limits_are_refused(tmp_path, value):
    with pytest.raises(ValueError, match='max_bytes must be above 0'):
        open_engine(read('--folder', str(tmp_path), f'--max-mb={value}'), extra='serve')


def test_an_address_that_cannot_be_had_is_named():
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = str(taken.getsockname()[1])
        with pytest.raises(OSError, match=f'127.0.0.1:{port} .* choose another --port'):
            run_app(None, read('--port', port), 'it is at')
    with pytest.raises(ValueError, match='--port must be 0 to 65535'):
        run_app(None, read('--port', '99999'), 'it is at')
