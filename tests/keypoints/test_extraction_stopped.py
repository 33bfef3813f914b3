"""Extractions that are killed: what is done is kept, and the same command does the rest."""

import time

import numpy as np
import pytest

from mmotion.cli import main
from mmotion.keypoints.extraction import TABLE
from mmotion.keypoints.files import read_poses
from mmotion.keypoints.poses import Person
from mmotion.keypoints.skeletons import COCO17
from mmotion.video.writer import VideoWriter
from tests.stopping import SIGNALS, check_codes, draw_moments, finish, read_all, start, stop

KILLS = 6
NUM_VIDEOS = 8


class Slow:
    """Finds a person as bright as the picture, and takes its time."""

    name = 'slow'
    skeleton = COCO17

    def detect(self, images):
        time.sleep(0.02)
        return [
            [Person(keypoints=np.full((17, 2), image.mean() / 8), scores=np.ones(17), score=1.0)]
            for image in images
        ]


def build_slow(*_):
    """Stands in for `build_detector`, in the workers too."""
    return Slow()


@pytest.fixture
def extract(tmp_path, monkeypatch):
    """Extracts eight videos of two folders with two workers."""
    monkeypatch.setattr('mmotion.keypoints.detectors.build_detector', build_slow)
    for number in range(NUM_VIDEOS):
        path = tmp_path / 'videos' / 'ab'[number % 2] / f'{number}.mp4'
        with VideoWriter(path, fps=10.0) as writer:
            for level in range(12):
                writer.write(np.full((32, 32, 3), 10 * level + number, np.uint8))
    words = ['extract-keypoints', str(tmp_path / 'videos'), '--every', '1', '--workers', '2']
    return lambda out: lambda: main([*words, '--out', str(out)])


def read_rows(out):
    return sorted((out / TABLE).read_text().splitlines())


@pytest.mark.slow
@pytest.mark.parametrize('number', SIGNALS)
def test_what_was_killed_is_resumed(tmp_path, extract, number):
    whole = tmp_path / 'whole'
    begin = time.monotonic()
    assert finish(start(extract(whole))) == 0
    seconds = time.monotonic() - begin
    # rows are in the order in which the workers were done
    files, rows = read_all(whole), read_rows(whole)
    table = files.pop(TABLE)
    assert len(files) == NUM_VIDEOS + 1 and len(rows) == NUM_VIDEOS + 1

    codes, num_done = [], []
    for kill, after_s in enumerate(draw_moments(number, seconds, KILLS)):
        out = tmp_path / f'out{kill}'
        # every other one in the middle, however long the workers take to begin
        first = (lambda: True, (out / TABLE).exists)[kill % 2]
        after_s = after_s if kill % 2 == 0 else after_s / 4
        codes.append(stop(extract(out), number, after_s=after_s, first=first))
        left = read_all(out) if out.is_dir() else {}
        if number != SIGNALS[-1]:
            assert not [name for name in left if 'partial' in name]
        for name in left.keys() & files.keys() - {'.lock'}:
            assert left[name] == files[name]
        num_done.append(len([*out.rglob('[0-9].json')]))
        # nothing that is there is recorded otherwise
        assert {*left.get(TABLE, b'').splitlines()} <= {*table.splitlines()}
        assert finish(start(extract(out))) == 0
        assert read_rows(out) == rows
        assert {name: text for name, text in read_all(out).items() if name != TABLE} == files
    assert max(num_done) > 0
    check_codes(codes, number)
    assert read_poses(whole / 'a' / '0.json').num_detections == 12


@pytest.mark.slow
@pytest.mark.parametrize('number', SIGNALS)
def test_workers_that_only_begin_end_quietly(tmp_path, extract, capfd, number):
    capfd.readouterr()
    for after_s in (0.1, 0.3, 0.5, 0.7):
        stop(extract(tmp_path / 'out'), number, after_s=after_s)
        assert 'Traceback' not in capfd.readouterr().err
