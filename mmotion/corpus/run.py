"""Predict the videos of a corpus, each once, whatever happens meanwhile."""

import dataclasses
import multiprocessing
import os
import threading
import warnings
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmotion.checks import check_choice, check_range
from mmotion.corpus import ENGINES
from mmotion.corpus.local import run_local
from mmotion.corpus.manifest import Item, Manifest, read_manifest
from mmotion.corpus.progress import Progress
from mmotion.corpus.store import COMMIT_S, ResultStore, open_store
from mmotion.corpus.worker import Job
from mmotion.regions import MARGIN

if TYPE_CHECKING:
    from mmengine.config import Config
    from pyarrow.dataset import Dataset

# seconds between two looks at what waits to be written
TICK_S = 0.5
Engine = Callable[[Iterable[Item], Job], Generator[dict[str, Any], None, None]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of the videos of a manifest.

    Args:
        done: Those that have a row that says 'ok'.
        failed: Those that have one that says 'failed'.
        new: Those that got their row in this run.
    """

    done: int
    failed: int
    new: int


def predict_corpus(
    config: 'str | Path | Config',
    manifest: Any,
    out: str | Path = 'results',
    *,
    checkpoint: str | Path | None = None,
    device: str | None = None,
    engine: str = 'local',
    workers: int | None = None,
    gpus_per_worker: float | None = None,
    fps: float | None = None,
    timeout_s: float | None = None,
    retry_failed: bool = False,
    embeddings: bool | str = False,
) -> 'Dataset':
    """Predict many videos, and give their results; a video that fails stops nothing.

    What is done is kept, so the same call goes on after anything that ended it. Processes are
    started by `spawn`: a script must call this below `if __name__ == '__main__':`.

    Args:
        config: See `load_model`, like the next two.
        manifest: See `read_manifest`: a file, folder, pattern, `pyarrow.Table`, or paths.
        out: Folder of the results.
        checkpoint: See `load_model`.
        device: See `load_model`.
        engine: One of `ENGINES`: processes of this machine, or actors of Ray.
        workers: Processes with a model each; None takes as many as there are cores.
        gpus_per_worker: Share of a GPU for each, in (0, 1]; None leaves that to `device`.
        fps: Frames per second of pictures, and of videos whose own are wrong.
        timeout_s: Seconds that a video may take, or None.
        retry_failed: Whether videos that failed before are tried again.
        embeddings: Whether what the usual layer of the model gives is written too, or the name of
            another layer, see `mmotion.corpus.embedding`.

    Returns:
        A row for each video, see `mmotion.corpus.store`.

    Raises:
        FileNotFoundError: If there is no such manifest or config.
        ValueError: If the manifest is none, a number is out of range, or the results that are there
            were made by something else.
        ImportError: If a package is not installed.
        RuntimeError: If a worker has come to this call, as a script has it outside `__main__`.
    """
    from mmengine.config import Config

    from mmotion.checkpoint import find_weights
    from mmotion.checkpoint.released import describe_weights
    from mmotion.config import load_config
    from mmotion.corpus.reading import open_results
    from mmotion.inference.exported import Settings
    from mmotion.inference.load import load_model
    from mmotion.inference.published import is_published, read_published
    from mmotion.inference.records import describe_settings
    from mmotion.inference.runtimes import is_exported, open_network

    _check_no_worker()
    listed = read_manifest(manifest)
    asked: dict[str, Any] = {'fps': fps, 'region_margin': MARGIN}
    if embeddings:
        asked['embeddings'] = embeddings
    if not isinstance(config, Config) and is_exported(config):
        run: dict[str, Any] = {'config': str(config)}
        settings = Settings(open_network(config).meta['config'])
        run['settings'] = describe_settings(settings, config, **asked)
    else:
        if not isinstance(config, Config):
            config = read_published(config) if is_published(config) else load_config(config)
        name = None if checkpoint is None else str(checkpoint)
        weights = find_weights(config, name) or name
        run = {'config': str(config.filename), **describe_weights(config, name)}
        run['settings'] = describe_settings(config, weights, **asked)
    load = partial(load_model, config, checkpoint)
    job = Job(load=load, fps=fps, timeout_s=timeout_s, embeddings=embeddings)
    start = choose_engine(engine, workers=workers, device=device, gpus_per_worker=gpus_per_worker)
    run_corpus(listed, job, Path(out), run=run, engine=start, retry_failed=retry_failed)
    return open_results(Path(out))


def _check_no_worker() -> None:
    """Refuse a process that reads the script of the one that started it, as `spawn` does first."""
    # set by multiprocessing until the script is read
    if getattr(multiprocessing.current_process(), '_inheriting', False):
        raise RuntimeError(
            'predict_corpus must be called by the process that was started, got a call of its '
            "worker, which reads the script anew; put the call below `if __name__ == '__main__':`"
        )


def choose_engine(
    name: str, *, workers: int | None, device: str | None, gpus_per_worker: float | None
) -> Engine:
    """What runs the jobs, see `predict_corpus`.

    Raises:
        ImportError: If Ray is wanted and not installed.
        ValueError: If a number is out of range, or there is no GPU of which a share is wanted.
    """
    check_choice('engine', name, ENGINES)
    if gpus_per_worker is not None:
        check_range('gpus_per_worker', gpus_per_worker, 0, 1)
    if name == 'ray':
        from mmotion.corpus.ray_engine import run_ray

        return partial(run_ray, workers=workers, gpus_per_worker=gpus_per_worker, device=device)
    devices = [device]
    if gpus_per_worker:
        devices = _share_gpus(gpus_per_worker)
    cores = count_cores()
    number = workers or (len(devices) if gpus_per_worker else cores)

    def run(items: Iterable[Item], job: Job) -> Generator[dict[str, Any], None, None]:
        threads = max(cores // number, 1)
        job = dataclasses.replace(job, num_threads=threads)
        return run_local(items, job, workers=number, devices=devices)

    return run


def run_corpus(
    manifest: Manifest,
    job: Job,
    out: Path,
    *,
    run: Mapping[str, Any],
    engine: Engine,
    retry_failed: bool = False,
) -> Outcome:
    """Predict the videos of a manifest that have no row yet.

    Args:
        manifest: The videos.
        job: How they are predicted.
        out: Folder of the results.
        run: What the results depend on, see `ResultStore.check_run`.
        engine: From `choose_engine`.
        retry_failed: Whether videos that failed before are tried again.

    Raises:
        OSError: If the disk takes nothing.
        ValueError: If the folder is in use, or holds results of something else.
        Exception: If the model cannot be loaded.
    """
    with open_store(out) as store:
        store.check_run(run)
        if retry_failed:
            store.forget_failed(manifest.ids)
        _warn_of_others(manifest.find_others(store.read_videos()), out)
        before = set(store.done)
        ids = manifest.ids
        progress = Progress(sum(name not in before for name in ids))
        if progress.total:
            todo = (item for item in manifest if item.id not in before)
            with closing(engine(todo, job)) as rows, _Clock(store, progress) as clock:
                for row in rows:
                    clock.check()
                    store.add(row)
                    progress.note(is_right=row['status'] == 'ok')
            store.commit()
        states = [store.done.get(name, False) for name in ids]
    return Outcome(done=sum(states), failed=len(states) - sum(states), new=progress.done)


def _warn_of_others(others: list[tuple[str, str, str]], out: Path) -> None:
    """Say if videos are passed over for others that have their ids; a folder may have moved."""
    if others:
        name, here, there = others[0]
        warnings.warn(
            f'passed over: {len(others)} videos that are done as others in {out}, such as {name}, '
            f'{here}, as {there}; if they are not the same, name another --out',
            stacklevel=3,
        )


class _Clock:
    """Lets rows not wait for long, and shows how far the run is, in a thread of its own."""

    def __init__(self, store: ResultStore, progress: Progress) -> None:
        self._store, self._progress = store, progress
        self._error: Exception | None = None
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> '_Clock':
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()
        self._progress.show(last=True)

    def check(self) -> None:
        """Raise what went wrong in the thread."""
        if self._error:
            raise self._error

    def _tick(self) -> None:
        while not self._is_over.wait(TICK_S):
            try:
                self._store.commit(every_s=COMMIT_S)
            except Exception as error:
                # also a row that cannot be written: the run must not go on for days without files
                self._error = error
                return
            self._progress.show()


def count_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _share_gpus(share: float) -> list[str | None]:
    """Where the models are, so that each has its share of a GPU."""
    import torch

    number = torch.cuda.device_count()
    if not number:
        raise ValueError(
            f'gpus_per_worker must come with a GPU, got {share:g} and none; leave it out'
        )
    return [f'cuda:{i}' for i in range(number) for _ in range(int(1 / share))]
