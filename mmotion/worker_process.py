"""A process that works for this one, so that what crashes there does not end this one.

Native code of detectors and decoders may end its process: a segmentation fault, `abort`, the killer
of processes that take too much memory. No exception tells of it, but the pipe to it closes.

`concurrent.futures.ProcessPoolExecutor` notices that too, but does not say how the process ended,
cannot end one that is at work before Python 3.14, and leaves it behind when its parent is killed.
"""

import copy
import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any


class CrashError(Exception):
    """A worker process ended without an answer."""


class WorkerProcess:
    """Builds a tool in a process of its own and works with it there.

    Args:
        build: Makes the tool, which has a `name`; must be picklable, like `work`.
        work: Called as `work(item, tool, **options)`.
        num_threads: Threads of OpenMP, unless the environment says; None for all cores.
        timeout_s: Seconds that an item may take, or None.

    Attributes:
        num_tries: Processes that worked on the last item, 1 or 2.

    Raises:
        Exception: What `build` raises.
        CrashError: If the process ends meanwhile.
    """

    def __init__(
        self,
        *,
        build: Callable[[], Any],
        work: Callable[..., Any],
        num_threads: int | None = None,
        timeout_s: float | None = None,
    ) -> None:
        self._arguments = (build, work)
        self._num_threads = num_threads
        self._timeout_s = timeout_s
        self.num_tries = 0
        self._is_killed = False
        self._lock = threading.Lock()
        try:
            self.name: str = self._start()
        except BaseException:
            self.kill()
            raise

    def __call__(self, item: Any, **options: Any) -> Any:
        """Work on an item; after a crash, once more in a fresh process.

        Raises:
            Exception: What `work` raises.
            CrashError: If both processes ended, or `kill` was called.
            TimeoutError: If it takes too long, which ends its process.
        """
        crash: Exception | None = None
        for self.num_tries in (1, 2):
            try:
                if not self._process.is_alive():
                    self._start()
                # if the process has ended, no answer comes
                with suppress(OSError):
                    self._connection.send((item, options))
                return self._receive(self._timeout_s)
            except CrashError as error:
                crash = error
        raise CrashError(f'{crash}, and so did the one that tried again')

    def kill(self) -> None:
        """End the process, whatever it does; there is no other one after it."""
        with self._lock:
            self._is_killed = True
            self._process.kill()
        self._process.join()

    def _start(self) -> str:
        # a fork of a process with threads, or with CUDA, may hang
        context = multiprocessing.get_context('spawn')
        with self._lock:
            if self._is_killed:
                raise CrashError('the process that reads the video was ended')
            self._connection, theirs = context.Pipe()
            self._process = context.Process(
                target=_serve, args=(theirs, self._num_threads), daemon=True
            )
            with _without_ctrl_c():
                self._process.start()
        # it is theirs alone, so that it closes when they end
        theirs.close()
        with suppress(OSError):
            self._connection.send(self._arguments)
        try:
            return self._receive()
        except CrashError as error:
            # so ends a script that starts processes while they import it
            if self._process.exitcode != 1:
                raise
            raise CrashError(
                f'{error} before it could begin; a script must be a file, and call this below '
                '"if __name__ == \'__main__\':"'
            ) from None

    def _receive(self, timeout_s: float | None = None) -> Any:
        if not self._connection.poll(timeout_s):
            self._process.kill()
            self._process.join()
            raise TimeoutError(
                f'a video must not take more than {timeout_s:g} s, got one that does'
            )
        try:
            is_right, answer = self._connection.recv()
        except (EOFError, OSError):
            self._process.join()
            raise CrashError(
                f'the process that reads the video ended by {_describe(self._process.exitcode)}'
            ) from None
        if not is_right:
            raise answer
        return answer


@contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """Let what is started meanwhile not hear of Ctrl-C, not even while it imports."""
    if not hasattr(signal, 'pthread_sigmask'):  # on Windows
        yield
        return
    # the first start would start it, which unblocks Ctrl-C
    resource_tracker.ensure_running()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _describe(exit_code: int | None) -> str:
    """Say how a process ended."""
    if exit_code is None or exit_code >= 0:
        return f'exit code {exit_code}'
    name = signal.Signals(-exit_code).name
    hint = ' (out of memory?)' if name == 'SIGKILL' else ''
    return f'{name}{hint}'


def _serve(connection: Connection, num_threads: int | None) -> None:
    """Build the tool, then answer until nobody asks any more, or nobody is left to hear it."""
    # Ctrl-C is for the parent, which ends this process
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if num_threads is not None and 'OMP_NUM_THREADS' not in os.environ:
        # read when torch, onnxruntime or OpenCV are loaded, which what comes next does
        os.environ['OMP_NUM_THREADS'] = str(num_threads)
        if torch := sys.modules.get('torch'):
            # the script that was started has done so
            torch.set_num_threads(num_threads)
    with suppress(EOFError, ConnectionError):
        try:
            build, work = connection.recv()
            tool = build()
        except Exception as error:
            connection.send((False, _make_picklable(error)))
            return
        connection.send((True, tool.name))
        while True:
            item, options = connection.recv()
            try:
                answer = (True, work(item, tool, **options))
            except Exception as error:
                answer = (False, _make_picklable(error))
            connection.send(answer)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _make_picklable(error: Exception) -> Exception:
    try:
        pickle.dumps(error)
        # made again as unpickling would, without it
        copy.copy(error)
    except Exception:
        # an exception of a library may need arguments that it does not keep
        return RuntimeError(f'{type(error).__name__}: {error}')
    return error
