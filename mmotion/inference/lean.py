"""What lets a predictor run without torch and the registries, where a model was exported to a file.

What registers a class imports the registries, and with them torch. `import_lean` imports one module
and what that needs. Modules that are imported so import nothing heavy at their top.
"""

import importlib
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import ModuleType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mmotion.paths import find_root

# systems whose `__init__` was not run are packages of this one
LEAN = 'mmotion_lean'

Kind = TypeVar('Kind', bound=type)


def import_lean(name: str) -> ModuleType:
    """Import a module of a system without the rest of it.

    It gets a name of its own, so that the whole system can be imported afterwards as well.

    Args:
        name: Such as 'projects.repnet.inference'.

    Raises:
        ImportError: If there is no such module.
    """
    _, system, module = name.split('.')
    if f'projects.{system}' in sys.modules:
        return importlib.import_module(name)
    for package, folder in ((LEAN, ''), (f'{LEAN}.{system}', system)):
        if package not in sys.modules:
            found = sys.modules[package] = ModuleType(package)
            found.__path__ = [str(find_root() / 'projects' / folder)]
    return importlib.import_module(f'{LEAN}.{system}.{module}')


class _Registry:
    """A registry of `mmotion.registry` for classes that `import_lean` may import.

    Args:
        name: What it is called there.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def register_module(self) -> Callable[[Kind], Kind]:
        """See mmengine."""

        def register(kind: Kind) -> Kind:
            if not kind.__module__.startswith(LEAN):
                registry = getattr(importlib.import_module('mmotion.registry'), self.name)
                registry.register_module(module=kind)
            return kind

        return register


PREDICTORS = _Registry('PREDICTORS')
TRANSFORMS = _Registry('TRANSFORMS')


class Transform:
    """A step of a pipeline that needs NumPy alone; mmcv's `BaseTransform` for others."""

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Run it."""
        return self.transform(results)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """What it does to a sample."""
        raise NotImplementedError


def without_gradients() -> AbstractContextManager[Any]:
    """Torch's inference mode; nothing where torch is not imported, as then nothing needs it."""
    torch: Any = sys.modules.get('torch')
    return torch.inference_mode() if torch else nullcontext()


def to_array(values: Any) -> NDArray[Any]:
    """An array of what a model gave, on any device and in any precision of floating point."""
    if isinstance(values, np.ndarray | np.generic):
        return np.asarray(values)
    return (values.float() if values.is_floating_point() else values).cpu().numpy()
