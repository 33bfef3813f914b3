"""The period of a video by autocorrelation, see `mmotion repetition-baseline`."""

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from mmengine.structures import BaseDataElement
from numpy.typing import NDArray
from rich.progress import track
from scipy.linalg import eigh
from scipy.signal import find_peaks

from mmotion.config import load_config
from mmotion.keypoints.watching import is_keypoint_file, open_keypoints
from mmotion.registry import DATASETS
from mmotion.video import VideoError, inspect_video, iterate_frames
from projects.repnet.results import RepetitionCount
from projects.repnet.table_data import CountedClip, read_counts_table

# what is kept of a frame: the longer side, in pixels
SMALL_SIDE = 64
PRINCIPAL_SIDE = 24
# people hardly repeat a movement faster; generated videos do
MIN_PERIOD_S = 0.4
MIN_PERIOD_FRAMES = 3
# in parts of the video: one cycle and half of the next must be seen
MAX_PERIOD = 2 / 3
# the first peak that is nearly as high as the highest is the period, later ones are multiples of it
NEARLY = 0.9


@dataclass(frozen=True)
class Rhythm:
    """The period of a video and how sure it is.

    Args:
        num_frames: Of the video.
        period: In frames, infinite if there is no peak.
        height: Of the autocorrelation's peak, in [0, 1].
    """

    num_frames: int
    period: float
    height: float

    def count(self, *, fps: float, threshold: float = 0.0) -> RepetitionCount:
        """The same period at each frame, or nothing if the peak is lower than the threshold."""
        repeats = float(self.height >= threshold)
        return RepetitionCount.from_rates(
            np.full(self.num_frames, repeats / self.period),
            np.full(self.num_frames, repeats),
            fps=fps,
            stride=1,
            confidence=self.height,
        )


def shrink(images: Iterable[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Grey images (N, h, w) with a longer side of 64 pixels, of RGB images (H, W, 3)."""
    small = []
    for image in images:
        scale = SMALL_SIDE / max(image.shape[:2])
        size = [max(round(side * scale), PRINCIPAL_SIDE) for side in image.shape[1::-1]]
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        small.append(cv2.resize(grey, size, interpolation=cv2.INTER_AREA))
    return np.stack(small)


def frames_as_features(small: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Grey images (N, h, w) to rows (N, 576)."""
    size = (PRINCIPAL_SIDE, PRINCIPAL_SIDE)
    rows = [cv2.resize(image, size, interpolation=cv2.INTER_AREA).ravel() for image in small]
    return np.stack(rows).astype(np.float32)


def flow_as_features(small: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Grey images (N, h, w) to rows (N - 1, 2 h w), the motion between neighbours in pixels."""
    flow = np.zeros((len(small) - 1, *small.shape[1:], 2), np.float32)
    for i in range(len(flow)):
        # pyramid of 3 levels at half size, 9 pixels window, 2 iterations, 5 pixels polynomials
        cv2.calcOpticalFlowFarneback(small[i], small[i + 1], flow[i], 0.5, 3, 9, 2, 5, 1.1, 0)
    return flow.reshape(len(flow), 2 * small[0].size)


BASELINES: dict[str, Callable[[NDArray[np.uint8]], NDArray[np.float32]]] = {
    'PCA of frames': frames_as_features,
    'PCA of flow': flow_as_features,
}


def find_rhythms(
    images: Iterable[NDArray[np.uint8]], *, min_period: float = MIN_PERIOD_FRAMES
) -> dict[str, Rhythm]:
    """What each baseline says of a video.

    Args:
        images: RGB frames (H, W, 3), at least one.
        min_period: In frames.

    Returns:
        A rhythm by the name of the baseline.
    """
    small = shrink(images)
    rhythms = {}
    for name, describe in BASELINES.items():
        period, height = find_period(principal_curve(describe(small)), min_period=min_period)
        rhythms[name] = Rhythm(len(small), period, height)
    return rhythms


def principal_curve(features: NDArray[np.float32]) -> NDArray[np.float64]:
    """The first principal component of rows (N, D) over time (N,)."""
    num_rows = len(features)
    if num_rows < 2:
        return np.zeros(num_rows)
    centered = features - features.mean(0)
    # there are fewer frames than pixels
    products = (centered @ centered.T).astype(np.float64)
    values, vectors = eigh(products, subset_by_index=(num_rows - 1, num_rows - 1))
    return vectors[:, 0] * max(values[0], 0) ** 0.5


def find_period(
    curve: NDArray[np.float64], *, min_period: float = MIN_PERIOD_FRAMES
) -> tuple[float, float]:
    """Period and height of the autocorrelation's first peak that is nearly the highest.

    Args:
        curve: (N,).
        min_period: Shortest period in frames; the longest is 2 / 3 N.

    Returns:
        The period in frames, between two frames by a parabola through the peak, and the height in
        [0, 1]; (inf, 0) if there is no peak.
    """
    size = len(curve)
    if size < 2 * MIN_PERIOD_FRAMES or np.ptp(curve) < 1e-6:
        return np.inf, 0.0
    # a steady drift of the camera or the light is not the motion
    times = np.arange(size)
    curve = curve - np.polynomial.Polynomial.fit(times, curve, deg=1)(times)
    spectrum = np.abs(np.fft.rfft(curve, 2 * size)) ** 2
    correlation = np.fft.irfft(spectrum)[: int(size * MAX_PERIOD) + 1]
    # each lag has fewer pairs than the one before
    correlation /= (correlation[0] + 1e-12) * (1 - np.arange(len(correlation)) / size)
    peaks, _ = find_peaks(correlation, height=0)
    peaks = peaks[peaks >= min_period]
    if not len(peaks):
        return np.inf, 0.0
    heights = correlation[peaks]
    best = int(np.flatnonzero(heights >= NEARLY * heights.max())[0])
    before, at, after = correlation[peaks[best] - 1 : peaks[best] + 2]
    shift = 0.5 * (before - after) / min(before - 2 * at + after, -1e-12)
    return float(peaks[best] + np.clip(shift, -0.5, 0.5)), float(min(heights[best], 1.0))


def measure_clip(clip: CountedClip) -> dict[str, RepetitionCount]:
    """What each baseline counts in a clip of a table.

    Raises:
        FileNotFoundError: If there is no such video.
        VideoError: If it cannot be read.
    """
    if is_keypoint_file(clip.path):
        return {'PCA of keypoints': measure_keypoints(clip)}
    fps = inspect_video(clip.path).fps
    frames = iterate_frames(clip.path, start_s=clip.start_s, end_s=clip.end_s)
    rhythms = find_rhythms((frame.image for frame in frames), min_period=MIN_PERIOD_S * fps)
    return {name: rhythm.count(fps=fps) for name, rhythm in rhythms.items()}


def measure_keypoints(clip: CountedClip) -> RepetitionCount:
    """What the autocorrelation of the main person's keypoints in the picture counts.

    Points that are missing lie on a straight line between where they were before and after.
    """
    poses = open_keypoints(clip.path).watch(clip.start_s, clip.end_s).poses
    points = poses.main_track()[0].reshape(len(poses.frames), -1)
    steps = np.arange(len(points))
    for column in points.T:
        seen = np.flatnonzero(~np.isnan(column))
        column[:] = np.interp(steps, seen, column[seen]) if len(seen) else 0
    every = np.median(np.diff(poses.frame_indices)) if len(points) > 1 else 1
    fps = float(poses.fps / every)
    period, height = find_period(principal_curve(points), min_period=MIN_PERIOD_S * fps)
    return Rhythm(len(points), period, height).count(fps=fps)


def count_table(path: str) -> Iterator[tuple[BaseDataElement, dict[str, RepetitionCount]]]:
    """Give the true count and the counted ones of each clip; what cannot be read is named."""
    for clip in track(read_counts_table(path), 'count'):
        try:
            results = measure_clip(clip)
        except (VideoError, OSError) as error:
            print(f'{clip.name}: left out, {error}', file=sys.stderr)
            continue
        counted = ', '.join(f'{name} {result.count:.1f}' for name, result in results.items())
        print(f'{clip.name}: true {clip.count:g}, {counted}')
        yield BaseDataElement(gt_count=clip.count), results


def count_config(path: str) -> Iterator[tuple[BaseDataElement, dict[str, RepetitionCount]]]:
    """Choose the thresholds on the validation videos, then give the test videos."""
    config = load_config(path)
    found = {}
    for split in ('val', 'test'):
        dataset = DATASETS.build(config[f'{split}_dataloader'].dataset)
        found[split] = []
        for i in track(range(len(dataset)), description=split):
            item = dataset[i]
            images = item['inputs'].permute(1, 2, 3, 0).numpy()
            found[split].append((item['data_samples'], find_rhythms(images)))
    thresholds = {}
    for name in BASELINES:

        def error(threshold: float, name: str = name) -> float:
            counts = [
                (rhythms[name].count(fps=sample.fps, threshold=threshold).count, sample.gt_count)
                for sample, rhythms in found['val']
            ]
            return float(np.mean([abs(round(count) - true) > 1 for count, true in counts]))

        thresholds[name] = min(np.arange(0, 1, 0.05), key=error)
        print(f'{name}: a video repeats if its peak is at least {thresholds[name]:.2f}')
    for sample, rhythms in found['test']:
        yield (
            sample,
            {
                name: rhythm.count(fps=sample.fps, threshold=thresholds[name])
                for name, rhythm in rhythms.items()
            },
        )
