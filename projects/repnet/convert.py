"""Released RepNet weights to ours.

Source: `pytorch_weights.pth` of materight/RepNet-pytorch@c455c53, converted there from checkpoint
    ckpt-88 of the authors' colab (2020). It needs `encoder=dict(type='KerasResNet50V2Encoder')`
    and otherwise the defaults of `RepNet`: configs/repnet_released.py.
Not loadable: the colab's checkpoint of 2024 (ckpt-70), a network with 64 period classes.
"""

import re

import torch
from torch import Tensor

# blocks of a stage before this one, since ours are numbered through
_STAGE_START = (0, 3, 7)

_RENAMES = (
    (r'^encoder\.stem\.conv\.', 'encoder.stem.'),
    (r'\.downsample\.conv\.', '.downsample.'),
    (r'^temporal_conv\.0\.weight$', 'temporal_conv.conv.weight'),
    (r'^temporal_conv\.0\.bias$', 'temporal_conv.bias'),
    (r'^temporal_conv\.1\.', 'temporal_conv.norm.'),
    (r'^tsm_conv\.0\.', 'similarity.conv.'),
    (r'^period_length_head\.', 'period_head.'),
    (r'_head\.0\.pos_encoding$', '_head.position'),
    (r'_head\.0\.input_projection\.', '_head.projection.'),
    (r'_head\.0\.transformer_layer\.', '_head.transformer.'),
    (r'_head\.1\.', '_head.layers.0.'),
    (r'_head\.3\.', '_head.layers.2.'),
    (r'_head\.5\.', '_head.layers.4.'),
)


def convert(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename and reshape the entries of a released checkpoint.

    Args:
        state_dict: The reference's, as it is in the file.

    Returns:
        The state dict of `RepNet` with the released sizes.

    Raises:
        ValueError: If the entries are not those of the reference.
    """
    if 'period_head.position' in state_dict:
        raise ValueError(
            'state_dict must come from materight/RepNet-pytorch, got weights that are mmotion '
            'RepNet already; use them as they are'
        )
    temporal = state_dict.get('temporal_conv.0.weight')
    if temporal is None or temporal.ndim != 5 or 'tsm_conv.0.weight' not in state_dict:
        found = ', '.join(list(state_dict)[:3]) or 'nothing'
        raise ValueError(
            'state_dict must come from materight/RepNet-pytorch, with entries '
            f'temporal_conv.0.weight (D, C, 3, 3, 3) and tsm_conv.0.weight, got {found}, ...'
        )
    converted = {rename(name): value for name, value in state_dict.items()}
    # the three time steps of the kernel become channels: (D, C, 3, h, w) -> (3D, C, h, w)
    converted['temporal_conv.conv.weight'] = torch.cat(temporal.unbind(2))
    # no parameter there, but a constant of its code
    converted['similarity.log_temperature'] = torch.tensor(13.544).log()
    for name in [name for name in converted if name.endswith('.running_var')]:
        # the released file leaves the counters out
        counter = name.replace('running_var', 'num_batches_tracked')
        converted.setdefault(counter, torch.tensor(0))
    return converted


def rename(name: str) -> str:
    """The name that an entry of the reference has here."""

    def number_through(match: re.Match[str]) -> str:
        return f'encoder.blocks.{_STAGE_START[int(match[1])] + int(match[2])}.'

    name = re.sub(r'^encoder\.stages\.([0-2])\.blocks\.(\d)\.', number_through, name)
    for pattern, replacement in _RENAMES:
        name = re.sub(pattern, replacement, name)
    return name
