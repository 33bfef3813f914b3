"""What the confidence of a RepNet means, in figures and plots, see `mmotion reliability`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from mmengine.dataset import pseudo_collate
from numpy.typing import NDArray
from rich.progress import track
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from mmotion.atomic import write_atomically
from mmotion.inference import Predictor
from mmotion.registry import DATASETS

NUM_FOLDS = 10
RIGHT, WRONG, NEUTRAL = '#1f5f99', '#c2344d', '#888888'


@dataclass(frozen=True)
class Answers:
    """What a model says of N videos, and the truth; all arrays are (N,).

    Args:
        name: Of the video.
        true_count: Repetitions in truth.
        count: Repetitions that are counted.
        confidence: Of the model, in [0, 1].
        periodicity: Mean over the frames of the belief p that they repeat, in [0, 1].
        certainty: Mean over the frames of max(p, 1 - p), in [0.5, 1].
    """

    name: NDArray[np.str_]
    true_count: NDArray[np.float64]
    count: NDArray[np.float64]
    confidence: NDArray[np.float64]
    periodicity: NDArray[np.float64]
    certainty: NDArray[np.float64]

    @property
    def is_right(self) -> NDArray[np.bool_]:
        """Whether the rounded count is at most one off, as `RepetitionMetric` has it."""
        return np.abs(np.floor(self.count + 0.5) - np.floor(self.true_count + 0.5)) <= 1

    @property
    def repeats(self) -> NDArray[np.bool_]:
        """Whether something repeats in truth."""
        return self.true_count > 0

    @property
    def says_none(self) -> NDArray[np.bool_]:
        """Whether the answer is that nothing repeats: the count rounds to 0."""
        return self.count < 0.5


def collect_answers(predictor: Predictor, split: str) -> Answers:
    """Count in the videos of a config's data set.

    Args:
        predictor: Of a RepNet.
        split: 'val' or 'test'.

    Raises:
        ValueError: If no video has a true count.
    """
    dataset = DATASETS.build(predictor.config[f'{split}_dataloader'].dataset)
    rows = []
    for i in track(range(len(dataset)), description=split):
        with torch.inference_mode():
            (sample,) = predictor.model.test_step(pseudo_collate([dataset[i]]))
        if 'gt_count' in sample:
            pred = sample.pred
            belief = pred.periodicity_per_frame
            means = float(belief.mean()), float(np.maximum(belief, 1 - belief).mean())
            rows.append((sample.name, sample.gt_count, pred.count, pred.confidence, *means))
    if not rows:
        raise ValueError(f'{split} videos must have true counts, got {len(dataset)} without any')
    return Answers(*(np.array(column) for column in zip(*rows, strict=True)))


def bin_equally(
    confidence: NDArray[np.float64], is_right: NDArray[np.bool_], num_bins: int
) -> list[tuple[float, float, int]]:
    """Mean confidence, share that is right and number of videos, in bins of equal numbers.

    Example:
        >>> bin_equally(np.array([0.9, 0.1, 0.7, 0.3]), np.array([True, False, True, True]), 2)
        [(0.2, 0.5, 2), (0.8, 1.0, 2)]
    """
    order = np.argsort(confidence, kind='stable')
    return [
        (float(confidence[part].mean()), float(is_right[part].mean()), len(part))
        for part in np.array_split(order, num_bins)
        if len(part)
    ]


def calibration_error(bins: list[tuple[float, float, int]]) -> float:
    """Expected calibration error, the mean over videos of |confidence - share that is right|."""
    return sum(abs(mean - share) * size for mean, share, size in bins) / sum(b[2] for b in bins)


def fit_platt(
    certainty: NDArray[np.float64], is_right: NDArray[np.bool_]
) -> tuple[float, float, NDArray[np.float64]]:
    """Fit sigmoid(slope * certainty + offset) to the probability of being right.

    Args:
        certainty: (N,).
        is_right: (N,).

    Returns:
        Slope and offset, fitted on all videos, and the probability of each video (N,) by a fit
        that did not see it. With too few right or wrong ones (below two) the slope is 0.
    """
    num_folds = min(NUM_FOLDS, int(is_right.sum()), int((~is_right).sum()))
    if num_folds < 2:
        # as one of each had been seen in addition
        share = (is_right.sum() + 1) / (len(is_right) + 2)
        offset = float(np.log(share / (1 - share)))
        return 0.0, offset, np.full(len(is_right), share)
    # weak regularisation: two numbers cannot overfit
    model = LogisticRegression(C=1e4)
    inputs = certainty[:, None]
    folds = StratifiedKFold(num_folds, shuffle=True, random_state=0)
    held_out = cross_val_predict(model, inputs, is_right, cv=folds, method='predict_proba')
    model.fit(inputs, is_right)
    slope, offset = np.ravel(model.coef_)[0], np.ravel(model.intercept_)[0]
    return float(slope), float(offset), np.asarray(held_out)[:, 1]


def describe(answers: Answers, num_bins: int) -> Iterator[str]:
    """Give the lines of the report."""
    right, none, repeats = answers.is_right, answers.says_none, answers.repeats
    slope, offset, calibrated = fit_platt(answers.certainty, right)
    yield f'{len(right)} videos, OBO {right.mean():.3f}, {int((~repeats).sum())} repeat nothing'
    scaled = f'confidence_curve=({slope:.2f}, {offset:.2f})'
    for name, values in (('confidence', answers.confidence), (scaled, calibrated)):
        error = calibration_error(bin_equally(values, right, num_bins))
        brier = float(np.mean((values - right) ** 2))
        area = roc_auc_score(right, values) if 0 < right.sum() < len(right) else np.nan
        yield f'{name}: ECE {error:.3f}, Brier score {brier:.3f}, AUROC of right counts {area:.3f}'
    if 0 < repeats.sum() < len(repeats):
        area = roc_auc_score(repeats, answers.periodicity)
        precision = average_precision_score(~repeats, -answers.periodicity)
        yield (
            f'periodicity tells whether something repeats: AUROC {area:.3f}, '
            f'average precision of nothing {precision:.3f}'
        )
    found = int((none & ~repeats).sum())
    yield (
        f"'nothing repeats' is said of {int(none.sum())} videos, {found} of them rightly; "
        f'{int((~repeats).sum())} are so'
    )


def draw_reliability(answers: Answers, path: Path, *, num_bins: int, title: str) -> None:
    """Write the three plots."""
    figure = Figure(figsize=(15, 5), layout='constrained')
    figure.suptitle(title, parse_math=False)
    left, middle, right = figure.subplots(1, 3)
    _draw_bins(left, answers, num_bins)
    edges = np.linspace(0, 1, 21)
    middle.hist(
        [answers.confidence[answers.is_right], answers.confidence[~answers.is_right]],
        bins=list(edges),
        stacked=True,
        color=[RIGHT, WRONG],
        label=['at most one off', 'further off'],
    )
    middle.set(xlabel='confidence', ylabel='videos', title='histogram')
    middle.legend()
    _draw_roc(right, answers)
    with write_atomically(path) as temporary:
        figure.savefig(temporary, dpi=100)


def _draw_bins(axes: Axes, answers: Answers, num_bins: int) -> None:
    _, _, calibrated = fit_platt(answers.certainty, answers.is_right)
    axes.plot([0, 1], [0, 1], '--', color=NEUTRAL, lw=1)
    for name, values, color in (
        ('confidence', answers.confidence, RIGHT),
        ('scaled certainty', calibrated, WRONG),
    ):
        bins = bin_equally(values, answers.is_right, num_bins)
        label = f'{name}, ECE {calibration_error(bins):.3f}'
        means, shares, sizes = zip(*bins, strict=True)
        # one standard error of a share
        errors = [(s * (1 - s) / n) ** 0.5 for s, n in zip(shares, sizes, strict=True)]
        axes.errorbar(means, shares, errors, fmt='o-', color=color, lw=1.2, ms=4, label=label)
    size = len(answers.confidence) / num_bins
    axes.set(xlim=(0, 1), ylim=(0, 1.03), xlabel=f'mean of a bin of {size:.4g} videos')
    axes.set(ylabel='share at most one off (OBO)', title='reliability')
    axes.legend(loc='lower right')


def _draw_roc(axes: Axes, answers: Answers) -> None:
    axes.plot([0, 1], [0, 1], '--', color=NEUTRAL, lw=1)
    none, repeats = answers.says_none, answers.repeats
    axes.set(xlabel='share of repeating videos that are missed', title='repeats or not')
    axes.set(ylabel='share of videos without repetition that are found')
    if not 0 < repeats.sum() < len(repeats):
        axes.text(0.5, 0.5, 'needs videos of both kinds', ha='center')
        return
    missed, found, _ = roc_curve(~repeats, -answers.periodicity)
    axes.plot(missed, found, color=RIGHT, label='mean periodicity below a threshold')
    point = (none[repeats].mean(), none[~repeats].mean())
    axes.plot(*point, 'o', color=WRONG, label="the answer 'nothing repeats'")
    axes.legend(loc='lower right')
