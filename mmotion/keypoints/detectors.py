"""Detectors of people and their keypoints, behind one protocol.

| name | points | package | `model_path` | without it |
|---|---|---|---|---|
| mediapipe | MEDIAPIPE33 | mediapipe | a Pose Landmarker bundle (.task) | pose_landmarker_full |
| keypoint_rcnn | COCO17 | torchvision | weights (.pth) | keypoint_rcnn_coco |
| rtmlib | COCO17 | rtmlib | RTMO (.onnx), or a folder with YOLOX and RTMPose | rtmlib downloads |

`model_path` may also be a name of "mmotion models", such as pose_landmarker_heavy. It is fetched
once and checked, see `mmotion.checkpoint.released`, and so are those of the last column.

A detector looks at each image by itself and forgets it, so frames may be far apart, and the order
in which videos are read makes no difference. `mmotion.keypoints.tracking` tells who is who.

Sources:
    Keypoint R-CNN: He et al., Mask R-CNN, ICCV 2017, section 5, https://arxiv.org/abs/1703.06870
    mediapipe: https://ai.google.dev/edge/mediapipe/solutions/vision/pose_landmarker
    rtmlib: https://github.com/Tau-J/rtmlib (RTMPose, https://arxiv.org/abs/2303.07399)

Shape letters in this file: K points of a skeleton, M people in an image.
"""

import contextlib
import importlib
import io
import os
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from types import ModuleType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mmotion.checks import check_at_least, check_choice, choose_device, read_num_threads
from mmotion.compat import close_landmarker, hide_native_log
from mmotion.keypoints.poses import Person
from mmotion.keypoints.skeletons import COCO17, MEDIAPIPE33, Skeleton

DEFAULT_DETECTOR = 'mediapipe'
MAX_PERSONS = 5
# of mediapipe, each some 50 MB
MAX_LANDMARKERS = 4
# people below it are left out; mediapipe's own default
MIN_SCORE = 0.5


class PoseDetector(Protocol):
    """Finds people in images.

    Attributes:
        name: What files call it, with the model that it uses.
        skeleton: What the K points of a person are.
    """

    name: str
    skeleton: Skeleton

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> list[list[Person]]:
        """Find the people in each image, the best-scoring first, without tracks.

        Args:
            images: RGB (H, W, 3), uint8, any number of them and of any sizes.
        """
        ...


class KeypointRCNNDetector:
    """Keypoint R-CNN with a ResNet-50, as torchvision trains it; several images at a time.

    The score of a point is the sigmoid of the highest value of its heat map.

    Args:
        model_path: File with the weights, or a name of them; None for `released`.
        device: 'cpu', 'cuda', 'cuda:1', ...; None takes a GPU if there is one.
        max_persons: Most people in an image.

    Raises:
        CheckpointError: If the file cannot be read, does not fit, or cannot be downloaded.
        ValueError: If the device is not there.
    """

    skeleton = COCO17
    released = 'keypoint_rcnn_coco'

    def __init__(self, *, model_path: Path | None, device: str | None, max_persons: int) -> None:
        # slow to import, as all of torch is, and what reads keypoints needs none of it
        from torchvision.models.detection import KeypointRCNN
        from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
        from torchvision.ops import FrozenBatchNorm2d

        from mmotion.checkpoint.weights import load_weights

        self.device = choose_device(device)
        # as torchvision's own builder does with these weights, but that one needs the network
        norm_layer: Any = partial(FrozenBatchNorm2d, eps=0.0)
        backbone = resnet_fpn_backbone(
            backbone_name='resnet50', weights=None, norm_layer=norm_layer
        )
        self.model = KeypointRCNN(
            backbone,
            num_classes=2,
            box_score_thresh=MIN_SCORE,
            box_detections_per_img=max_persons,
        )
        model = model_path or Path(self.released)
        self.name = f'keypoint_rcnn {model.name}'
        load_weights(self.model, _fetch_model(model))
        self.model.to(self.device).eval()

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> list[list[Person]]:
        """See `PoseDetector.detect`."""
        import torch

        if not images:
            return []
        batch = [torch.tensor(image, device=self.device) for image in images]
        with torch.inference_mode():
            outputs = self.model([image.permute(2, 0, 1) / 255 for image in batch])
        return [
            [
                _make_person(points[:, :2], scores, score=score, box=box)
                for points, scores, score, box in zip(
                    output['keypoints'].cpu().numpy(),
                    output['keypoints_scores'].sigmoid().cpu().numpy(),
                    output['scores'].tolist(),
                    output['boxes'].cpu().numpy(),
                    strict=True,
                )
            ]
            for output in outputs
        ]


class MediapipeDetector:
    """Mediapipe's Pose Landmarker in its image mode.

    The score of a point is its visibility, that of a person the mean of them; mediapipe gives no
    other. A point outside of the picture is there, where mediapipe supposes it to be.

    mediapipe works on a picture in one thread, so each core gets a landmarker of its own;
    a GPU gets one.

    Args:
        model_path: The `.task` file, or a name of one; None for `released`.
        device: None and 'cpu' for the CPU, 'cuda' for mediapipe's GPU delegate.
        max_persons: Most people in an image.

    Raises:
        ImportError: If mediapipe is not installed.
        CheckpointError: If the file cannot be downloaded.
        ValueError: If the file is no Pose Landmarker, or the device is not there.
    """

    skeleton = MEDIAPIPE33
    released = 'pose_landmarker_full'

    def __init__(self, *, model_path: Path | None, device: str | None, max_persons: int) -> None:
        if device not in (None, 'cpu', 'cuda'):
            raise ValueError(
                f"device must be 'cpu' or 'cuda' for mediapipe, got device={device!r}; give "
                'none to take the CPU'
            )
        self._mediapipe = _import('mediapipe', 'pip install "mmotion[pose]"')
        tasks = importlib.import_module('mediapipe.tasks.python')
        vision = importlib.import_module('mediapipe.tasks.python.vision')
        delegate = tasks.BaseOptions.Delegate
        model = model_path or Path(self.released)
        self.name = f'mediapipe {model.name}'
        file = _fetch_model(model)
        options = vision.PoseLandmarkerOptions(
            base_options=tasks.BaseOptions(
                model_asset_path=str(file),
                delegate=delegate.GPU if device == 'cuda' else delegate.CPU,
            ),
            running_mode=vision.RunningMode.IMAGE,
            num_poses=max_persons,
            min_pose_detection_confidence=MIN_SCORE,
        )
        number = min(read_num_threads() or os.cpu_count() or 1, MAX_LANDMARKERS)
        number = 1 if device == 'cuda' else number
        try:
            with hide_native_log():
                self._landmarkers = [
                    vision.PoseLandmarker.create_from_options(options) for _ in range(number)
                ]
        except (RuntimeError, ValueError, OSError) as error:
            raise ValueError(
                'model_path must be a Pose Landmarker bundle (.task) that mediapipe can run on '
                f'the device, got model_path={file} and device={device!r}: {error}; '
                'download the file again, or give no device'
            ) from error
        # those that no thread uses now
        self._free: SimpleQueue[Any] = SimpleQueue()
        for landmarker in self._landmarkers:
            weakref.finalize(self, close_landmarker, landmarker)
            self._free.put(landmarker)
        self._is_quiet = False

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> list[list[Person]]:
        """See `PoseDetector.detect`."""
        quiet = nullcontext() if self._is_quiet else hide_native_log()
        with quiet, ThreadPoolExecutor(len(self._landmarkers)) as pool:
            found = list(pool.map(self._detect, images))
        # it says the last things about the first person
        self._is_quiet = self._is_quiet or any(found)
        return found

    def _detect(self, image: NDArray[np.uint8]) -> list[Person]:
        picture = self._mediapipe.Image(
            image_format=self._mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(image)
        )
        height, width = image.shape[:2]
        landmarker = self._free.get()
        try:
            found = landmarker.detect(picture).pose_landmarks
        finally:
            self._free.put(landmarker)
        people = []
        for landmarks in found:
            points = np.array([(mark.x * width, mark.y * height) for mark in landmarks])
            scores = np.array([mark.visibility or 0.0 for mark in landmarks])
            people.append(_make_person(points, scores))
        return sorted(people, key=lambda person: -person.score)


class RtmlibDetector:
    """RTMO, or YOLOX followed by RTMPose, through onnxruntime.

    The score of a person is the mean of those of the points; rtmlib gives no other.

    Args:
        model_path: An RTMO model (.onnx), or a folder with one `yolox*.onnx` and one
            `rtmpose*.onnx`, as rtmlib names its downloads; None lets rtmlib download the last two.
        device: 'cpu', 'cuda', 'cuda:1', ...; None takes a GPU if onnxruntime can.
        max_persons: Most people in an image.

    Raises:
        ImportError: If rtmlib is not installed.
        FileNotFoundError: If the folder lacks a model.
        ValueError: If onnxruntime cannot read a model, or not on this device.
        OSError: If the models cannot be downloaded.
    """

    skeleton = COCO17

    def __init__(self, *, model_path: Path | None, device: str | None, max_persons: int) -> None:
        rtmlib = _import('rtmlib', 'pip install rtmlib onnxruntime')
        runtime = _import('onnxruntime', 'pip install onnxruntime')
        has_gpu = 'CUDAExecutionProvider' in runtime.get_available_providers()
        if device is None:
            device = 'cuda' if has_gpu else 'cpu'
        elif device.startswith('cuda') and not has_gpu:
            # onnxruntime would go on without
            raise ValueError(
                f'device must be there for onnxruntime, got device={device!r}; '
                'pip install onnxruntime-gpu in place of onnxruntime, or give no device'
            )
        options = {'backend': 'onnxruntime', 'device': device}
        self.max_persons = max_persons
        self.name = f'rtmlib {model_path.name if model_path else "balanced"}'
        self._find_boxes: Any = None
        try:
            # rtmlib prints what it loads, which is not for stdout
            with contextlib.redirect_stdout(io.StringIO()):
                if model_path is None:
                    body = rtmlib.Body(mode='balanced', **options)
                    self._find_boxes, self._find_points = body.det_model, body.pose_model
                elif model_path.is_dir():
                    boxes, points = (_find_onnx(model_path, name) for name in ('yolox', 'rtmpose'))
                    self._find_boxes = rtmlib.YOLOX(str(boxes), **options)
                    self._find_points = rtmlib.RTMPose(str(points), **options)
                    _read_input_size(self._find_boxes)
                    _read_input_size(self._find_points, width_first=True)
                else:
                    self._find_points = rtmlib.RTMO(str(model_path), **options)
                    _read_input_size(self._find_points)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise OSError(
                f'the models of rtmlib must be given or downloaded, got {error}; put a YOLOX and '
                'an RTMPose model (.onnx, see https://github.com/Tau-J/rtmlib) into a folder and '
                'name it by model_path'
            ) from error
        except Exception as error:
            # onnxruntime has exceptions of its own, derived from Exception alone
            raise ValueError(
                'model_path must be models that onnxruntime can run on the device, got '
                f'model_path={model_path} and device={device!r}: {error}'
            ) from error

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> list[list[Person]]:
        """See `PoseDetector.detect`."""
        return [self._detect(image) for image in images]

    def _detect(self, image: NDArray[np.uint8]) -> list[Person]:
        # as OpenCV reads images: blue first
        image = np.ascontiguousarray(image[:, :, ::-1])
        boxes = None
        if self._find_boxes is None:
            points, scores = self._find_points(image)
        else:
            boxes = self._find_boxes(image)
            # without a box, RTMPose would take the whole picture for a person
            if not len(boxes):
                return []
            points, scores = self._find_points(image, bboxes=boxes)
        if points.shape[1:] != (self.skeleton.num_points, 2):
            raise ValueError(
                f'the model of rtmlib must give {self.skeleton.num_points} points, got '
                f'{points.shape[1]}; take one that is trained on the 17 points of COCO'
            )
        # a point that was not found has a score of 0 or less, and RTMO finds nobody so
        points = np.where(scores[..., None] > 0, points, np.nan)
        people = [
            _make_person(points[i], scores[i], box=None if boxes is None else boxes[i][:4])
            for i in range(len(points))
            if (scores[i] > 0).any()
        ]
        return sorted(people, key=lambda person: -person.score)[: self.max_persons]


DETECTORS = {
    'keypoint_rcnn': KeypointRCNNDetector,
    'mediapipe': MediapipeDetector,
    'rtmlib': RtmlibDetector,
}


def build_detector(
    name: str = DEFAULT_DETECTOR,
    model_path: str | Path | None = None,
    device: str | None = None,
    *,
    max_persons: int = MAX_PERSONS,
) -> PoseDetector:
    """Build a detector by its name.

    Args:
        name: One of `DETECTORS`.
        model_path: What it needs is in the table at the top of this file.
        device: 'cpu', 'cuda', ...; None takes a GPU where the detector can.
        max_persons: Most people in an image, at least 1; the best-scoring are kept.

    Raises:
        ValueError: If the name is unknown, or the model or the device cannot be used.
        FileNotFoundError: If there is no such file.
        ImportError: If the package of the detector is not installed.
        OSError: If a model cannot be downloaded.
    """
    check_choice('detector', name, DETECTORS)
    check_at_least('max_persons', max_persons, 1)
    if (
        model_path is not None
        and not Path(model_path).expanduser().exists()
        and not _is_released(model_path)
    ):
        raise FileNotFoundError(
            'model_path must be a file that is there, or a detector of "mmotion models", got '
            f'{os.fspath(model_path)!r}; check its spelling'
        )
    path = None if model_path is None else Path(model_path).expanduser()
    return DETECTORS[name](model_path=path, device=device, max_persons=max_persons)


def _is_released(name: str | Path) -> bool:
    # imports torch, which a file does not need
    from mmotion.checkpoint.released import read_table

    released = read_table().get(str(name))
    return released is not None and released.system == 'keypoints'


def _fetch_model(path: Path) -> Path:
    """A file, which may be given by the name of released weights."""
    from mmotion.checkpoint.released import fetch_if_released

    return Path(fetch_if_released(path))


def _make_person(
    points: NDArray[Any],
    scores: NDArray[Any],
    *,
    score: float | None = None,
    box: NDArray[Any] | None = None,
) -> Person:
    """Put together what a detector says of keypoints (K, 2) with scores (K,)."""
    scores = np.clip(scores, 0, 1)
    return Person(
        keypoints=points.astype(np.float32),
        scores=scores.astype(np.float32),
        score=float(scores.mean()) if score is None else score,
        box_xyxy=None if box is None else np.asarray(box, np.float32),
    )


def _import(package: str, remedy: str) -> ModuleType:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ImportError(
            f'detector must have its package {package}, which cannot be imported: {error}; '
            f'{remedy}, or choose another --detector'
        ) from error


def _find_onnx(folder: Path, name: str) -> Path:
    found = sorted(folder.glob(f'{name}*.onnx'))
    if len(found) != 1:
        raise FileNotFoundError(
            f'model_path must be a folder with one {name}*.onnx and another model beside it, got '
            f'{len(found)} in {folder}; rename the models or leave the right one'
        )
    return found[0]


def _read_input_size(tool: Any, *, width_first: bool = False) -> None:
    """Let a tool of rtmlib, which supposes a size, use the one of its model."""
    size = tuple(tool.session.get_inputs()[0].shape[-2:])
    # a size that may vary is a name or None
    if all(isinstance(side, int) for side in size):
        tool.model_input_size = size[::-1] if width_first else size
