"""Names read from sources, against what the registries hold once all is imported."""

import importlib

import pytest

from mmotion import registry
from mmotion.cli import registered
from mmotion.cli.catalog import find_systems
from mmotion.cli.registered import find_registries, list_registered
from mmotion.paths import enable_projects

# registers where another package is installed
ROOTS = {'mmaction', 'mmcv', 'mmdet', 'mmengine', 'mmotion', 'projects', 'torch'}
CONDITIONAL = ('mmaction.models.', 'mmengine._strategy.', 'mmengine.optim.', 'mmengine.utils.')


@pytest.fixture(scope='module')
def imported() -> dict[str, set[str]]:
    """What each registry holds, with its ancestors, when everything is imported."""
    enable_projects()
    for system in find_systems():
        importlib.import_module(f'projects.{system}')
    held = {}
    for name in find_registries():
        names = set()
        for current in getattr(registry, name)._lineage():
            current.import_from_location()
            # other tests register toys, and commands what they alone use
            for key, kind in current.module_dict.items():
                if kind.__module__.split('.')[0] in ROOTS and '.commands.' not in kind.__module__:
                    names.add(key)
        held[name] = names
    return held


def test_each_registry_of_ours_is_found():
    ours = {name for name, value in vars(registry).items() if isinstance(value, registry.Registry)}
    assert {*find_registries()} == ours
    assert find_registries()['PREDICTORS'] == 'INFERENCERS'


@pytest.mark.parametrize('name', find_registries())
def test_nothing_that_a_config_can_use_is_missing(imported, name):
    assert imported[name] - {*list_registered(name)} == set()


@pytest.mark.parametrize('name', find_registries())
def test_what_is_more_is_ours_or_needs_another_package(imported, name):
    more = {key: m for key, m in list_registered(name).items() if key not in imported[name]}
    ours = {key: m for key, m in more.items() if m.startswith(('mmotion.', 'projects.'))}
    # of a room that a system imports when it is used
    for key, module in ours.items():
        importlib.import_module(module)
        assert key in getattr(registry, name).module_dict
    assert all(m.startswith(CONDITIONAL) for key, m in more.items() if key not in ours), more


SOURCE = """
@MODELS.register_module()
class Plain: ...

@MODELS.register_module('Named')
class Hidden: ...

@registry.MODELS.register_module(name=['First', 'Second'])
def make(): ...

MODELS.register_module(module=nn.ReLU)
MODELS.register_module('Conv', module=nn.Conv2d)
for kind in [nn.ELU, Tanh]:
    MODELS.register_module(module=kind)
for name in dir(torch.optim):
    MODELS.register_module(module=getattr(torch.optim, name))
for name in names:
    MODELS.register_module(module=name)
DATASETS.register_module(module=Other)
"""


def test_each_way_to_register(tmp_path):
    file = tmp_path / 'models.py'
    file.write_text(SOURCE)
    found = {*registered._read_names(file, {'MODELS', 'registry.MODELS'})}
    assert {'SGD', 'AdamW'} <= found
    found = {name for name in found if name not in registered._list_classes('torch.optim')}
    assert found == {'Plain', 'Named', 'First', 'Second', 'ReLU', 'Conv', 'ELU', 'Tanh'}


def test_a_file_that_cannot_be_read_does_not_hide_the_others(tmp_path, monkeypatch, capsys):
    for system, text in (('broken', '@DATASETS.register_module(\n'), ('whole', SOURCE)):
        (tmp_path / 'projects' / system).mkdir(parents=True)
        (tmp_path / 'projects' / system / 'data.py').write_text(text)
    monkeypatch.setattr(registered, 'enable_projects', lambda: tmp_path)
    assert list_registered('DATASETS')['Other'] == 'projects.whole.data'
    assert 'broken/data.py cannot be read: ' in capsys.readouterr().err
