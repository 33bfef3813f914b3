"""Cameras on the loopback device: they stall, break off and come back, as they are told."""

import http.server
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import av
import cv2
import numpy as np

from tests.video_files import paint

# frames that are painted one after the other, again and again
NUM_FRAMES = 24
BOUNDARY = b'--frame\r\n'


@dataclass
class Camera:
    """What a camera does, connection after connection.

    Args:
        url: Where it is.
        plan: For each connection how many frames come, and what is then: 'end' hangs up, 'stall'
            says nothing more, 'refuse' as if nothing were there. The last one is done again.
        fps: Frames per second.
        paint: Draws frame n (H, W, 3).
        raw: What is answered in place of a video.
        connections: How many there were.
        stop: Ends all connections.
    """

    url: str = ''
    plan: list[tuple[int, str]] = field(default_factory=lambda: [(50, 'end')])
    fps: float = 50.0
    paint: Callable[[int], np.ndarray] = lambda number: paint(number % NUM_FRAMES)
    raw: bytes = b''
    connections: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def connect(self) -> tuple[int, str]:
        """What is to be done with the next connection."""
        place = min(self.connections, len(self.plan) - 1)
        self.connections += 1
        return self.plan[place]

    def frames(self, number: int) -> Iterator[tuple[int, np.ndarray]]:
        """Frames in real time."""
        begin_s = time.monotonic()
        for i in range(number):
            if self.stop.wait(max(begin_s + i / self.fps - time.monotonic(), 0)):
                return
            yield i, self.paint(i)


class _Sink:
    """What PyAV writes to, a call a piece."""

    def __init__(self, write: Callable[[bytes], Any]) -> None:
        self._write = write

    def write(self, data: bytes) -> int:
        self._write(bytes(data))
        return len(data)


def send_video(
    camera: Camera, number: int, write: Callable[[bytes], Any], container: str, **options: str
) -> None:
    """Encode frames in real time, and send each as soon as it is encoded."""
    with av.open(_Sink(write), 'w', format=container, options=options) as output:
        stream = output.add_stream(
            'libx264',
            rate=round(camera.fps),
            options={'preset': 'ultrafast', 'tune': 'zerolatency'},
        )
        stream.height, stream.width = camera.paint(0).shape[:2]
        stream.pix_fmt, stream.gop_size = 'yuv420p', 10
        for _, image in camera.frames(number):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(image, format='rgb24')))


class _HttpHandler(http.server.BaseHTTPRequestHandler):
    camera: Camera

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        camera = self.camera
        number, then = camera.connect()
        if then == 'refuse':
            self.send_error(503)
            return
        if camera.raw:
            self.send_response(200)
            self.send_header('Content-Length', str(len(camera.raw)))
            self.end_headers()
            self.wfile.write(camera.raw)
            return
        is_jpeg = self.path.endswith('.mjpg')
        kind = 'multipart/x-mixed-replace; boundary=frame' if is_jpeg else 'video/mp2t'
        self.send_response(200)
        self.send_header('Content-Type', kind)
        self.end_headers()
        try:
            if is_jpeg:
                for _, image in camera.frames(number):
                    jpeg = cv2.imencode('.jpg', image[..., ::-1])[1].tobytes()
                    head = f'Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n'
                    self.wfile.write(BOUNDARY + head.encode() + jpeg + b'\r\n')
            else:
                send_video(camera, number, self.wfile.write, 'mpegts', flush_packets='1')
            if then == 'stall':
                camera.stop.wait(30)
        except (OSError, av.FFmpegError):
            # nobody looks any more
            return


@contextmanager
def serve(camera: Camera, handler: type = _HttpHandler) -> Iterator[Camera]:
    """Let a camera be there; `url` is its address without a path."""
    bound = type('Handler', (handler,), {'camera': camera})
    scheme = 'http' if handler is _HttpHandler else 'rtsp'
    with socketserver.ThreadingTCPServer(('127.0.0.1', 0), bound) as server:
        server.daemon_threads = True
        server.block_on_close = False
        camera.url = f'{scheme}://127.0.0.1:{server.server_address[1]}'
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield camera
        finally:
            camera.stop.set()
            server.shutdown()
            thread.join()


class RtspHandler(socketserver.StreamRequestHandler):
    """As much of RTSP (RFC 2326) as a player asks for, with RTP in the same connection."""

    camera: Camera

    def handle(self) -> None:
        """Answer requests until somebody hangs up."""
        camera = self.camera
        number, then = camera.connect()
        if then == 'refuse':
            return
        sdp = (
            'v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\n'
            'm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:video\r\n'
        )
        try:
            while request := self._read_request():
                method, sequence = request
                head, body = '', ''
                if method == 'OPTIONS':
                    head = 'Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n'
                elif method == 'DESCRIBE':
                    head, body = 'Content-Type: application/sdp\r\n', sdp
                elif method == 'SETUP':
                    head = 'Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n'
                if body:
                    head += f'Content-Length: {len(body)}\r\n'
                answer = f'RTSP/1.0 200 OK\r\nCSeq: {sequence}\r\nSession: 1\r\n{head}\r\n{body}'
                self.wfile.write(answer.encode())
                if method == 'PLAY':
                    send_video(camera, number, self._write_packet, 'rtp')
                    if then == 'stall':
                        camera.stop.wait(30)
                    return
        except (OSError, av.FFmpegError):
            return

    def _read_request(self) -> tuple[str, str] | None:
        lines = []
        while line := self.rfile.readline().decode().strip():
            lines.append(line)
        if not lines:
            return None
        sequence = next(line.partition(':')[2] for line in lines if line.startswith('CSeq'))
        return lines[0].split()[0], sequence.strip()

    def _write_packet(self, packet: bytes) -> None:
        # RTCP's packet types lie where RTP's marker and payload type do
        channel = 1 if 200 <= packet[1] <= 207 else 0
        self.wfile.write(b'$' + bytes([channel]) + len(packet).to_bytes(2, 'big') + packet)


def find_closed_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as one:
        one.bind(('127.0.0.1', 0))
        return one.getsockname()[1]
