"""Videos with repetition labels for RepNet, and the transforms they pass.

A data set gives one dictionary a video, which the pipeline's transforms change in turn:
    imgs: frames, a list of RGB arrays (H, W, 3) uint8
    scene: instead of them, what a generated video shows, to be drawn on the model's device
    fps: frames per second of these frames
    name: of the video, unique in the data set
    gt_count: true number of repetitions
    gt_period: length in frames of the cycle that each frame is in, 0 where nothing repeats, (T,)
    gt_periodicity: 1 where a frame belongs to a repetition, else 0, (T,)
    gt_cycles: repetitions done at each frame (T,), only where the phase is known

Labels: Dwibedi et al. 2020, section 3.2, https://arxiv.org/abs/2006.15418
"""

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from mmengine.dataset import Compose
from mmengine.structures import BaseDataElement
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import Dataset

from mmotion.checks import check_at_least, check_choice, check_index
from mmotion.inference.lean import Transform
from mmotion.registry import DATASETS, TRANSFORMS

if TYPE_CHECKING:
    from mmotion.shapes import Scene

# shorter periods are not counted (materight/RepNet-pytorch@c455c53, utils/plots.py, get_counts)
MIN_PERIOD = 3
# less frames cannot hold two cycles that a network could tell
MIN_CLIP_FRAMES = 8
# of the windows that are trained on, in frames
STRIDES = (1, 2, 3, 4, 6, 8)
# of made repetitions: share that goes forward and then backward, how much the logarithm of the
# length changes from one cycle to the next, and the most frames of the video in a step
REVERSED_SHARE = 0.5
LENGTH_CHANGE = 0.1
MAX_SPEED = 4


@TRANSFORMS.register_module()
class ResizeFrames(Transform):
    """Scale frames to a square, without keeping the aspect, as the reference's run.py does.

    Pillow's bilinear filter averages over the pixels that it leaves out, so that large frames do
    not flicker when they become small. Predictions scale the frames of a file so where they are
    decoded, see `VideoFrame.scaled`, which moves counts in the third digit.

    Args:
        size: Width and height in pixels.
        reducing_gap: First average whole pixels, down to so many times the size, which is up to
            three times as fast: 1 takes the nearest size that can be had like that, at 3 hardly a
            pixel changes. None does not.

    Raises:
        ValueError: If the size is not positive, or the gap below 1.
    """

    def __init__(self, *, size: int, reducing_gap: float | None = None) -> None:
        check_at_least('size', size, 1)
        if reducing_gap is not None:
            check_at_least('reducing_gap', reducing_gap, 1)
        self.size = size
        self.reducing_gap = reducing_gap

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Scale each of `imgs`; a scene must have the right size.

        Raises:
            ValueError: If it has not.
        """
        if 'scene' in results:
            if results['scene'].size != self.size:
                raise ValueError(
                    f'a scene must have the size of ResizeFrames, {self.size} pixels, got '
                    f'{results["scene"].size}; give the data set size={self.size}'
                )
            return results
        results['imgs'] = [
            resize_pillow(image, self.size, self.reducing_gap) for image in results['imgs']
        ]
        return results


@TRANSFORMS.register_module()
class PackRepetitionInputs(Transform):
    """Stack the frames to `inputs`, uint8 (3, T, H, W), and put the labels into `data_samples`.

    A scene becomes `inputs` as it is, see `ClipDataPreprocessor`.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Pack what there is; a video without labels is packed without them."""
        inputs = shown = results.get('scene')
        if shown is None:
            shown = results['imgs']
            inputs = torch.from_numpy(np.stack(shown)).permute(3, 0, 1, 2).contiguous()
        sample = BaseDataElement(
            metainfo={
                'name': results.get('name', ''),
                'fps': results['fps'],
                'num_frames': len(shown),
            }
        )
        if 'gt_count' in results:
            sample.gt_count = float(results['gt_count'])
        if 'gt_period' in results:
            sample.gt_period = torch.as_tensor(results['gt_period'], dtype=torch.float32)
            sample.gt_periodicity = torch.as_tensor(results['gt_periodicity'], dtype=torch.float32)
        if 'gt_cycles' in results:
            sample.gt_cycles = torch.as_tensor(results['gt_cycles'], dtype=torch.float32)
        return {'inputs': inputs, 'data_samples': sample}


class GeneratedRepetitions(Dataset):
    """Generated videos or clips of them, with their labels, on their way through a pipeline.

    Args:
        num_videos: How many there are, at least 1.
        pipeline: Transforms for each video.
        clip_frames: Frames of a clip, at least 8; None gives whole videos.
        fps: Frames per second that the videos claim to have.

    Raises:
        ValueError: If there is no video or a clip has less than 8 frames.
    """

    def __init__(
        self,
        *,
        num_videos: int,
        pipeline: list[dict[str, Any]],
        clip_frames: int | None,
        fps: float,
    ) -> None:
        check_at_least('num_videos', num_videos, 1)
        if clip_frames is not None:
            check_at_least('clip_frames', clip_frames, MIN_CLIP_FRAMES)
        self.num_videos = num_videos
        self.pipeline = Compose(pipeline)
        self.clip_frames = clip_frames
        self.fps = fps

    def __len__(self) -> int:
        return self.num_videos

    def _finish(self, **video: Any) -> dict[str, Any]:
        """Pass a video through the pipeline, see the top of this file for its entries."""
        item: Any = self.pipeline({'fps': self.fps, **video})
        return item


@DATASETS.register_module()
class RepetitionShapesDataset(GeneratedRepetitions):
    """Generated videos of repeating motion, drawn when they are asked for.

    Args:
        split: 'train', 'val' or 'test'; their videos share nothing.
        num_videos: How many there are. An index always gives the same video, so a large number
            together with `EpochSliceSampler` trains on fresh videos in each epoch.
        pipeline: Transforms for each video.
        size: Width and height of the frames in pixels.
        shapes: Further options of `MotionShapes`: lengths, periods, whether `in_the_wild`.
        clip_frames: Give clips of this many frames, from anywhere in a video and at any of the
            speeds at which RepNet looks at a video, for training; None gives whole videos.
        fps: Frames per second that the videos claim to have.
        render_on: Where they are drawn: by the data 'workers', or on the model's 'device', a batch
            at once, so that workers only describe what is to be seen. Labels are the same, and
            pictures but for roundings.

    Raises:
        ValueError: If there is no video, a clip has less than 8 frames, or `render_on` is unknown.
    """

    def __init__(
        self,
        *,
        split: str,
        num_videos: int,
        pipeline: list[dict[str, Any]],
        size: int = 64,
        shapes: dict[str, Any] | None = None,
        clip_frames: int | None = None,
        fps: float = 30.0,
        render_on: str = 'workers',
    ) -> None:
        super().__init__(num_videos=num_videos, pipeline=pipeline, clip_frames=clip_frames, fps=fps)
        # a prediction does without, and without scipy
        from mmotion.shapes import MotionShapes
        from mmotion.shapes.scene import RENDER_ON

        check_choice('render_on', render_on, RENDER_ON)
        self.render_on = render_on
        self.shapes = MotionShapes(split=split, size=size, **(shapes or {}))

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Draw a video or clip and pass it through the pipeline.

        Raises:
            IndexError: If there is no video with this number.
        """
        check_index(index, self.num_videos)
        scene = self.shapes[index]
        if self.clip_frames is not None:
            scene = random_clip(scene, self.clip_frames, np.random.default_rng([index, 1]))
        return self._finish(
            **scene.show(self.render_on),
            name=f'{self.shapes.split}_{index:06d}',
            gt_count=scene.count,
            gt_period=scene.period,
            gt_periodicity=scene.periodicity,
            gt_cycles=scene.cycles,
        )


@DATASETS.register_module()
class RepetitionPosesDataset(GeneratedRepetitions):
    """Generated people who repeat something, as a detector of keypoints would find them.

    A frame of `imgs` is a pose (K, 1, 3): x, y, and 1 where the point was found, see `poses.py`.

    Args:
        split: 'train', 'val' or 'test'; their people share nothing.
        num_videos: How many there are, see `RepetitionShapesDataset`.
        pipeline: Transforms for each video.
        clip_frames: Give clips of this many frames, as `RepetitionShapesDataset` does; None gives
            whole videos.
        fps: Frames per second that the videos claim to have.

    Raises:
        ValueError: If there is no video or a clip has less than 8 frames.
    """

    def __init__(
        self,
        *,
        split: str,
        num_videos: int,
        pipeline: list[dict[str, Any]],
        clip_frames: int | None = None,
        fps: float = 10.0,
    ) -> None:
        super().__init__(num_videos=num_videos, pipeline=pipeline, clip_frames=clip_frames, fps=fps)
        from mmotion.shapes import PersonShapes

        self.people = PersonShapes(split=split)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Make a video or clip and pass it through the pipeline.

        Raises:
            IndexError: If there is no video with this number.
        """
        check_index(index, self.num_videos)
        from mmotion.shapes import simulate_detector

        motion, rng = self.people[index], np.random.default_rng([index, 1])
        joints, cycles, period = motion.joints, motion.cycles, motion.period
        if self.clip_frames is not None:
            frames = sample_window(period, self.clip_frames, rng)
            joints = joints[np.minimum(frames, len(joints) - 1)]
            period = countable_period(period, frames)
            cycles = count_cycles(period)
        return self._finish(
            imgs=simulate_detector(joints, rng).astype(np.float32)[:, :, None],
            name=f'{self.people.split}_{index:06d}',
            gt_count=round(float(cycles[-1]), 6),
            gt_period=period,
            gt_periodicity=(period > 0).astype(np.float64),
            gt_cycles=cycles,
        )


def resize_pillow(
    image: NDArray[np.uint8], size: int, reducing_gap: float | None = None
) -> NDArray[np.uint8]:
    """Scale a frame (H, W, 3) to (size, size, 3) by Pillow's bilinear filter."""
    if image.shape[:2] == (size, size):
        return image
    picture = Image.fromarray(image)
    return np.asarray(
        picture.resize((size, size), Image.Resampling.BILINEAR, reducing_gap=reducing_gap)
    )


def random_clip(scene: 'Scene', num_frames: int, rng: np.random.Generator) -> 'Scene':
    """Look at a scene as RepNet does: a window of frames at one of its strides.

    Args:
        scene: A whole video.
        num_frames: Frames in the clip T; the last one is repeated if the video is too short.
        rng: Source of the choices.

    Returns:
        A scene of T frames whose periods are in frames of the clip.
    """
    frames = sample_window(scene.period, num_frames, rng)
    clip = scene.take(np.minimum(frames, len(scene) - 1))
    period = countable_period(scene.period, frames)
    return replace(clip, period=period, cycles=count_cycles(period))


def count_cycles(period: NDArray[np.float64]) -> NDArray[np.float64]:
    """Repetitions done at each frame of a clip with these periods, (T,)."""
    return np.cumsum(np.divide(1, period, out=np.zeros(len(period)), where=period > 0))


def sample_window(
    period: NDArray[np.float64],
    num_frames: int,
    rng: np.random.Generator,
    *,
    interval: tuple[float, float] | None = None,
) -> NDArray[np.int64]:
    """Choose a stride and a place for a window; a stride at which the period has a class is likely.

    Args:
        period: Of each frame of the video (N,), 0 where nothing repeats.
        num_frames: Frames in the window T.
        rng: Source of the choices.
        interval: First and last frame between which the middle of the window lies, as far as the
            window then fits into the video; None for anywhere.

    Returns:
        Frame numbers (T,), evenly spaced; those from N on are beyond the end of a short video.
    """
    strides = [s for s in STRIDES if len(period) >= s * num_frames // 3] or [1]
    if period.any():
        typical = np.median(period[period > 0])
        fitting = [s for s in strides if MIN_PERIOD <= typical / s <= num_frames // 2]
        if fitting and rng.random() < 0.9:
            strides = fitting
    stride = int(rng.choice(strides))
    latest = max(len(period) - stride * num_frames, 0)
    low, high = 0, latest
    if interval is not None:
        middles = np.array(interval) - stride * num_frames / 2
        low, high = np.clip(middles, 0, latest).astype(int)
    return rng.integers(low, high + 1) + stride * np.arange(num_frames)


def countable_period(period: NDArray[np.float64], frames: NDArray[np.int64]) -> NDArray[np.float64]:
    """Period labels of a window, in frames of the window.

    What repeats too slowly or too fast to be counted at the window's stride is labelled as not
    repeating, and so are frames beyond the end of the video.

    Args:
        period: Of each frame of the video (N,), in frames of the video.
        frames: Frame numbers of the window (T,), evenly spaced.

    Returns:
        (T,), from 3 to T / 2, or 0 where nothing can be counted.
    """
    clip_period = period[np.minimum(frames, len(period) - 1)] / (frames[1] - frames[0])
    longest = len(frames) // 2
    countable = (clip_period >= MIN_PERIOD) & (clip_period <= longest) & (frames < len(period))
    return np.where(countable, clip_period, 0.0)


def sample_repetition(
    num_source_frames: int, num_frames: int, rng: np.random.Generator, *, repeats: bool = True
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Choose the frames of a clip in which a stretch of a video is repeated.

    The stretch lasts at most half of the clip and comes twice at least, each time at a somewhat
    different speed, forward only or forward and backward. Before and after it the video goes on
    normally.

    Args:
        num_source_frames: Frames of the video, at least as many as in the clip.
        num_frames: Frames in the clip T.
        rng: Source of the choices.
        repeats: False for a clip of the video as it is.

    Returns:
        Numbers of the frames in the video, period and cycles, (T,) each.
    """
    frames = np.arange(num_frames)
    # where each frame lies in the video, in steps from the first one that is used
    steps = frames
    period = cycles = np.zeros(num_frames)
    if repeats:
        lengths, is_reversed = _sample_cycles(num_frames, rng)
        limits = np.cumsum([rng.uniform(0, num_frames - lengths.sum()), *lengths])
        cycles = np.interp(frames, limits, np.arange(len(limits)))
        inside = (frames >= limits[0]) & (frames < limits[-1])
        cycle = np.minimum(cycles.astype(int), len(lengths) - 1)
        period = np.where(inside, lengths[cycle], 0.0)
        # how far the stretch is played, from 0 to 1
        phase = cycles - cycle
        played = 1 - np.abs(1 - 2 * phase) if is_reversed else phase
        stretch = lengths.mean() / (2 if is_reversed else 1)
        after = limits[0] + stretch + frames - limits[-1]
        within = np.where(frames < limits[0], frames, limits[0] + stretch * played)
        steps = np.where(frames >= limits[-1], after, within).astype(int)
    fastest = (num_source_frames - 1) // steps.max()
    speed = rng.integers(1, min(fastest, MAX_SPEED) + 1)
    start = rng.integers(0, num_source_frames - speed * steps.max())
    return start + speed * steps, period, cycles


def _sample_cycles(num_frames: int, rng: np.random.Generator) -> tuple[NDArray[np.float64], bool]:
    """Choose the lengths of at least two cycles that fit into a clip, and whether they reverse."""
    is_reversed = bool(rng.random() < REVERSED_SHARE)
    longest = num_frames / 2
    # forward and backward, a short cycle would hardly move
    shortest = min(MIN_PERIOD * (2 if is_reversed else 1), longest)
    length = math.exp(rng.uniform(math.log(shortest), math.log(longest)))
    count = rng.integers(2, max(int(num_frames / length), 2) + 1)
    drift = np.exp(np.cumsum(rng.normal(0, LENGTH_CHANGE, count)))
    lengths = np.clip(length * drift, shortest, longest)
    return lengths[np.cumsum(lengths) <= num_frames], is_reversed
