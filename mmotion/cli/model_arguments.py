"""What commands are told about the model that they run; imports nothing heavy.

CONFIG names it: a config, what "mmotion publish" wrote, or a file of "mmotion export". What its
predictor can be told differs: `--help` after CONFIG lists it, and `--predictor.NAME VALUE` sets it.
"""

import argparse

from mmotion.cli.opened_model import PART
from mmotion.cli.part_options import add_part_options
from mmotion.cli.shared_arguments import (
    add_config_options,
    add_detector_arguments,
    read_config,
)

# of the predictor, what it is told in another way
SET_OTHERWISE = ('config', 'model', 'device', 'detector', 'model_path')


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
