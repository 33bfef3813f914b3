"""Generated videos keep frames and labels together, however they are seen."""

import numpy as np
import pytest

from mmotion.shapes import MotionShapes, UntrimmedShapes
from projects.repnet.multirate import data
from projects.repnet.multirate.clock import MAX_RATE_HZ
from projects.repnet.multirate.data import DrawnVideo, RateShapesDataset, list_levels

WILD = {'num_frames': (64, 70), 'periods': (4, 20), 'in_the_wild': True}


def make_dataset(**options) -> RateShapesDataset:
    pipeline = [{'type': 'PackRepetitionInputs'}]
    options = {'split': 'val', 'num_videos': 100, 'pipeline': pipeline, 'wild': WILD} | options
    return RateShapesDataset(**options)


def make_video(size: int) -> DrawnVideo:
    """Each frame says which one it is, in its left half; so does the period, from 100 on."""
    number = np.arange(size)
    frames = np.zeros((size, 2, 2, 3), np.uint8)
    frames[:, :, 0, 0], frames[:, :, 0, 1] = number[:, None] % 256, number[:, None] // 256
    return DrawnVideo(frames, number + 100.0, 30.0)


def read_numbers(video: DrawnVideo) -> np.ndarray:
    either = video.frames.max(2)[:, 0].astype(int)
    return either[:, 0] + 256 * either[:, 1]


def test_levels_are_halved_as_long_as_they_show_two_cycles():
    assert list_levels(100) == [100, 50, 25, 13]
    assert list_levels(3) == [3]
    assert len(list_levels(10**6)) == data.MAX_LEVELS


def test_a_trimmed_video_is_that_of_motion_shapes():
    sample = make_dataset()[1]
    scene = MotionShapes(split='val', size=96, **WILD)[1]
    np.testing.assert_array_equal(sample['inputs'].permute(1, 2, 3, 0), scene.render())
    np.testing.assert_allclose(sample['data_samples'].gt_period, scene.period, rtol=1e-6)
    assert sample['data_samples'].gt_count == pytest.approx(scene.count)
    with pytest.raises(IndexError):
        make_dataset()[100]


def test_an_untrimmed_video_is_seen_as_a_counter_sees_it():
    sample = make_dataset(untrimmed=1.0, size=32)[0]['data_samples']
    video = UntrimmedShapes(split='val', size=32)[0]
    assert sample.fps <= MAX_RATE_HZ
    assert sample.num_frames == pytest.approx(video.duration_s * sample.fps, abs=1)
    assert sample.gt_count == pytest.approx(video.count, abs=0.05 * video.count)


@pytest.mark.parametrize('untrimmed', [0.0, 1.0])
def test_an_index_is_always_seen_in_the_same_way(untrimmed):
    dataset = make_dataset(untrimmed=untrimmed, varied=True, size=32)
    for i in range(4):
        one, other = dataset[i], dataset[i]
        np.testing.assert_array_equal(one['inputs'], other['inputs'])
        assert one['inputs'].shape[1] == len(one['data_samples'].gt_period) <= data.MAX_SAMPLES


@pytest.mark.parametrize('seed', range(8))
def test_a_part_keeps_frames_and_labels_together(seed):
    part = data.take_part(make_video(400), np.random.default_rng(seed))
    assert data.MIN_PART <= len(part.period) <= 400
    np.testing.assert_array_equal(read_numbers(part) + 100.0, part.period)
    whole = make_video(50)
    assert data.take_part(whole, np.random.default_rng(seed)) is whole


@pytest.mark.parametrize('seed', range(12))
def test_variations_keep_frames_and_labels_together(seed):
    seen = data.vary(make_video(1000), np.random.default_rng(seed))
    numbers = read_numbers(seen)
    step = abs(int(numbers[1] - numbers[0]))
    assert step in (1, 2)
    assert seen.rate_hz == 30.0 / step
    assert len(numbers) <= data.MAX_SAMPLES
    np.testing.assert_array_equal((numbers + 100.0) / step, seen.period)


@pytest.mark.parametrize('options', [{'untrimmed': 1.5}, {'num_videos': 0}])
def test_options_are_checked(options):
    with pytest.raises(ValueError, match='must'):
        make_dataset(**options)
