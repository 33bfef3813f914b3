"""Weights that ship: each is the file of its card, small, and fits the model of its config."""

from pathlib import Path

import pytest

from mmotion.checkpoint import find_weights, load_checkpoint_file
from mmotion.config import load_config
from mmotion.registry import MODELS

CHECKOUT = Path(__file__).resolve().parents[1]
NAMES = sorted(file.stem for file in CHECKOUT.glob('projects/*/weights/*.pth'))
CONFIGS = sorted(file.stem for file in CHECKOUT.glob('configs/*.py'))


@pytest.mark.parametrize('name', NAMES)
def test_a_file_is_that_of_its_card_and_its_config(name):
    config = load_config(name)
    path = find_weights(config)
    assert path == CHECKOUT / config.shipped_weights
    card = path.with_suffix('.md').read_text(encoding='utf-8')
    digest = Path(f'{path}.sha256').read_text().split()[0]
    for part in (digest, f'{path.stat().st_size / 1e6:.1f}', f'configs/{name}.py', 'Apache-2.0'):
        assert part in card, part
    assert path.stat().st_size < 5e6
    model, weights = MODELS.build(config.model), load_checkpoint_file(path)['state_dict']
    assert weights.keys() == model.state_dict().keys()


def test_a_wheel_stays_small():
    assert sum(file.stat().st_size for file in CHECKOUT.glob('projects/*/weights/*')) < 16e6


@pytest.mark.parametrize('name', CONFIGS)
def test_no_config_has_the_weights_of_another_network(name):
    path = load_config(name).get('shipped_weights')
    # one that changes its base's network or data must say that it has none
    others = [name] if path is None else [Path(path).stem, f'{Path(path).stem}_untrimmed']
    assert name in others
