"""The registries: the names that a config can use as `type=`.

A config can also name MMAction2's and mmengine's modules: a name is looked up here first, then in
MMAction2's registry of the same kind, then in mmengine's.

What registers a name is imported when the name is looked up: the module of the core, or of a system
that is imported, whose source has it; MMAction2 when the name is not ours.
"""

import ast
import difflib
import inspect
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from mmengine import registry as mmengine
from mmengine.config import Config
from mmengine.registry import DefaultScope, init_default_scope
from mmengine.registry import Registry as MMEngineRegistry

# mmengine's loader of checkpoints, which anything that is built may call, reads safely from here on
from mmotion.checkpoint import sources as sources
from mmotion.compat import find_built_by
from mmotion.paths import PACKAGE_DIR, SCOPE, find_root

SYSTEM = re.compile(r'projects\.\w+(\.\w+)?')
CALLED = re.compile(r'register_module\((?!\)\n)')


class UnknownNameError(KeyError):
    """A config names a module that no registry holds."""

    def __str__(self) -> str:
        # a KeyError shows the repr of its message, with the quotes escaped
        return self.args[0]


class Registry(MMEngineRegistry):
    """A registry that answers an unknown name with the nearest ones and the import they need.

    Differs from mmengine's class: `get` imports what registers a name, which mmengine wants to be
    imported already, and raises where mmengine returns None; `build` finds our modules whatever
    the default scope is.

    Args:
        name: Name of the registry as users write it, such as 'MODELS'.
        parent: mmengine's registry for the same kind of module.
        locations: Modules of the core that register into it.

    Example:
        >>> MODELS.get('X3D').__module__
        'mmaction.models.backbones.x3d'
    """

    def __init__(
        self, name: str, *, parent: MMEngineRegistry, locations: list[str] | None = None
    ) -> None:
        super().__init__(name, parent=parent, scope=SCOPE, locations=locations or [])
        self._core_modules = locations or []

    def __contains__(self, key: str) -> bool:
        try:
            self.get(key)
        except UnknownNameError:
            return False
        return True

    def get(self, key: str) -> Any:
        """Look up a name, in this registry and then in its ancestors.

        Args:
            key: A registered name ('RepNet'), a name with its scope ('mmaction.ResNet'), or the
                import path of an object ('torch.nn.Linear').

        Returns:
            The registered class or function.

        Raises:
            UnknownNameError: If there is none.
        """
        if '.' in key:
            try:
                found = super().get(key)
            except (RuntimeError, UnknownNameError):
                found = None
            if found is not None:
                return found
        else:
            if key not in self.module_dict:
                self._import_modules(key)
            for registry in self._lineage():
                if registry is not self:
                    registry.import_from_location()
                if key in registry.module_dict:
                    return registry.module_dict[key]
        raise UnknownNameError(self._explain_unknown(key))

    def build(self, cfg: dict, *args: Any, **kwargs: Any) -> Any:
        """Build the object that a config describes; arguments as in mmengine."""
        current = DefaultScope.get_current_instance()
        if current is None:
            # for good, as a Runner does: models go on building parts after this call
            init_default_scope(SCOPE)
        is_ours = current is None or current.scope_name == SCOPE
        scope = DefaultScope.overwrite_default_scope(None if is_ours else SCOPE)
        # a list of models is a sequence of them
        if not isinstance(cfg, list):
            _check_part(cfg, kwargs.get('default_args'))
        with scope, explain_building():
            return super().build(cfg, *args, **kwargs)

    def import_from_location(self) -> None:
        """Import every module of the core and of the imported systems that registers into this."""
        self._import_modules()

    def _import_modules(self, key: str = '') -> None:
        """Import what registers a name, or all that registers into this registry.

        Those that define it come first, then those that mention it and call `register_module` in
        another way than as a plain decorator; these are left alone once it is registered.
        """
        found, word = [], re.escape(key)
        for name, file in self._list_sources():
            text = file.read_text(encoding='utf-8')
            if f'{self.name}.register_module' not in text:
                continue
            is_defined = bool(re.search(rf'^\s*(class|def) {word}\b', text, re.MULTILINE))
            if is_defined or (CALLED.search(text) and re.search(rf'\b{word}\b', text)):
                found.append((not is_defined, name))
        for _, name in sorted(found):
            if not key or key not in self.module_dict:
                import_module(name)

    def _list_sources(self) -> Iterator[tuple[str, Path]]:
        for name in self._core_modules:
            yield name, PACKAGE_DIR.parent.joinpath(*name.split('.')).with_suffix('.py')
        for package, module in [*sys.modules.items()]:
            if SYSTEM.fullmatch(package) and hasattr(module, '__path__'):
                for file in Path(module.__path__[0]).glob('[!_]*.py'):
                    yield f'{package}.{file.stem}', file

    def _lineage(self) -> Iterator[MMEngineRegistry]:
        root = self.root
        yield self
        # MMAction2's looks for its functions in a module that does not exist
        if root is not mmengine.FUNCTIONS:
            import_module('mmaction.registry')
            yield root.children['mmaction']
        yield root

    def _explain_unknown(self, key: str) -> str:
        in_projects = _scan_projects(self.name)
        names = {name for registry in self._lineage() for name in registry.module_dict}
        nearest = difflib.get_close_matches(key, names | in_projects.keys(), n=3)
        message = f'type must be a name in the registry {self.name}, got type={key!r}'
        if key not in in_projects and nearest:
            message += f'; did you mean {" or ".join(map(repr, nearest))}?'
        for name in [key, *nearest[:1]]:
            if name in in_projects and in_projects[name] not in sys.modules:
                return (
                    f'{message}; {name} is in {in_projects[name]}, which the config must import:\n'
                    f'custom_imports = dict(imports=[{in_projects[name]!r}], '
                    'allow_failed_imports=False)'
                )
        if nearest:
            return message
        return f'{message}; import the module that registers it by custom_imports in the config'


@contextmanager
def explain_building() -> Iterator[None]:
    """Within the block, say which module of a config could not be built, and what it was given.

    MMAction2 and mmengine check arguments by bare assertions, or let Python name one that is
    unknown. An error that this project has worded is left as it is.

    Raises:
        TypeError: If an argument is unknown, or has a wrong type.
        ValueError: If MMAction2 or mmengine want something else of an argument.
    """
    try:
        yield
    except (AssertionError, AttributeError, LookupError, TypeError, ValueError) as error:
        frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
        built = [found for frame in frames if (found := find_built_by(frame)) is not None]
        place = traceback.extract_tb(error.__traceback__)[-1]
        # not the checkout, which may hold the environment
        own = (PACKAGE_DIR, find_root() / 'projects')
        is_own = any(Path(place.filename).is_relative_to(folder) for folder in own)
        # what Python itself finds wrong, a text that is compared to a number, is not worded
        if not built or (is_own and (place.line or '').startswith('raise')):
            raise
        target, arguments = built[-1]
        if message := _explain_unknown_arguments(target, arguments):
            raise TypeError(message) from error
        text = ', '.join(f'{key}={value!r}' for key, value in arguments.items())
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(
            f'{target.__name__} must be given arguments that it can work with, got '
            f'{text if len(text) <= 300 else f"{text[:297]}..."}: {str(error) or place.line} in '
            f'{place.filename}, line {place.lineno}; correct them in the config'
        ) from error


def _check_part(cfg: Any, default_args: Any) -> None:
    """Refuse what describes no object: no dictionary, or one without a type."""
    if not isinstance(cfg, Mapping | Config):
        raise TypeError(f'a part of a config must be a dict with a type, got {cfg!r}; correct it')
    kind = cfg.get('type', (default_args or {}).get('type'))
    if not (isinstance(kind, str | type) or callable(kind)) or any(
        not isinstance(key, str) for key in cfg
    ):
        text = repr(cfg)
        raise TypeError(
            "a part of a config must be a dict with a type, dict(type='Name', ...), got "
            f'{text if len(text) <= 300 else f"{text[:297]}..."}; correct it'
        )


def _explain_unknown_arguments(target: Any, arguments: Mapping[str, Any]) -> str | None:
    """Say which arguments a class does not have; None if it has, or may have, all of them."""
    known = _list_arguments(target)
    unknown = [] if known is None else [key for key in arguments if key not in known]
    if known is None or not unknown:
        return None
    near = {key: difflib.get_close_matches(key, known, n=1) for key in unknown}
    hints = ', '.join(f'{found[0]} for {key}' for key, found in near.items() if found)
    message = f'{target.__name__} must be given arguments that it has, got {", ".join(unknown)}'
    message += f' (did you mean {hints}?)' if hints else ''
    message += f'; it has {", ".join(sorted(known)) or "none"}'
    # what a base config gave the class that another one replaces stays in the merged dict
    for registry in (MODELS, DATASETS, TRANSFORMS, HOOKS, METRICS):
        registry.import_from_location()
        for name, other in registry.module_dict.items():
            if other is not target and {*unknown} <= (_list_arguments(other) or set()):
                return (
                    f'{message}. {", ".join(unknown)} may be left of {name}: where a config '
                    'replaces the type that its base has, the new dict needs _delete_=True, or it '
                    'keeps the arguments of the old one'
                )
    return message


def _list_arguments(target: Any) -> set[str] | None:
    """The arguments of a class or function; None if it takes any, or does not tell."""
    names: set[str] = set()
    # a class that forwards **kwargs has those of the next one too
    steps = (
        [vars(c)['__init__'] for c in target.__mro__ if '__init__' in vars(c)]
        if isinstance(target, type)
        else [target]
    )
    for step in steps:
        try:
            parameters = inspect.signature(step).parameters.values()
        except (TypeError, ValueError):
            return None
        kinds = {parameter.kind for parameter in parameters}
        names |= {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        if inspect.Parameter.VAR_KEYWORD not in kinds:
            return names - {'self'}
    return None


def _scan_projects(registry_name: str) -> dict[str, str]:
    """Read, without importing them, which names the systems register.

    Args:
        registry_name: Name of the registry, as in `@MODELS.register_module()`.

    Returns:
        For each class or function name the package to import, such as 'projects.repnet'.
    """
    found = {}
    for file in sorted(find_root().glob('projects/*/*.py')):
        try:
            tree = ast.parse(file.read_text(encoding='utf-8'))
        except SyntaxError:
            continue
        for node in tree.body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and any(
                ast.unparse(decorator).startswith(f'{registry_name}.register_module')
                for decorator in node.decorator_list
            ):
                found[node.name] = f'projects.{file.parent.name}'
    return found


RUNNERS = Registry('RUNNERS', parent=mmengine.RUNNERS, locations=['mmotion.training.runner'])
RUNNER_CONSTRUCTORS = Registry('RUNNER_CONSTRUCTORS', parent=mmengine.RUNNER_CONSTRUCTORS)
LOOPS = Registry('LOOPS', parent=mmengine.LOOPS)
HOOKS = Registry(
    'HOOKS',
    parent=mmengine.HOOKS,
    locations=['mmotion.training.hooks', 'mmotion.training.unfreeze'],
)
DATASETS = Registry('DATASETS', parent=mmengine.DATASETS)
DATA_SAMPLERS = Registry(
    'DATA_SAMPLERS', parent=mmengine.DATA_SAMPLERS, locations=['mmotion.transforms.samplers']
)
TRANSFORMS = Registry(
    'TRANSFORMS',
    parent=mmengine.TRANSFORMS,
    locations=['mmotion.transforms.sampling', 'mmotion.transforms.augmentation'],
)
MODELS = Registry(
    'MODELS',
    parent=mmengine.MODELS,
    locations=['mmotion.transforms.preprocessing'],
)
MODEL_WRAPPERS = Registry(
    'MODEL_WRAPPERS', parent=mmengine.MODEL_WRAPPERS, locations=['mmotion.training.sharding']
)
WEIGHT_INITIALIZERS = Registry('WEIGHT_INITIALIZERS', parent=mmengine.WEIGHT_INITIALIZERS)
OPTIMIZERS = Registry('OPTIMIZERS', parent=mmengine.OPTIMIZERS)
OPTIM_WRAPPERS = Registry(
    'OPTIM_WRAPPERS',
    parent=mmengine.OPTIM_WRAPPERS,
    locations=['mmotion.training.precision'],
)
OPTIM_WRAPPER_CONSTRUCTORS = Registry(
    'OPTIM_WRAPPER_CONSTRUCTORS',
    parent=mmengine.OPTIM_WRAPPER_CONSTRUCTORS,
    locations=['mmotion.training.layer_decay'],
)
PARAM_SCHEDULERS = Registry('PARAM_SCHEDULERS', parent=mmengine.PARAM_SCHEDULERS)
METRICS = Registry('METRICS', parent=mmengine.METRICS, locations=['mmotion.metrics'])
EVALUATOR = Registry('EVALUATOR', parent=mmengine.EVALUATOR)
TASK_UTILS = Registry('TASK_UTILS', parent=mmengine.TASK_UTILS)
VISUALIZERS = Registry('VISUALIZERS', parent=mmengine.VISUALIZERS)
VISBACKENDS = Registry('VISBACKENDS', parent=mmengine.VISBACKENDS)
LOG_PROCESSORS = Registry('LOG_PROCESSORS', parent=mmengine.LOG_PROCESSORS)
# what turns a video into a result: one class a task, see mmotion.inference
PREDICTORS = Registry('PREDICTORS', parent=mmengine.INFERENCERS)
FUNCTIONS = Registry('FUNCTIONS', parent=mmengine.FUNCTIONS)
