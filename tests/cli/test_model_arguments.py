import argparse
from pathlib import Path

import pytest

from mmotion.cli.model_arguments import add_model_arguments, add_predictor_options
from mmotion.cli.opened_model import open_model, set_predictor_options
from mmotion.cli.shared_arguments import add_config_arguments
from tests.command_lines import TOY


def parse(*words):
    parser = argparse.ArgumentParser()
    add_config_arguments(parser)
    add_model_arguments(parser)
    add_predictor_options(parser, list(words))
    return parser.parse_args(words)


def test_what_is_known_before_weights_are_loaded():
    args = parse('repnet_small', '--checkpoint', 'random', '--predictor.report-every-s', '0.25')
    model = open_model(args)
    assert model.kind.__name__ == model.config.predictor.type
    assert Path(model.provenance['config']).stem == 'repnet_small'
    set_predictor_options(args, model)
    assert model.config.predictor.report_every_s == 0.25


def test_load():
    args = parse(TOY, '--checkpoint', 'random', '--device', 'cpu')
    model = open_model(args)
    assert type(model.load(device=args.device)) is model.kind


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['--predictor.x', '1', TOY], 'CONFIG must come first where --predictor.NAME is set'),
        ([TOY, '--detector', 'rtmlib'], '--detector and --model-path must be used with a model'),
        (['a.onnx', '--device', 'cpu'], '--device must be left out for a model that was exported'),
    ],
)
def test_wrong_use(words, message):
    with pytest.raises(ValueError, match=message):
        args = parse(*words)
        set_predictor_options(args, open_model(args))
