"""Generated actions: the order of the frames tells them apart, and nothing else does."""

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from scipy.stats import ks_2samp
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.feature_selection import f_classif

from mmotion.registry import TRANSFORMS
from projects.timesformer.models import ScenePreprocessor
from projects.timesformer.shapes_data import (
    ACTIONS,
    POSE_RANGES,
    ActionShapesDataset,
    PackScene,
    action_scene,
    sample_pose,
)

TRIPLES = [ACTIONS[i : i + 3] for i in range(0, len(ACTIONS), 3)]


def make(**options) -> ActionShapesDataset:
    return ActionShapesDataset(**{'split': 'test', 'num_videos': 60, 'pipeline': [], **options})


def test_a_clip_comes_with_what_a_pipeline_needs() -> None:
    item = make(num_frames=6, size=32)[14]
    assert [frame.shape for frame in item['imgs']] == [(32, 32, 3)] * 6
    assert item['imgs'][0].dtype == np.uint8
    assert (item['label'], item['name']) == (2, 'test_000014')
    assert (item['clip_len'], item['num_clips'], item['img_shape']) == (6, 1, (32, 32))


def test_clips_drawn_on_the_device_are_those_that_workers_draw() -> None:
    as_before = [
        {'type': 'FormatShape', 'input_format': 'NCTHW'},
        {'type': 'PackActionInputs', 'meta_keys': ('name', 'num_clips')},
    ]
    ways = [
        make(pipeline=[TRANSFORMS.build(step) for step in as_before]),
        make(pipeline=[PackScene()]),
        make(pipeline=[PackScene()], render_on='device'),
    ]
    prepare = ScenePreprocessor(mean=[0.0] * 3, std=[1.0] * 3, format_shape='NCTHW')
    wanted, packed, drawn = (prepare(pseudo_collate([way[i] for i in range(5)])) for way in ways)
    assert wanted['inputs'].shape == (5, 1, 3, 8, 64, 64)
    assert torch.equal(packed['inputs'], wanted['inputs'])
    assert drawn['inputs'].shape == wanted['inputs'].shape
    assert (drawn['inputs'] - wanted['inputs']).abs().mean() < 0.3
    for batch in (packed, drawn):
        for one, other in zip(batch['data_samples'], wanted['data_samples'], strict=True):
            assert one.metainfo == other.metainfo
            assert torch.equal(one.gt_label, other.gt_label)


def test_clips_are_drawn_by_workers_or_on_the_device() -> None:
    with pytest.raises(ValueError, match=r"render_on must be one of .*'gpu'"):
        make(render_on='gpu')


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


def test_some_of_the_actions_have_numbers_of_their_own() -> None:
    some = make(actions=['bob', 'left'], size=16, num_frames=4)
    assert [some[i]['label'] for i in range(4)] == [0, 1, 0, 1]
    assert some.metainfo['classes'] == ('bob', 'left')
    # number 1 is 'left' in both
    everything = make(size=16, num_frames=4)
    np.testing.assert_array_equal(some[1]['imgs'], everything[1]['imgs'])
    assert not np.array_equal(some[2]['imgs'], everything[2]['imgs'])
    named = make(actions=ACTIONS, size=16, num_frames=4)
    np.testing.assert_array_equal(named[31]['imgs'], everything[31]['imgs'])


@pytest.mark.parametrize('triple', TRIPLES, ids='-'.join)
def test_three_actions_show_the_same_poses_in_another_order(triple) -> None:
    for seed in range(20):
        forward, backward, both = (
            sample_pose(action, np.random.default_rng(seed), 8) for action in triple
        )
        np.testing.assert_array_equal(forward, backward[::-1])
        assert sorted(map(tuple, both)) == sorted(map(tuple, forward))
        moving = TRIPLES.index(triple)
        # one way for the first half, the other way for the second
        assert np.sign(np.diff(both[:, moving])).tolist() == [1, 1, 1, 1, -1, -1, -1]
        assert np.ptp(np.delete(forward, moving, axis=1), axis=0).max() == 0


def test_what_rests_is_where_it_could_be_while_moving() -> None:
    rng = np.random.default_rng(0)
    poses = {
        action: np.array([sample_pose(action, rng, 8)[rng.integers(8)] for _ in range(500)])
        for action in ('right', 'down', 'rock', 'shrink')
    }
    for coordinate, (low, high) in enumerate(POSE_RANGES):
        moving = [*poses.values()][coordinate][:, coordinate]
        assert low <= moving.min() < moving.max() <= high
        for other in poses.values():
            assert ks_2samp(moving, other[:, coordinate]).pvalue > 1e-3


def single_frames(split: str, num_videos: int) -> tuple[np.ndarray, np.ndarray]:
    """Any frame of each video as 8 x 8 grey levels (N, 64), and the classes (N,)."""
    images, labels = [], np.arange(num_videos) % len(ACTIONS)
    for i, label in enumerate(labels):
        rng = np.random.default_rng([split == 'test', i])
        scene = action_scene(ACTIONS[label], rng, num_frames=8, size=32)
        grey = scene.take(rng.integers(8, size=1)).render()[0].mean(-1)
        images.append(grey.reshape(8, 4, 8, 4).mean((1, 3)).ravel())
    return np.array(images), labels


def test_a_single_frame_says_nothing_about_the_action() -> None:
    images, labels = single_frames('train', 1200)
    unseen, true = single_frames('test', 1200)
    # no part of the picture is brighter in one action than in another
    assert f_classif(images, labels)[1].min() > 1e-3 / images.shape[1]
    for model in (LinearDiscriminantAnalysis(), ExtraTreesClassifier(50, random_state=0)):
        accuracy = model.fit(images, labels).score(unseen, true)
        # chance is 0.083 with a standard deviation of 0.008
        assert accuracy < 0.115


def acting_shape(action: str, seed: int) -> list[np.ndarray] | None:
    """Masks (64, 64) of the acting shape in each frame, None where other shapes are about."""
    scene = action_scene(action, np.random.default_rng(seed), num_frames=8, size=64)
    if len(scene.parts) > 1:
        return None
    return [frame.min(-1) > 110 for frame in scene.frames()]


def measure(masks: list[np.ndarray]) -> np.ndarray:
    """What x, y, angle and logarithm of the area change by from frame to frame, (T - 1, 4)."""
    curves = []
    for mask in masks:
        rows, columns = np.nonzero(mask)
        (xx, xy), (_, yy) = np.cov(columns, rows)
        axis = 0.5 * np.arctan2(2 * xy, xx - yy)
        curves.append([columns.mean(), rows.mean(), axis, np.log(mask.sum())])
    steps = np.diff(curves, axis=0)
    # the axis of a shape repeats after half a turn
    steps[:, 2] = (steps[:, 2] + np.pi / 2) % np.pi - np.pi / 2
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
            signs.append(np.sign(np.median(measure(masks)[:, column])))
    assert len(signs) > 8
    assert np.mean(np.array(signs) == sign) > 0.9


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        pytest.param({'split': 'dev'}, r"split must be one of .*, got split='dev'", id='split'),
        pytest.param({'num_videos': 0}, 'num_videos must be at least 1', id='empty'),
        pytest.param({'num_frames': 3}, 'num_frames must be at least 4', id='frames'),
        pytest.param({'size': 8}, 'size must be at least 16, got size=8', id='size'),
        pytest.param({'actions': []}, r'some of right, .*, got actions=\(\)', id='no-action'),
        pytest.param({'actions': ['jump']}, r"each once, got actions=\('jump',\)", id='action'),
        pytest.param({'actions': ['up', 'up']}, 'each once, got', id='action-twice'),
    ],
)
def test_wrong_options_are_refused(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        make(**options)


def test_wrong_names_and_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"action must be one of right, .*, got action='jump'"):
        sample_pose('jump', np.random.default_rng(0), 8)
    with pytest.raises(IndexError, match=r'index must lie in 0..59, got index=60'):
        make()[60]
