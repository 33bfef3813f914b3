"""What the benchmarks share: ways to do the same work take turns in one process, and make a table.

All that the machine does beside hits all ways alike, so ratios in a table mean more than its
seconds. A step is a forward pass, a backward pass and a step of SGD.
"""

import argparse
import gc
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mmotion.training.compiling import compile_parts

# side of the square matrices whose product tells what the machine can do
PEAK_SIZE = {'cpu': 4096, 'cuda': 8192}
PRECISIONS = {'fp32': torch.float32, 'bf16': torch.bfloat16}


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to do the work.

    Attributes:
        forward: A pass without a graph; gives its output.
        step: A training step.
        precision: Of its matrix products, one of `PRECISIONS`.
        difference: How far its output is from ours with the same weights, in standard deviations
            of ours; None to compare what `forward` gives with what the first way gives.
    """

    forward: Callable[[], Tensor]
    step: Callable[[], Any]
    precision: str = 'fp32'
    difference: float | None = None


@dataclass(frozen=True, kw_only=True)
class Options:
    """How it is measured.

    Attributes:
        rounds: How often each way is timed; medians are given.
        device: 'cpu' or 'cuda'.
        tiny: Whether to take a case that only shows that the benchmark runs.
        memory: Whether to measure peak memory too, which takes a process for each way on a CPU.
        compile: Whether to time ours after `torch.compile` too.
        batch_size: Samples in a pass; None for that of the benchmark.
    """

    rounds: int = 5
    device: str = 'cpu'
    tiny: bool = False
    memory: bool = True
    compile: bool = False
    batch_size: int | None = None


def run_benchmark(
    description: str,
    tables: Callable[[Options], Sequence[str]],
    *,
    predicts: Callable[[Options], str],
    rounds: int = 5,
) -> None:
    """Read the arguments that all benchmarks of systems have, and print what they ask for.

    Args:
        description: For the help.
        tables: From the options to tables in Markdown.
        predicts: From the options to the table of a prediction, for `--end-to-end`.
        rounds: How many without `--rounds`.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        '--end-to-end', action='store_true', help='a prediction of a video, part by part, instead'
    )
    parser.add_argument('--rounds', type=int, default=rounds, help=f'default: {rounds}')
    parser.add_argument('--device', default='cpu', choices=['cpu', 'cuda'], help='default: cpu')
    parser.add_argument('--batch-size', type=int, help='samples in a pass')
    parser.add_argument(
        '--compile',
        action=argparse.BooleanOptionalAction,
        help='time torch.compile too; default: on a GPU',
    )
    parser.add_argument(
        '--memory',
        action=argparse.BooleanOptionalAction,
        default=True,
        help='measure peak memory too, on a CPU in a process for each way; default: yes',
    )
    parser.add_argument('--tiny', action='store_true', help='a small case, to try this out')
    args = parser.parse_args()
    for name in ('rounds', 'batch_size'):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            flag = f'--{name.replace("_", "-")}'
            parser.error(f'{flag} must be at least 1, got {flag} {getattr(args, name)}')
    if args.device == 'cuda' and not torch.cuda.is_available():
        parser.error('--device must be there, got --device cuda without a GPU; take --device cpu')
    options = Options(
        rounds=args.rounds,
        device=args.device,
        tiny=args.tiny,
        memory=args.memory,
        compile=args.device == 'cuda' if args.compile is None else args.compile,
        batch_size=args.batch_size,
    )
    print('\n\n'.join([predicts(options)] if args.end_to_end else tables(options)))


def make_way(
    run: Callable[[Tensor], Tensor],
    inputs: Tensor,
    parameters: Sequence[nn.Parameter],
    *,
    loss: Callable[[Tensor], Tensor] | None = None,
    bf16: bool = False,
    difference: float | None = None,
) -> Way:
    """Make a way of a network.

    Args:
        run: From the inputs to the output.
        inputs: On the device where the network is.
        parameters: What the step changes.
        loss: From the inputs to what is minimized; None takes the mean square of the output.
        bf16: Run under autocast to bfloat16.
        difference: See `Way`.
    """
    kind = inputs.device.type
    # the same work as with a rate, but weights stay comparable and finite
    optimizer = torch.optim.SGD(parameters, lr=0.0, momentum=0.9, fused=kind == 'cuda')

    def forward() -> Tensor:
        with torch.no_grad(), torch.autocast(kind, torch.bfloat16, enabled=bf16):
            return run(inputs)

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast(kind, torch.bfloat16, enabled=bf16):
            value = loss(inputs) if loss else run(inputs).float().square().mean()
        value.backward()
        optimizer.step()

    precision = 'bf16' if bf16 else 'fp32'
    return Way(forward=forward, step=step, precision=precision, difference=difference)


def compile_model(model: nn.Module) -> nn.Module:
    """Compile what a training with `--compile` does: the parts that the model names, or all."""
    return model if compile_parts(model, True) else cast(nn.Module, torch.compile(model))


def time_in_turn(
    tasks: Mapping[Any, Callable[[], Any]], rounds: int, device: str = 'cpu'
) -> dict[Any, list[float]]:
    """Run each task once a round, after a round that warms up, and give their seconds.

    On a GPU they are those between two events of its stream.
    """
    seconds: dict[Any, list[float]] = {key: [] for key in tasks}
    for number in range(rounds + 1):
        # another one begins each round, as a task may run faster behind some than behind others
        order = deque(tasks.items())
        order.rotate(-number)
        for key, task in order:
            taken = (_time_on_gpu if device == 'cuda' else _time)(task)
            if number:
                seconds[key].append(taken)
    return seconds


def _time(task: Callable[[], Any]) -> float:
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def _time_on_gpu(task: Callable[[], Any]) -> float:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    start.record()
    task()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / 1e3


def compare_ways(
    title: str,
    build: Callable[[str], Way],
    names: Sequence[str],
    *,
    compiled: str,
    items: int,
    options: Options,
    notes: Sequence[str] = (),
) -> str:
    """Time ways in turn.

    Args:
        title: What the work is.
        build: From a name to the way; it can be pickled.
        names: Of the ways; ours in fp32 comes first. One that needs a package which is not there
            (ImportError) is named below the table.
        compiled: Name of the way that is added where the options ask for the compiler.
        items: How many of what is counted a second are in a pass: clips, pairs.
        options: See there.
        notes: Lines below the table.

    Returns:
        A table in Markdown, and what is needed to read it.
    """
    names = [*names, *([compiled] if options.compile else [])]
    memory = {name: _peak_memory(build, name, options) for name in names} if options.memory else {}
    ways, first_s, missing = {}, {}, []
    with _cold_compiler():
        for name in names:
            try:
                ways[name] = build(name)
            except ImportError as error:
                missing.append(f'{name}: not measured, {error}.')
                continue
            first_s[name] = _time(ways[name].step)
        flops = _count_flops(ways[names[0]])
        expected = ways[names[0]].forward()
        differences = {
            name: relative_difference(way.forward(), expected)
            if way.difference is None
            else way.difference
            for name, way in ways.items()
        }
        tasks: dict[Any, Callable[[], Any]] = {}
        for name, way in ways.items():
            tasks[name, 'forward'], tasks[name, 'step'] = way.forward, way.step
        size = 512 if options.tiny else PEAK_SIZE[options.device]
        for precision, dtype in PRECISIONS.items():
            matrices = torch.randn(2, size, size, device=options.device).to(dtype)
            tasks[precision] = lambda matrices=matrices: matrices[0] @ matrices[1]
        seconds = time_in_turn(tasks, options.rounds, options.device)

    peaks = {key: 2 * size**3 / statistics.median(seconds[key]) for key in PRECISIONS}
    limits = ' and '.join(f'{peak / 1e9:.0f} GFLOP/s {key}' for key, peak in peaks.items())
    lines = [
        f'{title}, {describe_machine(options.device)}; medians of {options.rounds} rounds '
        f'(least to most); products of {size} x {size} '
        f'matrices reach {limits}.',
        '',
        '| | forward, ms | step, ms | a second, forward and step | of the products '
        '| first step, s | peak memory, GB | differs by |',
        '|---|---|---|---|---|---|---|---|',
    ]
    for name, way in ways.items():
        passes = [seconds[name, key] for key in ('forward', 'step')]
        medians = [statistics.median(times) for times in passes]
        shares = [
            count / peaks[way.precision] / median
            for count, median in zip(flops, medians, strict=True)
        ]
        peak = memory.get(name)
        cells = [
            name,
            *(
                f'{1e3 * median:.4g} ({1e3 * min(times):.4g}-{1e3 * max(times):.4g})'
                for median, times in zip(medians, passes, strict=True)
            ),
            ' and '.join(f'{items / median:.3g}' for median in medians),
            ' and '.join(f'{share:.0%}' for share in shares) if all(flops) else '-',
            f'{first_s[name]:.3g}',
            '-' if peak is None else f'{peak:.2f}',
            '-' if name == names[0] else f'{differences[name]:.1e}',
        ]
        lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join([*lines, '', *notes, *missing]).rstrip()


def relative_difference(output: Tensor, expected: Tensor) -> float:
    """The largest difference of outputs, in standard deviations of the second; of one a share."""
    expected = expected.float()
    scale = expected.std() if expected.numel() > 1 else expected.abs()
    return float((output.float() - expected).abs().max() / scale)


def _count_flops(way: Way) -> tuple[int, int]:
    """What a pass and a step take, a multiply-add being two; all ways are held against it."""
    counts = []
    for task in (way.forward, way.step):
        with FlopCounterMode(display=False) as counter:
            task()
        counts.append(counter.get_total_flops())
    return counts[0], counts[1]


def _peak_memory(build: Callable[[str], Way], name: str, options: Options) -> float | None:
    """Peak memory in GB of steps alone: of a process on a CPU, of what torch has on a GPU."""
    if options.device == 'cuda':
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        return _make_steps(build, name, options.device)
    # a process inherits a peak, so this comes before all else
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context('spawn')) as pool:
        return pool.submit(_make_steps, build, name, options.device).result()


def _make_steps(build: Callable[[str], Way], name: str, device: str) -> float | None:
    try:
        way = build(name)
    except ImportError:
        return None
    for _ in range(2):
        way.step()
    if device == 'cuda':
        return torch.cuda.max_memory_allocated() / 1e9
    # KB on Linux and bytes on macOS
    unit = 1 if sys.platform == 'darwin' else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


@contextmanager
def _cold_compiler() -> Iterator[None]:
    """Let the compiler of torch find nothing that it has compiled before."""
    with tempfile.TemporaryDirectory() as folder:
        before = os.environ.get('TORCHINDUCTOR_CACHE_DIR')
        os.environ['TORCHINDUCTOR_CACHE_DIR'] = folder
        try:
            yield
        finally:
            del os.environ['TORCHINDUCTOR_CACHE_DIR']
            if before is not None:
                os.environ['TORCHINDUCTOR_CACHE_DIR'] = before


def describe_machine(device: str) -> str:
    """The processor or GPU, how many threads it runs, and the version of PyTorch."""
    if device == 'cuda':
        return f'{torch.cuda.get_device_name()}, torch {torch.__version__}'
    processor = platform.processor() or platform.machine()
    cpuinfo = Path('/proc/cpuinfo')
    if cpuinfo.is_file():
        models = [line for line in cpuinfo.read_text().splitlines() if 'model name' in line]
        processor = models[0].partition(':')[2].strip() if models else processor
    return (
        f'{processor} ({torch.backends.cpu.get_cpu_capability()}), {torch.get_num_threads()} '
        f'threads, torch {torch.__version__}'
    )
