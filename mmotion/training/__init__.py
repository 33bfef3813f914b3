"""Build the object that trains and tests, and what runs beside it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmotion.training.runner import Runner, build_runner

__all__ = ['Runner', 'build_runner']


def __getattr__(name: str) -> Any:
    # a model imports what stands beside the runner, and does not need all that a training does
    if name in __all__:
        from mmotion.training import runner

        return getattr(runner, name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
