import json
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest

from mmotion.shapes import MotionShapes
from tests.cameras import Camera, find_closed_port, serve
from tests.command_lines import TOY, check_wrong_use, run
from tests.video_files import encode

FOR_EVER = 10**6
LIMIT_S = 60


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def films(folder):
    """Names of films, and the list of cameras that play them."""
    shapes = MotionShapes(split='test', size=64, num_frames=(50, 50))
    names = ['a', 'b', 'c']
    for number, name in enumerate(names):
        encode(folder / f'{name}.mp4', shapes[number].render())
    entries = [f'{name}: {{url: {name}.mp4, realtime: true}}' for name in names]
    (folder / 'cameras.yaml').write_text('\n'.join(entries))
    return names


def read_lines(text):
    """The lines of each source."""
    found = {}
    for line in map(json.loads, text.splitlines()):
        found.setdefault(line.pop('video'), []).append(line)
    return found


def test_lines_are_those_of_predict(films, capsys):
    code, out, error = run(capsys, 'watch', 'repnet_small', 'cameras.yaml', '--stats')
    assert code == 0
    watched = read_lines(out)
    assert [*sorted(watched)] == films
    for name in films:
        *answers, last = watched[name]
        assert last['event'] == 'ended' and last['given'] == 50 and last['latency_p95_s'] >= 0
        assert f'mmotion: {name}: received 50, given 50, fps ' in error
        _, out, _ = run(capsys, 'predict', 'repnet_small', f'{name}.mp4', '--json-lines', '-')
        (alone,) = read_lines(out).values()
        assert len(answers) == len(alone)
        for answer, expected in zip(answers, alone, strict=True):
            assert answer == {
                key: pytest.approx(value, rel=1e-4, abs=1e-4) if type(value) is float else value
                for key, value in expected.items()
            }


def test_one_that_fails(films, folder, capsys):
    url = f'http://127.0.0.1:{find_closed_port()}/'
    with open('cameras.yaml', 'a') as file:
        file.write(f'\ndoor: {url}')
    options = ['--checkpoint', 'random', '--retries', '0', '--json-lines', 'out/lines.jsonl']
    code, out, error = run(capsys, 'watch', TOY, 'cameras.yaml', *options)
    assert code == 1 and not out
    assert error.endswith('mmotion: 1 of 4 cameras failed: door\n')
    found = read_lines((folder / 'out' / 'lines.jsonl').read_text())
    assert [line['event'] for line in found['door']] == ['failed', 'ended']
    assert all(found[name][-1]['given'] == 50 for name in films)


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['none.yaml'], 'none.yaml'),
        (['cameras.yaml', '--max-batch', '0'], '--max-batch must be at least 1'),
        (['cameras.yaml', '--queue', '0'], "camera 'a': queue must be at least 1, got queue=0"),
        (['cameras.yaml', '--on-alarm', 'true'], '--on-alarm must come with a predictor that'),
        (['cameras.yaml', '--detector', 'rtmlib'], '--detector and --model-path must be used'),
        (['cameras.yaml', '--json-lines', 'cameras.yaml'], 'cameras.yaml'),
        (['wrong.yaml'], "camera 'a': an option must be one of name, url, "),
    ],
)
def test_wrong_use(films, folder, capsys, monkeypatch, words, message):
    (folder / 'wrong.yaml').write_text('a: {url: "udp://:5000", color: red}')
    monkeypatch.setattr('mmotion.inference.load_model', lambda *_, **__: pytest.fail('too late'))
    text = (folder / 'cameras.yaml').read_text()
    check_wrong_use(capsys, ['watch', TOY, *words], message)
    assert (folder / 'cameras.yaml').read_text() == text


@contextmanager
def watching(folder):
    """A process that watches two cameras which go on for ever, and one that is away."""
    plan = [(FOR_EVER, 'end')]
    with serve(Camera(plan=plan)) as one, serve(Camera(plan=plan)) as two:
        urls = {'one': f'{one.url}/a.mjpg', 'two': f'{two.url}/a.ts'}
        urls['away'] = f'http://127.0.0.1:{find_closed_port()}/'
        (folder / 'cameras.json').write_text(json.dumps(urls))
        command = [sys.executable, '-m', 'mmotion.cli', 'watch', 'repnet_small', 'cameras.json']
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            timer = threading.Timer(LIMIT_S, process.kill)
            timer.start()
            try:
                yield process
            finally:
                timer.cancel()
                process.kill()


def read_until_all_are_heard(stream):
    """Lines, up to the first one of the last source."""
    text, heard = '', set()
    while heard != {'one', 'two', 'away'}:
        line = stream.readline()
        assert line, 'it has ended'
        heard.add(json.loads(line)['video'])
        text += line
    return text


@pytest.mark.parametrize(
    'number', [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_all_write_their_last_line_when_it_is_stopped(folder, number):
    with watching(folder) as process:
        text = read_until_all_are_heard(process.stdout)
        process.send_signal(number)
        text += process.stdout.read()
        assert process.wait() == 128 + number
    found = read_lines(text)
    assert [own[-1]['event'] for own in found.values()] == ['ended'] * 3
    assert found['away'][0]['event'] == 'lost' and found['away'][-1]['received'] == 0


def test_it_ends_when_nobody_reads(folder):
    with watching(folder) as process:
        read_until_all_are_heard(process.stdout)
        process.stdout.close()
        assert process.wait() == 141
