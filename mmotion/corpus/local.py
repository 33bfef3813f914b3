"""The engine for one machine: processes that share nothing, each with the model."""

import queue
import threading
from collections.abc import Generator, Iterable, Sequence
from typing import Any

from mmotion.checks import check_at_least
from mmotion.corpus.manifest import Item
from mmotion.corpus.worker import Job, VideoWorker


def run_local(
    items: Iterable[Item], job: Job, *, workers: int, devices: Sequence[str | None] = (None,)
) -> Generator[dict[str, Any], None, None]:
    """Predict videos, and give the row of each when it is done.

    To close the iterator ends the processes, whatever they do.

    Args:
        items: The videos.
        job: How they are predicted.
        workers: Processes, >= 1.
        devices: Where the models are; the processes take turns.

    Raises:
        Exception: If the model cannot be loaded, or something that all videos need is missing.
    """
    check_at_least('workers', workers, 1)
    waiting, lock = iter(items), threading.Lock()
    # a row, an error that ends the run, or None from a thread that has nothing left to do
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
    started: list[VideoWorker] = []
    is_over = threading.Event()

    def take() -> Item | None:
        with lock:
            return None if is_over.is_set() else next(waiting, None)

    def work(number: int) -> None:
        try:
            # a model that nobody needs, as there are few videos, is not loaded
            item = take()
            if item is not None:
                worker = VideoWorker(job, device=devices[number % len(devices)])
                started.append(worker)
                try:
                    # all may be over since it began to load
                    while item is not None and not is_over.is_set():
                        answers.put(worker(item))
                        item = take()
                finally:
                    worker.kill()
            answers.put(None)
        except Exception as error:
            answers.put(error)

    threads = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(workers)]
    for thread in threads:
        thread.start()
    left = workers
    try:
        while left:
            answer = answers.get()
            if isinstance(answer, Exception):
                raise answer
            left -= answer is None
            if answer is not None:
                yield answer
    finally:
        is_over.set()
        for worker in started:
            worker.kill()
