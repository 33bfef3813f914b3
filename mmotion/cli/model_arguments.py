"""What commands are told about the model that they run; imports nothing heavy.

CONFIG names it: a config, what "mmotion publish" wrote, or a file of "mmotion export". What its
predictor can be told differs: `--help` after CONFIG lists it, and `--predictor.NAME VALUE` sets it.
"""

import argparse
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from mmotion.cli.part_options import add_part_options, pop_part_options
from mmotion.cli.shared_arguments import (
    add_config_options,
    add_detector_arguments,
    read_config,
)

# key of a config whose class has options of its own, and what it is told in another way
PART = 'predictor'
SET_OTHERWISE = ('config', 'model', 'device', 'detector', 'model_path')


class NamedModel(NamedTuple):
    """What CONFIG names.

    Attributes:
        kind: Class of its predictor.
        config: What that reads of the config.
        find_weights: Gives their file, or what else names them.
        provenance: What results say of it.
        load: Gives the predictor, by what `config.predictor` says then.
    """

    kind: Any
    config: Any
    find_weights: Callable[[], str | Path | None]
    provenance: dict[str, Any]
    load: Callable[[], Any]


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the weights, the detector and the device of a model, whose CONFIG is added before."""
    parser.add_argument(
        '--checkpoint',
        metavar='CKPT',
        help="trained weights, if none ship with the config; 'random': an untrained model",
    )
    add_detector_arguments(parser, 'what finds people, where the model reads keypoints')
    parser.add_argument('--device', metavar='D', help='cpu, cuda, cuda:1, ...')


def add_predictor_options(parser: argparse.ArgumentParser, words: list[str]) -> None:
    """Add the options of the predictor of the config that is named, if they are asked for.

    Args:
        parser: Of the command.
        words: What a user has typed.

    Raises:
        ValueError: If such options come without a config before them.
    """
    prefix = f'--{PART}.'
    options = [word for word in words if word.startswith(prefix)]
    if not options and not {'-h', '--help'} & {*words}:
        return
    if words[0].startswith('-'):
        if options:
            raise ValueError(
                f'CONFIG must come first where {prefix}NAME is set, got {words[0]} before it'
            )
        return
    reader = argparse.ArgumentParser(prog=parser.prog, add_help=False, allow_abbrev=False)
    add_config_options(reader)
    from mmotion.inference.exported import Settings, find_predictor
    from mmotion.inference.runtimes import is_exported, open_network

    if is_exported(words[0]):
        network = open_network(words[0])
        kind, config = find_predictor(network), Settings(network.meta['config'])
    else:
        cfg_options = reader.parse_known_args(words[1:])[0].cfg_options
        config = read_config(words[0], cfg_options, PART)
        from mmotion.registry import PREDICTORS

        kind = PREDICTORS.get(config.predictor.type)
    add_part_options(parser, PART, kind, config.predictor, without=SET_OTHERWISE)


def open_model(args: argparse.Namespace) -> NamedModel:
    """Find the model that CONFIG names, and read what there is to know of it; loads no weights.

    Raises:
        FileNotFoundError: If it is not there.
        ImportError: If the runtime of an exported file is not installed.
        ValueError: If it cannot be used.
    """
    from mmotion.inference.runtimes import is_exported

    return _open_exported(args) if is_exported(args.config) else _open_config(args)


def set_predictor_options(args: argparse.Namespace, model: NamedModel) -> None:
    """Write what the predictor is told into `model.config`, before it is loaded.

    Raises:
        ValueError: If it takes no detector, and one is chosen.
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


def _open_config(args: argparse.Namespace) -> NamedModel:
    config = read_config(args.config, args.cfg_options, 'model', 'predictor')
    from mmotion.checkpoint import find_weights
    from mmotion.checkpoint.released import describe_weights
    from mmotion.inference import load_model
    from mmotion.registry import PREDICTORS

    return NamedModel(
        kind=PREDICTORS.get(config.predictor.type),
        config=config,
        find_weights=lambda: find_weights(config, args.checkpoint) or args.checkpoint,
        provenance={'config': str(config.filename), **describe_weights(config, args.checkpoint)},
        load=lambda: load_model(config, args.checkpoint, device=args.device),
    )


def _open_exported(args: argparse.Namespace) -> NamedModel:
    """A file of "mmotion export", which takes no more than NumPy, PyAV and its runtime."""
    for option in ('checkpoint', 'cfg_options', 'device'):
        if getattr(args, option) is not None:
            name = option.replace('_', '-')
            raise ValueError(
                f'--{name} must be left out for a model that was exported, got it with '
                f'{args.config}; export the model with what it asks for'
            )
    from mmotion.inference.exported import Settings, find_predictor, load_exported
    from mmotion.inference.runtimes import open_network

    network = open_network(args.config)
    names = ('checkpoint', 'licence')
    return NamedModel(
        kind=find_predictor(network),
        config=(config := Settings(network.meta['config'])),
        find_weights=lambda: args.config,
        provenance={
            'config': args.config,
            **{name: network.meta[name] for name in names if name in network.meta},
        },
        load=lambda: load_exported(network, config),
    )
