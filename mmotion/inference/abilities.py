"""What a predictor can do besides predicting: ask by `isinstance(predictor, DrawsAttention)`.

Of a class, before a model is loaded, `issubclass` tells the same.
"""

from collections.abc import Sequence
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
