"""Time training steps of RepNet, and how much faster one pass counts than window by window.

Window by window means: for each stride, each window of frames is cut out of the video and encoded
alone, as the reference implementation does. Both ways run in turn, on the same frames.

    mmotion benchmark repnet
    mmotion benchmark repnet --end-to-end
"""

import statistics
from functools import partial
from typing import cast

import numpy as np
import torch
from end_to_end import measure_prediction
from measuring import Options, run_benchmark, time_in_turn
from torch import Tensor
from training_steps import compare_training

from mmotion.inference import load_model
from projects.repnet.counting import count_repetitions, read_logits
from projects.repnet.models import RepNet


@torch.no_grad()
def count_window_by_window(model: RepNet, frames: Tensor) -> np.ndarray:
    """Repetitions up to each frame (N,); the last window reaches back, as `tail='overlap'` has it.

    Args:
        model: Its `counting` says how.
        frames: Normalised frames (N, 3, H, W).
    """
    size, options = model.num_frames, model.counting
    confidences, counts = [], []
    for stride in options.strides:
        strided = frames[::stride]
        num_rows = len(strided)
        padding = strided[-1:].expand(max(size - num_rows, 0), -1, -1, -1)
        strided = torch.cat([strided, padding])
        rate, score = np.zeros((2, len(strided)))
        # from the last window to the first: earlier ones win where two overlap
        for start in reversed([*range(0, len(strided) - size, size), len(strided) - size]):
            window = slice(start, start + size)
            output = model.score_windows(model.encode_frames(strided[window])[None])
            rows = read_logits(output.period_logits[0], output.periodicity_logits[0], options)
            rate[window], score[window] = rows
        confidences.append(score[:num_rows].repeat(stride)[: len(frames)].mean())
        counts.append(np.cumsum(rate[:num_rows].repeat(stride)[: len(frames)] / stride))
    enough = max(confidences) * (1 - options.stride_tolerance)
    good = [i for i, confidence in enumerate(confidences) if confidence >= enough]
    return counts[min(good, key=lambda i: options.strides[i])]


def count_in_one_pass(model: RepNet, frames: Tensor) -> np.ndarray:
    """The same by the counter that testing and predicting use."""
    result = count_repetitions(model, frames, fps=30.0, options=model.counting)
    return result.count_per_frame


def time_counting(options: Options) -> str:
    """Time both ways on noise in turn; a table in Markdown."""
    predictor = load_model('repnet_shapes', 'random', device=options.device)
    model = cast(RepNet, predictor.model)
    num_frames = 100 if options.tiny else 300
    frames = torch.rand(num_frames, 3, 64, 64, device=options.device) * 2 - 1
    ways = {'in one pass': count_in_one_pass, 'window by window': count_window_by_window}
    answers = {name: way(model, frames) for name, way in ways.items()}
    difference = np.abs(np.subtract(*answers.values())).max()
    # counts are on the host, so a call ends when the device's work does
    tasks = {name: partial(way, model, frames) for name, way in ways.items()}
    seconds = time_in_turn(tasks, options.rounds, options.device)
    lines = [
        f'Counting {num_frames} frames of 64 px at strides {model.counting.strides}, '
        f'`repnet_shapes`; largest difference of the counts {difference:.1e}.',
        '',
        '| | ms |',
        '|---|---|',
    ]
    for name, taken in seconds.items():
        middle, *ends = (1e3 * s for s in (statistics.median(taken), min(taken), max(taken)))
        lines.append(f'| {name} | {middle:.4g} ({ends[0]:.4g}-{ends[1]:.4g}) |')
    return '\n'.join(lines)


def compare_counters(options: Options) -> list[str]:
    """Tables in Markdown: training steps, and counting."""
    configs = ('repnet_shapes',) if options.tiny else ('repnet_small', 'repnet_shapes')
    tables = [compare_training(config, options) for config in configs]
    return [*tables, time_counting(options)]


if __name__ == '__main__':
    run_benchmark(
        'Time training steps of RepNet, and counting in one pass and window by window.',
        compare_counters,
        predicts=partial(measure_prediction, 'repnet_small'),
        rounds=9,
    )
