"""Measure what a training step of BKinD costs, and what the passes of the reference would cost.

The two take turns on the same pairs, with the same weights, so that what else the machine does hits
both alike: ours, and the same model with the passes of neuroethology/BKinD@9e73721 (see
`reference_bkind.py`). A step is forward, backward and SGD,
with all losses. Weights are random, which makes no difference for the time. On a CPU both keep
freed memory, as `mmotion train` does; `--no-keep-memory` shows what that brings.

    python tools/analysis/benchmark_bkind.py --rounds 5
    python tools/analysis/benchmark_bkind.py --device cuda --batch-size 16
"""

import argparse
import multiprocessing
import resource
import statistics
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

# the checkout, so that nothing needs to be installed
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmark import describe_machine, time_in_turn
from reference_bkind import ReferenceBKinD

from mmotion.training.memory import keep_freed_memory
from projects.bkind.models import TURNS, BKinD

MODELS: dict[str, type[BKinD]] = {'ours': BKinD, 'reference': ReferenceBKinD}


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


def build(sizes: Sizes, name: str, device: str) -> BKinD:
    """Build a model in which all losses take part."""
    torch.manual_seed(0)
    model = MODELS[name](
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


def make_step(model: BKinD, pairs: Tensor) -> Callable[[], None]:
    """A training step."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-4)

    def step() -> None:
        optimizer.zero_grad()
        losses = model(pairs, mode='loss')
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()

    return step


def make_parts(model: BKinD, pairs: Tensor) -> dict[str, Callable[[], object]]:
    """The parts of our step, each alone, forward and backward."""
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

    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-4)
    encode()
    decode()
    images = len(logits) // len(pairs)
    return {
        f'encoder and pose decoder, {images} images a pair': encode,
        'reconstruction decoder': decode,
        'perceptual loss': compare,
        'SSIM target': lambda: model._make_target(pairs),
        'SGD': optimizer.step,
    }


def peak_memory(sizes: Sizes, name: str, device: str, keep_memory: bool) -> float:
    """Peak memory in GB of a process of its own that makes two steps.

    On a CPU all of the process, of which PyTorch itself takes about 0.3 GB; on a GPU what PyTorch
    has allocated there.
    """
    if keep_memory:
        keep_freed_memory()
    step = make_step(build(sizes, name, device), sample_pairs(sizes, device))
    for _ in range(2):
        step()
    if device == 'cuda':
        return torch.cuda.max_memory_allocated() / 1e9
    # KB on Linux and bytes on macOS
    unit = 1 if sys.platform == 'darwin' else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def compare_steps(sizes: Sizes, *, rounds: int, device: str, keep_memory: bool = True) -> str:
    """Time both ways in turn, and the parts of ours.

    Args:
        sizes: Of both.
        rounds: How often each is timed; medians are given.
        device: 'cpu' or 'cuda'.
        keep_memory: Whether the process keeps freed memory, see `mmotion/training/memory.py`.

    Returns:
        Two tables in Markdown.
    """
    context = multiprocessing.get_context('spawn')
    memory = {}
    # first, as a process inherits a peak
    for name in MODELS:
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            peak = pool.submit(peak_memory, sizes, name, device, keep_memory)
            memory[name] = peak.result()
    if keep_memory:
        keep_freed_memory()

    pairs = sample_pairs(sizes, device)
    models = {name: build(sizes, name, device) for name in MODELS}
    models['reference'].load_state_dict(models['ours'].state_dict(), strict=False)
    synchronize = torch.cuda.synchronize if device == 'cuda' else lambda: None
    steps = {name: make_step(model, pairs) for name, model in models.items()}
    seconds = time_in_turn(steps, rounds, synchronize)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    parts = time_in_turn(make_parts(models['ours'], pairs), rounds, synchronize)

    lines = [
        f'BKinD with {sizes.encoder}, {sizes.num_keypoints} keypoints, {sizes.image_size} px, '
        f'batch {sizes.batch_size}, fp32, medians of {rounds} rounds (least to most); '
        f'{describe_machine(device)}',
        '',
        '| | a training step, s | against the reference | peak memory, GB |',
        '|---|---|---|---|',
    ]
    for name, times in seconds.items():
        lines.append(
            f'| {name} | {medians[name]:.4g} ({min(times):.4g}-{max(times):.4g}) '
            f'| {medians["reference"] / medians[name]:.2f} times as fast | {memory[name]:.2f} |'
        )
    lines += ['', '| part of ours, alone | s | share of the step |', '|---|---|---|']
    for name, times in parts.items():
        median = statistics.median(times)
        lines.append(f'| {name} | {median:.4g} | {median / medians["ours"]:.0%} |')
    return '\n'.join(lines)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description='Time a training step of BKinD.')
    parser.add_argument('--rounds', type=int, default=5, help='of the measurement; default: 5')
    parser.add_argument('--batch-size', type=int, default=4, help='pairs in a step; default: 4')
    parser.add_argument('--image-size', type=int, default=256, help='in pixels; default: 256')
    parser.add_argument('--encoder', default='resnet50', help='of timm; default: resnet50')
    parser.add_argument('--device', default='cpu', choices=['cpu', 'cuda'])
    parser.add_argument(
        '--keep-memory',
        action=argparse.BooleanOptionalAction,
        default=True,
        help='keep freed memory, as `mmotion train` does on a CPU; default: yes',
    )
    args = parser.parse_args()
    sizes = Sizes(encoder=args.encoder, image_size=args.image_size, batch_size=args.batch_size)
    keep_memory = args.keep_memory and args.device == 'cpu'
    print(compare_steps(sizes, rounds=args.rounds, device=args.device, keep_memory=keep_memory))


if __name__ == '__main__':
    main()
