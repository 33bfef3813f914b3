"""Weights that others have released: what there is, and how they come to this machine.

The table is `configs/released_weights.yaml`. A config names what it answers with by
`released_weights`, and whatever takes the path of a checkpoint takes a name of the table as well.
What is fetched is checked, converted to the names of our models and kept as
`<home>/weights/<name>.safetensors`, where home is `MMOTION_HOME`, else `mmotion` in the cache
folder of the user (`XDG_CACHE_HOME`, `~/.cache`). What needs no conversion stays where it came to.
"""

import difflib
import functools
import importlib
import json
import logging
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from mmengine.config import Config
from mmengine.logging import print_log
from torch import Tensor

from mmotion.atomic import write_atomically
from mmotion.checkpoint.downloads import check_hash, fetch_source, find_here, hash_file, to_url
from mmotion.checkpoint.files import CheckpointError, check_checkpoint_file
from mmotion.checkpoint.hub import ask_hub
from mmotion.checkpoint.weights import (
    find_state_dict,
    load_checkpoint_file,
    save_safetensors,
)
from mmotion.paths import enable_projects, find_root

# what a user names as a checkpoint who wants none
RANDOM_WEIGHTS = 'random'
TABLE = 'configs/released_weights.yaml'


@dataclass(frozen=True, kw_only=True)
class ReleasedWeights:
    """An entry of the table, whose head explains the fields.

    Args:
        name: What users call it.
        system: Which part of mmotion it is for.
        answers: What a model with these weights says.
        sources: Where the file is, the best first, see `mmotion.checkpoint.downloads`.
        size_mb: How much is downloaded, in megabytes.
        licence: Its name, by SPDX where it has one.
        commercial: Whether it allows commercial use; None if nothing is said.
        citation: What to cite.
        tried: What was seen of the file itself.
        configs: Bundled configs that use it.
        sha256: Of the file, whole or the first digits.
        convert: How its weights become ours.
        classes: File of the same repository that names the classes.
    """

    name: str
    system: str
    answers: str
    sources: list[str]
    size_mb: float
    licence: str
    commercial: bool | None
    citation: str
    tried: str
    configs: tuple[str, ...] = ()
    sha256: str = ''
    convert: str = ''
    classes: str = ''

    @property
    def path(self) -> Path:
        """Where the file is kept, if it is converted or was given by hand."""
        suffix = '.safetensors' if self.convert else Path(self.sources[0]).suffix
        return find_home() / 'weights' / f'{self.name}{suffix}'

    def find(self) -> Path | None:
        """Find the file, ready for use, without a network; None if it is not here."""
        if self.path.is_file() and _read_sum(self.path):
            return self.path
        if self.convert:
            return None
        places = (find_here(source, folder=find_packages()) for source in self.sources)
        return next((place for place in places if place), None)


def find_home() -> Path:
    """The folder in which mmotion keeps what it has downloaded."""
    if home := os.environ.get('MMOTION_HOME'):
        return Path(home).expanduser()
    cache = os.environ.get('XDG_CACHE_HOME')
    return (Path(cache) if cache else Path.home() / '.cache') / 'mmotion'


def find_packages() -> Path:
    """The folder for files out of packages."""
    return find_home() / 'packages'


@functools.cache
def read_table() -> dict[str, ReleasedWeights]:
    """All released weights that are known, by their names."""
    table = yaml.safe_load((find_root() / TABLE).read_text(encoding='utf-8'))
    return {name: ReleasedWeights(name=name, **entry) for name, entry in table.items()}


def find_released(name: str) -> ReleasedWeights:
    """Look up an entry.

    Raises:
        CheckpointError: If there is none of this name.
    """
    table = read_table()
    if name not in table:
        near = difflib.get_close_matches(name, table, n=3) or sorted(table)
        raise CheckpointError(
            f'NAME must be one that "mmotion models" lists, got {name!r}; did you mean '
            f'{", ".join(near)}?'
        )
    return table[name]


def fetch_if_released(checkpoint: str | Path) -> str | Path:
    """The file of released weights that are named; anything else, such as a path, as it is."""
    is_name = str(checkpoint) in read_table() and not Path(checkpoint).is_file()
    return fetch_released(str(checkpoint)) if is_name else checkpoint


def fetch_released(name: str, file: Path | None = None) -> Path:
    """Bring released weights to this machine, ready for use, unless they are here.

    Processes that ask at once wait for the first.

    Args:
        name: Of the table.
        file: Where a file of the first source lies that was downloaded by other means.

    Returns:
        The file: weights under our names, with what is known of them, or a file of another kind as
        it was released.

    Raises:
        CheckpointError: If there is no such name, if the file cannot be had or kept, or is not what
            it should be.
    """
    released = find_released(name)
    if file is None and (here := released.find()) is not None:
        return _check(released, here)
    # brings asyncio, and most weights are here
    from filelock import FileLock

    try:
        released.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f'{released.path}.lock'):
            if file is not None:
                here = _keep(released, file)
            elif (here := released.find()) is None:
                here = _fetch(released)
                here = _keep(released, here) if released.convert else here
    except OSError as error:
        raise CheckpointError(
            f'the cache must be a folder with room for {released.size_mb:g} MB, got '
            f'{released.path.parent} ({error}); set MMOTION_HOME to another folder'
        ) from error
    return _check(released, here)


def load_image_weights(source: str) -> dict[str, Tensor]:
    """Weights of a network for images, under the names that they have at their source.

    Args:
        source: A name of the table, such as 'efficientnet_lite0_imagenet', a model name of timm,
            such as 'vgg19.tv_in1k', whose published weights are fetched, or a file.

    Raises:
        CheckpointError: If they cannot be had.
    """
    # it takes 200 MB and a second, which other checkpoints need not spend
    import timm

    if not timm.is_model(source):
        file = fetch_if_released(source)
        return find_state_dict(load_checkpoint_file(file), source=source)
    remedy = (
        'the option init, --cfg-options model.backbone.init=FILE or model.backbone.init=None (of '
        'bkind model.encoder.init, model.losses.vgg); load_from=FILE then replaces random weights'
    )
    with ask_hub(source, remedy=remedy):
        return timm.create_model(source, pretrained=True).state_dict()


def find_weights(
    config: Mapping[str, Any] | Config, checkpoint: str | Path | None = None
) -> str | Path | None:
    """The checkpoint that is given, else what ships with the config or was released for it.

    A config names what ships with it by `shipped_weights`, a path from the root, beside which lies
    a file with `.sha256` added to its name, as `sha256sum` writes it; and what was released by
    `released_weights`, a name of the table, which is fetched.

    Returns:
        The file; None only if `RANDOM_WEIGHTS` is given: nothing is to be loaded.

    Raises:
        CheckpointError: If there is none, if it cannot be fetched, or if what ships is missing or
            is not the file that it was.
    """
    checkpoint = config.get('released_weights') if checkpoint is None else checkpoint
    if checkpoint is not None:
        return None if checkpoint == RANDOM_WEIGHTS else fetch_if_released(checkpoint)
    if not config.get('shipped_weights'):
        raise CheckpointError(
            'checkpoint must be given, as no weights ship with '
            f'{getattr(config, "filename", None) or "this config"}; give the file that training '
            f'wrote, a name of "mmotion models", or \'{RANDOM_WEIGHTS}\' for an untrained model'
        )
    path = find_root() / config['shipped_weights']
    check_checkpoint_file(path)
    found = hash_file(path)
    if found != _read_sum(path):
        raise CheckpointError(
            f'checkpoint must be the one that ships with mmotion, got {path} with the SHA-256 '
            f'{found}, which {path.name}.sha256 does not name; install mmotion again'
        )
    return path


def describe_weights(
    config: Mapping[str, Any] | Config, checkpoint: str | None = None
) -> dict[str, Any]:
    """What a result says of the weights that it was made with: `checkpoint`, perhaps `licence`."""
    names = (checkpoint, config.get('released_weights'), config.get('shipped_weights'))
    name = next((name for name in names if name), None)
    known = read_table().get(str(name))
    return {'checkpoint': name} | ({'licence': known.licence} if known else {})


def _fetch(released: ReleasedWeights) -> Path:
    """Fetch the file from the first source that has it."""
    failures = []
    for source in released.sources:
        try:
            file = fetch_source(source, folder=find_packages())
            check_hash(file, released.sha256)
            return file
        except CheckpointError as error:
            failures.append(f'{source}: {error}')
    raise CheckpointError(
        f'{released.name} must be on this machine or within reach, got '
        f'{"; ".join(failures)}\nthree ways to get it:\n'
        f'  1. with a network: mmotion download {released.name}\n'
        f'  2. on another machine the same, then copy its {find_home()} to here, or set '
        'MMOTION_HOME to the copy\n'
        f'  3. by hand: download {to_url(released.sources[-1])}, then '
        f'mmotion download {released.name} --from FILE'
    )


def _keep(released: ReleasedWeights, file: Path) -> Path:
    """Check a file, and keep it under our names, with its SHA-256 beside it."""
    check_hash(file, released.sha256)
    if released.convert:
        state = find_state_dict(load_checkpoint_file(file), source=file)
        converted = _convert(released.convert, state)
        save_safetensors(converted, released.path, _describe(released, file))
    else:
        with write_atomically(released.path) as temporary:
            shutil.copyfile(file, temporary)
    with write_atomically(f'{released.path}.sha256') as temporary:
        line = f'{hash_file(released.path)}  {released.path.name}\n'
        temporary.write_text(line, encoding='utf-8')
    return released.path


def _check(released: ReleasedWeights, file: Path) -> Path:
    """Check that a file is still what it was, and say what its licence does not allow."""
    check_hash(file, _read_sum(file) if file == released.path else released.sha256)
    if not released.commercial:
        _warn_of_licence(released.name, released.licence)
    return file


def _read_sum(path: Path) -> str:
    """The SHA-256 that the file beside a file records, or nothing."""
    record = Path(f'{path}.sha256')
    text = record.read_text(encoding='utf-8') if record.is_file() else ''
    return next(iter(text.split()), '')


def _describe(released: ReleasedWeights, file: Path) -> dict[str, Any]:
    """What is known of weights, to be stored with them."""
    known: dict[str, Any] = {
        'released_weights': released.name,
        'licence': released.licence,
        'citation': released.citation,
        'source': released.sources[0],
    }
    if released.classes:
        names = file.with_name(released.classes)
        if not names.is_file():
            source = f'{released.sources[0].rpartition("/")[0]}/{released.classes}'
            names = fetch_source(source, folder=find_packages())
        labels = json.loads(names.read_text(encoding='utf-8'))['id2label']
        classes = [labels[key] for key in sorted(labels, key=int)]
        known['dataset_meta'] = {'classes': classes}
    return known


def _convert(how: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    kind, _, model = how.partition(' ')
    if kind == 'match':
        return match_by_position(state, model)
    enable_projects()
    return importlib.import_module(f'projects.{kind}.convert').convert(state)


def match_by_position(state: Mapping[str, Tensor], model: str) -> dict[str, Tensor]:
    """Give weights the names of a model of timm that has the same tensors in the same order.

    Args:
        state: Weights by other names.
        model: Name of the model.

    Raises:
        CheckpointError: If a shape differs, or there are more or fewer.
    """
    import timm

    own = timm.create_model(model, pretrained=False).state_dict()
    shapes = [[tuple(value.shape) for value in tensors.values()] for tensors in (state, own)]
    if shapes[0] != shapes[1]:
        wrong = [pair for pair in zip(*shapes, strict=False) if pair[0] != pair[1]]
        raise CheckpointError(
            f'checkpoint must hold the {len(own)} tensors of {model} in their order, got '
            f'{len(state)}, of which {len(wrong)} have another shape'
        )
    return dict(zip(own, state.values(), strict=True))


@functools.cache
def _warn_of_licence(name: str, licence: str) -> None:
    """Say once what the licence does not allow."""
    print_log(
        f'{name}: licence {licence}, which does not allow commercial use'
        if 'NC' in licence
        else f'{name}: licence {licence}; ask its authors before you use it commercially',
        'current',
        logging.WARNING,
    )
