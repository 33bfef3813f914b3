"""What a training step of a config takes, in each precision and layout, beside making its batch."""

import statistics
import time
from functools import partial
from itertools import islice
from typing import Any

import torch
from measuring import Options, Way, compare_ways, compile_model, make_way
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch import Tensor

from mmotion.config import load_config
from mmotion.registry import MODELS
from mmotion.training.memory import keep_freed_memory

NAMES = ('ours', 'ours, bf16')
LAST = 'ours, bf16, channels last'
COMPILED = 'ours, bf16, compiled'


def build_way(name: str, *, config: str, batch: dict[str, Any], device: str) -> Way:
    """Build the model of a config with random weights, to be trained as the name says."""
    if device == 'cpu':
        keep_freed_memory()
    torch.manual_seed(0)
    whole = load_config(config)
    init_default_scope(whole.default_scope)
    model: Any = MODELS.build(whole.model).to(device).train()
    if name == LAST:
        model.to(memory_format=torch.channels_last)
    data = model.data_preprocessor(batch, True)
    samples = data['data_samples']
    run = compile_model(model) if name == COMPILED else model

    def find_loss(inputs: Tensor) -> Tensor:
        # what is dropped at random is the same for all
        torch.manual_seed(0)
        return model.parse_losses(run(inputs, samples, mode='loss'))[0]

    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    inputs = data['inputs']
    inputs = inputs if torch.is_tensor(inputs) else torch.stack(list(inputs))
    return make_way(find_loss, inputs, parameters, loss=find_loss, bf16='bf16' in name)


def compare_training(config: str, options: Options) -> str:
    """Time a training step of a config.

    Args:
        config: Its name.
        options: How it is measured.

    Returns:
        A table in Markdown, and how long a data worker makes a batch.
    """
    whole = load_config(config)
    init_default_scope(whole.default_scope)
    loader = dict(whole.train_dataloader)
    loader.update(num_workers=0, persistent_workers=False)
    if options.batch_size or options.tiny:
        loader['batch_size'] = options.batch_size or 2
    batches = iter(Runner.build_dataloader(loader, seed=0))
    batch, seconds = next(batches), []
    for _ in range(options.rounds):
        start = time.perf_counter()
        if not list(islice(batches, 1)):
            break
        seconds.append(time.perf_counter() - start)
    model = MODELS.build(whole.model)
    has_maps = any(parameter.ndim > 3 for parameter in model.parameters())
    size = len(batch['inputs'])
    made = f'A data worker makes a batch in {1e3 * statistics.median(seconds):.4g} ms. '
    return compare_ways(
        f'`{config}`, {size} samples a batch',
        partial(build_way, config=config, batch=batch, device=options.device),
        [*NAMES, *([LAST] if has_maps else [])],
        compiled=COMPILED,
        items=size,
        options=options,
        notes=[
            (made if seconds else '')
            + 'Forward is the losses without a graph; the difference is that of their sum. What an '
            'LSTM multiplies is not counted.'
        ],
    )
