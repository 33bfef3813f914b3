"""Compare the speed and memory of TimeSformer with other implementations of it, in one run.

All of them take turns on the same clips, so that what else the machine does hits all alike. They do
the same arithmetic, so their speed is also given as a share of what the machine reaches in a large
fp32 matrix product in the same run. Weights are random; those of the others, converted to ours,
must give the same logits.

    mmotion benchmark timesformer
    mmotion benchmark timesformer --device cuda --batch-size 8

The implementation of Hugging Face takes part if `pip install transformers` has been run.
"""

import argparse
import multiprocessing
import platform
import resource
import statistics
import sys
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from mmotion.inference.flops import AllTokens, count_flops
from mmotion.registry import MODELS
from projects.timesformer.convert import convert
from projects.timesformer.models import TimeSformer, TimeSformerHead

# side of the square matrices whose product gives the machine's peak
PEAK_SIZE = 4096
NUM_CLASSES = 400
NOTES = (
    'Two numbers: forward, and forward + backward. Of the peak: as if all did the',
    "multiply-adds of the paper's formulas. Logits: the largest difference from ours in",
    'fp32 with the same weights, in standard deviations of the logits.',
)
OURS = 'ours'


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Sizes of a TimeSformer with divided space-time attention, by default those of the base."""

    num_frames: int = 8
    image_size: int = 224
    embed_dim: int = 768
    depth: int = 12
    num_heads: int = 12


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One implementation in one precision.

    Args:
        name: For the table.
        model: From clips (B, 3, T, H, W) to logits (B, NUM_CLASSES).
        bf16: Run under autocast to bfloat16.
    """

    name: str
    model: Callable[[Tensor], Tensor]
    bf16: bool = False

    def forward(self, clips: Tensor) -> Tensor:
        """Logits without a graph."""
        with torch.no_grad():
            return self._logits(clips)

    def train(self, clips: Tensor) -> None:
        """A forward and a backward pass, without a step."""
        self._logits(clips).float().square().mean().backward()

    def _logits(self, clips: Tensor) -> Tensor:
        with torch.autocast(clips.device.type, torch.bfloat16, enabled=self.bf16):
            return self.model(clips)


class Classifier(nn.Module):
    """A backbone and a head, with the names that they have in checkpoints of recognizers.

    Args:
        backbone: From clips (B, 3, T, H, W) to embeddings (B, D).
        cls_head: From embeddings to logits (B, NUM_CLASSES).
    """

    def __init__(self, backbone: nn.Module, cls_head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.cls_head = cls_head

    def forward(self, clips: Tensor) -> Tensor:
        """Logits (B, NUM_CLASSES) of clips (B, 3, T, H, W)."""
        return self.cls_head(self.backbone(clips))


def build_ours(sizes: Sizes) -> nn.Module:
    """Our TimeSformer."""
    backbone = TimeSformer(
        num_frames=sizes.num_frames,
        image_size=sizes.image_size,
        vit=dict(embed_dim=sizes.embed_dim, depth=sizes.depth, num_heads=sizes.num_heads),
    )
    head = TimeSformerHead(num_classes=NUM_CLASSES, in_channels=sizes.embed_dim)
    return Classifier(backbone, head)


def build_mmaction2(sizes: Sizes) -> nn.Module:
    """MMAction2's TimeSformer."""
    with DefaultScope.overwrite_default_scope('mmaction'):
        backbone = MODELS.get('mmaction.TimeSformer')(
            num_frames=sizes.num_frames,
            img_size=sizes.image_size,
            patch_size=16,
            embed_dims=sizes.embed_dim,
            num_transformer_layers=sizes.depth,
            num_heads=sizes.num_heads,
        )
    head = nn.Sequential(OrderedDict(fc_cls=nn.Linear(sizes.embed_dim, NUM_CLASSES)))
    return Classifier(backbone, head)


def build_hugging_face(sizes: Sizes) -> nn.Module:
    """`TimesformerForVideoClassification` of transformers.

    Raises:
        ImportError: If transformers is not installed.
    """
    from transformers import TimesformerConfig, TimesformerForVideoClassification

    class LogitsOnly(TimesformerForVideoClassification):
        def forward(self, clips: Tensor) -> Tensor:
            return super().forward(clips.transpose(1, 2)).logits

    config = TimesformerConfig(
        num_frames=sizes.num_frames,
        image_size=sizes.image_size,
        hidden_size=sizes.embed_dim,
        intermediate_size=4 * sizes.embed_dim,
        num_hidden_layers=sizes.depth,
        num_attention_heads=sizes.num_heads,
        num_labels=NUM_CLASSES,
    )
    return LogitsOnly(config)


BUILDERS: dict[str, Callable[[Sizes], nn.Module]] = {
    OURS: build_ours,
    'MMAction2': build_mmaction2,
    'Hugging Face': build_hugging_face,
}


def build(name: str, sizes: Sizes, device: str) -> nn.Module:
    """Build an implementation in eval mode, so that nothing is dropped at random.

    All matrices are drawn at random, also those that start at zero and would hide differences.
    """
    torch.manual_seed(0)
    model = BUILDERS[name](sizes).eval().to(device)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            nn.init.trunc_normal_(parameter, std=0.02)
    return model


def time_in_turn(
    tasks: Mapping[Any, Callable[[], Any]], rounds: int, synchronize: Callable[[], None]
) -> dict[Any, list[float]]:
    """Run each task once a round, after a round that warms up, and give their seconds."""
    seconds: dict[Any, list[float]] = {key: [] for key in tasks}
    for i in range(rounds + 1):
        # another one begins each round, as a task may run faster behind some than behind others
        order = deque(tasks.items())
        order.rotate(-i)
        for key, task in order:
            synchronize()
            start = time.perf_counter()
            task()
            synchronize()
            if i:
                seconds[key].append(time.perf_counter() - start)
    return seconds


def peak_memory(name: str, sizes: Sizes, batch_size: int, device: str) -> tuple[float, float]:
    """Peak memory in GB of a process of its own, after forward and after forward and backward.

    On a CPU all of the process, of which PyTorch itself takes about 0.3 GB; on a GPU what PyTorch
    has allocated there.
    """
    contender = Contender(name=name, model=build(name, sizes, device))
    clips = draw_clips(sizes, batch_size, device)
    peaks = []
    for task in (contender.forward, contender.train):
        task(clips)
        # KB on Linux and bytes on macOS
        unit = 1 if sys.platform == 'darwin' else 1024
        host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        peaks.append((torch.cuda.max_memory_allocated() if device == 'cuda' else host) / 1e9)
    return peaks[0], peaks[1]


def measure_memory(
    names: list[str], sizes: Sizes, batch_size: int, device: str
) -> dict[str, tuple[float, float]]:
    """Peak memory of each implementation; call it first, as a process inherits a peak."""
    context = multiprocessing.get_context('spawn')
    peaks = {}
    for name in names:
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            peaks[name] = pool.submit(peak_memory, name, sizes, batch_size, device).result()
    return peaks


def draw_clips(sizes: Sizes, batch_size: int, device: str) -> Tensor:
    """Random clips (B, 3, T, H, W)."""
    torch.manual_seed(1)
    shape = (batch_size, 3, sizes.num_frames, sizes.image_size, sizes.image_size)
    return torch.randn(shape).to(device)


def compare_timesformers(
    sizes: Sizes, *, rounds: int, batch_size: int, device: str, compile: bool = False
) -> str:
    """Time our TimeSformer and the others in turn.

    Args:
        sizes: Of all of them.
        rounds: How often each is timed; medians are given.
        batch_size: Clips in a pass.
        device: 'cpu' or 'cuda'.
        compile: Also time ours in bfloat16 after `torch.compile`.

    Returns:
        A table in Markdown, and what is needed to read it.
    """
    missing = []
    try:
        import transformers  # noqa: F401
    except ImportError:
        missing = ['Hugging Face']
    names = [name for name in BUILDERS if name not in missing]
    memory = measure_memory(names, sizes, batch_size, device)

    models = {name: build(name, sizes, device) for name in names}
    clips = draw_clips(sizes, batch_size, device)
    differences = {name: _difference(models[OURS], models[name], clips) for name in names[1:]}
    contenders = [Contender(name=name, model=models[name]) for name in names]
    contenders.append(Contender(name='ours, bf16', model=models[OURS], bf16=True))
    if compile:
        compiled = torch.compile(models[OURS])
        contenders.append(Contender(name='ours, bf16, compiled', model=compiled, bf16=True))
    exact = contenders[0].forward(clips)
    for contender in contenders[len(names) :]:
        differences[contender.name] = _relative(contender.forward(clips), exact)

    matrices = torch.randn(2, PEAK_SIZE, PEAK_SIZE, device=device)
    tasks: dict[Any, Callable[[], Any]] = {'sgemm': lambda: matrices[0] @ matrices[1]}
    for contender in contenders:
        tasks[contender.name, 'forward'] = lambda run=contender.forward: run(clips)
        tasks[contender.name, 'train'] = lambda run=contender.train: run(clips)
    synchronize = torch.cuda.synchronize if device == 'cuda' else lambda: None
    seconds = time_in_turn(tasks, rounds, synchronize)

    shape = (sizes.num_frames, sizes.image_size, sizes.image_size)
    tokens = AllTokens(build(OURS, sizes, 'cpu').get_submodule('backbone'))
    flops = 2 * batch_size * count_flops(tokens, shape)
    peak = 2 * PEAK_SIZE**3 / min(seconds['sgemm'])
    lines = [
        f'TimeSformer {sizes.num_frames}x{sizes.image_size}, divided space-time, batch '
        f'{batch_size}, fp32 unless said otherwise, medians of {rounds} rounds (least to most); '
        f'sgemm peak {peak / 1e9:.0f} GFLOP/s; {describe_machine(device)}',
        '',
        '| | forward, s | forward + backward, s | clips/s | of sgemm peak | peak memory, GB '
        '| logits differ by |',
        '|---|---|---|---|---|---|---|',
    ]
    for contender in contenders:
        passes = [seconds[contender.name, key] for key in ('forward', 'train')]
        medians = [statistics.median(times) for times in passes]
        # a backward pass has two matrix products for each of the forward pass
        shares = [factor * flops / peak / s for factor, s in zip((1, 3), medians, strict=True)]
        cells = [
            contender.name,
            *(f'{m:.4g} ({min(t):.4g}-{max(t):.4g})' for m, t in zip(medians, passes, strict=True)),
            ' and '.join(f'{batch_size / median:.3g}' for median in medians),
            ' and '.join(f'{share:.0%}' for share in shares),
            ' and '.join(f'{gb:.2f}' for gb in memory.get(contender.name, ())) or '-',
            f'{differences[contender.name]:.1e}' if contender.name in differences else '-',
        ]
        lines.append(f'| {" | ".join(cells)} |')
    lines += ['', *NOTES]
    lines += [f'{name}: not there, `pip install transformers` brings it.' for name in missing]
    return '\n'.join(lines)


def _difference(ours: nn.Module, other: nn.Module, clips: Tensor) -> float:
    """Give ours the weights of another implementation, and compare what the two say."""
    ours.load_state_dict(convert(dict(other.state_dict())))
    with torch.no_grad():
        return _relative(ours(clips), other(clips))


def _relative(logits: Tensor, exact: Tensor) -> float:
    return float((logits - exact).abs().max() / exact.std())


def describe_machine(device: str) -> str:
    """The processor or GPU, how many threads it runs, and the version of PyTorch."""
    if device == 'cuda':
        return f'{torch.cuda.get_device_name()}, torch {torch.__version__}'
    processor = platform.processor() or platform.machine()
    cpuinfo = Path('/proc/cpuinfo')
    if cpuinfo.is_file():
        models = [line for line in cpuinfo.read_text().splitlines() if 'model name' in line]
        processor = models[0].partition(':')[2].strip() if models else processor
    return f'{processor}, {torch.get_num_threads()} threads, torch {torch.__version__}'


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description='Time a model against other implementations.')
    parser.add_argument('--rounds', type=int, default=9, help='of the measurement; default: 9')
    parser.add_argument('--batch-size', type=int, default=1, help='clips in a pass; default: 1')
    parser.add_argument('--device', default='cpu', choices=['cpu', 'cuda'])
    parser.add_argument('--compile', action='store_true', help='also time torch.compile')
    parser.add_argument('--tiny', action='store_true', help='two small layers, to try this out')
    args = parser.parse_args()
    tiny = Sizes(num_frames=2, image_size=32, embed_dim=32, depth=2, num_heads=2)
    print(
        compare_timesformers(
            tiny if args.tiny else Sizes(),
            rounds=args.rounds,
            batch_size=args.batch_size,
            device=args.device,
            compile=args.compile or args.device == 'cuda',
        )
    )


if __name__ == '__main__':
    main()
