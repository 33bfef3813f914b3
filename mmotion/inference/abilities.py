"""What a predictor can do besides predicting: ask by `isinstance(predictor, DrawsAttention)`.

Of a class, before a model is loaded, `issubclass` tells the same.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@runtime_checkable
class DrawsAttention(Protocol):
    """A predictor that can show where its model looks."""

    def draw_attention(
        self, video: str | Path | NDArray[np.uint8], result: Any, out_dir: str | Path
    ) -> list[Path]:
        """Make pictures of where the model looks.

        Args:
            video: What the result was predicted from.
            result: What `predict` returned.
            out_dir: Folder for the files, made if need be.

        Returns:
            The files, named after the video.

        Raises:
            ValueError: If this very model cannot tell.
        """
        ...


@runtime_checkable
class Exports(Protocol):
    """A predictor that can write its results for other programs."""

    def export(
        self, video: str | Path, result: Any, out_dir: str | Path, formats: Sequence[str]
    ) -> list[Path]:
        """Write a result for other programs.

        Args:
            video: What the result was predicted from.
            result: What `predict` returned.
            out_dir: Folder for the files, made if need be.
            formats: Names of formats.

        Returns:
            The files, named after the video.

        Raises:
            ValueError: If a format is unknown.
            ImportError: If a package for one is not installed.
        """
        ...

    @classmethod
    def check_export(cls, formats: Sequence[str]) -> None:
        """Refuse formats that `export` cannot write, by the same errors."""
        ...


@runtime_checkable
class NamesClips(Protocol):
    """A predictor whose embeddings training can take, where it would compute the same."""

    def name_clip(
        self,
        video: Path,
        result: Any,
        *,
        fps: float | None = None,
        start_s: float = 0.0,
        end_s: float | None = None,
    ) -> dict[str, str | None]:
        """Name the clip of a data set whose embedding the first row of the video's features is.

        Args:
            video: The file that was predicted.
            result: What `predict` returned.
            fps: What `predict` was told, like the next two.
            start_s: From when on.
            end_s: Up to when.

        Returns:
            `features_clip`, which says what the clip is, or None if training sees other frames; and
            `features_model`, which says what it was embedded by.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class PortableNetwork:
    """The network of a predictor, so that it can be run by another program.

    Args:
        run: What turns tensors into a tuple of tensors, with `model`'s weights.
        model: The module that these belong to.
        inputs: Examples of its tensors, by name, in their order; sizes that are free at least 2.
        free: Which axes of each may have another size, and what that is called.
        outputs: Names of what it gives.
        meta: What the stand-in for the model needs to know, as plain JSON types.
    """

    run: Callable[..., tuple[Any, ...]]
    model: Any
    inputs: Mapping[str, Any]
    free: Mapping[str, Mapping[int, str]]
    outputs: Sequence[str]
    meta: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class HasPortableNetwork(Protocol):
    """A predictor whose network "mmotion export" can write to a file."""

    def make_portable(self) -> PortableNetwork:
        """Describe the network for the predictor's `exported_type`."""
        ...
