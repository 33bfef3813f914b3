"""Accuracy of action recognition, with the views that it was measured by.

The same weights score higher when more views of a video are averaged, and when broken videos are
left out, so both are printed beside each number.

Files written, for one row or one picture a test set:
    scores.csv: video, class, predicted, and the score of each class under its name; a video that
        was excluded has no scores.
    confusion.png: share of the videos of each class (rows) that were taken for each (columns).
    confusion.csv: the numbers of these videos; this and the next with `per_class` alone.
    classes.csv: for each class its videos, those that are right, their share (top-1 accuracy), the
        class that the others are taken for most often, and how many of them.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from matplotlib.figure import Figure
from matplotlib.text import Text
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from numpy.typing import NDArray
from torch import Tensor

from mmotion.atomic import write_atomically
from mmotion.registry import METRICS
from mmotion.structures.actions import describe_views
from mmotion.tables import write_table

TOP_K = (1, 5)
CLASS_COLUMNS = ('class', 'videos', 'right', 'accuracy', 'taken_for', 'taken_for_videos')
# more class names than this cannot be read at the sides of a picture
MAX_NAMES = 60


@METRICS.register_module()
class ActionMetric(BaseMetric):
    """How often the right class has the highest score, or is among the five highest.

    top1, top5: share of the videos whose class has one of the k highest scores; a class that ties
        with the k-th counts as wrong. top5 is left out where there are no more than 5 classes.
    mean1: mean over classes of the share of their videos that are right by top1.

    Args:
        out_dir: Folder for `scores.csv` and `confusion.png`, by default that of the run's log, in
            its work dir.
        collect_device: Where ranks exchange results, 'cpu' or 'gpu'.
        prefix: Word before the names, 'acc' by default: `save_best='acc/top1'`.
        per_class: Whether to log a line for each class, the worst first, and to write the tables.
    """

    default_prefix = 'acc'

    def __init__(
        self,
        *,
        out_dir: str | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        per_class: bool = False,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.out_dir = out_dir
        self.per_class = per_class

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keep the scores of each video.

        Args:
            data_batch: Its `inputs` are clips (V, 3, T, H, W), of which the views are counted.
            data_samples: With `pred_score` (C,) and `gt_label`, one class each; perhaps `name`,
                `num_clips`, `views`, which says in words what was looked at instead of the shape
                of the clips, and `excluded`, true where a video could not be decoded.

        Raises:
            ValueError: If a video does not have one class, or its class is none of the C, or a
                score is not finite.
        """
        for clip, sample in zip(data_batch['inputs'], data_samples, strict=True):
            name = str(sample.get('name') or sample.get('filename') or len(self.results))
            label = np.ravel(_to_numpy(sample['gt_label']))
            scores = _to_numpy(sample['pred_score']).astype(np.float32)
            if scores.ndim != 1:
                raise ValueError(
                    f'pred_score of a video must have a score a class, got shape {scores.shape} '
                    f"for video {name!r}; set model.cls_head.average_clips='prob', so that a head "
                    'of MMAction2 averages the views of a video'
                )
            if label.size != 1 or not 0 <= label[0] < len(scores):
                raise ValueError(
                    f'gt_label of a video must be one class of {len(scores)}, got '
                    f'gt_label={label.tolist()} for video {name!r}; check the list of videos and '
                    "the head's num_classes"
                )
            if not np.isfinite(scores).all():
                raise ValueError(
                    f'pred_score must be finite, got {scores} for video {name!r}; look at the '
                    'weights of the model'
                )
            self.results.append(
                {
                    'name': name,
                    'label': int(label[0]),
                    # a video that could not be decoded was predicted from something else
                    'scores': None if sample.get('excluded') else scores,
                    'views': sample.get('views')
                    or describe_views(tuple(clip.shape), sample.get('num_clips')),
                }
            )

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Score the videos of all ranks, log the numbers with their protocol, write the files.

        Args:
            results: One dictionary a video, from `process`.

        Returns:
            The scores by name; without any video that counts, none.
        """
        used = [video for video in results if video['scores'] is not None]
        num_excluded = len(results) - len(used)
        if not used:
            MMLogger.get_current_instance().warning(
                f'no accuracy: all of the {num_excluded} videos are excluded'
            )
            return {}
        scores = np.stack([video['scores'] for video in used])
        labels = np.array([video['label'] for video in used])
        num_classes = scores.shape[1]
        confusion = count_confusion(scores, labels)
        metrics = {
            f'top{k}': top_k_accuracy(scores, labels, k) for k in TOP_K if k == 1 or k < num_classes
        }
        metrics['mean1'] = mean_class_accuracy(scores, labels)

        views = ' and '.join(sorted({video['views'] for video in used}))
        protocol = f'{views}, {len(used)} videos, {num_excluded} excluded'
        lines = [f'{name:>6}: {value:.4f}   {protocol}' for name, value in metrics.items()]
        logger = MMLogger.get_current_instance()
        logger.info('\n'.join(['action recognition', *lines]))
        classes = self._class_names(num_classes)
        if self.per_class:
            logger.info(describe_classes(list_classes(confusion, classes)))
        out_dir = find_log_dir() if self.out_dir is None else Path(self.out_dir)
        if out_dir is not None:
            write_scores(results, classes, out_dir / 'scores.csv')
            plot_confusion(confusion, classes, out_dir / 'confusion.png')
            if self.per_class:
                write_classes(confusion, classes, out_dir)
            logger.info(f'scores of each video and confusion matrix written to {out_dir}')
        return metrics

    def _class_names(self, num_classes: int) -> list[str]:
        names: list[str] = list((self.dataset_meta or {}).get('classes') or ())
        return names if len(names) == num_classes else [str(i) for i in range(num_classes)]


def top_k_accuracy(scores: NDArray[np.floating], labels: NDArray[np.integer], k: int) -> float:
    """Share of the rows of `scores` (N, C) in which `labels` (N,) is among the k highest.

    Example:
        >>> scores = np.array([[0.2, 0.5, 0.3], [0.4, 0.4, 0.2]])
        >>> top_k_accuracy(scores, np.array([2, 0]), 1), top_k_accuracy(scores, np.array([2, 0]), 2)
        (0.0, 1.0)
    """
    return float((_rank(scores, labels) <= k).mean())


def mean_class_accuracy(scores: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Mean of the top-1 accuracies of the classes that occur in `labels` (N,)."""
    right = _rank(scores, labels) <= 1
    return float(np.mean([right[labels == label].mean() for label in np.unique(labels)]))


def count_confusion(
    scores: NDArray[np.floating], labels: NDArray[np.integer]
) -> NDArray[np.integer]:
    """Videos of class i whose highest score is that of class j (C, C)."""
    num_classes = scores.shape[1]
    pairs = labels * num_classes + scores.argmax(axis=1)
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def list_classes(
    confusion: NDArray[np.integer], classes: Sequence[str]
) -> list[dict[str, str | int]]:
    """What becomes of the videos of each class, in the columns of `CLASS_COLUMNS`.

    Args:
        confusion: Videos of class i that were taken for class j (C, C).
        classes: Names (C,).

    Example:
        >>> list_classes(np.array([[3, 1], [0, 0]]), ['sit', 'walk'])[0]
        {'class': 'sit', 'videos': 4, 'right': 3, 'accuracy': '0.75', 'taken_for': 'walk', \
'taken_for_videos': 1}
        >>> list_classes(np.array([[3, 1], [0, 0]]), ['sit', 'walk'])[1]
        {'class': 'walk', 'videos': 0}
    """
    rows: list[dict[str, str | int]] = []
    for number, (name, line) in enumerate(zip(classes, confusion.tolist(), strict=True)):
        row: dict[str, str | int] = {'class': name, 'videos': sum(line)}
        if sum(line):
            row |= {'right': line[number], 'accuracy': f'{line[number] / sum(line):.5g}'}
        wrong = [0 if other == number else videos for other, videos in enumerate(line)]
        if any(wrong):
            worst = wrong.index(max(wrong))
            row |= {'taken_for': classes[worst], 'taken_for_videos': wrong[worst]}
        rows.append(row)
    return rows


def write_classes(confusion: NDArray[np.integer], classes: Sequence[str], out_dir: Path) -> None:
    """Write `classes.csv` and `confusion.csv`, see the top of this file."""
    write_table(out_dir / 'classes.csv', CLASS_COLUMNS, list_classes(confusion, classes))
    lines = ([name, *row] for name, row in zip(classes, confusion.tolist(), strict=True))
    write_table(out_dir / 'confusion.csv', ['class', *classes], lines)


def describe_classes(rows: Sequence[Mapping[str, str | int]]) -> str:
    """The classes that have videos in lines, the worst first; `rows` are from `list_classes`."""
    there = sorted((row for row in rows if row['videos']), key=lambda row: float(row['accuracy']))
    width = max((len(str(row['class'])) for row in there), default=0)
    lines = ['accuracy of each class']
    for row in there:
        line = f'{row["class"]:<{width}}  {float(row["accuracy"]):.4f}  of {row["videos"]} videos'
        if 'taken_for' in row:
            line += f'; {row["taken_for_videos"]} taken for {row["taken_for"]}'
        lines.append(line)
    return '\n'.join(lines)


def write_scores(
    results: Sequence[dict[str, Any]], classes: Sequence[str], path: str | Path
) -> None:
    """Write one row a video, see the top of this file."""
    rows = []
    for video in results:
        row = [video['name'], classes[video['label']]]
        if video['scores'] is not None:
            row.append(classes[int(video['scores'].argmax())])
            row += [f'{score:.5g}' for score in video['scores'].tolist()]
        rows.append(row)
    write_table(path, ['video', 'class', 'predicted', *classes], rows)


def plot_confusion(
    confusion: NDArray[np.integer], classes: Sequence[str], path: str | Path
) -> None:
    """Write a picture of a confusion matrix (C, C), in shares of each row.

    Args:
        confusion: Videos of class i that were taken for class j.
        classes: Names (C,), written at the sides if there are few enough to be read.
        path: File to write, .png or another ending that matplotlib knows.
    """
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    num_classes = len(classes)
    side = min(4 + 0.28 * num_classes, 16.0)
    figure = Figure(figsize=(side + 0.8, side), layout='constrained')
    axes = figure.subplots()
    image = axes.imshow(shares, cmap='Blues', vmin=0, vmax=1, interpolation='nearest')
    figure.colorbar(image, ax=axes, shrink=0.8, label='share of the videos of a class')
    axes.set_title(f'{confusion.sum()} videos, {np.trace(confusion) / confusion.sum():.1%} right')
    axes.set_xlabel('predicted')
    axes.set_ylabel('class')
    if num_classes <= MAX_NAMES:
        axes.set_xticks(range(num_classes), classes, rotation=90, fontsize=8)
        axes.set_yticks(range(num_classes), classes, fontsize=8)
        for row, column in zip(*np.nonzero(confusion), strict=True):
            color = 'white' if shares[row, column] > 0.5 else 'black'
            text = str(confusion[row, column])
            axes.text(column, row, text, ha='center', va='center', fontsize=7, color=color)
    for text in figure.findobj(Text):
        # a name with `$` in it is no formula
        cast('Text', text).set_parse_math(False)
    with write_atomically(path) as temporary:
        figure.savefig(temporary, dpi=120)


def _rank(scores: NDArray[np.floating], labels: NDArray[np.integer]) -> NDArray[np.integer]:
    """Place of the true class (N,), from 1 on; below all it ties with, and last if it is NaN."""
    true = np.take_along_axis(scores, labels[:, None], axis=1)
    return (~(scores < true)).sum(axis=1)


def find_log_dir() -> Path | None:
    """Folder of the log of this run, if it writes one."""
    for handler in MMLogger.get_current_instance().handlers:
        if isinstance(handler, logging.FileHandler):
            return Path(handler.baseFilename).parent
    return None


def _to_numpy(values: Any) -> NDArray[Any]:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
