import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mmotion.cli import main
from mmotion.config import load_config
from mmotion.keypoints.detectors import DETECTORS
from mmotion.keypoints.files import read_poses
from mmotion.keypoints.skeletons import COCO17
from mmotion.registry import PREDICTORS
from mmotion.training.runner import build_runner
from mmotion.video.writer import VideoWriter

CHECKOUT = Path(__file__).resolve().parents[2]
TOY = str(CHECKOUT / 'tests' / 'toy' / 'toy.py')


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    """Weights of the toy model."""
    path = tmp_path_factory.mktemp('weights')
    model = build_runner(load_config(TOY, {'log_level': 'ERROR'}), work_dir=path).model
    torch.save({'state_dict': model.state_dict()}, path / 'toy.pth')
    return str(path / 'toy.pth')


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with good and bad files."""
    monkeypatch.chdir(tmp_path)
    with VideoWriter(tmp_path / 'clip.mp4', fps=10.0) as writer:
        for level in range(6):
            writer.write(np.full((32, 32, 3), 20 * level, np.uint8))
    torch.save({'state_dict': {'other': torch.zeros(1)}}, 'other.pth')
    (tmp_path / 'text.pth').write_text('not weights')
    (tmp_path / 'broken.py').write_text('model = dict(')
    (tmp_path / 'unknown_key.py').write_text("modle = dict(type='ToyCounter')")
    (tmp_path / 'no_test.py').write_text("model = dict(type='ToyCounter')")
    (tmp_path / 'unknown_type.py').write_text(
        f"_base_ = [{TOY!r}]\ncustom_imports = dict(imports=['projects.example_project'])\n"
        "model = dict(type='ClipClasifier')\npredictor = dict(type='NoPredictor')\n"
    )
    (tmp_path / 'no_module.py').write_text("custom_imports = dict(imports=['not_there'])")
    (tmp_path / 'empty').mkdir()
    return tmp_path


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


WRONG_USE = {
    'no command': ([], 'usage: mmotion'),
    'unknown command': (['trian'], "invalid choice: 'trian'"),
    'train without config': (['train'], 'the following arguments are required: CONFIG'),
    'unknown flag': (['train', TOY, '--sede', '1'], 'unrecognized arguments: --sede'),
    'abbreviated flag': (['train', TOY, '--work', 'a'], 'unrecognized arguments: --work'),
    'seed that is no number': (['train', TOY, '--seed', 'x'], "invalid int value: 'x'"),
    'unknown launcher': (['train', TOY, '--launcher', 'mpi'], "invalid choice: 'mpi'"),
    'missing config': (['train', 'no.py'], 'config must be a file or the name of a bundled config'),
    'near name of a config': (['train', 'example_project_dot'], 'example_project_dots'),
    'broken config': (['train', 'broken.py'], 'got SyntaxError in broken.py, line 1'),
    'unknown key': (['train', 'unknown_key.py'], "got 'modle' (did you mean 'model'?)"),
    'missing module': (['train', 'no_module.py'], "got 'not_there' in no_module.py"),
    'unknown type': (['train', 'unknown_type.py'], "did you mean 'ClipClassifier'"),
    'config without training': (['train', 'no_test.py'], 'without train_dataloader, train_cfg'),
    'option without value': (
        ['train', TOY, '--cfg-options', 'train_cfg'],
        "argument --cfg-options: must be KEY=VALUE, got 'train_cfg'",
    ),
    'option that leads nowhere': (
        ['train', TOY, '--cfg-options', 'model.type.size=1'],
        'cfg_options must lead through dicts',
    ),
    'resume from nowhere': (
        ['train', TOY, '--resume', 'no.pth'],
        'checkpoint must be an existing file, got no.pth; did you mean',
    ),
    'resume from a text': (['train', TOY, '--resume', 'text.pth'], 'got a text file: text.pth'),
    'resume from weights': (
        ['train', TOY, '--resume', 'other.pth'],
        'must hold meta, optimizer, message_hub to be resumed',
    ),
    'scale without base': (['train', TOY, '--auto-scale-lr'], 'add auto_scale_lr = dict('),
    'amp with a wrapper': (
        ['train', TOY, '--amp', '--cfg-options', 'optim_wrapper.type=ApexOptimWrapper'],
        "got optim_wrapper.type='ApexOptimWrapper'; leave out --amp",
    ),
    'torchrun is missing': (['train', TOY, '--launcher', 'pytorch'], 'use tools/dist_train.sh'),
    'unknown argument of a module': (
        ['train', TOY, '--cfg-options', 'model.widht=3'],
        "ToyCounter.__init__() got an unexpected keyword argument 'widht'",
    ),
    'test without checkpoint': (['test', TOY], 'CHECKPOINT must be given, as no weights ship with'),
    'test with a missing one': (['test', TOY, 'no.pth'], 'must be an existing file, got no.pth'),
    'test with a folder': (['test', TOY, 'empty'], 'must be a file, got the folder empty'),
    'test with other weights': (['test', TOY, 'other.pth'], '0 of 9 tensors fit ToyCounter'),
    'config without testing': (
        ['test', 'no_test.py', 'other.pth'],
        'got no_test.py without test_dataloader, test_cfg, test_evaluator',
    ),
    'dump to a table': (
        ['test', TOY, 'other.pth', '--dump', 'a.csv'],
        '--dump must end in one of .json, .pkl, .pickle, got --dump a.csv',
    ),
    'predict without video': (['predict', TOY], 'arguments are required: VIDEO'),
    'missing video': (['predict', TOY, 'no.mp4'], "got 'no.mp4', which is not there"),
    'folder without video': (['predict', TOY, 'empty'], "got 'empty', a folder without any"),
    'negative start': (['predict', TOY, 'clip.mp4', '--start', '-1'], 'got --start -1'),
    'end before start': (
        ['predict', TOY, 'clip.mp4', '--start', '2', '--end', '1'],
        '--end must come after it, got --start 2 --end 1',
    ),
    'region that is none': (
        ['predict', TOY, 'clip.mp4', '--regions', '1,2,3'],
        "x1,y1,x2,y2 in pixels, name=x1,y1,x2,y2, or a JSON file that is there, got '1,2,3'",
    ),
    'region that swallows the video': (
        ['predict', TOY, '--regions', '0,0,20,20', 'clip.mp4'],
        'arguments are required: VIDEO',
    ),
    'box upside down': (
        ['predict', TOY, 'clip.mp4', '--regions', 'a=0,9,20,3'],
        "box_xyxy of region 'a' must be finite numbers with x1 < x2 and y1 < y2",
    ),
    'broken file of regions': (
        ['predict', TOY, 'clip.mp4', '--regions', 'text.pth'],
        'a file of regions must be JSON, got text.pth',
    ),
    'margin without regions': (
        ['predict', TOY, 'clip.mp4', '--region-margin', '0.2'],
        'got --region-margin 0.2 without --regions',
    ),
    'negative margin': (
        ['predict', TOY, 'clip.mp4', '--regions', '0,0,20,20', '--region-margin', '-1'],
        '--region-margin must be at least 0 and come with --regions, got --region-margin -1',
    ),
    'attention of regions': (
        ['predict', TOY, 'clip.mp4', '--attention', '--regions', '0,0,20,20'],
        '--attention must come without --regions, got both',
    ),
    'attention of a model without': (
        ['predict', TOY, 'clip.mp4', '--attention'],
        'attention must be drawn by a predictor of a model that has it, got ToyPredictor',
    ),
    'export of regions': (
        ['predict', TOY, 'clip.mp4', '--export', 'csv', '--regions', '0,0,20,20'],
        '--export must come without --regions, got both',
    ),
    'export of a model without': (
        ['predict', TOY, 'clip.mp4', '--export', 'csv'],
        "predictor must export ['csv'], got ToyPredictor; leave export out",
    ),
    'detector of a model without': (
        ['predict', TOY, 'clip.mp4', '--detector', 'mediapipe'],
        'a model that reads keypoints, got the predictor ToyPredictor; leave it out',
    ),
    'model of no detector': (
        ['predict', TOY, 'clip.mp4', '--model-path', 'other.pth'],
        '--model-path must come with --detector',
    ),
    'extract without video': (['extract-keypoints'], 'arguments are required: VIDEO'),
    'extract from nothing': (['extract-keypoints', 'no.mp4'], "got 'no.mp4', which is not there"),
    'unknown detector': (
        ['extract-keypoints', 'clip.mp4', '--detector', 'openpose'],
        "must be one of keypoint_rcnn, mediapipe, rtmlib, got detector='openpose'",
    ),
    'detector without its file': (
        ['extract-keypoints', 'clip.mp4', '--detector', 'mediapipe'],
        'download a Pose Landmarker bundle such as pose_landmarker_full.task',
    ),
    'detector with a text': (
        ['extract-keypoints', 'clip.mp4', '--model-path', 'text.pth'],
        'got a text file: text.pth',
    ),
    'every frame but none': (
        ['extract-keypoints', 'clip.mp4', '--every', '0'],
        'every must be at least 1, got every=0',
    ),
    'predict without predictor': (
        ['predict', 'no_test.py', 'clip.mp4'],
        'got no_test.py without predictor',
    ),
    'json lines and pictures': (
        ['predict', TOY, 'clip.mp4', '--json-lines', '-', '--draw'],
        '--json-lines must come without --draw, got both; leave out one',
    ),
    'json lines over a video': (
        ['predict', TOY, 'clip.mp4', '--json-lines', './clip.mp4'],
        '--json-lines must not name a VIDEO, got ./clip.mp4',
    ),
    'predict with other weights': (
        ['predict', TOY, 'clip.mp4', '--checkpoint', 'other.pth'],
        '0 of 9 tensors fit ToyCounter',
    ),
    'unknown device': (['predict', TOY, 'clip.mp4', '--device', 'tpu9'], "got device='tpu9'"),
    'unknown kind': (['list', 'model'], "did you mean 'models'?"),
    'unknown system': (['convert', 'nosuch', 'other.pth', 'b.pth'], "got 'nosuch'"),
}


@pytest.mark.parametrize(('arguments', 'message'), WRONG_USE.values(), ids=WRONG_USE)
def test_wrong_use_is_answered_in_one_line(folder, capsys, arguments, message):
    code, _, error = run(capsys, *arguments)
    assert code == 2
    assert message in error
    assert 'Traceback' not in error


def test_debug_shows_the_traceback(folder, monkeypatch):
    with pytest.raises(FileNotFoundError):
        main(['train', 'no.py', '--debug'])
    monkeypatch.setenv('MMOTION_DEBUG', '1')
    with pytest.raises(FileNotFoundError):
        main(['train', 'no.py'])


def test_a_defect_is_not_taken_for_wrong_use(folder, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError('a defect')

    monkeypatch.setattr('mmotion.config.load_config', fail)
    with pytest.raises(RuntimeError, match='a defect'):
        main(['train', TOY])


def test_stopping_tells_how_to_go_on(folder, capsys, monkeypatch):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr('mmotion.config.load_config', stop)
    code, _, error = run(capsys, 'train', TOY)
    assert code == 130
    assert '"--resume" goes on from the last checkpoint' in error


def test_train_then_test(folder, capsys):
    options = ['--cfg-options', 'train_cfg.max_epochs=1', 'log_level=ERROR']
    assert run(capsys, 'train', TOY, '--work-dir', 'run', '--no-validate', *options)[0] == 0
    assert (folder / 'run' / 'epoch_1.pth').is_file()
    given = ['test', TOY, 'run/epoch_1.pth', '--work-dir', 'run']
    code, _, _ = run(
        capsys, *given, '--dump', 'out/results.json', '--show-dir', 'show', '--cfg-options',
        'test_dataloader.dataset.num_samples=3', 'log_level=ERROR',
    )  # fmt: skip
    assert code == 0
    results = json.loads((folder / 'out' / 'results.json').read_text())
    assert len(results['samples']) == len(list((folder / 'show').glob('*.png'))) == 3
    assert results['metrics'].keys() == {'toy/mae_loss'}
    assert run(capsys, *given, '--dump', 'results.pkl')[0] == 0
    assert (folder / 'results.pkl').is_file()


def test_flags_win_over_the_config(folder, capsys):
    config = ['--cfg-options', 'randomness.seed=1', 'work_dir=a', 'train_cfg.max_epochs=1']
    assert run(capsys, 'train', TOY, *config, '--seed', '2', '--work-dir', 'b')[0] == 0
    saved = torch.load(folder / 'b' / 'epoch_1.pth', weights_only=True)
    assert saved['meta']['seed'] == 2
    assert not (folder / 'a').exists()


def test_resume_needs_no_value(folder, capsys):
    options = ['--work-dir', 'run', '--cfg-options', 'log_level=ERROR']
    assert run(capsys, 'train', TOY, *options, 'train_cfg.max_epochs=1')[0] == 0
    assert run(capsys, 'train', TOY, '--resume', *options, 'train_cfg.max_epochs=2')[0] == 0
    saved = torch.load(folder / 'run' / 'epoch_2.pth', weights_only=True)
    assert saved['meta']['iter'] == 16


def test_predict(folder, capsys, checkpoint):
    code, out, _ = run(
        capsys, 'predict', TOY, 'clip.mp4', '--checkpoint', checkpoint, '--out', 'o', '--draw',
        '--start', '0.2', '--end', '0.5', '--device', 'cpu',
    )  # fmt: skip
    assert code == 0
    assert 'clip.mp4: count 3' in out
    result = json.loads((folder / 'o' / 'clip.json').read_text())
    assert (result['count'], result['fps'], result['checkpoint']) == (3, 10, checkpoint)
    assert (result['video'], result['config']) == ('clip.mp4', TOY)
    assert (folder / 'o' / 'clip.png').is_file()


def test_predict_regions(folder, capsys, checkpoint):
    (folder / 'boxes.json').write_text('{"regions": [{"name": "p", "box_xyxy": [8, 8, 32, 32]}]}')
    code, out, _ = run(
        capsys, 'predict', TOY, 'clip.mp4', '--checkpoint', checkpoint, '--out', 'o',
        '--regions', '0,0,20,20', 'b=10,0,32,32', '--regions', 'boxes.json',
        '--region-margin', '0', '--end', '0.5',
    )  # fmt: skip
    assert code == 0
    assert 'clip.mp4, b: count 5' in out
    result = json.loads((folder / 'o' / 'clip.json').read_text())
    assert [part['name'] for part in result['regions']] == ['1', 'b', 'p']


def test_a_region_outside_of_a_video_fails_that_video(folder, capsys, checkpoint):
    code, _, error = run(
        capsys, 'predict', TOY, 'clip.mp4', '--checkpoint', checkpoint, '--regions', '40,0,80,30'
    )
    assert code == 1
    assert '1 of 1 videos failed: clip.mp4' in error
    assert not (folder / 'results').exists()


def test_predict_names_what_failed(folder, capsys, checkpoint):
    (folder / 'bad.mp4').write_bytes(b'no video')
    code, out, error = run(capsys, 'predict', TOY, '.', '--checkpoint', checkpoint)
    assert code == 1
    assert 'clip.mp4: count 6' in out
    assert '1 of 2 videos failed: bad.mp4' in error
    assert (folder / 'results' / 'clip.json').is_file()


@pytest.mark.parametrize('target', ['-', 'new/lines.jsonl'])
def test_predict_json_lines(folder, capsys, checkpoint, target):
    (folder / 'bad.mp4').write_bytes(b'no video')
    code, out, error = run(
        capsys, 'predict', TOY, 'bad.mp4', 'clip.mp4', '--checkpoint', checkpoint,
        '--json-lines', target, '--start', '0.2', '--end', '0.5',
    )  # fmt: skip
    assert code == 1
    assert '1 of 2 videos failed: bad.mp4' in error
    text = out if target == '-' else (folder / target).read_text()
    (line,) = map(json.loads, text.splitlines())
    assert (line['video'], line['count'], line['fps']) == ('clip.mp4', 3, 10)
    assert not (folder / 'results').exists()


def test_a_reader_of_lines_may_leave(folder, checkpoint, monkeypatch):
    """As in `mmotion predict ... --json-lines - | head -1`."""
    reader, writer = os.pipe()
    os.close(reader)
    command = ['predict', TOY, 'clip.mp4', '--checkpoint', checkpoint, '--json-lines', '-']
    with open(writer, 'w') as stdout:
        monkeypatch.setattr(sys, 'stdout', stdout)
        assert main(command) == 0


@pytest.fixture
def detector(monkeypatch):
    """What the command line asks `build_detector` for; it finds nobody."""
    asked = []

    class Nobody:
        name = 'nobody'
        skeleton = COCO17

        def detect(self, images):
            return [[] for _ in images]

    def build(*arguments):
        asked.append(arguments)
        return Nobody()

    monkeypatch.setattr('mmotion.keypoints.detectors.build_detector', build)
    return asked


def test_extract_keypoints(folder, capsys, detector):
    (folder / 'bad.mp4').write_bytes(b'no video')
    code, out, error = run(
        capsys, 'extract-keypoints', '.', '--detector', 'mediapipe', '--model-path', 'p.task',
        '--device', 'cpu', '--every', '2', '--out', 'o', '--workers', '2', '--keep', 'best',
    )  # fmt: skip
    assert code == 1
    assert detector == [('mediapipe', 'p.task', 'cpu')] * 2
    assert '1 of them show nobody: clip.mp4' in out
    assert '1 of 2 videos failed: bad.mp4' in error
    assert read_poses(folder / 'o' / 'clip.json').frame_indices.tolist() == [0, 2, 4]
    assert run(capsys, 'extract-keypoints', 'clip.mp4', '--out', 'p')[0] == 0
    assert detector[-1] == ('keypoint_rcnn', None, None)


def test_stopping_an_extraction_tells_how_to_go_on(folder, capsys, monkeypatch):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr('mmotion.keypoints.extraction.extract_keypoints', stop)
    code, _, error = run(capsys, 'extract-keypoints', 'clip.mp4')
    assert code == 130
    assert 'the same command goes on with the videos that are left' in error


def test_predict_hands_the_detector_to_the_predictor(folder, capsys, checkpoint, monkeypatch):
    asked = {}

    class PosePredictor(PREDICTORS.get('ToyPredictor')):
        def __init__(self, *, detector=None, model_path=None, **options):
            asked.update(detector=detector, model_path=model_path)
            super().__init__(**options)

    monkeypatch.setitem(PREDICTORS.module_dict, 'ToyPredictor', PosePredictor)
    command = ['predict', TOY, 'clip.mp4', '--checkpoint', checkpoint]
    assert run(capsys, *command, '--detector', 'rtmlib', '--model-path', 'm.onnx')[0] == 0
    assert asked == {'detector': 'rtmlib', 'model_path': 'm.onnx'}
    assert run(capsys, *command)[0] == 0
    assert asked == {'detector': None, 'model_path': None}


def test_help_of_a_detector_names_the_files(capsys):
    for command in ('predict', 'extract-keypoints'):
        code, out, _ = run(capsys, command, '--help')
        assert code == 0
        assert all(name in out for name in DETECTORS)


def test_list_and_doctor(capsys):
    code, out, _ = run(capsys, 'list')
    assert code == 0
    assert 'example_project_dots' in out
    code, out, _ = run(capsys, 'doctor')
    assert code == 0
    assert 'torchvision' in out
    assert 'BROKEN' not in out


def test_convert(folder, capsys, monkeypatch):
    def convert(state_dict):
        return {f'new.{name}': value for name, value in state_dict.items()}

    monkeypatch.setattr('mmotion.cli.catalog.import_converter', lambda system: convert)
    code, out, _ = run(capsys, 'convert', 'any', 'other.pth', 'made/ours.pth')
    assert code == 0
    assert '1 tensors written to made/ours.pth' in out
    made = torch.load(folder / 'made' / 'ours.pth', weights_only=True)
    assert list(made['state_dict']) == ['new.other']
    assert made['meta'] == {'system': 'any', 'converted_from': 'other.pth'}


def test_an_error_in_the_middle_of_training_shows_where_it_is(folder, monkeypatch):
    def fail(self, runner):
        raise ValueError('out of ideas')

    monkeypatch.setattr('mmengine.hooks.ParamSchedulerHook.after_train_epoch', fail)
    with pytest.raises(RuntimeError, match='training failed after 8 steps: out of ideas'):
        main(['train', TOY, '--cfg-options', 'log_level=ERROR'])


def test_help_imports_nothing_heavy():
    code = (
        'import sys, mmotion.cli.parser; mmotion.cli.parser.build_parser();'
        "sys.exit(any(name in sys.modules for name in ('torch', 'numpy', 'mmengine', 'cv2')))"
    )
    assert subprocess.run([sys.executable, '-c', code], cwd=CHECKOUT).returncode == 0
