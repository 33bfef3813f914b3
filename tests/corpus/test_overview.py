"""Counts, groups of reasons, and what a manifest needs of the videos that failed."""

import pytest

from mmotion.corpus.overview import describe_results, group_reasons, list_failed, read_run
from mmotion.corpus.reading import open_results
from tests.corpus_files import make_row, write_part, write_run


def failing(*reasons):
    return [make_row(f'v{n}', 'failed', reason=reason) for n, reason in enumerate(reasons)]


@pytest.mark.parametrize(
    ('reasons', 'why'),
    [
        pytest.param(
            [
                '/videos/v0.mp4 must be a video, got 12 bytes',
                '/videos/v1.mp4 must be a video, got 7 bytes',
            ],
            '… must be a video, got … bytes',
            id='its own path, numbers',
        ),
        pytest.param(
            ['cannot read v0.mp4 at 1.5e-3', 'cannot read v1.mp4 at -20'],
            'cannot read … at …',
            id='its own name',
        ),
        pytest.param(
            ["no such file: '/tmp/a b/x'", "no such file: '/y'"], 'no such file: …', id='in quotes'
        ),
        pytest.param(
            ['HTTP 404 of s3://bucket/one.mp4; look', 'HTTP 404 of s3://bucket/two.mp4; look'],
            'HTTP … of …; look',
            id='addresses',
        ),
        pytest.param(
            ['fault at 0x7f00aa, hash 0123456789abcdef', 'fault at 0x10, hash ffff56789abcdef0'],
            'fault at …, hash …',
            id='addresses in memory, digests',
        ),
        pytest.param(
            ["h264 can't be decoded", "h264 can't be decoded"], "h264 can't be decoded", id='words'
        ),
    ],
)
def test_reasons_that_differ_in_names_and_numbers_are_one(tmp_path, reasons, why):
    write_part(tmp_path, 0, *failing(*reasons), make_row('fine'))
    assert group_reasons(open_results(tmp_path)) == [(2, why, '/videos/v0.mp4')]


def test_the_most_frequent_reason_comes_first(tmp_path):
    write_part(tmp_path, 0, *failing('too short', 'too long', 'too long', None))
    assert [(number, why) for number, why, _ in group_reasons(open_results(tmp_path))] == [
        (2, 'too long'),
        (1, 'too short'),
        (1, None),
    ]


def test_only_failed_rows(tmp_path):
    write_part(tmp_path, 0, *failing('no', None))
    text = describe_results(open_results(tmp_path))
    assert text.startswith('videos: 2, ok: 0, failed: 2\n')
    assert 'no reason is told' in text


def test_many_reasons_are_cut(tmp_path):
    words = [f'reason {letter}' for letter in 'abcdefghijklm']
    write_part(tmp_path, 0, *failing(*words))
    assert '3  for 3 other reasons; --failed lists all' in describe_results(open_results(tmp_path))


def test_the_slowest_come_first(tmp_path):
    rows = [make_row(f'v{n}', seconds=float(n), frames=10 * n) for n in range(30)]
    write_part(tmp_path, 0, *rows)
    slowest = describe_results(open_results(tmp_path)).split('slowest:\n')[1].splitlines()
    assert [line.split()[-1] for line in slowest[:2]] == ['/videos/v29.mp4', '/videos/v28.mp4']
    assert len(slowest) == 10 and '290 frames' in slowest[0]


def test_several_versions_are_told(tmp_path):
    write_part(tmp_path, 0, make_row('a', version='0.3.0'), make_row('b', version='0.2.0'))
    write_run(tmp_path, config='toy.py', checkpoint='toy.pth')
    text = describe_results(open_results(tmp_path), read_run(tmp_path))
    assert 'mmotion 0.2.0, mmotion 0.3.0, which may not give the same, config toy.py' in text
    assert 'checkpoint toy.pth' in text


def test_a_terminal_obeys_no_name(tmp_path):
    write_part(tmp_path, 0, *failing('bad \x1b[31m name'))
    assert '\x1b' not in describe_results(open_results(tmp_path))


def test_a_run_that_tells_nothing(tmp_path):
    assert read_run(tmp_path) == {}
    (tmp_path / '_run.json').write_text('[1')
    assert read_run(tmp_path) == {}


def test_a_manifest_has_what_a_manifest_said(tmp_path):
    done = make_row('a', count=3, camera=1, note=None)
    write_part(tmp_path, 0, done, make_row('b', 'failed', reason='no', camera=2, end_s=4.0))
    failed = list_failed(open_results(tmp_path))
    assert failed.columns == ['id', 'video', 'start_s', 'end_s', 'reason', 'camera']
    assert failed.fetchall() == [('b', '/videos/b.mp4', 0.0, 4.0, 'no', 2)]


def test_nothing_failed(tmp_path):
    write_part(tmp_path, 0, make_row('a'))
    assert list_failed(open_results(tmp_path)).fetchall() == []
