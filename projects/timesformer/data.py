"""Labelled videos for action recognition, and which of their frames a clip is made of.

A data set gives one dictionary a video, in MMAction2's words, which the pipeline changes in turn:
    filename: path of the video
    total_frames, fps: its length and rate, measured
    label: number of its class
    name: its path as the collection has it
    excluded: True for a video that cannot be decoded, in testing
    start_index, modality: 0 and 'RGB', which MMAction2's transforms ask for
`SampleClip` adds `frame_inds`, `clip_len` and `num_clips`, `DecodeClip` adds `imgs`, RGB frames
(H, W, 3) uint8, with `img_shape`; MMAction2's transforms do the rest:

    train_pipeline = [
        dict(type='SampleClip', num_frames=8, stride=32, at_random=True),
        dict(type='DecodeClip'),
        dict(type='RandomRescale', scale_range=(256, 320)),
        dict(type='RandomCrop', size=224),
        dict(type='Flip'),
        dict(type='FormatShape', input_format='NCTHW'),
        dict(type='PackActionInputs', meta_keys=('name', 'num_clips', 'excluded')),
    ]
    test_pipeline = [
        dict(type='SampleClip', num_frames=8, stride=32),
        dict(type='DecodeClip'),
        dict(type='Resize', scale=(-1, 224)),
        dict(type='ThreeCrop', crop_size=224),
        ...  # as above
    ]

Frames are decoded while the first transform after `DecodeClip` goes through them, so it should be
the one that scales them: then no more than one frame is in memory in its full size.

Reference code: facebookresearch/TimeSformer@a5ef29a, timesformer/datasets/decoder.py
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log
from numpy.typing import NDArray

from mmotion.clip_reading import BrokenVideos, LazyFrames
from mmotion.registry import DATASETS, TRANSFORMS
from mmotion.video import VideoError
from mmotion.video_scan import scan_video

from .layouts import VideoList, find_missing, read_videos

# rate of the videos that strides are meant for; the same time is taken from others
STRIDE_FPS = 30.0
# a place that misses a frame by less than this is that frame: floats round either way
FRAME_SLACK = 1e-4
# height and width of the frames in place of a video that cannot be decoded
BLANK_SHAPE = (256, 256)


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
        for name, value in (
            ('num_frames', num_frames),
            ('stride', stride),
            ('num_clips', num_clips),
        ):
            if value < 1:
                raise ValueError(f'{name} must be at least 1, got {name}={value}')
        if when_short not in ('hold', 'loop'):
            raise ValueError(f"when_short must be 'hold' or 'loop', got when_short={when_short!r}")
        self.num_frames = num_frames
        self.stride = stride
        self.num_clips = num_clips
        self.at_random = at_random
        self.when_short = when_short

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add `frame_inds` (C * T,), one clip after the other, `clip_len` and `num_clips`."""
        num_frames = int(results['total_frames'])
        clip_span = self.num_frames * self.stride * results['fps'] / STRIDE_FPS
        room = max(num_frames - clip_span, 0.0)
        if self.at_random:
            starts = room * torch.rand(self.num_clips, dtype=torch.float64).numpy()
        else:
            starts = room * np.arange(self.num_clips) / self.num_clips
        places = starts[:, None] + np.linspace(0, max(clip_span - 1, 0.0), self.num_frames)
        numbers = np.floor(places + FRAME_SLACK).astype(np.int64).flatten()
        if self.when_short == 'loop':
            numbers %= num_frames
        results['frame_inds'] = np.minimum(numbers, num_frames - 1)
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
            info = scan_video(path).info
            shape = (info.height, info.width)
            results['imgs'] = LazyFrames(path, numbers)
        results['img_shape'] = results['original_shape'] = shape
        return results


@DATASETS.register_module()
class ActionDataset(BaseDataset):
    """Videos with one class each, in any of the usual layouts.

    These are told apart by themselves, and described in `layouts.py`: a folder `root/class/*.mp4`,
    a list `path label` as MMAction2 and TimeSformer have it, the official CSV of Kinetics. The
    names of the classes are `metainfo['classes']`, which mmengine stores in each checkpoint, under
    `meta.dataset_meta`.

    Videos that are missing or broken do not end a run. In training another video takes the place of
    one that cannot be decoded; it is logged and counted. In testing such a video has black frames
    and `excluded` set, so that the metric can leave it out and say how many there are; each rank
    has as many videos as if all were good. Files that are not there are counted at the start.

    Args:
        pipeline: Transforms for each video, see the head of this file.
        ann_file: List or CSV; '' for a folder.
        data_root: Folder of the videos.
        classes: Names by label, or a file with a name a line; None finds them. Name them where a
            list or CSV of one part may lack a class that another part has.
        split: 'train', 'val' or 'test', for a CSV or a folder that holds several parts.
        val_share: Share of a folder's videos that is not 'train', where it has no part folders.
        test_mode: Keep every video, for testing.

    Raises:
        FileNotFoundError: If the list or folder is not there, or none of the videos.
        ValueError: If a line of the list is not as described or a label is no class; see
            `read_videos`.
    """

    def __init__(
        self,
        *,
        pipeline: Sequence[dict[str, Any]],
        ann_file: str = '',
        data_root: str = '',
        classes: Sequence[str] | str | None = None,
        split: str | None = None,
        val_share: float = 0.2,
        test_mode: bool = False,
    ) -> None:
        collection = read_videos(
            ann_file=ann_file,
            data_root=data_root,
            classes=classes,
            split=split,
            val_share=val_share,
        )
        missing = set(find_missing(collection))
        _report_missing(collection, missing, source=ann_file or data_root, test_mode=test_mode)
        self.broken = BrokenVideos(len(collection.videos) - len(missing))
        self._entries = [
            {
                'filename': str(collection.root / path),
                'name': path,
                'label': label,
                'excluded': path in missing,
            }
            for path, label in collection.videos
            if test_mode or path not in missing
        ]
        classes = list(collection.classes)
        super().__init__(pipeline=[*pipeline], metainfo={'classes': classes}, test_mode=test_mode)
        # mmengine holds them in one array, which the data workers share
        self._entries = []

    def load_data_list(self) -> list[dict[str, Any]]:
        """One entry a video; in training, those whose file is there."""
        return self._entries

    def prepare_data(self, idx: int) -> dict[str, Any] | None:
        """Pass a video through the pipeline.

        Returns:
            What the pipeline gives; None, in training, for a video that cannot be decoded.

        Raises:
            VideoError: If none of the videos can be decoded.
        """
        video = {**self.get_data_info(idx), 'start_index': 0, 'modality': 'RGB'}
        if not video['excluded']:
            path = Path(video['filename'])
            try:
                info = scan_video(path).info
                return self._process({**video, 'total_frames': info.num_frames, 'fps': info.fps})
            except (VideoError, OSError) as error:
                self.broken.report(path, error)
            if not self.test_mode:
                return None
        return self._process({**video, 'total_frames': 1, 'fps': STRIDE_FPS, 'excluded': True})

    def _process(self, video: dict[str, Any]) -> dict[str, Any]:
        item: Any = self.pipeline(video)
        return item


def _report_missing(
    collection: VideoList, missing: set[str], *, source: str, test_mode: bool
) -> None:
    """Log how many videos are there.

    Raises:
        FileNotFoundError: If none is.
    """
    videos = collection.videos
    num_there = sum(path not in missing for path, _ in videos)
    counts = f'{num_there:,} of {len(videos):,} videos of {source} are there'
    if not num_there:
        example = f', such as {collection.root / videos[0][0]}' if videos else ''
        raise FileNotFoundError(
            f'data_root must hold the videos, got data_root={str(collection.root)!r}, where '
            f'{counts}{example}; name the folder that their paths begin in'
        )
    if missing:
        fate = 'excluded from the scores' if test_mode else 'left out'
        counts += f'; {len(videos) - num_there:,} missing, {fate}, the first is {min(missing)}'
    print_log(f'{counts}; {len(collection.classes)} classes', logger='current')
