"""A server of one file on the loopback device, which can be told to fail."""

import http.server
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

CONTENT = bytes(range(256)) * 4096


class Shop(http.server.ThreadingHTTPServer):
    """Serves `content` under any path; `faults` says what becomes of the next requests."""

    daemon_threads = True

    def __init__(self, content):
        super().__init__(('127.0.0.1', 0), Handler)
        self.content = content
        self.faults = []
        self.requests = Counter()
        self.is_over = threading.Event()
        self.url = f'http://127.0.0.1:{self.server_port}'


class Handler(http.server.BaseHTTPRequestHandler):
    server: Shop
    protocol_version = 'HTTP/1.1'

    def log_message(self, *args):
        """Say nothing."""

    def do_GET(self):
        self.server.requests[self.path] += 1
        fault = self.server.faults.pop(0) if self.server.faults else 'none'
        self.close_connection = True
        if isinstance(fault, int):
            self.send_response(fault)
            self.send_header('Content-Length', '0')
            self.end_headers()
            return
        content = self.server.content
        self.send_response(200)
        if fault == 'cut in chunks':
            self.send_header('Transfer-Encoding', 'chunked')
            self.end_headers()
            self.wfile.write(b'1000\r\n' + content[:99])
            return
        self.send_header('Content-Length', str(len(content)))
        self.end_headers()
        self.wfile.write(content if fault == 'none' else content[: len(content) // 2])
        if fault == 'silent':
            self.wfile.flush()
            self.server.is_over.wait(30)


@contextmanager
def serve_file(content: bytes = CONTENT) -> Iterator[Shop]:
    """Serve a file until the block ends."""
    server = Shop(content)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.is_over.set()
        server.shutdown()
        server.server_close()
        thread.join(30)
