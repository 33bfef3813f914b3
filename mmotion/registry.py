"""The registries: the names that a config can use as `type=`.

Each is a child of MMAction2's registry of the same name, so a config can also name MMAction2's
and mmengine's modules. A name is looked up here first, then in MMAction2, then in mmengine.
"""

import ast
import difflib
from typing import Any

from mmengine.registry import FUNCTIONS as MMENGINE_FUNCTIONS
from mmengine.registry import DefaultScope, init_default_scope
from mmengine.registry import Registry as MMEngineRegistry

from mmotion.compat import apply_compat
from mmotion.paths import find_root

apply_compat()

import mmaction.registry as mmaction  # noqa: E402  (needs apply_compat)

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
        with DefaultScope.overwrite_default_scope(None if is_ours else SCOPE):
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
MODEL_WRAPPERS = Registry('MODEL_WRAPPERS', parent=mmaction.MODEL_WRAPPERS)
WEIGHT_INITIALIZERS = Registry('WEIGHT_INITIALIZERS', parent=mmaction.WEIGHT_INITIALIZERS)
OPTIMIZERS = Registry('OPTIMIZERS', parent=mmaction.OPTIMIZERS)
OPTIM_WRAPPERS = Registry(
    'OPTIM_WRAPPERS', parent=mmaction.OPTIM_WRAPPERS, locations=['mmotion.training.runner']
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
