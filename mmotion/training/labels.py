"""Compare the labels of a data set with the classes of a model, before training.

A label that no class has ends the first step with "Target 2 is out of bounds.", after minutes of
preparation; and where a model has more classes than there are labels, nothing tells at all.
"""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

# what a backbone is told of classes is of no use to a model with a head
_PASSED_OVER = ('backbone', 'encoder')


def check_labels(
    model: Mapping[str, Any], loader: Mapping[str, Any], dataset: Any, *, is_training: bool
) -> None:
    """Refuse labels that are no class of the model, and warn of classes that none has.

    Args:
        model: Config of the model; a `num_classes` in it is a number of classes.
        loader: Config of the data loader, to name the data set's file.
        dataset: The data set, whose classes are `metainfo['classes']`, and whose entries have a
            `label`, as those of MMAction2 have; it may be wrapped by others in `dataset`.
        is_training: Whether the model learns from it; warnings are for these data alone.

    Raises:
        ValueError: If a label or a class of the data set is none of the model, or if two numbers
            of classes in the config of the model differ.
    """
    numbers = dict(find_num_classes(model))
    if not numbers:
        return
    option, num_classes = next(iter(numbers.items()))
    if len({*numbers.values()}) > 1:
        found = ', '.join(f'{key}={value}' for key, value in numbers.items())
        raise ValueError(
            f'num_classes must be the same in all parts of a model, got {found}; set each of them '
            'to the number of classes'
        )
    while not isinstance(dataset, BaseDataset) and hasattr(dataset, 'dataset'):
        dataset = dataset.dataset
    source = _find_source(loader) or f'the {type(dataset).__name__}'
    labels = list(_list_labels(dataset))
    values = {label for _, label in labels}
    for name, label in labels:
        if not 0 <= label < num_classes:
            raise ValueError(
                f'label must lie in 0..{num_classes - 1}, got label={label} of {name} in {source} '
                f'and {option}={num_classes}; {_advise(values, option, num_classes)}'
            )
    classes = _list_classes(dataset)
    num_known = max(len(classes), max(values, default=-1) + 1)
    if num_known > num_classes:
        raise ValueError(
            f'num_classes must be the number of classes, got {option}={num_classes} and '
            f'{num_known} classes in {source} ({_shorten(classes)}); set {option}={num_known}'
        )
    if is_training and 0 < num_known < num_classes:
        print_log(
            f'{option}={num_classes}, and {source} has {num_known} classes'
            f'{f" ({_shorten(classes)})" * bool(classes)}: the others are never learned; set '
            f'{option}={num_known} if there are no more',
            logger='current',
            level=logging.WARNING,
        )
    elif is_training and min(values, default=0) == 1:
        print_log(
            f'no video of {source} has label 0: labels count from 0, so subtract 1 from each if '
            'they were meant to begin at 1',
            logger='current',
            level=logging.WARNING,
        )


def find_num_classes(model: Any, place: str = 'model') -> Iterator[tuple[str, int]]:
    """The numbers of classes in the config of a model, and the options that set them."""
    if isinstance(model, Mapping):
        for key, value in model.items():
            if key == 'num_classes' and isinstance(value, int):
                yield f'{place}.{key}', value
            elif key not in _PASSED_OVER:
                yield from find_num_classes(value, f'{place}.{key}')


def _advise(labels: Collection[int], option: str, num_classes: int) -> str:
    lowest, highest = min(labels), max(labels)
    if lowest < 0:
        return 'a label is the number of a class, from 0 on'
    if lowest == 1 and highest == num_classes:
        return 'labels count from 0, so subtract 1 from each'
    if lowest == 1:
        return f'set {option}={highest}, and subtract 1 from each label, as they count from 0'
    return f'set {option}={highest + 1}, or correct the label'


def _list_labels(dataset: Any) -> Iterator[tuple[str, int]]:
    """What each entry is called, and its labels; none for a data set that has no such entries."""
    if not isinstance(dataset, BaseDataset):
        return
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        labels = info.get('label')
        name = info.get('name') or info.get('filename') or info.get('frame_dir') or f'entry {i}'
        for label in labels if isinstance(labels, list | tuple | np.ndarray) else [labels]:
            if isinstance(label, Integral):
                yield str(name), int(label)


def _list_classes(dataset: Any) -> Sequence[str]:
    metainfo = getattr(dataset, 'metainfo', None)
    return (metainfo.get('classes') if isinstance(metainfo, Mapping) else None) or ()


def _find_source(loader: Any) -> str | None:
    """The list or folder that the config of a loader names."""
    while isinstance(loader, Mapping):
        for key in ('ann_file', 'data_root'):
            if isinstance(loader.get(key), str) and loader[key]:
                return loader[key]
        loader = loader.get('dataset')
    return None


def _shorten(names: Sequence[str]) -> str:
    return ', '.join(map(str, names[:5])) + ', ...' * (len(names) > 5)
