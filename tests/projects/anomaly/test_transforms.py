"""Augmentation by the text of a row, and the frames of two pathways."""

import numpy as np
import pytest

from mmotion.registry import TRANSFORMS
from projects.anomaly.transforms import (
    Augmentation,
    AugmentClip,
    PackPathways,
    choose_slow_frames,
)
from tests.video_files import paint


def test_augmentations_are_read_as_they_are_written() -> None:
    for text in ('', 'flip', 'flip crop=0.1:0.05:0.85 speed=1.2 color=1.1:0.9:1.0:-0.02'):
        assert str(Augmentation.parse(text)) == text
    assert Augmentation.parse('speed=2 flip') == Augmentation(flip=True, speed=2.0)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        pytest.param('blur', "flip, crop=X:Y:SIZE, .*, got 'blur' in 'blur'", id='word'),
        pytest.param('flip=1', "got 'flip=1'", id='flip'),
        pytest.param('speed=fast', "got 'speed=fast'", id='number'),
        pytest.param('speed', "got 'speed'", id='nothing'),
        pytest.param('speed=0', 'speed must be from 0.1 to 10, got speed=0.0', id='speed'),
        pytest.param('speed=nan', 'speed must be from', id='nan'),
        pytest.param('crop=0.5:0:0.6', 'crop must lie within the frame', id='crop'),
        pytest.param('crop=0:0', 'crop must have 3 numbers, got crop=', id='crop-length'),
        pytest.param('color=1:1:1:0.7', 'a turn within half a circle', id='color'),
    ],
)
def test_wrong_augmentations_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Augmentation.parse(text)


def test_a_clip_is_cut_and_flipped() -> None:
    # columns of 0 to 7 and rows of 0 to 7, in two of the channels
    rows, columns = np.mgrid[:8, :8]
    frame = np.stack([columns, rows, 0 * rows], -1).astype(np.uint8) * 16
    results = {'imgs': [frame, frame], 'augmentation': Augmentation(crop=(0.5, 0, 0.5), flip=True)}
    for image in AugmentClip().transform(results)['imgs']:
        assert image.shape == (8, 8, 3)
        # the right half, mirrored; the upper half
        assert image[0, [0, -1], 0].tolist() == [112, 64]
        assert image[[0, -1], 0, 1].tolist() == [0, 48]


def test_colors_change_by_the_same_in_all_frames() -> None:
    dark, bright = (np.full((4, 6, 3), level, np.uint8) for level in (50, 150))
    results = {'imgs': [dark, bright], 'augmentation': Augmentation(color=(1.2, 1, 1, 0))}
    assert [image[0, 0, 0] for image in AugmentClip().transform(results)['imgs']] == [60, 180]
    results = {'imgs': [dark, bright], 'augmentation': Augmentation(color=(1, 0.5, 1, 0))}
    # halfway to the mean of the clip, 100, and not to that of each frame
    levels = [int(image[0, 0, 0]) for image in AugmentClip().transform(results)['imgs']]
    assert levels == pytest.approx([75, 125], abs=1)


def test_without_a_row_nothing_is_done() -> None:
    frame = paint(3)
    assert AugmentClip().transform({'imgs': [frame]})['imgs'][0] is frame


class TestPackPathways:
    @pytest.mark.parametrize(
        ('frame_choice', 'slow'),
        [
            pytest.param('linspace', [0, 4, 8, 13, 17, 22, 26, 31], id='linspace'),
            pytest.param('stride', [0, 4, 8, 12, 16, 20, 24, 28], id='stride'),
        ],
    )
    def test_slow_frames_come_behind_the_fast_ones(
        self, frame_choice: str, slow: list[int]
    ) -> None:
        clips = np.random.default_rng(0).integers(0, 256, (2, 3, 32, 4, 5), dtype=np.uint8)
        transform = TRANSFORMS.build(dict(type='PackPathways', frame_choice=frame_choice))
        results = transform({'imgs': clips, 'name': 'kept'})
        assert results['imgs'].dtype == np.uint8
        assert results['input_shape'] == results['imgs'].shape == (2, 3, 40, 4, 5)
        assert np.array_equal(results['imgs'][:, :, :32], clips)
        assert np.array_equal(results['imgs'][:, :, 32:], clips[:, :, slow])
        assert results['name'] == 'kept'
        assert choose_slow_frames(32, frame_choice) == slow
        # part of the key that embeddings are cached under
        assert repr(transform) == f"PackPathways(frame_choice='{frame_choice}')"

    @pytest.mark.parametrize('shape', [(3, 32, 4, 5), (32, 4, 5, 3), (1, 3, 30, 4, 5)])
    def test_other_shapes_are_refused(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match=r'T a multiple of 4, got .* behind FormatShape'):
            PackPathways()({'imgs': np.zeros(shape, np.uint8)})

    def test_other_words_are_refused(self) -> None:
        with pytest.raises(ValueError, match='frame_choice must be one of linspace, stride'):
            PackPathways(frame_choice='random')
