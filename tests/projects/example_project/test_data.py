"""The generated dots: repeatable, correctly labelled, and not solved by one frame."""

import numpy as np
import pytest
import torch

from projects.example_project.data import CLASSES, MovingDots


def columns_of_the_dot(clip: torch.Tensor) -> np.ndarray:
    """Find the brightest column of each frame; clip (3, T, H, W), result (T,)."""
    return clip.amax(dim=(0, 2)).argmax(dim=1).numpy()


def test_the_dot_moves_one_column_a_frame_to_the_labelled_side():
    dataset = MovingDots(num_clips=20, seed=0)
    for index in range(len(dataset)):
        sample = dataset[index]
        steps = np.diff(columns_of_the_dot(sample['inputs'])) % 16
        right = CLASSES[sample['data_samples'].gt_label] == 'right'
        assert set(steps) == {1 if right else 15}


def test_shape_and_type():
    inputs = MovingDots(num_clips=1, seed=0, num_frames=5, size=12)[0]['inputs']
    assert inputs.shape == (3, 5, 12, 12)
    assert inputs.dtype == torch.uint8


def test_a_clip_depends_on_seed_and_index_alone():
    clip = MovingDots(num_clips=4, seed=1)[3]['inputs']
    assert torch.equal(clip, MovingDots(num_clips=9, seed=1)[3]['inputs'])
    assert not torch.equal(clip, MovingDots(num_clips=4, seed=2)[3]['inputs'])


def test_both_sides_come_about_as_often():
    dataset = MovingDots(num_clips=400, seed=0)
    labels = [dataset[index]['data_samples'].gt_label for index in range(400)]
    assert 0.4 < np.mean(labels) < 0.6


@pytest.mark.parametrize('name', ['num_clips', 'num_frames', 'size'])
def test_a_number_below_one_is_refused(name):
    arguments = dict(num_clips=1, seed=0) | {name: 0}
    with pytest.raises(ValueError, match=f'{name} must be at least 1, got {name}=0'):
        MovingDots(**arguments)


@pytest.mark.parametrize('index', [-1, 2])
def test_an_index_out_of_range_is_refused(index):
    with pytest.raises(IndexError, match=rf'must be in \[0, 2\), got index={index}'):
        MovingDots(num_clips=2, seed=0)[index]
