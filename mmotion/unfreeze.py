"""Train a part of a model later than the rest.

Weights that come from another model are good, the layers behind them are random: training both at
once spoils the first with the large gradients of the second. So the transferred part is frozen
until the rest has settled, and then trained in stages, from the layers nearest to the output.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import IterBasedTrainLoop, Runner
from torch import nn

from mmotion.registry import HOOKS

# a norm that has statistics has this buffer
_STATISTICS = '.running_mean'


@dataclass(frozen=True)
class UnfreezeStage:
    """Which of the frozen parameters train from an epoch on.

    Attributes:
        epoch: Epochs that are done before; with 3, these train in the fourth epoch for the first
            time.
        patterns: Their names, see `UnfreezeHook`.

    Raises:
        ValueError: If the epoch is negative or there is no pattern.
        TypeError: If the patterns are a single string.
    """

    epoch: int
    patterns: Sequence[str]

    def __post_init__(self) -> None:
        if self.epoch < 0:
            raise ValueError(f'epoch must not be negative, got epoch={self.epoch}')
        _check_patterns(f'patterns of the stage of epoch={self.epoch}', self.patterns)


@HOOKS.register_module()
class UnfreezeHook(Hook):
    """Freeze a part of the model when training starts, and let it train in stages.

    A frozen parameter has no gradient, so the optimizer leaves it alone, weight decay included; a
    frozen norm with running statistics stays in eval mode. What trains follows from the epoch
    alone, so a resumed run goes on as the unbroken one. Parameters that the model itself keeps
    fixed stay fixed.

    A pattern is the name of a parameter or module with `*`, `?` and `[...]` as in a shell, and
    includes all that is below it: 'encoder', 'encoder.blocks.1[0-2]', '*.norm?'. `*` also stands
    for dots. The statistics of a norm belong to its module: 'norm' names them, 'norm.weight' does
    not.

    With DDP the config needs `find_unused_parameters = True`: all parameters must be known to it
    when it wraps the model, and it must not wait for the gradients of the frozen ones. A smaller
    learning rate for the part is an option of the optimizer, `paramwise_cfg`.

    Args:
        frozen: Patterns of what is frozen at the start.
        stages: Options of each `UnfreezeStage`, in the order of their epochs. What no stage names
            is frozen to the end.

    Raises:
        ValueError: If there is no pattern or the epochs do not ascend. When training starts: if a
            pattern matches nothing, or the loop or DDP does not allow freezing.
        TypeError: If patterns are a single string.

    Example:
        >>> hook = UnfreezeHook(
        ...     frozen=['encoder'],
        ...     stages=[
        ...         dict(epoch=2, patterns=['encoder.layer4']),
        ...         dict(epoch=4, patterns=['encoder']),
        ...     ],
        ... )
    """

    def __init__(self, *, frozen: list[str], stages: list[dict[str, Any]]) -> None:
        _check_patterns('frozen', frozen)
        self.frozen = frozen
        self.stages = [UnfreezeStage(**stage) for stage in stages]
        epochs = [stage.epoch for stage in self.stages]
        if epochs != sorted(set(epochs)):
            raise ValueError(f'stages must be in ascending order of epoch, got epochs {epochs}')
        # all that is frozen at the start: parameters, and the statistics of norms
        self._part: list[str] = []
        self._frozen_norms: list[nn.Module] = []

    def before_train(self, runner: Runner) -> None:
        """Check everything and find the part, before the first epoch."""
        _check_runner(runner)
        model = _unwrap(runner.model)
        names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
        names += [name for name, _ in model.named_buffers() if name.endswith(_STATISTICS)]
        self._part = _find_matches(names, self.frozen, what='frozen')
        for stage in self.stages:
            where = f'the stage of epoch={stage.epoch}'
            _find_matches(self._part, stage.patterns, what=f'patterns of {where}')
            if stage.epoch >= runner.max_epochs:
                runner.logger.warning(f'{where} is never reached in {runner.max_epochs} epochs')

    def before_train_epoch(self, runner: Runner) -> None:
        """Freeze what belongs to no stage yet, and nothing else of the part."""
        reached = [
            p for stage in self.stages if stage.epoch <= runner.epoch for p in stage.patterns
        ]
        frozen = {name for name in self._part if not _matches_any(name, reached)}
        model = _unwrap(runner.model)
        parameters = dict(model.named_parameters())
        before = _describe_trainable(parameters)
        for name in parameters.keys() & set(self._part):
            parameters[name].requires_grad_(name not in frozen)
        self._frozen_norms = [
            model.get_submodule(name.removesuffix(_STATISTICS))
            for name in frozen
            if name.endswith(_STATISTICS)
        ]
        after = _describe_trainable(parameters)
        if after != before:
            runner.logger.info(f'from epoch {runner.epoch + 1} on, {after} train; before: {before}')

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Put frozen norms back into eval mode: the loop calls `model.train()` now and then."""
        for norm in self._frozen_norms:
            norm.eval()


def _check_runner(runner: Runner) -> None:
    """Refuse what freezing cannot work with."""
    if isinstance(runner.train_loop, IterBasedTrainLoop):
        raise ValueError(
            'train_cfg must count in epochs for UnfreezeHook, got by_epoch=False; set by_epoch=True'
        )
    wrapper = runner.model
    if is_model_wrapper(wrapper) and not getattr(wrapper, 'find_unused_parameters', False):
        raise ValueError(
            f'{type(wrapper).__name__} must not wait for the gradients of frozen parameters, got '
            'find_unused_parameters=False; set find_unused_parameters = True in the config'
        )


def _check_patterns(what: str, patterns: Sequence[str]) -> None:
    if isinstance(patterns, str):
        raise TypeError(f'{what} must be a list of patterns, got {patterns!r}')
    if not patterns:
        raise ValueError(f'{what} must have at least one pattern, got {patterns!r}')


def _unwrap(model: nn.Module) -> nn.Module:
    inner: Any = model.module if is_model_wrapper(model) else model
    return inner


def _matches_any(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, p) or fnmatchcase(name, f'{p}.*') for p in patterns)


def _find_matches(names: list[str], patterns: Sequence[str], *, what: str) -> list[str]:
    """Return the names that any of the patterns matches, each of which must match one."""
    for pattern in patterns:
        if not any(_matches_any(name, [pattern]) for name in names):
            raise ValueError(
                f'{what} must match parameters that can train, got the pattern {pattern!r}, which '
                f'matches none of {", ".join(names[:3])} ... ({len(names)} names)'
            )
    return [name for name in names if _matches_any(name, patterns)]


def _describe_trainable(parameters: dict[str, nn.Parameter]) -> str:
    sizes = [parameter.numel() for parameter in parameters.values() if parameter.requires_grad]
    return f'{sum(sizes):,} parameters in {len(sizes)} tensors'
