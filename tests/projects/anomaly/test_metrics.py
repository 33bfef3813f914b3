"""Figures worked out by hand or the slow way, and what is written."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger

from projects.anomaly.metrics import (
    ANOMALY,
    AnomalyMetric,
    Clips,
    bootstrap,
    count_false_alarms,
    measure_errors,
    measure_ranking,
    plot_errors,
    try_thresholds,
)


def make_sample(subset: str, error: float, **changes: Any) -> dict[str, Any]:
    sample = {
        'name': f'{subset}/{error}',
        'subset': subset,
        'class_name': 'walk',
        'video': f'{subset}{error:.0f}',
        'error': torch.tensor(error),
        'p_value': torch.tensor(0.05 if error > 5 else 0.5),
        'is_alarm': torch.tensor(error > 5),
    }
    return {**sample, **changes}


def measure(samples: list[dict], out_dir: Path, num_resamples: int = 20) -> dict[str, float]:
    metric = AnomalyMetric(out_dir=str(out_dir), num_resamples=num_resamples)
    metric.process(None, samples)
    return metric.evaluate(len(samples))


def read(path: Path) -> list[dict[str, str]]:
    lines = [line for line in path.read_text().splitlines() if not line.startswith('#')]
    return list(csv.DictReader(lines))


@pytest.fixture
def samples() -> list[dict[str, Any]]:
    """Of three normal clips one is a false alarm, of three anomalies one is missed."""
    return [
        *(make_sample('val', error) for error in (1.0, 2.0, 3.0, 4.0, 5.0)),
        *(make_sample('test', error) for error in (1.5, 2.5, 6.0)),
        *(make_sample(ANOMALY, error, class_name='fall') for error in (2.0, 7.0, 8.0)),
        make_sample('test', 9.0, excluded=True),
        make_sample(ANOMALY, float('nan'), video='v'),
    ]


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(MMLogger.get_current_instance(), 'info', lines.append)
    return lines


def test_figures_by_hand(samples: list[dict[str, Any]], tmp_path: Path, logged: list[str]) -> None:
    figures = measure(samples, tmp_path)
    assert figures['anomaly/val_q50'] == 3.0
    assert figures['anomaly/val_q5'] == pytest.approx(1.2)
    assert figures['anomaly/val_accuracy'] == 1.0
    assert figures['anomaly/test_accuracy'] == pytest.approx(2 / 3)
    assert figures['anomaly/anomaly_accuracy'] == pytest.approx(2 / 3)
    # of the nine pairs two are in the wrong order
    assert figures['anomaly/auroc'] == pytest.approx(7 / 9)
    assert figures['anomaly/ap'] == pytest.approx((1 / 1 + 2 / 2 + 3 / 5) / 3)
    # to find the anomaly at 2.0 the normal clips at 2.5 and 6.0 are false alarms
    assert figures['anomaly/fpr95'] == pytest.approx(2 / 3)
    assert '11 clips, 2 excluded' in logged[0]
    assert 'test against anomaly: auroc 0.7778 (' in logged[0]
    assert 'by the rate asked for: 0.01: 0.000, 0.02: 0.000, 0.05: 0.333' in logged[0]


def test_files(samples: list[dict[str, Any]], tmp_path: Path) -> None:
    figures = measure(samples, tmp_path)
    rows = read(tmp_path / 'errors.csv')
    assert len(rows) == 13
    assert rows[5] == {
        'clip': 'test/1.5',
        'subset': 'test',
        'class': 'walk',
        'video': 'test2',
        'error': '1.5',
        'p_value': '0.5',
        'is_alarm': '0',
    }
    assert [row['error'] or None for row in rows[-2:]] == [None, None]
    table = {row['figure']: row for row in read(tmp_path / 'metrics.csv')}
    assert float(table['auroc']['value']) == pytest.approx(figures['anomaly/auroc'], abs=1e-4)
    assert float(table['auroc']['low']) < 7 / 9 < float(table['auroc']['high'])
    assert 'tried on the anomalies' in (tmp_path / 'thresholds.csv').read_text().splitlines()[0]
    for name in ('errors_by_subset', 'errors_by_class', 'roc'):
        assert (tmp_path / f'{name}.png').stat().st_size > 5000


def test_validation_has_no_anomalies(tmp_path: Path) -> None:
    figures = measure([make_sample('val', error) for error in (1.0, 2.0)], tmp_path)
    assert figures.keys() == {
        *(f'anomaly/val_q{q}' for q in (5, 25, 50, 75, 95)),
        'anomaly/val_accuracy',
    }
    assert not (tmp_path / 'roc.png').exists()


def test_all_clips_are_excluded(tmp_path: Path) -> None:
    assert measure([make_sample('test', 1.0, excluded=True)], tmp_path) == {}
    assert len(read(tmp_path / 'errors.csv')) == 1


def test_a_clip_without_a_subset() -> None:
    with pytest.raises(ValueError, match="one of train, val, test and anomaly, got subset='new'"):
        AnomalyMetric().process(None, [make_sample('new', 1.0)])


def test_too_few_resamples() -> None:
    with pytest.raises(ValueError, match='at least 1, got num_resamples=0'):
        AnomalyMetric(num_resamples=0)


def slow_ranking(normal: np.ndarray, anomalies: np.ndarray) -> tuple[float, float]:
    """AUROC by all pairs, ties half; false alarms at the threshold that finds 95 %."""
    auroc = np.mean([(a > n) + 0.5 * (a == n) for a in anomalies for n in normal])
    thresholds = [t for t in anomalies if (anomalies >= t).mean() >= 0.95]
    return float(auroc), float((normal >= max(thresholds)).mean())


def test_ranking_equals_the_slow_way() -> None:
    rng = np.random.default_rng(0)
    normal, anomalies = rng.normal(0, 1, 60).round(1), rng.normal(1, 1, 40).round(1)
    weights = rng.integers(0, 3, 60), rng.integers(0, 3, 40)
    for counts in ((np.ones(60, int), np.ones(40, int)), weights):
        found = measure_ranking(normal, anomalies, *counts)
        expected = slow_ranking(*map(np.repeat, (normal, anomalies), counts))
        assert (found['auroc'], found['fpr95']) == pytest.approx(expected)


def test_weights_repeat_clips() -> None:
    errors, weights = np.array([1.0, 2.0, 4.0]), np.array([0, 3, 1])
    found = measure_errors(errors, np.array([True, True, False]), weights)
    assert (found['q50'], found['accuracy']) == (2.0, 0.75)


def test_clips_of_a_recording_are_drawn_together() -> None:
    drawn = []

    def note(weights: np.ndarray) -> dict[str, float]:
        drawn.append(weights.tolist())
        return {'sum': float(weights.sum())}

    videos = np.array(['a', 'b', 'a', 'b', 'b'])
    bootstrap(note, [videos], num_resamples=50)
    assert drawn[0] == [1, 1, 1, 1, 1]
    assert all(w[0] == w[2] and w[1] == w[3] == w[4] and w[0] + w[1] == 2 for w in drawn)
    assert len({tuple(w) for w in drawn}) == 3


def test_intervals_hold_as_often_as_they_say() -> None:
    """The mean of 40 recordings with 5 clips each, which do not differ within a recording."""
    rng = np.random.default_rng(0)
    videos, hits = np.repeat(np.arange(40).astype(str), 5), 0
    for seed in range(100):
        errors = np.repeat(rng.normal(0, 1, 40), 5)
        # by the normal clips at hand, so that the closure is called at once
        figures = bootstrap(
            lambda w, errors=errors: {'mean': float(np.average(errors, weights=w))},
            [videos],
            num_resamples=200,
            seed=seed,
        )
        hits += figures['mean'].low <= 0 <= figures['mean'].high
    assert 88 <= hits <= 99


def test_false_alarms_by_rate() -> None:
    p_values = np.array([0.05, 0.1, 0.2, 0.5])
    assert count_false_alarms(p_values, (0.05, 0.1, 0.3)) == {0.05: 0.25, 0.1: 0.5, 0.3: 0.75}


def test_thresholds_are_tried_on_anomalies() -> None:
    def as_clips(errors: list[float]) -> Clips:
        n = len(errors)
        names = np.array(['a'] * n)
        return Clips(np.array(errors), np.ones(n), np.zeros(n, bool), names, names)

    rows = try_thresholds({'test': as_clips([1.0, 2.0]), ANOMALY: as_clips([3.0, 4.0])})
    best = max(rows, key=lambda row: row['test'] + row[ANOMALY])
    assert (best['test'], best[ANOMALY]) == (1.0, 1.0) and 2.0 <= best['threshold'] < 3.0
    assert (rows[0]['test'], rows[-1][ANOMALY]) == (0.5, 0.0)


def test_a_name_with_dollars_is_no_formula(tmp_path):
    # from 1 to 1000: a log axis, whose numbers are formulas
    errors = {'walk $\\frac{$ 2': np.geomspace(1, 1000, 9), 'run': np.ones(3)}
    plot_errors(errors, {'run'}, tmp_path / 'errors.png')
    assert (tmp_path / 'errors.png').is_file()
