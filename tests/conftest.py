"""Fixtures of the whole suite, and what must be set before the first import of torch."""

import os
import random
from pathlib import Path

# two small thread pools in one core each are faster than two that fight over both
os.environ.setdefault('OMP_NUM_THREADS', '1')
os.environ.setdefault('MPLBACKEND', 'Agg')

import numpy as np
import pytest
import torch

from mmotion.compat import apply_compat
from mmotion.paths import enable_projects

CHECKOUT = Path(__file__).resolve().parents[1]

# at import, not in a fixture: test files import mmengine and projects.* while pytest collects them
apply_compat()
enable_projects()


@pytest.fixture(autouse=True)
def _seed() -> None:
    """Start each test from the same random numbers, in whatever order the tests run."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(scope='session')
def data_root() -> Path:
    """Folder of real data, `$MMOTION_DATA` or `../shared/data`; a test that asks skips without."""
    root = Path(os.environ.get('MMOTION_DATA') or CHECKOUT.parent / 'shared' / 'data')
    if not root.is_dir():
        pytest.skip(f'needs real data, and {root} is not a folder; set MMOTION_DATA')
    return root


@pytest.fixture(scope='session')
def golden_root(data_root: Path) -> Path:
    """Folder of outputs of the reference implementations, `golden` beside `data_root`."""
    root = data_root.parent / 'golden'
    if not root.is_dir():
        pytest.skip(f'needs golden files, and {root} is not a folder')
    return root
