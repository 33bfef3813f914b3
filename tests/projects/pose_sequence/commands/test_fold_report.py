"""The words of the report of a cross-validation."""

import numpy as np
import pytest

from mmotion.tables import read_table
from projects.pose_sequence.commands._fold_report import (
    Prediction,
    Run,
    compare_splits,
    describe_spread,
    list_wrong,
    write_report,
)


def make_runs(rights: list[int], *, size: int = 20, protocol: str = 'group'):
    """Runs of `size` samples, of which so many are right."""
    runs = []
    for fold, right in enumerate(rights, start=1):
        indices = np.arange(size) + size * (fold - 1)
        predictions = [
            Prediction(f's{i}', f'g{fold}', 'a', 'a' if n < right else 'b', n / size)
            for n, i in enumerate(indices)
        ]
        runs.append(Run(protocol, 1, fold, 0, indices, indices, predictions))
    return runs


@pytest.mark.parametrize(
    ('rights', 'words'),
    [
        pytest.param([20] * 5, 'all samples are right: no outliers', id='all_right'),
        pytest.param([0] * 5, 'all samples are wrong: no outliers', id='all_wrong'),
        pytest.param([15, 17, 14, 18, 16], 'nothing suggests outliers', id='chance'),
        pytest.param(
            [20, 19, 20, 20, 6],
            'more than chance, which suggests outliers. Look at group split, repeat 1, fold 5 '
            '(0.300); wrong most often there: g5 (14).',
            id='one_fold',
        ),
        pytest.param(
            [20, 20, 10, 10, 10],
            'suggests outliers. Look at group split, repeat 1, fold 3 (0.500)',
            id='two_kinds',
        ),
        pytest.param([18, 18, 18, 18, 16], 'no more than chance, but a run lies far', id='far_out'),
    ],
)
def test_words_on_the_spread(rights, words):
    assert words in describe_spread(make_runs(rights))


def test_the_spread_is_that_of_the_textbook():
    runs = make_runs([15, 17, 14, 18, 16])
    # accuracies 0.75 0.85 0.7 0.9 0.8: mean 0.8, sd 0.0791; chance sqrt(0.8 0.2 / 20)
    text = describe_spread(runs)
    assert 'spread by 0.079, where chance alone gives 0.089 for folds of 20 samples' in text
    # chi-squared 4 s^2 / (p q / n) = 3.125 with 4 degrees of freedom
    assert '(p = 0.54)' in text


def test_words_on_the_plain_split():
    group = make_runs([10, 11, 12])
    plain = make_runs([18, 19, 20], protocol='plain')
    text = compare_splits(group, plain)
    assert 'The plain split is 0.400 higher, more than the runs spread' in text
    assert '0.400 lower, no more' in compare_splits(plain, group)


def test_most_often_wrong_comes_first():
    def tell(name, predicted, score):
        return Prediction(name, 'g', 'a', predicted, score)

    runs = [
        Run('group', repeat, 1, 0, np.arange(3), np.arange(3), predictions)
        for repeat, predictions in enumerate(
            (
                [tell('once', 'b', 0.4), tell('always', 'c', 0.3), tell('never', 'a', 0.9)],
                [tell('once', 'a', 0.8), tell('always', 'c', 0.1), tell('never', 'a', 0.7)],
            ),
            start=1,
        )
    ]
    rows = list_wrong(runs)
    assert [(row['sample'], row['wrong'], row['of']) for row in rows] == [
        ('always', '2', '2'),
        ('once', '1', '2'),
        ('never', '0', '2'),
    ]
    assert (rows[0]['taken for'], rows[0]['score of its class']) == ('c', '0.200')


def test_a_class_may_be_missing_from_a_fold(tmp_path):
    runs = make_runs([20, 10])
    text = write_report(runs, ['a', 'b'], tmp_path)
    assert '| a | 40 | 0.7500 | 0.3536 |' in text
    assert '| b | 0 | - | 0.0000 |' in text
    assert read_table(tmp_path / 'runs.csv', ['b'])[0].text('b') == 'nan'
