"""Generated activities: the order of the poses tells them apart, and no single pose does."""

import time

import numpy as np
import pytest
from scipy.stats import kstest
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mmotion.keypoints.skeletons import FIGURE
from projects.pose_sequence.shapes_data import (
    ACTIVITIES,
    LENGTHS,
    FigureActivities,
    choose_labeled,
    pose_body,
    sample_figure,
    sample_phases,
)

each_activity = pytest.mark.parametrize('label', range(len(ACTIVITIES)), ids=ACTIVITIES)


def make(**options) -> FigureActivities:
    return FigureActivities(**{'split': 'test', 'num_sequences': 48, 'pipeline': [], **options})


def point(name: str) -> int:
    return FIGURE.points.index(name)


def test_a_sequence_comes_with_what_a_pipeline_needs() -> None:
    item = make(num_steps=(20, 30))[13]
    num_steps = len(item['keypoints'])
    assert 20 <= num_steps <= 30
    assert item['keypoints'].shape == (num_steps, 15, 2)
    assert item['keypoints'].dtype == item['scores'].dtype == np.float32
    assert item['scores'].shape == (num_steps, 15)
    assert (item['label'], item['name'], item['skeleton']) == (5, 'test_000013', FIGURE)
    assert item['group'].startswith('test_person_')
    assert (item['fps'], item['width'], item['height']) == (10.0, 640, 480)


def test_points_are_missing_or_noisy_in_places_but_mostly_in_the_picture() -> None:
    dataset = make()
    items = [dataset[i] for i in range(40)]
    missing = np.concatenate([np.isnan(item['keypoints']).any(-1) for item in items])
    scores = np.concatenate([item['scores'] for item in items])
    assert 0.02 < missing.mean() < 0.2
    # frames without anybody
    assert 0 < missing.all(1).mean() < 0.05
    np.testing.assert_array_equal(scores == 0, missing)
    assert scores.max() <= 1
    points = np.concatenate([item['keypoints'] for item in items])[~missing]
    assert ((points > 0) & (points < [640, 480])).all(-1).mean() > 0.97


def test_an_index_always_gives_the_same_sequence_and_splits_share_none() -> None:
    first = make()[3]['keypoints']
    np.testing.assert_array_equal(first, make(num_sequences=9)[3]['keypoints'])
    for other in (make()[11], make(split='train')[3], make(split='val')[3]):
        assert not np.array_equal(first[:60], other['keypoints'][:60])


def test_classes_are_balanced_and_named() -> None:
    dataset = make()
    labels = [dataset[i]['label'] for i in range(len(dataset))]
    assert np.bincount(labels).tolist() == [6] * 8
    assert dataset.metainfo['classes'] == ACTIVITIES


def test_splits_have_other_people_seen_from_other_sides() -> None:
    train = [sample_figure('train', i) for i in range(60)]
    test = [sample_figure('test', i) for i in range(60)]
    turns = [np.degrees([abs(figure.turn) for figure in split]) for split in (train, test)]
    assert turns[0].max() < 40 < turns[1].min()
    apart = [
        np.mean([np.abs(np.log(figure.lengths / LENGTHS)) for figure in split])
        for split in (train, test)
    ]
    assert apart[0] < 0.06 < 0.1 < apart[1]
    groups = [{item['group'] for item in make(split=split)} for split in ('train', 'test')]
    assert not groups[0] & groups[1]


@pytest.mark.parametrize('share', [0.05, 0.5, 1.0])
def test_a_share_of_the_labels_is_a_balanced_part_that_is_repeated(share) -> None:
    everything = make(num_sequences=160, split='train')
    dataset = make(num_sequences=160, split='train', label_share=share)
    assert len(dataset) == 160
    names = [dataset[i]['name'] for i in range(160)]
    assert len(set(names)) == 160 * share
    assert np.bincount([dataset[i]['label'] for i in range(160)]).tolist() == [20] * 8
    assert set(names) <= {everything[i]['name'] for i in range(160)}


def test_the_seed_chooses_what_is_labeled() -> None:
    chosen = [choose_labeled(400, share=0.05, seed=seed).tolist() for seed in (0, 0, 1)]
    assert chosen[0] == chosen[1] != chosen[2]
    # one of each activity, even of too small a share
    assert choose_labeled(400, share=1e-6, seed=3).shape == (8,)


@each_activity
def test_every_phase_is_anywhere_in_every_step(label) -> None:
    rng = np.random.default_rng(0)
    phases = np.array([sample_phases(label, rng, 40)[[0, 17, 39]] for _ in range(300)])
    assert phases.min() >= 0
    assert all(kstest(column, 'uniform').pvalue > 1e-3 for column in phases.reshape(300, 12).T)


@each_activity
def test_one_phase_goes_on_and_the_others_get_nowhere(label) -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        steps = np.diff(sample_phases(label, rng, 64), axis=0)
        gone = ((steps + 0.5) % 1 - 0.5).sum(0)
        acting, backwards = divmod(label, 2)
        assert (-gone if backwards else gone)[acting] > 1.5
        assert np.abs(np.delete(gone, acting)).max() < 0.9


def body_of(label: int, seed: int) -> np.ndarray:
    """Points (64, 15, 3) without noise."""
    rng = np.random.default_rng(seed)
    return pose_body(sample_figure('test', seed), sample_phases(label, rng, 64))


@each_activity
def test_the_body_does_what_the_name_says(label) -> None:
    for seed in range(12):
        body = body_of(label, seed)
        across = np.abs(body[:, point('left_ankle'), 0] - body[:, point('right_ankle'), 0])
        curves = {
            'squat': -body[:, point('pelvis'), 1],
            'bow': body[:, point('head'), 2],
            'straddle': across,
        }
        kind = ACTIVITIES[label].split('_')[0]
        if kind in curves:
            # down, forwards and out are up in the curve: quickly, and slowly back, or slowly
            speeds = np.diff(curves[kind])
            quicker_out = speeds.max() > -speeds.min()
            assert quicker_out == ACTIVITIES[label].endswith(('slow_up', 'slow_in'))
        else:
            arm = body[:, point('left_elbow')] - body[:, point('left_shoulder')]
            up = body[:, point('neck')] - body[:, point('pelvis')]
            height = (arm * up).sum(1) / np.linalg.norm(up, axis=1)
            turn = np.diff(np.unwrap(np.arctan2(arm[:, 0], -height)))
            # out: from hanging to the side
            assert np.sign(np.median(turn)) == (1 if label % 2 == 0 else -1)


def test_bones_keep_their_lengths_and_a_foot_stands_on_the_ground() -> None:
    for label in range(len(ACTIVITIES)):
        body = body_of(label, label)
        for first, second in FIGURE.edges:
            lengths = np.linalg.norm(body[:, first] - body[:, second], axis=1)
            assert np.ptp(lengths) < 1e-9
            assert lengths[0] > 0.03
        np.testing.assert_allclose(body[..., 1].min(axis=1), 0, atol=1e-12)


def test_left_is_left() -> None:
    """Somebody who faces the camera has their left hand on the right of the picture."""
    dataset = make(split='train', num_sequences=40)
    for i in range(0, 40, 3):
        keypoints = dataset[i]['keypoints']
        hips = keypoints[:, point('left_hip'), 0] - keypoints[:, point('right_hip'), 0]
        assert np.nanmedian(hips) > 0


def single_steps(split: str, num_sequences: int) -> tuple[np.ndarray, np.ndarray]:
    """The middle step of each sequence, normalised, with zeros for what is missing (N, 45)."""
    dataset = make(split=split, num_sequences=num_sequences)
    steps, labels = [], []
    for i in range(num_sequences):
        item = dataset[i]
        middle = len(item['keypoints']) // 2
        step = item['keypoints'][middle]
        if np.isnan(step).all():
            continue
        step = (step - np.nanmean(step, axis=0)) / np.nanstd(step)
        steps.append(np.concatenate([np.nan_to_num(step).ravel(), item['scores'][middle]]))
        labels.append(item['label'])
    return np.array(steps), np.array(labels)


def test_a_single_step_says_nothing_about_the_activity() -> None:
    steps, labels = single_steps('train', 1600)
    unseen, true = single_steps('test', 800)
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200))
    for model in (linear, ExtraTreesClassifier(60, random_state=0)):
        accuracy = model.fit(steps, labels).score(unseen, true)
        # chance is 0.125 with a standard deviation of 0.012
        assert accuracy < 0.165


def test_steps_in_order_say_everything() -> None:
    """The quickest moves to either side, a few numbers of each point, nearly do already."""

    def describe(split: str, number: int) -> tuple[np.ndarray, np.ndarray]:
        dataset = make(split=split, num_sequences=number)
        rows = []
        for i in range(number):
            points = dataset[i]['keypoints']
            # without the frames that show nobody
            points = points[~np.isnan(points).all((1, 2))]
            points = points - np.nanmean(points, axis=1, keepdims=True)
            speed = np.diff(points, axis=0) / np.nanstd(points)
            rows.append(np.nanquantile(speed, [0.03, 0.1, 0.25, 0.75, 0.9, 0.97], axis=0).ravel())
        return np.nan_to_num(np.array(rows)), np.arange(number) % 8

    model = ExtraTreesClassifier(200, random_state=0).fit(*describe('train', 800))
    assert model.score(*describe('test', 400)) > 0.7


def test_generation_is_fast() -> None:
    start = time.process_time()
    make(num_sequences=100)
    # 2,000 a second; a loaded machine may be some times slower
    assert time.process_time() - start < 0.4


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        pytest.param({'split': 'dev'}, r"split must be one of .*, got split='dev'", id='split'),
        pytest.param({'num_sequences': 0}, 'num_sequences must be at least 1', id='empty'),
        pytest.param({'num_people': 0}, 'num_people must be at least 1', id='nobody'),
        pytest.param({'num_steps': (7, 20)}, 'num_steps must be at least 8', id='short'),
        pytest.param({'num_steps': (30, 20)}, 'num_steps must be at least 8 and not', id='falling'),
        pytest.param({'label_share': 0.0}, r'label_share must lie in \(0, 1\]', id='no labels'),
    ],
)
def test_wrong_options_are_refused(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        make(**options)


def test_a_number_beyond_the_end_is_refused() -> None:
    with pytest.raises(IndexError, match=r'index must lie in 0..47, got index=48'):
        make()[48]
