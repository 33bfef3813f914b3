"""Arguments of the commands that let others send videos, and how these are served."""

import argparse
import importlib.util
import os
import socket
import tempfile
import threading
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmotion.serving.limits import LOOPBACK, Limits

if TYPE_CHECKING:
    from types import FrameType

    from fastapi import FastAPI

    from mmotion.serving.engine import Engine

TOKEN = 'MMOTION_TOKEN'
# seconds that requests have to end when the server is stopped
GRACE_S = 5
# until a browser is opened
OPEN_S = 1.0
MB = 1_000_000


def add_server_arguments(parser: argparse.ArgumentParser, *, port: int) -> None:
    """Add where to listen, what to offer, and what to take.

    Args:
        parser: Of a command.
        port: The default one.
    """
    add = parser.add_argument
    add('--host', default='127.0.0.1', help='address to listen at; default: this machine alone')
    add('--port', type=int, default=port, help=f'0 takes a free one; default: {port}')
    add('--folder', type=Path, metavar='DIR', help='where videos and results lie')
    add(
        '--model',
        action='append',
        default=[],
        metavar='NAME=CONFIG[:CKPT]',
        help='offer this model too; may be given again. Those that come with weights are there',
    )
    add('--workers', type=int, default=1, help='videos that are worked on at once; default: 1')
    add('--max-mb', type=float, default=Limits.max_bytes / MB, help='of a video; default: 1000')
    add('--max-seconds', type=float, default=Limits.max_seconds, help='of a video; default: 600')
    add(
        '--max-pixels',
        type=int,
        default=Limits.max_pixels,
        metavar='N',
        help='of a picture, width times height; default: 10 million, a little more than 4K',
    )
    add('--max-queued', type=int, default=Limits.max_queued, help='that wait; default: 100')
    add('--max-job-seconds', type=float, default=Limits.max_job_s, help='of work; default: 3600')
    add('--max-memory-mb', type=int, default=Limits.max_memory_mb, help='of work; default: 6000')
    add('--keep-hours', type=float, default=Limits.keep_s / 3600, help='of results; default: 24')


def read_tokens(args: argparse.Namespace) -> list[str]:
    """The tokens of the environment, of which a client must bring one.

    Raises:
        ValueError: If there is none, and others than this machine could send.
    """
    tokens = [text.strip() for text in os.environ.get(TOKEN, '').split(',') if text.strip()]
    if not all(token.isascii() for token in tokens):
        raise ValueError(f'{TOKEN} must have letters and digits of ASCII, got others')
    if not tokens and args.host not in LOOPBACK:
        raise ValueError(
            f'{TOKEN} must be set where others may send videos, got --host {args.host} without '
            f'it; {TOKEN}=$(openssl rand -hex 16) makes one, and several are separated by commas'
        )
    return tokens


def open_engine(args: argparse.Namespace, *, extra: str) -> 'Engine':
    """The engine that the arguments ask for.

    Args:
        args: See `add_server_arguments`; `folder` must be set.
        extra: Name of the extra that brings its packages.

    Raises:
        ImportError: If a package is not installed.
        ValueError: If a value is out of range, or there is no model.
    """
    for name in ('fastapi', 'fastapi_offline', 'multipart', 'prometheus_client', 'psutil'):
        if not importlib.util.find_spec(name):
            raise ImportError(
                f'packages for a server must be installed, got no {name}; '
                f'pip install "mmotion[{extra}]"'
            )
    from mmotion.serving.engine import Engine
    from mmotion.serving.models import list_models

    limits = Limits(
        max_bytes=args.max_mb * MB,
        max_seconds=args.max_seconds,
        max_pixels=args.max_pixels,
        max_queued=args.max_queued,
        max_job_s=args.max_job_seconds,
        max_memory_mb=args.max_memory_mb,
        keep_s=args.keep_hours * 3600,
    )
    engine = Engine(args.folder, list_models(args.model), limits, num_workers=args.workers)
    # where an upload is written while it comes
    tempfile.tempdir = str(engine.folder)
    return engine


def open_service(args: argparse.Namespace, tokens: Sequence[str], *, extra: str) -> 'FastAPI':
    """The service that the arguments ask for, whose `state.engine` does the work.

    Args:
        args: See `add_server_arguments`; `folder` must be set.
        tokens: From `read_tokens`.
        extra: See `open_engine`, like the errors.
    """
    engine = open_engine(args, extra=extra)
    from mmotion.serving.service import create_app

    hosts = LOOPBACK if args.host in LOOPBACK else ['*']
    return create_app(engine, tokens=tokens, hosts=hosts)


def run_app(
    app: 'FastAPI', args: argparse.Namespace, what: str, *, open_browser: bool = False
) -> None:
    """Serve until a signal asks to stop, and say where.

    Args:
        app: What is served.
        args: See `add_server_arguments`.
        what: What it is called in the line that says where it is.
        open_browser: Whether to open it in a browser of this machine.

    Raises:
        OSError: If the address cannot be had.
    """
    import uvicorn

    sock = _listen(args.host, args.port)
    config = uvicorn.Config(app, log_level='warning', timeout_graceful_shutdown=GRACE_S)
    server = uvicorn.Server(config)
    handle = server.handle_exit

    def handle_exit(number: int, frame: 'FrameType | None') -> None:
        # so that who follows a job is let go, and the server need not wait for it
        app.state.engine.close_doors()
        handle(number, frame)

    server.handle_exit = handle_exit
    host = f'[{args.host}]' if ':' in args.host else args.host
    address = f'http://{host}:{sock.getsockname()[1]}'
    print(f'{what}: {address}', flush=True)
    if open_browser:
        # when it answers
        threading.Timer(OPEN_S, webbrowser.open, [address]).start()
    server.run(sockets=[sock])


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65535:
        raise ValueError(f'--port must be 0 to 65535, got --port {port}')
    try:
        family = socket.AF_INET6 if ':' in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise OSError(
            f'--host and --port must be an address that is free, got {host}:{port} '
            f'({error.strerror}); choose another --port'
        ) from None
