"""Embedded videos: generated videos as RepNet's encoder sees them, to train what comes after it.

An embedded video has the embeddings of its levels one after the other, (rows, D): those of all N
samples, then of every second one, every fourth, and so on, as long as a level has enough samples.
Drawing and encoding a video takes a hundred times as long as training on it, so it is done once,
and each time another part is taken, joined to another video as by a cut, reversed, or dimmed.

Shape letters in this file: N samples of a video, D embedding size.
"""

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.structures import BaseDataElement
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from mmotion.atomic import write_atomically
from mmotion.checks import check_at_least, check_index
from mmotion.inference import load_model, make_sample
from mmotion.registry import DATASETS
from mmotion.shapes import MotionShapes, UntrimmedShapes, UntrimmedVideo
from projects.repnet.multirate.clock import SampleClock

# a level of fewer samples cannot show two cycles
MIN_SAMPLES = 12
MAX_LEVELS = 9
# frames that are encoded at once
CHUNK_FRAMES = 64
# parts begin where all levels of a generated video have a sample
GRID = 32
MIN_PART = 128
# of a long video
MAX_SAMPLES = 900


class EmbeddedVideo(NamedTuple):
    """A video as the encoder sees it.

    Attributes:
        levels: Embeddings of each level (n, D), n halved from one to the next and rounded up.
        period: Length of the cycle at each sample, in samples, 0 where nothing repeats, (N,).
    """

    levels: list[Tensor]
    period: Tensor


def list_levels(num_samples: int) -> list[int]:
    """How many samples each level of a video has.

    Example:
        >>> list_levels(50)
        [50, 25, 13]
    """
    sizes = [-(-num_samples // 2**i) for i in range(MAX_LEVELS)]
    return [size for i, size in enumerate(sizes) if i == 0 or size >= MIN_SAMPLES]


@DATASETS.register_module()
class EmbeddedShapesDataset(Dataset):
    """Embedded generated videos, in a different way each time.

    Args:
        split: 'train', 'val' or 'test'.
        num_wild: Videos of `MotionShapes` that are drawn, about 0.1 MB each.
        num_untrimmed: Videos of `UntrimmedShapes` that are drawn; of long ones a part, or fewer
            frames a second.
        num_samples: Ways of looking at them; an index always gives the same one.
        cache_dir: Folder of the embedded videos, which are made when they are asked for first.
        wild: Options of `MotionShapes`.
        embedder: Config of the RepNet whose shipped encoder is used.
        size: Width and height of the frames in pixels.

    Raises:
        ValueError: If a number is out of range.
    """

    def __init__(
        self,
        *,
        split: str,
        num_wild: int,
        num_untrimmed: int,
        num_samples: int,
        cache_dir: str,
        wild: dict[str, Any] | None = None,
        embedder: str = 'repnet_small',
        size: int = 96,
    ) -> None:
        check_at_least('num_wild', num_wild, 0)
        check_at_least('num_untrimmed', num_untrimmed, 0)
        check_at_least('num_wild + num_untrimmed', num_wild + num_untrimmed, 1)
        check_at_least('num_samples', num_samples, 1)
        self.wild = MotionShapes(split=split, size=size, **(wild or {}))
        self.untrimmed = UntrimmedShapes(split=split, size=size)
        self.num_wild = num_wild
        self.num_videos = num_wild + num_untrimmed
        self.num_samples = num_samples
        self.cache_dir = Path(cache_dir)
        self.embedder = embedder
        self._predictor: Any = None

    def __len__(self) -> int:
        return self.num_samples

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Give an embedded video as `inputs` (rows, D).

        In `data_samples` are `level_sizes` and `gt_period` (N,).

        Raises:
            IndexError: If there is no sample with this number.
        """
        check_index(index, self.num_samples)
        rng = np.random.default_rng([index, 2])
        video = self.load(int(rng.integers(self.num_videos)))
        if rng.random() < 0.4:
            video = _take_part(video, rng)
        if rng.random() < 0.2:
            video = _join(video, _take_part(self.load(int(rng.integers(self.num_videos))), rng))
        video = _change(video, rng)
        sizes = [len(level) for level in video.levels]
        sample = BaseDataElement(metainfo={'level_sizes': sizes}, gt_period=video.period)
        return {'inputs': torch.cat(video.levels), 'data_samples': sample}

    def load(self, index: int) -> EmbeddedVideo:
        """A whole video from the cache, made if need be; the untrimmed ones come last."""
        is_wild = index < self.num_wild
        number = index if is_wild else index - self.num_wild
        kind = 'wild' if is_wild else 'untrimmed'
        path = self.cache_dir / f'{self.wild.split}_{kind}_{number:06d}.npz'
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            if is_wild:
                scene = self.wild[number]
                frames, period = scene.render(), scene.period
            else:
                frames, period = draw_untrimmed(self.untrimmed[number], number)
            rows = self._embed(frames)
            with write_atomically(path) as temporary, open(temporary, 'wb') as file:
                np.savez(file, rows=rows, period=period.astype(np.float32))
        with np.load(path, allow_pickle=False) as saved:
            rows, period = torch.from_numpy(saved['rows']), torch.from_numpy(saved['period'])
        return EmbeddedVideo([*rows.float().split(list_levels(len(period)))], period)

    @torch.inference_mode()
    def _embed(self, frames: NDArray[np.uint8]) -> NDArray[np.float16]:
        """Frames (N, S, S, 3) to rows (rows, D)."""
        if self._predictor is None:
            self._predictor = load_model(self.embedder, device='cpu')
        model = self._predictor.model
        maps = []
        for first in range(0, len(frames), CHUNK_FRAMES):
            sample = make_sample(list(frames[first : first + CHUNK_FRAMES]), fps=30.0)
            clip = self._predictor.preprocess([sample])['inputs'][0]
            maps.append(model.encode_frames(clip.transpose(0, 1)))
        whole = torch.cat(maps)
        levels = [
            model.temporal_conv.combine(whole[None, :: 2**i])[0]
            for i in range(len(list_levels(len(whole))))
        ]
        return torch.cat(levels).half().numpy()


def draw_untrimmed(
    video: UntrimmedVideo, seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Look at an untrimmed video for at most `MAX_SAMPLES`: at a part of it, or less often.

    Returns:
        Frames (N, S, S, 3) and the period in samples, 0 where nothing repeats, (N,).
    """
    rng = np.random.default_rng([seed, 7])
    rate_hz = SampleClock(fps=video.fps, max_rate_hz=32.0).rate_hz
    times_s = np.arange(int(video.duration_s * rate_hz)) / rate_hz
    period = video.label(times_s).period_s * rate_hz
    shortest = np.quantile(period[period > 0], 0.1) if period.any() else np.inf
    while len(period) > MAX_SAMPLES and shortest >= 14 and rng.random() < 0.75:
        times_s, period, shortest = times_s[::2], period[::2] / 2, shortest / 2
    start = int(rng.integers(max(len(period) - MAX_SAMPLES, 0) + 1))
    times_s, period = times_s[start:][:MAX_SAMPLES], period[start:][:MAX_SAMPLES]
    # the frames that are nearest, as a counter takes them
    after = np.searchsorted(video.times_s, times_s).clip(1, len(video) - 1)
    gaps = np.stack([times_s - video.times_s[after - 1], video.times_s[after] - times_s])
    chosen, place = np.unique(after - (gaps[0] <= gaps[1]), return_inverse=True)
    return video.render(video.times_s[chosen])[place], period


def _take_part(video: EmbeddedVideo, rng: np.random.Generator) -> EmbeddedVideo:
    """Some seconds from anywhere in a video."""
    size = len(video.period)
    if size <= MIN_PART + GRID:
        return video
    start = GRID * int(rng.integers((size - MIN_PART) // GRID + 1))
    stop = int(rng.integers(min(start + MIN_PART, size), size + 1))
    sizes = list_levels(stop - start)
    parts = zip(video.levels, sizes, strict=False)
    levels = [level[start >> i :][:n] for i, (level, n) in enumerate(parts)]
    return EmbeddedVideo(levels, video.period[start:stop])


def _join(video: EmbeddedVideo, other: EmbeddedVideo) -> EmbeddedVideo:
    """Cut from one video to another."""
    size = len(video.period) // GRID * GRID
    if not size:
        return video
    period = torch.cat([video.period[:size], other.period])
    pairs = zip(video.levels, other.levels, strict=False)
    levels = [torch.cat([one[: size >> i], two]) for i, (one, two) in enumerate(pairs)]
    # levels that one of them is too short for
    sizes = list_levels(len(period))[: len(levels)]
    return EmbeddedVideo(levels[: len(sizes)], period)


def _change(video: EmbeddedVideo, rng: np.random.Generator) -> EmbeddedVideo:
    """Watch at half the rate, backward, or with less or more contrast."""
    levels, period = video
    slowest = period[period > 0]
    if len(levels) > 3 and rng.random() < 0.2 and (not len(slowest) or slowest.min() >= 9):
        levels, period = levels[1:], period[::2] / 2
    if rng.random() < 0.5 and len(period) % GRID == 0:
        levels, period = [level.flip(0) for level in levels], period.flip(0)
    if rng.random() < 0.3:
        factor = math.exp(rng.uniform(-0.3, 0.3))
        levels = [level * factor for level in levels]
    return EmbeddedVideo(levels, period)
