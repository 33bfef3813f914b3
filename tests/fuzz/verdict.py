"""Judge one case: fine, refused in our words, or a fault.

A fault is an error that is not raised by our code with a message that says what it got, more time
than `LIMIT_S`, a file touched outside of the folder `out` of the sandbox, a network connection, or
what a case finds wrong with its own result.
"""

import contextlib
import io
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
OURS = (str(ROOT / 'mmotion') + os.sep, str(ROOT / 'projects') + os.sep)
LIMIT_S = 30
# nobody reads a message that is longer
MAX_MESSAGE = 10_000
_WRITING_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = {
    'os.remove', 'os.rename', 'os.rmdir', 'os.mkdir', 'os.truncate', 'os.chmod', 'os.link',
    'os.symlink',
}  # fmt: skip
_BY_FOLDER = {'os.remove', 'os.rmdir', 'os.mkdir'}


@dataclass
class Case:
    """One thing to try.

    Attributes:
        words: What it is, for people.
        call: Does it.
        check: Finds what is wrong with the result and the texts of the warnings; None if nothing.
        names: Texts of which one is in a good message, beside 'got'.
    """

    words: str
    call: Callable[[], Any]
    check: Callable[[Any, list[str]], str | None] = lambda result, warned: None
    names: tuple[str, ...] = ()


@dataclass
class Verdict:
    """What came of it; `where` is the same for the same fault."""

    kind: str
    words: str
    said: str = ''
    where: str = ''


class TooSlowError(BaseException):
    """Not an `Exception`, so that nothing takes it for a bad file."""


@dataclass
class Guard:
    """Watches what a case touches, from `sys.addaudithook` and by the files of a sandbox."""

    sandbox: Path
    touched: list[str] = field(default_factory=list)
    _is_on: bool = False

    def __post_init__(self) -> None:
        # a hook stays for as long as the process runs
        sys.addaudithook(self._note)

    @property
    def out(self) -> Path:
        """Where a case may write."""
        return self.sandbox / 'out'

    @contextlib.contextmanager
    def watch(self) -> Iterator[None]:
        """Note what is touched while the block runs."""
        self.touched.clear()
        before = self._list_files()
        self._is_on = True
        try:
            yield
        finally:
            self._is_on = False
            after = self._list_files()
            self.touched += [
                f'{p} changed' for p in before.keys() | after if before.get(p) != after.get(p)
            ]

    def _list_files(self) -> dict[str, tuple[int, int]]:
        files = [file for file in self.sandbox.rglob('*') if not self._may_write(str(file))]
        states = [(file, file.lstat()) for file in files if not file.is_dir()]
        return {str(file): (state.st_size, state.st_mtime_ns) for file, state in states}

    def _may_write(self, path: str) -> bool:
        path = os.path.normpath(os.path.join(os.getcwd(), path))
        allowed = (self.out, self.sandbox / 'tmp', self.sandbox / 'home', '/dev', '/proc/self')
        return any(path == str(folder) or path.startswith(f'{folder}/') for folder in allowed)

    def _note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._is_on:
            return
        if event == 'socket.connect' or event == 'socket.getaddrinfo':
            self.touched.append(f'the network: {arguments[-1]!r}')
            raise ConnectionRefusedError('no network while fuzzing')
        if event == 'open':
            path, mode, flags = arguments
            is_written = (
                any(c in mode for c in 'wax+') if isinstance(mode, str) else flags & _WRITING_FLAGS
            )
        elif event in _CHANGES:
            # a name below an open folder has its descriptor last
            is_below = event in _BY_FOLDER and arguments[-1] != -1
            path, is_written = arguments[0], not is_below
        else:
            return
        if is_written and isinstance(path, str | bytes | os.PathLike):
            path = os.fsdecode(path)
            if not self._may_write(path):
                self.touched.append(f'{event} {path}')


def judge(case: Case, guard: Guard) -> Verdict:
    """Run a case."""
    said: list[str] = []
    fault: tuple[str, str] | None = None
    with guard.watch(), warnings.catch_warnings(record=True) as caught, _limit(LIMIT_S):
        warnings.simplefilter('always')
        try:
            result = case.call()
        except TooSlowError as error:
            fault = 'hang', _locate(error)
        except Exception as error:
            said.append(f'{type(error).__name__}: {error}')
            fault = find_fault(error, case.names)
            verdict = 'refused'
        else:
            verdict = 'fine'
            texts = [str(warning.message) for warning in caught]
            wrong = case.check(result, texts)
            fault = (wrong, wrong.split(':')[0]) if wrong else None
    if fault is None and guard.touched:
        fault = f'touched {guard.touched[:3]}', 'touched'
    if fault is not None:
        return Verdict('fault', case.words, ' | '.join([fault[0], *said])[:600], fault[1])
    return Verdict(verdict, case.words, ''.join(said)[:300])


def find_fault(error: Exception, names: tuple[str, ...] = ()) -> tuple[str, str] | None:
    """What is wrong with where an error was raised or what it says, and where; None if nothing."""
    where = _locate(error)
    own_class = type(error).__module__.startswith(('mmotion', 'projects'))
    if isinstance(error, OSError) and error.filename is not None:
        # the system's own words name the path
        return None
    if not (own_class or isinstance(error, ValueError | TypeError | OSError | ImportError)):
        return f"a dependency's {type(error).__name__}", where
    last = traceback.extract_tb(error.__traceback__)[-1]
    if not last.filename.startswith(OURS):
        return f"a dependency's {type(error).__name__}", where
    if last.filename.endswith('results.py') or '/mmotion/structures/' in last.filename:
        return 'a result that refuses itself', where
    text = str(error)
    if not ('got' in text or any(name in text for name in names)):
        return 'says neither value nor path', where
    if len(text) > MAX_MESSAGE:
        return f'says {len(text)} characters', where
    return None


def run_command(words: list[str]) -> tuple[int, str]:
    """Run `mmotion` in this process.

    Returns:
        Its exit code, and what it wrote to stderr.
    """
    from mmotion.cli import main

    stdout, stderr = io.TextIOWrapper(io.BytesIO(), 'utf-8'), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        return main(words), stderr.getvalue()


def _locate(error: BaseException) -> str:
    """The innermost line of ours that an error came through, and where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if frame.filename.startswith(OURS)]
    places = [*ours[-1:], *frames[-1:]]
    names = [f'{f.filename.removeprefix(str(ROOT) + os.sep)}:{f.lineno}' for f in places]
    return f'{type(error).__name__} {" < ".join(dict.fromkeys(names))}'


@contextlib.contextmanager
def _limit(seconds: float) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TooSlowError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
