"""What an embedding is known by, and embeddings that were computed while an archive was predicted.

`mmotion predict CONFIG --manifest VIDEOS --embeddings` writes the embedding of each window, and
names the clip of a data set that the first window of a video is: `features_clip`, see
`AnomalyClipDataset.embedding_key`, and `features_model`, see `hash_model`. A video that was
predicted from a later second on, at another rate, or with uneven times, has no such name: training
would see other frames.
"""

import functools
import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import mmotion

CLIP, MODEL, FEATURES = 'features_clip', 'features_model', 'features'
# rows at once, as an hour of video has megabytes of them
_ROWS = 16
# attributes of modules that say nothing of what they compute
_IGNORED = ('training', '_is_init')


class CorpusEmbeddings:
    """The embeddings in the results of a corpus.

    Args:
        folder: That `mmotion predict --manifest --embeddings` has written.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it has no embeddings of clips.
        ImportError: If a package that reads it is not installed.
    """

    def __init__(self, folder: str | Path) -> None:
        try:
            from mmotion.corpus.reading import open_results
        except ImportError as error:
            raise ImportError(
                f'a corpus needs packages that read it, got {error}; pip install "mmotion[corpus]"'
            ) from error
        self.folder = Path(folder).expanduser()
        results = open_results(self.folder)
        missing = [name for name in (CLIP, MODEL, FEATURES) if name not in results.schema.names]
        if missing:
            raise ValueError(
                f'corpus must have embeddings of clips, got {self.folder} without '
                f'{", ".join(missing)}; write it by "mmotion predict CONFIG --manifest VIDEOS '
                '--embeddings" with a detector of anomalies'
            )
        # anew each time, as the run may go on
        self._open = functools.partial(open_results, self.folder)

    def find(
        self, clips: Collection[str], model: str
    ) -> tuple[dict[str, NDArray[np.float32]], set[str]]:
        """Look for the embeddings of clips.

        Args:
            clips: Their names.
            model: What must have embedded them.

        Returns:
            Embeddings (D,) by clip, and the clips that only something else has embedded.
        """
        from pyarrow import array, compute, string

        # a column without a value has no type
        wanted = compute.field(CLIP).cast(string()).isin(array([*clips], string()))
        is_right = compute.field(MODEL) == model
        found: dict[str, NDArray[np.float32]] = {}
        batches = self._open().to_batches(
            columns=[CLIP, FEATURES], filter=wanted & is_right, batch_size=_ROWS
        )
        for batch in batches:
            for clip, rows in zip(batch[CLIP].to_pylist(), batch[FEATURES], strict=True):
                embedding = rows[0].values.to_numpy().astype(np.float32)
                # one that is not finite is computed again, and told of
                if np.isfinite(embedding).all():
                    found[clip] = embedding
        others = self._open().to_table(columns=[CLIP], filter=wanted & ~is_right)
        return found, {*others[CLIP].to_pylist()} - found.keys()

    def count_unnamed(self) -> int:
        """Videos that have embeddings of which none is that of a clip."""
        from pyarrow import compute

        is_unnamed = compute.field(CLIP).is_null() & compute.field(MODEL).is_valid()
        return self._open().count_rows(filter=is_unnamed)


def find_parts(model: nn.Module) -> list[nn.Module]:
    """The modules of a detector that an embedding depends on."""
    return [model.get_submodule(name) for name in ('backbone', 'data_preprocessor')]


def hash_model(parts: Sequence[nn.Module]) -> str:
    """Hash all that the output of modules depends on.

    That is each parameter and buffer, and the class and the plain attributes of each module, which
    hold its options; and the version of mmotion.

    Args:
        parts: Modules.

    Returns:
        SHA-256 in hexadecimal digits.
    """
    digest = hashlib.sha256(mmotion.__version__.encode())
    for part in parts:
        for name, module in part.named_modules():
            options = {
                key: value
                for key, value in sorted(vars(module).items())
                if key not in _IGNORED and _is_plain(value)
            }
            kind = f'{type(module).__module__}.{type(module).__qualname__}'
            digest.update(f'{name} {kind} {options};'.encode())
    for name, tensor in list_tensors(parts):
        digest.update(f'{name} {tensor.dtype} {tuple(tensor.shape)};'.encode())
        digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def list_tensors(parts: Iterable[nn.Module]) -> Iterator[tuple[str, Tensor]]:
    """Parameters and buffers of modules."""
    for part in parts:
        yield from part.named_parameters()
        yield from part.named_buffers()


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)
