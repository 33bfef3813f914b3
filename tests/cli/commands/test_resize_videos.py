import numpy as np
import pytest

from mmotion.video import inspect_video, read_frames
from mmotion.video.scan import scan_video
from tests.command_lines import check_wrong_use, run
from tests.video_files import encode


@pytest.fixture
def videos(tmp_path, monkeypatch):
    """An upright video in a folder, a small one, one of another kind and a broken one."""
    monkeypatch.chdir(tmp_path)
    frames = [np.full((160, 90, 3), 8 * number, np.uint8) for number in range(6)]
    (tmp_path / 'videos' / 'day one').mkdir(parents=True)
    encode(tmp_path / 'videos' / 'day one' / 'a.mp4', frames, times_ms=[0, 100, 200, 500, 600, 700])
    encode(tmp_path / 'videos' / 'small.mkv', [frame[:40, :30] for frame in frames])
    encode(tmp_path / 'videos' / 'old.avi', frames, codec='mpeg4')
    (tmp_path / 'videos' / 'broken.mp4').write_bytes(b'no video')
    return tmp_path / 'videos'


def test_a_tree_gets_smaller_and_keeps_its_names_and_times(videos, tmp_path, capsys):
    command = ['resize-videos', 'videos', '--out', 'small', '--short-side', '46']
    code, out, error = run(capsys, *command)
    assert code == 1
    assert 'mmotion: broken.mp4: ' in error and '1 of 4 videos failed' in error
    assert 'day one/a.mp4: 90 x 160 to 46 x 82 in small/day one/a.mp4' in out
    files = [path for path in (tmp_path / 'small').rglob('*') if path.is_file()]
    written = sorted(path.relative_to(tmp_path / 'small').as_posix() for path in files)
    assert written == ['day one/a.mp4', 'old.avi.mp4', 'small.mkv']


def test_what_is_there_is_not_done_again(videos, tmp_path, capsys):
    (videos / 'broken.mp4').unlink()
    command = ['resize-videos', 'videos', '--out', 'small', '--short-side', '46']
    assert run(capsys, *command)[0] == 0
    copy = tmp_path / 'small' / 'day one' / 'a.mp4'
    info = inspect_video(copy)
    assert (info.width, info.height, info.num_frames) == (46, 82, 6)
    assert scan_video(copy).times_s.tolist() == pytest.approx([0, 0.1, 0.2, 0.5, 0.6, 0.7])
    levels = read_frames(copy, [0, 3]).mean(axis=(1, 2, 3))
    assert levels == pytest.approx([0, 24], abs=2)
    # a small one is the same to the byte
    assert (tmp_path / 'small' / 'small.mkv').read_bytes() == (videos / 'small.mkv').read_bytes()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / 'small').rglob('*')}
    code, out, _ = run(capsys, *command)
    assert code == 0 and out.count('is there already') == 3
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / 'small').rglob('*')} == before


def test_a_video_is_not_written_over(videos, capsys):
    content = (videos / 'old.avi').read_bytes()
    for source, out in (('videos', 'videos'), ('videos/old.avi', 'videos/../videos')):
        check_wrong_use(
            capsys,
            ['resize-videos', source, '--out', out, '--short-side', '46'],
            f'--out must be another folder than that of the videos, got --out {out}',
        )
    assert (videos / 'old.avi').read_bytes() == content
    check_wrong_use(
        capsys,
        ['resize-videos', 'videos', '--out', 'small', '--short-side', '8'],
        '--short-side must be at least 16, got --short-side 8',
    )
