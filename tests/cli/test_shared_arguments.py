import argparse

import pytest

from mmotion.cli.commands import predict, train


def parse(module, *words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    if hasattr(module, 'add_more_arguments'):
        module.add_more_arguments(parser, [*words])
    return parser.parse_args(words)


def test_options_of_the_config_go_together():
    args = parse(train, 'repnet_shapes', '--cfg-options', 'a.b=1', 'c=x=y')
    assert args.cfg_options == ['a.b=1', 'c=x=y']


@pytest.mark.parametrize('option', ['a.b', '=1'])
def test_an_option_of_the_config_needs_key_and_value(capsys, option):
    with pytest.raises(SystemExit):
        parse(train, 'c', '--cfg-options', option)
    assert f'must be KEY=VALUE, got {option!r}' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('words', 'resume'),
    [
        pytest.param([], None, id='from the start'),
        pytest.param(['--resume'], 'auto', id='from the last checkpoint'),
        pytest.param(['--resume', 'a.pth'], 'a.pth', id='from a file'),
    ],
)
def test_resume(words, resume):
    assert parse(train, 'c', *words).resume == resume


def test_options_of_the_config_add_up():
    args = parse(train, 'c.py', '--cfg-options', 'a=1', '--cfg-options', 'b=2', 'c=3')
    assert args.cfg_options == ['a=1', 'b=2', 'c=3']


def test_regions_may_be_named_twice():
    args = parse(predict, 'c', 'a.mp4', '--regions', '1,2,3,4', '--regions', 'b=1,2,3,4')
    assert args.regions == ['1,2,3,4', 'b=1,2,3,4']
