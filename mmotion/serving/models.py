"""The models that a server offers: those that come with their weights, and those that it is given.

Nothing of torch is imported, and no config is run: what a config says is read from its text.
"""

import ast
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmotion.paths import find_config, find_root


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """A config with weights, by a name.

    Args:
        name: What clients call it.
        system: Folder of `projects/` that it belongs to.
        title: What it is, in some words.
        config: Name or path.
        checkpoint: Weights; None for those that ship with the config.
    """

    name: str
    system: str
    title: str
    config: str
    checkpoint: str | None = None


def list_models(extra: Sequence[str] = ()) -> dict[str, ServedModel]:
    """List what can be offered, by name.

    Args:
        extra: More models as `NAME=CONFIG` or `NAME=CONFIG:CHECKPOINT`, which come first.

    Returns:
        The models; of those that ship, systems with a `DEFAULT_CONFIG` come first, and it in them.

    Raises:
        ValueError: If one of `extra` is not written so.
        FileNotFoundError: If it names no config, or a file of weights that is not there.
    """
    root = find_root()
    given = [_read_extra(text) for text in extra]
    files = sorted((root / 'configs').glob('*.py'))
    shipped = [_describe(file.stem, file) for file in files if _ships(file, root)]
    first = {model.system for model in shipped if _is_default(model, root)}
    shipped.sort(key=lambda m: (m.system not in first, m.system, not _is_default(m, root)))
    models: dict[str, ServedModel] = {}
    for model in [*given, *shipped]:
        # of two with one name the first
        models.setdefault(model.name, model)
    return models


def _read_extra(text: str) -> ServedModel:
    name, is_there, rest = text.partition('=')
    if not (is_there and rest and re.fullmatch(r'[\w.-]+', name)):
        raise ValueError(
            f'--model must be NAME=CONFIG or NAME=CONFIG:CHECKPOINT, got {text!r}; '
            'for example squats=repnet_shapes:work_dirs/repnet_shapes/epoch_9.pth'
        )
    config, _, checkpoint = rest.partition('.py:') if '.py:' in rest else rest.partition(':')
    config = f'{config}.py' if '.py:' in rest else config
    is_file = '/' in checkpoint or Path(checkpoint).suffix in ('.pth', '.pt', '.safetensors')
    if is_file and not Path(checkpoint).expanduser().is_file():
        raise FileNotFoundError(f'--model must name weights that are there, got {checkpoint!r}')
    return _describe(name, find_config(config), checkpoint or None)


def _describe(name: str, file: Path, checkpoint: str | None = None) -> ServedModel:
    comment = file.read_text(encoding='utf-8').partition('\n')[0].strip('# ')
    return ServedModel(
        name=name,
        system=_find_system(file),
        title=comment.partition(';')[0],
        config=str(file),
        checkpoint=checkpoint,
    )


def _ships(file: Path, root: Path) -> bool:
    """Whether a config names weights itself; one that varies it tests them on other data."""
    weights = _read_assignments(file).get('shipped_weights')
    return bool(weights) and (root / weights).is_file()


def _is_default(model: ServedModel, root: Path) -> bool:
    names = _read_assignments(root / 'projects' / model.system / '__init__.py')
    return names.get('DEFAULT_CONFIG') == model.name


def _find_system(file: Path) -> str:
    """The system of a config: the file of that name among its bases, or among theirs."""
    systems = {path.parent.name for path in find_root().glob('projects/*/__init__.py')}
    bases = _read_assignments(file).get('_base_', [])
    paths = [file.parent / base for base in ([bases] if isinstance(bases, str) else bases)]
    named = [path.stem for path in paths if path.stem in systems]
    named = named or [_find_system(path) for path in paths if path.is_file()]
    return next(filter(None, named), '')


def _read_assignments(file: Path) -> dict[str, Any]:
    """The names of a module that stand for a text, a number or a list of such."""
    found = {}
    for node in ast.parse(file.read_text(encoding='utf-8')).body:
        if isinstance(node, ast.Assign) and isinstance(target := node.targets[0], ast.Name):
            with suppress(ValueError):
                found[target.id] = ast.literal_eval(node.value)
    return found
