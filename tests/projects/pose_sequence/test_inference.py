"""Prediction of activities: keypoint files, videos by way of a detector, streams, drawings."""

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from torch import nn

from mmotion.checkpoint import save_checkpoint_file
from mmotion.cli import main
from mmotion.inference import load_model
from mmotion.keypoints.detectors import DETECTORS
from mmotion.keypoints.files import PoseFileError, write_poses
from mmotion.keypoints.poses import Person, PoseVideo
from mmotion.keypoints.skeletons import COCO17, FIGURE
from mmotion.registry import MODELS
from mmotion.video import VideoWriter, inspect_video
from mmotion.video.pictures import write_picture
from projects.pose_sequence.data import KeypointSequenceDataset
from projects.pose_sequence.inference import PosePredictor
from projects.pose_sequence.results import PoseScores
from tests.pose_videos import write_deeplabcut
from tests.video_files import encode

NAMES = ('left', 'right')
WIDTH, HEIGHT, FPS = 200, 100, 10.0
OFFSETS = np.stack([np.arange(15) % 5 - 2, np.arange(15) // 5 - 1], axis=1) * 4.0


@MODELS.register_module()
class PlaceEncoder(nn.Module):
    """Tells the mean x of the points that are there, -1 at the left and 1 at the right."""

    embed_dim = 1

    def __init__(self, *, num_points=15):
        super().__init__()
        self.num_points = num_points

    def forward(self, inputs, lengths):
        steps = torch.arange(inputs.shape[1])[None] < lengths[:, None]
        there = (inputs[..., 2] > 0) & steps[..., None]
        total = (inputs[..., 0] * there).sum((1, 2)) / there.sum((1, 2)).clamp(min=1)
        return total[:, None] / (WIDTH / 2) - 1


class SpotDetector:
    """Finds a person at the bright spot of an image."""

    name = 'spot'
    skeleton = FIGURE

    def detect(self, images):
        return [self.find(image) for image in images]

    def find(self, image):
        rows, columns = np.nonzero(image.mean(-1) > 128)
        if not len(rows):
            return []
        return [make_person(columns.mean(), rows.mean())]


def make_person(x, y=50.0, score=0.9):
    keypoints = (OFFSETS + np.array([x, y])).astype(np.float32)
    return Person(keypoints=keypoints, scores=np.full(15, score, np.float32), score=score)


def make_poses(places, every=5, source='walk.mp4', **fields):
    """Somebody at a place x at each step, None for nobody."""
    values = dict(
        source=source,
        fps=FPS,
        width=WIDTH,
        height=HEIGHT,
        num_frames=every * len(places),
        detector='spot',
        skeleton=FIGURE,
        frame_indices=every * np.arange(len(places)),
        frames=tuple(() if x is None else (make_person(x),) for x in places),
    )
    return PoseVideo(**{**values, **fields})


def make_frames(places, every=5):
    """The same as a video (N, H, W, 3)."""
    frames = np.zeros((every * len(places), HEIGHT, WIDTH, 3), np.uint8)
    for i, x in enumerate(places):
        if x is not None:
            frames[every * i : every * (i + 1), 46:55, x - 4 : x + 5] = 255
    return frames


# from the left to the right
WALK = [20] * 8 + [180] * 8


def make_config(steps=(), **changes):
    return Config(
        dict(
            model=dict(type='SequenceClassifier', encoder=dict(type='PlaceEncoder'), num_classes=2),
            test_pipeline=[*steps, dict(type='PackSequence', max_seq_length=8)],
            test_dataloader=dict(dataset=dict(classes=NAMES)),
            predictor=dict(type='PosePredictor', **changes),
        )
    )


def build(config):
    predictor = load_model(config, 'random', device='cpu')
    with torch.no_grad():
        predictor.model.head.weight.copy_(torch.tensor([[-3.0], [3.0]]))
        predictor.model.head.bias.zero_()
    return predictor


def predict_poses(predictor, poses, folder):
    write_poses(poses, folder / 'poses.json')
    return predictor.predict(folder / 'poses.json')


@pytest.fixture
def spot_detector(monkeypatch):
    monkeypatch.setitem(DETECTORS, 'spot', lambda **options: SpotDetector())


@pytest.fixture
def with_detector(spot_detector):
    return lambda **changes: build(make_config(detector='spot', **changes))


@pytest.fixture
def keypoint_file(tmp_path):
    path = tmp_path / 'poses' / 'left' / 'walk.json'
    write_poses(make_poses(WALK), path)
    return path


@pytest.mark.parametrize('num_steps', [16, 8, 5])
def test_prediction_equals_testing(tmp_path, num_steps):
    path = tmp_path / 'poses' / 'left' / 'walk.json'
    write_poses(make_poses(WALK[:num_steps]), path)
    predictor = build(make_config())
    dataset = KeypointSequenceDataset(
        data_root=str(tmp_path / 'poses'),
        classes=list(NAMES),
        pipeline=predictor.config.test_pipeline,
        subset={'min_det_threshold': 1},
    )
    (tested,) = predictor.model.test_step(pseudo_collate([dataset[0]]))
    result = predictor.predict(path)
    np.testing.assert_allclose(result.scores, tested.pred_score.detach(), atol=1e-6)
    assert result.views == '1 sequence of 8 steps x 15 points'


def test_an_array_is_predicted_as_it_is_tested(tmp_path):
    poses = make_poses(WALK, every=1)
    values = np.concatenate([poses.main_track()[0], poses.main_track()[1][..., None]], axis=-1)
    (tmp_path / 'left').mkdir()
    np.save(tmp_path / 'left' / 'walk.npy', values)
    config = make_config()
    with pytest.raises(
        ValueError,
        match=r'skeleton and fps must be given .* set what is missing in test_dataloader\.dataset',
    ):
        build(config).predict(tmp_path / 'left' / 'walk.npy')
    config.test_dataloader.dataset.update(skeleton='figure', fps=FPS)
    predictor = build(config)
    found = predictor.predict(tmp_path / 'left' / 'walk.npy')
    expected = predict_poses(predictor, poses, tmp_path)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-6)
    np.testing.assert_allclose(found.window_end_s, expected.window_end_s)
    (tmp_path / 'list.csv').write_text('path,label\nleft/walk.npy,left\n')
    dataset = KeypointSequenceDataset(
        data_root=str(tmp_path),
        ann_file=str(tmp_path / 'list.csv'),
        classes=list(NAMES),
        pipeline=config.test_pipeline,
        skeleton='figure',
        fps=FPS,
    )
    (tested,) = predictor.model.test_step(pseudo_collate([dataset[0]]))
    np.testing.assert_allclose(found.scores, tested.pred_score.detach(), atol=1e-6)
    # its rate may be given as well, and is that of what is drawn
    found = predictor.predict(tmp_path / 'left' / 'walk.npy', fps=2 * FPS)
    assert (found.fps, found.num_frames) == (2 * FPS, 16)
    files = predictor.draw(tmp_path / 'left' / 'walk.npy', found, tmp_path / 'drawn')
    assert inspect_video(files[0]).num_frames == 16


def test_deeplabcut_is_predicted_at_the_rate_of_the_test_data(tmp_path):
    poses = make_poses(WALK, every=1)
    path = tmp_path / 'left' / 'walkDLC_net.csv'
    write_deeplabcut(poses, path)
    config = make_config()
    with pytest.raises(ValueError, match=r'fps must be given for files of DeepLabCut.* set what'):
        build(config).predict(path)
    assert PosePredictor.needs_fps(path, config)
    config.test_dataloader.dataset.fps = FPS
    assert not PosePredictor.needs_fps(path, config)
    predictor = build(config)
    found = predictor.predict(path)
    expected = predict_poses(predictor, poses, tmp_path)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-6)
    (tmp_path / 'left' / 'other.csv').write_text('a,b\n1,2\n')
    with pytest.raises(PoseFileError, match=r"analyze_videos of DeepLabCut .*'a,b'.* from \.json"):
        predictor.predict(tmp_path / 'left' / 'other.csv')


def test_a_long_sequence_gets_a_timeline(keypoint_file):
    result = build(make_config()).predict(keypoint_file)
    assert isinstance(result, PoseScores)
    assert result.classes == NAMES
    # 8 steps of 0.5 s, overlapping by half
    np.testing.assert_allclose(result.window_start_s, [0, 2, 4])
    np.testing.assert_allclose(result.window_end_s, [4, 6, 8])
    assert [segment.label for segment in result.segments] == ['left', 'right']
    assert (result.segments[0].start_s, result.segments[-1].end_s) == (0.0, 8.0)
    assert (result.num_frames, result.fps) == (80, FPS)
    plain = result.to_dict()
    assert (plain['detector'], plain['num_steps'], plain['num_detections']) == ('spot', 16, 16)


def test_window_is_in_seconds_or_as_long_as_the_steps_last(keypoint_file):
    result = build(make_config(window_s=2.0)).predict(keypoint_file)
    np.testing.assert_allclose(result.window_end_s - result.window_start_s, 2.0)
    # at 4 steps a second, 8 steps are 2 s
    resample = [dict(type='ResampleSequence', rate_hz=4.0)]
    again = build(make_config(resample)).predict(keypoint_file)
    np.testing.assert_allclose(again.window_start_s, result.window_start_s)


def test_a_video_gives_what_its_keypoint_file_gives(with_detector, tmp_path):
    predictor = with_detector()
    from_frames = predictor.predict(make_frames(WALK), fps=FPS)
    np.testing.assert_array_equal(from_frames.poses.frame_indices, np.arange(0, 80, 5))
    from_file = predict_poses(predictor, from_frames.poses, tmp_path)
    np.testing.assert_allclose(from_frames.scores, from_file.scores, atol=1e-5)
    np.testing.assert_allclose(from_frames.window_scores, from_file.window_scores, atol=1e-5)
    np.testing.assert_array_equal(from_frames.window_start_s, from_file.window_start_s)
    np.testing.assert_array_equal(from_frames.window_end_s, from_file.window_end_s)
    assert from_frames.num_frames == from_file.num_frames


@pytest.mark.parametrize('num_frames', [80, 78, 20, 1])
def test_stream_gives_the_timeline_of_the_whole(with_detector, num_frames):
    predictor = with_detector()
    frames = make_frames(WALK)[:num_frames]
    whole = predictor.predict(frames, fps=FPS)
    running = list(predictor.stream(iter(frames), fps=FPS))
    np.testing.assert_allclose([part.scores for part in running], whole.window_scores, atol=1e-6)
    np.testing.assert_array_equal([part.start_s for part in running], whole.window_start_s)
    np.testing.assert_array_equal([part.end_s for part in running], whole.window_end_s)
    assert running[-1].num_frames == num_frames
    np.testing.assert_allclose(running[-1].mean_scores, whole.window_scores.mean(0), atol=1e-6)


def test_every_says_which_frames_are_looked_at(with_detector):
    result = with_detector(every=4).predict(make_frames(WALK), fps=FPS)
    np.testing.assert_array_equal(result.poses.frame_indices, np.arange(0, 80, 4))


@pytest.mark.parametrize('source', ['file', 'frames'])
def test_a_part_of_a_video(with_detector, keypoint_file, source):
    predictor = with_detector()
    times = {'start_s': 5.0, 'end_s': 7.0}
    if source == 'file':
        result = predictor.predict(keypoint_file, **times)
    else:
        result = predictor.predict(make_frames(WALK), fps=FPS, **times)
    assert (result.start_s, result.end_s, result.num_frames) == (5.0, 7.0, 20)
    np.testing.assert_array_equal(result.poses.frame_indices, [50, 55, 60, 65])
    assert result.label == 'right'


def test_a_window_without_anybody_has_no_label(tmp_path):
    poses = make_poses([20] * 8 + [None] * 12 + [180] * 8)
    result = predict_poses(build(make_config(window_s=2.0)), poses, tmp_path)
    assert not result.window_scores[5:8].any()
    assert [segment.label for segment in result.segments] == ['left', 'right']
    assert result.segments[1].start_s - result.segments[0].end_s > 3


def test_nobody_in_a_video_is_an_error(with_detector, tmp_path):
    write_poses(make_poses([None] * 6), tmp_path / 'empty.json')
    for video, options in (
        (tmp_path / 'empty.json', {}),
        (make_frames([None] * 6), {'fps': FPS}),
    ):
        with pytest.raises(ValueError, match='somebody must be seen, got nobody in the 6 frames'):
            with_detector().predict(video, **options)


def test_the_most_prominent_person_of_each_window_is_followed(tmp_path):
    poses = make_poses(WALK)
    strangers = [dataclasses.replace(make_person(100, score=0.3), track=1)] * 16
    main = [dataclasses.replace(frame[0], track=0) for frame in poses.frames]
    both = dataclasses.replace(poses, frames=tuple(zip(strangers, main, strict=True)))
    result = predict_poses(build(make_config()), both, tmp_path)
    assert [segment.label for segment in result.segments] == ['left', 'right']


def test_keypoints_of_a_detector_become_those_of_the_training(tmp_path):
    seventeen = np.array([OFFSETS[i % 15] for i in range(17)])
    scores = np.full(17, 0.9, np.float32)
    people = [
        Person(keypoints=seventeen + np.array([x, 50]), scores=scores, score=0.9) for x in WALK
    ]
    poses = make_poses(WALK, skeleton=COCO17, frames=tuple((person,) for person in people))
    config = make_config([dict(type='MakeFigure')])
    config.model.encoder.num_points = 15
    result = predict_poses(build(config), poses, tmp_path)
    assert result.views == '1 sequence of 8 steps x 15 points'
    assert [segment.label for segment in result.segments] == ['left', 'right']


def test_other_keypoints_than_those_of_the_training_are_refused(tmp_path):
    person = Person(
        keypoints=np.zeros((17, 2), np.float32), scores=np.ones(17, np.float32), score=1.0
    )
    poses = make_poses([20] * 4, skeleton=COCO17, frames=((person,),) * 4)
    write_poses(poses, tmp_path / 'coco.json')
    config = make_config()
    config.model.encoder.num_points = 15
    with pytest.raises(ValueError, match=r'keypoints must have the 15 points .* 17 \(coco17\)'):
        build(config).predict(tmp_path / 'coco.json')


def test_a_video_needs_the_package_of_the_detector_and_a_file_does_not(monkeypatch):
    monkeypatch.setitem(sys.modules, 'mediapipe', None)
    predictor = build(make_config())
    predictor.prepare([Path('a.json'), Path('b.npy')])
    message = r'its package mediapipe, .*; pip install "mmotion\[pose\]"'
    with pytest.raises(ImportError, match=message):
        predictor.prepare([Path('a.json'), Path('clip.mp4')])
    with pytest.raises(ImportError, match=message):
        predictor.predict(make_frames(WALK), fps=FPS)


def test_a_broken_file_is_named(tmp_path):
    path = tmp_path / 'broken.json'
    path.write_text('{"format": ')
    with pytest.raises(ValueError, match=r'broken\.json'):
        build(make_config()).predict(path)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        pytest.param({'every': 0}, 'every must be at least 1', id='every'),
        pytest.param({'window_s': 0.0}, 'window_s must be above 0', id='window'),
        pytest.param({'min_score': 0.0}, 'min_score must be above 0', id='score'),
        pytest.param(
            {'detector': 'eyes'}, "detector must be one of .* got detector='eyes'", id='d'
        ),
    ],
)
def test_wrong_options_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        build(make_config(**changes))


def test_a_pipeline_without_packing_is_refused():
    config = make_config()
    config.test_pipeline = [dict(type='FillMissing')]
    with pytest.raises(ValueError, match='test_pipeline must end with PackSequence'):
        build(config)


def test_skeletons_and_labels_are_drawn(with_detector, keypoint_file, tmp_path):
    predictor = with_detector()
    # on black, as the video of the file is not there
    files = predictor.draw(keypoint_file, predictor.predict(keypoint_file), tmp_path)
    assert [file.name for file in files] == ['walk_overlay.mp4', 'walk_actions.png']
    assert all(file.stat().st_size for file in files)
    assert inspect_video(files[0]).num_frames == 80

    frames = make_frames(WALK)
    result = predictor.predict(frames, fps=FPS, start_s=1.0, end_s=3.0)
    files = predictor.draw(frames, result, tmp_path)
    assert inspect_video(files[0]).num_frames == 20


def test_a_part_of_a_video_of_varying_rate_is_drawn_from_its_first_frame(with_detector, tmp_path):
    """Frames are counted here: the 16th of these is shown at 3.2 s, and not after 16 / 6.7 s."""
    shades = [np.full((HEIGHT, WIDTH, 3), 4 * n, np.uint8) for n in range(24)]
    shades[18][46:55, 16:25] = 255
    times_ms = [*range(0, 480, 40), *range(3000, 3600, 50)]
    path = encode(tmp_path / 'walk.mp4', shades, times_ms=times_ms)
    predictor = with_detector(every=1)
    result = predictor.predict(path, start_s=3.2)
    assert (result.num_frames, result.poses.frame_indices[0]) == (8, 16)
    drawn = [frame.image.mean() for frame in predictor._open_again(path, result)]
    assert drawn == pytest.approx([image.mean() for image in shades[16:]], abs=2)
    # by way of its keypoint file as well
    write_poses(dataclasses.replace(result.poses, source=str(path)), tmp_path / 'walk.json')
    again = predictor.predict(tmp_path / 'walk.json', start_s=result.start_s)
    from_file = [f.image.mean() for f in predictor._open_again(tmp_path / 'walk.json', again)]
    assert from_file == drawn


def test_a_video_with_missing_frames_is_drawn(with_detector, tmp_path):
    for number, image in enumerate(make_frames(WALK + WALK, every=1)):
        if number not in (3, 4, 9):
            write_picture(tmp_path / 'walk' / f'{number}.png', image)
    predictor = with_detector(every=1)
    result = predictor.predict(tmp_path / 'walk', fps=FPS)
    assert (result.num_frames, result.num_lost) == (32, 3)
    drawn = [frame.index for frame in predictor._open_again(tmp_path / 'walk', result)]
    assert drawn == [0, 1, 2, 2, 2, 5, 6, 7, 8, 8, *range(10, 32)]
    overlay, _ = predictor.draw(tmp_path / 'walk', result, tmp_path)
    assert inspect_video(overlay).num_frames == 32


def test_a_keypoint_file_has_its_own_rate(keypoint_file):
    with pytest.raises(ValueError, match='fps must be left out for a file'):
        build(make_config()).predict(keypoint_file, fps=FPS)


def test_keypoints_that_were_read_from_an_array_are_drawn_on_black(with_detector, tmp_path):
    array = tmp_path / 'walk.npy'
    array.write_bytes(b'not a video')
    write_poses(dataclasses.replace(make_poses(WALK), source=str(array)), tmp_path / 'walk.json')
    predictor = with_detector()
    files = predictor.draw(
        tmp_path / 'walk.json', predictor.predict(tmp_path / 'walk.json'), tmp_path
    )
    assert inspect_video(files[0]).num_frames == 80


def write_config(path, **changes):
    config = make_config(**changes)
    config.custom_imports = dict(imports=['projects.pose_sequence'], allow_failed_imports=False)
    config.dump(path)
    weights = build(make_config()).model.state_dict()
    meta = {'dataset_meta': {'classes': ['to_the_left', 'to_the_right']}}
    save_checkpoint_file({'meta': meta, 'state_dict': weights}, path.with_suffix('.pth'))
    return [str(path), '--checkpoint', str(path.with_suffix('.pth')), '--device', 'cpu']


def test_command_line_takes_files_and_goes_on_after_a_broken_one(tmp_path, keypoint_file, capsys):
    broken = tmp_path / 'broken.json'
    broken.write_text('[]')
    config, *options = write_config(tmp_path / 'config.py')
    files = [str(broken), str(keypoint_file)]
    out = tmp_path / 'out'
    assert main(['predict', config, *files, *options, '--out', str(out), '--draw']) == 1
    assert 'broken.json' in capsys.readouterr().err
    result = json.loads((out / 'walk.json').read_text())
    assert [part['label'] for part in result['segments']] == ['to_the_left', 'to_the_right']
    assert (out / 'walk_overlay.mp4').is_file()


def test_command_line_takes_a_detector(tmp_path, spot_detector):
    with VideoWriter(tmp_path / 'walk.mp4', fps=FPS) as writer:
        for frame in make_frames(WALK):
            writer.write(frame)
    config, *options = write_config(tmp_path / 'config.py')
    command = ['predict', config, str(tmp_path / 'walk.mp4'), *options]
    assert main([*command, '--detector', 'spot', '--out', str(tmp_path / 'out')]) == 0
    result = json.loads((tmp_path / 'out' / 'walk.json').read_text())
    assert [part['label'] for part in result['segments']] == ['to_the_left', 'to_the_right']


def test_is_registered():
    assert isinstance(build(make_config()), PosePredictor)
