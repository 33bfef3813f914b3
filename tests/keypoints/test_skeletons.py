"""Skeletons: what is checked, and that those of the detectors are as their sources say."""

from typing import Any

import numpy as np
import pytest
from torchvision.models.detection import KeypointRCNN_ResNet50_FPN_Weights

from mmotion.keypoints.skeletons import (
    COCO17,
    FIGURE,
    MEDIAPIPE33,
    OPENPOSE18,
    SKELETONS,
    Skeleton,
    find_mirror,
)


def make(**changes: Any) -> Skeleton:
    fields = {
        'name': 'arms',
        'points': ('left_hand', 'neck', 'right_hand'),
        'edges': ((0, 1), (1, 2)),
        'mirror': (2, 1, 0),
    }
    return Skeleton(**(fields | changes))


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        pytest.param({'points': ()}, 'at least one name, .* got none', id='no-point'),
        pytest.param({'points': ('a', 'b', 'a')}, 'got a several times', id='point-twice'),
        pytest.param({'mirror': (1, 2, 0)}, 'must swap its 3 points in pairs', id='a-ring'),
        pytest.param({'mirror': (2, 1)}, r'got mirror=\(2, 1\)', id='mirror-too-short'),
        pytest.param({'mirror': (3, 1, 0)}, 'in pairs', id='mirror-out-of-range'),
        pytest.param({'edges': ((0, 3),)}, r'edges\[0\]=\(0, 3\)', id='edge-out-of-range'),
        pytest.param({'edges': ((1, 1),)}, 'must join two of its 3 points', id='edge-to-itself'),
        pytest.param(
            {'edges': ((0, 1),)},
            r'mirror images, got edges\[0\]=.* \(left_hand to neck\)',
            id='one-arm',
        ),
    ],
)
def test_a_broken_skeleton_is_refused(changes: dict[str, Any], message: str) -> None:
    make()
    with pytest.raises(ValueError, match=message):
        make(**changes)


@pytest.mark.parametrize('skeleton', SKELETONS.values(), ids=SKELETONS.keys())
def test_the_mirror_swaps_left_and_right_and_nothing_else(skeleton: Skeleton) -> None:
    for point, other in zip(skeleton.points, skeleton.mirror, strict=True):
        words, others = point.split('_'), skeleton.points[other].split('_')
        swapped = [{'left': 'right', 'right': 'left'}.get(word, word) for word in words]
        assert others == swapped
    # every point hangs together with the rest of its part of the body
    assert {end for edge in skeleton.edges for end in edge} == set(range(skeleton.num_points))


@pytest.mark.parametrize(
    ('skeleton', 'num_points', 'places'),
    [
        pytest.param(COCO17, 17, {0: 'nose', 5: 'left_shoulder', 16: 'right_ankle'}, id='coco'),
        pytest.param(
            MEDIAPIPE33, 33, {11: 'left_shoulder', 24: 'right_hip', 32: 'right_foot_index'}, id='mp'
        ),
        pytest.param(
            OPENPOSE18,
            18,
            {1: 'neck', 4: 'right_wrist', 11: 'left_hip', 17: 'left_ear'},
            id='openpose',
        ),
        pytest.param(FIGURE, 15, {2: 'pelvis', 14: 'right_ankle'}, id='figure'),
    ],
)
def test_points_have_the_places_that_the_detectors_give_them(
    skeleton: Skeleton, num_points: int, places: dict[int, str]
) -> None:
    assert skeleton.num_points == num_points
    assert {place: skeleton.points[place] for place in places} == places


def test_the_order_of_coco_is_that_of_torchvision() -> None:
    weights = KeypointRCNN_ResNet50_FPN_Weights.DEFAULT
    assert COCO17.points == tuple(weights.meta['keypoint_names'])


def test_swapping_sides_twice_changes_nothing() -> None:
    points = np.random.default_rng(0).normal(size=(4, 17, 2))
    swapped = COCO17.swap_sides(points)
    assert swapped[:, 5].tolist() == points[:, 6].tolist()
    assert swapped[:, 0].tolist() == points[:, 0].tolist()
    assert np.array_equal(COCO17.swap_sides(swapped), points)


def test_a_mirror_is_found_only_if_both_sides_are_there() -> None:
    assert find_mirror(('mouth_left', 'tail', 'mouth_right')) == (2, 1, 0)
    with pytest.raises(ValueError, match='got left_eye without; give the mirror'):
        find_mirror(('nose', 'left_eye'))
