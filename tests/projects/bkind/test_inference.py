import csv
import json
import re
import sys
import tracemalloc

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseDataPreprocessor, BaseModel
from mmengine.structures import BaseDataElement

from mmotion.cli import main
from mmotion.inference import load_model
from mmotion.registry import DATASETS, MODELS
from mmotion.video import inspect_video, read_frames
from mmotion.video.writer import VideoWriter
from projects.bkind.data import FramePairs

SIZE = 32


@MODELS.register_module(force=True)
class StackedPairs(BaseDataPreprocessor):
    """Batches of floats in [0, 1]."""

    def forward(self, data, training=False):
        data = self.cast_data(data)
        return {**data, 'inputs': torch.stack(list(data['inputs'])).float() / 255}


@MODELS.register_module(force=True)
class BrightestSpot(BaseModel):
    """Finds the middle of what is bright, twice, the second time mirrored; learns nothing."""

    def __init__(self, *, data_preprocessor):
        super().__init__(data_preprocessor=data_preprocessor)
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.batches = []

    def forward(self, inputs, data_samples=None, mode='tensor'):
        if mode == 'loss':
            assert self.training
            return {'loss': self.weight.square().sum()}
        assert not self.training and not torch.is_grad_enabled()
        self.batches.append(len(inputs))
        points = self.find(inputs[:, 0])
        samples = [BaseDataElement() for _ in inputs]
        for sample, point in zip(samples, points, strict=True):
            sample.keypoints = torch.stack([point, -point])
            sample.confidence = torch.tensor([0.5, 0.25])
            sample.covariance = torch.tensor([[0.04, 0.01, 0.002]] * 2)
        return samples

    def find(self, images):
        bright = (images.mean(1) > 0.5).float()
        bright = bright / bright.sum((1, 2), keepdim=True).clamp(min=1)
        axis = torch.linspace(-1, 1, images.shape[-1])
        return torch.stack([bright.sum(1) @ axis, bright.sum(2) @ axis], dim=1)

    def inspect(self, inputs):
        assert not self.training and not torch.is_grad_enabled()
        point = torch.stack([self.find(inputs[:, i]) for i in (0, 1)], dim=1)[:, :, None]
        return {
            'images': inputs,
            'target': (inputs[:, 1] - inputs[:, 0]).abs(),
            'reconstruction': torch.zeros_like(inputs[:, 0]),
            'heat_maps': torch.full((len(inputs), 2, 2, 8, 8), 1 / 64),
            'keypoints': torch.cat([point, -point], dim=2),
        }


@DATASETS.register_module(force=True)
class SpotPairs(torch.utils.data.Dataset):
    """Four pairs in which a spot moves."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        pair = [draw_frame(8 + index, 10, SIZE, SIZE), draw_frame(20, 22, SIZE, SIZE)]
        inputs = torch.from_numpy(np.stack(pair)).permute(0, 3, 1, 2)
        return {'inputs': inputs, 'data_samples': BaseDataElement()}


def draw_frame(x, y, width, height):
    image = np.full((height, width, 3), 20, np.uint8)
    cv2.rectangle(image, (x - 3, y - 3), (x + 3, y + 3), (255, 255, 255), cv2.FILLED)
    return image


def make_frames(num_frames, width=96, height=64):
    """A spot that moves two pixels to the right a frame."""
    return np.stack([draw_frame(10 + 2 * n, 40, width, height) for n in range(num_frames)])


@pytest.fixture
def config():
    loader = {
        'batch_size': 2,
        'num_workers': 0,
        'sampler': {'type': 'DefaultSampler', 'shuffle': False},
        'dataset': {'type': 'SpotPairs'},
    }
    return Config(
        {
            'default_scope': 'mmotion',
            'model': {'type': 'BrightestSpot', 'data_preprocessor': {'type': 'StackedPairs'}},
            'test_pipeline': [{'type': 'ResizePair', 'size': SIZE}, {'type': 'PackPair'}],
            'predictor': {'type': 'KeypointTracker', 'batch_size': 4},
            'train_dataloader': loader,
            'train_cfg': {'by_epoch': True, 'max_epochs': 4},
            'optim_wrapper': {'optimizer': {'type': 'SGD', 'lr': 0.1}},
            'custom_hooks': [{'type': 'KeypointPicturesHook', 'interval': 2, 'num_samples': 2}],
            'visualizer': {'type': 'Visualizer', 'vis_backends': [{'type': 'LocalVisBackend'}]},
            'default_hooks': {'checkpoint': None, 'logger': {'type': 'LoggerHook'}},
            'log_level': 'ERROR',
        }
    )


@pytest.fixture
def tracker(config):
    return load_model(config, 'random', device='cpu')


def test_keypoints_are_where_the_spot_is(tracker):
    tracks = tracker.predict(make_frames(10), fps=10.0)
    assert tracks.frames.tolist() == list(range(10))
    assert (tracks.width, tracks.height, tracks.fps) == (96, 64, 10.0)
    assert tracks.names == ('keypoint_0', 'keypoint_1')
    # a pixel of the network is three of the frame
    np.testing.assert_allclose(tracks.keypoints[:, 0, 0], 10 + 2 * np.arange(10), atol=1.5)
    np.testing.assert_allclose(tracks.keypoints[:, 0, 1], 40, atol=1.5)
    np.testing.assert_allclose(tracks.keypoints.sum(axis=1), np.full((10, 2), [95, 63]), rtol=1e-5)
    # standard deviations of 0.2 and 0.1 of half the picture
    expected = [0.04 * 47.5**2, 0.01 * 31.5**2, 0.002 * 47.5 * 31.5]
    np.testing.assert_allclose(tracks.covariance[3, 1], expected, rtol=1e-5)
    assert tracker.model.batches == [4, 4, 2]


def test_a_part_of_a_video(tracker, tmp_path):
    with VideoWriter(tmp_path / 'clip.mp4', fps=10.0) as writer:
        for frame in make_frames(10):
            writer.write(frame)
    tracks = tracker.predict(tmp_path / 'clip.mp4', start_s=0.3, end_s=0.8)
    assert tracks.frames.tolist() == [3, 4, 5, 6, 7]
    assert tracks.start_s == pytest.approx(0.3)


def test_a_stream_gives_each_frame_what_the_video_gets(tracker):
    frames = make_frames(7)
    tracks = tracker.predict(frames, fps=10.0)
    stream = list(tracker.stream(iter(frames), fps=10.0))
    assert [frame.frame for frame in stream] == tracks.frames.tolist()
    assert stream[5].time_s == pytest.approx(0.5)
    for name in ('keypoints', 'confidence', 'covariance', 'quality'):
        values = np.stack([getattr(frame, name) for frame in stream])
        np.testing.assert_allclose(values, getattr(tracks, name), rtol=1e-6)


def test_a_stream_holds_a_batch(tracker):
    given = []

    def camera():
        for n in range(100):
            given.append(n)
            yield draw_frame(10, 10, 96, 64)

    stream = tracker.stream(camera(), fps=10.0)
    assert next(stream).frame == 0
    assert len(given) == 4


def test_memory_does_not_grow_with_the_frames(tracker):
    def peak(num_frames):
        frames = (draw_frame(10, 10, 200, 200) for _ in range(num_frames))
        tracemalloc.start()
        tracker.predict(frames, fps=10.0)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    peak(8)
    # a frame has 120 kB; the keypoints of one some hundred bytes
    assert peak(200) - peak(40) < 200_000


def test_frames_have_no_influence_on_each_other(tracker):
    frames = make_frames(5)
    whole = tracker.predict(frames, fps=10.0).keypoints
    alone = [tracker.predict(frame[None], fps=10.0).keypoints[0] for frame in frames]
    np.testing.assert_allclose(whole, alone, rtol=1e-6)


def test_draw_writes_overlay_and_plot(tracker, tmp_path):
    frames = make_frames(6)
    result = tracker.predict(frames, fps=10.0)
    overlay, plot = tracker.draw(frames, result, tmp_path)
    assert inspect_video(overlay).num_frames == 6
    assert (overlay.name, plot.name) == ('video_overlay.mp4', 'video_tracks.png')


def test_a_wrong_batch_size_is_refused(config):
    config.predictor.batch_size = 0
    with pytest.raises(ValueError, match='batch_size must be at least 1, got batch_size=0'):
        load_model(config, 'random', device='cpu')


def test_predict_exports_on_the_command_line(config, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config.dump(tmp_path / 'spot.py')
    with VideoWriter(tmp_path / 'clip.mp4', fps=10.0) as writer:
        for frame in make_frames(6):
            writer.write(frame)
    command = ['predict', 'spot.py', 'clip.mp4', '--out', 'out', '--checkpoint', 'random']
    assert main([*command, '--draw', '--export', 'csv', 'deeplabcut']) == 0
    printed = capsys.readouterr().out
    assert 'clip.mp4: 2 keypoints in 6 frames, moving' in printed
    content = json.loads((tmp_path / 'out' / 'clip.json').read_text())
    assert np.shape(content['keypoints']) == (6, 2, 2)
    assert len(list(csv.reader((tmp_path / 'out' / 'clip_tracks.csv').open()))) == 7
    for name in ('clipDLC_mmotion.csv', 'clip_overlay.mp4', 'clip_tracks.png'):
        assert (tmp_path / 'out' / name).is_file()
        assert name in printed

    assert main([*command, '--export', 'lightning']) == 2
    assert re.search("formats must be among csv, .*, got 'lightning'", capsys.readouterr().err)
    monkeypatch.setitem(sys.modules, 'sleap_io', None)
    assert main([*command, '--export', 'nwb']) != 0
    assert 'nwb must have the package sleap-io' in capsys.readouterr().err


def test_sleap_io_reads_the_frames_after_a_start(config, tmp_path, monkeypatch):
    sleap_io = pytest.importorskip('sleap_io')
    monkeypatch.chdir(tmp_path)
    config.dump(tmp_path / 'spot.py')
    with VideoWriter(tmp_path / 'clip.mp4', fps=10.0) as writer:
        for frame in make_frames(6):
            writer.write(frame)
    command = ['predict', 'spot.py', 'clip.mp4', '--out', '.', '--checkpoint', 'random']
    assert main([*command, '--start', '0.2', '--export', 'sleap', 'nwb']) == 0
    content = json.loads((tmp_path / 'clip.json').read_text())
    assert content['frames'] == [2, 3, 4, 5]
    for labels in (sleap_io.load_slp('clip.slp'), sleap_io.load_nwb('clip.nwb')):
        assert [frame.frame_idx for frame in labels] == content['frames']
        found = np.array([frame.instances[0].numpy(scores=True) for frame in labels])
        np.testing.assert_allclose(found[..., :2], content['keypoints'], atol=1e-3)
        np.testing.assert_allclose(found[..., 2], content['confidence'], atol=1e-5)


def test_regions_are_exported_in_pixels_of_the_picture(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config.dump(tmp_path / 'spot.py')
    with VideoWriter(tmp_path / 'clip.mp4', fps=10.0) as writer:
        for frame in make_frames(6):
            writer.write(frame)
    command = ['predict', 'spot.py', 'clip.mp4', '--checkpoint', 'random', '--region-margin', '0']
    box = 'a/../b=4,24,68,56'
    assert main([*command, '--regions', box, '0,0,96,64', '--export', 'csv', '--draw']) == 0
    part, whole = json.loads((tmp_path / 'results' / 'clip.json').read_text())['regions']
    assert (part['width'], part['height'], part['frames']) == (96, 64, [*range(6)])
    for region in (part, whole):
        first = np.array(region['keypoints'])[:, 0]
        np.testing.assert_allclose(first[:, 0], 10 + 2 * np.arange(6), atol=1.5)
        np.testing.assert_allclose(first[:, 1], 40, atol=1.5)
    folder = tmp_path / 'results' / 'clip_regions'
    for name, region in (('1_a_b', part), ('2_2', whole)):
        rows = list(csv.reader((folder / name / 'clip_tracks.csv').open()))
        assert len(rows) == 7
        x = rows[0].index('keypoint_0_x')
        points = np.array(region['keypoints'])[:, 0, 0]
        np.testing.assert_allclose([float(row[x]) for row in rows[1:]], points, atol=1e-3)


def test_a_folder_of_pictures_is_predicted_as_it_is_trained_on(
    config, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    config.dump(tmp_path / 'spot.py')
    frames = make_frames(8)
    (tmp_path / 'mice' / 'one').mkdir(parents=True)
    for number, frame in enumerate(frames, start=1):
        cv2.imwrite(f'mice/one/img_{number:03d}.png', frame)
    # the data set finds it
    assert len(FramePairs(data_root='mice', pipeline=[], gap_frames=2)) == 6
    command = ['predict', 'spot.py', 'mice/one', '--out', 'out', '--checkpoint', 'random', '--draw']
    assert main([*command, '--start', '0.2', '--fps', '10']) == 0
    content = json.loads((tmp_path / 'out' / 'one.json').read_text())
    assert (content['fps'], content['start_s']) == (10, 0.2)
    assert content['frames'] == list(range(2, 8))
    np.testing.assert_allclose(
        np.array(content['keypoints'])[:, 0, 0], 14 + 2 * np.arange(6), atol=2
    )
    overlay = read_frames(tmp_path / 'out' / 'one_overlay.mp4', [0])[0]
    # four times as large: the spot of frame 2 is from 11 to 17, that of frame 0 from 7 to 13
    assert overlay[166:174, 60:68].mean() > 100 > overlay[166:174, 30:38].mean()
    # so is a folder of such folders
    assert main(['predict', 'spot.py', 'mice', *command[3:], '--fps', '10', '--out', 'new']) == 0
    assert (tmp_path / 'new' / 'one.json').is_file()
    # nobody knows the rate of pictures
    assert main(command) == 2
    assert '--fps must be given for pictures' in capsys.readouterr().err


def test_regions_are_drawn_too(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config.dump(tmp_path / 'spot.py')
    with VideoWriter(tmp_path / 'clip.mp4', fps=10.0) as writer:
        for frame in make_frames(6):
            writer.write(frame)
    command = ['predict', 'spot.py', 'clip.mp4', '--out', 'out', '--draw', '--checkpoint', 'random']
    assert main([*command, '--regions', 'left=0,0,48,64', 'right=48,0,96,64']) == 0
    assert (tmp_path / 'out' / 'clip_regions.png').is_file()
