"""What a user may name as a live source: a camera, a stream of the network, a pipe.

Only what stands on a command line or in a list of cameras, or is given to `LiveVideo`, is looked at
here. Names in tables, lists of videos and folders are files, whatever they look like, so that no
list makes anybody's machine call another one. A stream cannot lead to files either: FFmpeg is told
which protocols it may follow.
"""

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

SCHEMES = ('rtsp', 'rtsps', 'http', 'https', 'tcp', 'udp', 'srt')
PIPE = '-'
# of FFmpeg, what a stream may lead to; 'file' and 'pipe' are not among them
_PROTOCOLS = 'crypto,data,http,httpproxy,https,rtp,rtsp,rtsps,srt,srtp,tcp,tls,udp'
# FFmpeg's reader of cameras by `sys.platform`, and what a camera is called there
_CAMERAS = {'linux': ('v4l2', '/dev/video{}'), 'darwin': ('avfoundation', '{}')}


@dataclass(frozen=True)
class Address:
    """Where live frames come from.

    Args:
        url: What FFmpeg opens.
        name: What it is called in outputs, without passwords.
        kind: 'camera', 'network', 'pipe', or 'file' for a file as a test camera.
        format: FFmpeg's reader; None if it finds out.
        options: Of the reader.
    """

    url: str
    name: str
    kind: str
    format: str | None = None
    options: dict[str, str] = field(default_factory=dict)


def find_address(text: str) -> Address | None:
    """Tell whether a text names a live source.

    Args:
        text: `0` and other numbers of cameras, `/dev/video0`, `rtsp://...` or another of
            `SCHEMES`, or `-` for standard input.

    Returns:
        The source; None if it can only be the name of files.

    Raises:
        FileNotFoundError: If there is no such camera.
        ValueError: If it is an address that is not read, or lacks a host.

    Example:
        >>> find_address('rtsp://me:secret@camera.local/door?token=1').name
        'rtsp://camera.local/door'
        >>> find_address('workout.mp4')
    """
    if text == PIPE:
        return Address('pipe:0', PIPE, 'pipe', options={'protocol_whitelist': 'pipe'})
    if text.isdecimal() and not Path(text).exists():
        return _find_camera(text)
    if text.startswith('/dev/') and not Path(text).is_dir():
        if not Path(text).exists():
            raise FileNotFoundError(f'a camera must be plugged in, got {text}, which is not there')
        return Address(text, text, 'camera', 'v4l2')
    scheme, separator, _ = text.partition('://')
    if not separator or not re.fullmatch(r'[A-Za-z][A-Za-z0-9+.-]*', scheme):
        return None
    return _find_stream(text, scheme.lower())


def name_test_camera(path: str | Path) -> Address:
    """A file that is to be read as if it were a camera."""
    # absolute, as FFmpeg takes 'a:b.mp4' for a protocol
    return Address(str(Path(path).absolute()), str(path), 'file')


def _find_camera(number: str) -> Address:
    if sys.platform not in _CAMERAS:
        raise ValueError(
            f'a camera must be one of Linux or macOS to be read by its number, got {number}; '
            'give its rtsp:// or http:// address, or pipe its video to -'
        )
    reader, name = _CAMERAS[sys.platform]
    place = name.format(number)
    if sys.platform == 'linux' and not Path(place).exists():
        raise FileNotFoundError(
            f'camera {number} must be plugged in, got {place}, which is not there'
        )
    return Address(place, number, 'camera', reader)


def _find_stream(url: str, scheme: str) -> Address:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ''
        port = '' if parts.port is None else f':{parts.port}'
    except ValueError as error:
        raise ValueError(f'a stream must have a host and a port, got {scheme}: {error}') from None
    # udp://:5000 and srt://:5000 listen
    if scheme not in SCHEMES or not (host or port):
        raise ValueError(
            f'a stream must be one of {", ".join(SCHEMES)} with a host, got {scheme}://{host}; '
            'files are named by their paths'
        )
    host = f'[{host}]' if ':' in host else host
    options = {'protocol_whitelist': _PROTOCOLS}
    if scheme.startswith('rtsp'):
        # of UDP, packets are lost wherever a network is busy
        options['rtsp_flags'] = 'prefer_tcp'
    # FFmpeg knows schemes in small letters alone
    url = scheme + url[len(scheme) :]
    return Address(url, f'{scheme}://{host}{port}{parts.path}', 'network', options=options)
