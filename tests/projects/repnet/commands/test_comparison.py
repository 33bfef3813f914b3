"""Scores of several methods, by hand."""

from pathlib import Path

import numpy as np
import pytest

from mmotion.regions import Region, RegionResults
from projects.repnet.commands._comparison import (
    Comparison,
    compare_clips,
    draw_plots,
    score_methods,
)
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


def test_of_several_people_the_first_is_compared(comparisons):
    clip, first = comparisons[0].clip, comparisons[0].results['model']
    second = comparisons[0].results['other']

    class People:
        def predict(self, *args, **kwargs):
            regions = [Region(name=name, boxes_xyxy=[[0, 0, 5, 5]]) for name in 'ab']
            return RegionResults(
                regions=regions, results=[first, second], fps=10.0, frames=np.arange(10),
                start_s=0.0, width=9, height=9,
            )  # fmt: skip

    (found,), problems = compare_clips(People(), [clip], model='m', baselines=False)
    assert found.results == {'m': first}
    assert problems == []
