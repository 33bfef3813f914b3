import itertools
import json
import re
import tracemalloc

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from torch import nn

from mmotion.checkpoint import save_checkpoint_file
from mmotion.cli import main
from mmotion.inference import load_model
from mmotion.registry import MODELS
from mmotion.structures.actions import RunningScores
from mmotion.video import VideoWriter, inspect_video, read_frames
from mmotion.video.sources import open_source
from projects.timesformer.data import ActionDataset
from projects.timesformer.inference import ActionPredictor

NAMES = ('dark', 'grey', 'bright')


@MODELS.register_module()
class BrightnessBackbone(nn.Module):
    """Tells the mean brightness of a clip, in [-1, 1]; looks at the top left quarter."""

    def __init__(self, *, num_frames=4):
        super().__init__()
        self.num_frames = num_frames

    def forward(self, clips):
        assert clips.shape[1:] == (3, self.num_frames, 24, 24)
        return clips.mean(dim=(1, 3, 4)) @ torch.tensor([0.4, 0.3, 0.2, 0.1])[:, None]

    def rollout(self, clips):
        shares = torch.zeros(len(clips), clips.shape[2], 2, 2)
        shares[:, :, 0, 0] = 1
        return shares


def make_config(**changes):
    crops = dict(type='ThreeCrop', crop_size=24)
    views = [crops, dict(type='FormatShape', input_format='NCTHW'), dict(type='PackActionInputs')]
    # 8 frames of a video with 10 frames a second
    sampling = dict(type='SampleClip', num_frames=4, stride=6)
    sampling |= changes.pop('sampling', {})
    resize = dict(type='Resize', scale=(-1, 24))
    return Config(
        dict(
            model=dict(
                type='Recognizer3D',
                backbone=dict(type='BrightnessBackbone', num_frames=4),
                cls_head=dict(type='TimeSformerHead', in_channels=1, num_classes=3),
                data_preprocessor=dict(
                    type='ActionDataPreprocessor',
                    mean=[127.5] * 3,
                    std=[127.5] * 3,
                    format_shape='NCTHW',
                ),
            ),
            test_pipeline=[sampling, dict(type='DecodeClip'), resize, *views],
            test_dataloader=dict(dataset=dict(classes=NAMES)),
            predictor=dict(type='ActionPredictor', **changes),
        )
    )


def build(config):
    """A predictor whose head knows dark from bright."""
    predictor = load_model(config, 'random', device='cpu')
    weight, bias = predictor.model.cls_head.parameters()
    with torch.no_grad():
        weight.copy_(torch.tensor([[-5.0], [0.0], [5.0]]))
        bias.copy_(torch.tensor([0.0, 1.0, 0.0]))
    return predictor


def write_checkpoint(path, classes=None):
    meta = {} if classes is None else {'dataset_meta': {'classes': classes}}
    weights = build(make_config()).model.state_dict()
    save_checkpoint_file({'meta': meta, 'state_dict': weights}, path)
    return path


@pytest.fixture
def make_predictor():
    return lambda **changes: build(make_config(**changes))


def make_frames(num_frames, size=(36, 60)):
    """Dark at first, then bright, with noise, so that each frame is another."""
    rng = np.random.default_rng(0)
    level = np.where(np.arange(num_frames) < num_frames / 2, 40, 215)
    noise = rng.integers(-30, 30, (num_frames, *size, 3))
    return (level[:, None, None, None] + noise).astype(np.uint8)


@pytest.fixture(scope='module')
def video_file(tmp_path_factory):
    path = tmp_path_factory.mktemp('videos') / 'clip.mp4'
    with VideoWriter(path, fps=10.0) as writer:
        for frame in make_frames(60):
            writer.write(frame)
    return path


def run_test(predictor, path):
    """The scores that the test loop gives a file."""
    dataset = ActionDataset(
        data_root=str(path.parent.parent),
        classes=[path.parent.name],
        pipeline=predictor.config.test_pipeline,
        test_mode=True,
    )
    (tested,) = predictor.model.test_step(pseudo_collate([dataset[0]]))
    return tested.pred_score


@pytest.mark.parametrize(
    'sampling',
    [pytest.param({}, id='1 clip'), pytest.param({'num_clips': 5}, id='5 clips')],
)
@pytest.mark.parametrize('num_frames', [60, 8, 5])
def test_prediction_equals_testing(make_predictor, tmp_path, num_frames, sampling):
    path = tmp_path / 'walk' / 'clip.mp4'
    path.parent.mkdir()
    with VideoWriter(path, fps=10.0) as writer:
        for frame in make_frames(num_frames):
            writer.write(frame)
    predictor = make_predictor(sampling=sampling)
    torch.testing.assert_close(
        torch.tensor(predictor.predict(path).scores), run_test(predictor, path), rtol=0, atol=1e-6
    )


def test_a_long_video_gets_a_timeline(make_predictor):
    result = make_predictor().predict(make_frames(60), fps=10.0)
    assert result.classes == NAMES
    # a clip spans 8 frames, and windows overlap by half
    np.testing.assert_allclose(result.window_start_s, np.arange(0, 5.3, 0.4))
    np.testing.assert_allclose(result.window_end_s, np.arange(0.8, 6.1, 0.4))
    dark, *_, bright = result.segments
    assert (dark.label, bright.label) == ('dark', 'bright')
    assert (dark.start_s, bright.end_s) == (0.0, 6.0)
    assert dark.end_s == pytest.approx(3, abs=0.5)
    assert result.views == '1 clip x 3 crops of 4x24x24'


def test_window_and_hop_are_in_seconds(make_predictor):
    predictor = make_predictor(window_s=1.0, hop_s=0.4)
    result = predictor.predict(make_frames(60), fps=20.0)
    np.testing.assert_allclose(result.window_start_s, np.arange(0, 2.01, 0.4))
    np.testing.assert_allclose(result.window_end_s, np.arange(1, 3.01, 0.4))
    # each window is a video of its own
    for start, scores in zip(range(0, 41, 8), result.window_scores, strict=True):
        alone = predictor.predict(make_frames(60)[start : start + 20], fps=20.0)
        np.testing.assert_allclose(scores, alone.scores, atol=1e-6)


def test_smoothing_forgets(make_predictor):
    frames = make_frames(60)
    raw = make_predictor().predict(frames, fps=10.0).window_scores
    smooth = make_predictor(smoothing_s=0.8).predict(frames, fps=10.0).window_scores
    expected = raw[0]
    for now, found in zip(raw, smooth, strict=True):
        expected = expected * np.exp(-0.5) + now * (1 - np.exp(-0.5))
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize('num_frames', [60, 58, 5])
def test_stream_gives_the_timeline_of_the_file(make_predictor, num_frames):
    frames = make_frames(num_frames)
    predictor = make_predictor(smoothing_s=0.5)
    whole = predictor.predict(frames, fps=10.0)
    running = list(predictor.stream(iter(frames), fps=10.0))
    assert all(isinstance(report, RunningScores) for report in running)
    np.testing.assert_array_equal([r.scores for r in running], whole.window_scores)
    np.testing.assert_array_equal([r.start_s for r in running], whole.window_start_s)
    np.testing.assert_array_equal([r.end_s for r in running], whole.window_end_s)
    # frames whose number is not known beforehand: the mean of their windows
    unknown = predictor.predict(iter(frames), fps=10.0)
    np.testing.assert_array_equal(running[-1].mean_scores, unknown.scores)
    np.testing.assert_array_equal(unknown.window_scores, whole.window_scores)
    assert running[-1].num_frames == num_frames


def test_stream_answers_before_the_video_ends(make_predictor):
    reports = make_predictor().stream(itertools.cycle(make_frames(20)), fps=10.0)
    assert [report.num_frames for report in itertools.islice(reports, 3)] == [8, 12, 16]


def test_memory_does_not_grow(make_predictor):
    """Of large frames no more than a window is kept, and these are small."""
    frame = np.zeros((720, 960, 3), np.uint8)
    reports = make_predictor().stream((frame.copy() for _ in range(60)), fps=10.0)
    next(reports)
    tracemalloc.start()
    for _ in reports:
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * frame.nbytes


def test_a_part_of_a_file(make_predictor, video_file):
    predictor = make_predictor()
    part = predictor.predict(video_file, start_s=3.0, end_s=5.0)
    same = predictor.predict(read_frames(video_file, np.arange(30, 50)), fps=10.0)
    assert part.start_s == pytest.approx(3.0)
    np.testing.assert_array_equal(part.scores, same.scores)
    np.testing.assert_array_equal(part.window_scores, same.window_scores)
    assert part.segments[-1].end_s == pytest.approx(5.0)


def test_a_clip_that_comes_again_is_predicted_once(make_predictor):
    predictor = make_predictor(sampling={'num_clips': 10})
    result = predictor.predict(make_frames(8), fps=10.0)
    assert result.views == '1 clip x 3 crops of 4x24x24'
    assert predictor.predict(make_frames(60), fps=10.0).views == '10 clips x 3 crops of 4x24x24'


def test_a_pipeline_that_takes_whole_clips():
    config = make_config()
    config.test_pipeline = config.test_pipeline[2:]
    predictor = load_model(config, 'random', device='cpu')
    frames = make_frames(10)
    result = predictor.predict(frames, fps=10.0)
    # windows of the backbone's 4 frames
    np.testing.assert_allclose(result.window_start_s, [0, 0.2, 0.4, 0.6])
    assert result.views == '4 windows x 1 clip x 3 crops of 4x24x24'
    first = predictor.predict(frames[:4], fps=10.0)
    np.testing.assert_array_equal(first.scores, result.window_scores[0])
    assert len(predictor.predict(frames[:2], fps=10.0).window_scores) == 1


@pytest.mark.parametrize(
    ('checkpoint', 'classes', 'names'),
    [
        pytest.param(('a', 'b', 'c'), NAMES, ('a', 'b', 'c'), id='checkpoint'),
        pytest.param(None, NAMES, NAMES, id='config'),
        pytest.param(('a', 'b'), NAMES, NAMES, id='checkpoint of other classes'),
        pytest.param(None, 'names.txt', ('sit', 'walk', 'run'), id='file of the config'),
        pytest.param(None, 'none.txt', ('0', '1', '2'), id='file that is not there'),
        pytest.param(None, None, ('0', '1', '2'), id='none'),
    ],
)
def test_names_of_classes(tmp_path, monkeypatch, checkpoint, classes, names):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'names.txt').write_text('sit\nwalk\nrun\n')
    config = make_config()
    config.test_dataloader.dataset.classes = classes
    weights = write_checkpoint(tmp_path / 'weights.pth', checkpoint)
    predictor = load_model(config, weights, device='cpu')
    assert predictor.predict(make_frames(5), fps=10.0).classes == names


def test_draw(make_predictor, video_file, tmp_path):
    predictor = make_predictor()
    result = predictor.predict(video_file, start_s=1.0)
    files = predictor.draw(video_file, result, tmp_path / 'new')
    assert [file.name for file in files] == ['clip_overlay.mp4', 'clip_actions.png']
    assert inspect_video(files[0]).num_frames == 50
    assert all(file.stat().st_size > 1000 for file in files)


@pytest.mark.parametrize('num_frames', [60, 9, 5])
def test_draw_attention(make_predictor, tmp_path, num_frames):
    frames = np.full((num_frames, 36, 60, 3), 128, np.uint8)
    predictor = make_predictor()
    result = predictor.predict(frames, fps=10.0)
    video, picture = predictor.draw_attention(frames, result, tmp_path)
    assert (video.name, picture.name) == ('video_attention.mp4', 'video_attention.png')
    images = read_frames(video, np.arange(num_frames)).astype(int)
    # the model looks at the top left of each of three crops
    height, width = images.shape[1:3]
    hot, cold = images[:, height // 8, width // 8], images[:, -height // 8, -width // 8]
    assert (hot[:, 0] > hot[:, 2]).all() and (cold[:, 0] < cold[:, 2]).all()
    assert picture.stat().st_size > 1000


def test_attention_is_drawn_on_the_frames_that_were_predicted(make_predictor, tmp_path):
    """Half of the video is dark and half bright; the part is bright."""
    levels = np.repeat([20, 220], 30)[:, None, None, None]
    frames = np.broadcast_to(levels, (60, 36, 60, 3)).astype(np.uint8)
    predictor = make_predictor()
    result = predictor.predict(frames, fps=10.0, start_s=3.0, end_s=4.5)
    video, _ = predictor.draw_attention(frames, result, tmp_path)
    images = read_frames(video, np.arange(15))
    assert inspect_video(video).num_frames == 15
    # the lower right is cold: the image in grey, in part
    assert (images[:, -20:, -20:].mean((1, 2, 3)) > 100).all()


def test_a_folder_of_pictures_is_predicted_like_its_array(make_predictor, tmp_path):
    frames = make_frames(30)
    for number, frame in enumerate(frames):
        cv2.imwrite(str(tmp_path / f'{number}.png'), frame[..., ::-1])
    predictor = make_predictor(sampling={'num_clips': 5})
    part = {'fps': 10.0, 'start_s': 0.5, 'end_s': 2.5}
    result = predictor.predict(tmp_path, **part)
    same = predictor.predict(frames, **part)
    assert result.views == same.views == '5 clips x 3 crops of 4x24x24'
    np.testing.assert_array_equal(result.scores, same.scores)
    np.testing.assert_array_equal(result.window_scores, same.window_scores)


def test_attention_is_of_the_frames_that_are_looked_at(make_predictor):
    frames = open_source(make_frames(14), fps=10.0).frames()
    source = make_predictor()._attend(frames, 10.0)
    # frames 0, 2, 4 and 7 of windows of 8, the last of which has frames 6 to 13
    assert [heat.index for heat in source] == [0, 2, 4, 7, 8, 10, 13]


def test_a_backbone_without_attention(make_predictor, video_file, tmp_path, monkeypatch):
    monkeypatch.delattr(BrightnessBackbone, 'rollout')
    predictor = make_predictor()
    result = predictor.predict(video_file)
    with pytest.raises(ValueError, match='must be able to show its attention, got Brightness'):
        predictor.draw_attention(video_file, result, tmp_path)


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        pytest.param(
            {'window_s': 0}, 'window_s must be above 0 and finite, got window_s=0', id='w'
        ),
        pytest.param({'hop_s': -1.0}, 'hop_s must be above 0 and finite, got hop_s=-1.0', id='hop'),
        pytest.param({'smoothing_s': -1}, 'smoothing_s must be at least 0', id='smoothing'),
        pytest.param({'min_score': 2}, r'min_score must lie in \[0, 1\]', id='minimum'),
    ],
)
def test_bad_options(make_predictor, option, message):
    with pytest.raises(ValueError, match=message):
        make_predictor(**option)


def test_a_pipeline_that_chooses_nothing():
    config = make_config()
    config.test_pipeline = config.test_pipeline[2:]
    config.model.backbone.pop('num_frames')
    with pytest.raises(ValueError, match='test_pipeline must choose frames'):
        load_model(config, 'random', device='cpu')


def test_command_line(tmp_path, capsys, video_file):
    config = make_config()
    config.dump(tmp_path / 'config.py')
    weights = write_checkpoint(tmp_path / 'weights.pth', ('a', 'b', 'c'))
    arguments = ['predict', tmp_path / 'config.py', video_file, '--out', tmp_path / 'out']
    arguments += ['--checkpoint', weights, '--device', 'cpu', '--draw']
    assert main([*map(str, arguments), '--attention']) == 0
    assert re.search(r'clip\.mp4: a 0\.\d+, b 0\.\d+, c 0\.\d+\n', capsys.readouterr().out)
    result = json.loads((tmp_path / 'out' / 'clip.json').read_text())
    assert result['top'][0]['label'] == result['label']
    assert [result['segments'][i]['label'] for i in (0, -1)] == ['a', 'c']
    names = ['clip.json', 'clip_actions.png', 'clip_attention.mp4', 'clip_attention.png']
    assert sorted(file.name for file in (tmp_path / 'out').iterdir()) == [
        *names,
        'clip_overlay.mp4',
    ]


def test_is_registered(make_predictor):
    assert isinstance(make_predictor(), ActionPredictor)
