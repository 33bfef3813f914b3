"""The model that CONFIG of `mmotion predict` names, before it is loaded; imports nothing heavy."""

import argparse
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mmotion.cli.part_options import pop_part_options
from mmotion.cli.shared_arguments import read_config

# key of a config whose class has options of its own
PART = 'predictor'


@dataclass(frozen=True, kw_only=True)
class OpenedModel:
    """What CONFIG names.

    Args:
        kind: Class of its predictor.
        config: What that reads of the config.
        find_weights: Gives their file, or what else names them.
        provenance: What results say of it.
        load: Gives the predictor, by what `config.predictor` says then; takes `device`, and can be
            pickled.
    """

    kind: Any
    config: Any
    find_weights: Callable[[], str | Path | None]
    provenance: dict[str, Any]
    load: Callable[..., Any]

    def describe_settings(self, model_path: str | None, asked: dict[str, Any]) -> dict[str, Any]:
        """What results depend on besides their videos.

        Args:
            model_path: Of the detector, if one is given.
            asked: Options, as plain JSON types.
        """
        from mmotion.inference.records import describe_settings, describe_source

        if model_path and Path(model_path).exists():
            asked = asked | {'model_path': describe_source(Path(model_path))}
        return describe_settings(self.config, self.find_weights(), **asked)


def open_model(args: argparse.Namespace) -> OpenedModel:
    """Find what CONFIG names.

    Raises:
        FileNotFoundError: If there is no such config.
        ValueError: If it cannot be predicted with, or an option does not go with it.
        ImportError: If the runtime of an exported file is not installed.
    """
    from mmotion.inference.runtimes import is_exported

    return _open_exported(args) if is_exported(args.config) else _open_config(args)


def set_predictor_options(args: argparse.Namespace, model: OpenedModel) -> None:
    """Write what the command line says of the predictor, and of its detector, into the config.

    Raises:
        ValueError: If it is told of a detector and has none.
    """
    model.config.predictor.update(pop_part_options(args, PART))
    chosen = {'detector': args.detector, 'model_path': args.model_path}
    chosen = {name: value for name, value in chosen.items() if value}
    if chosen and 'detector' not in inspect.signature(model.kind).parameters:
        raise ValueError(
            '--detector and --model-path must be used with a model that reads keypoints, got the '
            f'predictor {model.kind.__name__}; leave them out'
        )
    model.config.predictor.update(chosen)


def _open_config(args: argparse.Namespace) -> OpenedModel:
    config = read_config(args.config, args.cfg_options, 'model', 'predictor')
    from mmotion.checkpoint import find_weights
    from mmotion.checkpoint.released import describe_weights
    from mmotion.inference import load_model
    from mmotion.registry import PREDICTORS

    return OpenedModel(
        kind=PREDICTORS.get(config.predictor.type),
        config=config,
        find_weights=lambda: find_weights(config, args.checkpoint) or args.checkpoint,
        provenance={'config': str(config.filename), **describe_weights(config, args.checkpoint)},
        load=partial(load_model, config, args.checkpoint),
    )


def _open_exported(args: argparse.Namespace) -> OpenedModel:
    """A file of "mmotion export", which takes no more than NumPy, PyAV and its runtime."""
    for option in ('checkpoint', 'cfg_options', 'device'):
        if getattr(args, option) is not None:
            name = option.replace('_', '-')
            raise ValueError(
                f'--{name} must be left out for a model that was exported, got it with '
                f'{args.config}; export the model with what it asks for'
            )
    from mmotion.inference.exported import Settings, find_predictor
    from mmotion.inference.runtimes import open_network

    network = open_network(args.config)
    names = ('checkpoint', 'licence')
    return OpenedModel(
        kind=find_predictor(network),
        config=(config := Settings(network.meta['config'])),
        find_weights=lambda: args.config,
        provenance={
            'config': args.config,
            **{name: network.meta[name] for name in names if name in network.meta},
        },
        load=_ExportedLoader(args.config, config, network),
    )


@dataclass(frozen=True)
class _ExportedLoader:
    """Gives the predictor of an exported file; in another process that opens the file anew."""

    path: str
    config: Any
    network: Any = None

    def __reduce__(self) -> Any:
        return _ExportedLoader, (self.path, self.config)

    def __call__(self, *, device: str | None = None) -> Any:
        """It has no device but the one that it was exported for."""
        del device
        from mmotion.inference.exported import load_exported

        return load_exported(self.network or self.path, self.config)
