"""Labelled videos for action recognition.

A data set gives one dictionary a video, in MMAction2's words, which the pipeline changes in turn:
    filename: path of the video
    total_frames, fps: its length and rate, measured
    label: number of its class
    name: its path as the collection has it
    excluded: True for a video that cannot be decoded, in testing
    start_index, modality: 0 and 'RGB', which MMAction2's transforms ask for
`SampleClip` and `DecodeClip` make a clip of it, see `mmotion.transforms.sampling`, and MMAction2's
transforms do the rest:

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
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from mmotion.registry import DATASETS
from mmotion.transforms.sampling import load_clip
from mmotion.video.clips import BrokenVideos

from .layouts import VideoList, find_missing, read_videos
from .recordings import make_group_finder


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
        group_pattern: What names the recording of a file, none of which is parted; None knows names
            as in UCF101 and Kinetics, see `recordings.py`.
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
        group_pattern: str | None = None,
        test_mode: bool = False,
    ) -> None:
        collection = read_videos(
            ann_file=ann_file,
            data_root=data_root,
            classes=classes,
            split=split,
            val_share=val_share,
            group_pattern=group_pattern,
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
        self._find_group = make_group_finder(group_pattern)
        classes = list(collection.classes)
        super().__init__(pipeline=[*pipeline], metainfo={'classes': classes}, test_mode=test_mode)
        # mmengine holds them in one array, which the data workers share
        self._entries = []

    @property
    def recordings(self) -> set[str]:
        """Names of the recordings of the videos, which two data sets must not share."""
        files = (self.get_data_info(index)['filename'] for index in range(len(self)))
        return {self._find_group(Path(os.path.abspath(file))) for file in files}

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
        return load_clip(
            self.get_data_info(idx),
            self.pipeline,
            broken=self.broken,
            test_mode=self.test_mode,
            describe=lambda info: {'total_frames': info.num_frames, 'fps': info.fps},
        )


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
