"""Measure how much faster a video is counted in one pass than window by window.

Window by window means: for each stride, each window of frames is cut out of the video and encoded
alone, as the reference implementation does. Both ways run in turn, on the same frames.

    mmotion benchmark repnet repnet_shapes --frames 300 --rounds 9
"""

import argparse
import statistics
import time
from typing import cast

import numpy as np
import torch
from torch import Tensor

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


def main() -> None:
    """Run both ways in turn and print medians."""
    parser = argparse.ArgumentParser(description='Time counting in one pass and window by window.')
    parser.add_argument('config', help='a config of RepNet')
    parser.add_argument(
        '--checkpoint', default='random', help='its weights; speed does not depend on them'
    )
    parser.add_argument('--frames', type=int, default=300, help='length of the video')
    parser.add_argument('--size', type=int, default=64, help='height and width in pixels')
    parser.add_argument('--rounds', type=int, default=9, help='repetitions of the measurement')
    parser.add_argument('--device', help='cpu, cuda, ...; default: a GPU if there is one')
    args = parser.parse_args()

    predictor = load_model(args.config, args.checkpoint, device=args.device)
    model = cast(RepNet, predictor.model)
    frames = torch.rand(args.frames, 3, args.size, args.size, device=predictor.device) * 2 - 1
    ways = (count_window_by_window, count_in_one_pass)
    times: dict[str, list[float]] = {way.__name__: [] for way in ways}
    answers = {}
    # the first round warms up
    for repeat in range(args.rounds + 1):
        for way in ways:
            # counts are on the host, so a call ends when the device's work does
            start = time.perf_counter()
            answers[way.__name__] = way(model, frames)
            if repeat:
                times[way.__name__].append(time.perf_counter() - start)

    print(f'{args.frames} frames at strides {model.counting.strides}, {args.rounds} rounds')
    medians = []
    for name, seconds in times.items():
        medians.append(statistics.median(seconds))
        print(f'  {name:24} {medians[-1]:.4f} s ({min(seconds):.4f} to {max(seconds):.4f})')
    difference = np.abs(np.subtract(*answers.values())).max()
    print(f'  ratio {medians[0] / medians[1]:.2f}, largest difference of counts {difference:.1e}')


if __name__ == '__main__':
    main()
