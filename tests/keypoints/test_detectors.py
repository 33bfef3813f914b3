import contextlib
import gc
import re
import sys
import threading
from pathlib import Path
from types import ModuleType, SimpleNamespace
from urllib.error import URLError

import numpy as np
import pytest
import torch
from torchvision.models.detection import (
    KeypointRCNN_ResNet50_FPN_Weights,
    keypointrcnn_resnet50_fpn,
)

from mmotion.checkpoint import CheckpointError, released
from mmotion.keypoints.detectors import DETECTORS, build_detector
from mmotion.keypoints.extraction import extract_poses
from mmotion.keypoints.skeletons import COCO17, MEDIAPIPE33

IMAGE = np.zeros((40, 60, 3), np.uint8)
IMAGE[..., 0] = 200


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    """Weights of torchvision's own model that sees people everywhere."""
    torch.manual_seed(0)
    model = keypointrcnn_resnet50_fpn(weights=None, weights_backbone=None)
    state_dict = {
        name: value.half()
        for name, value in model.state_dict().items()
        if not name.endswith('num_batches_tracked')
    }
    state_dict['roi_heads.box_predictor.cls_score.bias'] = torch.tensor([0.0, 5.0])
    path = tmp_path_factory.mktemp('weights') / 'rcnn.pth'
    torch.save(state_dict, path)
    return path


def test_keypoint_rcnn_reads_its_weights_from_a_file(weights):
    detector = build_detector('keypoint_rcnn', weights, 'cpu', max_persons=2)
    assert (detector.name, detector.skeleton) == ('keypoint_rcnn rcnn.pth', COCO17)
    # the usual 800 pixels take seconds
    detector.model.transform.min_size = (64,)
    assert detector.detect([]) == []
    noise = np.random.default_rng(0).integers(0, 256, (48, 32, 3), np.uint8)
    first, second = detector.detect([IMAGE, noise])
    assert len(first) == 2
    assert first[0].score >= first[1].score > 0.5
    for person in first:
        assert person.keypoints.shape == (17, 2)
        assert person.track is None
        assert (person.box_xyxy[[0, 2]] <= 60).all()
        assert (person.box_xyxy[[1, 3]] <= 40).all()
        assert ((person.scores > 0) & (person.scores < 1)).all()
    # an image is judged by itself
    alone = detector.detect([noise])[0]
    assert len(second) == len(alone)


def test_keypoint_rcnn_is_downloaded_without_a_file(weights, monkeypatch):
    asked = []
    monkeypatch.setattr(released, 'fetch_released', lambda name: asked.append(name) or weights)
    assert build_detector('keypoint_rcnn', device='cpu').name == 'keypoint_rcnn keypoint_rcnn_coco'
    assert asked == ['keypoint_rcnn_coco']


def test_without_network_it_is_said_what_to_do(monkeypatch, tmp_path):
    def fail(*_):
        raise URLError('no network')

    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, 'download_url_to_file', fail)
    with pytest.raises(CheckpointError, match=r'got http\S+\.pth .*no network.* give the path'):
        build_detector('keypoint_rcnn')


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, bait):
        self.bait = str(bait)

    def __reduce__(self):
        return open, (self.bait, 'w')


@pytest.mark.parametrize('zipped', [True, False])
def test_what_lies_in_the_cache_is_not_run(weights, monkeypatch, tmp_path, zipped):
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    url, bait = KeypointRCNN_ResNet50_FPN_Weights.COCO_V1.url, tmp_path / 'ran'
    planted = tmp_path / 'checkpoints' / Path(url).name
    planted.parent.mkdir()
    content = {**torch.load(weights), 'trap': Trap(bait)}
    torch.save(content, planted, _use_new_zipfile_serialization=zipped)
    torch.load(planted, weights_only=False)
    bait.unlink()
    with pytest.raises(
        CheckpointError, match=r'must be the file with the SHA-256 fc266e95, got .* delete it'
    ):
        build_detector('keypoint_rcnn', device='cpu')
    # nor is it if somebody makes its name and its hash fit
    monkeypatch.setattr('mmotion.checkpoint.downloads._HASHED_NAME', re.compile('none'))
    monkeypatch.setattr(released, 'check_hash', lambda path, sha256: None)
    monkeypatch.setattr(
        torch.hub, 'download_url_to_file', lambda _, path, *__: planted.rename(path)
    )
    with contextlib.suppress(CheckpointError):
        build_detector('keypoint_rcnn', device='cpu')
    assert not planted.exists() and not bait.exists()


def test_wrong_weights_and_devices(weights, tmp_path):
    (tmp_path / 'text.pth').write_text('not weights')
    with pytest.raises(ValueError, match=r'got a text file: .*text\.pth'):
        build_detector('keypoint_rcnn', tmp_path / 'text.pth')
    with pytest.raises(ValueError, match="device must be 'cpu' or a GPU, got device='tpu9'"):
        build_detector('keypoint_rcnn', weights, 'tpu9')


@pytest.mark.parametrize('name', DETECTORS)
def test_a_file_that_is_not_there(name):
    with pytest.raises(FileNotFoundError, match=r"got 'no\.model'; check its spelling"):
        build_detector(name, 'no.model')


def test_wrong_use():
    message = "must be one of keypoint_rcnn, mediapipe, rtmlib, got detector='openpose'"
    with pytest.raises(ValueError, match=message):
        build_detector('openpose')
    with pytest.raises(ValueError, match='max_persons must be at least 1, got max_persons=0'):
        build_detector(max_persons=0)


@pytest.mark.parametrize('name', ['mediapipe', 'rtmlib'])
def test_a_package_that_is_not_installed(name, tmp_path, monkeypatch):
    (tmp_path / 'model').touch()
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=f'must have its package {name}, .*; pip install'):
        build_detector(name, tmp_path / 'model')


@pytest.fixture
def mediapipe(monkeypatch):
    """What is used of the package, with two people of fixed places in each image."""

    class PoseLandmarker:
        @classmethod
        def create_from_options(cls, options):
            if 'bad' in options.base_options.model_asset_path:
                raise RuntimeError('Unable to open zip archive.')
            self = cls()
            self.options, self.is_closed = options, False
            return self

        def close(self):
            self.is_closed = True

        def detect(self, image):
            assert image.data.flags.c_contiguous
            marks = [
                [SimpleNamespace(x=0.5, y=1.25, visibility=belief)] * 33 for belief in (None, 0.75)
            ]
            return SimpleNamespace(pose_landmarks=marks)

    delegate = SimpleNamespace(CPU=1, GPU=2)
    options = type('BaseOptions', (SimpleNamespace,), {'Delegate': delegate})
    modules = {
        'mediapipe': {'Image': SimpleNamespace, 'ImageFormat': SimpleNamespace(SRGB=1)},
        'mediapipe.tasks.python': {'BaseOptions': options},
        'mediapipe.tasks.python.vision': {
            'PoseLandmarkerOptions': SimpleNamespace,
            'RunningMode': SimpleNamespace(IMAGE='IMAGE'),
            'PoseLandmarker': PoseLandmarker,
        },
    }
    for name, values in modules.items():
        module = ModuleType(name)
        vars(module).update(values)
        monkeypatch.setitem(sys.modules, name, module)


@pytest.mark.usefixtures('mediapipe')
def test_mediapipe(tmp_path):
    (tmp_path / 'pose.task').touch()
    detector = build_detector('mediapipe', str(tmp_path / 'pose.task'), max_persons=3)
    assert (detector.name, detector.skeleton) == ('mediapipe pose.task', MEDIAPIPE33)
    options = detector._landmarkers[0].options
    assert (options.num_poses, options.base_options.delegate) == (3, 1)
    # shares of width and height become pixels, also below the picture
    (sure, unsure), _ = detector.detect([IMAGE[:, ::-1], IMAGE])
    assert sure.keypoints.tolist() == [[30, 50]] * 33
    assert (sure.score, sure.scores.tolist(), unsure.score) == (0.75, [0.75] * 33, 0)


@pytest.mark.usefixtures('mediapipe')
def test_mediapipe_takes_released_models_by_their_names(tmp_path, monkeypatch):
    monkeypatch.setattr(released, 'fetch_released', lambda name: tmp_path / f'{name}.task')
    for name in ('pose_landmarker_full', 'pose_landmarker_heavy'):
        detector = build_detector(model_path=None if name.endswith('full') else name)
        assert detector.name == f'mediapipe {name}'
        path = detector._landmarkers[0].options.base_options.model_asset_path
        assert path == str(tmp_path / f'{name}.task')


@pytest.mark.usefixtures('mediapipe')
def test_mediapipe_gives_each_core_a_landmarker(tmp_path, monkeypatch):
    (tmp_path / 'pose.task').touch()
    monkeypatch.setenv('OMP_NUM_THREADS', '3')
    detector = build_detector('mediapipe', tmp_path / 'pose.task')
    # all three must be at work at once for any to be done
    meeting = threading.Barrier(3, timeout=30)
    for landmarker in detector._landmarkers:
        detect = landmarker.detect
        landmarker.detect = lambda picture, detect=detect: (meeting.wait(), detect(picture))[1]
    found = detector.detect([IMAGE[:, ::-1], IMAGE, IMAGE] * 2)
    assert len(found) == 6
    alone = build_detector('mediapipe', tmp_path / 'pose.task').detect([IMAGE[:, ::-1], IMAGE])
    for people, wanted in zip(found[:2], alone, strict=True):
        assert [person.score for person in people] == [person.score for person in wanted]


@pytest.mark.usefixtures('mediapipe')
def test_mediapipe_is_closed_with_its_detector(tmp_path):
    (tmp_path / 'pose.task').touch()
    detector = build_detector('mediapipe', tmp_path / 'pose.task')
    landmarkers = detector._landmarkers
    del detector
    gc.collect()
    assert landmarkers and all(landmarker.is_closed for landmarker in landmarkers)


@pytest.mark.usefixtures('mediapipe')
def test_mediapipe_on_a_gpu_and_with_a_broken_file(tmp_path):
    for name in ('pose.task', 'bad.task'):
        (tmp_path / name).touch()
    detector = build_detector('mediapipe', tmp_path / 'pose.task', 'cuda')
    assert detector._landmarkers[0].options.base_options.delegate == 2
    with pytest.raises(ValueError, match="'cpu' or 'cuda' for mediapipe, got device='cuda:1'"):
        build_detector('mediapipe', tmp_path / 'pose.task', 'cuda:1')
    message = r'got model_path=.*bad\.task and device=None: Unable to open zip archive'
    with pytest.raises(ValueError, match=message):
        build_detector('mediapipe', tmp_path / 'bad.task')


@pytest.fixture
def rtmlib(monkeypatch):
    """What is used of the packages: two people, of whom the second one has a lost point."""
    points = np.arange(2 * 17 * 2, dtype=np.float32).reshape(2, 17, 2)
    scores = np.full((2, 17), 0.5, np.float32)
    scores[0, 3], scores[1] = 0, 1.1

    class Tool:
        def __init__(self, onnx_model, backend, device):
            print('load', onnx_model)
            if device not in ('cpu', 'cuda'):
                raise KeyError(device)
            self.onnx_model, self.device = onnx_model, device
            name = Path(onnx_model).name
            shape = ['batch', 3, 256, 192] if 'rtmpose' in name else [1, 3, 320, 640]
            if 'vary' in name:
                shape = ['batch', 3, 'height', 'width']
            self.model_input_size = 'default'
            inputs = [SimpleNamespace(shape=shape)]
            self.session = SimpleNamespace(get_inputs=lambda: inputs)

    class YOLOX(Tool):
        def __call__(self, image):
            # red is last
            assert image[0, 0].tolist() == [0, 0, image.max()]
            return np.array([]) if not image.any() else np.array([[0, 0, 9, 9], [1, 2, 30, 40.0]])

    class RTMPose(Tool):
        def __call__(self, image, bboxes=()):
            return points, scores

    class RTMO(Tool):
        def __call__(self, image):
            if 'points' in Path(self.onnx_model).name:
                return np.zeros((1, 26, 2)), np.ones((1, 26))
            return (points, scores) if image.any() else (points[:1] * 0, scores[:1] * 0)

    def find_body(mode, backend, device):
        raise OSError('no network')

    tools = {'YOLOX': YOLOX, 'RTMPose': RTMPose, 'RTMO': RTMO, 'Body': find_body}
    runtime = {'get_available_providers': lambda: ['CPUExecutionProvider']}
    for name, values in {'rtmlib': tools, 'onnxruntime': runtime}.items():
        module = ModuleType(name)
        vars(module).update(values)
        monkeypatch.setitem(sys.modules, name, module)


def put(folder, *names: str):
    for name in names:
        (folder / name).touch()
    return folder


@pytest.mark.usefixtures('rtmlib')
def test_rtmlib_with_rtmpose(tmp_path, capsys):
    folder = put(tmp_path, 'yolox_m.onnx', 'rtmpose-m.onnx')
    detector = build_detector('rtmlib', folder)
    assert capsys.readouterr().out == ''
    assert detector._find_boxes.model_input_size == (320, 640)
    assert detector._find_points.model_input_size == (192, 256)
    (sure, unsure), nobody = detector.detect([IMAGE, 0 * IMAGE])
    assert nobody == []
    assert (sure.score, unsure.scores[3]) == (1, 0)
    assert np.isnan(unsure.keypoints[3]).all()
    assert sure.box_xyxy.tolist() == [1, 2, 30, 40]
    assert len(build_detector('rtmlib', folder, max_persons=1).detect([IMAGE])[0]) == 1


@pytest.mark.usefixtures('rtmlib')
def test_rtmlib_with_rtmo(tmp_path):
    put(tmp_path, 'rtmo.onnx', 'vary.onnx', 'points.onnx')
    detector = build_detector('rtmlib', tmp_path / 'rtmo.onnx')
    assert (detector.name, detector.skeleton) == ('rtmlib rtmo.onnx', COCO17)
    people, nobody = detector.detect([IMAGE, 0 * IMAGE])
    assert (len(people), people[0].box_xyxy, nobody) == (2, None, [])
    vary = build_detector('rtmlib', tmp_path / 'vary.onnx')
    assert vary._find_points.model_input_size == 'default'
    with pytest.raises(ValueError, match='must give 17 points, got 26; take one'):
        build_detector('rtmlib', tmp_path / 'points.onnx').detect([IMAGE])


@pytest.mark.usefixtures('rtmlib')
def test_wrong_use_of_rtmlib(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'one yolox\*\.onnx .*, got 0 in'):
        build_detector('rtmlib', tmp_path)
    with pytest.raises(FileNotFoundError, match=r'one rtmpose\*\.onnx .*, got 2 in'):
        build_detector('rtmlib', put(tmp_path, 'yolox.onnx', 'rtmpose-m.onnx', 'rtmpose-x.onnx'))
    with pytest.raises(ValueError, match=r"that onnxruntime can run .* and device='tpu9'"):
        build_detector('rtmlib', put(tmp_path, 'rtmo.onnx') / 'rtmo.onnx', 'tpu9')
    with pytest.raises(ValueError, match="there for onnxruntime, got device='cuda:1'; pip install"):
        build_detector('rtmlib', tmp_path / 'rtmo.onnx', 'cuda:1')
    with pytest.raises(OSError, match=r'got no network; .* name it by model_path'):
        build_detector('rtmlib')


def test_mediapipe_on_a_real_clip(data_root, capfd):
    pytest.importorskip('mediapipe')
    try:
        detector = build_detector('mediapipe', device='cpu')
    except CheckpointError as error:
        pytest.skip(f'needs pose_landmarker_full: {error}')
    poses = extract_poses(data_root / 'reps' / 'jumpingjacks_kaua.mp4', detector, every=6, end_s=4)
    assert poses.num_detections == len(poses.frames) == 17
    assert poses.tracks == (0,)
    keypoints, scores = poses.main_track()
    assert scores.mean() > 0.9
    nose, wrist, hip, knee, ankle = (
        keypoints[:, MEDIAPIPE33.points.index(name), 1]
        for name in ('nose', 'left_wrist', 'left_hip', 'left_knee', 'left_ankle')
    )
    # somebody stands, and throws the arms over the head several times
    assert ((nose < hip) & (hip < knee) & (knee < ankle)).all()
    is_up = wrist < nose
    assert np.abs(np.diff(is_up.astype(int))).sum() >= 6
    # nothing is left of the fifty lines of its log
    assert capfd.readouterr().err == ''
