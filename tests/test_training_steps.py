"""A training step of every system: what a compiler makes of it, and what it makes a GPU wait for.

What mmengine and MMAction2 do around a step is not asked: the data preprocessor, which looks at
the sizes of what it stacks; the logging, which reads each loss once the step is over; and the norm
of the gradients, which `optim_wrapper.clip_grad` logs before the optimizer's step.
"""

from typing import Any

import pytest
import torch
from mmengine.optim import OptimWrapper
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mmotion.training.compiling import compile_parts
from tests.training_steps import CONFIGS, prepare_step

# what asks a device for a number, or for how many there are
READS = ('_local_scalar_dense', 'nonzero', 'is_nonzero', 'equal', 'masked_select', 'unique')


@pytest.fixture(params=CONFIGS)
def case(request, tmp_path, monkeypatch) -> tuple[nn.Module, dict[str, Any], OptimWrapper]:
    """A model in training, a batch behind its data preprocessor, and its optimizer."""
    monkeypatch.chdir(tmp_path)
    step = prepare_step(request.param, tmp_path)
    return step.model, step.batch, step.build_optimizer()


class ReadWatch(TorchDispatchMode):
    """Keeps the names of operations that read a value, or wait for a copy between devices."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = func._schema.name.removeprefix('aten::')
        if name in READS:
            self.seen.append(name)
        result = func(*args, **kwargs)
        tensors = [x for x in tree_leaves((args, result)) if isinstance(x, Tensor)]
        if name in ('_to_copy', 'copy_') and len({x.device for x in tensors}) > 1:
            does_wait = not (kwargs.get('non_blocking') or args[2:] == (True,))
            if does_wait or result.device.type == 'cpu':
                self.seen.append(name)
        return result


class SendWatch(TorchFunctionMode):
    """Keeps the names of functions that send numbers of Python to a device, and wait for that."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        name = getattr(func, '__name__', '')
        if name in ('tensor', 'as_tensor', 'new_tensor', 'asarray') and result.device.type != 'cpu':
            self.seen.append(name)
        return result


def test_the_losses_of_a_step_on_a_gpu_wait_for_nothing(case):
    model, batch, _ = case
    # tensors with a device and without values: to read one is an error; cuDNN looks for a GPU
    with FakeTensorMode(allow_non_fake_inputs=True), torch.backends.cudnn.flags(enabled=False):
        model.to('cuda')
        batch = model.data_preprocessor.cast_data(batch)
        with SendWatch() as sent, ReadWatch() as read:
            losses = model(**batch, mode='loss')
    assert all(loss.device.type == 'cuda' for loss in losses.values())
    assert read.seen + sent.seen == []


def test_backward_pass_and_optimizer_wait_for_nothing(case):
    model, batch, optim_wrapper = case
    optim_wrapper.clip_grad_kwargs = {}
    read = ReadWatch()
    for _ in range(2):
        loss, _ = model.parse_losses(model(**batch, mode='loss'))
        with read:
            optim_wrapper.update_params(loss)
    assert read.seen == []


@pytest.mark.slow
def test_steps_of_one_size_are_compiled_once_and_whole(case):
    model, batch, optim_wrapper = case
    graphs = []

    def backend(graph: torch.fx.GraphModule, _: list) -> torch.fx.GraphModule:
        graphs.append(graph)
        return graph

    torch.compiler.reset()
    # torch calls it experimental, and leaves networks with nn.LSTM in pieces without it
    with torch._dynamo.config.patch(allow_rnn=True):
        assert compile_parts(model, {'backend': backend, 'fullgraph': True})
        counts = []
        for _ in range(3):
            loss, _ = model.parse_losses(model(**batch, mode='loss'))
            optim_wrapper.update_params(loss)
            batch['inputs'] = batch['inputs'].flip(0)
            counts.append(len(graphs))
    assert counts[0] > 0 and counts == counts[:1] * 3
