"""What a window of a stream becomes is what a test pipeline makes of a video like it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmengine.dataset import Compose
from numpy.typing import NDArray

from mmotion.inference.views import ViewMaker, check_window
from mmotion.registry import TRANSFORMS
from mmotion.video import VideoFrame
from mmotion.video.sources import open_source
from tests.video_files import encode, paint, read_number

SIZE = (36, 60)
VIEWS = [
    {'type': 'Resize', 'scale': (-1, 24)},
    {'type': 'ThreeCrop', 'crop_size': 24},
    {'type': 'FormatShape', 'input_format': 'NCTHW'},
    {'type': 'PackActionInputs'},
]


def build_steps(**sampling: Any) -> list[Any]:
    # 8 frames of a video with 10 frames a second
    sampling = {'type': 'SampleClip', 'num_frames': 4, 'stride': 6, **sampling}
    return [TRANSFORMS.build(step) for step in [sampling, {'type': 'DecodeClip'}, *VIEWS]]


def make_frames(num_frames: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (num_frames, *SIZE, 3), np.uint8)


def as_video(images: NDArray[np.uint8], first: int = 0) -> list[VideoFrame]:
    return [VideoFrame(first + i, (first + i) / 10, image) for i, image in enumerate(images)]


def run_pipeline(images: NDArray[np.uint8], *, num_clips: int = 1) -> Any:
    """What the pipeline makes of frames as of a video of their own."""
    steps = build_steps(num_clips=num_clips)
    results = steps[0]({'total_frames': len(images), 'fps': 10.0})
    chosen = list(images[results['frame_inds']])
    # without SampleClip and DecodeClip
    results |= {'imgs': chosen, 'img_shape': SIZE, 'original_shape': SIZE, 'modality': 'RGB'}
    return Compose(steps[2:])(results)['inputs']


@pytest.mark.parametrize('num_clips', [1, 5])
def test_a_window_is_a_video_of_its_own(num_clips: int) -> None:
    images = make_frames(20)
    maker = ViewMaker(build_steps(num_clips=num_clips), None)
    windows = list(maker.slide(as_video(images, first=7), size_s=1.2, hop_s=0.5, fps=10.0))
    assert [[frame['number'] for frame in window][::11] for window in windows] == [
        [0, 11],
        [5, 16],
        [8, 19],
    ]
    assert windows[0][0]['index'] == 7
    assert windows[0][0]['time_s'] == 0.7
    for window in windows:
        first = window[0]['number']
        expected = run_pipeline(images[first : first + 12], num_clips=num_clips)
        assert (maker.view(window, 10.0)['packed']['inputs'] == expected).all()


def test_frames_are_resized_when_they_come() -> None:
    (window,) = ViewMaker(build_steps(), None).slide(
        as_video(make_frames(3)), size_s=0.8, hop_s=0.4, fps=10.0
    )
    assert [frame['imgs'][0].shape for frame in window] == [(24, 40, 3)] * 3


@pytest.mark.parametrize('from_file', [False, True], ids=['array', 'file'])
def test_a_part_of_a_video(tmp_path: Path, from_file: bool) -> None:
    video = (
        encode(tmp_path / 'video.mp4', fps=10) if from_file else np.stack([*map(paint, range(24))])
    )
    source = open_source(video, fps=None if from_file else 10.0)
    views = ViewMaker(build_steps(), None).make(source, 10, 12)['packed']['inputs']
    assert views.shape == (3, 3, 4, 24, 24)
    for view in views.numpy():
        assert [read_number(image) for image in view.swapaxes(0, 1)] == [10, 12, 14, 17]


def test_a_clip_that_comes_again_is_looked_at_once() -> None:
    maker = ViewMaker(build_steps(num_clips=10), None)
    assert maker.choose(8, 10.0)['num_clips'] == 1
    assert maker.choose(60, 10.0)['num_clips'] == 10


@pytest.mark.parametrize(
    ('options', 'expected'),
    [
        pytest.param({}, (0.8, 0.4), id='a clip and half of it'),
        pytest.param({'window_s': 1.5, 'hop_s': 0.5}, (1.5, 0.5), id='in seconds'),
        pytest.param({'window_s': 0.01, 'hop_s': 0.01}, (0.1, 0.1), id='at least a frame'),
    ],
)
def test_length_of_windows(options: dict, expected: tuple[float, float]) -> None:
    assert ViewMaker(build_steps(), None).window_seconds(10.0, **options) == expected


def test_a_pipeline_that_takes_whole_clips() -> None:
    maker = ViewMaker(build_steps()[2:], 4)
    assert not maker.chooses
    assert maker.clip_span(10.0) == 4
    # the last frame of a short video is repeated
    assert maker.choose(3, 10.0)['frame_inds'].tolist() == [0, 1, 2, 2]


def test_a_pipeline_that_chooses_nothing() -> None:
    with pytest.raises(ValueError, match='test_pipeline must choose frames by SampleClip and'):
        ViewMaker(build_steps()[2:], None)


@pytest.mark.parametrize(
    ('window_s', 'hop_s', 'message'),
    [
        pytest.param(0, None, 'window_s must be above 0 and finite, got window_s=0', id='window'),
        pytest.param(
            1.0, float('nan'), 'hop_s must be above 0 and finite, got hop_s=nan', id='hop'
        ),
    ],
)
def test_a_window_has_a_length(window_s: Any, hop_s: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_window(window_s, hop_s)
