"""Read a config file, and refuse what would otherwise be ignored in silence.

A config is a Python file that mmengine reads: the files of `_base_` first, then its own variables.
Beyond mmengine, an unknown top-level key is an error, an option must lead somewhere, and an error
names the file and the line.
"""

import ast
import contextlib
import difflib
import importlib
import sys
import traceback
import warnings
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict

from mmotion.compat import find_config_read_by, options_of
from mmotion.paths import SCOPE, enable_projects, find_config

# the arguments of mmengine's Runner; importing it takes as long as importing torch once more
RUNNER_KEYS = frozenset(
    {'model', 'data_preprocessor', 'load_from', 'resume', 'work_dir', 'experiment_name'}
    | {'train_dataloader', 'val_dataloader', 'test_dataloader', 'val_evaluator', 'test_evaluator'}
    | {'train_cfg', 'val_cfg', 'test_cfg', 'optim_wrapper', 'param_scheduler', 'auto_scale_lr'}
    | {'default_hooks', 'custom_hooks', 'visualizer', 'log_processor', 'log_level'}
    | {'default_scope', 'env_cfg', 'launcher', 'randomness'}
)
# what mmengine's Runner reads from the whole config beside its own arguments
MODEL_KEYS = frozenset(
    {'model_wrapper_cfg', 'find_unused_parameters', 'sync_bn', 'compile'}
    | {'activation_checkpointing', 'efficient_conv_bn_eval'}
)
PIPELINE_KEYS = frozenset({'train_pipeline', 'val_pipeline'})
# what mmotion reads
OWN_KEYS = frozenset(
    {'custom_imports', 'predictor', 'released_weights', 'shipped_weights', 'stretch_schedule'}
    | {'test_pipeline'}
)
KNOWN_KEYS = RUNNER_KEYS | MODEL_KEYS | PIPELINE_KEYS | OWN_KEYS

# what is built by its type
PART_KEYS = ('model', 'predictor')

WORDS = {'true': True, 'false': False}


def load_config(path: str | Path, cfg_options: Mapping[str, Any] | None = None) -> Config:
    """Read a config, apply options to it, check its keys and import its modules.

    `custom_imports` can also name a module that lies beside a config outside of the checkout: the
    folder of the config is appended to `sys.path`.

    Args:
        path: Path of a config, or the bare name of a bundled one such as 'repnet_shapes'.
        cfg_options: Values by dotted key, {'optim_wrapper.optimizer.lr': 0.1}. A number in a key
            is an index into a list; a dict as the value is merged, and its keys may hold dots.
            `test_dataloader` follows `val_dataloader` where the file has the same for both.

    Returns:
        The config with `default_scope` set, without the helper variables (`_name`).

    Raises:
        FileNotFoundError: If the file or one of its bases does not exist.
        ValueError: If the file cannot be read, an option leads nowhere, a top-level key is
            unknown, `default_scope` is another package's, or `custom_imports` cannot be imported.
    """
    root = enable_projects()
    file = find_config(path)
    config = _read(file)
    apply_options(config, cfg_options or {})
    for key in [key for key in config if key.startswith('_')]:
        config.pop(key)
    _check_keys(config, file)
    _check_parts(config, file)

    folder = file.resolve().parent
    if not folder.is_relative_to(root / 'configs') and str(folder) not in sys.path:
        sys.path.append(str(folder))
    import_modules(config.get('custom_imports'), file)
    return config


def apply_options(config: Config, cfg_options: Mapping[str, Any]) -> None:
    """Set values of a config by dotted key, see `load_config`.

    Where a config tests on the data that it validates on, an option of `val_dataloader` is one of
    `test_dataloader` too, unless that has an option of its own.

    Raises:
        ValueError: If an option leads nowhere.
    """
    val, test = (config.get(f'{part}_dataloader') for part in ('val', 'test'))
    followed = {}
    if val is not None and val == test:
        followed = {
            key.replace('val', 'test', 1): value
            for key, value in cfg_options.items()
            if key.split('.')[0] == 'val_dataloader'
        }
    # the own ones come last and win
    for key, value in {**followed, **cfg_options}.items():
        _set_option(config, key.split('.'), value)


def read_options(texts: Iterable[str]) -> dict[str, Any]:
    """Read the options of a command line for `load_config`.

    Values are written as mmengine's `DictAction` reads them: `0.1`, `true`, `None`, `a,b`,
    `[(1, 2), c]`. Differs from it: there are dicts, and a comma within brackets and a space within
    text stay where they are (`DictAction` recurses until Python stops it, and drops the space).

    Args:
        texts: `KEY=VALUE` each; a dict as the value in Python's notation, `{'key': value}`.

    Returns:
        Values by dotted key.

    Raises:
        ValueError: If one is not `KEY=VALUE`, a bracket is not closed, or a dict is not Python.

    Example:
        >>> read_options(['a.lr=0.1', 'b=[(1, 2), c]', "boxes={'mouse.mp4': [0, 0, 64, 64]}"])
        {'a.lr': 0.1, 'b': [(1, 2), 'c'], 'boxes': {'mouse.mp4': [0, 0, 64, 64]}}
    """
    options = {}
    for text in texts:
        key, separator, value = text.partition('=')
        if not (key and separator):
            raise ValueError(f'an option must be KEY=VALUE, got {text!r}')
        try:
            options[key] = _read_value(value)
        except (SyntaxError, TypeError, ValueError) as error:
            raise ValueError(
                "the value of an option must close its brackets, and a dict be {'key': value} with "
                f'its text in quotes, got {text!r}'
            ) from error
    return options


def _read_value(text: str) -> Any:
    text = text.strip().strip('\'"')
    if text.startswith(('{', 'dict(')):
        value = ast.literal_eval(text)
        if not isinstance(value, dict):
            raise TypeError('a set')
        return value
    if text.startswith(('(', '[')):
        end = _find_end(text)
        if end is None:
            raise ValueError(f'{text[0]} is not closed')
        if end == len(text) - 1:
            items = [_read_value(item) for item in _split(text[1:-1])]
            return tuple(items) if text[0] == '(' else items
    items = _split(text)
    if text and items != [text]:
        return [_read_value(item) for item in items]
    for convert in (int, float):
        with contextlib.suppress(ValueError):
            return convert(text)
    return WORDS.get(text.lower(), None if text == 'None' else text)


def _depths(text: str) -> Iterator[int]:
    """How many brackets are open behind each character."""
    return accumulate((char in '([{') - (char in ')]}') for char in text)


def _find_end(text: str) -> int | None:
    """Find the character that closes the bracket at the start."""
    return next((i for i, depth in enumerate(_depths(text)) if depth == 0), None)


def _split(text: str) -> list[str]:
    """Split at the commas outside of brackets; what is behind the last one may be left out."""
    commas = [
        i
        for i, (char, depth) in enumerate(zip(text, _depths(text), strict=True))
        if char == ',' and depth == 0
    ]
    starts = [0, *(i + 1 for i in commas)]
    items = [text[start:end] for start, end in zip(starts, [*commas, len(text)], strict=True)]
    return items if items[-1].strip() else items[:-1]


def _read(file: Path) -> Config:
    """Read a config and its bases; turn whatever goes wrong into an error that says where."""
    try:
        return Config.fromfile(file, import_custom_modules=False)
    except FileNotFoundError as error:
        if _locate(error, file)[1] is not None:
            raise _unreadable(error, file) from error
        missing = Path(error.filename or file)
        siblings = [sibling.name for sibling in missing.parent.glob('*.py')]
        hint = _suggest(missing.name, siblings) if error.filename else ''
        raise FileNotFoundError(
            f'_base_ must name files that exist, got in {file}: {error}{hint}'
        ) from error
    except ModuleNotFoundError as error:
        if error.name != 'pkg_resources':
            raise _unreadable(error, file) from error
        source, _ = _locate(error, file)
        raise ValueError(
            f"_base_ must be a path or start with 'mmotion::', got another package in {source}; "
            'copy the base file into your folder'
        ) from error
    except RecursionError as error:
        raise ValueError(
            f'_base_ must lead to files that do not lead back, got a circle from {file}; remove '
            'one of its _base_'
        ) from error
    except Exception as error:
        raise _unreadable(error, file) from error


def _unreadable(error: Exception, file: Path) -> ValueError:
    source, line = _locate(error, file)
    place = f'{source}, line {line}' if line else str(source)
    reason = error.msg if isinstance(error, SyntaxError) else error
    return ValueError(
        f'config must be a readable Python, JSON or YAML file, got {type(error).__name__} '
        f'in {place}: {reason}'
    )


def _locate(error: Exception, file: Path) -> tuple[Path, int | None]:
    """Find which of the files of a config was being read when an error came up, and its line."""
    source, line = file, getattr(error, 'lineno', None)
    for frame, frame_line in traceback.walk_tb(error.__traceback__):
        if (config := find_config_read_by(frame)) is not None:
            source = config
        elif frame.f_code.co_filename == str(source):
            line = frame_line
    return source, line


def _set_option(config: Config, parts: list[str], value: Any) -> None:
    """Set one value by the keys that lead to it; missing dicts on the way are created."""
    key = '.'.join(parts)
    if isinstance(value, Mapping) and value.get('_delete_'):
        # the whole of what was there is replaced
        value = {name: nested for name, nested in value.items() if name != '_delete_'}
        _set_option(config, parts, ConfigDict())
    if isinstance(value, Mapping) and value:
        for name, nested in value.items():
            if not isinstance(name, str):
                raise ValueError(
                    f'keys of a dict in cfg_options must be text, got {name!r} for {key!r}; put '
                    'it in quotes'
                )
            # a name is one key, whatever dots it has: {'mouse.mp4': [0, 0, 64, 64]}
            _set_option(config, [*parts, name], nested)
        return
    if parts[0].startswith('_') or parts[0] in PIPELINE_KEYS:
        raise ValueError(
            f'cfg_options must name a key that is read after the file, got {key!r}; set the place '
            'where the config uses that variable, such as train_dataloader.dataset.pipeline'
        )
    node: Any = options_of(config)
    for depth, part in enumerate(parts):
        index: Any = part
        if isinstance(node, list) and part.isdigit() and int(part) < len(node):
            index = int(part)
        elif not isinstance(node, dict):
            raise ValueError(
                'cfg_options must lead through dicts, and through lists by an index from 0, '
                f'got {key!r}, where {".".join(parts[:depth])} is {_shorten(node)}'
            )
        if depth == len(parts) - 1:
            node[index] = value
        elif isinstance(node, dict) and node.get(index) is None:
            node[index] = ConfigDict()
        node = node[index]


def _check_keys(config: Config, file: Path) -> None:
    unknown = [f'{key!r}{_suggest(key, KNOWN_KEYS)}' for key in config if key not in KNOWN_KEYS]
    if unknown:
        raise ValueError(
            f'top-level keys of a config must be known, got {", ".join(unknown)} in {file}; '
            "the name of a helper variable starts with '_'"
        )
    if config.setdefault('default_scope', SCOPE) != SCOPE:
        raise ValueError(
            f'default_scope must be {SCOPE!r}, got default_scope={config.default_scope!r} in '
            f'{file}; the names of MMAction2 and mmengine are found from there as well'
        )


def _check_parts(config: Config, file: Path) -> None:
    """Refuse a part that is none, before somebody asks it for its type."""
    for key in PART_KEYS:
        part = config.get(key)
        if part is not None and not (isinstance(part, dict) and _is_type(part.get('type', ''))):
            raise ValueError(
                f"{key} must be dict(type='...') with the name of a class, got {key}="
                f'{_shorten(part)} in {file}'
            )
    steps = config.get('test_pipeline')
    if steps is not None and not (
        isinstance(steps, list) and all(isinstance(step, dict) for step in steps)
    ):
        raise ValueError(
            f"test_pipeline must be a list of dict(type='...'), got test_pipeline="
            f'{_shorten(steps)} in {file}'
        )


def _is_type(value: Any) -> bool:
    return isinstance(value, str) or callable(value)


def import_modules(custom_imports: Mapping[str, Any] | None, file: str | Path | None) -> None:
    """Import what `custom_imports` lists, with mmengine's meaning of its two keys.

    Args:
        custom_imports: Of a config.
        file: Of that config, for messages.

    Raises:
        ValueError: If it is something else, or a module cannot be imported.
    """
    if custom_imports is None:
        return
    enable_projects()
    is_dict = isinstance(custom_imports, Mapping)
    names = custom_imports.get('imports') if is_dict else None
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, list) or set(custom_imports) - {'imports', 'allow_failed_imports'}:
        raise ValueError(
            "custom_imports must be dict(imports=['my_module'], allow_failed_imports=False), "
            f'got custom_imports={custom_imports!r} in {file}'
        )
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:
            if isinstance(error, ImportError) and custom_imports.get('allow_failed_imports'):
                warnings.warn(f'{file}: {name} is left out, it failed: {error}', stacklevel=3)
                continue
            systems = [
                f'projects.{package.parent.name}'
                for package in enable_projects().glob('projects/*/__init__.py')
            ]
            raise ValueError(
                f'custom_imports must name modules that can be imported, got {name!r} in {file}: '
                f'{type(error).__name__}: {error}{_suggest(str(name), systems)}'
            ) from error


def _suggest(name: str, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(name, known, n=1)
    return f' (did you mean {nearest[0]!r}?)' if nearest else ''


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f'{text[:77]}...'
