"""Models of all systems in .onnx files: they answer as PyTorch does, and without it."""

import json
import os
import shutil
import subprocess
import venv

import pytest

from mmotion.config import load_config
from mmotion.inference import load_model
from mmotion.inference.export import compare_file, compare_results, export_model
from mmotion.keypoints.files import write_poses
from mmotion.keypoints.skeletons import FIGURE
from mmotion.shapes import MotionShapes
from tests.inference.lean_cases import ROOT, predict_lean
from tests.pose_videos import make_video
from tests.random_weights import make_checkpoint
from tests.video_files import encode

pytest.importorskip('onnxscript')
pytest.importorskip('onnxruntime')

BARE_PACKAGES = ('onnxruntime', 'av', 'numpy')
VIDEO_MODELS = ('timesformer_shapes', 'anomaly_shapes', 'anomaly_shapes_knn', 'bkind_shapes')
SCORERS = ('anomaly_shapes_centroids', 'anomaly_shapes_mahalanobis', 'anomaly_shapes_pca')
POSE_MODELS = ('pose_convlstm_shapes', 'pose_lstm_shapes', 'pose_transformer_shapes')


@pytest.fixture(scope='module')
def inputs(tmp_path_factory):
    """A video and a keypoint file, by what a model takes."""
    folder = tmp_path_factory.mktemp('inputs')
    frames = MotionShapes(split='test', size=96, num_frames=(60, 60))[1].render()[:, :80]
    write_poses(make_video(40, skeleton=FIGURE, nobody=(8,)), folder / 'poses.json')
    return {'video': encode(folder / 'clip.mp4', frames), 'poses': folder / 'poses.json'}


@pytest.mark.parametrize('name', [*VIDEO_MODELS, *SCORERS, *POSE_MODELS])
def test_a_file_answers_as_its_model_does(name, inputs, tmp_path):
    checkpoint = make_checkpoint(name, tmp_path)
    predictor = load_model(name, checkpoint, device='cpu')
    file, source = tmp_path / f'{name}.onnx', inputs['poses' if name in POSE_MODELS else 'video']
    export_model(predictor, file, checkpoint=str(checkpoint))
    assert compare_file(predictor, file, source, times=1).difference < 1e-4

    if name in SCORERS:
        return
    printed = predict_lean(file, source, '--out', tmp_path)
    result = predictor.predict(source)
    assert str(source) in printed
    written = json.loads((tmp_path / f'{source.stem}.json').read_text())
    expected = json.loads(json.dumps(result.to_dict()))
    assert written.keys() >= expected.keys()
    for key in ('scores', 'errors', 'keypoints', 'threshold'):
        if key in expected:
            assert compare_results(expected[key], written[key]) < 1e-3


@pytest.fixture(scope='module')
def bare_python(tmp_path_factory):
    """A Python with what docs/export.md names, and nothing else."""
    root = tmp_path_factory.mktemp('bare')
    venv.create(root, with_pip=True)
    python = root / 'bin' / 'python'
    subprocess.run([python, '-m', 'pip', 'install', *BARE_PACKAGES], check=True)
    yield python
    shutil.rmtree(root)


@pytest.mark.slow
@pytest.mark.parametrize('name', ['repnet_small', 'timesformer_shapes', 'bkind_shapes'])
def test_three_packages_are_all_that_a_file_needs(name, bare_python, inputs, tmp_path):
    checkpoint = None if name == 'repnet_small' else make_checkpoint(name, tmp_path)
    predictor = load_model(name, checkpoint, device='cpu')
    export_model(predictor, tmp_path / f'{name}.onnx')

    def run(*options):
        command = [bare_python, '-m', 'mmotion.cli', 'predict', f'{name}.onnx', inputs['video']]
        environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
        return subprocess.run(
            [*command, *options], cwd=tmp_path, env=environment, capture_output=True, text=True
        )

    done = run('--out', '.')
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / 'clip.json').read_text())
    expected = json.loads(json.dumps(predictor.predict(inputs['video']).to_dict()))
    for key in {'count', 'scores', 'keypoints'} & expected.keys():
        assert compare_results(expected[key], written[key]) < 1e-3
    drawn = run('--draw')
    assert drawn.returncode == 2
    assert 'pip install pillow opencv-python-headless matplotlib rich' in drawn.stderr


@pytest.mark.parametrize('suffix', ['.pt2', '.xml'])
@pytest.mark.parametrize('name', ['anomaly_shapes', 'bkind_shapes', 'pose_convlstm_shapes'])
def test_other_formats_answer_the_same(name, suffix, inputs, tmp_path):
    if suffix == '.xml':
        pytest.importorskip('openvino')
    predictor = load_model(name, make_checkpoint(name, tmp_path), device='cpu')
    file, source = tmp_path / f'model{suffix}', inputs['poses' if name in POSE_MODELS else 'video']
    export_model(predictor, file)
    assert compare_file(predictor, file, source, times=1).difference < 1e-4


def test_a_pipeline_that_takes_more_is_refused(tmp_path):
    config = load_config('bkind_shapes')
    config.test_pipeline.insert(0, dict(type='RegisterPair'))
    predictor = load_model(config, 'random', device='cpu')
    with pytest.raises(ValueError, match=r'test_pipeline must be ResizePair and PackPair'):
        export_model(predictor, tmp_path / 'a.onnx')
