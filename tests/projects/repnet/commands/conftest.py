"""A video of a movement that repeats."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mmotion.video import VideoWriter


@pytest.fixture
def draw_bar() -> Callable[..., np.ndarray]:
    """A bar that swings to and fro, (N, height, 48, 3)."""

    def draw(num_frames: int, period: float, height: int = 48) -> np.ndarray:
        frames = np.full((num_frames, height, 48, 3), 30, np.uint8)
        for i, frame in enumerate(frames):
            left = int(20 + 15 * np.sin(2 * np.pi * i / period))
            frame[10:40, left : left + 8] = 220
        return frames

    return draw


@pytest.fixture
def video(draw_bar: Callable[..., np.ndarray], tmp_path: Path) -> Path:
    """Six seconds of it, one cycle a second, in `a.mp4`."""
    with VideoWriter(tmp_path / 'a.mp4', fps=10.0) as writer:
        for frame in draw_bar(60, 10):
            writer.write(frame)
    return tmp_path / 'a.mp4'
