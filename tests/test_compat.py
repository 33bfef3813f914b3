"""Each problem with a dependency: it is there, its remedy mends it, and is idle without it.

An import happens once a process, so the cases that import run in processes of their own.
"""

import ast
import functools
import importlib
import importlib.util
import inspect
import os
import pickle
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import av
import pytest
from mmengine.config import Config
from mmengine.model import BaseDataPreprocessor
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmotion import compat
from mmotion.video.scan import scan_video

CHECKOUT = Path(__file__).resolve().parents[1]
SOURCES = [
    file
    for folder in ('mmotion', 'projects', 'tools')
    for file in sorted((CHECKOUT / folder).rglob('*.py'))
    if file != CHECKOUT / 'mmotion' / 'compat.py'
]
FOREIGN = ('mmengine', 'mmcv', 'mmaction')
# what compat.py uses of that which mmengine keeps to itself
PRIVATE_NAMES: dict[type, set[str]] = {
    BaseDataPreprocessor: {'_non_blocking'},
    Config: {'_cfg_dict', '_file2dict', '_get_cfg_path'},
    EpochBasedTrainLoop: {'_epoch'},
    Runner: {'_has_loaded', '_resume', '_timestamp', '_train_loop'},
}
WITH_ALL = 'from mmotion import compat\ncompat.apply_compat()\n'
IMPORT_EVERYTHING = """
from mmaction import datasets, engine, evaluation, models, visualization
from mmaction.registry import DATASETS, MODELS, TRANSFORMS
assert len(MODELS) >= 77 and len(DATASETS) >= 13 and len(TRANSFORMS) >= 63
"""


def run(code: str, *path: Path) -> subprocess.CompletedProcess[str]:
    """Run code in a new process, with folders in front of `sys.path`."""
    preamble = f'import sys; sys.path[:0] = {[str(folder) for folder in (*path, CHECKOUT)]}\n'
    return subprocess.run([sys.executable, '-c', preamble + code], capture_output=True, text=True)


def without(remedy: str) -> str:
    """Code that applies all remedies but one."""
    return f'from mmotion import compat\ncompat.{remedy} = lambda: None\ncompat.apply_compat()\n'


def block(module: str) -> str:
    """Code that makes a module impossible to import."""
    return f'import sys; sys.modules[{module!r}] = None\n'


def write(folder: Path, name: str, text: str) -> None:
    """Write a file of a fake dependency."""
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_everything_of_mmaction2_is_imported_without_warnings_and_without_decord():
    strict = (
        'import warnings; warnings.simplefilter("error")\n'
        # of versions to come, and not ours to mend
        'warnings.simplefilter("ignore", DeprecationWarning)\n'
    )
    done = run(block('decord') + strict + WITH_ALL + IMPORT_EVERYTHING)
    assert (done.returncode, done.stdout) == (0, ''), done.stderr


def test_applying_every_remedy_twice_changes_nothing():
    compat.apply_compat()
    before = (list(sys.meta_path), Config._get_cfg_path)
    compat.apply_compat.__wrapped__()
    assert (sys.meta_path, Config._get_cfg_path) == before


def test_importlib_metadata_is_needed_and_required():
    done = run(block('importlib_metadata') + WITH_ALL + 'import mmaction.utils.dependency')
    assert 'importlib_metadata' in done.stderr.splitlines()[-1]
    required = (CHECKOUT / 'requirements' / 'runtime.txt').read_text()
    assert re.search(r'^importlib[-_]metadata\b', required, flags=re.MULTILINE)


class TestHalfWrittenGrammar:
    IMPORT = 'from mmengine.config import Config; Config({}).pretty_text'

    @pytest.fixture(params=[0, 1000])
    def cached(self, request, tmp_path, monkeypatch) -> list[Path]:
        """The grammars that yapf has cached, cut to some bytes."""
        monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
        run(self.IMPORT)
        files = list(tmp_path.rglob('*.pickle'))
        for file in files:
            file.write_bytes(file.read_bytes()[: request.param])
        return files

    def test_fails_without_the_remedy(self, cached):
        done = run(without('import_yapf_late') + self.IMPORT)
        assert done.stderr.splitlines()[-1].startswith(('EOFError', '_pickle.UnpicklingError'))

    def test_is_made_anew_with_the_remedy(self, cached):
        done = run(WITH_ALL + self.IMPORT)
        assert done.returncode == 0, done.stderr
        assert len(cached) == 2
        assert all(pickle.loads(file.read_bytes()) for file in cached)


class TestSharding:
    """Two classes of mmengine that stand-ins stand for, until they are needed."""

    LATE = (
        'import mmotion, sys; import mmengine.model\n'
        'from mmengine.optim import ZeroRedundancyOptimizer as zero\n'
        'assert "torch.distributed.fsdp" not in sys.modules\n'
    )
    REAL = 'from mmengine.optim import ZeroRedundancyOptimizer as real; assert real is not zero\n'

    @pytest.mark.parametrize(
        'need',
        [
            pytest.param('import mmengine.runner', id='the runner'),
            pytest.param(
                'class Own(zero): pass\nassert Own.__mro__[2].__module__[:5] == "torch"',
                id='a base class',
                marks=pytest.mark.slow,
            ),
            pytest.param('assert not isinstance(3, zero)', id='a check', marks=pytest.mark.slow),
            pytest.param('assert not issubclass(int, zero)', id='a check of a class'),
            pytest.param(
                'try: zero([], optimizer_type="SGD")\nexcept (RuntimeError, ValueError): pass',
                id='a call',
                marks=pytest.mark.slow,
            ),
        ],
    )
    def test_are_real_when_something_needs_them(self, need):
        registered = (
            'from mmotion.registry import MODEL_WRAPPERS, OPTIMIZERS\n'
            'assert OPTIMIZERS.get("ZeroRedundancyOptimizer") is real\n'
            'wrapper = MODEL_WRAPPERS.get("MMFullyShardedDataParallel")\n'
            'assert wrapper.__mro__[1].__module__[:5] == "torch"'
        )
        done = run(f'{self.LATE}{need}\n{self.REAL}{registered}')
        assert done.returncode == 0, done.stderr

    def test_are_real_from_the_start_where_the_runner_is(self):
        code = (
            'import mmotion, mmengine.runner, mmengine.optim as o; print(o.ZeroRedundancyOptimizer)'
        )
        assert "<class 'mmengine" in run(code).stdout


def test_what_is_called_after_an_import_is_called_once():
    code = (
        'from mmotion.compat import call_after_import as call\n'
        'call("wave", lambda m: print("one", m.Error)); call("wave", lambda m: print("two"))\n'
        'import wave; import wave; call("wave", lambda m: print("three"))\n'
    )
    done = run(code)
    assert done.stdout.split('\n')[:-1] == ["one <class 'wave.Error'>", 'two', 'three'], done.stderr


@pytest.mark.parametrize('first', ['mmotion', 'mmengine'])
def test_configs_are_mended_whichever_is_imported_first(first):
    other = {'mmotion': 'mmengine', 'mmengine': 'mmotion'}[first]
    code = (
        f'import {first}, {other}; from mmengine.config import Config; print(Config._get_cfg_path)'
    )
    assert 'resolve_base' in run(code).stdout


class TestMmcvLiteWarning:
    def test_is_there_without_the_remedy(self):
        done = run(without('silence_mmcv_lite_warning') + 'import mmaction.models')
        assert 'Fail to import ``MultiScaleDeformableAttention``' in done.stderr

    def test_no_other_warning_is_silenced(self):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            compat.silence_mmcv_lite_warning()
            warnings.warn('Fail to import ``MultiScaleDeformableAttention`` from', stacklevel=1)
            warnings.warn('Fail to import ``RoIAlign`` from', stacklevel=1)
        assert [str(warning.message) for warning in caught] == ['Fail to import ``RoIAlign`` from']


class TestMissingDRN:
    def test_fails_without_the_remedy(self):
        done = run(without('stand_in_for_missing_drn') + 'import mmaction.models')
        assert "No module named 'mmaction.models.localizers.drn'" in done.stderr.splitlines()[-1]

    def test_the_stand_in_raises_on_use(self):
        compat.apply_compat()
        from mmaction.models import DRN

        with pytest.raises(ImportError, match='DRN must be part of the installed MMAction2'):
            DRN(num_classes=2)

    @pytest.mark.parametrize('spec', ['mended', 'absent'])
    def test_does_nothing_where_there_is_no_such_problem(self, tmp_path, monkeypatch, spec):
        (tmp_path / 'models' / 'localizers' / 'drn').mkdir(parents=True)
        mended = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
        monkeypatch.setattr(
            importlib.util, 'find_spec', lambda name: mended if spec == 'mended' else None
        )
        monkeypatch.setattr(sys, 'modules', {})
        compat.stand_in_for_missing_drn()
        assert sys.modules == {}


class TestMultimodal:
    # every attribute of these modules is an empty class
    MODULE = (
        'def __getattr__(name):\n'
        "    if name.startswith('__'):\n"
        '        raise AttributeError(name)\n'
        "    return type(name, (), {'from_pretrained': None})\n"
    )

    @pytest.fixture
    def transformers(self, tmp_path: Path) -> Path:
        """A fake `transformers` that lacks a function which VindLU imports, as current ones do."""
        write(tmp_path, 'transformers-99.0.dist-info/METADATA', 'Name: transformers\nVersion: 99.0')
        for name in ('', 'models/', 'models/beit/'):
            write(tmp_path, f'transformers/{name}__init__.py', self.MODULE)
        write(tmp_path, 'transformers/models/beit/modeling_beit.py', self.MODULE)
        write(tmp_path, 'transformers/activations.py', 'class SomeActivation: pass')
        return tmp_path

    def test_fails_without_the_remedy(self, transformers):
        done = run(without('survive_broken_multimodal') + 'import mmaction.models', transformers)
        assert "cannot import name 'ACT2FN'" in done.stderr.splitlines()[-1]

    def test_the_rest_is_there_with_the_remedy(self, transformers):
        code = 'MODELS.build(dict(type="VindLUVQA"))'
        done = run(WITH_ALL + IMPORT_EVERYTHING + code, transformers)
        assert 'requires extra multi-modal dependencies' in done.stderr.splitlines()[-1]

    def test_does_nothing_where_the_import_works(self, transformers):
        code = """
import types
vindlu = types.ModuleType('mmaction.models.multimodal.vindlu')
vindlu.__all__, vindlu.VindLUVQA = ['VindLUVQA'], 'the real one'
sys.modules[vindlu.__name__] = vindlu
from mmaction.models import VindLUVQA
assert VindLUVQA == 'the real one'
"""
        done = run(WITH_ALL + code, transformers)
        assert done.returncode == 0, done.stderr

    def test_an_error_that_is_not_about_versions_comes_through(self, transformers):
        write(transformers, 'transformers/activations.py', '1 / 0')
        done = run(WITH_ALL + 'import mmaction.models', transformers)
        assert 'ZeroDivisionError' in done.stderr.splitlines()[-1]


class TestOwnBaseConfigs:
    BASE = 'mmotion::_base_/default_runtime.py'

    def test_fails_without_the_remedy(self):
        code = f'from mmengine.config import Config; Config._get_cfg_path({self.BASE!r}, "")'
        done = run(without('resolve_own_base_configs') + code)
        assert 'does not support to load mmotion config' in done.stderr.splitlines()[-1]

    def test_is_found_with_the_remedy(self):
        compat.apply_compat()
        path, scope = Config._get_cfg_path(self.BASE, '')
        assert Path(path).samefile(CHECKOUT / 'configs' / '_base_' / 'default_runtime.py')
        assert scope is None

    def test_other_packages_go_mmengines_way(self, monkeypatch):
        mended = staticmethod(lambda base, filename: (base, 'mended'))
        monkeypatch.setattr(Config, '_get_cfg_path', mended)
        compat.resolve_own_base_configs()
        assert Config._get_cfg_path('mmaction::x.py', '') == ('mmaction::x.py', 'mended')
        assert Config._get_cfg_path('_base_/x.py', '') == ('_base_/x.py', 'mended')


class TestTags:
    @pytest.fixture
    def video(self, tmp_path: Path) -> Path:
        """A video with a title in Latin-1."""
        with av.open(str(tmp_path / 'video.mkv'), 'w') as container:
            container.metadata['title'] = 'Caf@'
            stream = container.add_stream('mpeg4', rate=30)
            stream.width, stream.height = 64, 48
            container.mux(stream.encode(av.VideoFrame(64, 48, 'yuv420p')))
            container.mux(stream.encode(None))
        path = tmp_path / 'latin.mkv'
        content = (tmp_path / 'video.mkv').read_bytes()
        assert b'Caf@' in content
        path.write_bytes(content.replace(b'Caf@', 'Café'.encode('latin-1')))
        return path

    @pytest.mark.skipif(not compat.accept_any_tags(), reason='PyAV 19 opens it by itself')
    def test_fails_without_the_remedy(self, video):
        with pytest.raises(UnicodeDecodeError):
            av.open(str(video))

    def test_opens_with_the_remedy(self, video):
        assert scan_video(video).info.num_frames == 1

    @pytest.mark.parametrize(
        ('version', 'told'), [('17.1.0', True), ('18.1.0', True), ('19.0.2', False)]
    )
    def test_a_version_without_the_argument_is_not_told(self, version, told, monkeypatch):
        monkeypatch.setattr(av, '__version__', version)
        assert bool(compat.accept_any_tags()) == told


def is_private(name: str) -> bool:
    """Whether a name starts with a single underscore, and is more than that."""
    return re.match(r'_[a-zA-Z]', name) is not None


def names_in(source: str) -> set[str]:
    """Private names that a module defines for itself, in any class or function."""
    defined = re.findall(r'(?:def |class |self\.|cls\.)(_[a-zA-Z]\w*)', source)
    return {*defined, *re.findall(r'^\s*(_[a-zA-Z]\w*)(?:: [^=\n]+)? = ', source, re.MULTILINE)}


@functools.cache
def foreign_names() -> frozenset[str]:
    """Private names of mmengine, mmcv and MMAction2."""
    found = set()
    for package in FOREIGN:
        folder = Path(importlib.import_module(package).__path__[0])
        for file in folder.rglob('*.py'):
            found |= names_in(file.read_text(encoding='utf-8'))
    return frozenset(found)


def private_uses(tree: ast.AST) -> Iterator[tuple[str, str, int]]:
    """Give private attributes and imports: on what, the name, and the line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            yield ast.unparse(node.value), node.attr, node.lineno
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if any(node.value in names for names in PRIVATE_NAMES.values()):
                yield '', node.value, node.lineno
        elif isinstance(node, ast.ImportFrom) and (node.module or '').startswith(FOREIGN):
            for alias in node.names:
                if is_private(alias.name):
                    yield str(node.module), alias.name, node.lineno


@pytest.mark.parametrize('file', SOURCES, ids=lambda file: file.relative_to(CHECKOUT).as_posix())
def test_what_mmengine_keeps_to_itself_is_used_in_compat_alone(file):
    source = file.read_text(encoding='utf-8')
    known = set().union(*PRIVATE_NAMES.values())
    for owner, name, line in private_uses(ast.parse(source)):
        # a name of our own may be one of theirs by chance
        is_ours = name in names_in(source) and name not in known
        is_of_torch = (owner, name) == ('tensor', '_version')
        assert is_ours or is_of_torch or name not in foreign_names(), f'line {line}: {owner}.{name}'


@functools.cache
def private_names_of(cls: type) -> frozenset[str]:
    """Private names of a class: what its body defines, and what its methods set on it."""
    names = {*vars(cls), *names_in(inspect.getsource(cls))} - {'_abc_impl'}
    return frozenset(filter(is_private, names))


@pytest.mark.parametrize(
    'file',
    [file for file in SOURCES if file.relative_to(CHECKOUT).parts[0] != 'tools'],
    ids=lambda file: file.relative_to(CHECKOUT).as_posix(),
)
def test_no_class_shares_a_private_name_with_its_base_in_mmengine(file):
    name = '.'.join(file.relative_to(CHECKOUT).with_suffix('').parts)
    module = importlib.import_module(name.removesuffix('.__init__'))
    for cls in vars(module).values():
        if inspect.isclass(cls) and cls.__module__ == module.__name__:
            bases = [base for base in cls.__mro__ if base.__module__.startswith(FOREIGN)]
            theirs = frozenset().union(*map(private_names_of, bases))
            assert not private_names_of(cls) & theirs, cls


@pytest.mark.parametrize('cls', PRIVATE_NAMES, ids=lambda cls: cls.__name__)
def test_compat_uses_private_names_that_mmengine_still_has(cls):
    assert private_names_of(cls) >= PRIVATE_NAMES[cls]


def test_the_private_names_that_compat_uses_are_listed():
    source = inspect.getsource(compat)
    used = {name for _, name, _ in private_uses(ast.parse(source))} - {'_newer', '_ylib2to3'}
    # what Python's enum documents for its subclasses
    used -= {'_missing_', '_name_', '_value_'}
    # of mediapipe, which does without
    used -= {'_handle'}
    assert used == set().union(*PRIVATE_NAMES.values())


@pytest.mark.parametrize('first', ['import mmotion', 'import mmotion.registry'])
def test_mmaction2_is_importable_after_mmotion(first):
    code = f'{first}; from mmaction.models import ResNet3d; print(ResNet3d.__name__)'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.stdout.split()[-1:] == ['ResNet3d'], done.stderr[-500:]


def test_ctrl_c_ends_the_layout_of_a_config(monkeypatch):
    from mmengine.config import Config

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr('mmengine.config.config.FormatCode', stop)
    with pytest.raises(KeyboardInterrupt):
        _ = Config({'a': 1}).pretty_text
    monkeypatch.setattr('mmengine.config.config.FormatCode', lambda *_, **__: 1 / 0)
    with pytest.raises(SyntaxError, match='check the syntax'):
        _ = Config({'a': 1}).pretty_text


def test_of_native_logs_only_what_is_more_than_a_warning_gets_through(capfd):
    lines = {
        'INFO: [cpu_registry.cc:75] XNNPACK CPU accelerator registered.': False,
        'WARNING: Logging before InitGoogle() is written to STDERR': False,
        'W0000 00:00:17.98 7528 inference.cc:1433] Input tensor memory is not aligned': False,
        'E0000 00:00:17.98 7528 graph.cc:2] no memory': True,
        'ERROR: the model is broken': True,
        'Traceback (most recent call last):': True,
    }
    with pytest.raises(KeyError), compat.hide_native_log():
        for line in lines:
            os.write(2, f'{line}\n'.encode())
        raise KeyError
    os.write(2, b'INFO: after it\n')
    expected = [line for line, is_shown in lines.items() if is_shown]
    assert capfd.readouterr().err.splitlines() == [*expected, 'INFO: after it']


def test_a_landmarker_that_is_too_late_to_close_does_not_try_again():
    class Landmarker:
        _handle = 1

        def close(self):
            if self._handle:
                raise RuntimeError('cannot schedule new futures after shutdown')

    landmarker = Landmarker()
    compat.close_landmarker(landmarker)
    landmarker.close()
