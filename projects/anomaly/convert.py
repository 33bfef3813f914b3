"""Released weights of R(2+1)D and SlowFast to ours.

Read, and told apart by their names:
- torchvision's `r2plus1d_18`, for `R2Plus1D`;
- pytorchvideo's `slowfast_r50`, for `SlowFast(lateral_norm=True)`;
- MMAction2's recognizer with `ResNet3dSlowFast` of depth 50, or that alone, for `SlowFast` with
  `lateral_norm` as the source has it, which is False in the released ones.

Classifiers are left out. Weights of a TimeSformer are converted by `mmotion convert timesformer`.
"""

import re
from collections.abc import Iterator

import torch
from torch import Tensor

# residual blocks of a ResNet-50, and of R(2+1)D-18, by layer
_SLOWFAST_BLOCKS = (3, 4, 6, 3)
_R2PLUS1D_BLOCKS = (2, 2, 2, 2)

_CLASSIFIERS = r'^(fc|cls_head|blocks\.6\.proj)\.'
_NORM = ('weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked')

# names of pytorchvideo to ours, one after the other
_PYTORCHVIDEO = (
    (r'^blocks\.(\d)\.multipathway_blocks\.0\.', r'slow_path.layer\1.'),
    (r'^blocks\.(\d)\.multipathway_blocks\.1\.', r'fast_path.layer\1.'),
    (r'^blocks\.(\d)\.multipathway_fusion\.', r'slow_path.layer\1_lateral.'),
    (r'\.layer0', '.conv1'),
    (r'\.conv_fast_to_slow\.', '.conv.'),
    (r'\.res_blocks\.', '.'),
    (r'\.branch1_', '.downsample.'),
    (r'\.branch2\.(conv|norm)_a\.', r'.conv1.\1.'),
    (r'\.branch2\.(conv|norm)_b\.', r'.conv2.\1.'),
    (r'\.branch2\.(conv|norm)_c\.', r'.conv3.\1.'),
    (r'\.norm\.', '.bn.'),
)


def convert(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of another implementation, whichever it is, and drop its classifier.

    Args:
        state_dict: As it is in the file; what was converted before comes out as it is.

    Returns:
        Weights of `R2Plus1D` or `SlowFast` with `backbone.` in front, in the order of the source.
        Counters of batches, which some files lack, are 0.

    Raises:
        ValueError: If the entries are not those of a known source, with names that are too many or
            too few.
    """
    names = {name: re.sub(r'^(model|backbone)\.', '', name) for name in state_dict}
    names = {old: new for old, new in names.items() if not re.match(_CLASSIFIERS, new)}
    if any('.multipathway_' in name for name in names.values()):
        names = {old: _rename_pytorchvideo(name) for old, name in names.items()}
    converted = {new: state_dict[old] for old, new in names.items()}

    if any(name.startswith('slow_path.') for name in converted):
        wanted = set(_slowfast_names('slow_path.conv1_lateral.bn.weight' in converted))
    elif any(name.startswith('stem.') for name in converted):
        wanted = set(_r2plus1d_names())
    else:
        found = ', '.join(list(state_dict)[:3]) or 'nothing'
        raise ValueError(
            'state_dict must come from r2plus1d_18 of torchvision, or SlowFast-R50 of pytorchvideo '
            f'or MMAction2, got {found}, ...'
        )
    for name in wanted - converted.keys():
        if name.endswith('.num_batches_tracked'):
            converted[name] = torch.tensor(0)
    problems = [
        f'{what}: {", ".join(sorted(some)[:5])}{", ..." if len(some) > 5 else ""}'
        for what, some in (
            ('missing', wanted - converted.keys()),
            ('unexpected', {old for old, new in names.items() if new not in wanted}),
        )
        if some
    ]
    if problems:
        raise ValueError(
            'state_dict must hold exactly the weights of R(2+1)D-18 or SlowFast-R50, got '
            f'{"; ".join(problems)} (missing ones in the names of mmotion)'
        )
    return {f'backbone.{name}': value for name, value in converted.items()}


def _rename_pytorchvideo(name: str) -> str:
    for pattern, new in _PYTORCHVIDEO:
        name = re.sub(pattern, new, name)
    return name


def _slowfast_names(has_lateral_norm: bool) -> Iterator[str]:
    """All names of a `SlowFast`."""
    layers = [
        f'{path}.layer{i}.{j}.{part}'
        for path in ('slow_path', 'fast_path')
        for i, num_blocks in enumerate(_SLOWFAST_BLOCKS, start=1)
        for j in range(num_blocks)
        for part in ('conv1', 'conv2', 'conv3', *(['downsample'] if j == 0 else []))
    ]
    laterals = [f'slow_path.{place}_lateral' for place in ('conv1', 'layer1', 'layer2', 'layer3')]
    for layer in ['slow_path.conv1', 'fast_path.conv1', *layers, *laterals]:
        yield f'{layer}.conv.weight'
        if has_lateral_norm or layer not in laterals:
            yield from (f'{layer}.bn.{kind}' for kind in _NORM)


def _r2plus1d_names() -> Iterator[str]:
    """All names of an `R2Plus1D`: convolutions and the norm behind each."""
    pairs = [('stem.0', 'stem.1'), ('stem.3', 'stem.4')]
    for i, num_blocks in enumerate(_R2PLUS1D_BLOCKS, start=1):
        for j in range(num_blocks):
            block = f'layer{i}.{j}'
            for conv in (f'{block}.conv1', f'{block}.conv2'):
                pairs += [(f'{conv}.0.0', f'{conv}.0.1'), (f'{conv}.0.3', f'{conv}.1')]
            if i > 1 and j == 0:
                pairs.append((f'{block}.downsample.0', f'{block}.downsample.1'))
    for conv, norm in pairs:
        yield f'{conv}.weight'
        yield from (f'{norm}.{kind}' for kind in _NORM)
