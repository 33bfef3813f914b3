import sys
from pathlib import Path

import pytest

from mmotion.video import read_frames
from tests.video_files import encode


@pytest.fixture
def benchmark_decoding(import_script):
    return import_script('benchmark_decoding')


def test_readers_take_turns(tmp_path: Path, benchmark_decoding) -> None:
    path = encode(tmp_path / 'video.mp4')
    calls = []

    def read(path, numbers):
        calls.append(('ours', numbers))
        return read_frames(path, numbers)

    def darken(path, numbers):
        calls.append(('other', numbers))
        return read_frames(path, numbers) // 2

    readers = {benchmark_decoding.OURS: read, 'other': darken}
    rows = benchmark_decoding.compare(readers, path, num_frames=3, rounds=2)

    assert [name for name, _ in calls] == ['ours', 'other'] * 3
    assert {tuple(numbers) for _, numbers in calls} == {(0, 12, 23)}
    brightest = int(read_frames(path, [23]).max())
    (_, _, _, ours), (_, _, _, others) = rows
    assert (ours, others) == ('the same', f'{brightest - brightest // 2} levels at most')
    assert all(wall_s > 0 and cpu_s > 0 for _, wall_s, cpu_s, _ in rows)


def test_a_reader_that_is_missing_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    benchmark_decoding,
) -> None:
    for name in ('torchcodec', 'decord'):
        monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.setitem(sys.modules, f'{name}.decoders', None)

    benchmark_decoding.main([str(encode(tmp_path / 'video.mp4')), '--rounds', '1'])

    head, _, ours, *rest = capsys.readouterr().out.splitlines()
    assert head.startswith('| video | reader')
    assert ours.startswith('| video | mmotion |')
    assert [line.split(':')[0] for line in rest if line] == [
        'torchcodec is missing',
        'decord is missing',
    ]
