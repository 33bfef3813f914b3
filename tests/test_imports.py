"""What modules load that are imported where little is needed: in data workers, or to read a file.

An import happens once a process, so each case is a process of its own.
"""

import subprocess
import sys

import pytest

PICTURES = 'matplotlib'
MODELS = 'torch mmaction'
PREDICTION = 'mmotion.inference mmotion.visualization'
TRAINING = 'mmotion.training.runner mmotion.config'


@pytest.mark.parametrize(
    ('module', 'absent'),
    [
        pytest.param('mmotion.keypoints.files', f'{MODELS} scipy cv2 mmengine', id='keypoints'),
        pytest.param('mmotion.keypoints.tracking', f'{MODELS} scipy cv2 mmengine', id='tracks'),
        pytest.param('mmotion.keypoints.detectors', f'{MODELS} torchvision', id='detectors'),
        pytest.param('mmotion.keypoints.extraction', f'{MODELS} torchvision', id='extraction'),
        pytest.param('mmotion.shapes', f'{MODELS} mmengine', id='shapes'),
        pytest.param('mmotion.video.sources', MODELS, id='videos'),
        pytest.param('mmotion.training.models', TRAINING, id='models'),
        pytest.param('mmotion.training.hooks', TRAINING, id='hooks'),
        pytest.param('mmotion.training.runner', 'mmotion.transforms scipy av', id='runner'),
    ],
)
def test_an_import_loads_no_more_than_it_needs(module, absent):
    names = f'{absent} {PICTURES} {PREDICTION}'.split()
    code = f'import {module}, sys; print(*[name for name in {names} if name in sys.modules])'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
