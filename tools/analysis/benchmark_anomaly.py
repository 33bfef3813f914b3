"""Time a training step of the anomaly detector, and a clip's embedding by each backbone.

No package that can be installed does the same; R(2+1)D of torchvision is the network that ours is
made of, so it takes part to show what is around it.

    mmotion benchmark anomaly
    mmotion benchmark anomaly --end-to-end
"""

from functools import partial

import torch
from end_to_end import measure_prediction
from measuring import (
    Options,
    Way,
    compare_ways,
    compile_model,
    make_way,
    run_benchmark,
)
from torch import nn
from torchvision.models.video import r2plus1d_18
from training_steps import compare_training

from projects.anomaly.backbones import R2Plus1D

NAMES = ('ours', 'torchvision', 'ours, bf16', 'ours, bf16, channels last')
COMPILED = 'ours, bf16, compiled'


def build_way(name: str, *, frames: int, size: int, batch_size: int, device: str) -> Way:
    """Build an R(2+1)D-18 with random weights that embeds clips (B, 3, T, S, S)."""
    torch.manual_seed(0)
    model = r2plus1d_18() if name == 'torchvision' else R2Plus1D()
    if name == 'torchvision':
        model.fc = nn.Identity()
    model.to(device).eval()
    clips = torch.rand(batch_size, 3, frames, size, size, device=device) * 2 - 1
    if 'channels last' in name:
        model.to(memory_format=torch.channels_last_3d)
        clips = clips.contiguous(memory_format=torch.channels_last_3d)
    run = compile_model(model) if name == COMPILED else model
    return make_way(run, clips, list(model.parameters()), bf16='bf16' in name)


def compare_embeddings(options: Options) -> list[str]:
    """Time embeddings by ours and by torchvision's, and a training step; tables in Markdown."""
    frames, size = (4, 32) if options.tiny else (16, 112)
    batch_size = options.batch_size or (16 if options.device == 'cuda' else 2)
    table = compare_ways(
        f'R(2+1)D-18, {frames}x{size}, {batch_size} clips',
        partial(build_way, frames=frames, size=size, batch_size=batch_size, device=options.device),
        NAMES,
        compiled=COMPILED,
        items=batch_size,
        options=options,
        notes=['Difference: of the embeddings.'],
    )
    return [table, compare_training('anomaly_shapes', options)]


if __name__ == '__main__':
    run_benchmark(
        'Time embeddings and a training step of the anomaly detector.',
        compare_embeddings,
        predicts=partial(measure_prediction, 'anomaly_shapes'),
    )
