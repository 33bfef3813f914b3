import threading
import time

import numpy as np
import pytest

from mmotion.video import VideoError, live
from mmotion.video.files import find_videos
from mmotion.video.live import LiveEvent, LiveVideo
from mmotion.video.sources import open_source
from tests.cameras import Camera, RtspHandler, find_closed_port, serve
from tests.video_files import encode, paint, read_number

KINDS = [('/a.mjpg', ()), ('/a.ts', ()), ('/a', (RtspHandler,))]
each_kind = pytest.mark.parametrize(('path', 'handler'), KINDS, ids=['mjpeg', 'mpegts', 'rtsp'])


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """Connect again after less than half a second."""
    monkeypatch.setattr(live, 'FIRST_RETRY_S', 0.1)


def watch(url, **options):
    """What happened, the frames, and their source."""
    events = []
    with LiveVideo(url, on_event=events.append, **options) as video:
        frames = list(video)
    return events, frames, video


@each_kind
def test_a_camera_that_breaks_off_and_comes_back(path, handler):
    plan = [(40, 'end'), (0, 'refuse'), (40, 'end'), (0, 'refuse')]
    with serve(Camera(plan=plan), *handler) as camera:
        events, frames, video = watch(camera.url + path, retries=2)
        assert camera.connections == 5
    assert [event.event for event in events] == ['lost', 'reconnected', 'lost', 'failed']
    # all came, each in its order, with the right colors
    assert [frame.index for frame in frames] == [*range(80)]
    numbers = [read_number(frame.image) for frame in frames]
    assert numbers == [i % 24 for i in range(40)] * 2
    assert (video.counts.received, video.counts.given, video.counts.dropped) == (80, 80, 0)
    # the gap is one in time
    times_s = np.array([frame.time_s for frame in frames])
    assert (np.diff(times_s) > 0).all()
    back = events[1]
    assert times_s[40] - times_s[39] == pytest.approx(back.gap_s, abs=1e-6)
    assert back.gap_s > 0.1 and back.tries == 2
    assert back.missed == pytest.approx(back.gap_s * video.fps, abs=1.5)
    assert video.counts.reconnects == 1 and video.counts.gap_s == back.gap_s
    assert video.failure == events[-1].reason and events[-1].tries == 2


@each_kind
def test_a_camera_that_stalls(path, handler):
    with serve(Camera(plan=[(40, 'stall')]), *handler) as camera:
        events, frames, video = watch(camera.url + path, stall_s=0.7, retries=0)
    assert [event.event for event in events] == ['lost', 'failed']
    assert events[0].reason == 'no frame for 0.7 s'
    # FFmpeg may keep the last one, as it waits for what follows
    assert len(frames) in (39, 40) and video.failure


@each_kind
def test_the_rate_is_measured(path, handler):
    with serve(Camera(fps=20), *handler) as camera, LiveVideo(camera.url + path) as video:
        assert video.fps == pytest.approx(20, rel=0.5)


def test_a_rate_that_is_given_is_taken():
    with serve(Camera()) as camera, LiveVideo(f'{camera.url}/a.mjpg', fps=12) as video:
        assert video.fps == 12


def wait_until_over(video):
    deadline = time.monotonic() + 30
    while not video._is_over:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_slow_model_gets_the_newest_frames():
    with serve(Camera(plan=[(100, 'end')], fps=100)) as camera:
        video = LiveVideo(f'{camera.url}/a.ts', queue=5, retries=0)
        frames = iter(video)
        first = next(frames)
        wait_until_over(video)
        assert video.counts.dropped == 100 - 1 - 5
        rest = list(frames)
    assert [frame.index for frame in rest] == [95, 96, 97, 98, 99]
    assert (video.counts.received, video.counts.given) == (100, 6)
    # numbers and times tell what was left out
    assert [read_number(frame.image) for frame in rest] == [i % 24 for i in range(95, 100)]
    times_s = [frame.time_s - first.time_s for frame in rest]
    assert times_s == pytest.approx([(f.index - first.index) / 100 for f in rest], abs=1e-3)


def test_large_frames_wait_in_small_numbers(monkeypatch):
    monkeypatch.setattr(live, 'MAX_QUEUE_BYTES', 2 * 64 * 48 * 3 // 2)
    with serve(Camera(plan=[(30, 'end')])) as camera:
        video = LiveVideo(f'{camera.url}/a.mjpg', retries=0)
        assert video.fps
        wait_until_over(video)
        assert len(list(video)) == 2 and video.counts.dropped == 28


def test_a_camera_that_comes_back_with_another_size():
    sizes = iter([(48, 64)] * 20 + [(96, 128)] * 100)

    def paint_next(number):
        return paint(number % 24, *next(sizes))

    with serve(Camera(plan=[(20, 'end'), (10, 'end'), (0, 'refuse')], paint=paint_next)) as camera:
        _, frames, _ = watch(f'{camera.url}/a.mjpg', retries=1)
    assert {frame.image.shape for frame in frames} == {(48, 64, 3)} and len(frames) == 30


def test_a_camera_that_is_not_there_is_said_at_once():
    url = f'rtsp://me:secret@127.0.0.1:{find_closed_port()}/door?pwd=secret'
    with LiveVideo(url) as video, pytest.raises(VideoError) as error:
        _ = video.fps
    assert 'must be there when it is begun with, got rtsp://127.0.0.1' in str(error.value)
    assert 'secret' not in str(error.value)
    with LiveVideo(url) as video, pytest.raises(VideoError, match='Connection refused'):
        list(video)


def test_what_helps_depends_on_what_is_watched(tmp_path):
    (tmp_path / 'text.mp4').write_bytes(b'no video')
    url = f'RTSP://127.0.0.1:{find_closed_port()}/door'
    for source, realtime, message in (
        (url, False, r'\(Connection refused\); check the address'),
        (tmp_path / 'text.mp4', True, 'it is of another kind or cut off'),
    ):
        with (
            LiveVideo(source, realtime=realtime) as video,
            pytest.raises(VideoError, match=message),
        ):
            list(video)


def test_nothing_hangs_when_the_thread_fails(monkeypatch):
    def fail(*_, **__):
        raise MemoryError('no room')

    monkeypatch.setattr(live, 'receive', fail)
    with LiveVideo('udp://:5000') as video, pytest.raises(VideoError, match='MemoryError: no room'):
        list(video)


def test_hanging_up_ends_the_thread():
    with serve(Camera(plan=[(1000, 'end')])) as camera:
        with LiveVideo(f'{camera.url}/a.mjpg') as video:
            next(iter(video))
        assert list(video) == []
        deadline = time.monotonic() + 5
        while any(t.name == 'live video' for t in threading.enumerate()):
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_a_file_as_a_test_camera(tmp_path):
    path = encode(tmp_path / 'a.mp4')
    begin_s = time.monotonic()
    events, frames, video = watch(path, realtime=True)
    assert time.monotonic() - begin_s > 0.7
    assert (video.fps, video.failure, events) == (30.0, None, [])
    assert [read_number(frame.image) for frame in frames] == [*range(24)]
    assert [frame.time_s for frame in frames] == pytest.approx(
        [i / 30 for i in range(24)], abs=1e-4
    )


def test_a_whole_video_of_the_network_is_played_and_ends(tmp_path):
    raw = encode(tmp_path / 'a.mkv').read_bytes()
    with serve(Camera(raw=raw)) as camera:
        begin_s = time.monotonic()
        events, frames, video = watch(f'{camera.url}/a.mkv', queue=2)
    assert time.monotonic() - begin_s > 0.7
    assert (len(frames), events, video.failure, camera.connections) == (24, [], None, 1)


def test_a_phone_held_upright(tmp_path):
    _, frames, _ = watch(encode(tmp_path / 'a.mp4', rotation=90), realtime=True)
    assert frames[0].image.shape == (64, 48, 3)


def test_a_stream_leads_to_no_file(tmp_path):
    """A list of segments names one of this machine."""
    encode(tmp_path / 'secret.ts')
    segment = f'#EXTINF:1,\nfile://{tmp_path}/secret.ts\n#EXT-X-ENDLIST\n'
    playlist = f'#EXTM3U\n#EXT-X-TARGETDURATION:1\n{segment}'.encode()
    with serve(Camera(raw=playlist)) as camera, LiveVideo(f'{camera.url}/a.m3u8') as video:
        with pytest.raises(VideoError, match='must be there when it is begun with'):
            list(video)
        assert camera.connections and not video.counts.received


@pytest.mark.parametrize('name', ['{}/a.ts', 'http:/{}', '{}/*.ts'])
def test_names_of_files_lead_to_no_stream(name):
    """Tables, lists and folders name files, whatever they look like."""
    with serve(Camera()) as camera:
        with pytest.raises(FileNotFoundError):
            open_source(name.format(camera.url))
        with pytest.raises(FileNotFoundError):
            find_videos([name.format(camera.url)])
        assert not camera.connections


@pytest.mark.parametrize(
    ('source', 'options', 'message'),
    [
        ('a.mp4', {}, "must be the number of a camera, .* got 'a.mp4'; realtime plays a file"),
        ('udp://:1', {'realtime': True}, 'realtime must come with a file, got udp://:1'),
        ('udp://:1', {'fps': 0}, 'fps must be above 0'),
        ('udp://:1', {'stall_s': 0}, 'stall_s must be above 0'),
        ('udp://:1', {'retries': -1}, 'retries must be at least 0'),
        ('udp://:1', {'queue': 0}, 'queue must be at least 1'),
    ],
)
def test_wrong_use(source, options, message):
    with pytest.raises(ValueError, match=message):
        LiveVideo(source, **options)


def test_a_test_camera_must_be_there():
    with pytest.raises(FileNotFoundError, match='a test camera must be a video file'):
        LiveVideo('no.mp4', realtime=True)


def test_events_as_json():
    event = LiveEvent('reconnected', 7.25, tries=1, gap_s=3.12345, missed=78)
    assert event.to_dict() == {
        'event': 'reconnected',
        'time_s': 7.25,
        'tries': 1,
        'gap_s': 3.123,
        'missed': 78,
    }
