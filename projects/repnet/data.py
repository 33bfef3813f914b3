"""Videos with repetition labels for RepNet, and the transforms they pass.

A data set gives one dictionary a video, which the pipeline's transforms change in turn:
    imgs: frames, a list of RGB arrays (H, W, 3) uint8
    fps: frames per second of these frames
    name: of the video, unique in the data set
    gt_count: true number of repetitions
    gt_period: length in frames of the cycle that each frame is in, 0 where nothing repeats, (T,)
    gt_periodicity: 1 where a frame belongs to a repetition, else 0, (T,)
    gt_cycles: repetitions done at each frame (T,), only where the phase is known

Labels: Dwibedi et al. 2020, section 3.2, https://arxiv.org/abs/2006.15418
"""

from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose
from mmengine.structures import BaseDataElement
from PIL import Image
from torch.utils.data import Dataset

from mmotion.registry import DATASETS, TRANSFORMS
from mmotion.shapes import MotionShapes, Scene

# shorter periods are not counted (materight/RepNet-pytorch@c455c53, utils/plots.py, get_counts)
MIN_PERIOD = 3


@TRANSFORMS.register_module()
class ResizeFrames(BaseTransform):
    """Scale frames to a square, without keeping the aspect, as the reference's run.py does.

    Pillow's bilinear filter averages over the pixels that it leaves out, so that large frames do
    not flicker when they become small.

    Args:
        size: Width and height in pixels.

    Raises:
        ValueError: If the size is not positive.
    """

    def __init__(self, *, size: int) -> None:
        if size < 1:
            raise ValueError(f'size must be at least 1 pixel, got size={size}')
        self.size = (size, size)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Scale each of `imgs`."""
        results['imgs'] = [
            np.asarray(Image.fromarray(image).resize(self.size, Image.Resampling.BILINEAR))
            if image.shape[:2] != self.size
            else image
            for image in results['imgs']
        ]
        return results


@TRANSFORMS.register_module()
class PackRepetitionInputs(BaseTransform):
    """Stack the frames to `inputs`, uint8 (3, T, H, W), and put the labels into `data_samples`."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Pack what there is; a video without labels is packed without them."""
        frames = np.stack(results['imgs'])
        sample = BaseDataElement(
            metainfo={
                'name': results.get('name', ''),
                'fps': results['fps'],
                'num_frames': len(frames),
            }
        )
        if 'gt_count' in results:
            sample.gt_count = float(results['gt_count'])
            sample.gt_period = torch.as_tensor(results['gt_period'], dtype=torch.float32)
            sample.gt_periodicity = torch.as_tensor(results['gt_periodicity'], dtype=torch.float32)
        if 'gt_cycles' in results:
            sample.gt_cycles = torch.as_tensor(results['gt_cycles'], dtype=torch.float32)
        return {
            'inputs': torch.from_numpy(frames).permute(3, 0, 1, 2).contiguous(),
            'data_samples': sample,
        }


@DATASETS.register_module()
class RepetitionShapesDataset(Dataset):
    """Generated videos of repeating motion, drawn when they are asked for.

    Args:
        split: 'train', 'val' or 'test'; their videos share nothing.
        num_videos: How many there are. An index always gives the same video, so a large number
            together with `EpochSliceSampler` trains on fresh videos in each epoch.
        pipeline: Transforms for each video.
        size: Width and height of the frames in pixels.
        clip_frames: Give clips of this many frames, from anywhere in a video and at any of the
            speeds at which RepNet looks at a video, for training; None gives whole videos.
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
        size: int = 64,
        clip_frames: int | None = None,
        fps: float = 30.0,
    ) -> None:
        if num_videos < 1:
            raise ValueError(f'num_videos must be at least 1, got num_videos={num_videos}')
        if clip_frames is not None and clip_frames < 8:
            raise ValueError(f'clip_frames must be at least 8, got clip_frames={clip_frames}')
        self.shapes = MotionShapes(split=split, size=size)
        self.num_videos = num_videos
        self.pipeline = Compose(pipeline)
        self.clip_frames = clip_frames
        self.fps = fps

    def __len__(self) -> int:
        return self.num_videos

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Draw a video or clip and pass it through the pipeline.

        Raises:
            IndexError: If there is no video with this number.
        """
        if not 0 <= index < self.num_videos:
            raise IndexError(f'index must lie in 0..{self.num_videos - 1}, got index={index}')
        scene = self.shapes[index]
        if self.clip_frames is not None:
            scene = random_clip(scene, self.clip_frames, np.random.default_rng([index, 1]))
        item: Any = self.pipeline(
            {
                'imgs': list(scene.frames()),
                'fps': self.fps,
                'name': f'{self.shapes.split}_{index:06d}',
                'gt_count': scene.count,
                'gt_period': scene.period,
                'gt_periodicity': scene.periodicity,
                'gt_cycles': scene.cycles,
            }
        )
        return item


def random_clip(scene: Scene, num_frames: int, rng: np.random.Generator) -> Scene:
    """Look at a scene as RepNet does: a window of frames at one of its strides.

    A stride at which the period has a class is preferred. At another one the frames are labelled
    as not repeating, since what seems to repeat there is too slow or too fast to be counted.

    Args:
        scene: A whole video.
        num_frames: Frames in the clip T; the last one is repeated if the video is too short.
        rng: Source of the choices.

    Returns:
        A scene of T frames whose periods are in frames of the clip.
    """
    longest = num_frames // 2
    strides = [s for s in (1, 2, 3, 4, 6, 8) if len(scene) >= s * num_frames // 3]
    if scene.period.any():
        period = np.median(scene.period[scene.period > 0])
        fitting = [s for s in strides if MIN_PERIOD <= period / s <= longest]
        if fitting and rng.random() < 0.9:
            strides = fitting
    stride = int(rng.choice(strides))
    start = rng.integers(0, max(len(scene) - stride * num_frames, 0) + 1)
    frames = start + stride * np.arange(num_frames)
    clip = scene.take(np.minimum(frames, len(scene) - 1), stride=stride)
    countable = (clip.period >= MIN_PERIOD) & (clip.period <= longest) & (frames < len(scene))
    period = np.where(countable, clip.period, 0.0)
    cycles = np.cumsum(np.divide(1, period, out=np.zeros(num_frames), where=countable))
    return Scene(**{**vars(clip), 'period': period, 'cycles': cycles})
