"""Read checkpoints without running their code; write them so that anyone can do the same.

A `.pth` file is a pickle, and a pickle may call any function while it is read. Here every file goes
through `torch.load(weights_only=True)`, which builds tensors and plain containers only. If a file
holds more, it is read again with an inert stand-in for each class that torch does not know: the
tensors of a foreign checkpoint load, its other objects are left out and named in a warning.

Files read: `.pth`/`.pt` of torch (zip, or the format before torch 1.6), `.safetensors`.
Files written: `.pth` of tensors, numbers, strings, lists and dicts, which loads with
`weights_only=True` and no allow-list, see `mmotion.checkpoint.plain_data`.
"""

import json
import logging
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from mmotion.atomic import write_atomically
from mmotion.checkpoint.files import (
    COPY_AGAIN,
    CheckpointError,
    check_checkpoint_file,
    check_checksums,
    list_globals,
)
from mmotion.checkpoint.plain_data import StandIn, read_back, to_plain, type_name

# where training programs put the weights, most usual first
STATE_DICT_KEYS = ('state_dict', 'model_state_dict', 'model_state', 'model')
# under which name the header of a safetensors file has what is known of its weights, as JSON
SAFETENSORS_KEY = 'mmotion'
# a file that refers to one of these modules is an attack, not a checkpoint
_NEVER_READ = ('os', 'posix', 'nt', 'sys', 'subprocess', 'shutil', 'runpy', 'importlib')
# globals of an ordinary checkpoint, not worth naming when it is refused
_KNOWN = ('torch._utils.', 'torch.FloatStorage', 'collections.OrderedDict')


def load_checkpoint_file(path: str | Path, map_location: Any = 'cpu') -> dict[str, Any]:
    """Read a checkpoint file without running any code that it holds.

    Args:
        path: A file written by `torch.save`, or a `.safetensors` file, whose tensors are then
            under the key `state_dict`.
        map_location: Device of the tensors, as in `torch.load`.

    Returns:
        The checkpoint, with mmengine's loss histories restored.

    Raises:
        CheckpointError: If there is no such file, if it is damaged or no checkpoint, if its weights
            are not finite, or if they cannot be read safely; the message then names the class in
            the way.
    """
    path = Path(path).expanduser()
    if path.suffix == '.safetensors' and path.is_file():
        tensors, meta = _load_safetensors(path, map_location)
        check_finite(tensors, source=path)
        return {'meta': meta, 'state_dict': tensors}
    check_checkpoint_file(path)
    check_checksums(path)
    try:
        checkpoint = _load_safely(path, map_location)
    except pickle.UnpicklingError as error:
        unknown = [
            name for name in sorted(list_globals(path).values()) if not name.startswith(_KNOWN)
        ]
        raise CheckpointError(
            f'checkpoint must hold tensors and plain data, got {path} which needs '
            f'{", ".join(unknown) or "more"} and is not read, as that could run its code; '
            'save model.state_dict() where the file comes from'
        ) from error
    except OSError:
        raise
    except Exception as error:
        # a damaged pickle makes torch raise whatever there is
        raise CheckpointError(
            f'checkpoint must be written by torch.save, got {path}, which torch cannot read '
            f'({_first_line(error)}); give the .pth file that training wrote'
        ) from error

    if not isinstance(checkpoint, dict):
        raise CheckpointError(
            f'checkpoint must hold a dict of tensors, got {type_name(checkpoint)} in {path}; '
            'save model.state_dict() where the file comes from'
        )
    left_out: dict[str, str] = {}
    try:
        checkpoint = read_back(checkpoint, '', left_out)
    except RecursionError as error:
        raise CheckpointError(
            f'checkpoint must hold plain data, got dicts or lists in one another without end in '
            f'{path}; save model.state_dict() where the file comes from'
        ) from error
    for place, name in left_out.items():
        # weights cannot be left out as other things can
        if place.split('.')[0] in STATE_DICT_KEYS:
            raise CheckpointError(
                f'checkpoint must hold tensors, got {name} at {place} in {path}, which is not '
                'read, as that could run its code; save model.state_dict() where it comes from'
            )
    if left_out:
        print_log(
            f'left out of {path}, as reading it could run code: '
            + ', '.join(f'{place} ({name})' for place, name in list(left_out.items())[:8]),
            logger='current',
            level=logging.WARNING,
        )
    check_finite(_pick_tensors(checkpoint), source=path)
    return checkpoint


def load_weights(
    model: nn.Module, path: str | Path, *, strict: bool = True, prefix: str = ''
) -> dict[str, Any]:
    """Load the weights of a checkpoint file into a model.

    Args:
        model: Receives the weights, in place, on the device where it is.
        path: The file, see `load_checkpoint_file`.
        strict: Whether every tensor must find its place, see `load_state_dict`.
        prefix: Take only the weights whose names start so, and strip it, e.g. `'backbone.'`.

    Returns:
        The whole checkpoint, for its other entries.

    Raises:
        CheckpointError: If the file cannot be read or does not fit the model.
    """
    checkpoint = load_checkpoint_file(path)
    state_dict = find_state_dict(checkpoint, source=path)
    selected = {k[len(prefix) :]: v for k, v in state_dict.items() if k.startswith(prefix)}
    if not selected:
        starts = sorted({name.split('.')[0] for name in state_dict})
        raise CheckpointError(
            f'checkpoint must hold weights named {prefix}..., got names that start with '
            f'{", ".join(starts[:8])} in {path}'
        )
    load_state_dict(model, selected, source=path, strict=strict)
    return checkpoint


def find_state_dict(checkpoint: Mapping[str, Any], *, source: str | Path) -> dict[str, Tensor]:
    """Find the weights in a checkpoint: under one of `STATE_DICT_KEYS`, or at its top level.

    Args:
        checkpoint: What `load_checkpoint_file` returned.
        source: Where it comes from, for messages.

    Returns:
        Tensors by name, without the `module.` and `_orig_mod.` that DDP and torch.compile add.

    Raises:
        CheckpointError: If there are no tensors in any of these places, or one has no name.
    """
    tensors = _pick_tensors(checkpoint)
    others = [key for key in tensors if not isinstance(key, str)]
    if others:
        raise CheckpointError(
            f'weights must have names, got the key {others[0]!r}, of {type_name(others[0])}, in '
            f'{source}; save model.state_dict() where the file comes from'
        )
    if tensors:
        return {re.sub(r'^(module\.|_orig_mod\.)+', '', k): v for k, v in tensors.items()}
    raise CheckpointError(
        f'checkpoint must hold weights at its top level or under one of '
        f'{", ".join(STATE_DICT_KEYS)}, got the keys '
        f'{", ".join(map(str, list(checkpoint)[:8])) or "(none)"} in {source}'
    )


def check_finite(tensors: Mapping[str, Tensor], *, source: str | Path) -> None:
    """Refuse weights that are NaN or infinite, as those of a training that diverged are.

    A mask, whose values are minus infinity and 0 alone, is none. Weights that hold no plain real
    numbers are refused as well.

    Args:
        tensors: By name.
        source: Where they come from, for the message.

    Raises:
        CheckpointError: If a tensor holds NaN or infinity, or is sparse, quantized, nested or
            complex, or on the device `meta`, without values.
    """
    for name, values in tensors.items():
        if kind := _describe_kind(values):
            raise CheckpointError(
                f'checkpoint must hold plain tensors of real numbers, got {name}, which is {kind}, '
                f'in {source}; save the weights of the model as it was trained'
            )
    broken = [name for name, values in tensors.items() if not _is_finite(values)]
    if broken:
        named = ', '.join(map(str, broken[:3])) + ', ...' * (len(broken) > 3)
        raise CheckpointError(
            f'checkpoint must hold finite weights, got NaN or infinity in {len(broken)} of '
            f'{len(tensors)} tensors ({named}) of '
            f'{source}; take an earlier one, from before the training diverged'
        )


def load_state_dict(
    model: nn.Module, state_dict: Mapping[str, Tensor], *, source: str | Path, strict: bool = True
) -> None:
    """Copy weights into a model, after checking that they belong to it.

    A module that can use weights of other shapes than its own, such as position embeddings of
    another image size, has a method `fit_weights(state_dict, prefix)`. It gets all weights and the
    prefix of its own names, and returns a copy in which its own have its shapes.

    Args:
        model: Receives the weights; left as it was if they do not fit.
        state_dict: Tensors by name.
        source: Where they come from, for messages.
        strict: If true, names and shapes must agree exactly. If not, what does not fit is left out
            and named in a warning, as fine-tuning needs it, but at least half of the model's
            tensors must fit.

    Raises:
        CheckpointError: If the weights do not fit.
    """
    for name, module in model.named_modules():
        fit_weights: Any = getattr(module, 'fit_weights', None)
        if fit_weights is not None:
            state_dict = fit_weights(state_dict, f'{name}.' if name else '')
    own = model.state_dict()
    fitting = {k: v for k, v in state_dict.items() if k in own and v.shape == own[k].shape}
    shapes = [
        f'{k} {tuple(v.shape)} where the model has {tuple(own[k].shape)}'
        for k, v in state_dict.items()
        if k in own and k not in fitting
    ]
    problems = '; '.join(
        f'{what}: {", ".join(names[:5])}{f" and {len(names) - 5} more" if len(names) > 5 else ""}'
        for what, names in (
            ('missing', [k for k in own if k not in state_dict]),
            ('unexpected', [k for k in state_dict if k not in own]),
            ('of another shape', shapes),
        )
        if names
    )
    summary = f'{len(fitting)} of {len(own)} tensors fit {type(model).__name__}'
    remedy = 'give the config that it was trained with'
    if shapes:
        remedy += ', or set the options that make these shapes, such as num_classes, as there'
    if strict and 2 * len(fitting) >= len(own):
        remedy += '; as the start of a training, load_from takes what fits'
    if problems and (strict or 2 * len(fitting) < len(own)):
        raise CheckpointError(
            f'checkpoint must hold the weights of this model, got {source} of which {summary} '
            f'({problems}); {remedy}'
        )
    if problems:
        print_log(f'{source}: {summary} ({problems})', logger='current', level=logging.WARNING)
    model.load_state_dict(fitting, strict=False)


def save_checkpoint_file(checkpoint: Mapping[str, Any], path: str | Path) -> None:
    """Write a checkpoint as plain data, atomically.

    Args:
        checkpoint: See `to_plain` for what can be stored.
        path: Where; a file that is already there stays whole until the new one is complete.
    """
    with write_atomically(path) as temporary:
        torch.save(to_plain(checkpoint), temporary)


def save_safetensors(
    tensors: Mapping[str, Tensor], path: str | Path, meta: Mapping[str, Any]
) -> None:
    """Write weights as a safetensors file, atomically.

    Args:
        tensors: By name; each is stored as a copy of its own, in the order of its axes.
        path: Where.
        meta: What `load_checkpoint_file` gives back under the key `meta`: values that JSON knows.
    """
    from safetensors.torch import save_file

    # it refuses tensors that share memory, and other orders of the axes
    copies = {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in tensors.items()
    }
    with write_atomically(path) as temporary:
        save_file(copies, temporary, metadata={'format': 'pt', SAFETENSORS_KEY: json.dumps(meta)})


def _pick_tensors(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights of a checkpoint, under the names that they have there; none if it has none."""
    for place in (*map(checkpoint.get, STATE_DICT_KEYS), checkpoint):
        if isinstance(place, Mapping):
            tensors = {k: v for k, v in place.items() if isinstance(v, Tensor)}
            if tensors:
                return tensors
    return {}


def _is_finite(values: Tensor) -> bool:
    if not values.is_floating_point():
        return True
    if values.element_size() == 1:
        # torch has hardly any function for numbers of 8 bits
        values = values.float()
    if values.isfinite().all():
        return True
    return bool(values.eq(0).any() and (values.eq(0) | values.isneginf()).all())


def _describe_kind(values: Tensor) -> str | None:
    """What kind of tensor it is, None if it is an ordinary one."""
    kinds = {
        'on the device meta, without values': values.is_meta,
        'nested': values.is_nested,
        'quantized': values.is_quantized,
        'sparse': values.layout != torch.strided,
        'complex': values.is_complex(),
    }
    return next((kind for kind, is_so in kinds.items() if is_so), None)


def _load_safely(path: Path, map_location: Any) -> Any:
    """Load with `weights_only=True`, at the second attempt with stand-ins for unknown classes."""
    try:
        return torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError:
        trusted = torch.serialization.get_safe_globals()
    found = list_globals(path)
    for name in found.values():
        # recent versions of torch refuse some of them by themselves
        if name.rpartition('.')[0] in _NEVER_READ:
            raise pickle.UnpicklingError(f'{name} is not read')
    # which of the two names torch looks for depends on its version
    names = {*found, *found.values()} - {
        entry[1] if isinstance(entry, tuple) else f'{entry.__module__}.{entry.__qualname__}'
        for entry in trusted
    }
    # torch looks a name up among the classes that it knows before it looks here
    stand_ins: list[Any] = [
        type(name, (StandIn,), {'__module__': module, '__qualname__': name})
        for module, _, name in (full_name.rpartition('.') for full_name in names)
    ]
    torch.serialization.add_safe_globals(stand_ins)
    try:
        return torch.load(path, map_location=map_location, weights_only=True)
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(trusted)


def _load_safetensors(path: Path, map_location: Any) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights, and what `save_safetensors` was told of them."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework='pt', device=str(map_location or 'cpu')) as file:
            meta = json.loads((file.metadata() or {}).get(SAFETENSORS_KEY, '{}'))
            return {name: file.get_tensor(name) for name in file.keys()}, meta  # noqa: SIM118
    except SafetensorError as error:
        raise CheckpointError(
            f'checkpoint must be a safetensors file, got {path} ({_first_line(error)}); '
            f'{COPY_AGAIN}'
        ) from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
