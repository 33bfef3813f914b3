from pathlib import Path

import numpy as np
import pytest

from mmotion.video import picking, read_frames
from mmotion.video.picking import pick_frames, split_runs
from mmotion.video.scan import scan_video
from tests.video_files import encode, read_number

# 24 frames with a keyframe at 0, 6, 12 and 18
WITH_B = {'x264-params': 'keyint=6:min-keyint=6:scenecut=0:bframes=2:b-adapt=0:b-pyramid=none'}
WITHOUT_B = {'x264-params': 'keyint=6:min-keyint=6:scenecut=0:bframes=0'}


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Timestamps of the frames that the decoder gives, wanted or not."""
    found: list[int] = []
    decode = picking._decode_needed

    def spy(*args):
        for frame in decode(*args):
            found.append(frame.pts)
            yield frame

    monkeypatch.setattr(picking, '_decode_needed', spy)
    return found


@pytest.mark.parametrize(
    ('options', 'numbers', 'expected'),
    [
        pytest.param(WITHOUT_B, [0], 1, id='no-more-than-the-first'),
        pytest.param(WITHOUT_B, [15], 4, id='from-its-keyframe-to-itself'),
        pytest.param(WITHOUT_B, [1, 19], 4, id='seeks-past-two-keyframes'),
        pytest.param(WITHOUT_B, [4, 6], 7, id='goes-on-to-a-near-keyframe'),
    ],
)
def test_no_more_is_decoded_than_is_needed(
    tmp_path: Path, decoded: list[int], options: dict, numbers: list[int], expected: int
) -> None:
    path = encode(tmp_path / 'video.mp4', **options)

    images = read_frames(path, numbers)

    assert [read_number(image) for image in images] == numbers
    assert len(decoded) == expected


@pytest.mark.parametrize('codec', ['libx264', 'libx265'])
def test_frames_that_none_is_predicted_from_are_left_out(
    tmp_path: Path, decoded: list[int], codec: str
) -> None:
    options = {key.replace('x264', codec[3:]): value for key, value in WITH_B.items()}
    path = encode(tmp_path / 'video.mp4', codec=codec, **options)
    index = scan_video(path)
    whole = [read_frames(path, [number])[0] for number in range(24)]
    decoded.clear()

    numbers = [4, 5, 11, 23]
    picked = dict(pick_frames(index, np.array(numbers)))

    assert list(picked) == numbers
    np.testing.assert_array_equal(read_frames(path, numbers), [whole[n] for n in numbers])
    decoded.clear()
    list(pick_frames(index, np.array([23])))
    # of 18 to 23 in this order: I b b P b P, or so; the b are not decoded
    assert len(decoded) < 6


def test_what_does_not_come_in_its_turn_is_left_to_others(tmp_path: Path, monkeypatch) -> None:
    path = encode(tmp_path / 'video.mp4', **WITHOUT_B)
    lost = scan_video(path).timestamps[8]
    decode = picking._decode_needed
    monkeypatch.setattr(
        picking,
        '_decode_needed',
        lambda *args: (frame for frame in decode(*args) if frame.pts != lost),
    )

    picked = [number for number, _ in pick_frames(scan_video(path), np.array([2, 8, 20]))]

    assert picked == [2]
    # decoded without picking
    assert [read_number(image) for image in read_frames(path, [2, 8, 20])] == [2, 8, 20]


def test_runs_begin_at_keyframes(tmp_path: Path) -> None:
    index = scan_video(encode(tmp_path / 'video.mp4', **WITHOUT_B))

    runs = split_runs(index, np.array([1, 4, 7, 19, 20]), max_passed=4)

    assert [(run.tolist(), keyframe) for run, keyframe in runs] == [([1, 4, 7], 0), ([19, 20], 18)]
    assert list(split_runs(index, np.array([], int), max_passed=4)) == []
