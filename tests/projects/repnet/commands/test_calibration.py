"""What confidence means, on answers that are made up."""

import numpy as np
import pytest
from PIL import Image

from projects.repnet.commands._calibration import (
    Answers,
    bin_equally,
    calibration_error,
    describe,
    draw_reliability,
    fit_platt,
)


def make_answers(num_videos: int = 400):
    """Certainty c is right with probability 2 c - 1; a quarter repeats nothing."""
    rng = np.random.default_rng(0)
    certainty = rng.uniform(0.5, 1, num_videos)
    true_count = np.where(np.arange(num_videos) % 4, 8.0, 0.0)
    is_right = rng.random(num_videos) < 2 * certainty - 1
    return Answers(
        name=np.array([f'video {i}' for i in range(num_videos)]),
        true_count=true_count,
        count=true_count + np.where(is_right, 1.0, 2.0),
        confidence=np.full(num_videos, 0.9),
        periodicity=np.where(true_count > 0, 0.8, 0.2),
        certainty=certainty,
    )


def test_calibration_error_is_the_mean_distance():
    confidence = np.array([0.2, 0.4, 0.7, 0.9])
    bins = bin_equally(confidence, np.array([True, False, True, True]), 2)
    assert bins == [(pytest.approx(0.3), 0.5, 2), (pytest.approx(0.8), 1.0, 2)]
    assert calibration_error(bins) == pytest.approx(0.2)


def test_scaling_makes_a_probability_of_certainty():
    answers = make_answers()
    slope, offset, scaled = fit_platt(answers.certainty, answers.is_right)
    assert slope > 5
    # right half the time in the middle
    assert -offset / slope == pytest.approx(0.75, abs=0.03)
    assert calibration_error(bin_equally(scaled, answers.is_right, 10)) < 0.07


def test_scaling_of_answers_that_are_all_right_is_constant():
    slope, offset, scaled = fit_platt(np.ones(8), np.ones(8, bool))
    assert slope == 0
    np.testing.assert_allclose(scaled, 0.9)
    assert 1 / (1 + np.exp(-offset)) == pytest.approx(0.9)


def test_report_of_reliability(tmp_path):
    answers = make_answers()
    report = '\n'.join(describe(answers, 10))
    share = answers.is_right.mean()
    assert f'400 videos, OBO {share:.3f}, 100 repeat nothing' in report
    assert f'confidence: ECE {0.9 - share:.3f}' in report
    assert 'AUROC 1.000, average precision of nothing 1.000' in report
    assert "'nothing repeats' is said of 0 videos, 0 of them rightly; 100 are so" in report
    draw_reliability(answers, tmp_path / 'r.png', num_bins=10, title='a $\\frac{$ b')
    assert Image.open(tmp_path / 'r.png').size == (1500, 500)
