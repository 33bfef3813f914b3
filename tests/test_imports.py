"""What modules load that are imported where little is needed: in data workers, or to read a file.

An import happens once a process, so each case is a process of its own.
"""

import subprocess
import sys

import pytest

from tests.moving_boxes import write_video

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
        pytest.param('mmotion.config', 'torch yapf mmaction mmcv scipy', id='configs'),
        pytest.param(
            'mmotion.registry', 'mmaction mmcv torchvision mmengine.runner', id='registry'
        ),
        pytest.param('mmengine.model', 'torch.distributed.fsdp sympy', id='bases of models'),
        pytest.param('mmotion.training.models', TRAINING, id='models'),
        pytest.param('mmotion.training.hooks', TRAINING, id='hooks'),
        pytest.param('mmotion.training.runner', 'mmotion.transforms scipy av', id='runner'),
    ],
)
def test_an_import_loads_no_more_than_it_needs(module, absent):
    names = f'{absent} {PICTURES} {PREDICTION}'.split()
    code = f'import mmotion, {module}, sys; '
    code += f'print(*[name for name in {names} if name in sys.modules])'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


PARTS = 'yapf matplotlib mmotion.shapes mmotion.training.runner'
SHARDING = 'mmengine.runner torch.distributed.fsdp sympy triton'
# of all that a system has, what only training and testing need
UNUSED = 'data metrics hooks shapes_data table_data video_data labeled_data cache export'


@pytest.mark.parametrize(
    ('config', 'absent'),
    [
        (
            'repnet_small',
            f'{SHARDING} mmaction.registry mmcv torchvision scipy projects.repnet.poses',
        ),
        ('bkind_shapes', 'mmaction.datasets scipy'),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (
                ('timesformer_shapes', 'sklearn projects.timesformer.video_backbones'),
                (
                    'anomaly_shapes',
                    'projects.anomaly.backbones projects.timesformer.video_backbones',
                ),
                ('pose_convlstm_shapes', 'mmaction.datasets torchvision timm scipy'),
            )
        ),
    ],
)
def test_a_prediction_loads_what_it_runs(tmp_path, config, absent):
    write_video(tmp_path / 'grey.mp4', 8)
    code = (
        'import sys; from mmotion.inference import load_model; '
        f'predictor = load_model({config!r}, device="cpu"); '
        f'"pose" in {config!r} or predictor.predict({str(tmp_path / "grey.mp4")!r}); '
        'print(*sys.modules)'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = {*done.stdout.splitlines()[-1].split()}
    assert 'mmotion.inference' in loaded
    assert loaded.isdisjoint(f'{absent} {PARTS}'.split())
    # of repnet's its transforms stand beside its data sets
    assert {name for name in loaded if name.startswith('projects.')}.isdisjoint(
        f'projects.{system}.{part}'
        for system in ('anomaly', 'bkind', 'pose_sequence', 'repnet', 'timesformer')
        for part in UNUSED.split()
        if (system, part) != ('repnet', 'data')
    )
