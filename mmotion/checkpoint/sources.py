"""Make mmengine read every checkpoint safely, whatever names it in a config.

`load_from`, `resume` and `init_cfg=dict(type='Pretrained', checkpoint=...)` reach mmengine's
`CheckpointLoader`, whose own loaders unpickle without restriction, the ones for URLs even with a
current torch. Importing this module replaces them all.
"""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from mmengine.dist import barrier, get_dist_info, is_distributed
from mmengine.runner import CheckpointLoader
from mmengine.runner.checkpoint import get_external_models, get_torchvision_models

from mmotion.checkpoint.files import CheckpointError
from mmotion.checkpoint.weights import load_checkpoint_file

# as torch.hub knows it, with eight digits at least; a date such as 20230101 is none
_HASHED_NAME = re.compile(r'.*-(?!(?:19|20)\d{6}\.)([0-9a-f]{8,64})\.[^.]+')
# tables of mmengine and torchvision: name of a model to the URL of its weights
_MODEL_TABLES: dict[str, Callable[[], dict[str, str]]] = {
    'torchvision://': get_torchvision_models,
    'modelzoo://': get_torchvision_models,
    'open-mmlab://': get_external_models,
    'openmmlab://': get_external_models,
}


def load_from_local(filename: str, map_location: Any = 'cpu') -> dict[str, Any]:
    """Load a file, see `mmotion.checkpoint.load_checkpoint_file`."""
    return load_checkpoint_file(filename, map_location)


def load_from_http(filename: str, map_location: Any = 'cpu') -> dict[str, Any]:
    """Download a file once, see `fetch_file`, and load it."""
    return load_checkpoint_file(fetch_file(filename), map_location)


def fetch_file(url: str) -> Path:
    """Download a file once, into torch's cache.

    A name with a part of its own SHA-256 in it, as torchvision gives, `resnet50-0676ba61.pth`, is
    kept where torch keeps it, and checked whenever it is read. Any other name may stand for several
    files, so it is kept in a folder that is named after the whole URL.

    The first process downloads while the others wait; on several machines the cache folder must
    therefore be shared, as mmengine wants it too.

    Args:
        url: Where it is.

    Returns:
        Its path.

    Raises:
        CheckpointError: If it cannot be downloaded, or is not what its name says.
    """
    name = Path(urlparse(url).path).name
    folder = Path(torch.hub.get_dir()) / 'checkpoints'
    prefix = _HASHED_NAME.fullmatch(name)
    if not prefix:
        folder /= hashlib.sha256(url.encode()).hexdigest()[:16]
    path = folder / name
    rank, _ = get_dist_info()
    if rank == 0 and not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        try:
            # writes under a temporary name first
            torch.hub.download_url_to_file(url, str(path), prefix[1] if prefix else None)
        except (OSError, ValueError, RuntimeError) as error:
            raise CheckpointError(
                f'checkpoint must be a URL that can be downloaded, got {url} ({error}); '
                'download it by other means and give the path of the file'
            ) from error
    if is_distributed():
        barrier()
    if prefix:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if not found.startswith(prefix[1]):
            raise CheckpointError(
                f'checkpoint must be the file that its name says, got {path} with the SHA-256 '
                f'{found}; delete it, and it is downloaded again'
            )
    return path


def load_from_model_table(filename: str, map_location: Any = 'cpu') -> dict[str, Any]:
    """Load released weights by their name, such as 'torchvision://resnet50'."""
    scheme, _, name = filename.partition('://')
    table = _MODEL_TABLES[f'{scheme}://']()
    if not table.get(name, '').startswith('http'):
        raise CheckpointError(
            f'checkpoint must name a model that {scheme} has, got {filename}; give a file or a URL'
        )
    return load_from_http(table[name], map_location)


def refuse_source(filename: str, map_location: Any = None) -> dict[str, Any]:
    """Refuse the sources of mmengine that unpickle without restriction."""
    raise CheckpointError(
        f'checkpoint must be a file or an http(s) URL, got {filename}; '
        'download it and give the path of the file'
    )


for _prefixes, _loader in (
    ('', load_from_local),
    (('http://', 'https://'), load_from_http),
    (tuple(_MODEL_TABLES), load_from_model_table),
    ((r'(\S+\:)?s3://', r'(\S+\:)?petrel://', 'pavi://', 'mmcls://'), refuse_source),
):
    CheckpointLoader.register_scheme(_prefixes, _loader, force=True)
