"""Keep the OpenMMLab packages importable, PyAV's versions alike, and mediapipe quiet.

The only file that works around a dependency. One short function a problem; each looks whether the
problem is there and does nothing where the dependency has mended it. It is also the only file that
uses names which mmengine keeps to itself (`_name`): one short function each, at its end.

Versions in which the problems were seen: mmengine 0.10.7, mmcv-lite 2.1.0, mmaction2 1.2.0,
yapf 0.43.0, av 17.1.0 and 18.1.0, mediapipe 1.2.3.
"""

import functools
import importlib
import importlib.util
import logging
import os
import pickle
import re
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from mmotion.paths import find_config

DRN_PACKAGE = 'mmaction.models.localizers.drn'
MULTIMODAL_PACKAGE = 'mmaction.models.multimodal'
# what shards a training over processes: modules of mmengine, and the class that is in them
SHARDING = {
    'mmengine.optim.optimizer.zero_optimizer': 'ZeroRedundancyOptimizer',
    'mmengine.model.wrappers.fully_sharded_distributed': 'MMFullyShardedDataParallel',
}
# lines of the loggers of TensorFlow Lite and of Abseil
_CHATTER = re.compile(rb'(INFO|WARNING): |[IW]\d{4} ')
# it is one for all threads
_STDERR = threading.Lock()


@functools.cache
def apply_compat() -> None:
    """Apply every remedy, once; `mmotion` calls it before mmengine or MMAction2 is imported."""
    import_yapf_late()
    import_sharding_late()
    silence_mmcv_lite_warning()
    stand_in_for_missing_drn()
    survive_broken_multimodal()
    resolve_own_base_configs()
    stop_while_laying_out_configs()


def silence_mmcv_lite_warning() -> None:
    """Silence mmcv-lite's advice to install mmcv for one operator that nothing here uses."""
    warnings.filterwarnings(
        'ignore', message='Fail to import ``MultiScaleDeformableAttention``', category=UserWarning
    )


def stand_in_for_missing_drn() -> None:
    """Make `import mmaction.models` work although its wheel lacks the module `localizers.drn`.

    See open-mmlab/mmaction2#2714.
    """
    # asks for the folder: find_spec of a submodule would import the parents, which is what fails
    spec = importlib.util.find_spec('mmaction')
    if spec is None or not spec.submodule_search_locations:
        return
    relative = Path(*DRN_PACKAGE.split('.')[1:])
    if any((Path(folder) / relative).is_dir() for folder in spec.submodule_search_locations):
        return

    class DRN:
        """Stands for MMAction2's DRN, which is absent from its wheel."""

        def __init__(self, *args: object, **kwargs: object) -> None:
            raise ImportError(
                'DRN must be part of the installed MMAction2, got a wheel without it; '
                'install MMAction2 from its source repository'
            )

    package = ModuleType(DRN_PACKAGE)
    package.__path__ = []
    module = ModuleType(f'{DRN_PACKAGE}.drn')
    module.DRN = DRN  # pyright: ignore[reportAttributeAccessIssue]
    sys.modules.update({package.__name__: package, module.__name__: module})


def survive_broken_multimodal() -> None:
    """Let `import mmaction.models` survive a `transformers` too new for its multimodal part.

    The part is then absent, as MMAction2 itself leaves it out where `transformers` is missing.
    """
    if not any(isinstance(finder, _MultimodalFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _MultimodalFinder())


class _MultimodalFinder:
    """Finds `mmaction.models.multimodal` as usual, and loads it without VindLU if that fails."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != MULTIMODAL_PACKAGE:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return spec
        exec_module = spec.loader.exec_module

        def exec_with_or_without_vindlu(module: ModuleType) -> None:
            try:
                exec_module(module)
            except (ImportError, AttributeError, RuntimeError):
                from mmaction.registry import MODELS
                from mmaction.utils import dependency

                # some of its classes registered before the import failed
                for name, registered in list(MODELS.module_dict.items()):
                    if registered.__module__.startswith(MULTIMODAL_PACKAGE):
                        del MODELS.module_dict[name]
                dependency.WITH_MULTIMODAL = False
                exec_module(module)

        spec.loader.exec_module = exec_with_or_without_vindlu
        return spec


def resolve_own_base_configs() -> None:
    """Make `_base_ = 'mmotion::_base_/repnet.py'` name a bundled config from any folder.

    mmengine resolves `package::path` for a fixed list of packages, and by `pkg_resources`, which
    setuptools no longer has; other packages still go its way.
    """

    def mend(module: ModuleType) -> None:
        resolve = module.Config._get_cfg_path
        if getattr(resolve, 'resolves_mmotion', False):
            return

        def resolve_base(base: str, filename: str) -> tuple[str, str | None]:
            package, separator, name = base.partition('::')
            if separator and package == 'mmotion':
                return str(find_config(name)), None
            return resolve(base, filename)

        resolve_base.resolves_mmotion = True  # pyright: ignore[reportFunctionMemberAccess]
        module.Config._get_cfg_path = staticmethod(resolve_base)

    call_after_import('mmengine.config.config', mend)


def import_yapf_late() -> None:
    """Let mmengine import yapf when it lays out a config, not with its reader of configs."""
    if 'mmengine.config' in sys.modules or 'yapf' in sys.modules:
        return
    names = ('yapf', 'yapf.yapflib', 'yapf.yapflib.yapf_api')
    sys.modules.update({name: _LateYapf(name) for name in names})

    def take_back(_: ModuleType) -> None:
        for name in names:
            del sys.modules[name]

    call_after_import('mmengine.config.config', take_back)


class _LateYapf(ModuleType):
    """Stands for yapf, with what mmengine reads of it."""

    @property
    def __version__(self) -> str:
        return _import_yapf().__version__

    def FormatCode(self, *args: Any, **kwargs: Any) -> Any:
        """As in yapf."""
        _import_yapf()
        from yapf.yapflib import yapf_api

        return yapf_api.FormatCode(*args, **kwargs)


def _import_yapf() -> Any:
    """Import yapf.

    yapf writes a grammar in the user's cache folder at its first import, and renames it before all
    of it is written: of two processes that start together on a fresh machine, one can read an
    empty file. Then it is made and written anew.
    """
    try:
        import yapf
    except (EOFError, pickle.UnpicklingError):
        from yapf_third_party._ylib2to3.pgen2 import driver

        driver._newer = lambda cached, source: False
        import yapf
    return yapf


def stop_while_laying_out_configs() -> None:
    """Let Ctrl-C end what lays out a config, of which mmengine's `except:` makes a SyntaxError.

    yapf takes a second for it at the start of each run.
    """

    def mend(module: ModuleType) -> None:
        config = module.Config
        lay_out = config.pretty_text.fget

        def pretty_text(self: Any) -> str:
            try:
                return lay_out(self)
            except SyntaxError as error:
                if isinstance(error.__context__, KeyboardInterrupt):
                    raise error.__context__ from None
                raise

        config.pretty_text = property(pretty_text, doc=config.pretty_text.__doc__)

    call_after_import('mmengine.config.config', mend)


def import_sharding_late() -> None:
    """Let mmengine import what shards a training over processes with its runner, not its models.

    `mmengine.model` imports torch.distributed's FSDP and ZeRO, and with them 600 modules: sympy,
    triton, half as long as torch itself takes. A prediction needs none of them.
    """
    is_late = {'mmengine.runner', *SHARDING}.isdisjoint(sys.modules)
    if is_late and not any(isinstance(finder, _ShardingFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _ShardingFinder())


class _ShardingFinder:
    """Finds stand-ins for two classes of mmengine, until its runner, or one of them, is needed."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == 'mmengine.runner':
            self.import_real()
        # pyright does not see that the loader has all that is asked of one
        return ModuleSpec(fullname, self) if fullname in SHARDING else None  # pyright: ignore[reportArgumentType]

    def create_module(self, spec: ModuleSpec) -> None:
        """As usual."""

    def exec_module(self, module: ModuleType) -> None:
        """Put the stand-in into its module."""
        setattr(module, SHARDING[module.__name__], _LateClass(module.__name__, self))

    def import_real(self) -> None:
        """Put the real classes where the stand-ins are."""
        if self not in sys.meta_path:
            return
        sys.meta_path.remove(self)
        for name, kind in SHARDING.items():
            if sys.modules.pop(name, None):
                real = getattr(importlib.import_module(name), kind)
                package = name.rpartition('.')[0]
                while package != 'mmengine':
                    setattr(sys.modules[package], kind, real)
                    package = package.rpartition('.')[0]


class _LateClass:
    """Stands for a class, and imports it to make an object or a class of it."""

    def __init__(self, module: str, finder: _ShardingFinder) -> None:
        self.module = module
        self.finder = finder

    def find_class(self) -> type:
        """Import the class, and all others that are late."""
        self.finder.import_real()
        return getattr(importlib.import_module(self.module), SHARDING[self.module])

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.find_class()(*args, **kwargs)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type]:
        return (self.find_class(),)

    def __instancecheck__(self, instance: Any) -> bool:
        return isinstance(instance, self.find_class())

    def __subclasscheck__(self, kind: type) -> bool:
        return issubclass(kind, self.find_class())


def call_after_import(name: str, act: Callable[[ModuleType], object]) -> None:
    """Call `act(module)` when a module has been imported, at once if it has."""
    if name in sys.modules:
        act(sys.modules[name])
        return
    for finder in sys.meta_path:
        if isinstance(finder, _ActingFinder) and finder.name == name:
            finder.acts.append(act)
            return
    sys.meta_path.insert(0, _ActingFinder(name, act))


class _ActingFinder:
    """Finds one module as usual, once, and acts when it is loaded."""

    def __init__(self, name: str, act: Callable[[ModuleType], object]) -> None:
        self.name = name
        self.acts = [act]

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self.name:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return spec
        exec_module = spec.loader.exec_module

        def exec_and_act(module: ModuleType) -> None:
            exec_module(module)
            for act in self.acts:
                act(module)

        spec.loader.exec_module = exec_and_act
        return spec


def accept_any_tags() -> dict[str, Any]:
    """What `av.open` must be told to open a video whose tags, such as its title, are not UTF-8.

    PyAV 19 opens it by itself, and no longer knows the argument.
    """
    import av

    return {'metadata_errors': 'replace'} if int(av.__version__.partition('.')[0]) < 19 else {}


@contextmanager
def hide_native_log() -> Iterator[None]:
    """Keep from stderr what mediapipe 1.2.3 tells of itself there, some fifty lines.

    They come from its C++, when a landmarker is made, sees the first person and is closed, and no
    variable or function turns them off. Anything but INFO and WARNING is passed on at the end.
    """
    sys.stderr.flush()
    with _STDERR, tempfile.TemporaryFile() as hidden:
        stderr = os.dup(2)
        os.dup2(hidden.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            hidden.seek(0)
            for line in hidden:
                if not _CHATTER.match(line):
                    os.write(2, line)


def close_landmarker(landmarker: Any) -> None:
    """Close a landmarker of mediapipe, also when the process ends.

    mediapipe 1.2.3 calls its C++ from threads that Python has ended before that, and tries it once
    more when its own globals are gone: each run would end with a traceback of `__del__`.
    """
    with hide_native_log():
        try:
            landmarker.close()
        except RuntimeError:
            # closed, as far as it can tell
            landmarker._handle = None


def read_display_matrix(frame: Any) -> bytes | None:
    """How a decoded frame of PyAV is turned and mirrored, nine int32; None if it does not say.

    Asked for any side data, PyAV names all that the frame has, and raises for a kind that FFmpeg
    has and it has not, such as the EXIF of a JPEG (31). Such a kind gets a name of its own.
    """
    from av.sidedata.sidedata import Type

    def name_other(kinds: Any, value: int) -> Any:
        other = object.__new__(kinds)
        other._name_, other._value_ = f'OTHER_{value}', value
        return other

    Type._missing_ = classmethod(name_other)  # pyright: ignore[reportAttributeAccessIssue]
    matrix = frame.side_data.get('DISPLAYMATRIX')
    return None if matrix is None else bytes(matrix)


def options_of(config: Any) -> dict[str, Any]:
    """The dict behind an `mmengine.config.Config`, which itself is none."""
    return config._cfg_dict


def find_config_read_by(frame: FrameType) -> Path | None:
    """The file that this frame of a traceback reads, if it is mmengine's reader of configs."""
    return Path(frame.f_locals['filename']) if frame.f_code.co_name == '_file2dict' else None


def find_built_by(frame: FrameType) -> tuple[Any, dict[str, Any]] | None:
    """The class, and its arguments, that this frame of a traceback builds for mmengine."""
    if frame.f_code.co_name != 'build_from_cfg' or not hasattr(
        frame.f_locals.get('obj_cls'), '__name__'
    ):
        return None
    return frame.f_locals['obj_cls'], dict(frame.f_locals['args'])


def rename_run(runner: Any, timestamp: str) -> None:
    """Give a runner another `timestamp`, by which it names its logger and its folder of logs."""
    runner._timestamp = timestamp


def is_resumed(runner: Any) -> bool:
    """Whether a runner goes on with a training (`resume=True`) instead of loading weights."""
    return runner._resume


def has_train_loop(runner: Any) -> bool:
    """Whether a runner has begun to train; its public `train_loop` would build the loop."""
    return runner._train_loop is not None and not isinstance(runner._train_loop, dict)


def note_loaded(runner: Any) -> None:
    """Tell a runner that its weights are loaded, so that `train` and `test` do not load again."""
    runner._has_loaded = True


def send_ahead(model: Any) -> None:
    """Let data preprocessors send pinned batches to a GPU without waiting until they are there."""
    for module in model.modules():
        if hasattr(module, '_non_blocking'):
            module._non_blocking = True


def count_epoch(train_loop: Any) -> None:
    """Tell a loop of mmengine, whose `run_epoch` is another one, that an epoch is done."""
    train_loop._epoch += 1


def print_log(text: str, *, logger: str = 'current', level: int = logging.INFO) -> None:
    """Log by mmengine; where it is not imported, print to stderr."""
    if 'mmengine' not in sys.modules:
        print(f'mmotion: {text}', file=sys.stderr)
        return
    from mmengine import logging as mmengine

    mmengine.print_log(text, logger=logger, level=level)
