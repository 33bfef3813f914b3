"""Embeddings of clips, computed once by a frozen backbone and kept on disk.

A backbone that does not train gives a clip the same embedding in every epoch of every run, and it
is nearly all of the work. `EmbeddedClips` stands in front of a data set of clips and gives their
embeddings instead; `EmbeddingHook` tells it when.

Shape letters in this file: N clips, D numbers of an embedding, V views of a clip.

Files of an `EmbeddingCache`: `<2 digits of the key>/<key>.npy`, a float32 array (D,) as NumPy
writes it, and the 16 bytes of the BLAKE2 hash of that. The key is the SHA-256 of all that an
embedding depends on: what the data set says of the clip (content of the video, frames, augmentation
and transforms), and each weight and option of the backbone and of the preprocessor.
"""

import hashlib
import io
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_gather_object, get_dist_info, is_main_process
from mmengine.logging import print_log
from mmengine.structures import BaseDataElement
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from mmotion.atomic import write_atomically
from mmotion.checks import check_at_least
from mmotion.registry import DATASETS

from .corpus import CorpusEmbeddings, find_parts, hash_model, list_tensors

# bytes of the hash at the end of a file
HASH_SIZE = 16
# share of the largest size that is left when old files are removed, and that may be written before
# the folder is looked at again, as other processes write too
LEFT_SHARE = 0.9
UNSEEN_SHARE = 0.05
_NAMED_PROBLEMS = 10


class EmbeddingCache:
    """A folder of embeddings that any number of processes and runs share.

    Needs no locks, and so works on network file systems: a file appears whole under its name by
    renaming, and whoever comes second writes the same content. A damaged file is removed and counts
    as missing. When the folder grows too large, what was not used for longest goes first. When it
    cannot be written, for instance as the disk is full, this is said once and nothing more is
    stored.

    Args:
        folder: Made when the first embedding is stored.
        max_gb: Largest size of all files together, in units of 10^9 bytes.

    Raises:
        ValueError: If `max_gb` is not above 0.
        NotADirectoryError: If `folder` is a file.

    Example:
        >>> import tempfile
        >>> cache = EmbeddingCache(tempfile.mkdtemp())
        >>> cache.store('ab12', np.ones(3, np.float32))
        >>> cache.load('ab12')
        array([1., 1., 1.], dtype=float32)
    """

    def __init__(self, folder: str | Path, *, max_gb: float = 10.0) -> None:
        self.folder = Path(folder).expanduser()
        # without end is a size too
        if not max_gb > 0:
            raise ValueError(f'max_gb must be above 0, got max_gb={max_gb}')
        if self.folder.exists() and not self.folder.is_dir():
            raise NotADirectoryError(
                f'the folder of the embeddings must not be a file, got {self.folder}; '
                'name another cache_dir'
            )
        self.max_bytes = max_gb * 1e9
        self._can_write = True
        # what may be written before the folder is looked at
        self._free_bytes = 0.0

    def load(self, key: str) -> NDArray[np.float32] | None:
        """Read an embedding (D,), or None if there is none that can be read."""
        path = self._path(key)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        array, written_hash = content[:-HASH_SIZE], content[-HASH_SIZE:]
        if _hash(array) != written_hash:
            path.unlink(missing_ok=True)
            print_log(
                f'removed a damaged embedding, {path}; it is computed again',
                logger='current',
                level=logging.WARNING,
            )
            return None
        # the time of reading, which many file systems do not keep
        with suppress(OSError):
            os.utime(path)
        return np.load(io.BytesIO(array), allow_pickle=False)

    def store(self, key: str, embedding: NDArray[np.float32]) -> None:
        """Write an embedding (D,), if the folder can be written."""
        if not self._can_write:
            return
        buffer = io.BytesIO()
        np.save(buffer, embedding, allow_pickle=False)
        content = buffer.getvalue() + _hash(buffer.getvalue())
        path = self._path(key)
        try:
            with write_atomically(path) as temporary:
                temporary.write_bytes(content)
            self._free_bytes -= len(content)
            if self._free_bytes < 0:
                self._make_room()
        except OSError as error:
            self._can_write = False
            # behind what we say of a file, what the system says
            reason = getattr(error.__cause__, 'strerror', None) or error
            print_log(
                f'embeddings are no longer stored in {self.folder} ({reason}); '
                'the run goes on without. Make room there, or name another cache_dir',
                logger='current',
                level=logging.WARNING,
            )

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f'{key}.npy'

    def _make_room(self) -> None:
        """Remove the files that were not used for longest, if all of them are too large."""
        files = sorted(_find_files(self.folder))
        size = sum(num_bytes for _, num_bytes, _ in files)
        if size > self.max_bytes:
            for _, num_bytes, path in files:
                if size <= LEFT_SHARE * self.max_bytes:
                    break
                path.unlink(missing_ok=True)
                size -= num_bytes
        self._free_bytes = min(self.max_bytes - size, UNSEEN_SHARE * self.max_bytes)


@dataclass
class _Clip:
    """What is known of a clip.

    Attributes:
        sample: Ground truth and metainfo.
        embedding: (D,); None if there is none.
        problem: Why the clip cannot be used; '' if it can.
        source: The folder that the embedding comes from; None if it is new.
        is_other: Whether the corpus has one by another backbone alone.
    """

    sample: BaseDataElement
    embedding: NDArray[np.float32] | None
    problem: str = ''
    source: Path | None = None
    is_other: bool = False


@DATASETS.register_module()
class EmbeddedClips(Dataset):
    """A data set of clips that gives their embeddings while the backbone is frozen.

    It gives clips until `embed` is called, and again after `use_clips`. An item has the embedding
    (D,) float32 as `inputs`, and the `data_samples` of the clip.

    An embedding is taken from a corpus, or goes to disk, if the data set has a method
    `embedding_key(index)` that names all that it depends on, except for the model; such a data set
    is a `BaseDataset` of mmengine whose pipeline ends with the transform that packs. Other
    embeddings are kept in memory alone. The clip with an index must be the same in every epoch:
    nothing in the pipeline may be drawn at random.

    A clip that cannot be read, or whose embedding is not finite, is named in a warning. In training
    the next usable clip takes its place; in testing its sample is `excluded`.

    Args:
        dataset: Config of the data set of clips.
        cache_dir: Folder of the `EmbeddingCache`; None stores nothing.
        corpus: Folder of results whose embeddings are taken, see `CorpusEmbeddings`.
        max_gb: Largest size of the cache.
        batch_size: Clips that pass through the backbone together.
        num_workers: Processes that read clips meanwhile.

    Raises:
        ValueError: If a number is out of its range, or the corpus has no embeddings.
        FileNotFoundError: If there is no such corpus.
    """

    def __init__(
        self,
        *,
        dataset: dict[str, Any],
        cache_dir: str | None = None,
        corpus: str | None = None,
        max_gb: float = 10.0,
        batch_size: int = 16,
        num_workers: int = 0,
    ) -> None:
        check_at_least('batch_size', batch_size, 1)
        check_at_least('num_workers', num_workers, 0)
        self.dataset: Any = DATASETS.build(dataset)
        self.cache = None if cache_dir is None else EmbeddingCache(cache_dir, max_gb=max_gb)
        self.corpus = None if corpus is None else CorpusEmbeddings(corpus)
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.use_clips()

    @property
    def metainfo(self) -> dict[str, Any]:
        """Of the data set of clips."""
        return self.dataset.metainfo

    @property
    def is_embedded(self) -> bool:
        """Whether items are embeddings."""
        return self._embeddings is not None

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Give an embedding, or the clip."""
        if self._embeddings is None:
            return self.dataset[index]
        place = self._places[index]
        # copies, as models write into samples, and workers would send the storage of all rows
        return {
            'inputs': self._embeddings[place].clone(),
            'data_samples': self._samples[place].clone(),
        }

    def use_clips(self) -> None:
        """Give clips again, and forget the embeddings in memory."""
        self._embeddings: Tensor | None = None
        self._samples: list[BaseDataElement] = []
        # the clip that is given for each index
        self._places: list[int] = []
        self._made_by: list[tuple[int, int]] = []

    def embed(self, model: nn.Module, *, training: bool = False) -> None:
        """Compute the embeddings, or find them in the cache, and give these from now on.

        Each process of a distributed run does its share. What is done is in the cache, so a run
        that is stopped meanwhile goes on from there. Nothing is done if the embeddings are there
        and the weights have not changed since. Random numbers outside are not touched.

        Args:
            model: Has `embed(inputs) -> (B, D)`, `backbone` and `data_preprocessor`.
            training: Whether other clips take the place of those that cannot be used.

        Raises:
            ValueError: If no clip can be used.
        """
        parts = find_parts(model)
        # tells changed tensors without reading them
        versions = [(tensor.data_ptr(), tensor._version) for _, tensor in list_tensors(parts)]
        if self.is_embedded and versions == self._made_by:
            return
        rank, world_size = get_dist_info()
        was_training = model.training
        model.eval()
        found = self._find_clips(model, range(rank, len(self), world_size), hash_model(parts))
        model.train(was_training)
        merged: dict[int, _Clip] = {}
        for share in all_gather_object(found):
            merged.update(share)
        clips = [merged[index] for index in range(len(self))]
        self._keep(clips, training=training)
        self._made_by = versions

    def _find_clips(
        self, model: nn.Module, indices: Iterable[int], model_hash: str
    ) -> dict[int, _Clip]:
        """Look clips up in the corpus and the cache, and embed those that are not there."""
        found: dict[int, _Clip] = {}
        names = {index: self._find_name(index) for index in indices}
        keys = {index: name and _join(model_hash, name) for index, name in names.items()}
        taken, others = {}, set()
        if self.corpus:
            taken, others = self.corpus.find({*filter(None, names.values())}, model_hash)
        for index, key in keys.items():
            source, embedding = self.corpus, taken.get(names[index] or '')
            if embedding is None:
                source, embedding = self.cache, self.cache.load(key) if self.cache and key else None
            if embedding is not None and source:
                found[index] = _Clip(self._read_sample(index), embedding, source=source.folder)
        missing = [index for index in keys if index not in found]
        progress = Progress(
            console=Console(stderr=True), disable=not missing or not is_main_process()
        )
        with progress:
            task = progress.add_task('embed clips', total=len(missing))
            for batch in self._read_clips(missing):
                found.update(self._embed_batch(model, batch))
                for index, _ in batch:
                    key, clip = keys[index], found[index]
                    if self.cache and key and clip.embedding is not None and not clip.problem:
                        self.cache.store(key, clip.embedding)
                    clip.is_other = names[index] in others
                progress.advance(task, len(batch))
        return found

    def _find_name(self, index: int) -> str | None:
        """What a clip is called where embeddings are stored; None if its is not."""
        if not (self.cache or self.corpus) or not hasattr(self.dataset, 'embedding_key'):
            return None
        try:
            return self.dataset.embedding_key(index)
        except OSError:
            # reading the clip will tell
            return None

    def _read_sample(self, index: int) -> BaseDataElement:
        """Pack the data sample of a clip without reading the clip."""
        entry = self.dataset.get_data_info(index)
        pack = self.dataset.pipeline.transforms[-1]
        return pack({**entry, 'imgs': torch.zeros(0)})['data_samples']

    def _read_clips(self, indices: Sequence[int]) -> Iterator[list[tuple[int, Any]]]:
        """Give (index, item) of clips in batches; the item is None if it cannot be read."""
        return iter(
            DataLoader(
                _ChosenClips(self.dataset, indices),
                batch_size=self.batch_size,
                num_workers=self.num_workers,
                collate_fn=list,
                # torch would draw the seeds of the workers from the generator of the run
                generator=torch.Generator(),
            )
        )

    @torch.no_grad()
    def _embed_batch(self, model: Any, batch: list[tuple[int, Any]]) -> dict[int, _Clip]:
        items = {index: item for index, item in batch if item is not None}
        clips = {
            index: _Clip(self._read_sample(index), None, 'cannot be read')
            for index, item in batch
            if item is None
        }
        if not items:
            return clips
        samples = [item['data_samples'] for item in items.values()]
        inputs = [item['inputs'] for item in items.values()]
        prepared = model.data_preprocessor({'inputs': inputs, 'data_samples': samples}, False)
        embeddings = model.embed(prepared['inputs']).float().cpu().numpy()
        for index, sample, embedding in zip(items, samples, embeddings, strict=True):
            problem = ''
            if sample.get('excluded'):
                problem = 'cannot be read'
            elif not np.isfinite(embedding).all():
                problem = 'has an embedding that is not finite'
            clips[index] = _Clip(sample, embedding, problem)
        return clips

    def _keep(self, clips: list[_Clip], *, training: bool) -> None:
        """Hold the embeddings in memory, and say what was found."""
        usable = [place for place, clip in enumerate(clips) if not clip.problem]
        problems = [
            f'{clip.sample.get("name", place)} {clip.problem}'
            for place, clip in enumerate(clips)
            if clip.problem
        ]
        what = f'{len(problems):,} of {len(clips):,} clips cannot be embedded'
        named = '; '.join(problems[:_NAMED_PROBLEMS])
        if not usable:
            raise ValueError(f'a clip at least must be usable, got {what}: {named}')
        print_log(self._count(clips), logger='current')
        if problems:
            fate = 'others take their places' if training else 'they are excluded from the scores'
            more = len(problems) - _NAMED_PROBLEMS
            print_log(
                f'{what}, {fate}: {named}{f"; and {more} more" if more > 0 else ""}',
                logger='current',
                level=logging.WARNING,
            )

        dim = len(clips[usable[0]].embedding)  # pyright: ignore[reportArgumentType]
        nothing = np.full(dim, np.nan, np.float32)
        rows = [nothing if clip.embedding is None else clip.embedding for clip in clips]
        self._embeddings = torch.from_numpy(np.stack(rows))
        self._samples = [clip.sample for clip in clips]
        self._places = list(range(len(clips)))
        for place, clip in enumerate(clips):
            if clip.problem and training:
                self._places[place] = usable[np.searchsorted(usable, place) % len(usable)]
            elif clip.problem:
                clip.sample.set_metainfo({'excluded': True})

    def _count(self, clips: list[_Clip]) -> str:
        """Where the embeddings come from."""
        folders = [place.folder for place in (self.corpus, self.cache) if place]
        numbers = [sum(clip.source == folder for clip in clips) for folder in folders]
        counts = [f'{n:,} from {folder}' for n, folder in zip(numbers, folders, strict=True)]
        text = f'{len(clips):,} embeddings'
        if counts:
            text += f': {", ".join(counts)}, {len(clips) - sum(numbers):,} new'
        if self.corpus and (num_missing := len(clips) - numbers[0]):
            num_others = sum(clip.is_other for clip in clips)
            text += (
                f'. {self.corpus.folder} lacks {num_missing:,}, of which it has {num_others:,} by '
                f'another backbone, preprocessor or version; and it has '
                f'{self.corpus.count_unnamed():,} videos that begin with other frames than a clip'
            )
        return text


class _ChosenClips(Dataset):
    """Some clips of a data set, each with its index; None for one that cannot be read."""

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: int) -> tuple[int, Any]:
        index = self.indices[position]
        # `__getitem__` of mmengine's data sets draws another clip for one that is broken
        read = getattr(self.dataset, 'prepare_data', self.dataset.__getitem__)
        return index, read(index)


def _join(model_hash: str, name: str) -> str:
    """The key of an embedding in the cache."""
    return hashlib.sha256(f'{model_hash} {name}'.encode()).hexdigest()


def _hash(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=HASH_SIZE).digest()


def _find_files(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """Give time of last use, size in bytes and path of each file, unfinished ones included."""
    for path in folder.glob('*/*.npy'):
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        yield status.st_mtime, status.st_size, path
