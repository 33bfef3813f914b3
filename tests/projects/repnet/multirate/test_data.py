"""Embedded videos are what the encoder makes of the videos, and parts and joins fit together."""

import numpy as np
import pytest
import torch

from mmotion.inference import load_model
from mmotion.shapes import MotionShapes
from projects.repnet.multirate import data
from projects.repnet.multirate.data import EmbeddedShapesDataset, EmbeddedVideo, list_levels

WILD = {'num_frames': (64, 70), 'periods': (4, 20), 'in_the_wild': True}


def make_dataset(folder, num_wild=2, num_untrimmed=0) -> EmbeddedShapesDataset:
    return EmbeddedShapesDataset(
        split='val',
        num_wild=num_wild,
        num_untrimmed=num_untrimmed,
        num_samples=100,
        cache_dir=str(folder),
        wild=WILD,
    )


def make_video(size: int) -> EmbeddedVideo:
    """Each embedding says which sample it is of."""
    levels = [torch.arange(0.0, size, 2**i)[:, None] for i in range(len(list_levels(size)))]
    return EmbeddedVideo(levels, torch.arange(1.0, size + 1))


def test_levels_are_halved_as_long_as_they_show_two_cycles():
    assert list_levels(100) == [100, 50, 25, 13]
    assert list_levels(3) == [3]
    assert len(list_levels(10**6)) == data.MAX_LEVELS


def test_a_video_is_embedded_once_as_its_model_does(tmp_path):
    dataset = make_dataset(tmp_path)
    video = dataset.load(1)
    scene = MotionShapes(split='val', size=96, **WILD)[1]
    np.testing.assert_allclose(video.period, scene.period, rtol=1e-6)
    model = load_model('repnet_small', device='cpu').model
    frames = torch.from_numpy(scene.render()).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.inference_mode():
        maps = model.encode_frames(frames)
        for i, level in enumerate(video.levels):
            expected = model.temporal_conv.combine(maps[None, :: 2**i])[0]
            torch.testing.assert_close(level, expected, rtol=2e-3, atol=2e-3)
    (file,) = tmp_path.iterdir()
    assert file.name == 'val_wild_000001.npz'
    dataset._embed = None
    torch.testing.assert_close(dataset.load(1).levels[0], video.levels[0])


def test_an_index_always_gives_the_same_sample(tmp_path):
    dataset = make_dataset(tmp_path)
    one, other = dataset[4], dataset[4]
    torch.testing.assert_close(one['inputs'], other['inputs'])
    sample = one['data_samples']
    assert sum(sample.level_sizes) == len(one['inputs'])
    assert sample.level_sizes[0] == len(sample.gt_period)
    with pytest.raises(IndexError):
        dataset[100]


def test_long_untrimmed_videos_are_seen_in_part_or_less_often(tmp_path):
    dataset = make_dataset(tmp_path, num_wild=0, num_untrimmed=3)
    frames, period = data.draw_untrimmed(dataset.untrimmed[0], 0)
    assert len(frames) == len(period) <= data.MAX_SAMPLES
    assert frames.shape[1:] == (96, 96, 3)


@pytest.mark.parametrize('seed', range(6))
def test_a_part_has_the_same_samples_in_all_levels(seed):
    part = data._take_part(make_video(400), np.random.default_rng(seed))
    first = int(part.period[0]) - 1
    assert first % data.GRID == 0
    assert len(part.period) >= data.MIN_PART
    assert [len(level) for level in part.levels] == list_levels(len(part.period))
    for i, level in enumerate(part.levels):
        expected = first + torch.arange(0.0, len(part.period), 2**i)
        torch.testing.assert_close(level[:, 0], expected)


def test_joined_videos_are_cut_where_all_levels_have_a_sample():
    joined = data._join(make_video(100), make_video(200))
    assert len(joined.period) == 96 + 200
    for i, level in enumerate(joined.levels):
        expected = torch.cat([torch.arange(0.0, 96, 2**i), torch.arange(0.0, 200, 2**i)])
        torch.testing.assert_close(level[:, 0], expected)


@pytest.mark.parametrize('seed', range(8))
def test_changes_keep_levels_and_labels_together(seed):
    video = make_video(256)
    changed = data._change(video, np.random.default_rng(seed))
    sizes = [len(level) for level in changed.levels]
    assert sizes == list_levels(256)[-len(sizes) :]
    assert len(changed.period) == sizes[0]
