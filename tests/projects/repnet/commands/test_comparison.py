"""Scores of several methods, by hand."""

from pathlib import Path

import numpy as np
import pytest

from projects.repnet.commands._comparison import Comparison, draw_plots, score_methods
from projects.repnet.results import RepetitionCount
from projects.repnet.table_data import CountedClip


@pytest.fixture
def comparisons() -> list[Comparison]:
    """Two clips with 5 repetitions; the model counts 5 and 6, the other method 5 and 7."""

    def count(number: float, strides: tuple[int, ...]) -> RepetitionCount:
        rates = np.full(10, number / 10)
        options = {'fps': 10.0, 'confidence': 0.75, 'stride': 1, 'strides': strides}
        return RepetitionCount.from_rates(rates, np.ones(10), **options)

    return [
        Comparison(
            CountedClip(path=Path(f'clip {number}.mp4'), count=5),
            {'model': count(number, (1, 2)), 'other': count(2 * number - 5, (1,))},
        )
        for number in (5, 6)
    ]


def test_methods_are_scored_over_all_clips(comparisons):
    model, other = score_methods(comparisons)
    assert model == {
        'method': 'model', 'MAE': '0.10', 'OBO': '1.00', 'OBZ': '0.50',
        'strides': 'multi_speed(1,2)',
    }  # fmt: skip
    assert (other['MAE'], other['OBO'], other['OBZ']) == ('0.20', '0.50', '0.50')


def test_the_model_is_plotted(comparisons, tmp_path):
    assert draw_plots(comparisons, tmp_path) == tmp_path / 'sheet.png'
    assert (tmp_path / 'clip_6.png').is_file()
