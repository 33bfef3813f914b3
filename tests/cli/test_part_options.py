import argparse
from collections.abc import Sequence
from typing import Any, Literal

import pytest

from mmotion.cli.part_options import add_part_options, find_options, pop_part_options


class Base:
    """What is shared.

    Args:
        device: Where it runs.
    """

    def __init__(self, *, device: str = 'cpu') -> None:
        self.device = device


class Part(Base):
    """A part with arguments of all kinds.

    Args:
        window_s: Length of a window,
            100 % of a clip if None.
        how: Name of a method.
        size: Height and width.
        strides: Any number of them.
        smooth: Whether to smooth.
        every: Step.
        losses: Weights by name.

    Raises:
        ValueError: Never.
    """

    def __init__(
        self,
        *,
        window_s: float | None = None,
        how: Literal['mean', 'max'] = 'mean',
        size: tuple[int, int] = (8, 9),
        strides: Sequence[int] = (1,),
        smooth: bool = False,
        every: int,
        losses: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)


@pytest.fixture
def parser():
    parser = argparse.ArgumentParser(prog='x')
    add_part_options(parser, 'part', Part, {'size': (3, 4)}, without=['device'])
    return parser


def test_arguments_of_the_base_are_read_where_they_are_handed_on():
    options = {option.name: option for option in find_options(Part)}
    assert [*options][-1] == 'device'
    assert options['device'].description == 'Where it runs.'
    assert options['window_s'].description == 'Length of a window, 100 % of a clip if None.'
    assert [option.name for option in find_options(Base, without=['device'])] == []


@pytest.mark.parametrize(
    ('word', 'value'),
    [
        pytest.param('--part.window-s=2', {'window_s': 2.0}, id='number'),
        pytest.param('--part.window-s=none', {'window_s': None}, id='none'),
        pytest.param('--part.how=max', {'how': 'max'}, id='choice'),
        pytest.param('--part.size=5,6', {'size': (5, 6)}, id='pair'),
        pytest.param('--part.strides=1,2,4', {'strides': (1, 2, 4)}, id='several'),
        pytest.param('--part.smooth=true', {'smooth': True}, id='truth'),
        pytest.param('--part.smooth=no', {'smooth': False}, id='not'),
        pytest.param('--part.every=7', {'every': 7}, id='integer'),
    ],
)
def test_a_word_becomes_the_value_that_the_annotation_asks_for(parser, word, value):
    args = parser.parse_args([word])
    assert pop_part_options(args, 'part') == value
    assert vars(args) == {}


@pytest.mark.parametrize(
    ('word', 'message'),
    [
        pytest.param('--part.window-s=long', "must be NUMBER|none, got 'long'", id='number'),
        pytest.param('--part.how=median', "must be mean|max, got 'median'", id='choice'),
        pytest.param('--part.size=5', "must be INT,INT, got '5'", id='pair'),
        pytest.param('--part.strides=a', "must be INT,..., got 'a'", id='several'),
        pytest.param('--part.smooth=maybe', "must be true|false, got 'maybe'", id='truth'),
        pytest.param('--part.every=none', "must be INT, got 'none'", id='not optional'),
        pytest.param(
            '--part.losses=a',
            'losses cannot be said in a word; set it in a config, or by --cfg-options part.losses.',
            id='dict',
        ),
        pytest.param('--part.device=cpu', 'unrecognized arguments', id='left out'),
    ],
)
def test_another_word_is_refused(parser, capsys, word, message):
    with pytest.raises(SystemExit):
        parser.parse_args([word])
    assert message in capsys.readouterr().err


def test_what_nobody_sets_is_not_there(parser):
    assert pop_part_options(parser.parse_args([]), 'part') == {}


def test_help_tells_names_defaults_and_what_the_config_sets(parser):
    text = ' '.join(parser.format_help().split())
    assert 'options of Part, set by --part.NAME VALUE' in text
    assert '--part.window-s NUMBER|none Length of a window, 100 % of a clip if None.' in text
    assert 'Height and width. Default: (3, 4), by the config' in text
    assert 'Name of a method. Default: mean' in text
    assert '--part.every INT Step. --' in text
