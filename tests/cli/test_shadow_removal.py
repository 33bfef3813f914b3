"""Whole videos; what the command makes of folders and failures is in its own test."""

import pytest

from mmotion.cli.shadow_removal import clean_frames, clean_video
from mmotion.transforms.shadows import build_remover
from mmotion.video import inspect_video
from mmotion.video.sources import open_source
from tests.moving_boxes import write_video


def test_a_frame_is_compared_with_the_one_before() -> None:
    class Note:
        def remove(self, frame, other):
            return frame, other

    assert [*clean_frames(Note(), [1, 2, 3, 4])] == [(1, 2), (2, 1), (3, 2), (4, 3)]
    assert [*clean_frames(Note(), [1])] == [(1, None)]


def test_a_video_is_written_once(tmp_path) -> None:
    write_video(tmp_path / 'a.mp4', 6)
    source = open_source(tmp_path / 'a.mp4', name='a.mp4')
    remover = build_remover('filter')
    written = clean_video(source, tmp_path / 'out', remover, num_frames=4)
    assert written.startswith('6 frames written to ')
    assert inspect_video(tmp_path / 'out' / 'a.mp4').num_frames == 6
    again = clean_video(source, tmp_path / 'out', remover, num_frames=4)
    assert again.endswith('a.mp4 is there already')
    with pytest.raises(ValueError, match='must not take the place of its input'):
        clean_video(source, tmp_path, remover, num_frames=4)
