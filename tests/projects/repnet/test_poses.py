"""Poses as frames: chosen by name, filled in and normalized window by window."""

import numpy as np
import pytest
import torch

from mmotion.keypoints.skeletons import COCO17, FIGURE, MEDIAPIPE33, OPENPOSE18, Skeleton
from projects.repnet.poses import (
    NUM_POINTS,
    POINTS,
    PoseEncoder,
    PoseRepNet,
    make_poses,
    normalize_windows,
)

T = 16


def make_windows(num_windows: int = 2, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    places = torch.randn(num_windows, T, 2, NUM_POINTS, 1, generator=generator)
    return torch.cat([places, torch.ones(num_windows, T, 1, NUM_POINTS, 1)], 2)


@pytest.mark.parametrize('skeleton', [COCO17, MEDIAPIPE33, OPENPOSE18, FIGURE])
def test_points_are_chosen_by_their_names(skeleton: Skeleton) -> None:
    keypoints = np.zeros((2, skeleton.num_points, 2), np.float32)
    keypoints[1, skeleton.points.index('left_knee')] = 5, 6
    keypoints[0, skeleton.points.index('right_hip')] = np.nan
    poses = make_poses(keypoints, skeleton)
    assert poses.shape == (2, NUM_POINTS, 1, 3)
    assert poses[1, 1 + POINTS.index('left_knee'), 0].tolist() == [5, 6, 1]
    assert np.flatnonzero(poses[0, :, 0, 2] == 0).tolist() == [1 + POINTS.index('right_hip')]


def test_a_skeleton_of_an_animal_is_refused() -> None:
    fly = Skeleton('fly', ('head', 'left_wing', 'right_wing'), edges=(), mirror=(0, 2, 1))
    with pytest.raises(ValueError, match="that of a person, got 'fly' without left_shoulder, r"):
        make_poses(np.zeros((1, 3, 2), np.float32), fly)


def test_place_and_size_in_the_picture_do_not_matter() -> None:
    windows = make_windows()
    moved = windows.clone()
    moved[:, :, :2] = 40 * moved[:, :, :2] + torch.tensor([300.0, -20.0])[:, None, None]
    poses = normalize_windows(windows)
    torch.testing.assert_close(normalize_windows(moved), poses, atol=1e-4, rtol=0)
    torch.testing.assert_close(poses[:, :, :2].mean((1, 3, 4)), torch.zeros(2, 2))
    apart = poses[:, :, :2] - poses[:, :, :2].mean(3, keepdim=True)
    torch.testing.assert_close(apart.square().sum(2).mean((1, 2, 3)), torch.ones(2))


def test_how_a_person_moves_across_is_kept() -> None:
    windows = make_windows(1)[:, :1].repeat(1, T, 1, 1, 1)
    windows[:, :, 0] += torch.arange(T)[None, :, None, None]
    x = normalize_windows(windows)[0, :, 0, :, 0]
    steps = x.diff(dim=0)
    torch.testing.assert_close(steps, steps[:1, :1].expand_as(steps))
    assert steps[0, 0] > 0.1


def test_missing_points_are_filled_in_between_and_named() -> None:
    windows = make_windows(1)
    whole = normalize_windows(windows)
    for step in (0, 1, 5, 6, T - 1):
        windows[0, step, :, 3] = 0
    # of what lies under a missing point nothing is used
    windows[0, 5, :2, 3] = 1e6
    poses = normalize_windows(windows)
    assert (poses[0, :, 2, 3, 0] == 0).nonzero()[:, 0].tolist() == [0, 1, 5, 6, T - 1]
    point = poses[0, :, :2, 3, 0]
    torch.testing.assert_close(point[5], point[4] + (point[7] - point[4]) / 3)
    torch.testing.assert_close(point[[0, T - 1]], point[[2, T - 2]])
    assert (poses[0, :, :2, 4] - whole[0, :, :2, 4]).abs().max() < 0.5


def test_a_point_that_is_never_seen_is_0_and_nobody_is_no_error() -> None:
    windows = make_windows(2)
    windows[0, :, :, 6] = 0
    windows[1] = 0
    poses = normalize_windows(windows)
    assert (poses[0, :, :, 6] == 0).all()
    assert (poses[1] == 0).all()
    # the others are as if there was no such point
    others = [i for i in range(NUM_POINTS) if i != 6]
    alone = normalize_windows(windows[:1, :, :, others])
    torch.testing.assert_close(poses[:1, :, :, others], alone)


def test_model_takes_windows_of_poses_and_learns() -> None:
    model = PoseRepNet(
        encoder=dict(type='PoseEncoder', width=8),
        num_frames=T,
        embedding_dim=8,
        head=dict(width=16),
    )
    inputs = make_windows(3).transpose(1, 2)
    output = model(inputs)
    assert output.period_logits.shape == (3, T, T // 2)
    assert output.periodicity_logits.shape == (3, T)
    output.period_logits.sum().backward()
    assert model.encoder[1].weight.grad.abs().sum() > 0
    # a window by itself says the same as in a batch of windows
    model.eval()
    torch.testing.assert_close(model(inputs[:1]).period_logits, model(inputs).period_logits[:1])


def test_encoder_gives_a_map_of_one_place() -> None:
    assert PoseEncoder(width=5)(torch.zeros(4, 3, NUM_POINTS, 1)).shape == (4, 5, 1, 1)
