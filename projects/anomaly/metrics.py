"""How well a detector tells anomalies from what is normal, and how far the figures can be trusted.

Clips of one recording are no independent samples, so intervals come from resampling recordings:
95 % percentile intervals of the bootstrap, normal clips and anomalies resampled each by themselves.

Files written, besides what is logged:
    metrics.csv: each figure with its interval
    errors.csv: subset, class, video, error, p-value and alarm of each clip; a clip that is excluded
        has only the first three
    errors_by_subset.png, errors_by_class.png: box plots and histograms
    roc.png: test against anomaly
    thresholds.csv: accuracies for thresholds that are tried on the anomalies themselves, as was
        published; they show what could have been, not what to expect

Efron, Tibshirani: An Introduction to the Bootstrap, 1993, chapter 13, percentile intervals

Shape letters in this file: N clips.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from numpy.typing import NDArray
from sklearn.metrics import auc, average_precision_score, roc_curve

from mmotion.atomic import write_atomically
from mmotion.checks import check_at_least
from mmotion.metrics import find_log_dir
from mmotion.registry import METRICS
from mmotion.tables import write_table

NORMAL_SUBSETS = ('train', 'val', 'test')
ANOMALY = 'anomaly'
QUANTILES = (5, 25, 50, 75, 95)
# false-alarm rates for which the p-values of normal clips are checked
RATES = (0.01, 0.02, 0.05, 0.1, 0.2)
TPR = 0.95
NUM_THRESHOLDS = 25
# slack of comparisons with rates and shares, which are quotients
SLACK = 1e-9
# ratio of large errors to small ones from which on they are plotted on a logarithmic axis
LOG_RATIO = 30

Measure = Callable[..., dict[str, float]]


class Figures(NamedTuple):
    """A figure and its interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f'{self.value:.4g} ({self.low:.4g} to {self.high:.4g})'


class Clips(NamedTuple):
    """What is known of the N clips of a subset."""

    errors: NDArray[np.float64]
    p_values: NDArray[np.float64]
    is_alarm: NDArray[np.bool_]
    videos: NDArray[np.str_]
    classes: NDArray[np.str_]


@METRICS.register_module()
class AnomalyMetric(BaseMetric):
    """Errors of each subset, and how well those of 'test' and 'anomaly' are told apart.

    <subset>_q5 ... q95: quantiles of the errors.
    <subset>_accuracy: share of the clips that are right at the detector's threshold, which are
        normal clips at or below it and anomalies above it (the published definition). 1 minus
        `test_accuracy` is the rate of false alarms. The threshold comes from 'val'.
    auroc, ap: area under the ROC curve, and average precision, of anomalies against 'test'.
    fpr95: share of 'test' above a threshold that 95 % of the anomalies exceed.

    Args:
        out_dir: Folder for the files, by default that of the run's log, in its work dir.
        num_resamples: Resamples of the bootstrap.
        collect_device: Where ranks exchange results, 'cpu' or 'gpu'.
        prefix: Word before the names, 'anomaly' by default.

    Raises:
        ValueError: If `num_resamples` is below 1.
    """

    default_prefix = 'anomaly'

    def __init__(
        self,
        *,
        out_dir: str | None = None,
        num_resamples: int = 500,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        check_at_least('num_resamples', num_resamples, 1)
        self.out_dir = out_dir
        self.num_resamples = num_resamples

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keep the error of each clip.

        Args:
            data_batch: Not used.
            data_samples: With `error`, `p_value`, `is_alarm`, `subset`, `class_name` and `video`;
                perhaps `name`, and `excluded`, true where a clip could not be judged.

        Raises:
            ValueError: If a clip belongs to no known subset.
        """
        for sample in data_samples:
            subset = sample.get('subset')
            if subset not in (*NORMAL_SUBSETS, ANOMALY):
                raise ValueError(
                    f'subset of a clip must be one of {", ".join(NORMAL_SUBSETS)} and {ANOMALY}, '
                    f'got subset={subset!r}; add it to meta_keys of PackActionInputs'
                )
            error = float(sample['error'])
            self.results.append(
                {
                    'name': str(sample.get('name', '')),
                    'subset': subset,
                    'class': str(sample.get('class_name', '')),
                    'video': str(sample.get('video') or sample.get('name', '')),
                    'error': error,
                    'p_value': float(sample['p_value']),
                    'is_alarm': bool(sample['is_alarm']),
                    'excluded': bool(sample.get('excluded')) or not np.isfinite(error),
                }
            )

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Measure the clips of all ranks, log the figures with their protocol, write the files.

        Args:
            results: One dictionary a clip, from `process`.

        Returns:
            The figures by name, without their intervals.
        """
        logger = MMLogger.get_current_instance()
        clips = select_clips(results)
        figures: dict[str, Figures] = {}
        for subset, chosen in clips.items():
            is_right = chosen.is_alarm if subset == ANOMALY else ~chosen.is_alarm
            measured = bootstrap(
                lambda weights, chosen=chosen, is_right=is_right: measure_errors(
                    chosen.errors, is_right, weights
                ),
                [chosen.videos],
                num_resamples=self.num_resamples,
            )
            figures |= {f'{subset}_{name}': value for name, value in measured.items()}
        lines = describe_subsets(clips, figures, len(results))
        if {'test', ANOMALY} <= clips.keys():
            test, anomaly = clips['test'], clips[ANOMALY]
            ranking = bootstrap(
                lambda *weights: measure_ranking(test.errors, anomaly.errors, *weights),
                [test.videos, anomaly.videos],
                num_resamples=self.num_resamples,
            )
            figures |= ranking
            lines += [f'test against anomaly: {name} {value}' for name, value in ranking.items()]
        if 'test' in clips:
            shares = count_false_alarms(clips['test'].p_values, RATES)
            rates = ', '.join(f'{rate:g}: {share:.3f}' for rate, share in shares.items())
            lines.append(f'false alarms in test by the rate asked for: {rates}')
        logger.info('\n'.join(['anomaly detection', *lines]))
        out_dir = find_log_dir() if self.out_dir is None else Path(self.out_dir)
        if out_dir is not None:
            write_files(results, clips, figures, out_dir)
            logger.info(f'errors of each clip, plots and tables written to {out_dir}')
        return {name: figure.value for name, figure in figures.items()}


def select_clips(results: Iterable[Mapping[str, Any]]) -> dict[str, Clips]:
    """The clips of each subset that are not excluded; subsets without any are left out."""
    selected = {}
    for subset in (*NORMAL_SUBSETS, ANOMALY):
        rows = [row for row in results if row['subset'] == subset and not row['excluded']]
        if rows:
            keys = ('error', 'p_value', 'is_alarm', 'video', 'class')
            selected[subset] = Clips(*(np.array([row[key] for row in rows]) for key in keys))
    return selected


def bootstrap(
    measure: Measure, videos: Sequence[NDArray[np.str_]], *, num_resamples: int, seed: int = 0
) -> dict[str, Figures]:
    """Measure, and measure again with recordings drawn anew.

    Args:
        measure: Gives figures for how often each clip counts, (N,) for each group of clips.
        videos: Recording of each clip (N,) of each group; the groups are drawn by themselves.
        num_resamples: How often.
        seed: Of the drawing.

    Returns:
        Each figure with its 95 % interval.
    """
    rng = np.random.default_rng(seed)
    codes = [np.unique(names, return_inverse=True)[1] for names in videos]
    values = measure(*(np.ones(len(names), np.int64) for names in videos))
    drawn = []
    for _ in range(num_resamples):
        weights = []
        for code in codes:
            num_videos = int(code.max()) + 1
            picked = rng.integers(0, num_videos, num_videos)
            weights.append(np.bincount(picked, minlength=num_videos)[code])
        drawn.append(measure(*weights))
    figures = {}
    for name, value in values.items():
        low, high = np.percentile([sample[name] for sample in drawn], [2.5, 97.5])
        figures[name] = Figures(float(value), float(low), float(high))
    return figures


def measure_errors(
    errors: NDArray[np.float64], is_right: NDArray[np.bool_], weights: NDArray[np.int64]
) -> dict[str, float]:
    """Quantiles of errors (N,), and the share of clips that are right, each counted so often."""
    levels = np.percentile(np.repeat(errors, weights), QUANTILES)
    quantiles = {f'q{q}': float(level) for q, level in zip(QUANTILES, levels, strict=True)}
    return {**quantiles, 'accuracy': float(np.average(is_right, weights=weights))}


def measure_ranking(
    normal_errors: NDArray[np.float64],
    anomaly_errors: NDArray[np.float64],
    normal_weights: NDArray[np.int64],
    anomaly_weights: NDArray[np.int64],
) -> dict[str, float]:
    """How well errors tell anomalies from normal clips, without any threshold.

    Args:
        normal_errors: Of normal clips (N,).
        anomaly_errors: Of anomalies, as many as there are.
        normal_weights: How often each normal clip counts.
        anomaly_weights: How often each anomaly counts.

    Returns:
        `auroc`, `ap` and `fpr95`, see `AnomalyMetric`.
    """
    truth = np.repeat([0, 1], [len(normal_errors), len(anomaly_errors)])
    errors = np.concatenate([normal_errors, anomaly_errors])
    weights = np.concatenate([normal_weights, anomaly_weights])
    fpr, tpr, _ = roc_curve(truth, errors, sample_weight=weights)
    return {
        'auroc': float(auc(fpr, tpr)),
        'ap': float(average_precision_score(truth, errors, sample_weight=weights)),
        'fpr95': float(fpr[np.argmax(tpr >= TPR - SLACK)]),
    }


def count_false_alarms(
    p_values: NDArray[np.float64], rates: Sequence[float] = RATES
) -> dict[float, float]:
    """Share of normal clips whose p-value (N,) is at most a rate; it should be about that rate."""
    return {rate: float((p_values <= rate + SLACK).mean()) for rate in rates}


def try_thresholds(clips: Mapping[str, Clips]) -> list[dict[str, float]]:
    """Accuracy of each subset for thresholds spread over the errors of 'test' and 'anomaly'."""
    errors = np.concatenate([clips[name].errors for name in ('test', ANOMALY) if name in clips])
    return [
        {
            'threshold': float(threshold),
            **{
                subset: float(((chosen.errors > threshold) == (subset == ANOMALY)).mean())
                for subset, chosen in clips.items()
            },
        }
        for threshold in np.unique(np.quantile(errors, np.linspace(0, 1, NUM_THRESHOLDS)))
    ]


def describe_subsets(
    clips: Mapping[str, Clips], figures: Mapping[str, Figures], num_results: int
) -> list[str]:
    """A line for each subset."""
    num_used = sum(len(chosen.errors) for chosen in clips.values())
    lines = [f'{num_used} clips, {num_results - num_used} excluded; 95 % intervals over recordings']
    for subset, chosen in clips.items():
        levels = ' '.join(f'{figures[f"{subset}_q{q}"].value:.4g}' for q in QUANTILES)
        lines.append(
            f'{subset:>8}: {len(chosen.errors)} clips of {len(set(chosen.videos))} recordings, '
            f'error at {", ".join(map(str, QUANTILES))} %: {levels}; '
            f'accuracy at the threshold {figures[f"{subset}_accuracy"]}'
        )
    return lines


def write_files(
    results: Sequence[Mapping[str, Any]],
    clips: Mapping[str, Clips],
    figures: Mapping[str, Figures],
    out_dir: Path,
) -> None:
    """Write all files, see the head of this file."""
    rows: list[list[Any]] = [[name, *map('{:.6g}'.format, fig)] for name, fig in figures.items()]
    write_table(out_dir / 'metrics.csv', ['figure', 'value', 'low', 'high'], rows)
    rows = []
    for row in results:
        judged = () if row['excluded'] else (f'{row["error"]:.6g}', f'{row["p_value"]:.6g}')
        alarm = [] if row['excluded'] else [int(row['is_alarm'])]
        rows.append([row['name'], row['subset'], row['class'], row['video'], *judged, *alarm])
    header = ['clip', 'subset', 'class', 'video', 'error', 'p_value', 'is_alarm']
    write_table(out_dir / 'errors.csv', header, rows)
    if not clips:
        return
    plot_errors(
        {subset: chosen.errors for subset, chosen in clips.items()},
        {ANOMALY},
        out_dir / 'errors_by_subset.png',
    )
    tested = [name for name in ('test', ANOMALY) if name in clips] or [*clips]
    by_class = {
        name: clips[subset].errors[clips[subset].classes == name]
        for subset in tested
        for name in np.unique(clips[subset].classes).tolist()
    }
    unusual = set(clips[ANOMALY].classes.tolist()) if ANOMALY in clips else set()
    plot_errors(by_class, unusual, out_dir / 'errors_by_class.png')
    if {'test', ANOMALY} <= clips.keys():
        plot_roc(clips['test'].errors, clips[ANOMALY].errors, out_dir / 'roc.png')
        tried = try_thresholds(clips)
        note = (
            '# tried on the anomalies that they are judged by: the best of these thresholds says '
            'nothing of new anomalies'
        )
        lines = [[f'{value:.6g}' for value in row.values()] for row in tried]
        write_table(out_dir / 'thresholds.csv', [*tried[0]], lines, note=note)


def plot_errors(
    errors: Mapping[str, NDArray[np.float64]], unusual: set[str], path: str | Path
) -> None:
    """Draw a box plot and a histogram for each group of clips, each histogram as high as others.

    Args:
        errors: Errors of the clips of each group, by its name.
        unusual: Names of the groups that are anomalies, drawn in red.
        path: File to write.
    """
    figure = Figure(figsize=(8 + 0.35 * len(errors), 4.5), layout='constrained')
    left, right = figure.subplots(1, 2)
    values = np.concatenate([*errors.values()])
    low, high = np.percentile(values, [1, 99])
    is_log = values.min() > 0 and high > LOG_RATIO * low
    bins = (np.geomspace if is_log else np.linspace)(values.min(), values.max() + SLACK, 41)
    left.boxplot([*errors.values()], showmeans=True)
    left.set_xticks(range(1, len(errors) + 1), [*errors], rotation=30, ha='right', fontsize=8)
    left.set_ylabel('error')
    right.set_yticks(range(1, len(errors) + 1), [*errors], fontsize=8)
    right.set_xlabel('error')
    right.invert_yaxis()
    labels = zip(left.get_xticklabels(), right.get_yticklabels(), strict=True)
    for place, ((name, group), pair) in enumerate(zip(errors.items(), labels, strict=True), 1):
        color = 'tab:red' if name in unusual else 'tab:blue'
        heights = np.histogram(group, bins)[0]
        # each histogram stands on a line of its own
        tops = place - 0.9 * heights / heights.max()
        right.stairs(tops, bins, baseline=place, fill=True, color=color, alpha=0.6)
        for label in pair:
            label.set_color(color)
            # a name with `$` in it is no formula; the numbers of a log axis are
            label.set_parse_math(False)
    for axes in (left, right):
        axes.grid(alpha=0.25, lw=0.6)
    if is_log:
        left.set_yscale('log')
        right.set_xscale('log')
    with write_atomically(path) as temporary:
        figure.savefig(temporary, dpi=120)


def plot_roc(
    normal_errors: NDArray[np.float64], anomaly_errors: NDArray[np.float64], path: str | Path
) -> None:
    """Draw the ROC curve of anomalies against normal clips."""
    truth = np.repeat([0, 1], [len(normal_errors), len(anomaly_errors)])
    fpr, tpr, _ = roc_curve(truth, np.concatenate([normal_errors, anomaly_errors]))
    figure = Figure(figsize=(5, 5), layout='constrained')
    axes = figure.subplots()
    axes.plot(fpr, tpr, lw=2)
    axes.plot([0, 1], [0, 1], color='grey', lw=1, ls=':')
    axes.set_title(f'{len(anomaly_errors)} anomalies, area {auc(fpr, tpr):.3f}')
    axes.set_xlabel(f'false alarms of {len(normal_errors)} normal clips')
    axes.set_ylabel('anomalies found')
    axes.grid(alpha=0.25, lw=0.6)
    with write_atomically(path) as temporary:
        figure.savefig(temporary, dpi=120)
