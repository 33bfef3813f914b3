"""The download of Countix, against a yt-dlp that takes its videos and failures from a folder."""

import csv
import doctest
import importlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmotion import atomic
from mmotion.atomic import write_atomically
from mmotion.video import iterate_frames
from tests.video_files import encode, paint, read_number, truncate

CHECKOUT = Path(__file__).resolve().parents[2]
SCRIPTS = CHECKOUT / 'tools' / 'data' / 'countix'
HEADER = 'video_id,class,kinetics_start,kinetics_end,repetition_start,repetition_end,count'
IDS = ('aaaaaaaaaaa', '-bbbbbbbbbb', 'ccccccccccc')
FILES = [f'{name}_000005_000015.mp4' for name in IDS]

FAKE = """
import json, os, pathlib, shutil, sys, time
server, arguments = pathlib.Path(os.environ['FAKE_YOUTUBE']), sys.argv[1:]
video_id = arguments[-1].removeprefix('https://www.youtube.com/watch?v=')
with open(server / 'calls.jsonl', 'a') as log:
    print(json.dumps(arguments), file=log)
target = pathlib.Path(arguments[arguments.index('--output') + 1])
if (server / f'{video_id}.hang').exists():
    target.with_name('video.mp4.part').write_bytes(b'half')
    (server / f'{video_id}.pid').write_text(str(os.getpid()))
    time.sleep(60)
if (server / f'{video_id}.txt').exists():
    print('WARNING: [youtube] timed out once; retrying', file=sys.stderr)
    sys.exit('ERROR: [youtube] ' + video_id + ': ' + (server / f'{video_id}.txt').read_text())
(source,) = server.glob('video.*')
shutil.copy(source, target.with_name(source.name))
print((server / 'length').read_text())
"""

FAILURES = {
    'private': "Private video. Sign in if you've been granted access to this video",
    'removed': 'Video unavailable. This video is no longer available because the YouTube account '
    'associated with this video has been terminated.',
    'region': 'Video unavailable. The uploader has not made this video available in your country',
    'age': 'Sign in to confirm your age. This video may be inappropriate for some users. Use '
    '--cookies-from-browser or --cookies for the authentication.',
    'network': 'Unable to download API page: HTTPSConnection(host=...): Failed to resolve (caused '
    'by TransportError)',
    'disk': 'unable to write data: [Errno 28] No space left on device',
    'other': 'Requested format is not available. Use --list-formats for a list',
}
BOT_CHECKS = [
    'Sign in to confirm you’re not a bot. Use --cookies-from-browser or --cookies for the '  # noqa: RUF001
    'authentication.',
    "Video unavailable. This content isn't available, try again later. The current session has "
    'been rate-limited by YouTube for up to an hour.',
]


class Download:
    """The folders of a test, and how to start the scripts in this process."""

    def __init__(self, root: Path) -> None:
        self.csv, self.out, self.server = root / 'countix.csv', root / 'out', root / 'youtube'
        self.server.mkdir()
        self.write_rows(*(f'{name},squat,5,15,6.0,14.5,4' for name in IDS))
        # a picture a second, the grey level of which tells the second
        encode(self.server / 'video.mp4', [paint(number) for number in range(24)], fps=1)
        (self.server / 'length').write_text('24')

    def write_rows(self, *rows: str, header: str = HEADER) -> None:
        self.csv.write_text('\n'.join([header, *rows, '']))

    def fail(self, video_id: str, message: str) -> None:
        (self.server / f'{video_id}.txt').write_text(message)

    def start(self, *options: str, script: str = 'download') -> int:
        fast = ['--videos-per-hour', '1000000'] if script == 'download' else []
        return importlib.import_module(script).main([str(self.csv), str(self.out), *fast, *options])

    def manifest(self) -> dict[str, dict[str, str]]:
        with open(self.out / 'manifest.csv', newline='') as file:
            return {row['video_id']: row for row in csv.DictReader(file)}

    def calls(self) -> list[list[str]]:
        log = self.server / 'calls.jsonl'
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def files(self) -> list[str]:
        return sorted(path.name for path in self.out.glob('*.mp4'))


@pytest.fixture
def job(tmp_path, monkeypatch):
    fake = tmp_path / 'modules' / 'yt_dlp'
    fake.mkdir(parents=True)
    (fake / '__init__.py').touch()
    (fake / '__main__.py').write_text(FAKE)
    monkeypatch.setenv('PYTHONPATH', f'{fake.parent}:{CHECKOUT}')
    monkeypatch.setenv('PATH', str(tmp_path / 'bin'))
    monkeypatch.syspath_prepend(str(fake.parent))
    monkeypatch.syspath_prepend(str(SCRIPTS))
    monkeypatch.setenv('FAKE_YOUTUBE', str(tmp_path / 'youtube'))
    return Download(tmp_path)


@pytest.mark.parametrize('script', ['countix_table', 'video_fetcher'])
def test_examples(job, script):
    assert doctest.testmod(importlib.import_module(script)).failed == 0


def test_videos_are_cut_to_their_interval_and_recorded(job, capsys):
    assert job.start('--rate-limit', '4M', '--workers', '2') == 0
    assert job.files() == sorted(FILES)
    seconds = [read_number(frame.image) for frame in iterate_frames(job.out / FILES[0])]
    assert seconds == list(range(5, 15))
    row = job.manifest()[IDS[1]]
    assert row == dict(video_id=IDS[1], status='done', reason='', file=FILES[1], seconds='10.000')
    (call,) = [call for call in job.calls() if IDS[1] in call[-1]]
    # the rate is that of all workers
    assert call[call.index('--limit-rate') + 1] == str(2 * 1024**2)
    assert '--download-sections' not in call and '--cookies' not in call
    assert '3 of 3 videos are in' in capsys.readouterr().out
    assert not (job.out / '.partial').exists()


def test_with_ffmpeg_ytdlp_fetches_the_interval_alone(job, tmp_path):
    (tmp_path / 'bin').mkdir()
    (tmp_path / 'bin' / 'ffmpeg').write_text('#!/bin/sh\n')
    (tmp_path / 'bin' / 'ffmpeg').chmod(0o755)
    assert job.start('--limit', '1') == 0
    (call,) = job.calls()
    assert call[call.index('--download-sections') + 1] == '*5-15'
    # what came is taken as it is
    assert job.manifest()[IDS[0]]['seconds'] == '24.000'


def test_whole_videos_have_names_of_their_own(job):
    job.write_rows(f'{IDS[0]},squat,5,15,6,14,4', f'{IDS[0]},squat,1,11,2,9,4')
    assert job.start('--no-trim') == 0
    assert job.files() == [f'{IDS[0]}.mp4']
    assert len(list(iterate_frames(job.out / f'{IDS[0]}.mp4'))) == 24
    assert job.start(script='check') == 0


def test_a_dry_run_shows_the_plan_and_does_nothing(job, capsys):
    assert job.start('--dry-run', '--limit', '2') == 0
    printed = capsys.readouterr().out
    assert '3 videos for the 3 rows' in printed
    assert 'to download: 3, the first 2 of them now' in printed
    assert not job.out.exists() and not job.calls()

    job.fail(IDS[0], FAILURES['private'])
    job.fail(IDS[1], FAILURES['network'])
    assert job.start() == 1
    before = (job.out / 'manifest.csv').read_text()
    assert job.start('--dry-run') == 0
    printed = capsys.readouterr().out
    assert 'to download: 1, again after 1 network' in printed
    assert 'done already: 1' in printed
    assert 'failed before, not tried again: 1 (1 private)' in printed
    assert (job.out / 'manifest.csv').read_text() == before and len(job.calls()) == 3


def be_killed(path):
    write_atomically(path).__enter__().write_bytes(b'half')
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_second_start_downloads_what_is_missing(job):
    assert job.start('--limit', '2') == 0
    assert len(job.calls()) == 2
    # neither of these is a finished file
    fork = multiprocessing.get_context('fork')
    child = fork.Process(target=be_killed, args=(job.out / FILES[2],))
    child.start()
    child.join()
    (job.out / '.partial').mkdir()
    (job.out / '.partial' / 'video.mp4').write_bytes(b'half')
    (job.out / 'manifest.csv').unlink()
    # a start is a process of its own
    atomic._remove_left_behind.cache_clear()
    assert job.start() == 0
    assert [IDS[2] in call[-1] for call in job.calls()] == [False, False, True]
    assert sorted(job.manifest()) == sorted(IDS)
    assert {row['seconds'] for row in job.manifest().values()} == {'10.000'}
    assert {p.name for p in job.out.iterdir()} == {*FILES, 'manifest.csv', '.lock'}
    assert job.start() == 0 and len(job.calls()) == 3


@pytest.mark.parametrize('kind', ['private', 'removed', 'region', 'age', 'network', 'other'])
def test_failures_are_named_and_tried_again_where_it_may_help(job, kind, tmp_path):
    job.fail(IDS[1], FAILURES[kind])
    assert job.start() == 1
    assert len(job.files()) == 2
    row = job.manifest()[IDS[1]]
    assert (row['status'], row['file'], row['seconds']) == ('failed', FILES[1], '')
    assert row['reason'] == f'{kind}: {FAILURES[kind]}'

    (job.server / f'{IDS[1]}.txt').unlink()
    again = kind in ('network', 'other')
    assert job.start() == (0 if again else 1)
    assert len(job.calls()) == (4 if again else 3)
    if kind == 'age':
        cookies = tmp_path / 'cookies.txt'
        cookies.write_text('# Netscape HTTP Cookie File\n')
        assert job.start('--cookies', str(cookies)) == 0
        given = job.calls()[-1][job.calls()[-1].index('--cookies') + 1]
        # a copy, as yt-dlp writes to it
        assert given != str(cookies) and not Path(given).exists()


def test_what_is_not_a_usable_video_is_a_failure(job):
    truncate(job.server / 'video.mp4', job.server / 'half', part=0.3)
    (job.server / 'half').replace(job.server / 'video.mp4')
    assert job.start('--no-trim', '--limit', '1') == 1
    assert job.manifest()[IDS[0]]['reason'].startswith('other: ')
    encode(job.server / 'video.mp4', fps=24)
    assert job.start('--limit', '1') == 1
    assert 'must enclose a frame' in job.manifest()[IDS[0]]['reason']
    assert not job.files()


@pytest.mark.parametrize(
    ('length', 'options', 'reason'),
    [
        pytest.param('40', ['--no-trim'], '24.0 of 40.0 s', id='whole'),
        pytest.param('24', ['--no-trim'], '', id='all_of_the_whole'),
        pytest.param('40', [], '4.0 of 10.0 s', id='interval'),
        pytest.param('25', [], '', id='video_ends_in_the_interval'),
        pytest.param('NA', [], '', id='length_unknown'),
    ],
)
def test_what_ends_too_early_is_a_failure(job, length, options, reason):
    job.write_rows(f'{IDS[0]},squat,20,30,20,24,4')
    (job.server / 'length').write_text(length)
    assert job.start(*options) == (1 if reason else 0)
    expected = f'network: what came is not complete, {reason}' if reason else ''
    assert job.manifest()[IDS[0]]['reason'] == expected
    assert len(job.files()) == (0 if reason else 1)


def test_the_starts_of_downloads_are_spread_over_the_hour(job):
    began = time.monotonic()
    assert job.start('--videos-per-hour', '7200', '--workers', '3') == 0
    assert time.monotonic() - began > 1.0


@pytest.mark.parametrize(
    'message', [*BOT_CHECKS, FAILURES['disk']], ids=['robot', 'rate_limit', 'full_disk']
)
def test_what_would_fail_every_video_stops_at_the_first(job, message, capsys):
    job.fail(IDS[0], message)
    (job.server / f'{IDS[1]}.hang').touch()
    assert job.start('--workers', '1') == 1
    error = capsys.readouterr().err
    kind = 'disk' if 'space' in message else 'bot check'
    assert f'stopped early, {kind}: ' in error and 'start the same command again' in error
    assert kind == 'disk' or '--cookies FILE' in error
    assert job.manifest()[IDS[0]]['reason'].startswith(f'{kind}: ')
    assert IDS[2] not in job.manifest() and len(job.calls()) <= 2

    (job.server / f'{IDS[0]}.txt').unlink()
    (job.server / f'{IDS[1]}.hang').unlink()
    assert job.start() == 0


@pytest.mark.parametrize(
    'number',
    [signal.SIGINT, signal.SIGTERM, signal.SIGKILL],
    ids=['ctrl_c', 'terminate', 'kill'],
)
def test_a_stopped_download_leaves_nothing_half_and_goes_on(job, number):
    (job.server / f'{IDS[1]}.hang').touch()
    command = [sys.executable, '-m', 'mmotion.cli', 'prepare', 'countix', 'download']
    command += [job.csv, job.out, '--workers', '1']
    command += ['--videos-per-hour', '1000000']
    # a shell that runs the tests in the background lets its processes ignore Ctrl-C
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        pid_file = job.server / f'{IDS[1]}.pid'
        deadline = time.monotonic() + 60
        while not (pid_file.exists() and pid_file.read_text()):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(number)
        printed, error = process.communicate(timeout=30)
    child = int(pid_file.read_text())
    assert job.files() == [FILES[0]] and set(job.manifest()) == {IDS[0]}
    if number == signal.SIGKILL:
        os.kill(child, number)
    else:
        assert process.returncode == 130
        assert b'the same command goes on' in error and b'not tried yet: 2' in printed
        assert not (job.out / '.partial').exists()
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)

    (job.server / f'{IDS[1]}.hang').unlink()
    assert job.start() == 0
    assert job.files() == sorted(FILES) and len(job.calls()) == 4
