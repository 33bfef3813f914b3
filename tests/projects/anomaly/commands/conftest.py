"""Small videos of four classes."""

from pathlib import Path

import numpy as np
import pytest

from tests.video_files import encode


@pytest.fixture(scope='session')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four groups of two videos for each of four classes, each with another quarter bright."""
    root = tmp_path_factory.mktemp('videos')
    rng = np.random.default_rng(0)
    for number, name in enumerate(('a', 'b', 'c', 'd')):
        (root / name).mkdir()
        for group in range(4):
            for part in range(2):
                images = rng.integers(0, 60, (6, 32, 32, 3))
                y, x = divmod(number, 2)
                images[:, 16 * y : 16 * y + 16, 16 * x : 16 * x + 16] += 150
                encode(root / name / f'g{group}_{part}.mp4', list(images.astype(np.uint8)))
    return root
