"""What a predictor can do is asked in one way, of it or of its class."""

import inspect
import re
from pathlib import Path

import pytest

from mmotion.config import load_config
from mmotion.inference import DrawsAttention, Exports, Predictor
from mmotion.registry import PREDICTORS

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ('config', 'abilities'),
    [
        ('timesformer_k400', {DrawsAttention}),
        ('bkind_custom', {Exports}),
        ('repnet_small', set()),
        ('anomaly_shapes', set()),
        ('pose_convlstm_json', set()),
    ],
)
def test_what_the_predictor_of_a_config_can(config, abilities) -> None:
    kind = PREDICTORS.get(load_config(config).predictor.type)
    assert {ability for ability in (DrawsAttention, Exports) if issubclass(kind, ability)} == (
        abilities
    )
    # none has a way of its own into a video
    assert kind.predict is Predictor.predict
    assert kind.stream is Predictor.stream


def test_a_predictor_is_asked_like_its_class(predictor) -> None:
    assert not isinstance(predictor, DrawsAttention)
    assert not isinstance(predictor, Exports)
    assert not hasattr(Predictor, 'draw_attention')


@pytest.mark.parametrize(
    'file',
    [*ROOT.glob('mmotion/inference/*.py'), *ROOT.glob('projects/*/inference.py')],
    ids=lambda file: f'{file.parent.name}/{file.stem}',
)
def test_errors_of_the_library_name_no_flag_of_the_command_line(file) -> None:
    assert not re.findall(r'[ (`]--[a-z][a-z-]+', file.read_text())


def test_drawing_takes_no_times() -> None:
    for draw in (Predictor.draw, Predictor.draw_regions, DrawsAttention.draw_attention):
        assert [*inspect.signature(draw).parameters] == ['self', 'video', 'result', 'out_dir']
