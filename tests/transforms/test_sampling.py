"""Which frames a clip has, and how they are read."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mmotion.transforms.sampling import DecodeClip, SampleClip, load_clip
from mmotion.video.clips import BrokenVideos
from mmotion.video.pictures import write_picture
from tests.video_files import encode


def sample(total: int, fps: float, /, **options: Any) -> list[int]:
    video = {'total_frames': total, 'fps': fps}
    return SampleClip(**options)(video)['frame_inds'].tolist()


def reference_clip(video_frames: int, fps: float, frames: int, rate: int, i: int, n: int) -> list:
    """timesformer/datasets/decoder.py: get_start_end_idx and temporal_sampling."""
    clip_size = rate * frames / 30 * fps
    delta = max(video_frames - clip_size, 0)
    start = delta * i / n
    index = torch.linspace(start, start + clip_size - 1, frames)
    return torch.clamp(index, 0, video_frames - 1).long().tolist()


@pytest.mark.parametrize(
    ('num_frames', 'fps', 'frames', 'stride', 'num_clips'),
    [
        pytest.param(300, 30.0, 8, 32, 1, id='base'),
        pytest.param(300, 30.0, 96, 4, 1, id='long-clip-in-a-short-video'),
        pytest.param(250, 25.0, 16, 16, 1, id='25fps'),
        pytest.param(300, 29.97, 8, 32, 10, id='ten-clips'),
        pytest.param(40, 30.0, 8, 32, 10, id='short'),
        pytest.param(900, 59.94, 8, 32, 3, id='60fps'),
    ],
)
def test_frames_are_those_of_the_reference(
    num_frames: int, fps: float, frames: int, stride: int, num_clips: int
) -> None:
    numbers = sample(num_frames, fps, num_frames=frames, stride=stride, num_clips=num_clips)
    expected = [
        number
        for i in range(num_clips)
        for number in reference_clip(num_frames, fps, frames, stride, i, num_clips)
    ]
    assert numbers == expected


def test_whole_numbers_are_not_rounded_down() -> None:
    assert sample(64, 30.0, num_frames=64, stride=1) == list(range(64))
    # 8 frames, every 32nd of a video of which only these 8 are left
    assert sample(8, 30 / 32, num_frames=8, stride=32) == list(range(8))


def test_random_clips_lie_anywhere_in_the_video() -> None:
    clips = [sample(100, 30.0, num_frames=4, stride=10, at_random=True) for _ in range(200)]
    firsts, lasts = [clip[0] for clip in clips], [clip[-1] for clip in clips]
    assert min(firsts) < 5 and 95 < max(lasts) <= 99
    assert all(38 <= last - first <= 39 for first, last in zip(firsts, lasts, strict=True))
    torch.manual_seed(0)
    first = sample(100, 30.0, at_random=True)
    torch.manual_seed(0)
    assert sample(100, 30.0, at_random=True) == first


@pytest.mark.parametrize(
    ('when_short', 'expected'),
    [
        pytest.param('hold', [0, 2, 4, 4, 4], id='hold'),
        pytest.param('loop', [0, 2, 4, 1, 4], id='loop'),
    ],
)
def test_a_short_video_is_held_or_looped(when_short: Any, expected: list[int]) -> None:
    assert sample(5, 30.0, num_frames=5, stride=2, when_short=when_short) == expected


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        pytest.param({'num_frames': 0}, 'num_frames must be at least 1, got num_frames=0', id='T'),
        pytest.param({'stride': 0}, 'got stride=0', id='stride'),
        pytest.param({'num_clips': -1}, 'got num_clips=-1', id='clips'),
        pytest.param({'when_short': 'wrap'}, "one of hold, loop, got when_short='wrap'", id='word'),
    ],
)
def test_wrong_options_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SampleClip(**options)


def test_a_video_is_described_or_replaced_or_black(tmp_path: Path) -> None:
    good, bad = encode(tmp_path / 'good.mp4', fps=10), tmp_path / 'bad.mp4'
    bad.write_text('no video')

    def load(path: Path, test_mode: bool, excluded: bool = False) -> Any:
        video = {'filename': str(path), 'excluded': excluded, 'label': 3}
        return load_clip(
            video,
            dict,
            broken=broken,
            test_mode=test_mode,
            describe=lambda info: {'total_frames': info.num_frames, 'fps': 2 * info.fps},
        )

    broken = BrokenVideos(2)
    clip = load(good, test_mode=False)
    assert (clip['label'], clip['fps'], clip['excluded'], clip['modality']) == (3, 20, False, 'RGB')
    assert load(bad, test_mode=False) is None
    assert broken.paths == {bad}
    for path, excluded in ((bad, False), (good, True)):
        black = load(path, test_mode=True, excluded=excluded)
        assert (black['total_frames'], black['excluded'], black['label']) == (1, True, 3)


def test_a_folder_of_pictures_is_a_video_of_30_frames_a_second(tmp_path: Path) -> None:
    for number in range(1, 13):
        write_picture(tmp_path / f'img_{number:05d}.png', np.full((6, 8, 3), number, np.uint8))

    def run(results: dict) -> dict:
        return DecodeClip()(SampleClip(num_frames=4, stride=3)(results))

    found = load_clip(
        {'filename': str(tmp_path), 'excluded': False},
        run,
        broken=BrokenVideos(1),
        test_mode=True,
        describe=lambda info: {'total_frames': info.num_frames, 'fps': info.fps},
    )
    assert (found['total_frames'], found['fps'], found['img_shape']) == (12, 30.0, (6, 8))
    # a stride of 3 counts pictures: 4 places from the first to the last of 12
    assert found['frame_inds'].tolist() == [0, 3, 7, 11]
    assert [image[0, 0, 0] for image in found['imgs']] == [1, 4, 8, 12]
