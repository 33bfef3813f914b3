"""Embeddings of clips: what a layer of a model gives while a predictor looks at a video.

Rows are averaged over place and time within what the layer saw, so that any backbone gives numbers
that can be compared, clustered or fed to another classifier.

Shape letters in this file: B clips of a call, D channels, R rows of a video, W windows.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmotion.atomic import write_atomically
from mmotion.inference.exported import ExportedModel
from mmotion.inference.lean import to_array
from mmotion.inference.predictor import Predictor
from mmotion.structures.results import Result, time_at

# layers that models have before their head
USUAL = ('backbone', 'encoder')
FORMATS = ('npz', 'npy')


@dataclass(frozen=True, eq=False)
class Features:
    """The embeddings of a video.

    Args:
        values: A row for each clip or frame that the layer saw, float32 (R, D).
        start_s: When each begins (R,), None if nobody knows.
        end_s: When each ends (R,).
    """

    values: NDArray[np.float32]
    start_s: NDArray[np.float64] | None = None
    end_s: NDArray[np.float64] | None = None

    def write(self, path: Path) -> None:
        """Write all as .npz, the values alone as .npy."""
        with write_atomically(path) as temporary, open(temporary, 'wb') as file:
            if path.suffix == '.npy':
                np.save(file, self.values)
            elif self.start_s is None or self.end_s is None:
                np.savez(file, features=self.values)
            else:
                np.savez(file, features=self.values, start_s=self.start_s, end_s=self.end_s)


def find_layer(predictor: Predictor, name: str | None) -> tuple[str, Any]:
    """Find a layer of a predictor's model by its name, such as `backbone.blocks.3`.

    By default it is what the predictor names, or what is usually before the head.

    Raises:
        ValueError: If there is none of that name, or no usual one.
    """
    model = predictor.model
    if isinstance(model, ExportedModel):
        raise ValueError(
            'embeddings must be of a model in torch, got one that was exported; give the config '
            'and the checkpoint that it was made of'
        )
    modules = dict(model.named_modules())
    for wanted in (name,) if name else (predictor.features_layer, *USUAL):
        if wanted and wanted in modules:
            return wanted, modules[wanted]
    known = ', '.join(child for child, _ in model.named_children())
    raise ValueError(
        f'a layer must be one of the model, got {name or "none"}; it has {known}, and parts of '
        'them behind a dot'
    )


def extract_features(
    predictor: Predictor, layer: Any, video: str | Path, *, fps: float | None = None
) -> Features:
    """Predict a video, and keep what a layer gives.

    Windows that are seen in several views get the mean of them.

    Args:
        predictor: From `mmotion.inference.load_model`.
        layer: A module of its model.
        video: File or folder of pictures.
        fps: See `Predictor.predict`.

    Raises:
        ValueError: If the layer is not run, or gives no tensors.
        VideoError: If the video cannot be read.
    """
    with record(layer) as rows:
        result: Result = predictor.predict(video, fps=fps)
    return gather(rows, result)


@contextmanager
def record(layer: Any) -> Iterator[list[NDArray[np.float32]]]:
    """Collect what a module gives while the block runs, averaged, see `average`."""
    rows: list[NDArray[np.float32]] = []
    handle = layer.register_forward_hook(lambda _, __, output: rows.append(average(output)))
    try:
        yield rows
    finally:
        handle.remove()


def gather(rows: Sequence[NDArray[np.float32]], result: Result) -> Features:
    """Tell which windows or frames of a result the rows of `record` are of.

    Raises:
        ValueError: If there is none.
    """
    if not rows:
        raise ValueError(
            'a layer must be run in predicting to give features, got one that is not; choose one '
            'that holds it, or another'
        )
    values = np.concatenate(rows)
    starts: Any = getattr(result, 'window_start_s', None)
    if starts is not None and len(values) % len(starts) == 0:
        values = values.reshape(len(starts), -1, values.shape[1]).mean(axis=1)
        return Features(values, starts, getattr(result, 'window_end_s', None))
    if len(values) == result.num_frames:
        edges = time_at(result, np.arange(result.num_frames + 1))
        return Features(values, edges[:-1], edges[1:])
    return Features(values)


def average(output: Any) -> NDArray[np.float32]:
    """Average what a layer gives over place and time.

    Args:
        output: (B, D), tokens (B, N, D), or maps (B, D, ...); or several of them, as of a backbone
            of two pathways, which are put side by side.

    Returns:
        (B, D).

    Raises:
        ValueError: If it is something else.

    Example:
        >>> average((np.ones((2, 3, 4, 5)), np.zeros((2, 6, 1)))).tolist()
        [[1.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0, 0.0]]
    """
    if isinstance(output, tuple | list) and output:
        return np.concatenate([average(part) for part in output], axis=1)
    if not hasattr(output, 'ndim') or output.ndim < 2:
        raise ValueError(
            'a layer must give tensors (B, D, ...) to give features, got '
            f'{type(output).__name__}; choose another one'
        )
    values = to_array(output).astype(np.float32)
    if values.ndim == 3:
        return values.mean(axis=1)
    return values.reshape(*values.shape[:2], -1).mean(axis=2)
