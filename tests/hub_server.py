"""A Hugging Face Hub of one's own on the loopback device, which can be told to fail."""

import base64
import hashlib
import http.server
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

COMMIT = '0123456789abcdef0123456789abcdef01234567'
FILE = re.compile(r'/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)')


@dataclass
class Hub:
    """What the server has, what it is asked, and how it fails.

    `faults` has, by file, what happens to the next requests for its content: 'cut' breaks off in
    the middle, 'slow' waits for half a second, 'wrong' gives other bytes, a number is a status.
    """

    url: str = ''
    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[str | int]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def downloads(self, file: str) -> list[str]:
        """The ranges in which the content of a file was asked for, '' for all of it."""
        start = f'GET {file} '
        return [line.removeprefix(start) for line in self.requests if line.startswith(start)]


class Handler(http.server.BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        match = FILE.fullmatch(self.path)
        name = f'{match["repo"]}/{match["file"]}' if match else self.path.lstrip('/')
        content = self.hub.files.get(name)
        self.hub.requests.append(f'{self.command} {name} {self.headers.get("Range", "")}')
        faults = self.hub.faults.get(name, [])
        fault = faults.pop(0) if self.command == 'GET' and faults else None
        if content is None or isinstance(fault, int):
            status = fault if isinstance(fault, int) else 404
            self.send_response(status)
            if status == 404:
                self.send_header('X-Error-Code', 'EntryNotFound')
            self.send_header('Retry-After', '1')
            self.send_header('Content-Length', '0')
            self.end_headers()
            return
        digest = hashlib.sha256(content).hexdigest()
        if fault == 'slow':
            time.sleep(0.5)
        if fault == 'wrong':
            content = bytes(len(content))
        wanted = re.fullmatch(r'bytes=(\d+)-', self.headers.get('Range', ''))
        first = int(wanted[1]) if wanted else 0
        self.send_response(206 if wanted else 200)
        if wanted:
            span = f'bytes {first}-{len(content) - 1}/{len(content)}'
            self.send_header('Content-Range', span)
        self.send_header('Content-Length', str(len(content) - first))
        self.send_header('Accept-Ranges', 'bytes')
        self.send_header('ETag', f'"{digest}"')
        self.send_header('X-Repo-Commit', COMMIT)
        self.end_headers()
        if self.command == 'GET':
            part = content[first:]
            self.wfile.write(part[: len(part) // 2] if fault == 'cut' else part)
            if fault == 'cut':
                self.close_connection = True

    def do_POST(self) -> None:
        """Take what `create_repo` and `upload_folder` send, of small files."""
        body = self.rfile.read(int(self.headers.get('Content-Length', 0)))
        if self.path == '/api/repos/create':
            asked = json.loads(body)
            answer = {'url': f'{self.hub.url}/{asked["organization"]}/{asked["name"]}'}
        elif '/preupload/' in self.path:
            files = [item['path'] for item in json.loads(body)['files']]
            answer: dict[str, object] = {
                'files': [
                    {'path': path, 'uploadMode': 'regular', 'shouldIgnore': False, 'oid': None}
                    for path in files
                ]
            }
        elif '/validate-yaml' in self.path:
            answer = {'errors': [], 'warnings': []}
        else:
            repo = self.path.split('/api/models/')[1].split('/commit/')[0]
            for line in body.splitlines():
                entry = json.loads(line)
                if entry['key'] == 'file':
                    content = base64.b64decode(entry['value']['content'])
                    self.hub.files[f'{repo}/{entry["value"]["path"]}'] = content
            url = f'{self.hub.url}/{repo}/commit/{COMMIT}'
            answer = {'commitUrl': url, 'commitOid': COMMIT, 'success': True}
        self.hub.requests.append(f'POST {self.path}')
        text = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(text)))
        self.end_headers()
        self.wfile.write(text)


@contextmanager
def serve_hub() -> Iterator[Hub]:
    """Run the server while the block does."""
    hub = Hub()
    handler = type('HubHandler', (Handler,), {'hub': hub})
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        hub.url = f'http://127.0.0.1:{server.server_port}'
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield hub
        finally:
            server.shutdown()
