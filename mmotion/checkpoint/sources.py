"""Make mmengine read every checkpoint safely, whatever names it in a config.

`load_from`, `resume` and `init_cfg=dict(type='Pretrained', checkpoint=...)` reach mmengine's
`CheckpointLoader`, whose own loaders unpickle without restriction, the ones for URLs even with a
current torch. Importing this module replaces them all.
"""

from collections.abc import Callable
from typing import Any

from mmengine.runner import CheckpointLoader
from mmengine.runner.checkpoint import get_external_models, get_torchvision_models

from mmotion.checkpoint.downloads import fetch_file
from mmotion.checkpoint.files import CheckpointError
from mmotion.checkpoint.released import fetch_if_released
from mmotion.checkpoint.weights import load_checkpoint_file

# tables of mmengine and torchvision: name of a model to the URL of its weights
_MODEL_TABLES: dict[str, Callable[[], dict[str, str]]] = {
    'torchvision://': get_torchvision_models,
    'modelzoo://': get_torchvision_models,
    'open-mmlab://': get_external_models,
    'openmmlab://': get_external_models,
}


def load_from_local(filename: str, map_location: Any = 'cpu') -> dict[str, Any]:
    """Load a file, or released weights by their name, see `mmotion.checkpoint.released`."""
    return load_checkpoint_file(fetch_if_released(filename), map_location)


def load_from_http(filename: str, map_location: Any = 'cpu') -> dict[str, Any]:
    """Download a file once, see `fetch_file`, and load it."""
    return load_checkpoint_file(fetch_file(filename), map_location)


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
