"""Models of all systems watch several cameras, and say of each what they say of it alone."""

import io
import json

import numpy as np
import pytest

from mmotion.inference import load_model
from mmotion.inference.camera_list import Camera
from mmotion.inference.many_cameras import watch_cameras
from mmotion.keypoints.poses import Person
from mmotion.keypoints.skeletons import FIGURE
from mmotion.shapes import MotionShapes
from tests.random_weights import make_checkpoint
from tests.video_files import encode

NUM_CAMERAS = 4
NUM_FRAMES = 70


class SpotDetector:
    """Finds a person where a picture is brightest, and one on the other side."""

    name = 'spot'
    skeleton = FIGURE

    def detect(self, images):
        return [self._find(image.mean(2)) for image in images]

    def _find(self, image):
        y, x = np.unravel_index(image.argmax(), image.shape)
        spread = 3.0 * np.stack([np.arange(15) % 5, np.arange(15) // 5], 1)
        ones = np.ones(15, np.float32)
        places = ([x, y], [image.shape[1] - x, image.shape[0] - y])
        return [
            Person(keypoints=(spread + place).astype(np.float32), scores=ones, score=score)
            for place, score in zip(places, (1.0, 0.5), strict=True)
        ]


@pytest.fixture(scope='module')
def cameras(tmp_path_factory):
    """Films of other things, of which one has another size."""
    folder, found = tmp_path_factory.mktemp('films'), []
    shapes = MotionShapes(split='test', size=96, num_frames=(NUM_FRAMES, NUM_FRAMES))
    for number in range(NUM_CAMERAS):
        frames = shapes[number].render()[:, : 80 if number else 96]
        file = encode(folder / f'{number}.mp4', frames)
        found.append(Camera(name=f'film {number}', url=str(file), realtime=True, queue=NUM_FRAMES))
    return found


@pytest.mark.parametrize(
    'name',
    [
        pytest.param('anomaly_shapes', marks=pytest.mark.slow),
        'bkind_shapes',
        pytest.param('example_project_dots', marks=pytest.mark.slow),
        pytest.param('pose_transformer_shapes', marks=pytest.mark.slow),
        pytest.param('repnet_pose', marks=pytest.mark.slow),
        'repnet_small',
        'timesformer_shapes',
    ],
)
def test_several_are_answered_as_each_alone(name, cameras, tmp_path, monkeypatch):
    monkeypatch.setattr('mmotion.keypoints.detectors.build_detector', lambda *_: SpotDetector())
    # a detector of anomalies must know what is normal
    checkpoint = make_checkpoint(name, tmp_path) if 'anomaly' in name else 'random'
    predictor = load_model(name, checkpoint, device='cpu')
    lines = io.StringIO()
    assert watch_cameras(predictor, cameras, lines) == []
    answers = {camera.name: [] for camera in cameras}
    for line in map(json.loads, lines.getvalue().splitlines()):
        answers[line.pop('video')].append(line)
    for camera in cameras:
        *found, last = answers[camera.name]
        assert last['event'] == 'ended' and last['given'] == NUM_FRAMES
        expected = [answer.to_dict() for answer in predictor.stream(camera.url)]
        assert expected
        compare(found, json.loads(json.dumps(expected)))


def compare(found, expected, place=''):
    """Check that both are the same but for what a batch of another size rounds otherwise."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), place
        for key, value in expected.items():
            compare(found[key], value, f'{place}.{key}')
    elif isinstance(expected, list):
        assert len(found) == len(expected), place
        for number, (one, other) in enumerate(zip(found, expected, strict=True)):
            compare(one, other, f'{place}[{number}]')
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-4, nan_ok=True), place
    else:
        assert found == expected, place
