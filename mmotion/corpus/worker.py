"""What predicts the videos of a corpus: a process that holds the model, and who watches over it.

Engines differ in who has a `VideoWorker`: a thread of this process, or an actor somewhere else.
"""

import json
import os
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mmotion import __version__
from mmotion.atomic import write_atomically
from mmotion.checks import make_plain
from mmotion.corpus.embedding import Embedder
from mmotion.corpus.fetching import fetched
from mmotion.corpus.manifest import Item
from mmotion.inference.predictor import Predictor
from mmotion.regions import MARGIN, read_regions
from mmotion.structures.json_file import Rounded, iterate_json, write_json
from mmotion.structures.results import Result, list_entries
from mmotion.worker_process import CrashError, WorkerProcess

# entries of results that a row has anyway, by the same or another name
IN_EVERY_ROW = frozenset({'video', 'start_s', 'end_s', 'num_frames'})
# what a library says of an accelerator that this process cannot use any more
LOST_DEVICE = ('CUDA error', 'device-side assert')


@dataclass(frozen=True, kw_only=True)
class Job:
    """How the videos of a corpus are predicted; can be pickled.

    Args:
        load: Gives the predictor, and takes `device`.
        fps: Frames per second of pictures, and of videos whose own are wrong.
        region_margin: See `Predictor.predict_regions`.
        json_dir: Folder of a JSON file for each video, or None.
        num_threads: Threads of each process, unless OMP_NUM_THREADS says.
        timeout_s: Seconds that a video may take, or None.
        embeddings: See `mmotion.corpus.embedding`; False writes none.
    """

    load: Callable[..., Predictor]
    fps: float | None = None
    region_margin: float = MARGIN
    json_dir: Path | None = None
    num_threads: int = 1
    timeout_s: float | None = None
    embeddings: bool | str = False


class VideoWorker:
    """Predicts one video after the other in a process of its own.

    A video that ends the process, as a crash of a decoder does, is tried once more in a fresh one.

    Args:
        job: How.
        device: Of the model; None takes a GPU if there is one.

    Raises:
        Exception: If the model cannot be loaded.
    """

    def __init__(self, job: Job, *, device: str | None = None) -> None:
        # of copies, and there as long as there is one: whoever is killed leaves no empty folder
        self._scratch = Path(tempfile.gettempdir(), f'mmotion-{uuid.uuid4().hex}')
        self._process = WorkerProcess(
            build=partial(_Tool, job, device, self._scratch),
            work=_predict,
            num_threads=job.num_threads,
            timeout_s=job.timeout_s,
        )

    def __call__(self, item: Item) -> dict[str, Any]:
        """The row of a video, see `mmotion.corpus.store`; what the video does raises nothing.

        Raises:
            Exception: If a process could not load the model, or something that all videos need is
                missing.
        """
        began_s = time.monotonic()
        try:
            found = {'reason': item.fault} if item.fault else self._process(item)
        except (CrashError, TimeoutError) as error:
            found = {'reason': str(error)}
        row = {
            'id': item.id,
            'video': item.video,
            'start_s': item.start_s,
            'end_s': item.end_s,
            'status': 'failed' if found.get('reason') else 'ok',
            'reason': found.get('reason'),
            'seconds': round(time.monotonic() - began_s, 3),
            'frames': found.get('frames'),
            'attempts': 1 if item.fault else self._process.num_tries,
            'version': __version__,
        }
        if item.regions:
            row['regions'] = ' '.join(item.regions)
        for name, value in item.more.items():
            value = json.dumps(value, default=str) if _has_names(value) else value
            # see `flatten`
            row[name] = None if value == [] else value
        for name, value in found.get('entries', {}).items():
            while name in row:
                name = f'result_{name}'
            row[name] = value
        return row

    def kill(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        shutil.rmtree(self._scratch, ignore_errors=True)


class _Tool:
    """What the process has: the job, and the model for it."""

    name = 'corpus'

    def __init__(self, job: Job, device: str | None, scratch: Path) -> None:
        self.job, self.scratch = job, scratch
        # what a process before this one has left
        shutil.rmtree(scratch, ignore_errors=True)
        self.predictor = job.load(device=device)
        self.embedder = Embedder(self.predictor, job.embeddings) if job.embeddings else None


def _predict(item: Item, tool: _Tool) -> dict[str, Any]:
    """Predict a video: `frames` and `entries` of its result, or the `reason` why there is none."""
    # what is missing for all videos ends the run
    tool.predictor.prepare([Path(item.video)])
    place = item.video
    try:
        with fetched(item.video, tool.scratch) as path:
            place = str(path)
            return _predict_file(item, path, tool)
    except Exception as error:
        # a copy has a name that says nothing
        reason = (str(error) or type(error).__name__).replace(place, item.video)
        if any(words in reason for words in LOST_DEVICE):
            # the next video would fail as well
            os._exit(1)
        return {'reason': reason}


def _predict_file(item: Item, path: Path, tool: _Tool) -> dict[str, Any]:
    job, predictor = tool.job, tool.predictor
    times = {'fps': job.fps, 'start_s': item.start_s, 'end_s': item.end_s}
    columns: dict[str, Any] = {}
    if item.regions and tool.embedder:
        raise ValueError(
            f'embeddings must be of the whole picture, got regions {" ".join(item.regions)}; run '
            'such videos without them'
        )
    if item.regions:
        regions, margin = read_regions(item.regions), job.region_margin
        result: Result = predictor.predict_regions(path, regions, margin=margin, **times)
    elif tool.embedder:
        result, columns = tool.embedder.predict(path, **times)
    else:
        result = predictor.predict(path, **times)
    if job.json_dir:
        content = list_entries(result) | {'video': item.video, 'id': item.id}
        with write_atomically(job.json_dir / f'{_as_name(item.id)}.json') as temporary:
            write_json(temporary, content)
    return {'frames': result.num_frames, 'entries': flatten(result) | columns}


def _as_name(name: str) -> str:
    """A name for a file in a folder, whatever is in it.

    Example:
        >>> _as_name('run 1'), _as_name('../a')
        ('run 1', '..%2Fa')
    """
    return re.sub(r'[%/\\\0]', lambda match: f'%{ord(match[0]):02X}', name)


def flatten(result: Result) -> dict[str, Any]:
    """The entries of a result as columns of a table.

    Numbers and text are as they are, arrays and lists of them are lists, and what has names inside
    is text in JSON. An empty list is None, as nothing tells what it would hold.

    Example:
        >>> class Count:
        ...     def to_dict(self):
        ...         return {'count': 2.5, 'at': np.array([[1, 2]]), 'top': [{'label': 'a'}]}
        >>> flatten(Count())
        {'count': 2.5, 'at': [[1, 2]], 'top': '[{"label": "a"}]'}
    """
    entries = list_entries(result).items()
    return {name: _flatten(value) for name, value in entries if name not in IN_EVERY_ROW}


def _flatten(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic | Rounded):
        value = value.tolist()
    if isinstance(value, Iterator):
        value = [*value]
    if _has_names(value):
        # arrays may be in things of a list, which only iterators of JSON may hold
        return ''.join(iterate_json(iter(value) if isinstance(value, list | tuple) else value))
    plain = make_plain(value)
    return None if plain == [] else plain


def _has_names(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_has_names, value))
    return isinstance(value, Mapping)
