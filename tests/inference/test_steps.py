"""Steps by NumPy alone, held against the transforms whose names they have."""

import numpy as np
import pytest

from mmotion.inference.samples import make_sample
from mmotion.inference.steps import build_steps
from mmotion.registry import TRANSFORMS

PACK = [{'type': 'FormatShape', 'input_format': 'NCTHW'}, {'type': 'PackActionInputs'}]
PIPELINES = {
    'short side': [{'type': 'Resize', 'scale': (-1, 32)}],
    'at most': [{'type': 'Resize', 'scale': (50, 40)}],
    'stretched': [{'type': 'Resize', 'scale': (40, 24), 'keep_ratio': False}],
    'crops': [{'type': 'Resize', 'scale': (-1, 32)}, {'type': 'ThreeCrop', 'crop_size': 32}],
}


@pytest.mark.parametrize('steps', PIPELINES.values(), ids=PIPELINES)
@pytest.mark.parametrize('shape', [(48, 96), (96, 48)], ids=['wide', 'high'])
def test_frames_go_the_same_way(steps, shape):
    rng = np.random.default_rng(0)
    images = list(rng.integers(0, 256, (6, *shape, 3), dtype=np.uint8))

    def run(pipeline):
        results = make_sample(images, fps=30.0) | {'num_clips': 2, 'clip_len': 3}
        for step in pipeline:
            results = step(results)
        return np.asarray(results['inputs'])

    expected = run([TRANSFORMS.build(step) for step in [*steps, *PACK]])
    np.testing.assert_array_equal(run(build_steps([*steps, *PACK])), expected)


@pytest.mark.parametrize('options', [{}, {'num_frames': 4, 'stride': 5, 'num_clips': 3}])
@pytest.mark.parametrize('when_short', ['hold', 'loop'])
@pytest.mark.parametrize('num_frames', [5, 300])
def test_the_same_frames_are_chosen(options, when_short, num_frames):
    step = {'type': 'SampleClip', 'when_short': when_short, **options}
    found = build_steps([step])[0](make_sample(num_frames=num_frames, fps=25.0))
    expected = TRANSFORMS.build(step)(make_sample(num_frames=num_frames, fps=25.0))
    assert found['frame_inds'].tolist() == expected['frame_inds'].tolist()
    assert (found['clip_len'], found['num_clips']) == (expected['clip_len'], expected['num_clips'])


def test_a_step_that_takes_more_is_named():
    with pytest.raises(ValueError, match=r'must consist of .*Resize.* to be exported, got TenCrop'):
        build_steps([{'type': 'Resize', 'scale': (8, 8)}, {'type': 'TenCrop'}])
