"""Splits that part no group."""

from pathlib import Path

import numpy as np
import pytest

from projects.anomaly.commands._measurement import find_videos, make_splits


def test_groups_are_found(root: Path) -> None:
    videos = find_videos(root, r'(g\d)_')
    assert videos.paths[:3] == ['a/g0_0.mp4', 'a/g0_1.mp4', 'a/g1_0.mp4']
    assert videos.groups[:3].tolist() == ['g0', 'g0', 'g1']
    assert find_videos(root, r'g\d_').groups[0] == 'g0_'
    assert len(set(find_videos(root, None).groups.tolist())) == 32


def test_no_group_is_on_both_sides(root: Path) -> None:
    videos = find_videos(root, r'(g\d)_')
    splits = make_splits(videos.classes, videos.groups, 'b', num_folds=4, seed=0)
    assert len(splits) == 4
    for split in splits:
        assert 'b' not in videos.classes[np.concatenate([split.train, split.normal])]
        assert set(videos.classes[split.anomalies]) == {'b'}
        seen = set(videos.groups[split.train])
        assert seen.isdisjoint(videos.groups[np.concatenate([split.normal, split.anomalies])])
        # one group of four, of each class
        assert (len(split.train), len(split.normal), len(split.anomalies)) == (18, 6, 2)


def test_a_class_with_one_group_is_trained_on() -> None:
    classes = np.array(['a', 'a', 'b', 'b', 'c', 'c'])
    groups = np.array(['1', '2', '3', '3', '4', '5'])
    splits = make_splits(classes, groups, 'c', num_folds=3, seed=0)
    assert len(splits) == 2
    for split in splits:
        assert {2, 3} <= set(split.train.tolist())
        assert split.anomalies.tolist() == [4, 5]
        assert set(classes[split.normal]) == {'a'}
    # nothing is new
    assert make_splits(classes, np.array(list('112233')), 'c', num_folds=3, seed=0) == []


def test_too_few_classes(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='at least three classes'):
        find_videos(tmp_path, None)
