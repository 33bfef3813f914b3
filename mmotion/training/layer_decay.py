"""Learning rates that fall from the output of a network to its input, for fine-tuning.

Paper: Clark et al., ELECTRA, ICLR 2020, section 3 of its appendix; for video as in Tong et al.,
    VideoMAE, NeurIPS 2022. MMAction2's constructor knows the names of two of its own networks only.
"""

import re

from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn

from mmotion.checks import check_range
from mmotion.registry import OPTIM_WRAPPER_CONSTRUCTORS

_LAYER = re.compile(r'(?:^|\.)(?:layers?|blocks)\.(\d+)\.')


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayConstructor(DefaultOptimWrapperConstructor):
    """Multiply the rate by `paramwise_cfg['layer_decay']` for each layer away from the head.

    The head has the full rate, the last of L layers `layer_decay` of it, what lies before the first
    layer `layer_decay ** (L + 1)`. What of the backbone lies behind the layers, such as a norm,
    counts as the last layer. Biases and norms have no weight decay.

    Raises:
        ValueError: When training starts: if the rate of decay is not in (0, 1], or the backbone has
            no numbered layers.
    """

    def add_params(self, params: list[dict], module: nn.Module, **_: object) -> None:
        """Give each parameter that trains a group of its own."""
        decay = self.paramwise_cfg.get('layer_decay', 1.0)
        check_range('layer_decay', decay, 0, 1, ends='(]')
        names = [name for name, _ in module.named_parameters() if name.startswith('backbone.')]
        found = [match for name in names if (match := _LAYER.search(name))]
        if not found:
            raise ValueError(
                'backbone must have numbered layers for layer_decay, got none among '
                f'{", ".join(names[:3]) or "no parameters"}; leave the constructor out'
            )
        num_layers = 1 + max(int(match[1]) for match in found)
        first = names.index(found[0].string)
        before = set(names[:first])
        for name, parameter in module.named_parameters():
            if not parameter.requires_grad:
                continue
            match = _LAYER.search(name)
            depth = 0 if name in before else int(match[1]) + 1 if match else num_layers
            away = num_layers + 1 - depth if name.startswith('backbone.') else 0
            group = {'params': [parameter], 'lr': self.base_lr * decay**away}
            if parameter.ndim == 1:
                group['weight_decay'] = 0.0
            params.append(group)
