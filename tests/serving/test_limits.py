import numpy as np
import pytest

from mmotion.serving.limits import Limits, RefusedError, check_header, check_seconds
from tests.video_files import encode


def test_a_video_within_bounds_passes(clip):
    assert check_header(clip, Limits(), start_s=0.0, end_s=None) == pytest.approx(3.0, abs=0.1)
    assert check_header(clip, Limits(), start_s=1.0, end_s=1.5) == pytest.approx(0.5)
    assert check_header(clip, Limits(max_seconds=1), start_s=2.5, end_s=None) < 1


@pytest.mark.parametrize(
    ('limits', 'message'),
    [
        ({'max_pixels': 96 * 64 - 1}, r'at most 6143 pixels, got 96 x 64'),
        ({'max_seconds': 2}, r'at most 2 s, got 3 s'),
    ],
)
def test_what_is_too_large_is_refused_by_its_header(clip, limits, message):
    with pytest.raises(RefusedError, match=message):
        check_header(clip, Limits(**limits), start_s=0.0, end_s=None)


def test_a_large_picture_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    path = encode(tmp_path / 'large.mp4', [np.zeros((2160, 4096, 3), np.uint8)], codec='mpeg4')
    monkeypatch.setattr('mmotion.video.scan.scan_video', None)
    with pytest.raises(RefusedError, match='4096 x 2160'):
        check_header(path, Limits(max_pixels=8_000_000), start_s=0.0, end_s=None)
    check_header(path, Limits(), start_s=0.0, end_s=None)


@pytest.mark.parametrize('name', ['list.mp4', 'list.m3u8', 'list.txt'])
@pytest.mark.parametrize(
    'text',
    ["ffconcat version 1.0\nfile 'box.mp4'\n", '#EXTM3U\n#EXTINF:3,\nbox.mp4\n#EXT-X-ENDLIST\n'],
)
def test_a_file_that_names_others_is_no_video(clip, tmp_path, name, text):
    (tmp_path / 'box.mp4').write_bytes(clip.read_bytes())
    (tmp_path / name).write_text(text)
    with pytest.raises(RefusedError, match='must be a video'):
        check_header(tmp_path / name, Limits(), start_s=0.0, end_s=None)


def test_text_and_nothing_are_no_videos(tmp_path):
    for content in (b'', b'hello', b'\0' * 4096):
        (tmp_path / 'a.mp4').write_bytes(content)
        with pytest.raises(RefusedError, match='must be a video'):
            check_header(tmp_path / 'a.mp4', Limits(), start_s=0.0, end_s=None)


def test_seconds_are_counted_again_while_frames_come():
    check_seconds(10.0, Limits(max_seconds=10))
    with pytest.raises(RefusedError, match='got 11 s'):
        check_seconds(10.6, Limits(max_seconds=10))


@pytest.mark.parametrize('value', [0, -1, float('nan'), float('inf')])
def test_bounds_are_above_zero(value):
    with pytest.raises(ValueError, match='max_seconds must be above 0'):
        Limits(max_seconds=value)
