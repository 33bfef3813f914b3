"""RepNet's data: labels of clips, packing, resizing."""

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from PIL import Image

from mmotion.shapes import MotionShapes, PersonShapes
from mmotion.transforms.preprocessing import ClipDataPreprocessor
from projects.repnet.data import (
    PackRepetitionInputs,
    RepetitionPosesDataset,
    RepetitionShapesDataset,
    ResizeFrames,
    countable_period,
    random_clip,
    sample_repetition,
    sample_window,
)

PACK = [PackRepetitionInputs()]


def test_whole_video_is_packed_with_its_labels() -> None:
    item = RepetitionShapesDataset(split='test', num_videos=5, size=32, pipeline=PACK)[3]
    scene = MotionShapes(split='test', size=32)[3]
    assert item['inputs'].shape == (3, len(scene), 32, 32)
    assert item['inputs'].dtype == torch.uint8
    np.testing.assert_array_equal(item['inputs'].permute(1, 2, 3, 0), scene.render())
    sample = item['data_samples']
    assert sample.gt_count == scene.count
    assert sample.name == 'test_000003'
    assert sample.num_frames == len(scene) == len(sample.gt_period)


def test_same_index_gives_the_same_clip() -> None:
    dataset = RepetitionShapesDataset(
        split='train', num_videos=10, size=16, clip_frames=32, pipeline=PACK
    )
    assert torch.equal(dataset[4]['inputs'], dataset[4]['inputs'])
    assert not torch.equal(dataset[4]['inputs'], dataset[5]['inputs'])


def test_clips_drawn_on_the_device_are_those_that_workers_draw() -> None:
    options = {'split': 'train', 'num_videos': 10, 'size': 32, 'clip_frames': 32}
    pipeline = [ResizeFrames(size=32), PackRepetitionInputs()]
    datasets = [
        RepetitionShapesDataset(**options, pipeline=pipeline, render_on=where)
        for where in ('workers', 'device')
    ]
    prepare = ClipDataPreprocessor(mean=[0.0] * 3, std=[1.0] * 3)
    batches = [prepare(pseudo_collate([data[i] for i in range(6)])) for data in datasets]
    drawn, expected = batches[1]['inputs'], batches[0]['inputs']
    assert drawn.shape == expected.shape == (6, 3, 32, 32, 32)
    assert (drawn - expected).abs().mean() < 0.3
    for one, other in zip(*(batch['data_samples'] for batch in batches), strict=True):
        assert one.metainfo == other.metainfo
        assert one.gt_count == other.gt_count
        for label in ('gt_period', 'gt_periodicity', 'gt_cycles'):
            assert torch.equal(one.get(label), other.get(label))


def test_a_scene_of_another_size_than_the_pipeline_has_is_refused() -> None:
    dataset = RepetitionShapesDataset(
        split='train', num_videos=1, size=32, pipeline=[ResizeFrames(size=48)], render_on='device'
    )
    with pytest.raises(ValueError, match=r'size of ResizeFrames, 48 pixels, got 32; give the data'):
        dataset[0]


def test_videos_are_drawn_by_workers_or_on_the_device() -> None:
    with pytest.raises(ValueError, match=r"render_on must be one of .*'gpu'"):
        RepetitionShapesDataset(split='train', num_videos=1, pipeline=PACK, render_on='gpu')


def test_generated_people_are_packed_with_their_labels() -> None:
    item = RepetitionPosesDataset(split='test', num_videos=5, pipeline=PACK)[3]
    motion = PersonShapes(split='test')[3]
    assert item['inputs'].shape == (3, len(motion.period), 13, 1)
    assert item['inputs'].dtype == torch.float32
    sample = item['data_samples']
    assert sample.gt_count == pytest.approx(motion.cycles[-1])
    np.testing.assert_allclose(sample.gt_period, motion.period, rtol=1e-6)


def test_clips_of_people_have_periods_that_can_be_counted() -> None:
    dataset = RepetitionPosesDataset(split='train', num_videos=40, clip_frames=64, pipeline=PACK)
    items = [dataset[i] for i in range(40)]
    assert torch.equal(items[4]['inputs'], dataset[4]['inputs'])
    periods = torch.stack([item['data_samples'].gt_period for item in items])
    assert 20 < (periods > 0).any(1).sum() < 40
    assert ((periods == 0) | ((periods >= 3) & (periods <= 32))).all()
    with pytest.raises(IndexError):
        dataset[40]


def test_clip_labels_are_those_of_the_video_at_its_stride() -> None:
    shapes, found = MotionShapes(split='train', size=16), 0
    for i in range(60):
        scene, clip = shapes[i], random_clip(shapes[i], 64, np.random.default_rng(i))
        assert len(clip) == 64
        repeating = clip.period > 0
        assert np.all((clip.period[repeating] >= 3) & (clip.period[repeating] <= 32))
        if repeating.any():
            # the period of a clip times a stride is a period of the video
            ratios = scene.period[scene.period > 0][:, None] / clip.period[repeating]
            assert any(np.isclose(ratios, s).any(0).all() for s in (1, 2, 3, 4, 6, 8))
            found += 1
    assert found > 30


def test_frames_repeated_at_the_end_of_a_short_video_do_not_repeat() -> None:
    shapes = MotionShapes(split='train', size=16, num_frames=(40, 40))
    for i in range(20):
        clip = random_clip(shapes[i], 64, np.random.default_rng(i))
        assert not clip.period[40:].any()


def test_windows_of_an_interval_have_their_middle_in_it() -> None:
    period = np.zeros(1000)
    for seed in range(50):
        frames = sample_window(period, 64, np.random.default_rng(seed), interval=(600, 620))
        assert len(set(np.diff(frames))) == 1
        if frames[-1] < 999 - np.diff(frames)[0]:
            assert 598 <= frames[0] + 32 * np.diff(frames)[0] <= 621


@pytest.mark.parametrize('num_frames', [pytest.param(2, id='two'), pytest.param(30, id='thirty')])
def test_a_very_short_video_has_windows_too(num_frames: int) -> None:
    frames = sample_window(np.full(num_frames, 10.0), 64, np.random.default_rng(0))
    assert frames.shape == (64,) and frames[0] == 0


def test_what_cannot_be_counted_at_a_stride_is_labelled_as_not_repeating() -> None:
    period = np.array([0.0, 0, 4, 4, 12, 12, 40, 40])
    got = countable_period(period, 2 * np.arange(10))
    np.testing.assert_array_equal(got, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    period = np.array([0.0, 0, 6, 6, 10, 10, 12, 12])
    got = countable_period(period, 2 * np.arange(10))
    np.testing.assert_array_equal(got, [0, 3, 5, 0, 0, 0, 0, 0, 0, 0])


def test_made_repetitions_repeat_as_their_labels_say() -> None:
    ways = set()
    for seed in range(200):
        frames, period, cycles = sample_repetition(150, 64, np.random.default_rng(seed))
        assert frames.min() >= 0 and frames.max() < 150
        steps = (frames - frames[0]) / np.gcd.reduce(frames - frames[0])
        repeats = period > 0
        assert np.all((period[repeats] >= 3) & (period[repeats] <= 32))
        lengths = [period[repeats & (np.floor(cycles) == k)] for k in range(int(cycles.max()) + 1)]
        lengths = [length for length in lengths if len(length)]
        assert len(lengths) == np.ceil(cycles[-1]) >= 2
        assert all(abs(len(length) - length[0]) <= 1 and np.ptp(length) == 0 for length in lengths)
        # the same stretch each time: forward, or forward and backward
        mean = np.mean([length[0] for length in lengths])
        phase = cycles[repeats] % 1
        residues = [
            np.ptp(steps[repeats] - mean * phase),
            np.ptp(steps[repeats] - mean / 2 * (1 - abs(1 - 2 * phase))),
        ]
        assert min(residues) <= 1
        ways.add(int(np.argmin(residues)))
        # the rest of the video goes on
        for rest in (cycles == 0, cycles == cycles[-1]):
            assert np.all(np.diff(steps[rest & ~repeats]) == 1)
    assert ways == {0, 1}


def test_without_repetition_a_made_clip_is_the_video() -> None:
    for seed in range(20):
        frames, period, cycles = sample_repetition(
            64, 64, np.random.default_rng(seed), repeats=False
        )
        np.testing.assert_array_equal(frames, np.arange(64))
        assert not period.any() and not cycles.any()


def test_resize_is_pillows_bilinear_filter() -> None:
    image = np.random.default_rng(0).integers(0, 256, (90, 160, 3), np.uint8)
    small = ResizeFrames(size=24).transform({'imgs': [image]})['imgs'][0]
    want = np.asarray(Image.fromarray(image).resize((24, 24), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(small, want)


def test_averaging_first_hardly_changes_a_resized_frame() -> None:
    scene = MotionShapes(split='val', size=384)[0]
    image = next(scene.frames())
    exact, fast = (
        ResizeFrames(size=48, reducing_gap=gap).transform({'imgs': [image]})['imgs'][0]
        for gap in (None, 2.0)
    )
    assert 0 < np.abs(exact.astype(float) - fast).mean() < 1
    with pytest.raises(ValueError, match='reducing_gap must'):
        ResizeFrames(size=48, reducing_gap=0.5)


def test_video_without_labels_is_packed() -> None:
    frames = [np.zeros((8, 8, 3), np.uint8)] * 3
    item = PackRepetitionInputs().transform({'imgs': frames, 'fps': 25.0})
    assert item['inputs'].shape == (3, 3, 8, 8)
    assert 'gt_count' not in item['data_samples']


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        pytest.param({'split': 'dev'}, "got split='dev'", id='split'),
        pytest.param({'num_videos': 0}, 'at least 1, got num_videos=0', id='no-videos'),
        pytest.param({'clip_frames': 4}, 'at least 8, got clip_frames=4', id='short-clip'),
    ],
)
def test_wrong_options_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RepetitionShapesDataset(**{'split': 'val', 'num_videos': 2, 'pipeline': [], **options})


def test_index_beyond_the_end_is_refused() -> None:
    dataset = RepetitionShapesDataset(split='val', num_videos=2, pipeline=[])
    with pytest.raises(IndexError, match=r'0\.\.1, got index=2'):
        dataset[2]


def test_size_zero_is_refused() -> None:
    with pytest.raises(ValueError, match='size must be at least 1, got size='):
        ResizeFrames(size=0)
