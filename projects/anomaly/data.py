"""Clips of normal and of unusual things, each always the same, so that it need be embedded once.

`AnomalyClipDataset` reads tables as `mmotion prepare folder` writes them, CSV files with
the columns
    PATH: video, below the root or absolute
    LABEL: number of its class, from 0 on
    CLASS: name of its class
    VIDEO: recording that it is a part of, as far as known; PATH without this column
    AUGMENT: what is done to it, see `Augmentation` in `transforms.py`; nothing without this column
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
"""

import functools
import hashlib
import json
import logging
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from mmengine.dataset import BaseDataset
from mmengine.logging import print_log
from torch.utils.data import Dataset

from mmotion.checks import check_index
from mmotion.registry import DATASETS
from mmotion.tables import Row, read_table, unify
from mmotion.transforms.sampling import STRIDE_FPS, SampleClip, load_clip
from mmotion.video import VideoInfo
from mmotion.video.clips import BrokenVideos
from mmotion.video.files import find_named

from .transforms import Augmentation

SUBSETS = ('train', 'val', 'test', 'anomaly')
COLUMNS = ('PATH', 'LABEL', 'CLASS', 'VIDEO', 'AUGMENT')
# transforms that draw anew for each clip, and so cannot be in a pipeline here
_RANDOM_TRANSFORMS = ('CameraMotion', 'ClipJitter', 'ColorJitter', 'Flip', 'MultiScaleCrop')
_BLOCK_BYTES = 2**20


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
            {
                **row,
                'filename': str(find_named(self._root / row['path'])),
                'excluded': row['path'] in missing,
            }
            for row in rows
            if test_mode or row['path'] not in missing
        ]
        self.broken = BrokenVideos(len({entry['filename'] for entry in self._entries}))
        self._short: set[str] = set()
        self._pipeline_config = [*pipeline]
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
        return name_clip(path, self._pipeline_config, augment=row['augment'])

    def prepare_data(self, idx: int) -> dict[str, Any] | None:
        """Pass a clip through the pipeline.

        Returns:
            What the pipeline gives; None, in training, for a video that cannot be decoded.

        Raises:
            VideoError: If none of the videos can be decoded.
        """
        row = self.get_data_info(idx)
        augmentation = Augmentation.parse(row['augment'])

        def describe(info: VideoInfo) -> dict[str, Any]:
            self._note_length(row['path'], info.duration_s)
            return {
                'total_frames': info.num_frames,
                'fps': info.fps * augmentation.speed,
                'augmentation': augmentation,
            }

        return load_clip(
            row, self.pipeline, broken=self.broken, test_mode=self.test_mode, describe=describe
        )

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
        missing = {path for path in paths if not find_named(self._root / path).is_file()}
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
        check_index(index, len(self))
        place = bisect_right(self._ends, index)
        first = self._ends[place - 1] if place else 0
        return self._subsets[place], self._datasets[place], index - first


def name_clip(path: Path, pipeline: Sequence[Any], *, augment: str = '') -> str:
    """Name a clip by the content of its video, the augmentation and the steps of the pipeline.

    Raises:
        OSError: If the video cannot be read.
    """
    status = path.stat()
    content = _hash_file(path, status.st_size, status.st_mtime_ns)
    recipe = json.dumps([*pipeline], default=repr, sort_keys=True)
    parts = json.dumps([content, augment, recipe])
    return hashlib.sha256(parts.encode()).hexdigest()


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
    clips: dict[str, dict[str, Any]] = {}
    for row in read_table(
        path,
        COLUMNS[:3],
        what=f'the table of {subset!r}',
        remedy='"mmotion prepare folder" makes it',
    ):
        clip = _read_clip(row, subset)
        if clip['name'] in clips:
            raise ValueError(
                f'a clip must be listed once, got {clip["name"]} again in {row.where}; delete the '
                'line or augment it'
            )
        clips[clip['name']] = clip
    return [*clips.values()]


def _read_clip(row: Row, subset: str) -> dict[str, Any]:
    texts = map(row.text, ('PATH', 'CLASS', 'VIDEO', 'AUGMENT'))
    path, class_name, video, augment = map(unify, texts)
    label = row.whole('LABEL', at_least=0)
    if not (path and class_name):
        raise ValueError(
            f'a row must have PATH and CLASS, got PATH={path!r} and CLASS={class_name!r} in '
            f'{row.where}; correct it'
        )
    try:
        Augmentation.parse(augment)
    except ValueError as error:
        raise ValueError(f'{error}; in {row.where}') from error
    return {
        'path': path,
        'label': label,
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
                '"mmotion prepare folder" does'
            )


@functools.lru_cache(maxsize=100_000)
def _hash_file(path: Path, _size: int, _mtime_ns: int) -> str:
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
