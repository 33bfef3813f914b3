"""Alarms of a detector that knows dark videos alone."""

import itertools
import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from numpy.typing import NDArray
from torch import Tensor, nn

from mmotion.checkpoint import save_checkpoint_file
from mmotion.cli import main
from mmotion.inference import load_model
from mmotion.registry import MODELS, TRANSFORMS
from mmotion.video import VideoWriter, inspect_video, read_frames
from projects.anomaly.inference import AnomalyPredictor
from projects.anomaly.results import RunningAnomaly


@MODELS.register_module()
class BrightnessOfFrames(nn.Module):
    """Embeds clips by the brightness of each of their frames."""

    def __init__(self, *, num_frames: int = 4) -> None:
        super().__init__()
        self.num_frames = num_frames

    def forward(self, clips: Tensor) -> Tensor:
        assert clips.shape[1:] == (3, self.num_frames, 24, 24)
        return clips.mean((1, 3, 4))


@MODELS.register_module()
class DistanceFromBlack(nn.Module):
    """Takes the mean of an embedding for its error."""

    def error(self, embeddings: Tensor) -> Tensor:
        return embeddings.mean(1)


def make_config(steps: int | None = None, **predictor: Any) -> Config:
    pipeline = [
        # 8 frames of a video with 10 frames a second
        dict(type='SampleClip', num_frames=4, stride=6),
        dict(type='DecodeClip'),
        dict(type='Resize', scale=(-1, 24)),
        dict(type='CenterCrop', crop_size=24),
        dict(type='FormatShape', input_format='NCTHW'),
        dict(type='PackActionInputs', meta_keys=('name',)),
    ]
    return Config(
        dict(
            model=dict(
                type='AnomalyDetector',
                backbone=dict(type='BrightnessOfFrames'),
                scorer=dict(type='DistanceFromBlack'),
                data_preprocessor=dict(
                    type='EmbeddingPreprocessor',
                    mean=[0.0] * 3,
                    std=[1.0] * 3,
                    format_shape='NCTHW',
                ),
            ),
            test_pipeline=pipeline[-steps:] if steps else pipeline,
            predictor=dict(type='AnomalyPredictor', **predictor),
        )
    )


def build(config: Config) -> Any:
    """A predictor for which errors up to 99 are normal; 39 clips, of which 39 at most that."""
    predictor = load_model(config, 'random', device='cpu')
    predictor.model.calibrate(torch.linspace(23, 99, 39))
    return predictor


def make_frames(num_frames: int, size: tuple[int, int] = (36, 60)) -> NDArray[np.uint8]:
    """Dark at first, then bright, with noise, so that each frame is another."""
    rng = np.random.default_rng(0)
    level = np.where(np.arange(num_frames) < num_frames / 2, 50, 200)
    noise = rng.integers(-20, 20, (num_frames, *size, 3))
    return (level[:, None, None, None] + noise).astype(np.uint8)


@pytest.fixture(scope='module')
def video_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('videos') / 'clip.mp4'
    with VideoWriter(path, fps=10.0) as writer:
        for frame in make_frames(60):
            writer.write(frame)
    return path


def test_a_bright_half_is_an_alarm() -> None:
    result = build(make_config()).predict(make_frames(60), fps=10.0)
    # a clip spans 8 frames, and windows overlap by half
    np.testing.assert_allclose(result.window_start_s, np.arange(0, 5.3, 0.4))
    np.testing.assert_allclose(result.window_end_s, np.arange(0.8, 6.1, 0.4))
    (segment,) = result.segments
    assert segment.start_s == pytest.approx(3, abs=0.5)
    assert segment.end_s == 6.0
    # 1 - 1 / 40
    assert result.score == pytest.approx(0.975)
    # p-values of 5 % are alarms: above the second highest of the 39
    assert result.threshold == pytest.approx(97)
    assert result.false_alarm_rate == 0.05
    assert (result.errors[0], result.scores[0]) == (pytest.approx(50, abs=1), pytest.approx(0.35))


@pytest.mark.parametrize('num_frames', [60, 8, 5])
def test_the_first_window_equals_testing(tmp_path: Path, num_frames: int) -> None:
    """Testing looks at the first clip of a video."""
    path = tmp_path / 'clip.mp4'
    with VideoWriter(path, fps=10.0) as writer:
        for frame in make_frames(num_frames):
            writer.write(frame)
    predictor = build(make_config())
    pipeline = Compose([TRANSFORMS.build(step) for step in predictor.config.test_pipeline])
    video = {'filename': str(path), 'total_frames': num_frames, 'fps': 10.0, 'modality': 'RGB'}
    packed = pipeline({**video, 'start_index': 0, 'name': 'clip'})
    (tested,) = predictor.model.test_step(pseudo_collate([packed]))
    result = predictor.predict(path)
    assert result.errors[0] == float(tested.error)
    assert result.scores[0] == 1 - float(tested.p_value)
    assert len(result.errors) == {60: 14, 8: 1, 5: 1}[num_frames]


def test_window_and_hop_are_in_seconds() -> None:
    predictor = build(make_config(window_s=1.0, hop_s=0.4))
    result = predictor.predict(make_frames(60), fps=20.0)
    np.testing.assert_allclose(result.window_start_s, np.arange(0, 2.01, 0.4))
    np.testing.assert_allclose(result.window_end_s, np.arange(1, 3.01, 0.4))


@pytest.mark.parametrize('num_frames', [60, 58, 5])
def test_stream_gives_the_timeline_of_the_file(num_frames: int) -> None:
    frames = make_frames(num_frames)
    predictor = build(make_config())
    whole = predictor.predict(frames, fps=10.0)
    running = list(predictor.stream(iter(frames), fps=10.0))
    assert all(isinstance(report, RunningAnomaly) for report in running)
    np.testing.assert_array_equal([r.error for r in running], whole.errors)
    np.testing.assert_array_equal([r.score for r in running], whole.scores)
    np.testing.assert_array_equal([r.is_alarm for r in running], whole.is_alarm)
    np.testing.assert_array_equal([r.start_s for r in running], whole.window_start_s)
    np.testing.assert_array_equal([r.end_s for r in running], whole.window_end_s)
    assert running[-1].num_frames == num_frames


def test_a_stream_says_when_an_alarm_began() -> None:
    frames = np.concatenate([make_frames(40)] * 2)
    running = list(build(make_config()).stream(frames, fps=10.0))
    alarms = [report.alarm_s for report in running]
    assert [alarm is not None for alarm in alarms] == [report.is_alarm for report in running]
    begun = [alarm for alarm, _ in itertools.groupby(alarms) if alarm is not None]
    assert begun == [pytest.approx(2.0, abs=0.5), pytest.approx(6.0, abs=0.5)]


def test_stream_answers_before_the_video_ends() -> None:
    reports = build(make_config()).stream(itertools.cycle(make_frames(20)), fps=10.0)
    assert [report.num_frames for report in itertools.islice(reports, 3)] == [8, 12, 16]


def test_memory_does_not_grow() -> None:
    """Of large frames no more than a window is kept, and these are small."""
    frame = np.zeros((720, 960, 3), np.uint8)
    reports = build(make_config()).stream((frame.copy() for _ in range(60)), fps=10.0)
    next(reports)
    tracemalloc.start()
    for _ in reports:
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * frame.nbytes


def test_a_part_of_a_file(video_file: Path) -> None:
    predictor = build(make_config())
    part = predictor.predict(video_file, start_s=2.0, end_s=5.0)
    same = predictor.predict(read_frames(video_file, np.arange(20, 50)), fps=10.0)
    assert part.start_s == pytest.approx(2.0)
    np.testing.assert_array_equal(part.errors, same.errors)
    assert part.segments[-1].end_s == pytest.approx(5.0)


def test_a_pipeline_that_takes_whole_clips() -> None:
    config = make_config(steps=4)
    config.model.backbone.num_frames = 4
    result = build(config).predict(make_frames(10), fps=10.0)
    np.testing.assert_allclose(result.window_start_s, [0, 0.2, 0.4, 0.6])


def test_an_embedding_that_is_not_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = build(make_config())
    monkeypatch.setattr(
        predictor.model.backbone, 'forward', lambda clips: clips.mean((1, 3, 4)) / 0 * 0
    )
    for answer in (predictor.predict, lambda *args, **kw: list(predictor.stream(*args, **kw))):
        with pytest.raises(ValueError, match='errors must be finite, got nan; look at the weights'):
            answer(make_frames(8), fps=10.0)


def test_a_detector_that_was_not_calibrated(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr(
        'projects.anomaly.inference.print_log', lambda text, **options: lines.append(text)
    )
    predictor = load_model(make_config(), 'random', device='cpu')
    assert lines == [
        'there will be no alarm: the detector was calibrated on 0 normal recordings, which can '
        'promise a false-alarm rate of 1 at best, and 0.05 needs 19; give '
        'model.false_alarm_rate in the config'
    ]
    assert not predictor.predict(make_frames(60), fps=10.0).segments


@pytest.mark.parametrize('option', [{'window_s': 0}, {'hop_s': -1.0}])
def test_bad_options(option: dict) -> None:
    with pytest.raises(ValueError, match='must be above 0 and finite'):
        load_model(make_config(**option), 'random', device='cpu')


def test_draw(video_file: Path, tmp_path: Path) -> None:
    predictor = build(make_config())
    result = predictor.predict(video_file, start_s=1.0)
    files = predictor.draw(video_file, result, tmp_path / 'new')
    assert [file.name for file in files] == ['clip_overlay.mp4', 'clip_anomaly.png']
    assert inspect_video(files[0]).num_frames == 50
    assert all(file.stat().st_size > 1000 for file in files)


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], video_file: Path) -> None:
    config = make_config()
    config.dump(tmp_path / 'config.py')
    weights = tmp_path / 'weights.pth'
    save_checkpoint_file({'meta': {}, 'state_dict': build(config).model.state_dict()}, weights)
    command = ['predict', str(tmp_path / 'config.py'), str(video_file), '--device', 'cpu']
    command += ['--checkpoint', str(weights)]
    assert main([*command, '--out', str(tmp_path / 'out')]) == 0
    assert 'clip.mp4: alarm at ' in capsys.readouterr().out
    result = json.loads((tmp_path / 'out' / 'clip.json').read_text())
    assert result['is_alarm'] and len(result['segments']) == 1

    assert main([*command, '--json-lines', '-']) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line['error'] for line in lines] == [w['error'] for w in result['timeline']]
    assert [line['is_alarm'] for line in lines] == [w['is_alarm'] for w in result['timeline']]


def test_is_registered() -> None:
    assert isinstance(build(make_config()), AnomalyPredictor)
