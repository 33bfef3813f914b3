"""Generated actions: the order of the frames tells them apart, and nothing else does."""

import numpy as np
import pytest
from scipy.stats import kstest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.feature_selection import f_classif

from projects.timesformer.shapes_data import (
    ACTIONS,
    ActionShapesDataset,
    action_scene,
    draw_pose,
)

TRIPLES = [ACTIONS[i : i + 3] for i in range(0, len(ACTIONS), 3)]
each_action = pytest.mark.parametrize('action', ACTIONS)


def make(**options) -> ActionShapesDataset:
    return ActionShapesDataset(**{'split': 'test', 'num_videos': 60, 'pipeline': [], **options})


def test_a_clip_comes_with_what_a_pipeline_needs() -> None:
    item = make(num_frames=6, size=32)[14]
    assert [frame.shape for frame in item['imgs']] == [(32, 32, 3)] * 6
    assert item['imgs'][0].dtype == np.uint8
    assert (item['label'], item['name']) == (2, 'test_000014')
    assert (item['clip_len'], item['num_clips'], item['img_shape']) == (6, 1, (32, 32))


def test_an_index_always_gives_the_same_clip_and_splits_share_none() -> None:
    first = make()[3]['imgs']
    np.testing.assert_array_equal(first, make(num_videos=9)[3]['imgs'])
    for other in (make()[15], make(split='train')[3], make(split='val')[3]):
        assert not np.array_equal(first, other['imgs'])


def test_classes_are_balanced_and_named() -> None:
    dataset = make(size=16, num_frames=4)
    labels = [dataset[i]['label'] for i in range(len(dataset))]
    assert np.bincount(labels).tolist() == [5] * 12
    assert dataset.metainfo['classes'] == ACTIONS


@pytest.mark.parametrize('triple', TRIPLES, ids='-'.join)
def test_three_actions_show_the_same_poses_in_another_order(triple) -> None:
    for seed in range(20):
        forward, backward, both = (
            draw_pose(action, np.random.default_rng(seed), 8) for action in triple
        )
        np.testing.assert_array_equal(forward, backward[::-1])
        assert sorted(map(tuple, both)) == sorted(map(tuple, forward))
        moving = TRIPLES.index(triple)
        steps = np.diff(both[:, moving]) % 1
        # one way for the first half, the other way for the second
        assert len({step > 0.5 for step in steps[:3]}) == 1
        assert {step > 0.5 for step in steps[4:]} == {steps[0] <= 0.5}
        assert np.ptp(np.delete(forward, moving, axis=1), axis=0).max() == 0


@each_action
@pytest.mark.parametrize('frame', [0, 3, 7])
def test_pose_of_a_frame_is_anywhere_on_its_ring(action, frame) -> None:
    rng = np.random.default_rng(0)
    poses = np.array([draw_pose(action, rng, 8)[frame] for _ in range(500)])
    assert poses.min() >= 0
    assert all(kstest(column, 'uniform').pvalue > 1e-3 for column in poses.T)


def single_frames(split: str, frame: int, num_videos: int) -> tuple[np.ndarray, np.ndarray]:
    """One frame of each video as 8 x 8 grey levels (N, 64), and the classes (N,)."""
    images, labels = [], np.arange(num_videos) % len(ACTIONS)
    for i, label in enumerate(labels):
        rng = np.random.default_rng([split == 'test', i])
        scene = action_scene(ACTIONS[label], rng, num_frames=8, size=32).take(np.array([frame]))
        grey = scene.render()[0].mean(-1)
        images.append(grey.reshape(8, 4, 8, 4).mean((1, 3)).ravel())
    return np.array(images), labels


@pytest.mark.parametrize('frame', [0, 7], ids=['first', 'last'])
def test_a_single_frame_says_nothing_about_the_action(frame) -> None:
    images, labels = single_frames('train', frame, 1200)
    unseen, true = single_frames('test', frame, 1200)
    # no part of the picture is brighter in one action than in another
    assert f_classif(images, labels)[1].min() > 1e-3 / images.shape[1]
    for model in (LinearDiscriminantAnalysis(), ExtraTreesClassifier(50, random_state=0)):
        accuracy = model.fit(images, labels).score(unseen, true)
        # chance is 0.083 with a standard deviation of 0.008
        assert accuracy < 0.115


def acting_shape(action: str, seed: int) -> list[np.ndarray] | None:
    """Masks (64, 64) of the acting shape in each frame, None where other shapes are about."""
    scene = action_scene(action, np.random.default_rng(seed), num_frames=8, size=64)
    if len(scene.parts) > 4:
        return None
    return [frame.min(-1) > 110 for frame in scene.frames()]


def measure(masks: list[np.ndarray]) -> np.ndarray:
    """What x, y, angle and logarithm of the area change by from frame to frame, (T - 1, 4)."""
    phases = np.exp(2j * np.pi * np.arange(64) / 64)
    curves = []
    for mask in masks:
        x, y = np.angle(mask.sum(0) @ phases), np.angle(mask.sum(1) @ phases)
        # in the middle of the picture, where moments do not meet its borders
        shift = np.rint(32 - 64 * np.array([y, x]) / (2 * np.pi)).astype(int)
        rows, columns = np.nonzero(np.roll(mask, shift, (0, 1)))
        (xx, xy), (_, yy) = np.cov(columns, rows)
        curves.append([x, y, 0.5 * np.arctan2(2 * xy, xx - yy), np.log(mask.sum())])
    steps = np.diff(curves, axis=0)
    # x and y repeat after a turn, the axis of a shape after half a turn
    for column, period in ((0, 2 * np.pi), (1, 2 * np.pi), (2, np.pi)):
        steps[:, column] = (steps[:, column] + period / 2) % period - period / 2
    return steps


@pytest.mark.parametrize(
    ('action', 'sign'),
    [
        pytest.param(action, sign, id=action)
        for triple in TRIPLES
        for action, sign in zip(triple, (1, -1), strict=False)
    ],
)
def test_the_picture_shows_what_the_name_says(action, sign) -> None:
    # angles grow clockwise, as rows are counted downwards
    column = ACTIONS.index(action) // 3
    signs = []
    for seed in range(30):
        masks = acting_shape(action, seed)
        if masks is not None and min(mask.sum() for mask in masks) > 20:
            # the median: a shape that has grown to the largest size begins again
            signs.append(np.sign(np.median(measure(masks)[:, column])))
    assert len(signs) > 8
    assert np.mean(np.array(signs) == sign) > 0.9


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        pytest.param({'split': 'dev'}, r"split must be one of .*, got split='dev'", id='split'),
        pytest.param({'num_videos': 0}, 'num_videos must be at least 1', id='empty'),
        pytest.param({'num_frames': 3}, 'num_frames must be at least 4', id='frames'),
        pytest.param({'size': 8}, 'size must be at least 16 pixels', id='size'),
    ],
)
def test_wrong_options_are_refused(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        make(**options)


def test_wrong_names_and_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"action must be one of right, .*, got action='jump'"):
        draw_pose('jump', np.random.default_rng(0), 8)
    with pytest.raises(IndexError, match=r'index must lie in 0..59, got index=60'):
        make()[60]
