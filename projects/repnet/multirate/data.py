"""Generated videos of both kinds, whole: trimmed ones of `MotionShapes` and untrimmed ones.

For training each is seen in a way of its own: a part of it, two joined by a cut, half as often,
backward, mirrored. All is drawn when it is asked for, at 1700 frames a second on one core.

Shape letters in this file: N samples of a video, S frame size in pixels.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmotion.checks import check_index, check_range
from mmotion.registry import DATASETS
from mmotion.shapes import MotionShapes, UntrimmedShapes, UntrimmedVideo
from projects.repnet.data import GeneratedRepetitions
from projects.repnet.multirate.clock import MAX_RATE_HZ, SampleClock

# a level of fewer samples cannot show two cycles
MIN_SAMPLES = 12
MAX_LEVELS = 9
# a part of a video has so many samples at least, a video that is learned from at most
MIN_PART, MAX_SAMPLES = 96, 900
# what has shorter cycles, in samples, is not watched at half the rate
SHORTEST = 9


class DrawnVideo(NamedTuple):
    """A video as the encoder sees it.

    Attributes:
        frames: (N, S, S, 3).
        period: Length of the cycle at each sample, in samples, 0 where nothing repeats, (N,).
        rate_hz: Samples per second.
    """

    frames: NDArray[np.uint8]
    period: NDArray[np.float64]
    rate_hz: float


def list_levels(num_samples: int) -> list[int]:
    """How many samples each level of a video has.

    Example:
        >>> list_levels(50)
        [50, 25, 13]
    """
    sizes = [-(-num_samples // 2**i) for i in range(MAX_LEVELS)]
    return [size for i, size in enumerate(sizes) if i == 0 or size >= MIN_SAMPLES]


@DATASETS.register_module()
class RateShapesDataset(GeneratedRepetitions):
    """Whole generated videos, drawn when they are asked for.

    Args:
        split: 'train', 'val' or 'test'; their videos share nothing.
        num_videos: How many there are. An index always gives the same video.
        pipeline: Transforms for each video.
        untrimmed: Share of `UntrimmedShapes` among them, in [0, 1].
        varied: See each video in a way of its own, and no more than some seconds, for training.
        size: Width and height of the frames in pixels.
        wild: Options of `MotionShapes`.
        fps: Frames per second that the videos of `MotionShapes` claim to have.

    Raises:
        ValueError: If a number is out of range.
    """

    def __init__(
        self,
        *,
        split: str,
        num_videos: int,
        pipeline: list[dict[str, Any]],
        untrimmed: float = 0.0,
        varied: bool = False,
        size: int = 96,
        wild: dict[str, Any] | None = None,
        fps: float = 30.0,
    ) -> None:
        super().__init__(num_videos=num_videos, pipeline=pipeline, clip_frames=None, fps=fps)
        check_range('untrimmed', untrimmed, 0, 1)
        self.wild = MotionShapes(split=split, size=size, **(wild or {}))
        self.untrimmed = UntrimmedShapes(split=split, size=size)
        self.share = untrimmed
        self.varied = varied

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Draw a video and pass it through the pipeline.

        Raises:
            IndexError: If there is no video with this number.
        """
        check_index(index, self.num_videos)
        rng = np.random.default_rng([index, 2])
        video = self._draw(index, rng)
        if self.varied:
            if rng.random() < 0.2:
                # as a cut does
                other = take_part(self._draw(self.num_videos + index, rng), rng)
                video = DrawnVideo(
                    np.concatenate([video.frames, other.frames]),
                    np.concatenate([video.period, other.period]),
                    video.rate_hz,
                )
            video = vary(video, rng)
        repeats = video.period > 0
        steps = np.divide(1, video.period, out=np.zeros(len(repeats)), where=repeats)
        return self._finish(
            imgs=list(video.frames),
            name=f'{self.wild.split}_{index:06d}',
            fps=video.rate_hz,
            gt_count=float(steps.sum()),
            gt_period=np.ascontiguousarray(video.period),
            gt_periodicity=repeats.astype(np.float32),
        )

    def _draw(self, number: int, rng: np.random.Generator) -> DrawnVideo:
        if rng.random() < self.share:
            video = sample_evenly(self.untrimmed[number], rng if self.varied else None)
        else:
            scene = self.wild[number]
            video = DrawnVideo(scene.render(), scene.period, self.fps)
        return take_part(video, rng) if self.varied and rng.random() < 0.4 else video


def sample_evenly(video: UntrimmedVideo, rng: np.random.Generator | None) -> DrawnVideo:
    """Look at an untrimmed video as a counter does, all of it or at most `MAX_SAMPLES`.

    Args:
        video: To be drawn.
        rng: Chooses a part, or to look less often; None looks at all of it.
    """
    rate_hz = SampleClock(fps=video.fps, max_rate_hz=MAX_RATE_HZ).rate_hz
    times_s = np.arange(int(video.duration_s * rate_hz)) / rate_hz
    period = video.label(times_s).period_s * rate_hz
    if rng is not None:
        shortest = np.quantile(period[period > 0], 0.1) if period.any() else np.inf
        while len(period) > MAX_SAMPLES and shortest >= 1.5 * SHORTEST and rng.random() < 0.75:
            times_s, period = times_s[::2], period[::2] / 2
            shortest, rate_hz = shortest / 2, rate_hz / 2
        start = int(rng.integers(max(len(period) - MAX_SAMPLES, 0) + 1))
        times_s, period = times_s[start:][:MAX_SAMPLES], period[start:][:MAX_SAMPLES]
    # the frames that are nearest, as a counter takes them
    after = np.searchsorted(video.times_s, times_s).clip(1, len(video) - 1)
    gaps = np.stack([times_s - video.times_s[after - 1], video.times_s[after] - times_s])
    chosen, place = np.unique(after - (gaps[0] <= gaps[1]), return_inverse=True)
    return DrawnVideo(video.render(video.times_s[chosen])[place], period, rate_hz)


def take_part(video: DrawnVideo, rng: np.random.Generator) -> DrawnVideo:
    """Some seconds from anywhere in a video."""
    size = len(video.period)
    if size <= MIN_PART:
        return video
    start = int(rng.integers(size - MIN_PART))
    part = slice(start, int(rng.integers(start + MIN_PART, size + 1)))
    return video._replace(frames=video.frames[part], period=video.period[part])


def vary(video: DrawnVideo, rng: np.random.Generator) -> DrawnVideo:
    """Watch at half the rate, not too long, backward or in a mirror."""
    frames, period, rate_hz = video
    repeating = period[period > 0]
    can_halve = len(period) >= 2 * MIN_PART and not (repeating < SHORTEST).any()
    if can_halve and rng.random() < 0.2:
        frames, period, rate_hz = frames[::2], period[::2] / 2, rate_hz / 2
    start = int(rng.integers(max(len(period) - MAX_SAMPLES, 0) + 1))
    frames, period = frames[start:][:MAX_SAMPLES], period[start:][:MAX_SAMPLES]
    if rng.random() < 0.5:
        frames, period = frames[::-1], period[::-1]
    if rng.random() < 0.5:
        frames = frames[:, :, ::-1]
    return DrawnVideo(frames, period, rate_hz)
