"""Measure what a training step of BKinD costs, and what the passes of the reference would cost.

They take turns on the same pairs, with the same weights: ours, and the same model with the passes
of neuroethology/BKinD@9e73721 (see `reference_bkind.py`). All losses take part. Weights are random,
which makes no difference for the time. On a CPU all keep freed memory, as `mmotion train` does.

    mmotion benchmark bkind --rounds 5
    mmotion benchmark bkind --device cuda --batch-size 16
"""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
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
    time_in_turn,
)
from reference_bkind import ReferenceBKinD
from torch import Tensor

from mmotion.training.memory import keep_freed_memory
from projects.bkind.models import TURNS, BKinD

NAMES = ('ours', 'passes of the reference', 'ours, bf16', 'ours, bf16, channels last')
COMPILED = 'ours, bf16, channels last, compiled'


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What is timed, by default a model of the reference.

    Attributes:
        encoder: A model name of timm.
        num_keypoints: K.
        image_size: S in pixels.
        batch_size: Pairs in a step.
    """

    encoder: str = 'resnet50'
    num_keypoints: int = 10
    image_size: int = 256
    batch_size: int = 4


TINY = Sizes(encoder='resnet18', num_keypoints=2, image_size=32, batch_size=2)


def build(sizes: Sizes, kind: type[BKinD], device: str) -> BKinD:
    """Build a model in which all losses take part."""
    torch.manual_seed(0)
    model = kind(
        encoder=dict(name=sizes.encoder),
        num_keypoints=sizes.num_keypoints,
        image_size=sizes.image_size,
        curriculum_epoch=0,
    )
    model.losses.reconstruction.init_weights()
    model.to(device).train()
    return model


def sample_pairs(sizes: Sizes, device: str) -> Tensor:
    """Noise (B, 2, 3, S, S)."""
    torch.manual_seed(1)
    return torch.randn(sizes.batch_size, 2, 3, sizes.image_size, sizes.image_size).to(device)


def build_way(name: str, *, sizes: Sizes, device: str) -> Way:
    """Build one of `NAMES`, or `COMPILED`."""
    if device == 'cpu':
        keep_freed_memory()
    model = build(sizes, BKinD if name.startswith('ours') else ReferenceBKinD, device)
    model.load_state_dict(build(sizes, BKinD, device).state_dict(), strict=False)
    if 'channels last' in name:
        model.to(memory_format=torch.channels_last)
    run = compile_model(model) if name == COMPILED else model

    def find_loss(pairs: Tensor) -> Tensor:
        return torch.stack(list(run(pairs, mode='loss').values())).sum()

    return make_way(
        find_loss,
        sample_pairs(sizes, device),
        list(model.parameters()),
        loss=find_loss,
        bf16='bf16' in name,
    )


def time_parts(sizes: Sizes, options: Options) -> str:
    """Time the parts of our step in fp32, each alone, forward and backward."""
    model, pairs = build(sizes, BKinD, options.device), sample_pairs(sizes, options.device)
    features, logits = (x.detach() for x in model._encode(pairs, TURNS))
    points = torch.rand(len(pairs), 2 * model.num_keypoints, 2, device=pairs.device) * 2 - 1
    loss = model.losses.reconstruction
    targets = model._make_target(pairs)
    pictures = torch.rand_like(targets)

    def encode() -> None:
        deepest, maps = model._encode(pairs, TURNS)
        (deepest.sum() + maps.sum()).backward()

    def decode() -> None:
        model.decoder(features.requires_grad_(), points).sum().backward()

    def compare() -> None:
        loss(pictures.requires_grad_(), targets).backward()

    parts: dict[str, Callable[[], object]] = {
        f'encoder and pose decoder, {len(logits) // len(pairs)} images a pair': encode,
        'reconstruction decoder': decode,
        'perceptual loss': compare,
        'SSIM target': lambda: model._make_target(pairs),
    }
    seconds = time_in_turn(parts, options.rounds, options.device)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    lines = ['| part of ours in fp32, alone | ms | share of all parts |', '|---|---|---|']
    whole = sum(medians.values())
    lines += [f'| {name} | {1e3 * s:.4g} | {s / whole:.0%} |' for name, s in medians.items()]
    return '\n'.join(lines)


def compare_steps(options: Options) -> list[str]:
    """Time ours and the reference's in turn, and the parts of ours; two tables in Markdown."""
    on_gpu = options.device == 'cuda'
    sizes = TINY if options.tiny else Sizes(batch_size=options.batch_size or (16 if on_gpu else 4))
    table = compare_ways(
        f'BKinD with {sizes.encoder}, {sizes.num_keypoints} keypoints, {sizes.image_size} px, '
        f'{sizes.batch_size} pairs',
        partial(build_way, sizes=sizes, device=options.device),
        NAMES,
        compiled=COMPILED,
        items=sizes.batch_size,
        options=options,
        notes=['Forward is the losses without a graph; difference: of their sum, as a share.'],
    )
    return [table, time_parts(sizes, options)]


if __name__ == '__main__':
    run_benchmark(
        'Time a training step of BKinD against the passes of the reference.',
        compare_steps,
        predicts=partial(measure_prediction, 'bkind_shapes'),
    )
