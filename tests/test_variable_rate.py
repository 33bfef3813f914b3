"""One motion, filmed at a constant and at a variable rate, through all systems.

The film lasts 12 s: 30 frames a second for 6 s, then 10, as phones film in dim light; its twin has
30 throughout. A white square moves to the right at 4 pixels a second, and at 9 s the background
grows lighter: so each frame tells its own time. The truth is met within a frame of the slow part.
"""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from numpy.typing import NDArray

from mmotion import load_model
from mmotion.inference import Predictor
from mmotion.keypoints.extraction import extract_poses
from mmotion.keypoints.files import read_poses, write_poses
from mmotion.keypoints.poses import Person
from mmotion.keypoints.skeletons import FIGURE
from mmotion.video import iterate_frames
from mmotion.video.scan import scan_video
from mmotion.video.timing import FrameTimes
from projects.anomaly.inference import AnomalyPredictor
from projects.bkind.inference import KeypointTracker
from projects.pose_sequence.inference import PosePredictor
from projects.timesformer.inference import ActionPredictor
from tests.video_files import encode

SIZE, SPEED_PX_S, LIGHT_S, END_S, SWINGS = 64, 4.0, 9.0, 12.0, 12
FRAME_S = 0.1
TIMES_S = {
    'constant': np.arange(360) / 30,
    'variable': np.concatenate([np.arange(180) / 30, 6 + np.arange(60) / 10]),
}


def draw(time_s: float) -> NDArray[np.uint8]:
    image = np.full((SIZE, SIZE, 3), 80 if time_s >= LIGHT_S - 1e-6 else 0, np.uint8)
    left = round(SPEED_PX_S * time_s)
    image[28:36, left : left + 8] = 255
    return image


def draw_bar(time_s: float) -> NDArray[np.uint8]:
    """A bar that swings once a second."""
    image = np.full((112, 112, 3), 60, np.uint8)
    left = round(46 + 34 * np.sin(2 * np.pi * time_s))
    image[28:84, left : left + 20] = (230, 200, 40)
    return image


@pytest.fixture(scope='module')
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp('films')
    return {
        f'{rate} {picture.__name__}': encode(
            folder / f'{rate}_{picture.__name__}.mp4',
            [picture(time_s) for time_s in times_s.tolist()],
            times_ms=(1000 * times_s).round().astype(int).tolist(),
        )
        for rate, times_s in TIMES_S.items()
        for picture in (draw, draw_bar)
    }


@pytest.fixture(params=TIMES_S)
def rate(request: pytest.FixtureRequest) -> str:
    return request.param


class Tiny(BaseModel):
    """Finds the square, and tells whether the background is light; learns nothing."""

    threshold, false_alarm_rate = 0.5, 0.05
    calibration_errors, num_recordings = torch.zeros(100), 100

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = 'tensor') -> Any:
        samples = []
        for images in torch.stack(list(inputs)).float():
            light = float((images.flatten()[:: SIZE + 1] > 40).float().mean())
            _, rows, columns = (images.reshape(-1, SIZE, SIZE)[:1] > 200).nonzero(as_tuple=True)
            place = torch.stack([columns.float().mean(), rows.float().mean()])
            samples.append(
                BaseDataElement(
                    pred_score=torch.tensor([1 - light, light]),
                    error=torch.tensor(light),
                    p_value=torch.tensor(1 - light),
                    is_alarm=light > 0.5,
                    keypoints=(place / ((SIZE - 1) / 2) - 1)[None],
                    confidence=torch.tensor([0.5]),
                    covariance=torch.full((1, 3), 0.01),
                    views='all',
                )
            )
        return samples


def build(kind: type[Predictor], **options: Any) -> Any:
    steps = [
        dict(type='SampleClip', num_frames=4, stride=3),
        dict(type='DecodeClip'),
        dict(type='Resize', scale=(-1, SIZE)),
        dict(type='FormatShape', input_format='NCTHW'),
        dict(type='PackActionInputs', meta_keys=()),
    ]
    if kind is KeypointTracker:
        steps = [*steps[3:4], *steps[4:]]
    config = Config(
        dict(
            model=dict(backbone={}),
            test_pipeline=steps,
            test_dataloader=dict(dataset=dict(classes=('dark', 'light'))),
        )
    )
    preprocessor = None
    if kind is ActionPredictor:
        preprocessor = dict(type='ActionDataPreprocessor', format_shape='NCTHW')
    return kind(config=config, model=Tiny(preprocessor).eval(), **options)


def read_times(path: Path) -> NDArray[np.float64]:
    return scan_video(path).times_s


def check_overlay(predictor: Any, film: Path, result: Any, folder: Path, rate: str) -> None:
    overlay = next(path for path in predictor.draw(film, result, folder) if path.suffix == '.mp4')
    np.testing.assert_allclose(read_times(overlay), TIMES_S[rate], atol=2e-3)


def check_json(result: Any, rate: str) -> dict[str, Any]:
    content = json.loads(json.dumps(result.to_dict()))
    if rate == 'constant':
        # nothing to say, and files stay as small as they were
        assert 'frame_times_s' not in content
    else:
        np.testing.assert_allclose(content['frame_times_s'], TIMES_S[rate], atol=1e-3)
    return content


def test_repetitions(films: dict[str, Path], rate: str, tmp_path: Path) -> None:
    predictor = load_model('repnet_small')
    film = films[f'{rate} draw_bar']
    result = predictor.predict(film)
    content = check_json(result, rate)
    assert result.count == pytest.approx(SWINGS, abs=0.5)
    periods_s = np.array(content['period_s_per_frame'], np.float64)
    for half in (TIMES_S[rate] < 5, TIMES_S[rate] > 7):
        assert np.nanmedian(periods_s[half]) == pytest.approx(1.0, abs=0.05)
    times_s = content['repetition_times_s'][:11]
    np.testing.assert_allclose(times_s[:5], np.arange(1, 6), atol=FRAME_S)
    np.testing.assert_allclose(np.diff(times_s[7:]), 1.0, atol=FRAME_S)
    # a window of the network that sees both rates may lose a part of a cycle
    np.testing.assert_allclose(times_s, np.arange(1, 12), atol=0.5)
    assert content['segments'][0]['start_s'] == pytest.approx(0, abs=FRAME_S)
    assert content['segments'][-1]['end_s'] == pytest.approx(END_S, abs=FRAME_S)
    *_, last = predictor.stream(film)
    assert last.time_s == pytest.approx(END_S, abs=0.001)
    assert last.period_s == pytest.approx(1.0, abs=0.1)
    check_overlay(predictor, film, result, tmp_path, rate)


def test_keypoints(films: dict[str, Path], rate: str, tmp_path: Path) -> None:
    predictor = build(KeypointTracker)
    film = films[f'{rate} draw']
    result = predictor.predict(film, start_s=1.0)
    np.testing.assert_allclose(result.times_s, TIMES_S[rate][30:], atol=1e-3)
    # where the square is tells the time
    x = result.keypoints[:, 0, 0] - 3.5
    np.testing.assert_allclose(x / SPEED_PX_S, result.times_s, atol=FRAME_S / 2 + 0.15)
    speed = np.diff(x[[0, 120, -1]]) / np.diff(result.times_s[[0, 120, -1]])
    np.testing.assert_allclose(speed, SPEED_PX_S, atol=0.2)
    streamed = [frame.time_s for frame in predictor.stream(film, start_s=1.0)]
    np.testing.assert_allclose(streamed, result.times_s, atol=1e-3)
    check_overlay(predictor, film, predictor.predict(film), tmp_path, rate)

    table, coco, pickled = predictor.export(film, result, tmp_path, ['csv', 'coco', 'mmaction'])
    with table.open() as file:
        rows = [*csv.DictReader(file)]
    assert [int(row['frame']) for row in rows] == result.frames.tolist()
    np.testing.assert_allclose([float(row['time_s']) for row in rows], result.times_s, atol=1e-5)
    if rate == 'variable':
        images = json.loads(coco.read_text())['images']
        np.testing.assert_allclose([i['time_s'] for i in images], result.times_s, atol=1e-5)
        assert pickled.is_file()


def test_every_second_frame_keeps_its_time(films: dict[str, Path], rate: str) -> None:
    predictor = build(KeypointTracker)
    film = films[f'{rate} draw']
    fps = scan_video(film).info.fps / 2
    result = predictor.predict(iterate_frames(film, stride=2), fps=fps, start_s=1.0)
    np.testing.assert_allclose(result.times_s, TIMES_S[rate][30::2], atol=1e-3)
    assert result.frames.tolist() == [*range(30, len(TIMES_S[rate]), 2)]
    streamed = predictor.stream(iterate_frames(film, stride=2), fps=fps, start_s=1.0)
    np.testing.assert_allclose([f.time_s for f in streamed], result.times_s, atol=1e-3)


@pytest.mark.parametrize('kind', [ActionPredictor, AnomalyPredictor])
def test_windows(films: dict[str, Path], rate: str, kind: type[Predictor], tmp_path: Path) -> None:
    predictor = build(kind, window_s=1.0, hop_s=0.5)
    film = films[f'{rate} draw']
    result = predictor.predict(film)
    content = check_json(result, rate)
    assert content['segments'][-1]['start_s'] == pytest.approx(LIGHT_S, abs=0.25 + FRAME_S)
    assert content['segments'][-1]['end_s'] == pytest.approx(END_S, abs=1e-3)
    expected = np.arange(0, 11.5, 0.5)
    np.testing.assert_allclose(result.window_start_s, expected, atol=FRAME_S)
    np.testing.assert_allclose(result.window_end_s, expected + 1, atol=FRAME_S)
    streamed = [(window.start_s, window.end_s) for window in predictor.stream(film)]
    np.testing.assert_allclose(streamed, np.stack([expected, expected + 1], 1), atol=FRAME_S)
    check_overlay(predictor, film, result, tmp_path, rate)


class SquareDetector:
    """Finds a person of one place, the square."""

    name = 'square'
    skeleton = FIGURE

    def detect(self, images: list[NDArray[np.uint8]]) -> list[list[Person]]:
        found = []
        for image in images:
            rows, columns = np.nonzero(image[..., 0] > 200)
            spread = 4 * np.stack([np.arange(15) % 5, np.arange(15) // 5], 1)
            points = spread + np.array([columns.mean(), rows.mean()])
            ones = np.ones(15, np.float32)
            found.append([Person(keypoints=points.astype(np.float32), scores=ones, score=1.0)])
        return found


class PlaceModel(Tiny):
    """Tells whether the middle of a sequence lies to the right of where the square is at 6 s."""

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = 'tensor') -> Any:
        (points,) = inputs
        seen = points[..., 2] > 0
        right = float(points[..., 0][seen].mean() > 6 * SPEED_PX_S + 11.5)
        return [BaseDataElement(pred_score=torch.tensor([1 - right, right]), views='all')]


def test_poses(
    films: dict[str, Path], rate: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('mmotion.keypoints.detectors.build_detector', lambda *_: SquareDetector())
    config = Config(
        dict(
            model={},
            test_pipeline=[dict(type='PackSequence', max_seq_length=64)],
            test_dataloader=dict(dataset=dict(classes=('left', 'right'))),
        )
    )
    predictor = PosePredictor(
        config=config, model=PlaceModel().eval(), detector='mediapipe', every=3, window_s=1.0
    )
    film = films[f'{rate} draw']
    result = predictor.predict(film)
    check_json(result, rate)
    # from a file of keypoints as from the video
    poses = extract_poses(film, SquareDetector(), every=3)  # pyright: ignore[reportArgumentType]
    np.testing.assert_allclose(poses.times_s, TIMES_S[rate][::3], atol=1e-3)
    write_poses(poses, tmp_path / 'film.json')
    again = read_poses(tmp_path / 'film.json')
    np.testing.assert_allclose(again.times_s, poses.times_s, atol=1e-6)
    of_file = predictor.predict(tmp_path / 'film.json')
    for answer in (result, of_file):
        assert [segment.label for segment in answer.segments] == ['left', 'right']
        assert answer.segments[1].start_s == pytest.approx(6.0, abs=0.5)
        assert answer.end_s == pytest.approx(END_S, abs=0.001)
        lengths_s = answer.window_end_s - answer.window_start_s
        np.testing.assert_allclose(lengths_s, 1.0, atol=3 * FRAME_S)
    streamed = [(window.start_s, window.end_s) for window in predictor.stream(film)]
    spans = np.stack([result.window_start_s, result.window_end_s], 1)
    np.testing.assert_allclose(streamed[:-1], spans[: len(streamed) - 1], atol=3 * FRAME_S)
    check_overlay(predictor, film, result, tmp_path, rate)


def test_frame_numbers_and_times_agree(films: dict[str, Path], rate: str) -> None:
    index = scan_video(films[f'{rate} draw'])
    times = FrameTimes(index.info.fps, index.times_s)
    assert times.time_at(index.info.num_frames) == pytest.approx(END_S, abs=0.001)
    assert times.first_from(8.0) == np.searchsorted(TIMES_S[rate], 8.0 - 1e-6)
