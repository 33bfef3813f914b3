"""The engine `ray`: Ray Data hands the videos of a corpus to workers on one machine or on many.

What travels is small: items out, rows back. A worker opens the video itself and keeps its frames,
so no frame is ever in Ray's object store, however far the workers are ahead of who reads the rows.

Errors of videos are rows already when they come here (`mmotion.corpus.worker`), and nothing is left
to Ray's own `max_errored_blocks`, which drops a whole block for one bad row (2.60). A node or a
worker that is lost is Ray's to replace: its actors start elsewhere and do their blocks again.
"""

import logging
import os
import pickle
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any

from mmotion.checks import check_at_least
from mmotion.corpus.manifest import Item
from mmotion.corpus.worker import Job, VideoWorker

# a block is what is handed out at once, and done again when a node is lost meanwhile
MAX_BLOCK_BYTES = 64_000_000
# so that all workers end at about the same time
MIN_BLOCKS_PER_WORKER = 8
# workers that may be lost while they read a video: nodes come and go, but a video may also take
# all memory of a node, for which Ray ends the worker and would try again for ever
MAX_TRIES = 3


def run_ray(
    items: Iterable[Item],
    job: Job,
    *,
    workers: int | None = None,
    gpus_per_worker: float | None = None,
    device: str | None = None,
) -> Generator[dict[str, Any], None, None]:
    """Predict videos by workers that Ray starts, and places where there is room.

    The cluster is that of `RAY_ADDRESS`, or what `ray.init` was called for; else this machine.
    To close the iterator ends the workers, whatever they do.

    Args:
        items: The videos, which each node must see under the same path or URL.
        job: How each is predicted.
        workers: How many at most work at once; None for all that the cluster has room for. Fewer
            are started while there is less room.
        gpus_per_worker: The part of a GPU that each takes, such as 0.25; None to work without.
        device: Of the models; None takes the GPU that a worker has a part of, or the CPU.

    Yields:
        The row of each item, in the order in which they are done.

    Raises:
        ImportError: If Ray is not installed.
        ValueError: If `workers` is below 1, or no node has what a worker needs.
        ConnectionError: If there is no cluster at that address.
        Exception: If the model cannot be loaded, or something that all videos need is missing.
    """
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ImportError(
            f'engine ray needs Ray Data ({error}); run pip install "mmotion[ray]"'
        ) from None
    if workers is not None:
        check_at_least('workers', workers, 1)
    items = list(items)
    if not items:
        return
    is_ours = not ray.is_initialized()
    needs = {'CPU': job.num_threads, 'GPU': gpus_per_worker or 0}
    if is_ours:
        _start(workers and workers * job.num_threads)
    try:
        room = _count_room(needs)
        yield from _predict(items, (job, device), workers or room, needs)
    finally:
        if is_ours:
            ray.shutdown()


def group_by_bytes(
    items: Iterable[Item], *, workers: int, max_bytes: int = MAX_BLOCK_BYTES
) -> list[list[Item]]:
    """Share videos out into blocks of about as many bytes, the largest video first.

    An hour alone is then a block, begun before all else, and a hundred short clips are another.
    What is not a local file, such as a URL, counts as the average of what is.

    Args:
        items: The videos.
        workers: Those that the blocks are for; each gets `MIN_BLOCKS_PER_WORKER` if it can.
        max_bytes: The most of a block, unless one video alone has more.

    Returns:
        The blocks, each with at least one video.
    """
    items = list(items)
    with ThreadPoolExecutor(max_workers=16) as pool:
        known = list(pool.map(_read_size, items))
    sizes = [size for size in known if size is not None]
    average = max(1.0, sum(sizes) / len(sizes)) if sizes else 1.0
    counted = [average if size is None else size for size in known]
    limit = min(max_bytes, sum(counted) / (workers * MIN_BLOCKS_PER_WORKER))
    blocks: list[list[Item]] = []
    filled = 0.0
    pairs = zip(counted, items, strict=True)
    for size, item in sorted(pairs, key=lambda pair: pair[0], reverse=True):
        if not blocks or filled + size > limit:
            blocks.append([])
            filled = 0.0
        blocks[-1].append(item)
        filled += size
    return blocks


class _Tries:
    """Counts the workers that began a video and were lost before its end.

    It runs where the driver does: what it knows is of use as long as that lives.
    """

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    def begin(self, item_id: str) -> int:
        self._open[item_id] += 1
        return self._open[item_id]

    def end(self, item_id: str) -> None:
        del self._open[item_id]


class _Actor:
    """Has a worker, and predicts one video after the other of the blocks that it is given.

    It raises nothing, as Ray would print a hundred lines of it: what ends the run goes to the
    driver like a row.
    """

    def __init__(self, job: Job, device: str | None, folder: str, tries: Any) -> None:
        self._job, self._device = job, device
        self._tries = tries
        self._worker: VideoWorker | None = None
        # relative paths are those of the driver, if there is such a folder here
        with suppress(OSError):
            os.chdir(folder)

    def __call__(self, block: Any) -> Iterator[Any]:
        import pyarrow as pa

        for item in pickle.loads(block['items'][0].as_py()):
            try:
                answer = self._predict(item)
            except Exception as error:
                answer = error
            # one pickle, so that nobody guesses a schema, nor makes None a NaN
            yield pa.table({'answer': pa.array([pickle.dumps(answer)], pa.large_binary())})

    def __del__(self) -> None:
        # what Ray Data calls when an actor is wanted no more, if it is not in the middle of a video
        if self._worker is not None:
            self._worker.kill()

    def _predict(self, item: Item) -> dict[str, Any]:
        import ray

        if self._worker is None:
            self._worker = VideoWorker(self._job, device=self._device)
        num_tries: Any = ray.get(self._tries.begin.remote(item.id))
        if num_tries > MAX_TRIES:
            lost = f'{MAX_TRIES} workers of Ray ended while they read it (out of memory?)'
            item = replace(item, fault=lost)
        row = self._worker(item)
        self._tries.end.remote(item.id)
        return row


def _predict(
    items: list[Item], how: tuple[Any, ...], workers: int, needs: Mapping[str, float]
) -> Iterator[dict[str, Any]]:
    import ray
    import ray.data
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    tries = ray.remote(_Tries).options(num_cpus=0, scheduling_strategy=here).remote()
    blocks = group_by_bytes(items, workers=workers)
    # `from_arrow` would start a task for each
    videos = ray.data.from_items(
        [{'items': pickle.dumps(block)} for block in blocks], override_num_blocks=len(blocks)
    )
    _set_options(videos.context)
    rows = videos.map_batches(
        _Actor,
        batch_size=1,
        batch_format='pyarrow',
        fn_constructor_args=(*how, os.getcwd(), tries),
        # one block at a time: a second one would wait behind a long video
        compute=ray.data.ActorPoolStrategy(
            size=min(workers, len(blocks)), max_tasks_in_flight_per_actor=1
        ),
        num_cpus=needs['CPU'],
        num_gpus=needs['GPU'],
    )
    # as the blocks of rows are, without reading ahead, which would hold a row back
    batches = iter(rows.iter_batches(batch_size=None, batch_format='pyarrow', prefetch_batches=0))
    seen: set[str] = set()
    try:
        for batch in batches:
            for answer in map(pickle.loads, batch['answer'].to_pylist()):
                if isinstance(answer, Exception):
                    raise answer
                if answer['id'] not in seen:
                    seen.add(answer['id'])
                    yield answer
    finally:
        # ends the actors, also where Ray itself goes on
        batches.close()


def _set_options(context: Any) -> None:
    """Set how Ray Data runs this one data set."""
    # each row is a block as soon as it is done, and goes out at once
    context.target_max_block_size = 1
    # 30 minutes by default, and an hour of video at work is no progress to it
    context.execution_no_progress_timeout_s = -1
    # progress is shown by who reads the rows
    context.enable_progress_bars = False
    context.print_on_execution_start = False


def _start(cpus: int | None) -> None:
    """Start Ray on this machine, for `cpus`, or go to the cluster that the environment names."""
    import ray

    # what Ray would send home, and lines of its C++ part that mean nothing here
    os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
    os.environ.setdefault('RAY_BACKEND_LOG_LEVEL', 'fatal')
    logging.getLogger('ray.data').setLevel(logging.CRITICAL)
    options: dict[str, Any] = {'log_to_driver': False, 'logging_level': logging.ERROR}
    if not os.environ.get('RAY_ADDRESS'):
        # not the cluster that somebody else may have started on this machine
        options |= {'address': 'local', 'num_cpus': cpus, 'include_dashboard': False}
    ray.init(**options)


def _count_room(needs: Mapping[str, float]) -> int:
    """The workers that the nodes have room for, or an error, as Ray would wait without a word."""
    import ray

    nodes = [node['Resources'] for node in ray.nodes() if node['Alive']]
    kinds = {name: value for name, value in needs.items() if value}
    room = sum(min(int(has.get(name, 0) / kinds[name]) for name in kinds) for has in nodes)
    if not room:
        wanted = ' and '.join(f'{value:g} {name}' for name, value in kinds.items())
        most = ' and '.join(f'{max(has.get(name, 0) for has in nodes):g} {name}' for name in kinds)
        raise ValueError(
            f'a worker must fit on a node, got one that takes {wanted} and {len(nodes)} nodes of '
            f'at most {most}; take another --gpus-per-worker'
        )
    return room


def _read_size(item: Item) -> int | None:
    try:
        return os.path.getsize(item.video) if os.path.isfile(item.video) else None
    except OSError:
        return None
