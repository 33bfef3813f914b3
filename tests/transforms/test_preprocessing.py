import pytest
import torch

from mmotion.registry import MODELS
from mmotion.shapes import MotionShapes
from mmotion.shapes.torch_renderer import render_scenes
from mmotion.transforms.preprocessing import ClipDataPreprocessor

NORM = {'mean': [123.0, 116.0, 103.0], 'std': [58.0, 57.0, 56.0]}


def test_batch_is_that_of_mmaction2():
    clips = [torch.randint(0, 256, (3, 4, 6, 5), dtype=torch.uint8) for _ in range(2)]
    theirs = MODELS.build({'type': 'ActionDataPreprocessor', 'format_shape': 'NCTHW', **NORM})
    want = theirs({'inputs': list(clips), 'data_samples': None})['inputs']
    ours = ClipDataPreprocessor(**NORM)
    assert torch.equal(ours({'inputs': clips})['inputs'], want)
    assert torch.equal(ours({'inputs': torch.stack(clips)})['inputs'], want)


def test_scenes_are_drawn_and_normalised():
    scenes = [MotionShapes(size=32, num_frames=(20, 20))[i] for i in range(3)]
    frames = render_scenes(scenes)
    ours = ClipDataPreprocessor(**NORM)
    want = ours({'inputs': frames})['inputs']
    assert torch.equal(ours({'inputs': scenes})['inputs'], want)
    views = ours({'inputs': [scenes, scenes[::-1]]})['inputs']
    assert torch.equal(views, torch.stack([want, want.flip(0)], dim=1))


def test_clips_are_changed_in_training_alone_each_differently():
    clip = torch.randint(0, 256, (3, 4, 16, 20), dtype=torch.uint8)
    batch = {'inputs': torch.stack([clip, clip])}
    augment = [{'type': 'CameraMotion'}, {'type': 'ClipJitter'}]
    ours = ClipDataPreprocessor(**NORM, augment=augment)
    plain = ClipDataPreprocessor(**NORM)(batch)['inputs']
    assert torch.equal(ours(batch)['inputs'], plain)
    torch.manual_seed(0)
    changed = ours(batch, training=True)['inputs']
    assert not torch.equal(changed[0], changed[1])
    clips = batch['inputs']
    torch.manual_seed(0)
    for step in ours.augment:
        clips = step.transform_batch(clips)
    assert torch.equal(changed, ClipDataPreprocessor(**NORM)({'inputs': clips})['inputs'])


def test_a_transform_that_takes_no_batch_is_refused():
    with pytest.raises(ValueError, match=r'augment must have .* of batches, got SampleClip; put'):
        ClipDataPreprocessor(**NORM, augment=[{'type': 'SampleClip', 'num_frames': 8, 'stride': 2}])


def test_clips_are_left_as_they_were():
    clips = torch.full((1, 3, 2, 2, 2), 9, dtype=torch.uint8)
    ClipDataPreprocessor(**NORM)({'inputs': clips})
    assert torch.equal(clips, torch.full_like(clips, 9))


def test_nothing_is_added_to_a_checkpoint():
    assert not ClipDataPreprocessor(**NORM).state_dict()


def test_clips_of_different_sizes_are_refused():
    clips = [torch.zeros(3, n, 8, 8, dtype=torch.uint8) for n in (4, 5)]
    with pytest.raises(ValueError, match=r'one size, got .*\(3, 4, 8, 8\), \(3, 5, 8, 8\)'):
        ClipDataPreprocessor(**NORM)({'inputs': clips})


@pytest.mark.parametrize(
    'options',
    [
        pytest.param({'mean': [1.0], 'std': [1.0] * 3}, id='one-mean'),
        pytest.param({'mean': [1.0] * 3, 'std': [1.0, 0.0, 1.0]}, id='std-zero'),
        pytest.param({'mean': [1.0] * 3, 'std': []}, id='std-empty'),
        pytest.param({'mean': [1.0] * 3, 'std': 1.0}, id='std-is-a-number'),
        pytest.param({'mean': None, 'std': [1.0] * 3}, id='no-mean'),
        pytest.param({'mean': ['a', 'b', 'c'], 'std': [1.0] * 3}, id='text'),
        pytest.param({'mean': [float('nan')] * 3, 'std': [1.0] * 3}, id='nan'),
    ],
)
def test_wrong_options_are_refused(options):
    with pytest.raises(ValueError, match='three numbers each, and std be above 0'):
        ClipDataPreprocessor(**options)
