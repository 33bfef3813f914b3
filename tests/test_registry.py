"""Names of three packages through one registry, and the answers to names that are not there."""

import importlib
import re

import pytest
import torch
from mmengine import registry as mmengine_registry
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch import nn

from mmotion import registry
from mmotion.paths import find_root
from mmotion.registry import (
    DATASETS,
    HOOKS,
    METRICS,
    MODELS,
    PREDICTORS,
    TRANSFORMS,
    Registry,
    UnknownNameError,
)


@pytest.fixture
def brick():
    """A registered class of ours, taken back afterwards."""

    @MODELS.register_module()
    class BrickOfThisTest(nn.Module):
        pass

    yield BrickOfThisTest
    del MODELS.module_dict['BrickOfThisTest']


@pytest.mark.parametrize(
    ('registry', 'name', 'package'),
    [
        pytest.param(MODELS, 'X3D', 'mmaction.models', id='model of MMAction2'),
        pytest.param(TRANSFORMS, 'SampleFrames', 'mmaction.datasets', id='transform of MMAction2'),
        pytest.param(DATASETS, 'VideoDataset', 'mmaction.datasets', id='data set of MMAction2'),
        pytest.param(METRICS, 'AccMetric', 'mmaction.evaluation', id='metric of MMAction2'),
        # mmcv and MMAction2 both have one: the nearer package wins, whatever is imported already
        pytest.param(TRANSFORMS, 'Resize', 'mmaction.datasets', id='nearest package first'),
        pytest.param(HOOKS, 'LoggerHook', 'mmengine.hooks', id='hook of mmengine'),
        pytest.param(MODELS, 'mmaction.TimeSformer', 'mmaction.models', id='name with a scope'),
        pytest.param(MODELS, 'torch.nn.Linear', 'torch.nn', id='import path'),
    ],
)
def test_get(registry, name, package):
    assert registry.get(name).__module__.startswith(package)
    assert name in registry


def test_every_registry_that_a_runner_uses_has_a_child_of_ours():
    for name in dir(mmengine_registry):
        root = getattr(mmengine_registry, name)
        # the strategies of FlexibleRunner, which is not used here
        if isinstance(root, mmengine_registry.Registry) and name != 'STRATEGIES':
            assert isinstance(root._search_child('mmotion'), Registry), name
    assert PREDICTORS.root is mmengine_registry.INFERENCERS


def test_the_core_is_imported_from_the_registries_it_registers_into():
    for file in (find_root() / 'mmotion').glob('*.py'):
        for name in re.findall(r'^@(\w+)\.register_module', file.read_text(), flags=re.MULTILINE):
            assert f'mmotion.{file.stem}' in getattr(registry, name)._locations, f'{file}: {name}'


@pytest.mark.parametrize('scope', [None, 'mmotion', 'mmaction', 'mmengine'])
def test_build_finds_our_modules_in_every_default_scope(brick, monkeypatch, scope):
    monkeypatch.setattr(DefaultScope, '_instance_dict', type(DefaultScope._instance_dict)())
    if scope:
        mmengine_registry.init_default_scope(scope)
    assert isinstance(MODELS.build(dict(type='BrickOfThisTest')), brick)
    assert DefaultScope.get_current_instance().scope_name == (scope or 'mmotion')


def test_mmengine_and_mmaction_build_our_modules_in_our_scope(brick):
    from mmaction.registry import MODELS as MMACTION_MODELS

    with DefaultScope.overwrite_default_scope('mmotion'):
        for other in (mmengine_registry.MODELS, MMACTION_MODELS):
            assert isinstance(other.build(dict(type='BrickOfThisTest')), brick)


@pytest.mark.parametrize(
    ('registry', 'name', 'message'),
    [
        pytest.param(
            MODELS,
            'TimeSfomer',
            r"^type must be a name in the registry MODELS, got type='TimeSfomer'; "
            r"did you mean 'TimeSformer'",
            id='misspelt',
        ),
        pytest.param(MODELS, 'mmaction.NoSuchNet', "got type='mmaction.NoSuchNet'", id='scope'),
        pytest.param(MODELS, 'no.such.Net', "got type='no.such.Net'", id='import path'),
        pytest.param(MODELS, 'Qqqqqq', 'import the module that registers it', id='nothing near'),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(registry, name, message):
    with pytest.raises(UnknownNameError, match=message):
        registry.get(name)
    assert name not in registry


@pytest.fixture
def system(tmp_path, monkeypatch):
    """A root with one system whose model is not imported."""
    folder = tmp_path / 'projects' / 'juggling'
    folder.mkdir(parents=True)
    (folder / 'broken.py').write_text('def f(:')
    (folder / 'models.py').write_text(
        'from mmotion.registry import METRICS, MODELS\n\n\n'
        '@MODELS.register_module()\nclass JuggleNet:\n    pass\n\n\n'
        '@METRICS.register_module()\nclass CatchesPerMinute:\n    pass\n'
    )
    monkeypatch.setattr(registry, 'find_root', lambda: tmp_path)


IMPORT_LINE = (
    r"\ncustom_imports = dict\(imports=\['projects.juggling'\], allow_failed_imports=False\)$"
)


@pytest.mark.usefixtures('system')
@pytest.mark.parametrize(
    ('name', 'message'),
    [
        pytest.param(
            'JuggleNet', f"got type='JuggleNet'; JuggleNet is in .*{IMPORT_LINE}", id='right'
        ),
        pytest.param('JugleNet', f"did you mean 'JuggleNet'.*{IMPORT_LINE}", id='misspelt'),
    ],
)
def test_a_name_that_only_needs_an_import_is_answered_with_the_line(name, message):
    with pytest.raises(UnknownNameError, match=f'(?s){message}'):
        MODELS.get(name)


@pytest.mark.usefixtures('system')
def test_the_import_line_is_offered_for_the_right_registry_only():
    with pytest.raises(UnknownNameError) as error:
        MODELS.get('CatchesPerMinute')
    assert 'custom_imports = ' not in str(error.value)


def test_a_runner_gives_our_answer(tmp_path):
    with pytest.raises(UnknownNameError, match="did you mean 'TimeSformer'"):
        Runner(model=dict(type='TimeSfomer'), work_dir=str(tmp_path), default_scope='mmotion')


@pytest.mark.parametrize(
    ('backbone', 'clips', 'features'),
    [
        pytest.param(
            dict(
                type='mmaction.TimeSformer',
                num_frames=2,
                img_size=32,
                patch_size=16,
                embed_dims=48,
                num_heads=2,
                num_transformer_layers=1,
            ),
            (1, 3, 2, 32, 32),
            (1, 48),
            id='TimeSformer',
        ),
        pytest.param(
            dict(
                type='ResNet3dSlowFast',
                slow_pathway=dict(
                    type='resnet3d',
                    depth=18,
                    lateral=True,
                    fusion_kernel=7,
                    conv1_kernel=(1, 7, 7),
                    conv1_stride_t=1,
                    pool1_stride_t=1,
                    inflate=(0, 0, 1, 1),
                ),
                fast_pathway=dict(
                    type='resnet3d',
                    depth=18,
                    lateral=False,
                    base_channels=8,
                    conv1_kernel=(5, 7, 7),
                    conv1_stride_t=1,
                    pool1_stride_t=1,
                ),
            ),
            (1, 3, 8, 32, 32),
            [(1, 512, 1, 1, 1), (1, 64, 8, 1, 1)],
            id='SlowFast',
        ),
        pytest.param(
            dict(
                type='ResNet2Plus1d',
                depth=18,
                pretrained=None,
                pretrained2d=False,
                norm_eval=False,
                conv_cfg=dict(type='Conv2plus1d'),
                norm_cfg=dict(type='BN3d'),
                conv1_kernel=(3, 7, 7),
                conv1_stride_t=1,
                pool1_stride_t=1,
                inflate=(1, 1, 1, 1),
                spatial_strides=(1, 2, 2, 2),
                temporal_strides=(1, 2, 2, 2),
            ),
            (1, 3, 8, 32, 32),
            (1, 512, 1, 1, 1),
            id='R(2+1)D',
        ),
    ],
)
def test_a_backbone_of_mmaction2_runs(backbone, clips, features):
    model = MODELS.build(backbone)
    model.eval()
    with torch.no_grad():
        result = model(torch.zeros(clips))
    shapes = [tuple(part.shape) for part in result] if isinstance(result, tuple) else result.shape
    assert shapes == features


RECOGNIZER = {'type': 'Recognizer3D', 'backbone': {'type': 'C3D'}}
LEFT = r'num_frames, vit may be left of TimeSformer: .* the new dict needs _delete_=True'


@pytest.mark.parametrize(
    ('config', 'error', 'message'),
    [
        pytest.param(
            {'type': 'ResNet3d', 'depth': 18, 'num_frames': 8, 'vit': None, 'pretrained': None},
            TypeError,
            r'ResNet3d must be given arguments that it has, got num_frames, vit .*' + LEFT,
            id='an assertion of MMAction2 on what is left of another type',
        ),
        pytest.param(
            {**RECOGNIZER, 'cls_head': {'type': 'I3DHead', 'num_classes': 2, 'in_chanels': 4}},
            TypeError,
            r'I3DHead must be .* got in_chanels \(did you mean in_channels for in_chanels\?\); it '
            'has average_clips, dropout_ratio, in_channels',
            id='a part that MMAction2 builds, which forwards its arguments',
        ),
        pytest.param(
            {'type': 'I3DHead', 'num_classes': 'two', 'in_channels': 4},
            TypeError,
            r"I3DHead must be given arguments that it can work with, got num_classes='two', in_",
            id='a wrong type',
        ),
        pytest.param(
            {'type': 'ResNet3d', 'num_stages': 9, 'depth': 18},
            ValueError,
            r'ResNet3d must be given arguments .* got num_stages=9, depth=18: assert 1 <= num_sta',
            id='an assertion of MMAction2',
        ),
    ],
)
def test_arguments_that_a_module_cannot_have(config, error, message):
    importlib.import_module('projects.timesformer')
    with pytest.raises(error, match=message):
        MODELS.build(config)


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        ('RepNet', "must be a dict with a type, got 'RepNet'"),
        ({'depth': 18}, "must be a dict with a type, dict.* got {'depth': 18}"),
        ({'type': ['a']}, r"must be a dict with a type, dict.* got {'type': \['a'\]}"),
        ({'type': 'ResNet3d', None: 3}, r'must be a dict with a type, dict.* None: 3'),
    ],
    ids=['text', 'no type', 'a list', 'a key that is no text'],
)
def test_what_describes_no_object(config, message):
    with pytest.raises(TypeError, match=message):
        MODELS.build(config)


def test_a_text_that_is_compared_to_a_number_is_named():
    importlib.import_module('projects.repnet')
    model = {'type': 'RepNet', 'loss': {'similarity_weight': 'x'}}
    with pytest.raises(TypeError, match=r"RepNet must be given .* loss={'similarity_weight': 'x'}"):
        MODELS.build(model)
