"""Predictions that are killed, or run out of room: what is done is kept, and `--resume` goes on."""

import json
import re
import time

import numpy as np
import pytest

from mmotion.cli import main
from mmotion.video.writer import VideoWriter
from tests.command_lines import TOY
from tests.stopping import (
    SIGNALS,
    check_codes,
    draw_moments,
    fill,
    finish,
    make_read_only,
    mount_small_disk,
    read_all,
    start,
    stop,
)

KILLS = 8
NUM_VIDEOS = 4


@pytest.fixture
def command(folder, checkpoint):
    """Predict some videos; each gets a JSON file, an overlay and a plot."""
    for number in range(NUM_VIDEOS):
        with VideoWriter(folder / 'videos' / f'{number}.mp4', fps=10.0) as writer:
            for level in range(20 + number):
                writer.write(np.full((64, 64, 3), 10 * level, np.uint8))
    regions = ['--regions', '0,0,40,40', 'b=8,8,60,60']
    return ['predict', TOY, 'videos', '--checkpoint', checkpoint, '--draw', '--resume', *regions]


def read_results(folder):
    """All files but the table of what became of the videos, which each run writes anew."""
    return {name: text for name, text in read_all(folder).items() if name != 'summary.csv'}


def calling(command):
    return lambda: main([str(word) for word in command])


def check_left(left, files):
    """What a run has left is whole; a result may still lack its record."""
    for name, text in left.items():
        if text != files[name]:
            content = json.loads(files[name])
            del content['made_from']
            assert json.loads(text) == content


@pytest.fixture
def whole(folder, command):
    """What an unbroken run writes, and how long it takes."""
    begin = time.monotonic()
    assert finish(start(calling([*command, '--out', 'whole']))) == 0
    seconds = time.monotonic() - begin
    files = read_results(folder / 'whole')
    assert len(files) == 3 * NUM_VIDEOS
    return files, seconds


@pytest.mark.slow
@pytest.mark.parametrize('number', SIGNALS)
def test_what_was_killed_is_resumed(folder, command, whole, number):
    files, seconds = whole
    codes = []
    for kill, after_s in enumerate(draw_moments(number, seconds, KILLS)):
        out = folder / f'out{kill}'
        codes.append(stop(calling([*command, '--out', out]), number, after_s=after_s))
        left = read_results(out) if out.is_dir() else {}
        if number != SIGNALS[-1]:
            assert not [name for name in left if 'partial' in name]
        check_left({name: text for name, text in left.items() if name[0] != '.'}, files)
        assert finish(start(calling([*command, '--out', out]))) == 0
        assert read_results(out) == files
    check_codes(codes, number)


@pytest.fixture
def small_disk(tmp_path):
    with mount_small_disk(tmp_path / 'disk') as place:
        yield place


def test_a_full_disk(command, whole, small_disk, capfd):
    files, _ = whole
    ballast = small_disk / 'ballast'
    # besides what the check wants to have, not enough for all
    room = sum(len(text) for name, text in files.items() if name[0] in '01') + (1 << 16)
    ballast.write_bytes(bytes((1 << 20) - room))
    out = small_disk / 'out'
    capfd.readouterr()
    assert finish(start(calling([*command, '--out', out]))) == 1
    error = capfd.readouterr().err
    assert 'No space left on device' in error
    assert re.search(r'mmotion: [12] of 4 videos done\nmmotion: [23] of 4 videos failed: ', error)
    assert 'Traceback' not in error
    # nothing is half
    left = read_results(out)
    check_left(left, files)
    assert left['0.json'] == files['0.json'] and len(left) < len(files)

    # none at all
    fill(small_disk)
    assert finish(start(calling([*command, '--out', out]))) in (1, 2)
    assert 'No space left on device' in capfd.readouterr().err
    assert read_results(out) == left

    ballast.unlink()
    assert finish(start(calling([*command, '--out', out]))) == 0
    assert read_results(out) == files


def test_a_disk_that_cannot_be_written(command, small_disk, capfd, monkeypatch):
    make_read_only(small_disk)
    monkeypatch.setattr('mmotion.inference.load_model', pytest.fail)
    assert finish(start(calling([*command, '--out', small_disk / 'out']))) == 2
    error = capfd.readouterr().err
    assert f'got "Read-only file system" in {small_disk}; name another one' in error
