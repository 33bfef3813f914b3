"""A sample says of frames what a transform of MMAction2 asks."""

import numpy as np
import pytest

from mmotion.inference.samples import make_sample
from mmotion.registry import TRANSFORMS


@pytest.mark.parametrize('kind', [list, np.stack])
def test_transforms_find_what_they_read(kind) -> None:
    images = kind([np.full((36, 60, 3), n, np.uint8) for n in range(4)])
    sample = make_sample(images, fps=10.0)
    for step in (
        {'type': 'Resize', 'scale': (-1, 24)},
        {'type': 'ThreeCrop', 'crop_size': 24},
        {'type': 'FormatShape', 'input_format': 'NCTHW'},
        {'type': 'PackActionInputs', 'meta_keys': ('original_shape', 'num_clips', 'fps')},
    ):
        sample = TRANSFORMS.build(step)(sample)
    assert sample['inputs'].shape == (3, 3, 4, 24, 24)
    assert sample['data_samples'].original_shape == (36, 60)


def test_frames_that_are_still_to_be_chosen() -> None:
    sample = make_sample(fps=10.0, num_frames=300)
    assert 'imgs' not in sample
    chosen = TRANSFORMS.build({'type': 'SampleClip', 'num_frames': 4, 'stride': 6})(sample)
    assert chosen['frame_inds'].tolist() == [0, 2, 4, 7]
