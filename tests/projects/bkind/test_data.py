"""Pairs of frames: which there are, what is left out and said, and what a loader gets."""

import logging
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mmotion.video import VideoError, clips
from mmotion.video.clips import BrokenVideos
from mmotion.video.sources import VideoSource, open_source
from projects.bkind import data
from projects.bkind.data import (
    FramePairs,
    Subset,
    list_pairs,
    measure_motion,
)
from tests.moving_boxes import HEIGHT, WIDTH, draw_frames, write_pictures, write_video
from tests.video_files import encode, truncate


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / '.cache'))


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is logged."""
    lines: list[str] = []
    for module in (data, clips):
        monkeypatch.setattr(module, 'print_log', lambda text, **_: lines.append(text))
    return lines


def make(root: Path, **options: Any) -> FramePairs:
    """Options of `Subset` and `Motion` may stand beside the others."""
    groups = {
        'subset': ('names', 'split', 'val_share', 'step'),
        'motion': ('min_motion', 'when_still'),
    }
    for group, names in groups.items():
        options[group] = {name: options.pop(name) for name in names if name in options}
    return FramePairs(**{'data_root': str(root), 'pipeline': [], 'gap_frames': 4, **options})


def test_a_pair_is_read_from_the_video_or_its_pictures(tmp_path: Path) -> None:
    write_video(tmp_path / 'v' / 'a.mp4', 24)
    write_pictures(tmp_path / 'v' / 'b', 24)
    pairs = make(tmp_path / 'v', step=5)
    # t = 0, 5, 10, 15 of each
    assert len(pairs) == 8
    drawn = draw_frames(24)
    for index, name in ((2, 'a.mp4'), (6, 'b')):
        pair = pairs[index]
        assert (pair['name'], pair['frame'], pair['gap']) == (f'{name}_000010', 10, 4)
        assert pair['video'] == str(tmp_path / 'v' / name)
        assert pair['weight'] == 1.0
        for image, wanted in zip(pair['imgs'], (drawn[10], drawn[14]), strict=True):
            assert image.shape == (HEIGHT, WIDTH, 3)
            assert np.abs(image.astype(int) - wanted).mean() < 5
    with pytest.raises(IndexError, match=r'index must lie in 0\.\.7, got index=8'):
        pairs[8]


def test_pairs_are_those_of_the_reference() -> None:
    # custom_dataset.py: range(0, n - gap, gap // 10 + 1)
    numbers = np.arange(50)
    np.testing.assert_array_equal(list_pairs(numbers, gap=20, step=3), range(0, 30, 3))
    np.testing.assert_array_equal(list_pairs(numbers, gap=6, step=7), range(0, 44, 7))
    assert not len(list_pairs(np.arange(20), gap=20, step=1))


@pytest.mark.parametrize(
    ('options', 'gap', 'count'),
    [
        pytest.param({'gap_frames': 20}, 20, 2, id='step of the reference'),
        pytest.param({'gap_frames': None, 'gap_s': 0.2}, 6, 18, id='seconds'),
        pytest.param({'gap_frames': None, 'gap_s': 0.001}, 1, 23, id='at least a frame'),
    ],
)
def test_the_gap_is_in_frames_or_seconds(tmp_path: Path, options, gap, count) -> None:
    write_video(tmp_path / 'a.mp4', 24)
    pairs = make(tmp_path / 'a.mp4', **options)
    assert (pairs[0]['gap'], len(pairs)) == (gap, count)


@pytest.mark.parametrize('keep_size', [None, 48])
@pytest.mark.parametrize('min_motion', [0.0, 1e-6])
def test_seconds_are_seconds_where_the_rate_varies(tmp_path: Path, keep_size, min_motion) -> None:
    # 20 frames at 20 a second, then 10 at 5
    times_ms = np.array([*range(0, 1000, 50), *range(1000, 3000, 200)])
    images = [np.full((48, 64, 3), 8 * number, np.uint8) for number in range(30)]
    path = encode(tmp_path / 'a.mp4', images, times_ms=times_ms.tolist())
    pairs = make(
        path, gap_frames=None, gap_s=0.4, step=1, keep_size=keep_size, min_motion=min_motion
    )
    found = [pairs[i] for i in range(len(pairs))]
    # the last that has another one 0.4 s later is at 2.4 s
    assert [pair['frame'] for pair in found] == [*range(28)]
    firsts = np.array([pair['frame'] for pair in found])
    seconds = firsts + [pair['gap'] for pair in found]
    assert {*(seconds - firsts)[:12]} == {8} and {*(seconds - firsts)[20:]} == {2}
    assert np.abs(times_ms[seconds] - times_ms[firsts] - 400).max() <= 100
    for pair, numbers in zip(found, zip(firsts, seconds, strict=True), strict=True):
        levels = [image.mean() / 8 for image in pair['imgs']]
        np.testing.assert_allclose(levels, numbers, atol=0.5)
    # a video that is divided in time shares no frame
    train, val = (
        make(path, gap_frames=None, gap_s=0.4, step=1, split=split) for split in ('train', 'val')
    )
    last = train[len(train) - 1]
    assert last['frame'] + last['gap'] < val[0]['frame']


def test_seconds_need_a_frame_rate(tmp_path: Path) -> None:
    write_pictures(tmp_path / 'b', 8)
    with pytest.raises(
        ValueError, match=r'gap_s must be used with video files, .* give gap_frames'
    ):
        make(tmp_path / 'b', gap_frames=None, gap_s=0.1)


def test_no_pair_has_a_frame_in_a_hole(tmp_path: Path, log: list[str]) -> None:
    write_pictures(tmp_path / 'b', 30, leave_out=(11,))
    pairs = make(tmp_path / 'b')
    firsts = [pairs[i]['frame'] for i in range(len(pairs))]
    assert firsts == [n for n in range(26) if n not in (6, 10)]
    assert any('b has holes: 1 frames are missing' in line for line in log)


def test_videos_are_divided_by_name(tmp_path: Path) -> None:
    names = [f'v{i}' for i in range(10)]
    assert Subset(split='val', val_share=0.2).choose_videos(names) == ['v8', 'v9']
    assert Subset(split='val', val_share=0.01).choose_videos(names[:2]) == ['v1']
    assert Subset(split='train', val_share=0.9).choose_videos(names[:3]) == ['v0']
    assert Subset(split=None, val_share=0.2).choose_videos(names) == names
    for name in 'abc':
        write_pictures(tmp_path / name, 8)
    seen = {
        split: {pair['video'] for pair in map(pairs.__getitem__, range(len(pairs)))}
        for split in ('train', 'val')
        for pairs in [make(tmp_path, split=split)]
    }
    assert {Path(video).name for video in seen['train']} == {'a', 'b'}
    assert {Path(video).name for video in seen['val']} == {'c'}


def test_a_single_video_is_divided_in_time(tmp_path: Path) -> None:
    write_pictures(tmp_path / 'a', 40)
    used = {}
    for split in ('train', 'val'):
        pairs = make(tmp_path / 'a', split=split, val_share=0.25)
        firsts = [pairs[i]['frame'] for i in range(len(pairs))]
        used[split] = {*firsts, *(first + 4 for first in firsts)}
    assert max(used['train']) == 29
    assert (min(used['val']), max(used['val'])) == (30, 39)


def write_half_still(folder: Path) -> Path:
    """A video that moves for 20 frames and then rests for 20."""
    moving = draw_frames(20)
    folder.mkdir(parents=True)
    return encode(folder / 'half.mp4', [*moving, *[moving[-1]] * 20], crf='10')


def test_still_pairs_are_found_and_their_share_is_said(tmp_path: Path, log: list[str]) -> None:
    write_half_still(tmp_path / 'v')
    skipping = make(tmp_path / 'v', min_motion=0.005)
    assert [skipping[i]['frame'] for i in range(len(skipping))] == list(range(19))
    assert any('47.2% of the pairs are still, below 0.005' in line for line in log)
    keeping = make(tmp_path / 'v', min_motion=0.005, when_still='keep')
    assert len(keeping) == 36
    assert {keeping[i]['weight'] for i in (0, 30)} == {1.0}
    weighing = make(tmp_path / 'v', min_motion=0.005, when_still='weight')
    assert weighing[0]['weight'] == 1.0
    assert weighing[30]['weight'] < 0.2


def test_motion_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_half_still(tmp_path / 'v')
    source, firsts = open_source(path, name='v'), np.arange(36)
    motion, brightest = measure_motion(source, firsts, firsts + 4)
    assert motion.shape == (36,)
    # the box leaves 8 of 96 columns and enters 8, in 16 of 64 rows, by about 175 of 255
    assert motion[3] == pytest.approx(2 * 8 / 96 * 16 / 64 * 175 / 255, rel=0.15)
    assert brightest > 220
    monkeypatch.setattr(VideoSource, 'read', lambda *_: pytest.fail('read again'))
    again, also = measure_motion(source, firsts, firsts + 4)
    np.testing.assert_array_equal(again, motion)
    assert also == brightest
    with pytest.raises(pytest.fail.Exception):
        measure_motion(source, firsts, firsts + 3)


@pytest.mark.parametrize(
    ('frames', 'said'),
    [
        pytest.param(
            [np.zeros((HEIGHT, WIDTH, 3), np.uint8)] * 12, r'is black: its pairs', id='black'
        ),
        pytest.param([draw_frames(1)[0]] * 12, r'shows nothing that moves: its', id='still'),
        pytest.param(draw_frames(3), r'has 3 frames, no two 4 apart', id='short'),
        pytest.param(None, r'1 of 2 videos are broken; passed over: .*bad\.mp4', id='broken'),
    ],
)
def test_what_is_of_no_use_is_named_and_the_rest_is_used(
    tmp_path: Path, log: list[str], frames, said
) -> None:
    write_video(tmp_path / 'v' / 'good.mp4', 24)
    if frames is None:
        (tmp_path / 'v' / 'bad.mp4').write_bytes(b'no video at all')
    else:
        encode(tmp_path / 'v' / 'bad.mp4', frames, crf='0')
    pairs = make(tmp_path / 'v', min_motion=0.001)
    assert len(pairs) == 20
    assert any(re.search(said, line) for line in log), log
    assert any('20 of ' in line and '1 of 2 videos' in line for line in log), log


def test_a_video_that_ends_early_is_used_up_to_there(tmp_path: Path, log: list[str]) -> None:
    whole = write_video(tmp_path / 'whole.mkv', 32)
    (tmp_path / 'v').mkdir()
    truncate(whole, tmp_path / 'v' / 'cut.mkv', part=0.6)
    pairs = make(tmp_path / 'v')
    assert 0 < len(pairs) < 28
    assert len(pairs[len(pairs) - 1]['imgs']) == 2
    assert any('cut.mkv is cut off: it holds' in line for line in log)


def test_nothing_of_use_is_an_error(tmp_path: Path) -> None:
    encode(tmp_path / 'still.mp4', [draw_frames(1)[0]] * 12, crf='0')
    with pytest.raises(ValueError, match=r'must hold a pair that moves, got 0 of 8 pairs.*lower'):
        make(tmp_path, min_motion=0.001)
    (tmp_path / 'still.mp4').write_bytes(b'no video')
    with pytest.raises(VideoError, match='1 of 1 videos are broken'):
        make(tmp_path)


def test_another_pair_takes_the_place_of_one_that_cannot_be_read(tmp_path, log) -> None:
    write_pictures(tmp_path / 'v' / 'a', 8)
    write_pictures(tmp_path / 'v' / 'b', 8)
    pairs = make(tmp_path / 'v')
    for file in (tmp_path / 'v' / 'a').iterdir():
        file.write_bytes(b'')
    assert {Path(pairs[0]['video']).name for _ in range(3)} == {'b'}
    assert sum('1 of 2 videos are broken' in line for line in log) == 1
    assert isinstance(pairs.broken, BrokenVideos)


def test_kept_frames_are_those_that_would_be_read(tmp_path: Path, monkeypatch) -> None:
    write_pictures(tmp_path / 'a', 24, leave_out=(9,))
    resize = [{'type': 'ResizePair', 'size': 32}]
    box = {'a': [12, 8, 60, 40]}
    options = {'step': 3, 'boxes': box, 'pipeline': resize}
    reading = make(tmp_path / 'a', **options)
    keeping = make(tmp_path / 'a', keep_size=32, **options)
    read = [reading[i] for i in range(len(reading))]
    monkeypatch.setattr(VideoSource, 'read', lambda *_: pytest.fail('read again'))
    for index, pair in enumerate(read):
        kept = keeping[index]
        np.testing.assert_array_equal(kept['imgs'], pair['imgs'])
        assert kept['name'] == pair['name']
        assert pair['box'] == (12, 8, 60, 40)
        # what is kept is the box
        assert kept['box'] == (0, 0, 32, 32)


def test_boxes_cut_the_pairs(tmp_path: Path) -> None:
    """Without a `CropBox` in the pipeline they did nothing, and no config for own videos has it."""
    write_video(tmp_path / 'a.mp4', 12)
    resize = [{'type': 'ResizePair', 'size': 32}]
    whole = make(tmp_path)[0]['imgs']
    wanted = [cv2.resize(i[8:40, 12:44], (32, 32), interpolation=cv2.INTER_AREA) for i in whole]
    for pipeline in (resize, [{'type': 'CropBox'}, *resize]):
        for keep_size in (None, 32):
            options = {'boxes': {'a.mp4': [12, 8, 44, 40]}, 'keep_size': keep_size}
            pairs = make(tmp_path, pipeline=pipeline, **options)
            np.testing.assert_array_equal(pairs[0]['imgs'], wanted)


def test_motion_is_that_within_the_box(tmp_path: Path) -> None:
    """It was that of the whole picture: pairs of an animal at rest counted as moving."""
    write_pictures(tmp_path / 'a', 24)
    options = {'min_motion': 0.005, 'step': 1}
    assert len(make(tmp_path / 'a', **options)) == 20
    # what moves has left it after eight frames
    fixed = make(tmp_path / 'a', boxes={'a': [0, 0, 16, 64]}, **options)
    assert [fixed[i]['frame'] for i in range(len(fixed))] == [*range(8)]
    # and a box of each frame may go with it
    rows = [f'a,{n},{2 * n},0,{2 * n + 16},64' for n in range(24)]
    table = tmp_path / 'boxes.csv'
    table.write_text('\n'.join(['video,frame,left,top,right,bottom', *rows]))
    assert len(make(tmp_path / 'a', boxes=str(table), **options)) == 20


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        pytest.param({'gap_frames': None}, 'one of gap_frames and gap_s must be given', id='no'),
        pytest.param({'gap_s': 1.0}, 'one of gap_frames and gap_s must be given', id='both'),
        pytest.param({'gap_frames': 0}, 'gap_frames must be at least 1', id='gap'),
        pytest.param({'gap_frames': None, 'gap_s': 0.0}, 'gap_s must be above 0', id='gap_s'),
        pytest.param({'step': 0}, 'step must be at least 1', id='step'),
        pytest.param({'keep_size': 0}, 'keep_size must be at least 1', id='keep'),
        pytest.param({'min_motion': 1.0}, r'min_motion must be in \[0, 1\)', id='motion'),
        pytest.param({'when_still': 'drop'}, "when_still must be 'skip', 'keep'", id='still'),
        pytest.param({'split': 'test'}, "split must be 'train', 'val' or None", id='split'),
        pytest.param({'val_share': 1.0}, 'val_share must be between 0 and 1', id='share'),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, options, message) -> None:
    write_pictures(tmp_path / 'a', 6)
    with pytest.raises(ValueError, match=message):
        make(tmp_path, **options)


def test_real_videos_have_pairs(data_root: Path) -> None:
    folder = data_root / 'keypoints' / 'dlc_openfield'
    logging.getLogger('libav').setLevel(logging.ERROR)
    pairs = make(folder / 'videos', gap_frames=10, step=200, min_motion=0.0005)
    assert 4 <= len(pairs) <= 12
    assert pairs[1]['imgs'][0].shape == (480, 640, 3)
