import numpy as np
import pytest
import torch
from mmengine.structures import BaseDataElement

from mmotion.cli.sample_sheet import FRAME_HEIGHT, GAP, describe_sample, draw_views, make_sheet
from mmotion.keypoints.skeletons import FIGURE


@pytest.mark.parametrize(
    ('shape', 'frames_first', 'views', 'frames'),
    [
        pytest.param((3, 5, 8, 12), False, 1, 5, id='clip'),
        pytest.param((2, 3, 5, 8, 12), False, 2, 5, id='views of a clip'),
        pytest.param((2, 3, 8, 12), False, 1, 2, id='pair'),
        pytest.param((3, 3, 8, 12), True, 1, 3, id='three frames'),
    ],
)
def test_frames_of_every_layout(shape, frames_first, views, frames):
    inputs = torch.randint(256, shape, dtype=torch.uint8)
    found = draw_views(inputs, frames_first=frames_first)
    assert [len(view) for view in found] == [frames] * views
    assert found[0][0].shape == (8, 12, 3)
    last = inputs[-1] if len(shape) == 4 and shape[1] == 3 else inputs[..., -1, :, :]
    last = last[-1] if last.ndim == 4 else last
    assert np.array_equal(found[-1][-1], last.permute(1, 2, 0).numpy())


@pytest.mark.parametrize(
    ('low', 'high', 'expected'),
    [
        pytest.param(0.0, 1.0, [0, 255], id='shares'),
        pytest.param(10.0, 255.0, [10, 255], id='levels'),
        pytest.param(-2.0, 2.0, [0, 255], id='normalised'),
    ],
)
def test_numbers_become_levels(low, high, expected):
    clip = torch.full((3, 1, 2, 2), low)
    clip[0, 0, 0, 0] = high
    ((frame,),) = draw_views(clip)
    assert [frame.min(), frame.max()] == expected


def test_keypoints_become_skeletons_without_the_padding():
    sequence = torch.zeros(6, 15, 3)
    sequence[:4, :, :2] = torch.from_numpy(np.random.default_rng(0).normal(size=(4, 15, 2)))
    sequence[:4, :, 2] = 1
    ((*frames,),) = draw_views(sequence)
    assert len(frames) == 4
    # bones: more is drawn than points alone
    (dots,) = draw_views(sequence[:, :14])
    assert np.count_nonzero(frames[0]) > 2 * np.count_nonzero(dots[0])
    assert np.array_equal(draw_views(sequence, skeleton=FIGURE)[0][0], frames[0])
    # all of it lies within the picture
    assert not frames[0][0].any() and not frames[0][:, -1].any()
    assert len(draw_views(torch.zeros(2, 6, 15, 3))) == 2


def test_another_shape_is_refused():
    with pytest.raises(ValueError, match=r'inputs must be clips .* got shape \(96,\)'):
        draw_views(torch.zeros(96))


def test_a_sample_is_described_by_its_name_and_numbers():
    sample = BaseDataElement(
        gt_label=torch.tensor([2]), gt_count=3.5, gt_period=torch.zeros(9), metainfo={'name': 'a'}
    )
    assert describe_sample(sample, ['x', 'y', 'z']) == 'a: count 3.5, z'
    assert describe_sample(sample) == 'a: count 3.5, label 2'
    assert describe_sample(BaseDataElement()) == ''


def test_a_sheet_has_a_row_for_each_view():
    view = [np.full((16, 32, 3), level, np.uint8) for level in (10, 20, 30, 40, 50)]
    sheet = make_sheet({'one': [view, view], 'two': [view[:1]]}, num_frames=3)
    assert sheet.shape[1] == 3 * (2 * FRAME_HEIGHT + GAP)
    # from the first to the last
    row = sheet[20 + FRAME_HEIGHT // 2]
    assert [row[(2 * FRAME_HEIGHT + GAP) * i, 0] for i in range(3)] == [10, 30, 50]
    assert sheet.shape[0] == 2 * 20 + 3 * (FRAME_HEIGHT + GAP)
