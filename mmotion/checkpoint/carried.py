"""What a model was built from and its config does not say, carried by its checkpoint.

A model whose sizes stand in files elsewhere, in a repository of a hub for instance, has a module
with the attribute `carried`: what it has read, plain data by name. Training keeps that with the
weights, and whoever builds a model for a checkpoint finds it there, without that elsewhere.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from torch import nn

from mmotion.checkpoint.released import fetch_if_released
from mmotion.checkpoint.weights import load_checkpoint_file

# entry of a checkpoint's `meta`
CARRIED = 'carried'
_checkpoint: ContextVar[str | Path | None] = ContextVar('checkpoint', default=None)


@contextmanager
def built_for(checkpoint: str | Path | None) -> Iterator[None]:
    """Let models that are built within the block find what this checkpoint carries."""
    token = _checkpoint.set(checkpoint)
    try:
        yield
    finally:
        _checkpoint.reset(token)


def find_carried(name: str) -> Any:
    """What the checkpoint carries by a name for which a model is being built; None if nothing.

    Raises:
        CheckpointError: If the checkpoint cannot be read.
    """
    checkpoint = _checkpoint.get()
    # files of URLs are those of released weights, which carry nothing
    if checkpoint is None or '://' in str(checkpoint):
        return None
    meta = load_checkpoint_file(fetch_if_released(checkpoint)).get('meta')
    carried = meta.get(CARRIED) if isinstance(meta, Mapping) else None
    return carried.get(name) if isinstance(carried, Mapping) else None


def collect_carried(model: nn.Module) -> dict[str, Any]:
    """What the checkpoint of a model must carry, by name."""
    modules = (getattr(module, CARRIED, None) for module in model.modules())
    return {name: value for carried in modules if carried for name, value in carried.items()}
