"""Open a page in the browser, where videos are sent and their results looked at.

The page has a tab for each system with weights: choose a video, record one, or try an example; see
the answer, the video with what was found, plots and tables; download them. Only browsers of this
machine reach it. With --host 0.0.0.0, others do who know a token: set MMOTION_TOKEN to one.

Without --folder, videos and results lie in a temporary folder, which is removed at the end.

Example:
    mmotion demo
    mmotion demo --model squats=repnet_shapes:work_dirs/repnet_shapes/epoch_9.pth
    MMOTION_TOKEN=secret mmotion demo --host 0.0.0.0 --port 8080 --folder jobs
"""

import argparse
import importlib.util
import os
import sys
import tempfile
from pathlib import Path

from mmotion.cli.server_arguments import add_server_arguments, open_service, read_tokens, run_app


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mmotion demo`."""
    add_server_arguments(parser, port=7860)
    parser.add_argument('--no-browser', action='store_true', help='only say where the page is')


def run(args: argparse.Namespace) -> int:
    """Serve the page until a signal asks to stop."""
    tokens = read_tokens(args)
    if not importlib.util.find_spec('gradio'):
        raise ImportError('the page must have Gradio, got none; pip install "mmotion[web]"')
    if args.folder:
        serve(args, tokens)
        return 0
    with tempfile.TemporaryDirectory(prefix='mmotion-') as folder:
        args.folder = Path(folder)
        serve(args, tokens)
    return 0


def serve(args: argparse.Namespace, tokens: list[str]) -> None:
    """Serve the page from `args.folder`."""
    app = open_service(args, tokens, extra='web')
    from mmotion.serving.page import mount_page

    mount_page(app, app.state.engine, tokens=tokens)
    run_app(app, args, 'the page is at', open_browser=not args.no_browser and has_screen())


def has_screen() -> bool:
    """Whether somebody sits before this machine: at a terminal, with windows."""
    has_windows = sys.platform in ('win32', 'darwin')
    has_windows = has_windows or bool(
        os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY')
    )
    return has_windows and sys.stdout.isatty()
