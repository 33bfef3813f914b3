"""Offer the models to other programs over HTTP.

A video is posted, and the answer is a job, whose state and result are asked for. The page /docs
shows all requests, and lets them be tried. Jobs outlive the server: what waited or was worked on
goes on at the next start with the same folder.

By default only programs of this machine can send. With --host 0.0.0.0, others can who have a
token: set MMOTION_TOKEN to one, or to several with commas between them, which see each their own.

Example:
    mmotion serve --folder jobs
    MMOTION_TOKEN=secret mmotion serve --folder jobs --host 0.0.0.0 --workers 2
"""

import argparse
from pathlib import Path

from mmotion.cli.server_arguments import add_server_arguments, open_service, read_tokens, run_app


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mmotion serve`."""
    add_server_arguments(parser, port=8000)
    parser.set_defaults(folder=Path('jobs'))


def run(args: argparse.Namespace) -> int:
    """Serve until a signal asks to stop."""
    tokens = read_tokens(args)
    run_app(open_service(args, tokens, extra='serve'), args, 'the service is at')
    return 0
