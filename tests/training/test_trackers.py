import sys
import types
from importlib.machinery import ModuleSpec

import pytest
from mmengine.config import Config

from mmotion.training.trackers import add_loggers, check_trackers


@pytest.fixture
def install(monkeypatch):
    """Let a package be there that has nothing in it but what it is given."""

    def run(name, **content):
        module = types.ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)

    return run


def list_backends(config):
    return [backend['type'] for backend in config.visualizer['vis_backends']]


def test_a_logger_is_added_once_to_those_of_the_config(install):
    install('tensorboard')
    visualizer = {
        'type': 'Visualizer',
        'name': 'mine',
        'vis_backends': [{'type': 'LocalVisBackend'}],
    }
    config = Config({'visualizer': visualizer})
    add_loggers(config, [])
    assert list_backends(config) == ['LocalVisBackend']
    for _ in range(2):
        add_loggers(config, ['tensorboard', 'tensorboard'])
        assert list_backends(config) == ['LocalVisBackend', 'TensorboardVisBackend']
    assert config.visualizer['name'] == 'mine'
    config = Config({})
    add_loggers(config, ['tensorboard'])
    assert config.visualizer['type'] == 'Visualizer'


@pytest.mark.parametrize('name', ['tensorboard', 'wandb'])
def test_a_logger_that_is_not_installed_is_refused(monkeypatch, name):
    monkeypatch.setattr('importlib.util.find_spec', lambda package: None)
    with pytest.raises(ValueError, match=rf'no package {name}; pip install "mmotion\[track\]"'):
        add_loggers(Config({}), [name])
    check_trackers(Config({'visualizer': {'vis_backends': [{'type': 'LocalVisBackend'}]}}))


def test_an_account_is_asked_for_before_any_work(install):
    class UsageError(Exception):
        pass

    def log_in():
        raise UsageError('No API key configured.')

    errors = types.SimpleNamespace(UsageError=UsageError)
    install('wandb', login=log_in, errors=errors)
    message = (
        'W&B must know .* got "No API key configured."; run "wandb login", or set WANDB_MODE=off'
    )
    with pytest.raises(ValueError, match=message):
        add_loggers(Config({}), ['wandb'])
    install('wandb', login=lambda: True, errors=errors)
    add_loggers(config := Config({}), ['wandb'])
    assert list_backends(config) == ['WandbVisBackend']
