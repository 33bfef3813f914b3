"""RepNet's data sets of real videos: annotated ones, and repetitions made from any videos.

What a data set gives for a video or clip is described in `data.py`. Only the part that is needed is
decoded, and each frame is scaled as soon as it is, so that a video is never in memory in its full
size. Random choices are drawn from torch's generator, which each data worker has seeded.

Made repetitions: Dwibedi et al. 2020, section 3.3, https://arxiv.org/abs/2006.15418
"""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log
from numpy.typing import NDArray

from mmotion.checks import check_at_least, check_range
from mmotion.registry import DATASETS
from mmotion.tables import unify
from mmotion.video import VideoError
from mmotion.video.clips import BrokenVideos, read_scaled_frames
from mmotion.video.files import find_videos
from mmotion.video.scan import scan_video

from .annotations import RepetitionAnnotation, label_frames, read_countix_csv, read_cycles_csv
from .data import MIN_CLIP_FRAMES, countable_period, resize_pillow, sample_repetition, sample_window

# mean difference in grey levels by which compression changes a still picture
STILL = 0.5


class AnnotatedVideos(BaseDataset):
    """The videos of a table, as far as there are any.

    A video is available if its file is in the folder, at any depth, and not empty. Before testing
    all files are opened too, and the broken ones are left out; before training, where the files
    are many, a broken one is found when it is its turn, and is passed over.

    Args:
        annotations: Rows of a table.
        data_root: Folder of the videos.
        pipeline: Transforms for each video.
        get_by: Command or place that gets the videos.
        size: Width and height to which frames are scaled.
        clip_frames: Give clips of this many frames at random places and speeds, for training; None
            gives each interval whole.

    Raises:
        FileNotFoundError: If none of the videos is available.
        ValueError: If a clip has less than 8 frames.
    """

    def __init__(
        self,
        annotations: Sequence[RepetitionAnnotation],
        *,
        data_root: str,
        pipeline: list[dict[str, Any]],
        get_by: str,
        size: int,
        clip_frames: int | None,
    ) -> None:
        if clip_frames is not None:
            check_at_least('clip_frames', clip_frames, MIN_CLIP_FRAMES)
        self.scale = partial(resize_pillow, size=size)
        self.clip_frames = clip_frames
        files = {unify(path.stem.casefold()): path for path in _list_videos(data_root)}
        stems = [unify(PurePosixPath(a.file).stem.casefold()) for a in annotations]
        self.broken = BrokenVideos(len(files.keys() & set(stems)))
        found = [
            (annotation, files[stem])
            for annotation, stem in zip(annotations, stems, strict=True)
            if stem in files
        ]
        self.items = [
            (annotation, path) for annotation, path in found if self._opens(annotation, path)
        ]
        counts = (
            f'{len(self.items):,} of {len(stems):,} videos available in {data_root}; '
            f'{len(stems) - len(found):,} missing, {len(found) - len(self.items):,} broken'
        )
        if not self.items:
            raise FileNotFoundError(
                f'data_root must hold videos of the table, got {counts}; get them: {get_by}'
            )
        print_log(counts, logger='current')
        super().__init__(pipeline=[*pipeline], test_mode=clip_frames is None, serialize_data=False)

    def load_data_list(self) -> list[dict[str, Any]]:
        """One entry a row whose video is available."""
        return [{'path': str(path)} for _, path in self.items]

    def prepare_data(self, idx: int) -> dict[str, Any] | None:
        """Load a video and pass it through the pipeline; None if it is broken."""
        results = self._load(idx)
        return None if results is None else self.pipeline(results)

    def _load(self, i: int) -> dict[str, Any] | None:
        """Decode video `i`, or a random clip of it, with its labels; None if it is broken."""
        annotation, path = self.items[i]
        try:
            index = scan_video(path)
            labels, (first, end) = label_frames(annotation, index)
            if self.clip_frames is None:
                frames = np.arange(first, end)
            else:
                frames = sample_window(
                    labels.period, self.clip_frames, _make_rng(), interval=(first, end)
                )
            within = np.minimum(frames, index.info.num_frames - 1)
            images = read_scaled_frames(path, within, scale=self.scale)
        except (VideoError, OSError) as error:
            if self.clip_frames is None:
                raise
            self.broken.report(path, error)
            return None
        period, count = labels.period[within], annotation.count
        if self.clip_frames is not None:
            period = countable_period(labels.period, frames)
            count = float((1 / period[period > 0]).sum())
        stride = frames[1] - frames[0] if self.clip_frames else 1
        results = {
            'imgs': images,
            'fps': index.info.fps / stride,
            'name': f'{path.stem}_{first:05d}' if annotation.interval else path.stem,
            'gt_count': count,
            'gt_period': period,
            'gt_periodicity': (period > 0).astype(np.float64),
        }
        if labels.cycles is not None:
            results['gt_cycles'] = labels.cycles[within]
        return results

    def _opens(self, annotation: RepetitionAnnotation, path: Path) -> bool:
        """Look at a file, as far as there is time for it."""
        if self.clip_frames is not None:
            return path.stat().st_size > 0
        try:
            label_frames(annotation, scan_video(path))
        except (VideoError, OSError) as error:
            print_log(f'left out: {error}', logger='current', level=logging.WARNING)
            return False
        return True


@DATASETS.register_module()
class CountixDataset(AnnotatedVideos):
    """Countix: repetitions of all kinds in clips of Kinetics, counted by hand.

    The period of a row is its length over its count, as the single cycles are not annotated;
    frames outside of all rows do not repeat. Training takes a random window around a row, at
    random speed; testing the annotated interval alone, which is the paper's protocol. Frames that
    cannot be decoded are replaced by the one before them.

    Args:
        ann_file: An official table, or `available.csv` of `mmotion prepare countix check`.
        data_root: Folder of the videos, trimmed to the Kinetics interval, as
            `mmotion prepare countix download` stores them.
        pipeline: Transforms for each video.
        size: Width and height of the frames in pixels.
        clip_frames: Frames in a clip, for training; None gives whole intervals, for testing.

    Raises:
        FileNotFoundError: If there is no such table, or none of its videos is available.
        ValueError: If the table is not as described or a clip has less than 8 frames.
    """

    def __init__(
        self,
        *,
        ann_file: str,
        data_root: str,
        pipeline: list[dict[str, Any]],
        size: int = 112,
        clip_frames: int | None = None,
    ) -> None:
        super().__init__(
            read_countix_csv(ann_file, get_by='see mmotion prepare countix download --help'),
            data_root=data_root,
            pipeline=pipeline,
            get_by=f'mmotion prepare countix download {ann_file} {data_root}',
            size=size,
            clip_frames=clip_frames,
        )


@DATASETS.register_module()
class CycleDataset(AnnotatedVideos):
    """Videos of which each single cycle is annotated: RepCount-A, UCFRep.

    The period of a frame is the length of the cycle that it is in, and its phase is known too, so
    that the loss can have a `similarity_weight`. Training takes a random window, of UCFRep one
    around the counted part; testing the counted part, of RepCount-A the whole video.

    Args:
        ann_file: Table of cycles, see `read_cycles_csv`.
        data_root: Folder of the videos, at any depth.
        pipeline: Transforms for each video.
        get_by: Command or place that gets the data, for the message that there is none.
        first_frame: Number of the first frame in the table.
        size: Width and height of the frames in pixels.
        clip_frames: Frames in a clip, for training; None gives whole videos, for testing.

    Raises:
        FileNotFoundError: If there is no such table, or none of its videos is available.
        ValueError: If the table is not as described or a clip has less than 8 frames.
    """

    def __init__(
        self,
        *,
        ann_file: str,
        data_root: str,
        pipeline: list[dict[str, Any]],
        get_by: str,
        first_frame: int = 0,
        size: int = 112,
        clip_frames: int | None = None,
    ) -> None:
        super().__init__(
            read_cycles_csv(ann_file, first_frame=first_frame, get_by=get_by),
            data_root=data_root,
            pipeline=pipeline,
            get_by=get_by,
            size=size,
            clip_frames=clip_frames,
        )


@DATASETS.register_module()
class SyntheticRepetitionDataset(BaseDataset):
    """Clips in which a stretch of an ordinary video is repeated, with exact labels.

    Any videos will do, without labels; most should not repeat by themselves. A clip depends on
    `seed`, its index and the videos in the folder alone. A stretch in which nothing moves (a title,
    a frozen picture) is labelled as not repeating, since repeating it shows nothing. A video that
    cannot be read, or has less frames than a clip, is logged once and another one is taken.

    Args:
        data_root: Folder of videos, at any depth.
        num_clips: How many there are. A large number together with `EpochSliceSampler` trains on
            fresh clips in each epoch.
        pipeline: Transforms for each clip.
        size: Width and height of the frames in pixels.
        clip_frames: Frames in a clip.
        empty_share: Share of clips in which nothing is repeated.
        seed: Other clips for each.

    Raises:
        FileNotFoundError: If there is no video in the folder.
        ValueError: If there is no clip, a clip has less than 8 frames, or `empty_share` is not a
            share.
    """

    def __init__(
        self,
        *,
        data_root: str,
        num_clips: int,
        pipeline: list[dict[str, Any]],
        size: int = 112,
        clip_frames: int = 64,
        empty_share: float = 0.2,
        seed: int = 0,
    ) -> None:
        check_at_least('num_clips', num_clips, 1)
        check_at_least('clip_frames', clip_frames, MIN_CLIP_FRAMES)
        check_range('empty_share', empty_share, 0, 1)
        self.paths = _list_videos(data_root)
        if not self.paths:
            raise FileNotFoundError(
                f'data_root must hold videos (mp4, avi, mkv, mov, webm, ...), got none in '
                f'data_root={data_root}; copy any videos there: cp -r VIDEOS {data_root}'
            )
        self.broken = BrokenVideos(len(self.paths))
        self.num_clips = num_clips
        self.scale = partial(resize_pillow, size=size)
        self.clip_frames = clip_frames
        self.empty_share = empty_share
        self.seed = seed
        super().__init__(pipeline=[*pipeline], serialize_data=False)

    def __len__(self) -> int:
        return self.num_clips

    def load_data_list(self) -> list[dict[str, Any]]:
        """One entry a video."""
        return [{'path': str(path)} for path in self.paths]

    def prepare_data(self, idx: int) -> dict[str, Any]:
        """Make clip `idx` and pass it through the pipeline."""
        rng = np.random.default_rng([self.seed, idx])
        repeats = rng.random() >= self.empty_share
        while True:
            path = self.paths[rng.integers(len(self.paths))]
            try:
                info = scan_video(path).info
                if info.num_frames < self.clip_frames:
                    raise VideoError(
                        f'a video must have the {self.clip_frames} frames of a clip, got '
                        f'{info.num_frames} in {path}'
                    )
                frames, period, cycles = sample_repetition(
                    info.num_frames, self.clip_frames, rng, repeats=repeats
                )
                images = read_scaled_frames(path, frames, scale=self.scale)
                break
            except (VideoError, OSError) as error:
                self.broken.report(path, error)
        if not _moves([image for image, p in zip(images, period, strict=True) if p]):
            period = cycles = np.zeros(self.clip_frames)
        item: Any = self.pipeline(
            {
                'imgs': images,
                'fps': info.fps,
                'name': f'{path.stem}_{idx:06d}',
                # the last cycle may end after the last frame has begun
                'gt_count': np.ceil(cycles[-1]),
                'gt_period': period,
                'gt_periodicity': (period > 0).astype(np.float64),
                'gt_cycles': cycles,
            }
        )
        return item


def _moves(images: Sequence[NDArray[np.uint8]]) -> bool:
    """Tell whether any of some frames differs from the first one."""
    return any(np.abs(image.astype(float) - images[0]).mean() > STILL for image in images)


def _make_rng() -> np.random.Generator:
    return np.random.default_rng(int(torch.randint(2**62, ())))


def _list_videos(folder: str) -> list[Path]:
    try:
        return find_videos([folder])
    except FileNotFoundError:
        return []
