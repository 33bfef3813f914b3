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

from mmotion.checks import check_at_least
from mmotion.registry import HOOKS
from mmotion.training.models import unwrap_model

# a norm that has statistics has this buffer
_STATISTICS = '.running_mean'


@dataclass(frozen=True)
class UnfreezeStage:
    """Which of the frozen parameters train from an epoch on.

    Args:
        epoch: Epochs that are done before; with 3, these train in the fourth epoch for the first
            time.
        patterns: Their names, see `UnfreezeHook`; by default all that is frozen.
        last: How many parameter tensors, the last of those, in the order of
            `model.named_parameters()`; None for all of them. A norm all of whose parameters are
            among them learns its statistics too.

    Raises:
        ValueError: If the epoch is negative, there is no pattern, or `last` is below 1.
        TypeError: If the patterns are a single string.
    """

    epoch: int
    patterns: Sequence[str] = ('*',)
    last: int | None = None

    def __post_init__(self) -> None:
        check_at_least('epoch', self.epoch, 0)
        _check_patterns(f'patterns of {self}', self.patterns)
        if self.last is not None:
            check_at_least('last', self.last, 1)

    def __str__(self) -> str:
        return f'the stage of epoch={self.epoch}'

    def choose(self, part: list[str]) -> list[str]:
        """Give the names that train from this stage on.

        Args:
            part: What is frozen at the start: parameters in their order, and statistics of norms.

        Raises:
            ValueError: If a pattern matches none of them, or there are fewer than `last`.
        """
        found = _find_matches(part, self.patterns, what=f'patterns of {self}')
        if self.last is None:
            return found
        parameters = [name for name in found if not name.endswith(_STATISTICS)]
        if self.last > len(parameters):
            raise ValueError(
                f'last of {self} must be at most the number of frozen parameter tensors, got '
                f'last={self.last} of {len(parameters)}; freeze more, or leave last out for all'
            )
        chosen, waiting = parameters[-self.last :], parameters[: -self.last]
        whole = {_module_of(name) for name in chosen} - {_module_of(name) for name in waiting}
        statistics = [name for name in found if name.endswith(_STATISTICS)]
        return chosen + [name for name in statistics if _module_of(name) in whole]


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
    not. A stage may also take the last tensors of the part, without their names.

    With DDP the config needs `find_unused_parameters = True`: all parameters must be known to it
    when it wraps the model, and it must not wait for the gradients of the frozen ones. A learning
    rate of its own for the part is an option of the optimizer:
    `paramwise_cfg = dict(custom_keys={'encoder': dict(lr_mult=0.1)})`.

    Args:
        frozen: Patterns of what is frozen at the start.
        stages: Options of each `UnfreezeStage`, in the order of their epochs. What no stage names
            is frozen to the end.

    Raises:
        ValueError: If there is no pattern or the epochs do not ascend. When training starts: if a
            pattern matches nothing, a stage wants more tensors than there are, or the loop or DDP
            does not allow freezing.
        TypeError: If patterns are a single string.

    Example:
        >>> hook = UnfreezeHook(
        ...     frozen=['encoder'],
        ...     stages=[
        ...         dict(epoch=2, last=12),
        ...         dict(epoch=4, patterns=['encoder.layer4']),
        ...         dict(epoch=6),
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
        # what of it each stage trains
        self._choices: list[tuple[UnfreezeStage, set[str]]] = []
        self._frozen_norms: list[nn.Module] = []

    def before_train(self, runner: Runner) -> None:
        """Check everything and find the part, before the first epoch."""
        _check_runner(runner)
        model = unwrap_model(runner.model)
        names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
        names += [name for name, _ in model.named_buffers() if name.endswith(_STATISTICS)]
        self._part = _find_matches(names, self.frozen, what='frozen')
        self._choices = [(stage, set(stage.choose(self._part))) for stage in self.stages]
        for stage in self.stages:
            if stage.epoch >= runner.max_epochs:
                runner.logger.warning(f'{stage} is never reached in {runner.max_epochs} epochs')

    def before_train_epoch(self, runner: Runner) -> None:
        """Freeze what belongs to no stage yet, and nothing else of the part."""
        frozen = set(self._part)
        for stage, names in self._choices:
            if stage.epoch <= runner.epoch:
                frozen -= names
        model = unwrap_model(runner.model)
        parameters = dict(model.named_parameters())
        before = _find_trainable(parameters)
        for name in parameters.keys() & set(self._part):
            parameters[name].requires_grad_(name not in frozen)
        self._frozen_norms = [
            model.get_submodule(name.removesuffix(_STATISTICS))
            for name in frozen
            if name.endswith(_STATISTICS)
        ]
        after = _find_trainable(parameters)
        if after != before:
            runner.logger.info(
                f'from epoch {runner.epoch + 1} on, {_describe(after)} train; '
                f'before: {_describe(before)}'
            )
        added = [name for name in after if name not in before]
        if added:
            runner.logger.info(f'these begin to train: {", ".join(added)}')

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


def _module_of(name: str) -> str:
    return name.rpartition('.')[0]


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


def _find_trainable(parameters: dict[str, nn.Parameter]) -> dict[str, int]:
    """Names and sizes."""
    return {name: p.numel() for name, p in parameters.items() if p.requires_grad}


def _describe(sizes: dict[str, int]) -> str:
    return f'{sum(sizes.values()):,} parameters in {len(sizes)} tensors'
