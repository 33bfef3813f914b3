"""A model that is handed on, in a folder or in a repository of the Hugging Face Hub.

It is

- `model.safetensors`: the weights, and in its header the names of the classes;
- `config.json`: what of the config a prediction needs, as data;
- `README.md`: its model card;
- `SHA256SUMS`: as `sha256sum -c` reads it.

Reading such a folder runs no code of it. Its config names registered modules, and of what it would
import only systems that are installed here.
"""

import importlib.util
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmotion import __version__
from mmotion.atomic import write_atomically
from mmotion.checkpoint import find_state_dict, load_checkpoint_file, save_safetensors
from mmotion.checkpoint.carried import CARRIED
from mmotion.checkpoint.downloads import check_hash, fetch_from_hub, hash_file
from mmotion.checkpoint.files import CheckpointError
from mmotion.config import apply_options
from mmotion.paths import SCOPE, enable_projects

WEIGHTS, CONFIG, CARD, SUMS = 'model.safetensors', 'config.json', 'README.md', 'SHA256SUMS'
# what a prediction reads of a config
KEYS = ('custom_imports', 'model', 'predictor', 'test_pipeline')
# JSON has lists alone, and some transforms want tuples
TUPLE = '__tuple__'
_HUB_NAME = re.compile(r'hf:(?P<repo>[^/@\s]+/[^/@\s]+)(@(?P<revision>\S+))?')
# modules that a config may name: of systems, not of whatever else is installed
_IMPORTABLE = re.compile(r'projects(\.\w+)+')


def write_published(
    folder: Path, config: Config, checkpoint: Path, *, half: bool = False, licence: str = 'other'
) -> Path:
    """Write a folder that `load_model` reads and `mmotion push` uploads.

    Args:
        folder: Where; files of these names are replaced.
        config: The config that the model was trained with.
        checkpoint: Its weights.
        half: Round matrices to float16.
        licence: What the model card names.

    Returns:
        The folder.

    Raises:
        CheckpointError: If the checkpoint cannot be read.
    """
    loaded = load_checkpoint_file(checkpoint)
    weights = find_state_dict(loaded, source=checkpoint)
    meta = choose_meta(loaded)
    save_safetensors(round_matrices(weights) if half else weights, folder / WEIGHTS, meta)
    content = describe_config(config)
    name = Path(config.filename or 'config').stem
    described = {'mmotion_version': __version__, 'name': name, 'config': _mark_tuples(content)}
    _write(folder / CONFIG, json.dumps(described, indent=1))
    _write(folder / CARD, _describe(name, content, meta, licence))
    lines = [f'{hash_file(folder / file)}  {file}' for file in (WEIGHTS, CONFIG)]
    _write(folder / SUMS, '\n'.join([*lines, '']))
    return folder


def describe_config(config: Config) -> dict[str, Any]:
    """What of a config a prediction reads, without the paths of its data set."""
    content = {key: config.to_dict()[key] for key in KEYS if config.get(key) is not None}
    dataset = (config.get('test_dataloader') or {}).get('dataset') or {}
    return content | {'test_dataloader': {'dataset': _leave_out_paths(dataset)}}


def choose_meta(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """What of a checkpoint's `meta` is handed on: the names of classes, and what it carries."""
    known = checkpoint.get('meta') or {}
    kept = {key: known[key] for key in ('dataset_meta', CARRIED) if known.get(key)}
    return {'mmotion_version': __version__, **kept}


def round_matrices(weights: Mapping[str, Any]) -> dict[str, Any]:
    """Round tensors of two dimensions and more to float16, as biases and norms are few."""
    return {
        name: tensor.half() if tensor.ndim > 1 and tensor.is_floating_point() else tensor
        for name, tensor in weights.items()
    }


def is_published(source: Any) -> bool:
    """Whether a source is such a folder, or 'hf:OWNER/NAME', with '@REVISION' behind it or not."""
    if isinstance(source, Path) or (isinstance(source, str) and not source.startswith('hf:')):
        return (Path(source) / CONFIG).is_file() and (Path(source) / WEIGHTS).is_file()
    return isinstance(source, str)


def read_published(source: str | Path, cfg_options: Mapping[str, Any] | None = None) -> Config:
    """Read what `write_published` wrote, from a folder or from the hub.

    Args:
        source: See `is_published`.
        cfg_options: Values to change by dotted key, see `mmotion.config.load_config`.

    Returns:
        The config, whose `released_weights` is the file of the weights.

    Raises:
        CheckpointError: If a file cannot be had or is not what SHA256SUMS says.
        ValueError: If the config is damaged, or asks for more than registered modules of systems
            that are installed.
    """
    files = {name: _find(source, name) for name in (SUMS, CONFIG, WEIGHTS)}
    for line in files[SUMS].read_text(encoding='utf-8').splitlines():
        digest, _, name = line.partition('  ')
        if name in files:
            check_hash(files[name], digest)
    try:
        content = _restore_tuples(json.loads(files[CONFIG].read_text(encoding='utf-8'))['config'])
        text = json.dumps(content)
        content |= {'default_scope': SCOPE, 'released_weights': str(files[WEIGHTS])}
        config = Config(content, cfg_text=text, filename=str(source))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(
            f'{CONFIG} must be what "mmotion publish" writes, got {type(error).__name__} in '
            f'{source}: {error}; publish the model again'
        ) from error
    _check_types(content, str(source))
    _import_systems(content, str(source))
    apply_options(config, cfg_options or {})
    return config


def _find(source: str | Path, name: str) -> Path:
    match = _HUB_NAME.fullmatch(str(source))
    if match:
        return fetch_from_hub(match['repo'], name, revision=match['revision'] or 'main')
    if str(source).startswith('hf:'):
        raise CheckpointError(
            f"a repository of the hub must be 'hf:OWNER/NAME' or 'hf:OWNER/NAME@REVISION', got "
            f'{source!r}'
        )
    file = Path(source) / name
    if not file.is_file():
        raise CheckpointError(f'a published model must have {name}, got {source} without it')
    return file


def _check_types(content: Any, source: str) -> None:
    """Refuse what a registry would look up outside of itself: the path of any Python object."""
    for mapping in _walk(content):
        kind = mapping.get('type')
        if kind is not None and not (isinstance(kind, str) and re.fullmatch(r'\w+', kind)):
            raise ValueError(
                f'type must be a registered name in the config of {source}, got type={kind!r}; it '
                'is not looked up, as that could run any code'
            )
        if '_scope_' in mapping:
            raise ValueError(f'the config of {source} must have no _scope_, got one; leave it out')


def _import_systems(content: Mapping[str, Any], source: str) -> None:
    enable_projects()
    imports = content.get('custom_imports')
    names = imports.get('imports') if isinstance(imports, Mapping) else imports
    names = [names] if isinstance(names, str) else names or []
    for name in names:
        is_named = isinstance(name, str) and _IMPORTABLE.fullmatch(name)
        if not is_named or importlib.util.find_spec(name) is None:
            raise ValueError(
                f'custom_imports must name systems that are installed, got {name!r} in the config '
                f'of {source}; install the package that it comes from below projects/'
            )
        importlib.import_module(name)


def _walk(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every dictionary in a value."""
    if isinstance(value, Mapping):
        yield value
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from _walk(item)


def _leave_out_paths(value: Any) -> Any:
    """Leave out pipelines, and text that could be a path of this machine."""
    if isinstance(value, Mapping):
        return {
            key: _leave_out_paths(item)
            for key, item in value.items()
            if key != 'pipeline' and not (isinstance(item, str) and re.search(r'[/\\]', item))
        }
    if isinstance(value, list | tuple):
        return type(value)(_leave_out_paths(item) for item in value)
    return value


def _mark_tuples(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _mark_tuples(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        items = [_mark_tuples(item) for item in value]
        return {TUPLE: items} if isinstance(value, tuple) else items
    return value


def _restore_tuples(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {TUPLE}:
            return tuple(map(_restore_tuples, value[TUPLE]))
        return {key: _restore_tuples(item) for key, item in value.items()}
    return [_restore_tuples(item) for item in value] if isinstance(value, list) else value


def _describe(name: str, content: Mapping[str, Any], meta: Mapping[str, Any], licence: str) -> str:
    """The model card, with the head that the hub reads."""
    classes = (meta.get('dataset_meta') or {}).get('classes') or ()
    answers = f'one of {len(classes)} classes: {", ".join(map(str, classes))}' if classes else ''
    return f"""---
license: {licence.lower()}
library_name: mmotion
pipeline_tag: video-classification
tags: [mmotion, video, motion]
---

# {name}

A model of mmotion {__version__}: `{content['model'].get('type')}`, which answers by
`{content['predictor'].get('type')}`. {answers}

    from mmotion import load_model

    result = load_model('hf:OWNER/NAME').predict('video.mp4')
    print(result.describe())

or `mmotion predict hf:OWNER/NAME video.mp4`.

Trained on: *say which data, under which licence, and what was measured.*
"""


def _write(path: Path, text: str) -> None:
    with write_atomically(path) as temporary:
        temporary.write_text(text, encoding='utf-8')
