"""Predictions that are killed, or run out of room: what is done is kept, and `--resume` goes on."""

import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from mmotion.cli import main
from mmotion.video.writer import VideoWriter
from tests.command_lines import TOY

FORK = multiprocessing.get_context('fork')
KILLS = 8
NUM_VIDEOS = 4
# seconds in which a run, or what a signal ends, must be over
LIMIT_S = 60


@pytest.fixture
def command(folder, checkpoint):
    """Predict some videos; each gets a JSON file, an overlay and a plot."""
    for number in range(NUM_VIDEOS):
        with VideoWriter(folder / 'videos' / f'{number}.mp4', fps=10.0) as writer:
            for level in range(20 + number):
                writer.write(np.full((64, 64, 3), 10 * level, np.uint8))
    regions = ['--regions', '0,0,40,40', 'b=8,8,60,60']
    return ['predict', TOY, 'videos', '--checkpoint', checkpoint, '--draw', '--resume', *regions]


def start(command):
    """Run a command in a process of its own, which has imported all that it needs."""
    process = FORK.Process(target=lambda: sys.exit(main([str(word) for word in command])))
    process.start()
    return process


def finish(process):
    process.join(LIMIT_S)
    code = process.exitcode
    process.kill()
    assert code is not None, 'it hangs'
    return code


def read_all(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


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
    assert finish(start([*command, '--out', 'whole'])) == 0
    seconds = time.monotonic() - begin
    files = read_all(folder / 'whole')
    assert len(files) == 3 * NUM_VIDEOS
    return files, seconds


@pytest.mark.slow
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_what_was_killed_is_resumed(folder, command, whole, number):
    files, seconds = whole
    moments = random.Random(int(number))
    codes = []
    for kill in range(KILLS):
        out = folder / f'out{kill}'
        process = start([*command, '--out', out])
        time.sleep(moments.uniform(0.02, seconds))
        os.kill(process.pid, number)
        codes.append(finish(process))
        left = read_all(out) if out.is_dir() else {}
        if number != signal.SIGKILL:
            assert not [name for name in left if 'partial' in name]
        check_left({name: text for name, text in left.items() if name[0] != '.'}, files)
        assert finish(start([*command, '--out', out])) == 0
        assert read_all(out) == files
    stopped = -number if number == signal.SIGKILL else 128 + number
    # the last ones may have been done before they were killed
    assert set(codes) <= {stopped, 0} and stopped in codes


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 1 MiB of its own."""
    place = tmp_path / 'disk'
    place.mkdir()
    mount = shutil.which('mount')
    options = ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', str(place)]
    if not mount or subprocess.run([mount, *options], capture_output=True).returncode:
        pytest.skip('needs the right to mount a tmpfs')
    yield place
    subprocess.run(['umount', str(place)], check=True)


def test_a_full_disk(command, whole, small_disk, capfd):
    files, _ = whole
    ballast = small_disk / 'ballast'
    # besides what the check wants to have, not enough for all
    room = sum(len(text) for name, text in files.items() if name[0] in '01') + (1 << 16)
    ballast.write_bytes(bytes((1 << 20) - room))
    out = small_disk / 'out'
    capfd.readouterr()
    assert finish(start([*command, '--out', out])) == 1
    error = capfd.readouterr().err
    assert 'No space left on device' in error
    assert re.search(r'mmotion: [12] of 4 videos done\nmmotion: [23] of 4 videos failed: ', error)
    assert 'Traceback' not in error
    # nothing is half
    left = read_all(out)
    check_left(left, files)
    assert left['0.json'] == files['0.json'] and len(left) < len(files)

    # none at all
    with open(ballast, 'ab', buffering=0) as file, pytest.raises(OSError, match='No space'):
        while True:
            file.write(bytes(4096))
    assert finish(start([*command, '--out', out])) in (1, 2)
    assert 'No space left on device' in capfd.readouterr().err
    assert read_all(out) == left

    ballast.unlink()
    assert finish(start([*command, '--out', out])) == 0
    assert read_all(out) == files


def test_a_disk_that_cannot_be_written(command, small_disk, capfd, monkeypatch):
    subprocess.run(['mount', '-o', 'remount,ro', str(small_disk)], check=True)
    monkeypatch.setattr('mmotion.inference.load_model', None)
    assert finish(start([*command, '--out', small_disk / 'out'])) == 2
    error = capfd.readouterr().err
    assert f'got "Read-only file system" in {small_disk}; name another one' in error
