"""What a page of signal processing counts: the figure that a trained RepNet has to beat.

Frames become 16 x 16 grey images, those of a video a curve by their first principal component, and
the period is the strongest peak of that curve's autocorrelation. The one parameter, how high the
peak must be for a video to repeat at all, is chosen on the validation videos.

Example:
    python tools/analysis/repetition_baseline.py repnet_shapes
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
from mmengine.structures import BaseDataElement
from numpy.typing import NDArray
from rich.progress import track
from scipy.signal import find_peaks

# the checkout, so that nothing needs to be installed
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmotion.config import load_config
from mmotion.registry import DATASETS, METRICS
from mmotion.structures import RepetitionCount


def principal_period(frames: NDArray[np.uint8]) -> tuple[float, float]:
    """Period in frames and height of the autocorrelation's best peak, in [0, 1].

    Args:
        frames: RGB, (N, H, W, 3).

    Returns:
        (inf, 0) if there is no peak.
    """
    small = [
        cv2.resize(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), (16, 16), interpolation=cv2.INTER_AREA)
        for frame in frames
    ]
    pixels = np.stack(small).reshape(len(frames), -1).astype(np.float64)
    pixels -= pixels.mean(0)
    curve = np.linalg.svd(pixels, full_matrices=False)[0][:, 0]
    # a slow drift of the camera is not the motion
    trend = np.polynomial.Polynomial.fit(np.arange(len(curve)), curve, deg=3)
    curve -= trend(np.arange(len(curve)))
    spectrum = np.abs(np.fft.rfft(curve, 2 * len(curve))) ** 2
    correlation = np.fft.irfft(spectrum)[: len(curve) // 2]
    # each lag has fewer pairs than the one before
    correlation /= (correlation[0] + 1e-12) * (1 - np.arange(len(correlation)) / len(curve))
    peaks, _ = find_peaks(correlation, height=0)
    peaks = peaks[peaks >= 3]
    if not len(peaks):
        return float('inf'), 0.0
    # among peaks that are nearly as high as the highest the first is the period
    heights = correlation[peaks]
    best = int(np.flatnonzero(heights >= 0.9 * heights.max())[0])
    return float(peaks[best]), float(min(heights[best], 1.0))


def main() -> None:
    """Choose the threshold on the validation videos and report on the test videos."""
    parser = argparse.ArgumentParser(description='Count by autocorrelation.')
    parser.add_argument('config', help='a config with generated or labelled videos')
    config = load_config(parser.parse_args().config)
    found = {}
    for split in ('val', 'test'):
        dataset = DATASETS.build(config[f'{split}_dataloader'].dataset)
        samples = (dataset[i] for i in range(len(dataset)))
        found[split] = [
            (*principal_period(item['inputs'].permute(1, 2, 3, 0).numpy()), item['data_samples'])
            for item in track(samples, description=split, total=len(dataset))
        ]

    def error(threshold: float) -> float:
        counts = [
            (sample.num_frames / period if height >= threshold else 0, sample.gt_count)
            for period, height, sample in found['val']
        ]
        return float(np.mean([abs(round(count) - true) > 1 for count, true in counts]))

    threshold = min(np.arange(0, 1, 0.05), key=error)
    metric = METRICS.build(config.test_evaluator)
    for period, height, sample in found['test']:
        metric.process(None, [_as_prediction(sample, period, height >= threshold).to_dict()])
    print(f'baseline: first principal component, autocorrelation peak of at least {threshold:.2f}')
    for name, value in metric.evaluate(len(found['test'])).items():
        print(f'{name}: {value:.3f}' if isinstance(value, float) else f'{name}: {value}')


def _as_prediction(sample: BaseDataElement, period: float, repeats: bool) -> BaseDataElement:
    """The same period at each frame, as a result that the metric understands."""
    num_frames = sample.num_frames
    rate = np.full(num_frames, 1 / period if repeats else 0.0)
    sample.pred = RepetitionCount.from_rates(
        rate, np.full(num_frames, float(repeats)), fps=sample.fps, stride=1, confidence=1.0
    )
    return sample


if __name__ == '__main__':
    main()
