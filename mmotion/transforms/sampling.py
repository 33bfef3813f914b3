"""Which frames of a video a clip is made of, and how they are read.

They take what a data set says of a video, in MMAction2's words:
    filename: path of the video, or of a folder of pictures
    total_frames, fps: its length and rate, measured
    excluded: True for a video that cannot be decoded, in testing
    start_index, modality: 0 and 'RGB', which MMAction2's transforms ask for
`load_clip` says it for the data sets of several systems.
`SampleClip` adds `frame_inds`, `clip_len` and `num_clips`, `DecodeClip` adds `imgs`, RGB frames
(H, W, 3) uint8, with `img_shape`; MMAction2's transforms do the rest:

    test_pipeline = [
        dict(type='SampleClip', num_frames=8, stride=32),
        dict(type='DecodeClip'),
        dict(type='Resize', scale=(-1, 224)),
        dict(type='ThreeCrop', crop_size=224),
        dict(type='FormatShape', input_format='NCTHW'),
        dict(type='PackActionInputs', meta_keys=('name', 'num_clips', 'excluded')),
    ]

Frames are decoded while the first transform after `DecodeClip` goes through them, so it should be
the one that scales them: then no more than one frame is in memory in its full size.

Reference code: facebookresearch/TimeSformer@a5ef29a, timesformer/datasets/decoder.py
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from numpy.typing import NDArray

from mmotion.checks import check_at_least, check_choice
from mmotion.registry import TRANSFORMS
from mmotion.video.clips import BrokenVideos, LazyFrames
from mmotion.video.scan import VideoError, VideoInfo, scan_video
from mmotion.video.sources import open_source
from mmotion.video.timing import STRIDE_FPS, choose_clips

# height and width of the frames in place of a video that cannot be decoded
BLANK_SHAPE = (256, 256)


def load_clip(
    video: Mapping[str, Any],
    pipeline: Callable[[dict[str, Any]], Any],
    *,
    broken: BrokenVideos,
    test_mode: bool,
    describe: Callable[[VideoInfo], dict[str, Any]],
) -> Any:
    """Pass a video of a data set through its pipeline.

    Args:
        video: What the data set knows, at least `filename` and `excluded`.
        pipeline: Transforms, the first of which are `SampleClip` and `DecodeClip`.
        broken: Where a video that cannot be decoded is noted.
        test_mode: Whether such a video is black and `excluded`; in training there is none.
        describe: Gives `total_frames` and `fps`, and what else the pipeline is told of a good file.

    Returns:
        What the pipeline gives; None, in training, for a video that cannot be decoded.

    Raises:
        VideoError: If none of the videos can be decoded.
    """
    video = {**video, 'start_index': 0, 'modality': 'RGB'}
    if not video['excluded']:
        path = Path(video['filename'])
        try:
            return pipeline({**video, **describe(inspect_clip(path))})
        except (VideoError, OSError) as error:
            broken.report(path, error)
        if not test_mode:
            return None
    return pipeline({**video, 'total_frames': 1, 'fps': STRIDE_FPS, 'excluded': True})


def inspect_clip(path: Path) -> VideoInfo:
    """What a video is; a folder of pictures, which tells no rate, has that of `STRIDE_FPS`.

    A stride then counts pictures, as it does for MMAction2's lists of frames.

    Raises:
        FileNotFoundError: If there is no such file or folder.
        VideoError: If it cannot be read.
    """
    if not path.is_dir():
        return scan_video(path).info
    source = open_source(path, fps=STRIDE_FPS)
    width, height = source.size_wh
    num_frames = source.num_frames or 0
    return VideoInfo(path, STRIDE_FPS, num_frames, width, height, num_frames / STRIDE_FPS)


@TRANSFORMS.register_module()
class SampleClip(BaseTransform):
    """Choose the frames of a clip, or of several, by the reference's rule.

    A clip of T frames at a stride spans `T * stride` frames of a video with 30 frames per second,
    and as much time of others. Its first frame is drawn at random, or those of C clips divide what
    is left of the video evenly: clip i begins after i / C of it, so that a single clip begins with
    the video.

    Args:
        num_frames: Frames in a clip T.
        stride: Frames from one to the next, at 30 frames per second.
        num_clips: Clips of a video C.
        at_random: Draw the places of the clips, for training.
        when_short: What follows the end of a video that is shorter than a clip: 'hold' repeats its
            last frame, as the reference does, 'loop' begins anew.

    Raises:
        ValueError: If a number is below 1 or `when_short` another word.

    Example:
        >>> sample = SampleClip(num_frames=4, stride=10)
        >>> sample({'total_frames': 300, 'fps': 30.0})['frame_inds']
        array([ 0, 13, 26, 39])
        >>> sample({'total_frames': 300, 'fps': 15.0})['frame_inds']
        array([ 0,  6, 12, 19])
    """

    def __init__(
        self,
        *,
        num_frames: int = 8,
        stride: int = 32,
        num_clips: int = 1,
        at_random: bool = False,
        when_short: Literal['hold', 'loop'] = 'hold',
    ) -> None:
        check_at_least('num_frames', num_frames, 1)
        check_at_least('stride', stride, 1)
        check_at_least('num_clips', num_clips, 1)
        check_choice('when_short', when_short, ('hold', 'loop'))
        self.num_frames = num_frames
        self.stride = stride
        self.num_clips = num_clips
        self.at_random = at_random
        self.when_short = when_short

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add `frame_inds` (C * T,), one clip after the other, `clip_len` and `num_clips`."""
        starts = None
        if self.at_random:
            starts = torch.rand(self.num_clips, dtype=torch.float64).numpy()
        results['frame_inds'] = choose_clips(
            int(results['total_frames']),
            results['fps'],
            num_frames=self.num_frames,
            stride=self.stride,
            num_clips=self.num_clips,
            starts=starts,
            when_short=self.when_short,
        )
        results['clip_len'] = self.num_frames
        results['num_clips'] = self.num_clips
        return results


@TRANSFORMS.register_module()
class DecodeClip(BaseTransform):
    """Give the frames `frame_inds` of the video `filename`, decoded when they are first used.

    Only what leads to these frames is decoded, from the last keyframe before them on; one that is
    damaged is the one before. What the next transform raises if none can be decoded is a
    `VideoError`. A video that is `excluded` has black frames.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add `imgs`, a sequence of RGB arrays (H, W, 3) uint8, and `img_shape`."""
        numbers: NDArray[np.int64] = np.asarray(results['frame_inds'])
        if results.get('excluded'):
            shape = BLANK_SHAPE
            results['imgs'] = list(np.zeros((len(numbers), *shape, 3), np.uint8))
        else:
            path = Path(results['filename'])
            info = inspect_clip(path)
            shape = (info.height, info.width)
            is_folder = path.is_dir()
            results['imgs'] = (
                open_source(path).read(numbers) if is_folder else LazyFrames(path, numbers)
            )
        results['img_shape'] = results['original_shape'] = shape
        return results
