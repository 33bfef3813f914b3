"""Videos at addresses: whole or a reason, and nothing left behind."""

import sys

import fsspec
import pytest

from mmotion.corpus import fetching
from mmotion.corpus.fetching import fetched
from tests.file_server import CONTENT, serve_file


@pytest.fixture
def shop():
    with serve_file() as server:
        yield server


def test_a_path_is_given_as_it_is(tmp_path):
    with fetched('clips/a b.mp4', tmp_path / 'scratch') as path:
        assert str(path) == 'clips/a b.mp4'
    with fetched(f'file://{tmp_path}/a b.mp4', tmp_path / 'scratch') as path:
        assert path == tmp_path / 'a b.mp4'
    assert not [*tmp_path.iterdir()]


def test_a_copy_is_there_as_long_as_the_block(tmp_path):
    with fsspec.open('memory://archive/day 1.mp4', 'wb') as file:
        file.write(CONTENT)
    with fetched('memory://archive/day 1.mp4', tmp_path / 'scratch') as path:
        assert path.name == 'day 1.mp4'
        assert path.read_bytes() == CONTENT
    assert not [*tmp_path.iterdir()]


def test_a_block_that_fails_leaves_no_copy(tmp_path, shop):
    with pytest.raises(RuntimeError), fetched(f'{shop.url}/a.mp4', tmp_path / 'scratch'):
        raise RuntimeError
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    'faults',
    [
        pytest.param([], id='at once'),
        pytest.param(['cut'], id='cut off once'),
        pytest.param(['cut in chunks'], id='cut off in chunks'),
        pytest.param([503], id='busy once'),
    ],
)
def test_what_breaks_off_is_begun_once_more(tmp_path, shop, faults):
    number = 1 + len(faults)
    shop.faults = faults
    with fetched(f'{shop.url}/a/run%201.mp4?token=x/y', tmp_path / 'scratch') as path:
        assert path.name == 'run 1.mp4'
        assert path.read_bytes() == CONTENT
    assert shop.requests == {'/a/run%201.mp4?token=x/y': number}


@pytest.mark.parametrize(
    ('faults', 'tries', 'error', 'message'),
    [
        pytest.param(['cut', 'cut'], 2, OSError, 'read to its end, got .* for http', id='cut off'),
        pytest.param([500, 500], 2, OSError, 'got 500, .* for http', id='broken server'),
        pytest.param([404], 1, FileNotFoundError, 'be there, got nothing at http', id='missing'),
        pytest.param([403], 1, OSError, 'got 403, .*Forbidden', id='not for everybody'),
    ],
)
def test_what_cannot_be_had_is_a_reason(tmp_path, shop, faults, tries, error, message):
    shop.faults = faults
    with pytest.raises(error, match=message), fetched(f'{shop.url}/a.mp4', tmp_path / 'scratch'):
        pass
    assert shop.requests == {'/a.mp4': tries}
    assert not [*tmp_path.iterdir()]


def test_a_server_that_falls_silent_is_given_up(tmp_path, shop, monkeypatch):
    monkeypatch.setattr(fetching, 'SILENT_S', 0.2)
    shop.faults = ['silent', 'silent']
    with (
        pytest.raises(OSError, match='read to its end'),
        fetched(f'{shop.url}/a.mp4', tmp_path / 'scratch'),
    ):
        pass
    assert shop.requests == {'/a.mp4': 2}


def test_a_transfer_has_no_limit_of_the_whole():
    timeout = fetching._wait_for_bytes()
    assert (timeout.total, timeout.sock_read) == (None, fetching.SILENT_S)


def test_nobody_there(tmp_path, shop):
    url = shop.url
    shop.shutdown()
    shop.server_close()
    with pytest.raises(OSError, match=r'read to its end, got .*onnect'):
        fetched(f'{url}/a', tmp_path / 'scratch').__enter__()


def test_nothing_in_memory(tmp_path):
    with pytest.raises(FileNotFoundError, match='nothing at memory://none'):
        fetched('memory://none', tmp_path / 'scratch').__enter__()


@pytest.mark.parametrize(
    ('address', 'module', 'package'),
    [
        pytest.param('s3://bucket/a.mp4', 's3fs', 's3fs', id='S3'),
        pytest.param('GS://bucket/a.mp4', 'gcsfs', 'gcsfs', id='Google'),
        pytest.param('https://site.org/a.mp4', 'aiohttp', r'fsspec\[http\]', id='HTTP'),
    ],
)
def test_a_package_that_is_missing_is_named(tmp_path, monkeypatch, address, module, package):
    monkeypatch.setitem(sys.modules, module, None)
    # what was imported or found before
    monkeypatch.delitem(sys.modules, 'fsspec.implementations.http', raising=False)
    monkeypatch.setattr(sys.modules['fsspec.registry'], '_registry', {})
    with pytest.raises(ImportError, match=f'pip install "{package}"'):
        fetched(address, tmp_path / 'scratch').__enter__()


def test_other_addresses_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r'fsspec knows, .* got rtsp://camera'):
        fetched('rtsp://camera/1', tmp_path / 'scratch').__enter__()
