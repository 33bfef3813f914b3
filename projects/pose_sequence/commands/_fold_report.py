"""What the runs of a cross-validation say: tables, a box plot, and words.

A fold of n samples of which a share p is right has, by chance alone, a standard deviation of
sqrt(p (1 - p) / n). Folds that spread by more differ in kind: by outliers, by a group that is not
like the others, or by wrong labels. The test is that of homogeneity, chi-squared with the number of
folds less one as its degrees of freedom. Samples of one group are not independent, so it is a hint.

Shape letters in this file: R runs.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import chi2

from mmotion.atomic import write_atomically
from mmotion.tables import as_markdown, write_table
from mmotion.visualization import save_figure

# of chance alone, below which the spread is called more than chance
MIN_PROBABILITY = 0.05
# of a box plot, in lengths of the box
WHISKER = 1.5
MAX_LISTED = 20


@dataclass(frozen=True)
class Prediction:
    """What a model said of a sample that it was not trained on.

    Args:
        name: Name of the sample.
        group: Its group.
        label: Its class.
        predicted: The class that it was taken for.
        score: Score of its own class, in [0, 1].
    """

    name: str
    group: str
    label: str
    predicted: str
    score: float

    @property
    def is_right(self) -> bool:
        """Whether it was taken for what it is."""
        return self.predicted == self.label


@dataclass
class Run:
    """A fold of a split.

    Args:
        protocol: How it was split, 'group' or 'plain'.
        repeat: Number of the split, from 1 on.
        fold: Number of the fold, from 1 on.
        seed: Of the split and of the training.
        train: Sample numbers that it was trained on, with repetitions.
        test: Sample numbers that it was tested on.
        predictions: One for each of `test`.
    """

    protocol: str
    repeat: int
    fold: int
    seed: int
    train: NDArray[np.int64]
    test: NDArray[np.int64]
    predictions: list[Prediction] = field(default_factory=list)

    @property
    def name(self) -> str:
        """As in 'group split, repeat 1, fold 3'."""
        return f'{self.protocol} split, repeat {self.repeat}, fold {self.fold}'

    @property
    def accuracy(self) -> float:
        """Share of the test samples that is right, top-1."""
        return float(np.mean([prediction.is_right for prediction in self.predictions]))

    def class_accuracy(self, name: str) -> float:
        """The same of one class, NaN if it is not in the test fold."""
        right = [p.is_right for p in self.predictions if p.label == name]
        return float(np.mean(right)) if right else float('nan')


def write_report(runs: Sequence[Run], classes: Sequence[str], out_dir: Path) -> str:
    """Write the files that `mmotion cross-validate` names, and give the text.

    Args:
        runs: All runs, with their predictions.
        classes: Names of the classes.
        out_dir: Folder of the files.
    """
    by_protocol: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        by_protocol[run.protocol].append(run)
    wrong = list_wrong(by_protocol['group'])
    parts = [
        '# Cross-validation',
        as_markdown([_summarize(name, group) for name, group in by_protocol.items()]),
        as_markdown([_summarize_class(name, by_protocol) for name in classes]),
        *(describe_spread(group) for group in by_protocol.values()),
    ]
    if 'plain' in by_protocol:
        parts.append(compare_splits(by_protocol['group'], by_protocol['plain']))
    listed = [row for row in wrong if row['wrong'] != '0'][:MAX_LISTED]
    if listed:
        parts += ['Most often wrong in the group split:', as_markdown(listed)]
    text = '\n\n'.join(parts)
    with write_atomically(out_dir / 'cross_validation.md') as temporary:
        temporary.write_text(text + '\n', encoding='utf-8')
    rows = [_describe_run(run, classes) for run in runs]
    write_table(out_dir / 'runs.csv', [*rows[0]], rows)
    write_table(out_dir / 'samples.csv', [*wrong[0]], wrong)
    plot_runs(by_protocol, classes, out_dir / 'cross_validation.png')
    return text


def describe_spread(runs: Sequence[Run]) -> str:
    """Say in words whether the spread over the folds of a protocol suggests outliers.

    Args:
        runs: The folds of one or more repeats.
    """
    accuracies = np.array([run.accuracy for run in runs])
    mean, size = accuracies.mean(), np.mean([len(run.test) for run in runs])
    by_chance = float(np.sqrt(mean * (1 - mean) / size))
    text = f'{runs[0].protocol.capitalize()} split: the runs spread by {_spread(accuracies):.3f}'
    if not by_chance:
        return f'{text}, as all samples are {"right" if mean else "wrong"}: no outliers.'
    probability = _homogeneity(runs, mean)
    low, high = find_whiskers(accuracies)
    outside = [run for run in runs if not low <= run.accuracy <= high]
    text += f', where chance alone gives {by_chance:.3f} for folds of {size:.0f} samples'
    if probability >= MIN_PROBABILITY and not outside:
        return f'{text} (p = {probability:.2f}): nothing suggests outliers.'
    if probability < MIN_PROBABILITY:
        reason = f'{text} (p = {probability:.2g}): more than chance, which suggests outliers'
    else:
        reason = f'{text} (p = {probability:.2f}): no more than chance, but a run lies far out'
    # the lowest run tells where to look, if none lies outside of the whiskers
    suspects = outside or [min(runs, key=lambda run: run.accuracy)]
    named = '; '.join(f'{run.name} ({run.accuracy:.3f})' for run in suspects)
    groups = Counter(
        p.group for run in suspects for p in run.predictions if not p.is_right
    ).most_common(3)
    found = ', '.join(f'{group} ({number})' for group, number in groups)
    return f'{reason}. Look at {named}' + (f'; wrong most often there: {found}.' if found else '.')


def compare_splits(group: Sequence[Run], plain: Sequence[Run]) -> str:
    """Say in words what the plain split flatters."""
    gap = float(np.mean([r.accuracy for r in plain]) - np.mean([r.accuracy for r in group]))
    spread = max(_spread(np.array([run.accuracy for run in runs])) for runs in (group, plain))
    text = f'The plain split is {abs(gap):.3f} {"higher" if gap >= 0 else "lower"}'
    if gap > spread:
        return (
            f'{text}, more than the runs spread: it knows the groups that it is tested on. The '
            'group split tells what to expect of new ones.'
        )
    return (
        f'{text}, no more than the runs spread: they cannot tell whether groups make a difference. '
        'More groups, or more --repeats, could.'
    )


def find_whiskers(values: NDArray[np.floating]) -> tuple[float, float]:
    """Limits beyond which a box plot draws a value by itself.

    Example:
        >>> find_whiskers(np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
        (-1.0, 7.0)
    """
    low, high = np.percentile(values, [25, 75])
    margin = WHISKER * (high - low)
    return float(low - margin), float(high + margin)


def list_wrong(runs: Sequence[Run]) -> list[dict[str, str]]:
    """A row for each sample, those that are most often wrong first, then by their score."""
    by_name: dict[str, list[Prediction]] = defaultdict(list)
    for run in runs:
        for prediction in run.predictions:
            by_name[prediction.name].append(prediction)
    keyed = []
    for name, predictions in by_name.items():
        wrong = [p.predicted for p in predictions if not p.is_right]
        score = float(np.mean([p.score for p in predictions]))
        row = {
            'sample': name,
            'group': predictions[0].group,
            'class': predictions[0].label,
            'wrong': str(len(wrong)),
            'of': str(len(predictions)),
            'taken for': Counter(wrong).most_common(1)[0][0] if wrong else '',
            'score of its class': f'{score:.3f}',
        }
        keyed.append(((-len(wrong) / len(predictions), score), row))
    return [row for _, row in sorted(keyed, key=lambda pair: pair[0])]


def plot_runs(by_protocol: dict[str, list[Run]], classes: Sequence[str], path: Path) -> None:
    """Draw a box for each split, and for each class in the group split."""
    figure = Figure(figsize=(7 + 0.5 * len(classes), 4.5), layout='constrained')
    left, right = figure.subplots(1, 2, width_ratios=[2, 2 + len(classes) / 2])
    _draw_boxes(left, {n: [r.accuracy for r in runs] for n, runs in by_protocol.items()})
    left.set_title(f'{len(by_protocol["group"])} runs a split')
    left.set_ylabel('top-1 accuracy')
    by_class = {c: [run.class_accuracy(c) for run in by_protocol['group']] for c in classes}
    _draw_boxes(right, by_class)
    right.set_title('classes, group split')
    right.tick_params(axis='x', rotation=45 if len(classes) > 4 else 0)
    save_figure(figure, path)


def _summarize(protocol: str, runs: Sequence[Run]) -> dict[str, str]:
    accuracies = np.array([run.accuracy for run in runs])
    names = {prediction.label for run in runs for prediction in run.predictions}
    balanced = [np.nanmean([run.class_accuracy(name) for name in names]) for run in runs]
    return {
        'split': protocol,
        'runs': str(len(runs)),
        'top-1 mean': f'{accuracies.mean():.4f}',
        'sd': f'{_spread(accuracies):.4f}',
        'lowest': f'{accuracies.min():.4f}',
        'highest': f'{accuracies.max():.4f}',
        'mean of classes': f'{np.mean(balanced):.4f}',
        'sd of it': f'{_spread(np.array(balanced)):.4f}',
    }


def _summarize_class(name: str, by_protocol: dict[str, list[Run]]) -> dict[str, str]:
    first = [run for run in by_protocol['group'] if run.repeat == 1]
    number = sum(p.label == name for run in first for p in run.predictions)
    cells = {'class': name, 'samples': str(number)}
    for protocol, runs in by_protocol.items():
        values = np.array([run.class_accuracy(name) for run in runs])
        values = values[~np.isnan(values)]
        mean = f'{values.mean():.4f}' if len(values) else '-'
        cells |= {f'{protocol}: right': mean, f'{protocol}: sd': f'{_spread(values):.4f}'}
    return cells


def _describe_run(run: Run, classes: Sequence[str]) -> dict[str, str]:
    return {
        'split': run.protocol,
        'repeat': str(run.repeat),
        'fold': str(run.fold),
        'trained_on': str(len(run.train)),
        'tested_on': str(len(run.test)),
        'top1': f'{run.accuracy:.5g}',
        **{name: f'{run.class_accuracy(name):.5g}' for name in classes},
    }


def _draw_boxes(axes, values: dict[str, list[float]]) -> None:
    kept = [np.array(numbers)[~np.isnan(numbers)] for numbers in values.values()]
    axes.boxplot(kept, whis=WHISKER)
    for place, numbers in enumerate(kept, start=1):
        axes.plot(np.full(len(numbers), place), numbers, '.', color='tab:blue', alpha=0.5)
    axes.set_xticks(range(1, len(values) + 1), list(values))
    axes.set_ylim(-0.02, 1.02)
    axes.grid(axis='y', alpha=0.3)


def _homogeneity(runs: Sequence[Run], mean: float) -> float:
    """Probability that folds with one true accuracy spread as much as these, or more."""
    statistic = sum(len(r.test) * (r.accuracy - mean) ** 2 for r in runs) / (mean * (1 - mean))
    freedom = len(runs) - len({run.repeat for run in runs})
    return float(chi2.sf(statistic, freedom))


def _spread(values: NDArray[np.floating]) -> float:
    """Standard deviation, of a sample; 0 of a single value."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
