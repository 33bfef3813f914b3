"""Make mmengine read every checkpoint safely, whatever names it in a config.

`load_from`, `resume` and `init_cfg=dict(type='Pretrained', checkpoint=...)` reach mmengine's
`CheckpointLoader`, whose own loaders unpickle without restriction, the ones for URLs even with a
current torch. Importing this module replaces them all, as soon as there are any: a prediction does
not import mmengine's runner.
"""

import sys
from types import ModuleType
from typing import Any

from mmotion.checkpoint.downloads import fetch_file
from mmotion.checkpoint.files import CheckpointError
from mmotion.checkpoint.released import fetch_if_released
from mmotion.checkpoint.weights import load_checkpoint_file
from mmotion.compat import call_after_import

LOADERS = 'mmengine.runner.checkpoint'


def _list_torchvision() -> dict[str, str]:
    return sys.modules[LOADERS].get_torchvision_models()


def _list_external() -> dict[str, str]:
    return sys.modules[LOADERS].get_external_models()


# tables of mmengine and torchvision: name of a model to the URL of its weights
_MODEL_TABLES = {
    'torchvision://': _list_torchvision,
    'modelzoo://': _list_torchvision,
    'open-mmlab://': _list_external,
    'openmmlab://': _list_external,
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


def replace_loaders(module: ModuleType) -> None:
    """Put ours in the place of those that mmengine's `CheckpointLoader` has."""
    for prefixes, loader in (
        ('', load_from_local),
        (('http://', 'https://'), load_from_http),
        (tuple(_MODEL_TABLES), load_from_model_table),
        ((r'(\S+\:)?s3://', r'(\S+\:)?petrel://', 'pavi://', 'mmcls://'), refuse_source),
    ):
        module.CheckpointLoader.register_scheme(prefixes, loader, force=True)


call_after_import(LOADERS, replace_loaders)
