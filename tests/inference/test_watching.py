import dataclasses
import io
import json
import time

import pytest

from mmotion.inference import watching
from mmotion.inference.alarms import AlarmCommand
from mmotion.inference.watching import watch
from mmotion.video import VideoError, live
from mmotion.video.live import LiveVideo
from tests.cameras import Camera, find_closed_port, serve
from tests.video_files import encode


@dataclasses.dataclass
class Answer:
    time_s: float
    is_alarm: bool
    score: float = 0.75

    def to_dict(self):
        return dataclasses.asdict(self)


class Watcher:
    """A predictor that is alarmed by light, and may be slow."""

    delay_s = 0.0
    fps = None

    def stream(self, frames, *, fps, start_s, end_s):
        self.fps = fps
        for frame in frames:
            time.sleep(self.delay_s)
            if frame.time_s >= start_s:
                yield Answer(frame.time_s, bool(frame.image.mean() > 90))


def run(video, predictor=None, **options):
    """Whether all is done, and the lines."""
    lines = io.StringIO()
    done = watch(predictor or Watcher(), video, lines, **options)
    return done, [json.loads(line) for line in lines.getvalue().splitlines()]


@pytest.fixture
def clip(tmp_path):
    return encode(tmp_path / 'clip.mp4')


def test_answers_and_events_are_lines(monkeypatch, capsys):
    monkeypatch.setattr(live, 'FIRST_RETRY_S', 0.1)
    with serve(Camera(plan=[(30, 'end'), (30, 'end'), (0, 'refuse')])) as camera:
        url = camera.url.replace('//', '//me:secret@') + '/a.mjpg'
        done, lines = run(LiveVideo(url, retries=1))
    assert not done
    events = [line['event'] for line in lines if 'event' in line]
    assert events == ['lost', 'reconnected', 'lost', 'failed', 'ended']
    assert {line['video'] for line in lines} == {f'{camera.url}/a.mjpg'}
    assert next(place for place, line in enumerate(lines) if 'event' in line) == 30
    last = lines[-1]
    assert (last['received'], last['given'], last['dropped'], last['reconnects']) == (60, 60, 0, 1)
    assert last['gap_s'] > 0 and 'latency_s' not in last
    error = capsys.readouterr().err
    assert f'mmotion: {camera.url}/a.mjpg: lost, time_s ' in error and ': failed, ' in error
    assert 'secret' not in error


def test_stats(clip, capsys, monkeypatch):
    monkeypatch.setattr(watching, 'REPORT_EVERY_S', 0.2)
    predictor = Watcher()
    predictor.delay_s = 0.01
    done, lines = run(LiveVideo(clip, realtime=True), predictor, with_stats=True)
    assert done and predictor.fps == 30
    last = lines[-1]
    assert last['event'] == 'ended' and last['given'] == 24
    assert 0.01 <= last['latency_s'] <= last['latency_p95_s']
    assert last['fps'] == last['answers_per_s'] > 0
    assert capsys.readouterr().err.count(': received ') >= 2


def test_alarms_call_a_command(clip, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = "sh -c 'echo $1 $2 >> calls' sh {event} {score}"
    alarm = AlarmCommand(command, source='clip')
    _, lines = run(LiveVideo(clip, realtime=True), alarm=alarm)
    assert (tmp_path / 'calls').read_text() == 'begin 0.75\n'
    counts = {'called': 1, 'failed': 0, 'hung': 0, 'left_out': 0}
    assert lines[-1]['alarm_command'] == counts


def test_a_part_of_it(clip):
    _, lines = run(LiveVideo(clip, realtime=True), start_s=0.5)
    assert len(lines) == 24 - 15 + 1


def test_the_last_line_is_written_when_it_is_stopped(clip):
    class Stopped(Watcher):
        def stream(self, frames, **times):
            yield next(super().stream(frames, **times))
            raise KeyboardInterrupt

    lines = io.StringIO()
    with pytest.raises(KeyboardInterrupt):
        watch(Stopped(), LiveVideo(clip, realtime=True), lines)
    assert json.loads(lines.getvalue().splitlines()[-1])['event'] == 'ended'


def test_a_camera_that_is_not_there():
    video = LiveVideo(f'http://127.0.0.1:{find_closed_port()}/')
    with pytest.raises(VideoError, match='must be there when it is begun with'):
        run(video)
