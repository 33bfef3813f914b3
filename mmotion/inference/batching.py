"""One model for several predictors that run in threads of their own.

Each predictor makes its inputs by itself. What they share, the model or a detector of people, works
in a thread of its own: it takes the call that has waited longest together with all others that wait
and can be joined to it, answers them as one batch, and takes that apart again. So a batch is as
large as what has come in during the one before, and nobody waits for others where little is to do.
Triton and TorchServe call it dynamic batching, with a delay of 0.

Calls can be joined that have the same name and inputs of the same kinds and shapes. A part whose
answers do not tell one sample from the next is asked one by one.
"""

import copy
import sys
import threading
from collections.abc import Hashable, Iterable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy as np

from mmotion.checks import check_at_least
from mmotion.inference.lean import without_gradients
from mmotion.inference.predictor import Predictor

P = TypeVar('P', bound=Predictor[Any])


class SharedPartClosedError(RuntimeError):
    """A call came, or waited, when nobody answered any more."""


class _Call(NamedTuple):
    """What a thread waits for.

    Attributes:
        name: Of the method.
        args: Arguments by place.
        kwargs: Arguments by name.
        key: Equal for calls that can be joined.
        answer: Gets what comes out.
    """

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    key: Hashable
    answer: 'Future[Any]'

    @property
    def values(self) -> list[Any]:
        """All arguments, in an order that the key fixes."""
        return [*self.args, *self.kwargs.values()]


class _WholeAnswerError(Exception):
    """An answer to a batch does not tell what belongs to which sample of it."""


class SharedPart:
    """Stands for a part of several predictors, and is one to all who ask what it is.

    Args:
        part: The part, such as a model in eval mode.
        calls: Names of the methods that are answered in batches. Whatever else it has is given
            as it is.
        max_batch: Most calls that are joined.

    Attributes:
        num_calls: Calls that have been answered.
        num_batches: In how many batches.

    Raises:
        ValueError: If `max_batch` is below 1.

    Example:
        >>> with SharedPart(np, ['sqrt'], max_batch=4) as shared:
        ...     shared.sqrt(np.array([4.0, 9.0])), shared.pi
        (array([2., 3.]), 3.141592653589793)
    """

    def __init__(self, part: Any, calls: Iterable[str], *, max_batch: int) -> None:
        check_at_least('max_batch', max_batch, 1)
        self._part, self._calls, self._max_batch = part, {*calls}, max_batch
        self._waiting: list[_Call] = []
        self._changed = threading.Condition()
        self._is_closed = False
        self.num_calls = self.num_batches = 0
        # it must not keep the process alive when that is to end
        self._thread = threading.Thread(target=self._run, name='shared part', daemon=True)
        self._thread.start()

    @property
    def __class__(self) -> Any:
        """What `isinstance` sees: predictors ask whether their model is of a certain kind."""
        return type(self._part)

    def __getattr__(self, name: str) -> Any:
        return partial(self._ask, name) if name in self._calls else getattr(self._part, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the part."""
        if '__call__' in self._calls:
            return self._ask('__call__', *args, **kwargs)
        return self._part(*args, **kwargs)

    def __enter__(self) -> 'SharedPart':
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Answer no more: what is called now, or waits, raises `SharedPartClosedError`."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _ask(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Wait for an answer."""
        call = _Call(name, args, kwargs, _make_key(name, args, kwargs), Future())
        with self._changed:
            if self._is_closed:
                raise SharedPartClosedError(f'{name} must be called before the end, got it after')
            self._waiting.append(call)
            self._changed.notify_all()
        return call.answer.result()

    def _run(self) -> None:
        """Answer in the thread."""
        while calls := self._take():
            with without_gradients():
                self._answer(calls)

    def _take(self) -> list[_Call]:
        """Wait for calls, and take those that can be joined to the oldest; none at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closed)
            if self._is_closed:
                for call in self._waiting:
                    call.answer.set_exception(SharedPartClosedError(f'{call.name} was left out'))
                return []
            taken: list[_Call] = []
            left: list[_Call] = []
            for call in self._waiting:
                fits = call.key == self._waiting[0].key and len(taken) < self._max_batch
                (taken if fits else left).append(call)
            self._waiting = left
            return taken

    def _answer(self, calls: list[_Call]) -> None:
        self.num_batches += 1
        self.num_calls += len(calls)
        try:
            answers = self._run_joined(calls)
        except Exception as error:
            if len(calls) == 1:
                calls[0].answer.set_exception(error)
                return
            if isinstance(error, _WholeAnswerError):
                self._max_batch = 1
            # what one of them has done must not be the fault of the others
            for call in calls:
                self._answer([call])
            return
        for call, answer in zip(calls, answers, strict=True):
            call.answer.set_result(answer)

    def _run_joined(self, calls: list[_Call]) -> list[Any]:
        """Give the answer to each call."""
        method = getattr(self._part, calls[0].name)
        if len(calls) == 1:
            return [method(*calls[0].args, **calls[0].kwargs)]
        first = calls[0]
        values = [_join(parts) for parts in zip(*(call.values for call in calls), strict=True)]
        num_args = len(first.args)
        named = dict(zip(first.kwargs, values[num_args:], strict=True))
        output = method(*values[:num_args], **named)
        ends = np.cumsum([_count(call.values) for call in calls]).tolist()
        return [
            _cut(output, slice(start, end), ends[-1])
            for start, end in zip([0, *ends], ends, strict=False)
        ]


def share(predictor: P, number: int, *, max_batch: int) -> tuple[list[P], list[SharedPart]]:
    """Make several predictors that share the large parts of one, and have the rest for themselves.

    Args:
        predictor: Names these parts, and what they are asked, in `batched_calls`.
        number: How many predictors.
        max_batch: See `SharedPart`.

    Returns:
        The predictors, each for a thread, and the parts, to be closed at the end.
    """
    parts, known = [], {id(predictor.config): predictor.config}
    for name, calls in predictor.batched_calls.items():
        part = getattr(predictor, name)
        parts.append(SharedPart(part, calls, max_batch=max_batch))
        known[id(part)] = parts[-1]
    # what is known is not copied
    return [copy.deepcopy(predictor, dict(known)) for _ in range(number)], parts


def _is_array(value: Any) -> bool:
    """Whether it has an axis for the samples of a batch, NumPy's or torch's."""
    return hasattr(value, 'dtype') and len(getattr(value, 'shape', ())) > 0


def _count(values: Iterable[Any]) -> int:
    """Samples of a call that can be joined to others."""
    return next(len(value) for value in values if _is_array(value) or isinstance(value, list))


def _make_key(name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> Hashable:
    """What is equal for calls that can be joined; of one that cannot, it is equal to no other."""
    values = [*args, *kwargs.values()]
    sizes = {len(value) for value in values if _is_array(value) or isinstance(value, list)}
    described = tuple(map(_describe, values))
    if len(sizes) != 1 or None in described:
        return object()
    return (name, len(args), tuple(kwargs), described)


def _describe(value: Any) -> Hashable:
    """The kind of an argument; None if it is of no kind that can be joined."""
    if _is_array(value):
        return (type(value), value.dtype, str(getattr(value, 'device', '')), value.shape[1:])
    if isinstance(value, list):
        # samples, which may be pictures of some size
        kinds = {(type(item), getattr(item, 'shape', None)) for item in value}
        return (list, *kinds) if len(kinds) == 1 else None
    return (type(value), value) if value is None or isinstance(value, str | int | float) else None


def _join(parts: Sequence[Any]) -> Any:
    """One argument of several calls."""
    if isinstance(parts[0], list):
        return [item for part in parts for item in part]
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    return sys.modules['torch'].cat(parts) if _is_array(parts[0]) else parts[0]


def _cut(output: Any, part: slice, number: int) -> Any:
    """What belongs to some samples of what was given for all of them.

    Raises:
        _WholeAnswerError: If it does not tell them apart.
    """
    if isinstance(output, tuple):
        values = [_cut(value, part, number) for value in output]
        return output._make(values) if hasattr(output, '_make') else tuple(values)
    if isinstance(output, dict):
        return {name: _cut(value, part, number) for name, value in output.items()}
    if not (_is_array(output) or isinstance(output, list)) or len(output) != number:
        raise _WholeAnswerError
    return output[part]
