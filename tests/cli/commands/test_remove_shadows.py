"""Videos and folders without shadows, previews, going on where a run has stopped."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from mmotion.cli import main
from mmotion.transforms.shadows import NUM_FRAMES
from mmotion.video import inspect_video, read_frames
from tests.moving_boxes import HEIGHT, WIDTH, draw_frames, write_pictures, write_video


def remove(*arguments: object) -> int:
    return main(['remove-shadows', *map(str, arguments)])


def test_a_folder_of_both_kinds_is_cleaned(tmp_path: Path, capsys) -> None:
    write_video(tmp_path / 'v' / 'a.mp4', 20)
    write_video(tmp_path / 'v' / 'b.avi', 12)
    write_pictures(tmp_path / 'v' / 'c', 12, leave_out=(5,))
    out = tmp_path / 'out'
    assert remove(tmp_path / 'v', '--out', out, '--method', 'hsv') == 0
    assert inspect_video(out / 'a.mp4').num_frames == 20
    assert inspect_video(out / 'b.avi.mp4').num_frames == 12
    # the box stays, the background is black
    (frame,) = read_frames(out / 'a.mp4', [10])
    assert frame[28:36, 24:32].min() > 200
    assert frame[50:, 50:].max() < 30
    names = sorted(file.name for file in (out / 'c').glob('*.png'))
    assert names == [f'{n:08d}.png' for n in range(1, 13) if n != 5]
    picture = cv2.imread(str(out / 'c' / '00000002.png'))
    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert not picture[50:, 50:].any()
    assert '11 frames written to' in capsys.readouterr().out


def test_what_is_there_is_not_done_again(tmp_path: Path, capsys) -> None:
    write_video(tmp_path / 'a.mp4', 6)
    write_pictures(tmp_path / 'c', 6)
    for _ in range(2):
        for name in ('a.mp4', 'c'):
            assert remove(tmp_path / name, '--out', tmp_path / 'out', '--method', 'filter') == 0
    assert capsys.readouterr().out.count('is there already') == 2
    # pictures of a run that was stopped are made again
    (tmp_path / 'out' / 'c' / '.done').unlink()
    assert remove(tmp_path / 'c', '--out', tmp_path / 'out', '--method', 'filter') == 0
    assert 'already' not in capsys.readouterr().out


def test_a_preview_shows_all_methods_side_by_side(tmp_path: Path, capsys) -> None:
    write_video(tmp_path / 'v' / 'a.mp4', 20)
    dark = tmp_path / 'v' / 'dark'
    dark.mkdir()
    for number, frame in enumerate(draw_frames(9)):
        cv2.imwrite(str(dark / f'{number}.png'), np.minimum(frame, 60))
    out = tmp_path / 'out'
    assert remove(tmp_path / 'v', '--out', out, '--preview') == 0
    picture = cv2.imread(str(out / 'a.mp4.png'))
    height = 22 + 4 * round(320 * HEIGHT / WIDTH)
    assert picture.shape == (height, 5 * 320, 3)
    # without the method that finds nothing to learn
    assert cv2.imread(str(out / 'dark.png')).shape == (height, 4 * 320, 3)
    assert 'hsv left out: an object must be brighter' in capsys.readouterr().out
    options = ('--preview', '--method', 'hsv', '--set', 'low=0,0,200', 'high=179,60,255')
    assert remove(tmp_path / 'v' / 'a.mp4', '--out', out, *options) == 0
    assert cv2.imread(str(out / 'a.mp4.png')).shape == (height, 2 * 320, 3)


def test_one_that_fails_does_not_stop_the_rest(tmp_path: Path, capsys) -> None:
    (tmp_path / 'v').mkdir()
    (tmp_path / 'v' / 'a.mp4').write_bytes(b'no video')
    write_video(tmp_path / 'v' / 'b.mp4', 6)
    assert remove(tmp_path / 'v', '--out', tmp_path / 'out', '--method', 'filter') == 1
    assert (tmp_path / 'out' / 'b.mp4').is_file()
    said = capsys.readouterr().err
    assert 'a.mp4: a video must be a file that FFmpeg can read' in said
    assert '1 of 2 videos failed' in said
    assert remove(tmp_path / 'v', '--out', tmp_path / 'v', '--method', 'filter') == 1
    assert 'must not take the place of its input' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        pytest.param([], '--method must be given without --preview', id='method'),
        pytest.param(['--preview', '--set', 'low=1'], '--set must come with --method', id='set'),
        pytest.param(['--method', 'ssim', '--set', 'low=1'], 'options must be those', id='name'),
        pytest.param(['--method', 'ssim', '--set', 'threshold'], '--set must have', id='form'),
        pytest.param(['--method', 'filter', '--num-frames', 1], 'at least 2, got 1', id='frames'),
    ],
)
def test_a_wrong_use_is_explained(tmp_path: Path, capsys, arguments, message) -> None:
    write_video(tmp_path / 'a.mp4', 2)
    assert remove(tmp_path, '--out', tmp_path / 'out', *arguments) == 2
    assert message in capsys.readouterr().err


def test_a_source_that_is_not_there_is_named(tmp_path: Path, capsys) -> None:
    assert remove(tmp_path / 'no', '--out', tmp_path, '--method', 'filter') == 2
    assert 'data_root must be a video, a folder of pictures' in capsys.readouterr().err


def test_the_help_tells_the_default(capsys) -> None:
    assert main(['remove-shadows', '--help']) == 0
    assert f'frames to learn from; default: {NUM_FRAMES}' in capsys.readouterr().out
