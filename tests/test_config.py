"""Reading configs: what is found, what is changed, and what is refused with which words."""

import importlib.util
import inspect
import sys
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from mmotion.cli import main
from mmotion.config import RUNNER_KEYS, load_config, read_options

RUNTIME = "_base_ = 'mmotion::_base_/default_runtime.py'\n"


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a config into a folder outside of the checkout and return its path."""
    monkeypatch.setattr(sys, 'path', list(sys.path))

    def write(text: str, name: str = 'run.py') -> Path:
        file = tmp_path / name
        file.write_text(text)
        return file

    return write


def test_a_bundled_config_is_loaded_by_its_name():
    config = load_config('example_project_dots')
    assert isinstance(config, Config)
    assert config.model.type == 'ClipClassifier'
    assert 'projects.example_project' in sys.modules


def test_the_keys_of_a_runner_are_its_arguments():
    assert {*inspect.signature(Runner).parameters} - {'cfg'} == RUNNER_KEYS


def test_a_config_elsewhere_can_stand_on_a_bundled_base(write):
    config = load_config(write(RUNTIME + 'randomness = dict(seed=7)'))
    assert config.randomness == dict(seed=7)
    assert config.default_hooks.logger.type == 'LoggerHook'


def test_default_scope_is_set(write):
    assert load_config(write('model = dict()')).default_scope == 'mmotion'


def test_helper_variables_are_left_out(write):
    config = load_config(write('_size = 3\nmodel = dict(size=_size)'))
    assert 'model' in config
    assert '_size' not in config


def test_a_dumped_config_reads_back_the_same(write):
    config = load_config('example_project_dots')
    assert load_config(write(config.pretty_text)).to_dict() == config.to_dict()


def test_a_module_beside_the_config_can_be_imported(write):
    write('VALUE = 3', 'module_beside_the_config.py')
    before = list(sys.path)
    load_config(write("custom_imports = dict(imports=['module_beside_the_config'])"))
    assert sys.modules['module_beside_the_config'].VALUE == 3
    assert sys.path[: len(before)] == before


SAME = "val_dataloader = test_dataloader = dict(dataset=dict(data_root='old', fps=1))"
OTHER = "test_dataloader = dict(dataset=dict(data_root='other'))"


@pytest.mark.parametrize(
    ('text', 'options', 'expected'),
    [
        pytest.param(SAME, {'val_dataloader.dataset.data_root': 'new'}, 'new', id='same'),
        pytest.param(SAME, {'val_dataloader': {'dataset': {'data_root': 'new'}}}, 'new', id='dict'),
        pytest.param(
            SAME,
            {
                'test_dataloader.dataset.data_root': 'own',
                'val_dataloader.dataset.data_root': 'new',
            },
            'own',
            id='own',
        ),
        pytest.param(
            f'{SAME}\n{OTHER}', {'val_dataloader.dataset.data_root': 'new'}, 'other', id='other'
        ),
    ],
)
def test_the_test_data_follow_the_val_data_where_both_are_the_same(write, text, options, expected):
    config = load_config(write(RUNTIME + text), options)
    assert config.test_dataloader.dataset.data_root == expected
    assert config.val_dataloader.dataset.data_root == 'new'


def test_a_module_that_may_fail_is_left_out_with_a_warning(write):
    text = "custom_imports = dict(imports=['no_such_module'], allow_failed_imports=True)"
    with pytest.warns(UserWarning, match='no_such_module is left out'):
        load_config(write(text))


MODEL = 'model = dict(lr=0.1, layers=[dict(width=1), dict(width=2)], size=(1, 2), clip=None)\n'


@pytest.mark.parametrize(
    ('options', 'expected'),
    [
        pytest.param({'model.lr': 1}, dict(lr=1), id='value'),
        pytest.param({'model.head.width': 4}, dict(head=dict(width=4)), id='new dict'),
        pytest.param({'model.clip.norm': 1}, dict(clip=dict(norm=1)), id='None becomes a dict'),
        pytest.param(
            {'model.layers.1.width': 9}, dict(layers=[dict(width=1), dict(width=9)]), id='in a list'
        ),
        pytest.param({'model.layers.0': 7}, dict(layers=[7, dict(width=2)]), id='item of a list'),
        pytest.param({'model': dict(lr=2, x=dict(y=1))}, dict(lr=2, x=dict(y=1)), id='merged dict'),
        pytest.param({'model.clip': {}}, dict(clip={}), id='empty dict'),
        pytest.param(
            {'model.clip': {'a.mp4': {'x': 1}}}, dict(clip={'a.mp4': dict(x=1)}), id='dots in a key'
        ),
    ],
)
def test_options(write, options, expected):
    config = load_config(write(MODEL), options)
    start = dict(lr=0.1, layers=[dict(width=1), dict(width=2)], size=(1, 2), clip=None)
    assert config.model.to_dict() == start | expected


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        pytest.param(
            {'model.lr.x': 1},
            r"must lead through dicts.*got 'model.lr.x', where model.lr is 0.1",
            id='through a number',
        ),
        pytest.param(
            {'model.layers.2': 1}, r"index from 0, got 'model.layers.2'", id='past the end'
        ),
        pytest.param({'model.layers.a': 1}, r'by an index from 0', id='name in a list'),
        pytest.param({'model.size.0': 1}, r'where model.size is \(1, 2\)', id='in a tuple'),
        pytest.param({'modle.lr': 1}, r"got 'modle' \(did you mean 'model'\?\)", id='misspelt'),
        pytest.param({'_size': 1}, r"got '_size'; set the place where", id='helper'),
        pytest.param(
            {'model': {1: 2}}, r"must be text, got 1 for 'model'; put", id='key is no text'
        ),
        pytest.param(
            {'train_pipeline.0.x': 1}, r'train_dataloader.dataset.pipeline', id='pipeline'
        ),
    ],
)
def test_an_option_that_would_be_ignored_is_refused(write, options, message):
    with pytest.raises(ValueError, match=message):
        load_config(write(MODEL), options)


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        pytest.param('1', 1, id='int'),
        pytest.param('1e-3', 0.001, id='float'),
        pytest.param('False', False, id='bool'),
        pytest.param('None', None, id='None'),
        pytest.param('', '', id='nothing'),
        pytest.param("'a'", 'a', id='quotes'),
        pytest.param('x=y', 'x=y', id='equals sign'),
        pytest.param('1,b', [1, 'b'], id='list without brackets'),
        pytest.param('[(1, 2), [a, b], c]', [(1, 2), ['a', 'b'], 'c'], id='nested lists'),
        pytest.param('(1,)', (1,), id='tuple of one'),
        pytest.param('[]', [], id='empty list'),
        pytest.param('my videos/a', 'my videos/a', id='space'),
        pytest.param('[ab]c,d', ['[ab]c', 'd'], id='text that starts with a bracket'),
        # mmengine's DictAction ends in a RecursionError for each of these
        pytest.param("{'a.mp4': [1, 2]}", {'a.mp4': [1, 2]}, id='dict'),
        pytest.param('mouse(001,002)', 'mouse(001,002)', id='comma within brackets'),
        # and takes these for text
        pytest.param("{'a': 1}", {'a': 1}, id='small dict'),
        pytest.param("[{'a': 1, 'b': {}}, 2]", [{'a': 1, 'b': {}}, 2], id='dict in a list'),
    ],
)
def test_a_value_of_the_command_line(text, expected):
    value = read_options([f'model.x={text}'])['model.x']
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        pytest.param('model', "must be KEY=VALUE, got 'model'", id='no value'),
        pytest.param('=1', "must be KEY=VALUE, got '=1'", id='no key'),
        pytest.param('x=[1,2', r"must close its brackets.*got 'x=\[1,2'", id='open bracket'),
        pytest.param('x={a: 1}', r"a dict be \{'key': value\}.*got 'x=\{a: 1\}'", id='not Python'),
        pytest.param('x={1, 2}', r"a dict be \{'key': value\}", id='set'),
        pytest.param('x=[dict(a=1)]', r"a dict be \{'key': value\}", id='dict()'),
    ],
)
def test_a_value_of_the_command_line_that_cannot_be_read(text, message):
    with pytest.raises(ValueError, match=message):
        read_options([text])


def test_the_command_line_takes_a_dict(capsys):
    assert main(['train', 'example_project_dots', '--cfg-options', "foo={'a': [1, 2]}"]) != 0
    assert "keys of a config must be known, got 'foo'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        pytest.param(
            'optim_wraper = 1\nfoo = 2',
            r"got 'optim_wraper' \(did you mean 'optim_wrapper'\?\), 'foo' in .*run.py",
            id='unknown keys',
        ),
        pytest.param(
            'model = dict(\n\n    a=)', r'got SyntaxError in .*run.py, line 3', id='syntax error'
        ),
        pytest.param(
            'model = 1\nwidth = size',
            r"NameError in .*run.py, line 2: name 'size'",
            id='name error',
        ),
        pytest.param(
            "_base_ = ['base.py']", r'NameError in .*base.py, line 1', id='name error in a base'
        ),
        pytest.param(
            "_base_ = ['syntax.py']", r'SyntaxError in .*syntax.py, line 2', id='syntax in a base'
        ),
        pytest.param(
            "text = open('no_such_file').read()",
            r'FileNotFoundError in .*run.py, line 1: .*no_such_file',
            id='file that the config reads',
        ),
        pytest.param(
            "_base_ = 'mmaction::_base_/default_runtime.py'",
            r"_base_ must be a path or start with 'mmotion::'",
            id='base of another package',
            marks=pytest.mark.skipif(
                importlib.util.find_spec('pkg_resources') is not None,
                reason='mmengine can find it with the pkg_resources of an older setuptools',
            ),
        ),
        pytest.param(
            "default_scope = 'mmaction'",
            r"must be 'mmotion', got default_scope='mmaction'",
            id='scope',
        ),
        pytest.param(
            "custom_imports = ['projects.repnet']",
            r"custom_imports must be dict\(imports=\['my_module'\]",
            id='custom_imports is a list',
        ),
        pytest.param("predictor = 'x'", r"predictor must be dict.*got predictor='x'", id='text'),
        pytest.param('model = 3', r'model must be dict.* got model=3 in', id='number as a part'),
        pytest.param(
            'predictor = dict(type=3)', r"must be dict\(type='...'\)", id='type is a number'
        ),
        pytest.param("test_pipeline = 'x'", r'must be a list of dict', id='pipeline is text'),
        pytest.param('test_pipeline = [3]', r'must be a list of dict', id='step is a number'),
        pytest.param(
            "_base_ = './run.py'", r'files that do not lead back, got a circle', id='circle'
        ),
        pytest.param(
            "custom_imports = dict(import_=['projects.repnet'])",
            r'custom_imports must be dict',
            id='custom_imports has another key',
        ),
        pytest.param(
            "custom_imports = dict(imports=['projects.example_projet'])",
            r"got 'projects.example_projet' .*ModuleNotFoundError.*did you mean "
            r"'projects.example_project'",
            id='no such module',
        ),
        pytest.param(
            "custom_imports = dict(imports=['module_that_breaks'])",
            r"got 'module_that_breaks' in .*run.py: ZeroDivisionError",
            id='module that breaks',
        ),
    ],
)
def test_a_bad_config_is_refused(write, text, message):
    write('width = size', 'base.py')
    write('width = 1\nheight = (', 'syntax.py')
    write('1 / 0', 'module_that_breaks.py')
    with pytest.raises(ValueError, match=message):
        load_config(write(text))


@pytest.mark.parametrize(
    ('base', 'message'),
    [
        pytest.param('bse.py', r"must name files that exist.*bse.py.*mean 'base.py'", id='path'),
        pytest.param('mmotion::_base_/nope.py', r"got config='_base_/nope.py'", id='bundled'),
    ],
)
def test_a_base_that_does_not_exist(write, base, message):
    write('model = 1', 'base.py')
    with pytest.raises(FileNotFoundError, match=message):
        load_config(write(f'_base_ = [{base!r}]'))


def test_a_file_of_another_kind_is_refused(write):
    with pytest.raises(ValueError, match='config must be a readable Python, JSON or YAML file'):
        load_config(write('model = 1', 'run.txt'))


def test_a_yaml_config_is_read(write):
    assert load_config(write('model:\n  width: 3', 'run.yaml')).model.width == 3
