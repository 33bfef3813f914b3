import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import av
import numpy as np
import pytest

pytest.importorskip('httpx', reason='asks the service; pip install httpx')
pytest.importorskip('psutil', reason='needs the extra [serve]')
pytest.importorskip('fastapi', reason='needs the extra [serve]')

import httpx
import psutil

from mmotion.video.writer import VideoWriter
from tests.command_lines import check_wrong_use
from tests.moving_boxes import write_video


@contextmanager
def serve(folder, *words):
    """Run the command; its process and a client."""
    command = [sys.executable, '-m', 'mmotion.cli', 'serve', '--folder', str(folder), '--port', '0']
    with subprocess.Popen([*command, *words], stdout=subprocess.PIPE, text=True) as server:
        try:
            address = server.stdout.readline().split()[-1]
            with httpx.Client(base_url=address, timeout=60) as client:
                yield server, client
        finally:
            server.kill()


def send(client, path, name=None, **fields):
    fields = {'model': 'repnet_small', **fields}
    with open(path, 'rb') as file:
        return client.post('/v1/jobs', files={'video': (name or path.name, file)}, data=fields)


def wait_until_ended(client, jobs, timeout_s=300):
    """The jobs, when all have ended."""
    ends_s = time.monotonic() + timeout_s
    while time.monotonic() < ends_s:
        now = [client.get(f'/v1/jobs/{job["id"]}').json() for job in jobs]
        if not any(job['state'] in ('queued', 'running') for job in now):
            return now
        time.sleep(0.2)
    raise TimeoutError([job['state'] for job in now])


def send_a_part(address, path):
    """Begin to send a file, and go away in the middle of it."""
    content = path.read_bytes()
    with socket.create_connection((address.host, address.port)) as connection:
        connection.sendall(
            b'POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n'
            b'Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\nContent-Disposition: '
            b'form-data; name="video"; filename="a.mp4"\r\n\r\n' + content[: len(content) // 2]
        )


def check_nothing_is_left(folder, done):
    """Only the results of these jobs are there."""
    names = {path.name for path in folder.iterdir()}
    assert names <= {'jobs', 'jobs.sqlite', 'jobs.sqlite-wal', 'jobs.sqlite-shm', '.lock'}
    assert {path.name for path in (folder / 'jobs').iterdir()} == {job['id'] for job in done}
    assert {path.name for path in folder.glob('jobs/*/*')} == {'output'}


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp('clip') / 'box.mp4', 90)


def test_a_killed_server_loses_nothing_and_leaves_nothing(tmp_path, clip):
    folder = tmp_path / 'folder'
    with serve(folder) as (server, client):
        jobs = [send(client, clip).json() for _ in range(3)]
        send_a_part(client.base_url, clip)
        while client.get(f'/v1/jobs/{jobs[0]["id"]}').json()['state'] == 'queued':
            time.sleep(0.05)
        workers = psutil.Process(server.pid).children(recursive=True)
        server.kill()
    assert workers and not psutil.wait_procs(workers, timeout=30)[1]
    with serve(folder) as (server, client):
        ended = wait_until_ended(client, jobs)
        assert [job['state'] for job in ended] == ['done'] * 3
        results = [client.get(f'/v1/jobs/{job["id"]}/result').json() for job in ended]
        assert results[0] == results[1] == results[2] and len(results[0]['count_per_frame']) == 90
        workers = psutil.Process(server.pid).children(recursive=True)
        server.send_signal(signal.SIGTERM)
        # what a shell reports of a signal
        assert server.wait(30) == 128 + signal.SIGTERM
    assert workers and not psutil.wait_procs(workers, timeout=30)[1]
    check_nothing_is_left(folder, ended)


@pytest.mark.slow
def test_twenty_at_once_one_that_goes_away_and_broken_files(tmp_path, clip):
    folder = tmp_path / 'folder'
    broken = tmp_path / 'broken.mp4'
    broken.write_bytes(clip.read_bytes()[:2000])
    with serve(folder, '--max-queued', '30') as (_, client):
        answers = []

        def send_one(number):
            path = broken if number % 10 == 9 else clip
            with httpx.Client(base_url=client.base_url, timeout=60) as other:
                answers.append(send(other, path, f'{number:02}.mp4'))

        threads = [threading.Thread(target=send_one, args=[number]) for number in range(20)]
        for thread in threads:
            thread.start()
        send_a_part(client.base_url, clip)
        for thread in threads:
            thread.join()
        assert [answer.status_code for answer in answers] == [202] * 20
        ended = wait_until_ended(client, [answer.json() for answer in answers])
        states = {job['video']: job['state'] for job in ended}
        assert len(states) == 20
        assert {name for name, state in states.items() if state == 'failed'} == {'09.mp4', '19.mp4'}
        done = [job for job in ended if job['state'] == 'done']
        assert len(done) == 18
        counts = {client.get(f'/v1/jobs/{job["id"]}/result').json()['count'] for job in done}
        assert len(counts) == 1
        assert len(client.get('/v1/jobs').json()) == 20
        check_nothing_is_left(folder, done)
        for job in ended:
            assert client.delete(f'/v1/jobs/{job["id"]}').status_code == 204
        assert client.get('/v1/jobs').json() == [] and not [*(folder / 'jobs').iterdir()]


@pytest.mark.slow
def test_a_minute_of_4k_is_done_and_16k_does_not_take_the_machine(tmp_path):
    large, huge = tmp_path / 'minute.mp4', tmp_path / 'huge.avi'
    with VideoWriter(large, fps=30.0) as writer:
        frame = np.zeros((2160, 3840, 3), np.uint8)
        for number in range(1800):
            frame[800:1200, :] = 0
            frame[800:1200, 40 * (number % 60) :][:, :400] = 255
            writer.write(frame)
    with av.open(str(huge), 'w') as container:
        stream = container.add_stream('mjpeg', rate=10, options={'qscale': '20'})
        stream.width, stream.height, stream.pix_fmt = 15360, 8640, 'yuvj420p'
        picture = av.VideoFrame.from_ndarray(np.zeros((8640, 15360, 3), np.uint8), 'rgb24')
        for _ in range(10):
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    with serve(tmp_path / 'folder') as (server, client):
        began_s = time.monotonic()
        jobs = [send(client, path, draw='false').json() for path in (huge, large)]
        peak, ended = 0, None
        while ended is None:
            processes = psutil.Process(server.pid).children(recursive=True)
            peak = max([peak, *(process.memory_info().rss for process in processes)])
            now = [client.get(f'/v1/jobs/{job["id"]}').json() for job in jobs]
            if not any(job['state'] in ('queued', 'running') for job in now):
                ended = now
            time.sleep(0.2)
        print(f'{time.monotonic() - began_s:.0f} s, {peak / 1e6:.0f} MB, {large.stat().st_size}')
    assert ended[0]['state'] == 'failed' and '15360 x 8640' in ended[0]['error']
    assert ended[1]['state'] == 'done' and ended[1]['duration_s'] == pytest.approx(60)
    assert peak < 3e9


def test_others_may_not_send_without_a_token(capsys, tmp_path, monkeypatch):
    monkeypatch.delenv('MMOTION_TOKEN', raising=False)
    words = ['serve', '--folder', tmp_path / 'f', '--host', '0.0.0.0']
    check_wrong_use(capsys, words, 'MMOTION_TOKEN must be set')
    assert not (tmp_path / 'f').exists()


def test_a_wrong_model_is_refused_in_a_line(capsys, tmp_path):
    words = ['serve', '--folder', tmp_path / 'f', '--model', 'a=nothing_like_it']
    check_wrong_use(capsys, words, 'config must be a file or the name of a bundled config')
