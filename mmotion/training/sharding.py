"""Share a large model among processes, which each keep a part of it: torch's FSDP2.

With DDP each process holds all weights, gradients and the state of the optimizer, four numbers a
weight with Adam. Here it holds its share of them, and gathers the weights of a block when it gets
to it. What the model and its optimizer give as their state is whole, as is what they load, so that
checkpoints are those of any other training, and go on with any number of processes.

Paper: Zhao et al., PyTorch FSDP: Experiences on Scaling Fully Sharded Data Parallel, VLDB 2023.
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.dist import broadcast, get_world_size
from torch import Tensor, nn
from torch.optim import Optimizer

from mmotion.checks import check_choice
from mmotion.registry import MODEL_WRAPPERS

NEEDS_TORCH = '2.6'
PRECISIONS = ('float32', 'bfloat16')


@MODEL_WRAPPERS.register_module()
class ShardedModel(nn.Module):
    """A model that several processes share, each of which trains on its own part of a batch.

    In a config: `model_wrapper_cfg = dict(type='ShardedModel', blocks=['backbone.blocks.*'])`. All
    processes must call `state_dict()` and `load_state_dict()` of the model together.

    Args:
        module: The model, equal in all processes and on the device of this one; changed in place.
        blocks: Names of modules, with `*` and `?` as in a shell, whose weights are gathered one
            module after the other; what is in none of them is gathered once a step. A module in
            one that is named belongs to that.
        precision: In what the blocks compute, 'float32' or 'bfloat16'. Weights stay in float32,
            and so does the sum of gradients over processes, and what is outside of the blocks.

    Raises:
        ImportError: If torch is older than 2.6.
        ValueError: If a pattern matches no module, or there is no such precision.
    """

    def __init__(
        self, *, module: nn.Module, blocks: Sequence[str], precision: str = 'float32'
    ) -> None:
        super().__init__()
        check_choice('precision', precision, PRECISIONS)
        chosen = _choose_blocks(module, blocks)
        for values in (*module.parameters(), *module.buffers()):
            broadcast(values.data)
        _shard(module, chosen, precision)
        module.register_state_dict_post_hook(_gather_weights)
        for part in module.modules():
            part.register_load_state_dict_pre_hook(_share_weights)
        self.module: Any = module

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the model."""
        return self.module(*args, **kwargs)

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, Tensor]:
        """Take a step with a part of a batch, see mmengine's `BaseModel`."""
        return self.module.train_step(data, optim_wrapper)

    def val_step(self, data: Any) -> list[Any]:
        """Predict a part of a batch of validation."""
        return self.module.val_step(data)

    def test_step(self, data: Any) -> list[Any]:
        """Predict a part of a batch of a test."""
        return self.module.test_step(data)


def _choose_blocks(module: nn.Module, patterns: Sequence[str]) -> list[nn.Module]:
    """The outermost modules that match any of the patterns, each of which must match one."""
    found = dict(module.named_modules())
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in found):
            raise ValueError(
                f'blocks must name modules of the model, got {pattern!r}, which matches none '
                f'of {", ".join(list(found)[1:4])} ... ({len(found) - 1} names)'
            )
    chosen: dict[str, nn.Module] = {}
    for name, block in found.items():
        if any(fnmatchcase(name, pattern) for pattern in patterns) and not any(
            name.startswith(f'{outer}.') for outer in chosen
        ):
            chosen[name] = block
    return list(chosen.values())


def _shard(module: nn.Module, blocks: Sequence[nn.Module], precision: str) -> None:
    try:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
    except ImportError as error:
        raise ImportError(
            f'ShardedModel must have torch {NEEDS_TORCH} or later, got torch {torch.__version__}; '
            'pip install -U torch, or leave out model_wrapper_cfg'
        ) from error
    mesh = init_device_mesh(torch.device(get_device()).type, (get_world_size(),))
    policy = MixedPrecisionPolicy()
    if precision == 'bfloat16':
        policy = MixedPrecisionPolicy(
            param_dtype=torch.bfloat16, reduce_dtype=torch.float32, output_dtype=torch.float32
        )
    for block in blocks:
        fully_shard(block, mesh=mesh, mp_policy=policy)
    fully_shard(module, mesh=mesh)


def is_sharded(model: nn.Module) -> bool:
    """Whether a model is a `ShardedModel`, whose processes save it together."""
    return isinstance(model, ShardedModel)


def gather_optimizer(optimizer: Optimizer) -> None:
    """Let an optimizer of a shared model give and take its whole state, as the model does."""
    optimizer.register_state_dict_post_hook(_gather_state)
    optimizer.register_load_state_dict_pre_hook(_share_state)


def _is_shared(values: Any) -> bool:
    return hasattr(values, 'full_tensor')


def _gather(values: Any) -> Any:
    """The whole of a tensor; all processes must ask for it."""
    return values.full_tensor() if _is_shared(values) else values


def _share(values: Any, like: Tensor) -> Any:
    """This process's part of a whole tensor, as a parameter is shared."""
    if not isinstance(values, Tensor) or values.shape != like.shape or _is_shared(values):
        return values
    from torch.distributed.tensor import distribute_tensor

    target: Any = like
    return distribute_tensor(values.to(like.device), target.device_mesh, target.placements)


def _gather_weights(
    _module: nn.Module, state: dict[str, Any], _prefix: str, _metadata: dict[str, Any]
) -> None:
    state.update({name: _gather(values) for name, values in state.items()})


def _share_weights(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    for name, parameter in module.named_parameters(recurse=False):
        if _is_shared(parameter) and prefix + name in state:
            state[prefix + name] = _share(state[prefix + name], parameter)


def _gather_state(_optimizer: Optimizer, state: dict[str, Any]) -> dict[str, Any]:
    gathered = {
        index: {name: _gather(values) for name, values in entries.items()}
        for index, entries in state['state'].items()
    }
    return {**state, 'state': gathered}


def _share_state(optimizer: Optimizer, state: dict[str, Any]) -> dict[str, Any]:
    parameters = [p for group in optimizer.param_groups for p in group['params']]
    indices = [index for group in state['param_groups'] for index in group['params']]
    owners = dict(zip(indices, parameters, strict=False))
    shared = {
        index: {
            name: _share(values, owners[index]) if _is_shared(owners.get(index)) else values
            for name, values in entries.items()
        }
        for index, entries in state['state'].items()
    }
    return {**state, 'state': shared}
