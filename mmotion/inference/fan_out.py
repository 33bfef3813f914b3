"""Read frames once, and let several readers have their own view of each.

A predictor asks for frames when it needs them. So that several can ask for the same video without
decoding it again, each runs in a thread of its own, fed through a queue of a few frames. One of
them computes at a time, so they need not be thread-safe; the decoder works meanwhile.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from queue import Queue
from typing import Generic, TypeVar

Item = TypeVar('Item')
Part = TypeVar('Part')
Answer = TypeVar('Answer')

# what waits for a reader: enough that threads do not take turns for every frame
CHUNK_ITEMS = 8
# and what may wait for all of them, in each of the places where it waits
ALL_ITEMS = 400


def fan_out(
    items: Iterable[Item],
    views: Sequence[Callable[[Item], Part]],
    read: Callable[[Iterator[Part]], Answer],
) -> list[Answer]:
    """Run `read` once for each view of the items, side by side, going through the items once.

    Memory stays the same however many items there are: those that wait are 8 a view, and
    fewer where there are more than 50 views.

    Args:
        items: What is read, in order.
        views: For each reader, what it is given of an item.
        read: Takes an iterator and gives an answer; may stop early.

    Returns:
        The answers, in the order of `views`.

    Raises:
        Exception: The first error of `items`, of a view, or of a reader, which ends the others.

    Example:
        >>> fan_out(range(5), [lambda x: x, lambda x: -x], sum)
        [10, -10]
    """
    size = min(CHUNK_ITEMS, max(ALL_ITEMS // max(len(views), 1), 1))
    turn, stopped = threading.Lock(), threading.Event()
    feeds: list[_Feed[Part]] = [_Feed(turn) for _ in views]

    def run(feed: _Feed[Part]) -> Answer:
        try:
            with turn:
                return read(iter(feed))
        except BaseException:
            stopped.set()
            raise
        finally:
            feed.drain()

    with ThreadPoolExecutor(len(views)) as pool:
        futures: list[Future[Answer]] = []
        end: Exception | None = _StoppedError('another reader, or the source, has failed')
        try:
            futures += (pool.submit(run, feed) for feed in feeds)
            source = iter(items)
            while not stopped.is_set():
                # an item is let go of before the next one is taken: it may be large
                chunk = [[view(item) for view in views] for item in islice(source, size)]
                if not chunk:
                    break
                for feed, parts in zip(feeds, zip(*chunk, strict=True), strict=True):
                    feed.queue.put(list(parts))
            if not stopped.is_set():
                end = None
        finally:
            for feed in feeds:
                feed.queue.put(end)
    # the reason comes before what it has stopped
    errors = [error for future in futures if (error := future.exception())]
    for error in sorted(errors, key=lambda error: isinstance(error, _StoppedError)):
        raise error
    return [future.result() for future in futures]


class _StoppedError(Exception):
    """Ends the readers when there is no point in going on."""


class _Feed(Generic[Part]):
    """The items of one reader, which lets others compute while it waits."""

    def __init__(self, turn: threading.Lock) -> None:
        self.turn = turn
        # an error, or None, is the end
        self.queue: Queue[list[Part] | Exception | None] = Queue(maxsize=1)
        self.ended = False

    def __iter__(self) -> Iterator[Part]:
        while not self.ended:
            self.turn.release()
            try:
                chunk = self._take()
            finally:
                self.turn.acquire()
            if isinstance(chunk, Exception):
                raise chunk
            yield from chunk or ()

    def drain(self) -> None:
        """Throw away what is left, so that whoever feeds need not wait for ever."""
        while not self.ended:
            self._take()

    def _take(self) -> list[Part] | Exception | None:
        chunk = self.queue.get()
        self.ended = not isinstance(chunk, list)
        return chunk
