"""Labelled keypoint sequences of real videos, each in a file of its own.

Which layouts of files there can be is described in `projects.pose_sequence.sequence_files`, what a
pipeline gets in `projects.pose_sequence.transforms`.

Sequences that must not be on both sides of a split, such as those of one person, are one group.
What tells it is, in this order: `group_pattern` on the name, the column `group` of the CSV, the
field `group` of the file's `labels`, the video that the file was made from.
"""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from mmotion.checks import check_choice, check_fps, check_range
from mmotion.keypoints.files import find_skeleton
from mmotion.keypoints.skeletons import SKELETONS
from mmotion.registry import DATASETS
from mmotion.tables import unify

from .sequence_files import (
    ARRAY_SUFFIX,
    RATELESS_SUFFIXES,
    SequenceFile,
    list_sequences,
    read_sequence,
    split_groups,
    take_main_track,
)


@dataclass(frozen=True, kw_only=True)
class SequenceSubset:
    """Which of the sequences that there are a data set has.

    Args:
        split: 'train' or 'val' divides the groups, with the classes alike in both; None takes all.
        val_share: Share of the sequences in 'val', about, as groups stay together.
        min_det_threshold: Steps with a person that a sequence must have.

    Raises:
        ValueError: If the split is unknown, or there is no such share.
    """

    split: str | None = None
    val_share: float = 0.2
    min_det_threshold: int = 8

    def __post_init__(self) -> None:
        check_choice('split', self.split, ('train', 'val', None))
        check_range('val_share', self.val_share, 0, 0.5, ends='(]')

    def choose(self, sequences: list[dict[str, Any]], names: Sequence[str]) -> list[dict[str, Any]]:
        """Keep the sequences of the split, in their order, and name the classes without any.

        Args:
            sequences: All that there are.
            names: Of the classes.
        """
        if self.split is None:
            return sequences
        labels, groups = zip(*((s['label'], s['group']) for s in sequences), strict=True)
        is_val = split_groups(labels, groups, val_share=self.val_share)
        chosen = np.flatnonzero(is_val == (self.split == 'val'))
        text = f'{self.split} has {len(chosen)} of these sequences'
        absent = sorted({*labels} - {labels[i] for i in chosen})
        if absent:
            text += f', none of {", ".join(names[int(label)] for label in absent)}'
        level = logging.WARNING if absent else logging.INFO
        print_log(text, logger='current', level=level)
        return [sequences[i] for i in chosen]


@DATASETS.register_module()
class KeypointSequenceDataset(BaseDataset):
    """Keypoint sequences with one class each, in the order of their names.

    All files are read once, at the start, and held in memory: 500 steps of 17 points take 0.1 MB.
    A file that is broken, has another skeleton than the rest, or shows a person too seldom is left
    out; the log says how many are, and names the first. Frames in which nobody was found are steps
    of the sequence, with all points missing.

    Args:
        pipeline: Transforms for each sequence.
        data_root: Folder of the files.
        ann_file: CSV or list; '' for a folder.
        classes: Names by label; None finds and sorts them; () for sequences without labels, as
            contrastive learning takes them: each has -1.
        skeleton: What the files must have, needed for `.npy` files: a name in
            `mmotion.keypoints.SKELETONS`, or a file, see `mmotion.keypoints.files.find_skeleton`;
            None takes that of the first file.
        fps: Frames per second of `.npy` files and those of DeepLabCut, which do not tell it as JSON
            does.
        group_pattern: Regular expression that finds the group in a name, by its first parenthesis
            if it has one: 'person([0-9]+)'.
        subset: Options of a `SequenceSubset`.

    Raises:
        FileNotFoundError: If the folder or list is not there, or there is no file in it.
        ValueError: If an option is not as above, a line of the list is broken, a label is none of
            `classes`, no sequence is usable, or there are no two groups to split.
    """

    def __init__(
        self,
        *,
        pipeline: Sequence[dict[str, Any]],
        data_root: str = '',
        ann_file: str = '',
        classes: Sequence[str] | None = None,
        skeleton: str | None = None,
        fps: float | None = None,
        group_pattern: str | None = None,
        subset: dict[str, Any] | None = None,
    ) -> None:
        if fps is not None:
            check_fps(fps)
        self.skeleton = None if skeleton is None else find_skeleton(skeleton)
        self.fps = fps
        self.subset = SequenceSubset(**(subset or {}))
        self._origin = ann_file or data_root
        files = list_sequences(data_root, ann_file)
        if group_pattern is not None:
            files = _find_groups(files, group_pattern)
        sequences = self._read(files, is_labeled=classes is None or len(classes) > 0)
        names = _list_classes(sequences) if classes is None else [*map(unify, classes)]
        for sequence in sequences:
            sequence['label'] = self._find_label(sequence, names) if names else -1
        self._sequences = self.subset.choose(sequences, names)
        super().__init__(pipeline=[*pipeline], metainfo={'classes': names})
        # mmengine holds them in one array, which the data workers share
        self._sequences = []

    def load_data_list(self) -> list[dict[str, Any]]:
        """One entry a sequence, which holds all of it but the skeleton."""
        return self._sequences

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """A sequence as the pipeline gets it."""
        return {**super().get_data_info(idx), 'skeleton': self.skeleton}

    def _read(self, files: list[SequenceFile], *, is_labeled: bool) -> list[dict[str, Any]]:
        """Read the files that are usable, with their labels by name, and log how many are.

        Raises:
            ValueError: If none is, or arrays have no skeleton or rate.
        """
        suffixes = {file.path.suffix.lower(): file.name for file in files}
        arrays = [name for suffix, name in suffixes.items() if suffix == ARRAY_SUFFIX]
        rateless = [name for suffix, name in suffixes.items() if suffix in RATELESS_SUFFIXES]
        if rateless and not arrays and self.fps is None:
            raise ValueError(
                'fps must be given for files of DeepLabCut, which do not tell it, got fps=None for '
                f'{rateless[0]}; in each of train_dataloader, val_dataloader and test_dataloader '
                'set dataset.fps to the frames per second'
            )
        if arrays and (self.skeleton is None or self.fps is None):
            raise ValueError(
                'skeleton and fps must be given for arrays, which do not tell them, got '
                f'skeleton={self.skeleton and self.skeleton.name} and fps={self.fps} for '
                f'{arrays[0]}; in each of train_dataloader, val_dataloader and test_dataloader set '
                f'dataset.skeleton to one of {", ".join(SKELETONS)} or a JSON file with name, '
                'points and edges, and dataset.fps to the frames per second'
            )
        sequences, short, broken = [], [], []
        for file in files:
            try:
                video = read_sequence(file.path, self.skeleton, self.fps)
                label = file.label or video.labels.get('label')
                label = label and unify(label)
                if is_labeled and label is None:
                    raise ValueError(
                        f'{file.path}: labels.label must be given, got nothing; classes=() takes '
                        'sequences without'
                    )
            except (ValueError, OSError) as error:
                broken.append(str(error))
                continue
            self.skeleton = self.skeleton or video.skeleton
            sequence = take_main_track(video)
            del sequence['skeleton']
            seen = ~np.isnan(sequence['keypoints']).all(axis=(1, 2))
            if seen.sum() < self.subset.min_det_threshold:
                short.append(file.name)
                continue
            group = unify(file.group or video.labels.get('group') or video.source)
            sequences.append({**sequence, 'label': label, 'name': file.name, 'group': group})
        self._report(sequences, short, broken, num_files=len(files))
        return sequences

    def _report(
        self,
        sequences: list[dict[str, Any]],
        short: list[str],
        broken: list[str],
        *,
        num_files: int,
    ) -> None:
        text = f'{len(sequences):,} of {num_files:,} sequences of {self._origin} are used'
        if short:
            text += (
                f'; {len(short):,} left out with a person in fewer than '
                f'{self.subset.min_det_threshold} steps, the first is {short[0]}'
            )
        if broken:
            text += f'; {len(broken):,} left out that cannot be used, the first: {broken[0]}'
        if not sequences:
            raise ValueError(f'a sequence at least must be usable, got {text}')
        num_groups = len({sequence['group'] for sequence in sequences})
        level = logging.WARNING if short or broken else logging.INFO
        print_log(f'{text}; {num_groups:,} groups', logger='current', level=level)

    def _find_label(self, sequence: dict[str, Any], names: list[str]) -> int:
        if sequence['label'] not in names:
            raise ValueError(
                f'label must be one of the classes {", ".join(names)}, got '
                f'label={sequence["label"]!r} of {sequence["name"]} in {self._origin}'
            )
        return names.index(sequence['label'])


def _list_classes(sequences: list[dict[str, Any]]) -> list[str]:
    """The labels that occur, in alphabetical order, and numbers after them by their value."""
    names = {sequence['label'] for sequence in sequences}
    return sorted(names, key=lambda name: (int(name) if name.isdecimal() else -1, name))


def _find_groups(files: list[SequenceFile], pattern: str) -> list[SequenceFile]:
    """Give each file the group that a regular expression finds in its name."""
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(
            f'group_pattern must be a regular expression, got {pattern!r} ({error})'
        ) from None
    found = []
    for file in files:
        match = compiled.search(file.name)
        if match is None:
            raise ValueError(
                f'group_pattern must find something in every name, got {pattern!r}, which finds '
                f'nothing in {file.name!r}'
            )
        found.append(file._replace(group=match[1] if compiled.groups else match[0]))
    return found
