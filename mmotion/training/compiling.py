"""Compile a model for training: the parts that it names, or the whole step.

A model names them by a method `compile(**options)` of its own in place of `nn.Module`'s. So a block
that is repeated is compiled once, and what is not tensors, such as data samples, stays outside.

What the compiler has made is kept in `$TORCHINDUCTOR_CACHE_DIR`, by default `torchinductor_<user>`
in the folder of temporary files, and is used by later runs with the same code, shapes, torch and
device; name a folder that outlives a reboot or container to keep it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

from mmotion.training.models import unwrap_model


def compile_parts(model: nn.Module, options: Mapping[str, Any] | bool | None) -> bool:
    """Compile in place what the parts of a model say.

    Args:
        model: May be wrapped.
        options: Of `torch.compile`; true for none, false or None to compile nothing.

    Returns:
        Whether any part says something; if none does, nothing is compiled.
    """
    if options is None or options is False:
        return False
    parts = list(find_parts(unwrap_model(model)))
    for part in parts:
        part.compile(**({} if options is True else options))
    return bool(parts)


def find_parts(module: nn.Module) -> Iterator[nn.Module]:
    """The outermost modules with a `compile` of their own."""
    if type(module).compile is not nn.Module.compile:
        yield module
        return
    for child in module.children():
        yield from find_parts(child)
