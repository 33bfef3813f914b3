"""What a prediction of a video takes, part by part, and how that grows with the video.

Everything is measured in one process that has run before, with one thread for each part, so that
seconds of the processor can be told apart; on a GPU the network's are those until it is done.
"""

import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from made_inputs import write_keypoints, write_video
from measuring import Options, describe_machine, time_in_turn
from torch import Tensor

from mmotion.inference import Predictor, load_model
from mmotion.video import iterate_frames

FPS = 30.0
USUAL_WH, USUAL_S = (1280, 720), 20.0
LENGTHS_S = (5.0, 10.0, 20.0, 40.0)
# these are as long
SIZES_WH, SIZES_S = ((320, 180), (640, 360), (1280, 720), (1920, 1080)), 5.0
BATCHES = (1, 2, 4, 8)


class TimedPart:
    """Stands for a model and takes the time of some of its methods.

    Args:
        part: The model.
        calls: Names of the methods.
        device: Where it is; on a GPU the time until that is done is taken.

    Attributes:
        seconds: Taken by them so far.
        samples: What each was given first, one sample (1, ...).
    """

    def __init__(self, part: Any, calls: Sequence[str], device: str) -> None:
        self._part, self._calls, self._device = part, calls, device
        self.seconds = 0.0
        self.samples: dict[str, Tensor] = {}

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._part, name)
        return partial(self._run, name, value) if name in self._calls else value

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Answer, and take the time."""
        return self._run('__call__', self._part, *args, **kwargs)

    def _run(self, name: str, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if name not in self.samples:
            self.samples[name] = _find_sample([*args, *kwargs.values()])
        on_gpu = self._device.startswith('cuda')
        clock = time.perf_counter if on_gpu else time.thread_time
        start = clock()
        answer = call(*args, **kwargs)
        if on_gpu:
            torch.cuda.synchronize()
        self.seconds += clock() - start
        return answer


def _find_sample(values: Sequence[Any]) -> Tensor:
    """The first sample of the first batch among arguments."""
    for value in values:
        if isinstance(value, list | tuple) and value and torch.is_tensor(value[0]):
            return value[0][None]
        if torch.is_tensor(value):
            return value[:1]
    raise TypeError(f'a network must be given a batch of tensors, got {list(map(type, values))}')


def measure_prediction(config: str, options: Options, *, keypoints: bool = False) -> str:
    """Take apart what a prediction takes, and fit how it grows.

    Args:
        config: Its name; the weights are those that ship with it.
        options: How it is measured.
        keypoints: Whether it reads files of keypoints, which have no size and need no decoder.

    Returns:
        Two tables in Markdown.
    """
    torch.set_num_threads(1)
    predictor = load_model(config, device=options.device)
    shrink = 8 if options.tiny else 1
    usual = _Case(USUAL_WH, USUAL_S).shrink(shrink)
    lengths = [_Case(USUAL_WH, seconds).shrink(shrink) for seconds in LENGTHS_S]
    sizes = [_Case(size_wh, SIZES_S).shrink(shrink) for size_wh in SIZES_WH if not keypoints]
    with tempfile.TemporaryDirectory() as name:
        write = partial(_write_input, Path(name), keypoints=keypoints)
        parts, samples = _measure_parts(predictor, write(usual), options)
        paths = [write(case) for case in (*lengths, *sizes)]
        seconds = _measure_inputs(predictor, paths, options)
    what = 'keypoints' if keypoints else f'video of {usual.width} x {usual.height}'
    lines = [
        f'`{config}`, {usual.seconds:g} s of {what} at {FPS:.0f} frames a second, '
        f'{describe_machine(options.device)}; medians of {options.rounds} rounds, one thread a '
        'part, in a process that has run before.',
        '',
        '| part | seconds of the processor | share |',
        '|---|---|---|',
        *parts,
        '',
        '| it grows with | values | seconds | exponent |',
        '|---|---|---|---|',
        _write_growth('length, s', [case.seconds for case in lengths], seconds[: len(lengths)]),
    ]
    if sizes:
        pixels = [case.width * case.height for case in sizes]
        lines.append(_write_growth('pixels of a frame', pixels, seconds[len(lengths) :]))
    for name, taken in _measure_batches(predictor.model, samples, options).items():
        lines.append(_write_growth(f'batch of the network, `{name}`', BATCHES, taken))
    return '\n'.join(lines)


class _Case(NamedTuple):
    """A video: width and height in pixels, and its length."""

    size_wh: tuple[int, int]
    seconds: float

    @property
    def width(self) -> int:
        return self.size_wh[0]

    @property
    def height(self) -> int:
        return self.size_wh[1]

    def shrink(self, by: int) -> '_Case':
        return _Case((self.width // by // 2 * 2, self.height // by // 2 * 2), self.seconds / by)


def _write_input(folder: Path, case: _Case, *, keypoints: bool) -> Path:
    path = folder / f'{case.width}x{case.height}-{case.seconds:g}.{"json" if keypoints else "mp4"}'
    num_frames = round(case.seconds * FPS)
    if keypoints:
        return write_keypoints(path, num_frames, fps=FPS)
    return write_video(path, num_frames, case.size_wh, fps=FPS)


def _measure_parts(
    predictor: Predictor[Any], path: Path, options: Options
) -> tuple[list[str], dict[str, Tensor]]:
    """The rows of what decoding, the network, the rest and drawing take, and what it was given."""
    network, seconds, samples = predictor.model, defaultdict(list), {}
    for _ in range(options.rounds + 1):
        seconds['decoding'].append(0.0 if path.suffix == '.json' else _use(partial(_decode, path)))
        timed = TimedPart(network, predictor.batched_calls['model'], options.device)
        predictor.model = timed
        results: list[Any] = []
        seconds['prediction'].append(_use(partial(_answer, predictor, path, results)))
        seconds['network'].append(timed.seconds)
        predictor.model, samples = network, timed.samples
        with tempfile.TemporaryDirectory() as out:
            seconds['drawing'].append(_use(partial(predictor.draw, path, results[0], out)))
    # the first round warms up
    middle = {name: statistics.median(taken[1:]) for name, taken in seconds.items()}
    whole = middle['prediction']
    rows = {
        'decoding': middle['decoding'],
        'network': middle['network'],
        'scaling, copies, all else': whole - middle['decoding'] - middle['network'],
        'a prediction': whole,
        'drawing, beside it': middle['drawing'],
    }
    return [
        f'| {name} | {taken:.3g} | {taken / whole:.0%} |' for name, taken in rows.items()
    ], samples


def _answer(predictor: Predictor[Any], path: Path, results: list[Any]) -> None:
    results.append(predictor.predict(path))


def _decode(path: Path) -> None:
    for _ in iterate_frames(path):
        pass


def _use(task: Callable[[], Any]) -> float:
    """Seconds of the processor, in all threads."""
    start = time.process_time()
    task()
    return time.process_time() - start


def _measure_inputs(
    predictor: Predictor[Any], paths: Sequence[Path], options: Options
) -> list[float]:
    """Seconds of the clock that a prediction of each takes."""
    tasks = {number: partial(predictor.predict, path) for number, path in enumerate(paths)}
    seconds = time_in_turn(tasks, options.rounds)
    return [statistics.median(seconds[number]) for number in tasks]


def _measure_batches(
    model: Any, samples: Mapping[str, Tensor], options: Options
) -> dict[str, list[float]]:
    """Seconds that each call of a network takes for batches of `BATCHES`."""
    tasks = {}
    for name, sample in samples.items():
        for size in BATCHES:
            batch = sample.repeat(size, *[1] * (sample.ndim - 1))
            call = partial(model, mode='tensor') if name == '__call__' else getattr(model, name)
            tasks[name, size] = partial(call, batch)
    with torch.inference_mode():
        seconds = time_in_turn(tasks, options.rounds, options.device)
    middle = {key: statistics.median(taken) for key, taken in seconds.items()}
    return {name: [middle[name, size] for size in BATCHES] for name in samples}


def _write_growth(what: str, values: Sequence[float], seconds: Sequence[float]) -> str:
    """A row: the values, the seconds, and the exponent of the power that fits them best.

    Example:
        >>> _write_growth('length, s', (1, 2, 4), (0.1, 0.2, 0.4))
        '| length, s | 1, 2, 4 | 0.1, 0.2, 0.4 | 1.00 |'
    """
    exponent = np.polyfit(np.log(values), np.log(seconds), 1)[0]
    told = (', '.join(f'{number:g}' for number in row) for row in (values, seconds))
    return f'| {" | ".join([what, *told, f"{exponent:.2f}"])} |'
