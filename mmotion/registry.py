"""The registries: the names that a config can use as `type=`.

Each is a child of MMAction2's registry of the same name, so a config can also name MMAction2's
and mmengine's modules. A name is looked up here first, then in MMAction2, then in mmengine.
"""

import ast
import difflib
import inspect
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import FUNCTIONS as MMENGINE_FUNCTIONS
from mmengine.registry import DefaultScope, init_default_scope
from mmengine.registry import Registry as MMEngineRegistry

from mmotion.compat import apply_compat, find_built_by
from mmotion.paths import PACKAGE_DIR, find_root

apply_compat()

import mmaction.registry as mmaction  # noqa: E402  (needs apply_compat)

# mmengine's loader of checkpoints, which anything that is built may call, reads safely from here on
from mmotion.checkpoint import sources as sources  # noqa: E402

SCOPE = 'mmotion'


class UnknownNameError(KeyError):
    """A config names a module that no registry holds."""

    def __str__(self) -> str:
        # a KeyError shows the repr of its message, with the quotes escaped
        return self.args[0]


class Registry(MMEngineRegistry):
    """A registry that answers an unknown name with the nearest ones and the import they need.

    Differs from mmengine's class: `get` imports MMAction2's modules when a name is not ours
    (mmengine reads only what happens to be imported), and raises where mmengine returns None;
    `build` finds our modules whatever the default scope is.

    Args:
        name: Name of the registry as users write it, such as 'MODELS'.
        parent: MMAction2's registry for the same kind of module.
        locations: Modules of the core that register into it, imported on the first look-up.

    Example:
        >>> MODELS.get('X3D').__module__
        'mmaction.models.backbones.x3d'
    """

    def __init__(
        self, name: str, *, parent: MMEngineRegistry, locations: list[str] | None = None
    ) -> None:
        super().__init__(name, parent=parent, scope=SCOPE, locations=locations or [])

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
            for registry in self._lineage():
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

    def _lineage(self) -> list[MMEngineRegistry]:
        lineage: list[MMEngineRegistry] = [self]
        while lineage[-1].parent is not None:
            lineage.append(lineage[-1].parent)
        return lineage

    def _explain_unknown(self, key: str) -> str:
        in_projects = _scan_projects(self.name)
        names = {name for registry in self._lineage() for name in registry.module_dict}
        nearest = difflib.get_close_matches(key, names | in_projects.keys(), n=3)
        message = f'type must be a name in the registry {self.name}, got type={key!r}'
        if key not in in_projects and nearest:
            message += f'; did you mean {" or ".join(map(repr, nearest))}?'
        for name in [key, *nearest[:1]]:
            if name in in_projects and name not in self.module_dict:
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


RUNNERS = Registry('RUNNERS', parent=mmaction.RUNNERS, locations=['mmotion.training.runner'])
RUNNER_CONSTRUCTORS = Registry('RUNNER_CONSTRUCTORS', parent=mmaction.RUNNER_CONSTRUCTORS)
LOOPS = Registry('LOOPS', parent=mmaction.LOOPS)
HOOKS = Registry(
    'HOOKS',
    parent=mmaction.HOOKS,
    locations=['mmotion.training.hooks', 'mmotion.training.unfreeze'],
)
DATASETS = Registry('DATASETS', parent=mmaction.DATASETS)
DATA_SAMPLERS = Registry(
    'DATA_SAMPLERS', parent=mmaction.DATA_SAMPLERS, locations=['mmotion.transforms.samplers']
)
TRANSFORMS = Registry(
    'TRANSFORMS',
    parent=mmaction.TRANSFORMS,
    locations=['mmotion.transforms.sampling', 'mmotion.transforms'],
)
MODELS = Registry(
    'MODELS',
    parent=mmaction.MODELS,
    locations=['mmotion.checkpoint.sources', 'mmotion.transforms.preprocessing'],
)
MODEL_WRAPPERS = Registry(
    'MODEL_WRAPPERS', parent=mmaction.MODEL_WRAPPERS, locations=['mmotion.training.sharding']
)
WEIGHT_INITIALIZERS = Registry('WEIGHT_INITIALIZERS', parent=mmaction.WEIGHT_INITIALIZERS)
OPTIMIZERS = Registry('OPTIMIZERS', parent=mmaction.OPTIMIZERS)
OPTIM_WRAPPERS = Registry(
    'OPTIM_WRAPPERS',
    parent=mmaction.OPTIM_WRAPPERS,
    locations=['mmotion.training.precision'],
)
OPTIM_WRAPPER_CONSTRUCTORS = Registry(
    'OPTIM_WRAPPER_CONSTRUCTORS',
    parent=mmaction.OPTIM_WRAPPER_CONSTRUCTORS,
    locations=['mmotion.training.layer_decay'],
)
PARAM_SCHEDULERS = Registry('PARAM_SCHEDULERS', parent=mmaction.PARAM_SCHEDULERS)
METRICS = Registry('METRICS', parent=mmaction.METRICS, locations=['mmotion.metrics'])
EVALUATOR = Registry('EVALUATOR', parent=mmaction.EVALUATOR)
TASK_UTILS = Registry('TASK_UTILS', parent=mmaction.TASK_UTILS)
VISUALIZERS = Registry('VISUALIZERS', parent=mmaction.VISUALIZERS)
VISBACKENDS = Registry('VISBACKENDS', parent=mmaction.VISBACKENDS)
LOG_PROCESSORS = Registry('LOG_PROCESSORS', parent=mmaction.LOG_PROCESSORS)
# what turns a video into a result: one class a task, see mmotion.inference
PREDICTORS = Registry('PREDICTORS', parent=mmaction.INFERENCERS)
# a child of mmengine's: MMAction2's looks for its functions in a module that does not exist
FUNCTIONS = Registry('FUNCTIONS', parent=MMENGINE_FUNCTIONS)
