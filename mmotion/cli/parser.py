"""One parser of arguments, errors and `--debug` for all commands.

Exit codes: 0 all done, 1 some failed (named at the end), 2 wrong use. What a user can get wrong is
answered in one line on stderr; `--debug`, or `MMOTION_DEBUG=1`, shows the traceback instead. A
command that is stopped by a signal, or has nobody who reads it, cleans up and ends as a shell
expects, with 128 and the signal's number.

Nothing heavy is imported before it is known what to do, so that `--help` answers at once.
"""

import argparse
import inspect
import io
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from types import FrameType, ModuleType
from typing import TextIO

from mmotion import __version__
from mmotion.atomic import keep_files
from mmotion.cli.discovery import Command, describe_commands, find_commands, pick_command

FAILED = 1
USAGE_ERROR = 2
INTERRUPTED = 130  # what a shell reports for Ctrl-C
NOBODY_READS = 141  # and where `| head` has enough of what is written
# by `kill` and batch systems, and when a terminal is closed, which Windows does not know
STOP_SIGNALS = [number for name in ('SIGTERM', 'SIGHUP') if (number := getattr(signal, name, None))]
# what bad input raises; anything else is a defect and shows its traceback
EXPECTED_ERRORS = (ValueError, TypeError, OSError, LookupError, ImportError)
# arguments that name what is written; all others are read, and never written over
OUTPUTS = frozenset({'dump', 'html', 'json_lines', 'out', 'show_dir', 'target', 'work_dir'})


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: Arguments after the program's name, those of the process by default.

    Returns:
        The exit code.
    """
    _prepare_streams()
    try:
        with _stop_on_signals(), _let_loggers_raise_broken_pipes():
            code = _run_command(list(sys.argv[1:] if argv is None else argv))
    except BrokenPipeError:
        code = NOBODY_READS
    return _finish_streams(code)


class StoppedError(KeyboardInterrupt):
    """A signal has asked the process to end; what handles Ctrl-C handles this too."""

    def __init__(self, number: int) -> None:
        self.code = 128 + number
        super().__init__(signal.Signals(number).name)


def find_inputs(args: argparse.Namespace) -> list[Path]:
    """The files that are named on the command line to be read.

    Example:
        >>> find_inputs(argparse.Namespace(source=__file__, out=__file__)) == [Path(__file__)]
        True
    """
    values = [value for name, value in vars(args).items() if name not in OUTPUTS]
    each = chain.from_iterable(v if isinstance(v, list | tuple) else [v] for v in values)
    paths = [Path(value).expanduser() for value in each if isinstance(value, str | Path)]
    return [path for path in paths if os.path.isfile(path)]


def shorten_worker_error(message: str) -> str:
    """What an error says that torch brings from a data worker, without the traceback around it."""
    if 'Original Traceback' not in message:
        return message
    # the last line that is not indented begins with the class of the error
    for line in reversed(message.splitlines()):
        if match := re.match(r'[A-Za-z_][\w.]*: ', line):
            return message[message.rindex(line) + match.end() :].strip()
    return message


def build_overview(commands: dict[str, Command]) -> argparse.ArgumentParser:
    """Build the parser of `mmotion` without a command, which shows what commands there are."""
    parser = argparse.ArgumentParser(
        prog='mmotion',
        usage='mmotion [-h] [--version] COMMAND ...',
        description='Understand motion in video.',
        epilog=f'{describe_commands(commands)}\n\n"mmotion COMMAND --help" tells its arguments.',
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument('--version', action='version', version=f'mmotion {__version__}')
    return parser


def build_parser(
    command: Command, module: ModuleType, words: Sequence[str]
) -> argparse.ArgumentParser:
    """Build the parser of one command.

    Args:
        command: The command.
        module: Its module.
        words: What stands after its name, for arguments that depend on others.
    """
    parser = argparse.ArgumentParser(
        prog=f'mmotion {command.name}',
        description=inspect.cleandoc(module.__doc__ or ''),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument('--debug', action='store_true', help='show tracebacks of errors')
    module.add_arguments(parser)
    if hasattr(module, 'add_more_arguments'):
        module.add_more_arguments(parser, list(words))
    return parser


def _run_command(words: Sequence[str]) -> int:
    debug = '--debug' in words or os.environ.get('MMOTION_DEBUG', '0') not in ('', '0')
    module: ModuleType | None = None
    try:
        commands = find_commands()
        if not words or words[0].startswith('-'):
            overview = build_overview(commands)
            overview.parse_args(words)
            overview.print_help(sys.stderr)
            return USAGE_ERROR
        command = pick_command(words[0], commands)
        module = command.load()
        args = build_parser(command, module, words[1:]).parse_args(words[1:])
        args.debug = debug
        with keep_files(find_inputs(args)):
            return module.run(args)
    except SystemExit as stop:
        # argparse has said what is wrong, or has shown the help
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except KeyboardInterrupt as stop:
        hint = getattr(stop, 'how_to_go_on', getattr(module, 'HOW_TO_GO_ON', ''))
        print(f'\nmmotion: stopped{hint}', file=sys.stderr)
        return getattr(stop, 'code', INTERRUPTED)
    except BrokenPipeError:
        raise
    except EXPECTED_ERRORS as error:
        if debug:
            raise
        message = error.args[0] if isinstance(error, KeyError) and error.args else error
        message = shorten_worker_error(str(message))
        if message.startswith('No module named'):
            message = f'{message}; pip install mmotion brings what a config needs'
        print(f'mmotion: error: {message}', file=sys.stderr)
        print('mmotion: (--debug shows where it was raised)', file=sys.stderr)
        return USAGE_ERROR


def _prepare_streams() -> None:
    """Let nothing that is printed fail: what a terminal cannot show is written as a number."""
    for name in ('stdout', 'stderr'):
        stream = getattr(sys, name)
        if stream is None:
            # it was closed, as by `>&-`
            setattr(sys, name, open(os.devnull, 'w'))  # noqa: SIM115, as long as the process
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors='backslashreplace')


def _finish_streams(code: int) -> int:
    """Write what is left in the buffers, and give the exit code."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            code = NOBODY_READS
            _let_go(stream)
        except OSError as error:
            _let_go(stream)
            print(f'mmotion: error: {error}, while writing to {stream.name}', file=sys.stderr)
            code = code or FAILED
    return code


def _let_go(stream: TextIO) -> None:
    """What is still in the buffer must not fail when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextmanager
def _stop_on_signals() -> Iterator[None]:
    """While the block runs, let a signal end it as Ctrl-C does, so that it cleans up."""
    owner = os.getpid()

    def stop(number: int, frame: FrameType | None) -> None:
        if os.getpid() == owner:
            raise StoppedError(number)
        # a worker process that was forked off
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    # what ignores a signal, as under nohup, goes on to
    numbers = [n for n in STOP_SIGNALS if signal.getsignal(n) == signal.SIG_DFL]
    if threading.current_thread() is not threading.main_thread():
        numbers = []
    for number in numbers:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def _let_loggers_raise_broken_pipes() -> Iterator[None]:
    """Where nobody reads, a logger would print a traceback for each line, and go on."""
    handle = logging.Handler.handleError

    def handle_error(handler: logging.Handler, record: logging.LogRecord) -> None:
        if isinstance(sys.exc_info()[1], BrokenPipeError):
            raise
        handle(handler, record)

    logging.Handler.handleError = handle_error
    try:
        yield
    finally:
        logging.Handler.handleError = handle
