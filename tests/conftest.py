"""Fixtures of the whole suite, and what must be set before the first import of torch."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

# two small thread pools in one core each are faster than two that fight over both
os.environ.setdefault('OMP_NUM_THREADS', '1')
os.environ.setdefault('MPLBACKEND', 'Agg')

import numpy as np
import pytest
import torch

from mmotion.compat import apply_compat
from mmotion.paths import enable_projects
from tests.hub_server import Hub, serve_hub

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


@pytest.fixture(
    params=[
        pytest.param('cpu', marks=pytest.mark.slow),
        pytest.param(
            'cuda',
            marks=[
                pytest.mark.gpu,
                pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU'),
            ],
        ),
    ]
)
def device(request) -> str:
    """A test that asks runs on a GPU where there is one, and, being slow, on the CPU."""
    return request.param


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


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub on the loopback device in place of the real one, with empty caches."""
    monkeypatch.setenv('MMOTION_HOME', str(tmp_path / 'home'))
    monkeypatch.setenv('HF_HUB_CACHE', str(tmp_path / 'hub'))
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'torch'))
    from huggingface_hub import constants

    monkeypatch.setattr(constants, 'HF_HUB_CACHE', str(tmp_path / 'hub'))
    monkeypatch.setattr(constants, 'HF_HUB_DISABLE_XET', True)
    with serve_hub() as served:
        template = f'{served.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}'
        monkeypatch.setattr(constants, 'ENDPOINT', served.url)
        monkeypatch.setattr(constants, 'HUGGINGFACE_CO_URL_TEMPLATE', template)
        monkeypatch.setenv('HF_ENDPOINT', served.url)
        yield served
