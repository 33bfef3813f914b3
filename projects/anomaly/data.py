"""Clips of normal and of unusual things, each always the same, so that it need be embedded once.

`AnomalyClipDataset` reads tables as tools/data/ucf_sports/prepare.py writes them, CSV files with
the columns
    PATH: video, below the root or absolute
    LABEL: number of its class, from 0 on
    CLASS: name of its class
    VIDEO: recording that it is a part of, as far as known; PATH without this column
    AUGMENT: what is done to it, see `Augmentation`; nothing without this column
one table a subset: 'train', 'val' and 'test' of normal clips, 'anomaly' of the others. A row is a
clip. No step of a pipeline draws at random; a row that is to be seen flipped says so:

    pipeline = [
        dict(type='SampleClip', num_frames=8, stride=8),
        dict(type='DecodeClip'),
        dict(type='Resize', scale=(171, 128), keep_ratio=False),
        dict(type='AugmentClip'),
        dict(type='CenterCrop', crop_size=112),
        dict(type='FormatShape', input_format='NCTHW'),
        dict(
            type='PackActionInputs',
            meta_keys=('name', 'subset', 'class_name', 'video', 'excluded'),
        ),
    ]

`SubsetDataset` gives the same from any other data sets, such as generated ones.

Shape letters in this file: T frames, H and W height and width of a frame in pixels.
"""

import csv
import functools
import hashlib
import json
import logging
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from einops import rearrange
from mmcv.transforms import BaseTransform
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log
from numpy.typing import NDArray
from torch.utils.data import Dataset
from torchvision.transforms.v2 import functional as F

from mmotion.registry import DATASETS, TRANSFORMS
from mmotion.transforms.sampling import STRIDE_FPS, SampleClip
from mmotion.video import VideoError
from mmotion.video.clips import BrokenVideos
from mmotion.video.scan import scan_video

SUBSETS = ('train', 'val', 'test', 'anomaly')
COLUMNS = ('PATH', 'LABEL', 'CLASS', 'VIDEO', 'AUGMENT')
# what an `Augmentation` can change
KINDS = ('flip', 'crop', 'speed', 'colour')
# by which sums of rounded shares may miss 1
CROP_SLACK = 1e-6
# transforms that draw anew for each clip, and so cannot be in a pipeline here
_RANDOM_TRANSFORMS = ('CameraMotion', 'ClipJitter', 'ColorJitter', 'Flip', 'MultiScaleCrop')
_BLOCK_BYTES = 2**20


@dataclass(frozen=True)
class Augmentation:
    """What is done to a clip; written as text, so that a table can hold it.

    Attributes:
        flip: Mirror left and right.
        crop: Left and upper edge and size of the part that is shown, in shares of the frame.
        speed: Times as fast as recorded.
        colour: Factors of brightness, contrast and saturation, and turn of the hue in circles.

    Example:
        >>> Augmentation.parse('flip speed=1.2')
        Augmentation(flip=True, crop=(0.0, 0.0, 1.0), speed=1.2, colour=(1.0, 1.0, 1.0, 0.0))
        >>> str(Augmentation(crop=(0.1, 0.0, 0.9)))
        'crop=0.1:0.0:0.9'
    """

    flip: bool = False
    crop: tuple[float, ...] = (0.0, 0.0, 1.0)
    speed: float = 1.0
    colour: tuple[float, ...] = (1.0, 1.0, 1.0, 0.0)

    def __post_init__(self) -> None:
        for name, length in (('crop', 3), ('colour', 4)):
            value = getattr(self, name)
            if len(value) != length:
                raise ValueError(f'{name} must have {length} numbers, got {name}={value}')
        left, top, size = self.crop
        if not (min(left, top) >= 0 < size and max(left, top) + size <= 1 + CROP_SLACK):
            raise ValueError(f'crop must lie within the frame, 0 to 1, got crop={self.crop}')
        if not 0.1 <= self.speed <= 10:
            raise ValueError(f'speed must be from 0.1 to 10, got speed={self.speed}')
        *factors, hue = self.colour
        if not (min(factors) >= 0 and abs(hue) <= 0.5):
            raise ValueError(
                'colour must be three factors from 0 on and a turn within half a circle, got '
                f'colour={self.colour}'
            )

    @classmethod
    def parse(cls, text: str) -> 'Augmentation':
        """Read what `str` writes: words in any order, parted by spaces; '' changes nothing.

        Raises:
            ValueError: If a word is not one of flip, crop=X:Y:SIZE, speed=FACTOR and
                colour=BRIGHTNESS:CONTRAST:SATURATION:HUE.
        """
        options: dict[str, Any] = {}
        for word in text.split():
            name, _, value = word.partition('=')
            try:
                numbers = tuple(map(float, value.split(':'))) if value else (True,)
            except ValueError:
                numbers = ()
            if name not in KINDS or not numbers or (name == 'flip') != (not value):
                raise ValueError(
                    'an augmentation must be flip, crop=X:Y:SIZE, speed=FACTOR or colour='
                    f'BRIGHTNESS:CONTRAST:SATURATION:HUE, got {word!r} in {text!r}'
                )
            options[name] = numbers if name in ('crop', 'colour') else numbers[0]
        return cls(**options)

    def __str__(self) -> str:
        words = ['flip'] if self.flip else []
        for name in ('crop', 'speed', 'colour'):
            value = getattr(self, name)
            if value != getattr(Augmentation, name):
                numbers = value if isinstance(value, tuple) else (value,)
                words.append(f'{name}={":".join(map(str, numbers))}')
        return ' '.join(words)


@TRANSFORMS.register_module()
class AugmentClip(BaseTransform):
    """Do to the frames what the row of a clip says; without a row, as in prediction, nothing.

    The part of the frame that `crop` shows is scaled to the size of the frame. Colours change in
    the same way in all frames, contrast around the mean of the clip. `speed` is not done here: the
    data set scales the rate of the video with it, so that `SampleClip` goes through it faster.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change `imgs`, RGB frames (H, W, 3) uint8, by `augmentation`."""
        augmentation = results.get('augmentation')
        if augmentation is None:
            return results
        images = [_cut(image, augmentation) for image in results['imgs']]
        if augmentation.colour != Augmentation.colour:
            images = _colour(np.stack(images), augmentation.colour)
        results['imgs'] = images
        return results


@DATASETS.register_module()
class AnomalyClipDataset(BaseDataset):
    """Clips of one or several subsets, see the head of this file for their tables.

    Videos that are missing or broken do not end a run: in training another clip takes the place, in
    testing the clip is black and `excluded`. A video that is shorter than a clip is used, with its
    last frame repeated, and named once in the log.

    Args:
        pipeline: Transforms for each clip, none of which draws at random.
        ann_files: Table of each subset, by its name in `SUBSETS`.
        data_root: Folder that PATH begins in.
        test_mode: Keep every clip, for testing.

    Raises:
        FileNotFoundError: If a table is not there, or none of the videos.
        ValueError: If a subset is unknown, a row is not as described, a clip is listed twice, a
            recording is in two of the normal subsets, or the pipeline draws at random.
    """

    def __init__(
        self,
        *,
        pipeline: Sequence[dict[str, Any] | Callable],
        ann_files: Mapping[str, str],
        data_root: str = '',
        test_mode: bool = False,
    ) -> None:
        _check_subsets(ann_files)
        _check_not_random(pipeline)
        self._root = Path(data_root).expanduser()
        rows = [row for subset, path in ann_files.items() for row in read_rows(Path(path), subset)]
        _check_disjoint(rows)
        missing = self._find_missing(rows, source=', '.join(map(str, ann_files.values())))
        names = {row['label']: row['class_name'] for row in reversed(rows)}
        classes = [names.get(label, str(label)) for label in range(max(names) + 1)]
        self._entries = [
            {**row, 'filename': str(self._root / row['path']), 'excluded': row['path'] in missing}
            for row in rows
            if test_mode or row['path'] not in missing
        ]
        self.broken = BrokenVideos(len({entry['filename'] for entry in self._entries}))
        self._short: set[str] = set()
        self._recipe = json.dumps([*pipeline], default=repr, sort_keys=True)
        super().__init__(pipeline=[*pipeline], metainfo={'classes': classes}, test_mode=test_mode)
        # mmengine holds them in one array, which the data workers share
        self._entries = []
        spans = (
            step.num_frames * step.stride / STRIDE_FPS
            for step in self.pipeline.transforms
            if isinstance(step, SampleClip)
        )
        self._clip_s = max(spans, default=0.0)

    def load_data_list(self) -> list[dict[str, Any]]:
        """One entry a clip; in training, those whose file is there."""
        return self._entries

    def embedding_key(self, index: int) -> str | None:
        """Text that is the same for two clips only if their frames are, after the pipeline.

        Made of the content of the video file, the augmentation and the steps of the pipeline.

        Returns:
            The key; None for a video that is missing or broken.
        """
        row = self.get_data_info(index)
        path = Path(row['filename'])
        if row['excluded'] or path in self.broken.paths or not path.is_file():
            return None
        status = path.stat()
        content = _hash_file(path, status.st_size, status.st_mtime_ns)
        parts = json.dumps([content, row['augment'], self._recipe])
        return hashlib.sha256(parts.encode()).hexdigest()

    def prepare_data(self, idx: int) -> dict[str, Any] | None:
        """Pass a clip through the pipeline.

        Returns:
            What the pipeline gives; None, in training, for a video that cannot be decoded.

        Raises:
            VideoError: If none of the videos can be decoded.
        """
        row = {**self.get_data_info(idx), 'start_index': 0, 'modality': 'RGB'}
        augmentation = Augmentation.parse(row['augment'])
        if not row['excluded']:
            path = Path(row['filename'])
            try:
                info = scan_video(path).info
                self._note_length(row['path'], info.duration_s)
                return self._process(
                    {
                        **row,
                        'total_frames': info.num_frames,
                        'fps': info.fps * augmentation.speed,
                        'augmentation': augmentation,
                    }
                )
            except (VideoError, OSError) as error:
                self.broken.report(path, error)
            if not self.test_mode:
                return None
        return self._process({**row, 'total_frames': 1, 'fps': STRIDE_FPS, 'excluded': True})

    def _process(self, row: dict[str, Any]) -> dict[str, Any]:
        item: Any = self.pipeline(row)
        return item

    def _note_length(self, path: str, duration_s: float) -> None:
        if duration_s < self._clip_s - 0.5 / STRIDE_FPS and path not in self._short:
            self._short.add(path)
            print_log(
                f'{path} is shorter than a clip, {duration_s:.2f} s of {self._clip_s:.2f} s: its '
                'last frame is repeated; a smaller stride in SampleClip makes clips shorter',
                logger='current',
                level=logging.WARNING,
            )

    def _find_missing(self, rows: list[dict[str, Any]], *, source: str) -> set[str]:
        """Find the videos that are not there, and log how many are.

        Raises:
            FileNotFoundError: If none is there.
        """
        paths = dict.fromkeys(row['path'] for row in rows)
        missing = {path for path in paths if not (self._root / path).is_file()}
        counts = f'{len(paths) - len(missing):,} of {len(paths):,} videos of {source} are there'
        if len(missing) == len(paths):
            raise FileNotFoundError(
                f'data_root must hold the videos, got data_root={str(self._root)!r}, where '
                f'{counts}, such as {self._root / min(missing)}; name the folder that PATH begins '
                'in'
            )
        if missing:
            counts += f'; {len(missing):,} missing, the first is {min(missing)}'
        print_log(f'{counts}; {len(rows):,} clips', logger='current')
        return missing


@DATASETS.register_module()
class SubsetDataset(Dataset):
    """Other data sets as the subsets of one, their samples marked as anomaly scores need them.

    A sample is what its data set gives, whose `data_samples` get `subset`, `class_name` (by their
    label), `video` (their name: each is a recording of its own), a `name` that is unique among the
    subsets, and `excluded`, False unless they have it. There is no `embedding_key`: embeddings of
    generated clips are kept in memory alone.

    Args:
        subsets: Data set of each subset, by its name in `SUBSETS`.

    Raises:
        ValueError: If a subset is unknown, or a data set names no classes.
    """

    def __init__(self, *, subsets: Mapping[str, dict[str, Any]]) -> None:
        _check_subsets(subsets)
        self._subsets = [*subsets]
        self._datasets = [DATASETS.build(config) for config in subsets.values()]
        for subset, dataset in zip(self._subsets, self._datasets, strict=True):
            if not dataset.metainfo.get('classes'):
                raise ValueError(
                    "a data set of SubsetDataset must name its classes in metainfo['classes'], got "
                    f'none for subset={subset!r}; take another data set'
                )
        self._ends = [*accumulate(map(len, self._datasets))]
        self.metainfo = dict(self._datasets[0].metainfo)

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> dict[str, Any]:
        """A sample, marked.

        Raises:
            IndexError: If there is none with this number.
        """
        subset, dataset, inner = self._locate(index)
        item = dataset[inner]
        sample = item['data_samples']
        name = str(sample.get('name', inner))
        sample.set_metainfo(
            {
                'name': f'{subset}/{name}',
                'subset': subset,
                'class_name': str(dataset.metainfo['classes'][int(sample.gt_label)]),
                'video': f'{subset}/{name}',
                'excluded': bool(sample.get('excluded', False)),
            }
        )
        return item

    def _locate(self, index: int) -> tuple[str, Any, int]:
        """Subset, data set and number in it of a sample."""
        if not 0 <= index < len(self):
            raise IndexError(f'index must lie in 0..{len(self) - 1}, got index={index}')
        place = bisect_right(self._ends, index)
        first = self._ends[place - 1] if place else 0
        return self._subsets[place], self._datasets[place], index - first


def read_rows(path: Path, subset: str) -> list[dict[str, Any]]:
    """Read a table of clips, see the head of this file.

    Args:
        path: CSV file.
        subset: What its clips are.

    Returns:
        For each `path`, `label`, `class_name`, `video`, `augment`, `subset` and a unique `name`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If there is no row, or one is not as described.
    """
    if not path.expanduser().is_file():
        raise FileNotFoundError(
            f'the table of {subset!r} must be a file, got {path}; '
            'tools/data/ucf_sports/prepare.py makes it'
        )
    # utf-8-sig: spreadsheets put a byte order mark before the first column
    with path.expanduser().open(newline='', encoding='utf-8-sig') as file:
        reader = csv.DictReader(file)
        missing = [name for name in COLUMNS[:3] if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(
                f'a table of clips must have the columns {",".join(COLUMNS[:3])}, got {path} '
                f'without {", ".join(missing)}'
            )
        rows: dict[str, dict[str, Any]] = {}
        for line in reader:
            row = _read_row(line, subset, where=f'line {reader.line_num} of {path}')
            if row['name'] in rows:
                raise ValueError(
                    f'a clip must be listed once, got {row["name"]} again in line '
                    f'{reader.line_num} of {path}; delete the line or augment it'
                )
            rows[row['name']] = row
    if not rows:
        raise ValueError(f'a table must have a clip at least, got none in {path}; make it again')
    return [*rows.values()]


def _read_row(line: Mapping[str, str | None], subset: str, *, where: str) -> dict[str, Any]:
    path, label, class_name, video, augment = ((line.get(name) or '').strip() for name in COLUMNS)
    if not (path and class_name and label.isdecimal()):
        raise ValueError(
            'a row must have PATH, a LABEL from 0 on and CLASS, got '
            f'PATH={path!r}, LABEL={label!r} and CLASS={class_name!r} in {where}'
        )
    try:
        Augmentation.parse(augment)
    except ValueError as error:
        raise ValueError(f'{error}; in {where}') from error
    return {
        'path': path,
        'label': int(label),
        'class_name': class_name,
        'video': video or path,
        'augment': augment,
        'subset': subset,
        'name': f'{subset}/{path} {augment}'.strip(),
    }


def _check_subsets(subsets: Mapping[str, Any]) -> None:
    unknown = [name for name in subsets if name not in SUBSETS]
    if unknown or not subsets:
        got = ', '.join(unknown) or 'none'
        raise ValueError(f'subsets must be some of {", ".join(SUBSETS)}, got {got}')


def _check_not_random(pipeline: Sequence[dict[str, Any] | Callable]) -> None:
    """Refuse steps that draw: their clips would be embedded once and never be drawn again."""
    for step in pipeline:
        if isinstance(step, Mapping):
            name = str(step.get('type')).rpartition('.')[2]
            if step.get('at_random') or name.startswith('Random') or name in _RANDOM_TRANSFORMS:
                raise ValueError(
                    f'pipeline must draw nothing at random, got {name}; the column AUGMENT says '
                    'what is done to a clip, by AugmentClip'
                )


def _check_disjoint(rows: Sequence[dict[str, Any]]) -> None:
    """Refuse a recording that is in two subsets of normal clips."""
    subsets: dict[str, str] = {}
    for row in rows:
        subset = row['subset']
        if subset != 'anomaly' and subsets.setdefault(row['video'], subset) != subset:
            raise ValueError(
                f'a recording must be in one of train, val and test, got {row["video"]} in '
                f'{subsets[row["video"]]} and {subset}; split by recording, as '
                'tools/data/ucf_sports/prepare.py does'
            )


@functools.lru_cache(maxsize=100_000)
def _hash_file(path: Path, _size: int, _mtime_ns: int) -> str:
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _cut(image: NDArray[np.uint8], augmentation: Augmentation) -> NDArray[np.uint8]:
    """Show a part of a frame (H, W, 3) in its size, mirrored or not."""
    left, top, size = augmentation.crop
    if size < 1:
        height, width = image.shape[:2]
        rows = slice(round(top * height), max(round((top + size) * height), 1))
        columns = slice(round(left * width), max(round((left + size) * width), 1))
        image = cv2.resize(image[rows, columns], (width, height)).astype(np.uint8, copy=False)
    return np.ascontiguousarray(image[:, ::-1]) if augmentation.flip else image


def _colour(frames: NDArray[np.uint8], colour: Sequence[float]) -> list[NDArray[np.uint8]]:
    """Change the colours of a clip (T, H, W, 3)."""
    brightness, contrast, saturation, hue = colour
    # one tall picture: contrast is changed around the mean of the clip
    picture = torch.from_numpy(rearrange(frames, 't h w c -> c (t h) w'))
    picture = F.adjust_brightness(picture, brightness)
    picture = F.adjust_contrast(picture, contrast)
    picture = F.adjust_saturation(picture, saturation)
    picture = F.adjust_hue(picture, hue)
    return [*rearrange(picture, 'c (t h) w -> t h w c', t=len(frames)).contiguous().numpy()]
