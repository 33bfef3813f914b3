"""Pairs of frames of unlabelled videos, and which of them are worth training on.

A data set gives one dictionary a pair, which the pipeline changes in turn:
    imgs: frame t and frame t + gap, RGB (H, W, 3) uint8
    name: '<video>_<t>'
    video: path of the video, or of its folder of pictures
    frame, gap: t, counted from 0, and the distance to the other frame
    weight: 1, or less for a pair in which little moves
    box: left, top, right and bottom edge in pixels of what is looked at, if the data set has boxes

Reference code: neuroethology/BKinD@9e73721, dataloader/custom_dataset.py, mouse_dataset.py,
    h36m_dataset.py

Shape letters in this file: N frames of a video, P pairs, S width and height of kept frames.
"""

import hashlib
import logging
import os
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
from mmengine.dataset import Compose
from mmengine.logging import print_log
from numpy.typing import NDArray
from torch.utils.data import Dataset

from mmotion.atomic import write_atomically
from mmotion.registry import DATASETS, TRANSFORMS
from mmotion.video import VideoError
from mmotion.video.clips import BrokenVideos
from mmotion.video.files import find_sources
from mmotion.video.sources import VideoSource, open_source

from .transforms import Box, Boxes, CropBox, clip_box, resize_by_area

# motion is measured on grey pictures of this width and height
SCAN_SIZE = (64, 48)
# brightest grey level of a picture that shows nothing
BLACK_LEVEL = 16


@dataclass(frozen=True)
class Motion:
    """Which pairs are still, and what becomes of them.

    Args:
        min_motion: Mean absolute difference of the two frames, as small gray pictures with values
            from 0 to 1, below which a pair is still. It is measured once, which decodes all of a
            video, and remembered in the user's cache folder. 0 measures nothing.
        when_still: 'skip' leaves still pairs out, 'keep' takes them, 'weight' gives them a
            `weight` below 1, in proportion to their motion.

    Raises:
        ValueError: If a value is not as above.
    """

    min_motion: float = 0.0
    when_still: Literal['skip', 'keep', 'weight'] = 'skip'

    def __post_init__(self) -> None:
        if not 0 <= self.min_motion < 1:
            raise ValueError(f'min_motion must be in [0, 1), got min_motion={self.min_motion}')
        if self.when_still not in ('skip', 'keep', 'weight'):
            raise ValueError(
                f"when_still must be 'skip', 'keep' or 'weight', got when_still={self.when_still!r}"
            )


@dataclass(frozen=True)
class Subset:
    """Which videos are used, and which of their pairs.

    Args:
        names: Regular expression that finds something in the names of the videos to use, which are
            their paths below `data_root`.
        split: 'train' or 'val' divides the videos by name, the last ones being 'val'; a single
            video is divided in time. None takes all.
        val_share: Share of the videos in 'val', at least one.
        step: Frames from one t to the next; None for `gap // 10 + 1`, as the reference has it.

    Raises:
        ValueError: If a value is not as above.
    """

    names: str = ''
    split: Literal['train', 'val'] | None = None
    val_share: float = 0.2
    step: int | None = None

    def __post_init__(self) -> None:
        if self.split not in (None, 'train', 'val'):
            raise ValueError(f"split must be 'train', 'val' or None, got split={self.split!r}")
        if not 0 < self.val_share < 1:
            raise ValueError(f'val_share must be between 0 and 1, got val_share={self.val_share}')
        if self.step is not None and self.step < 1:
            raise ValueError(f'step must be at least 1, got step={self.step}')

    def choose_videos(self, names: list[str]) -> list[str]:
        """Those of the split.

        Example:
            >>> Subset(split='val').choose_videos(['a', 'b', 'c', 'd'])
            ['d']
        """
        if self.split is None or len(names) == 1:
            return names
        num_train = min(max(round(len(names) * (1 - self.val_share)), 1), len(names) - 1)
        return names[:num_train] if self.split == 'train' else names[num_train:]

    def divide_in_time(
        self, firsts: NDArray[np.int64], seconds: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Which pairs of a single video are of the split, (P,); no frame is in both parts."""
        if self.split is None or not len(firsts):
            return np.ones(len(firsts), bool)
        border = (seconds[-1] + 1) * (1 - self.val_share)
        return seconds < border if self.split == 'train' else firsts >= border


@DATASETS.register_module()
class FramePairs(Dataset):
    """Frames t and t + gap of unlabelled videos, read from them when they are asked for.

    Nothing is extracted beforehand: an index of the packets leads to a frame. What cannot be used
    is named in the log and counted, and the rest is used: videos that are broken, shorter than the
    gap, or in which nothing moves; holes in a folder; the missing end of a file that was cut off.

    Args:
        data_root: A video, a folder of pictures, or a folder with any number of both, at any depth.
        pipeline: Transforms for each pair.
        gap_frames: From one frame of a pair to the other; give it or `gap_s`.
        gap_s: The same in seconds, for video files; where their rate varies, the frames that are
            as near to it as they come.
        subset: Options of `Subset`: which videos are used, and which of their pairs.
        motion: Options of `Motion`: which pairs are still, and what becomes of them.
        boxes: Part of the picture to look at: boxes by video or a file, see `Boxes`. Pairs are cut
            to them first, unless `pipeline` has a `CropBox` elsewhere.
        keep_size: Decode each video once, at the start, and keep the frames in memory at this width
            and height, 3 * keep_size ** 2 bytes each: a pair then takes microseconds, and not a
            tenth of a second. None reads each pair from its video.

    Raises:
        FileNotFoundError: If there is no video.
        ValueError: If an option is not as above, a video has no box, or no pair is left.
        VideoError: If no video can be read.
    """

    def __init__(
        self,
        *,
        data_root: str,
        pipeline: Sequence[dict[str, Any]],
        gap_frames: int | None = None,
        gap_s: float | None = None,
        subset: Mapping[str, Any] | None = None,
        motion: Mapping[str, Any] | None = None,
        boxes: str | Mapping[str, Sequence[float]] | None = None,
        keep_size: int | None = None,
    ) -> None:
        if (gap_frames is None) == (gap_s is None):
            raise ValueError(
                'one of gap_frames and gap_s must be given, got '
                f'gap_frames={gap_frames} and gap_s={gap_s}'
            )
        numbers = {'gap_frames': gap_frames, 'keep_size': keep_size}
        for option, value in numbers.items():
            if value is not None and value < 1:
                raise ValueError(f'{option} must be at least 1, got {option}={value}')
        if gap_s is not None and not gap_s > 0:
            raise ValueError(f'gap_s must be above 0, got gap_s={gap_s}')
        transforms = [TRANSFORMS.build(step) for step in pipeline]
        if boxes is not None and not any(isinstance(step, CropBox) for step in transforms):
            transforms.insert(0, CropBox())
        self.pipeline = Compose(transforms)
        self.metainfo: dict[str, Any] = {}
        self.subset, self.motion = Subset(**(subset or {})), Motion(**(motion or {}))
        found = find_sources(data_root, names=self.subset.names)
        chosen = self.subset.choose_videos([*found])
        self.broken = BrokenVideos(len(chosen))
        self._num_pairs = 0
        self._measured: list[NDArray[np.float32]] = []
        self._unused: list[str] = []
        sources: list[VideoSource] = []
        for name in chosen:
            try:
                sources.append(open_source(found[name], name=name))
            except (VideoError, OSError) as error:
                self.broken.report(found[name], error)
        self._boxes = None if boxes is None else Boxes(boxes, sources)
        parts: list[_Pairs] = []
        for source in sources:
            gap = gap_frames or _frames_of(gap_s or 0, source)
            step = self.subset.step or gap // 10 + 1
            firsts = list_pairs(source.numbers, gap=gap, step=step)
            pairs = _Pairs(source, firsts, firsts + gap, np.ones(len(firsts)))
            if gap_s is not None and not source.times.is_regular:
                pairs = _list_timed_pairs(source, gap_s=gap_s, step=step)
            if len(found) == 1:
                pairs = pairs.take(self.subset.divide_in_time(pairs.firsts, pairs.seconds))
            try:
                pairs = self._judge(pairs, gap)
            except (VideoError, OSError) as error:
                self.broken.report(source.path, error)
                continue
            if pairs is None:
                continue
            if source.problem:
                print_log(source.problem, logger='current', level=logging.WARNING)
            parts.append(pairs)
        if keep_size is not None:
            parts = [kept for pairs in parts if (kept := self._keep(pairs, keep_size))]
        self._report(parts, num_videos=len(chosen), data_root=data_root)
        self._parts = parts
        self._ends = np.cumsum([len(pairs.firsts) for pairs in parts])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> Any:
        """Read a pair and pass it through the pipeline; another one if it cannot be decoded.

        Raises:
            IndexError: If there is no pair with this number.
            VideoError: If no video can be decoded any more.
        """
        if not 0 <= index < len(self):
            raise IndexError(f'index must lie in 0..{len(self) - 1}, got index={index}')
        while True:
            part = int(np.searchsorted(self._ends, index, side='right'))
            pairs = self._parts[part]
            try:
                return self.pipeline(self._read(pairs, index - int(self._ends[part])))
            except (VideoError, OSError) as error:
                self.broken.report(pairs.source.path, error)
            index = int(np.random.randint(len(self)))

    def _read(self, pairs: '_Pairs', place: int) -> dict[str, Any]:
        """A pair as the pipeline gets it; `place` counts from the end of those of its video."""
        source, first = pairs.source, int(pairs.firsts[place])
        numbers = np.array([first, pairs.seconds[place]])
        kept = pairs.kept
        images = kept.take(numbers) if kept else [*source.read(numbers)]
        sample = {
            'imgs': images,
            'name': f'{source.name}_{first:06d}',
            'video': str(source.path),
            'frame': first,
            'gap': int(numbers[1]) - first,
            'weight': float(pairs.weights[place]),
        }
        if self._boxes is not None:
            box = self._boxes.find(source.name, first)
            sample['box'] = kept.scale_box(box) if kept else box
        return sample

    def _judge(self, pairs: '_Pairs', gap: int) -> '_Pairs | None':
        """Choose and weigh the pairs of a video by their motion; None if there is none to use."""
        source = pairs.source
        self._num_pairs += len(pairs.firsts)
        if not len(pairs.firsts):
            self._pass_over(f'{source.path} has {len(source.numbers)} frames, no two {gap} apart')
            return None
        threshold, when_still = self.motion.min_motion, self.motion.when_still
        if not threshold:
            return pairs
        motion, brightest = measure_motion(source, pairs.firsts, pairs.seconds, self._boxes)
        is_still = motion < threshold
        self._measured.append(motion)
        if is_still.all():
            seen = 'is black' if brightest <= BLACK_LEVEL else 'shows nothing that moves'
            most = f'its pairs differ by {motion.max():.2g} at most, min_motion={threshold}'
            self._pass_over(f'{source.path} {seen}: {most}')
            return None
        if when_still == 'skip':
            return pairs.take(~is_still)
        if when_still == 'weight':
            return pairs._replace(weights=np.minimum(motion / threshold, 1))
        return pairs

    def _keep(self, pairs: '_Pairs', size: int) -> '_Pairs | None':
        """Decode the frames of the pairs of a video, cut to its box; None if that fails."""
        box = None if self._boxes is None else self._boxes.find_fixed(pairs.source.name)
        try:
            return pairs._replace(kept=_keep_frames(pairs, size, box))
        except (VideoError, OSError) as error:
            self.broken.report(pairs.source.path, error)
            return None

    def _pass_over(self, reason: str) -> None:
        self._unused.append(reason)
        print_log(f'left out: {reason}', logger='current', level=logging.WARNING)

    def _report(self, parts: list['_Pairs'], *, num_videos: int, data_root: str) -> None:
        """Log what is used.

        Raises:
            ValueError: If nothing is.
        """
        num_used = sum(len(pairs.firsts) for pairs in parts)
        text = (
            f'{num_used:,} of {self._num_pairs:,} pairs, {len(parts):,} of {num_videos:,} videos '
            f'of {data_root} are used; {len(self.broken.paths)} videos are broken, '
            f'{len(self._unused)} have no pair that moves'
        )
        if self._measured:
            threshold = self.motion.min_motion
            motion = np.concatenate(self._measured)
            low, middle, high = np.percentile(motion, [5, 50, 95])
            text += (
                f'; {np.mean(motion < threshold):.1%} of the pairs are still, below '
                f'{threshold}; 5, 50 and 95 % are below {low:.2g}, {middle:.2g}, {high:.2g}'
            )
        if not parts:
            raise ValueError(
                f'data_root must hold a pair that moves, got {text}; the last: '
                f'{self._unused[-1]}; lower min_motion or the gap'
            )
        print_log(text, logger='current')


class _Kept(NamedTuple):
    """Frames in memory, (N, S, S, 3), with their numbers, their corner, and their scale."""

    images: NDArray[np.uint8]
    numbers: NDArray[np.int64]
    corner: tuple[int, int]
    scale: tuple[float, float]

    def take(self, numbers: NDArray[np.int64]) -> list[NDArray[np.uint8]]:
        return [*self.images[np.searchsorted(self.numbers, numbers)]]

    def scale_box(self, box: Box) -> Box:
        (x, y), (across, down) = self.corner, self.scale
        left, top, right, bottom = box
        return (left - x) * across, (top - y) * down, (right - x) * across, (bottom - y) * down


class _Pairs(NamedTuple):
    """The pairs of a video: numbers of their first and second frames, and weights, each (P,)."""

    source: VideoSource
    firsts: NDArray[np.int64]
    seconds: NDArray[np.int64]
    weights: NDArray[np.float64]
    kept: _Kept | None = None

    def take(self, chosen: NDArray[np.bool_]) -> '_Pairs':
        return self._replace(
            firsts=self.firsts[chosen], seconds=self.seconds[chosen], weights=self.weights[chosen]
        )


def list_pairs(numbers: NDArray[np.int64], *, gap: int, step: int) -> NDArray[np.int64]:
    """Numbers t of the frames that begin a pair, (P,).

    Args:
        numbers: Numbers of the frames that are there (N,), ascending from 0.
        gap: From one frame of a pair to the other.
        step: From one t to the next.

    Example:
        >>> list_pairs(np.array([0, 1, 2, 3, 5, 6]), gap=2, step=1)
        array([0, 1, 3])
    """
    firsts = np.arange(0, int(numbers[-1]) + 1 - gap, step)
    return firsts[np.isin(firsts, numbers) & np.isin(firsts + gap, numbers)]


def _list_timed_pairs(source: VideoSource, *, gap_s: float, step: int) -> _Pairs:
    """Pairs of frames that are not evenly spaced, as near to `gap_s` apart as they come."""
    half_s, times_s = 0.5 / source.times.fps, np.asarray(source.times.listed_s)
    firsts = np.arange(0, len(times_s) - 1, step)
    goals_s = times_s[firsts] + gap_s
    is_within = goals_s <= times_s[-1] + half_s
    firsts, goals_s = firsts[is_within], goals_s[is_within]
    middles_s = (times_s[1:] + times_s[:-1]) / 2
    seconds = np.maximum(np.searchsorted(middles_s, goals_s), firsts + 1)
    return _Pairs(source, firsts, seconds, np.ones(len(firsts)))


def measure_motion(
    source: VideoSource,
    firsts: NDArray[np.int64],
    seconds: NDArray[np.int64],
    boxes: Boxes | None = None,
) -> tuple[NDArray[np.float32], int]:
    """Measure how much the frames of each pair differ, or remember it from the last time.

    Args:
        source: Where the frames are.
        firsts: Numbers t of the first frames (P,), ascending.
        seconds: Numbers of the second frames (P,), none lower than the one before.
        boxes: What is looked at, that of the first frame in both; None looks at the whole picture.

    Returns:
        Mean absolute difference of the grey values, which are from 0 to 1, (P,), and the brightest
        grey level, from 0 to 255, of all frames.

    Raises:
        VideoError: If a frame cannot be read, or has no box.
    """
    seen = [boxes.find(source.name, n) if boxes else None for n in firsts.tolist()]
    status = source.path.stat()
    what = (str(source.path.resolve()), status.st_size, status.st_mtime_ns, SCAN_SIZE, seen)
    pairs = firsts.tobytes() + seconds.tobytes()
    key = hashlib.sha256(repr(what).encode() + pairs).hexdigest()[:32]
    cache = Path(os.environ.get('XDG_CACHE_HOME') or '~/.cache').expanduser()
    file = cache / 'mmotion' / 'motion' / f'{key}.npy'
    with suppress(OSError, ValueError):
        values = np.load(file, allow_pickle=False)
        return values[1:], int(values[0])
    motion, brightest = np.zeros(len(firsts), np.float32), 0
    numbers = np.union1d(firsts, seconds)
    # the small pictures of first frames whose second one has not come yet, in order
    waiting: deque[NDArray[np.uint8]] = deque()
    begun = done = 0
    for number, image in zip(numbers.tolist(), source.read(numbers), strict=True):
        while done < begun and seconds[done] == number:
            gray = _shrink(image, seen[done], source.name)
            brightest = max(brightest, int(gray.max()))
            motion[done] = float(cv2.absdiff(gray, waiting.popleft()).mean()) / 255
            done += 1
        if begun < len(firsts) and firsts[begun] == number:
            waiting.append(_shrink(image, seen[begun], source.name))
            brightest = max(brightest, int(waiting[-1].max()))
            begun += 1
    # a cache that cannot be written is only slower
    with suppress(OSError), write_atomically(file) as temporary:
        np.save(temporary, np.concatenate([[brightest], motion]).astype(np.float32))
    return motion, brightest


def _shrink(image: NDArray[np.uint8], box: Box | None, name: str) -> NDArray[np.uint8]:
    """What a box shows, as a small gray picture."""
    if box is not None:
        left, top, right, bottom = clip_box(box, image, name)
        image = image[top:bottom, left:right]
    small = cv2.resize(image, SCAN_SIZE, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)


def _frames_of(gap_s: float, source: VideoSource) -> int:
    """How many frames a time is.

    Raises:
        ValueError: If the source has no frame rate.
    """
    if source.fps is None:
        raise ValueError(
            f'gap_s must be used with video files, got gap_s={gap_s} and the folder of pictures '
            f'{source.path}, whose rate nobody knows; give gap_frames'
        )
    return max(round(gap_s * source.fps), 1)


def _keep_frames(pairs: _Pairs, size: int, box: Box | None) -> _Kept:
    """Decode all frames of the pairs of a video, cut to a box and scaled to `size`."""
    numbers = np.union1d(pairs.firsts, pairs.seconds)
    images = np.empty((len(numbers), size, size, 3), np.uint8)
    height = width = size
    left = top = 0
    for place, image in enumerate(pairs.source.read(numbers)):
        if box is not None:
            left, top, right, bottom = clip_box(box, image, pairs.source.name)
            image = image[top:bottom, left:right]
        height, width = image.shape[:2]
        images[place] = resize_by_area(image, size)
    return _Kept(images, numbers, (left, top), (size / width, size / height))
