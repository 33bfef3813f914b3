import sys

import pytest

from mmotion.video.addresses import find_address, name_test_camera


@pytest.mark.parametrize(
    ('text', 'name'),
    [
        ('rtsp://admin:pa%24s@10.0.0.7:554/ch/1?user=me&pwd=secret', 'rtsp://10.0.0.7:554/ch/1'),
        ('HTTPS://cam.local/x.m3u8', 'https://cam.local/x.m3u8'),
        ('udp://:5000', 'udp://:5000'),
        ('tcp://[::1]:99', 'tcp://[::1]:99'),
        ('srt://cam.local:9?mode=caller&passphrase=secret', 'srt://cam.local:9'),
    ],
)
def test_a_stream_has_a_name_without_its_passwords(text, name):
    address = find_address(text)
    scheme, _, rest = text.partition(':')
    # FFmpeg takes no capitals there
    url = f'{scheme.lower()}:{rest}'
    assert (address.name, address.url, address.kind) == (name, url, 'network')
    protocols = address.options['protocol_whitelist'].split(',')
    assert not {'file', 'pipe', 'concat', 'subfile'} & {*protocols}


def test_a_pipe_leads_nowhere_else():
    address = find_address('-')
    assert (address.url, address.kind) == ('pipe:0', 'pipe')
    assert address.options == {'protocol_whitelist': 'pipe'}


@pytest.mark.parametrize('text', ['workout.mp4', 'clips/*.mp4', '/tmp', 'C:\\clips\\a.mp4', 'a:b'])
def test_files_are_no_live_sources(text):
    assert find_address(text) is None


def test_a_file_may_be_called_as_a_camera_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / '0').mkdir()
    assert find_address('0') is None


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('ftp://host/a.mp4', 'must be one of rtsp, rtsps, http, https, tcp, udp, srt with a host'),
        ('file:///etc/passwd', 'got file://; files are named by their paths'),
        ('http:///a.mp4', 'got http://; files'),
        ('rtsp://me:secret@host:99999/', 'a stream must have a host and a port, got rtsp: '),
    ],
)
def test_other_addresses_are_refused(text, message):
    with pytest.raises(ValueError, match=message) as error:
        find_address(text)
    assert 'secret' not in str(error.value)


@pytest.mark.skipif(sys.platform != 'linux', reason='/dev is that of Linux')
@pytest.mark.parametrize('text', ['987', '/dev/video987'])
def test_a_camera_must_be_there(text):
    with pytest.raises(FileNotFoundError, match='must be plugged in, got /dev/video987'):
        find_address(text)


@pytest.mark.parametrize(
    ('platform', 'reader', 'url'),
    [('linux', 'v4l2', '/dev/video{}'), ('darwin', 'avfoundation', '{}')],
)
def test_the_number_of_a_camera(monkeypatch, platform, reader, url):
    monkeypatch.setattr(sys, 'platform', platform)
    monkeypatch.setattr('pathlib.Path.exists', lambda path: str(path).startswith('/dev/'))
    address = find_address('3')
    assert (address.url, address.format, address.kind) == (url.format(3), reader, 'camera')


def test_a_platform_without_numbers_of_cameras(monkeypatch):
    monkeypatch.setattr(sys, 'platform', 'win32')
    with pytest.raises(ValueError, match='one of Linux or macOS to be read by its number, got 0'):
        find_address('0')


def test_a_file_as_a_test_camera(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    address = name_test_camera('http:a.mp4')
    assert (address.url, address.name) == (str(tmp_path / 'http:a.mp4'), 'http:a.mp4')
