import dataclasses
import io
import json
import threading
import time

import numpy as np
import pytest

from mmotion.inference.alarms import AlarmCommand
from mmotion.inference.batching import share
from mmotion.inference.camera_list import Camera as Entry
from mmotion.inference.many_cameras import watch_cameras
from mmotion.video import live
from tests import cameras
from tests.cameras import find_closed_port, serve
from tests.video_files import encode, paint

LIMIT_S = 60
# what no test comes to
FOR_EVER = 10**6


class Brightness:
    """A model: takes frames (B, H, W, 3), and may be slow or refuse dark ones."""

    delay_s = 0.0
    refuses_dark = False

    def __call__(self, images):
        time.sleep(self.delay_s)
        levels = images.mean((1, 2, 3))
        if self.refuses_dark and (levels < 4).any():
            raise ValueError('it must be light, got a dark frame')
        return levels


@dataclasses.dataclass
class Answer:
    time_s: float
    level: float
    is_alarm: bool

    def to_dict(self):
        return dataclasses.asdict(self)


class Watcher:
    """A predictor that answers for each frame, as much of one as is needed."""

    batched_calls = {'model': ('__call__',)}

    def __init__(self):
        self.config = None
        self.model = Brightness()

    def stream(self, frames, *, fps):
        for frame in frames:
            (level,) = self.model(frame.image[None])
            yield Answer(frame.time_s, float(level), bool(level > 90))


class Lines(io.StringIO):
    """Lines that tell each source's own, and may do something when one is written."""

    def __init__(self, on_line=None):
        super().__init__()
        self.on_line = on_line

    def write(self, text):
        assert text.endswith('\n') and text.count('\n') == 1
        super().write(text)
        if self.on_line:
            self.on_line(json.loads(text))
        return len(text)

    def by_source(self):
        found = {}
        for line in self.getvalue().splitlines():
            content = json.loads(line)
            found.setdefault(content.pop('video'), []).append(content)
        return found


def run(entries, predictor=None, lines=None, **options):
    """The names of those that failed, and the lines of each source."""
    lines = lines or Lines()
    failed = watch_cameras(predictor or Watcher(), entries, lines, **options)
    return failed, lines.by_source()


def list_events(lines):
    return [line['event'] for line in lines if 'event' in line]


@pytest.fixture
def clips(tmp_path):
    """Three films of other lengths, sizes and levels."""
    for number, (height, width) in enumerate([(48, 64), (48, 64), (32, 64)]):
        images = [paint(8 * number + i, height, width) for i in range(20 - 3 * number)]
        encode(tmp_path / f'{number}.mp4', images)
    return [
        Entry(name=f'film {number}', url=str(tmp_path / f'{number}.mp4'), realtime=True, queue=99)
        for number in range(3)
    ]


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(live, 'FIRST_RETRY_S', 0.05)


def test_each_source_is_answered_as_alone(clips):
    failed, lines = run(clips)
    assert failed == [] and lines.keys() == {'film 0', 'film 1', 'film 2'}
    for entry in clips:
        *answers, last = lines[entry.name]
        alone = [answer.to_dict() for answer in Watcher().stream(entry.open(), fps=30)]
        assert answers == alone
        assert last['event'] == 'ended' and last['given'] == last['received'] == len(alone)
        assert last['dropped'] == 0


@pytest.mark.parametrize('max_batch', [1, 2])
def test_calls_that_wait_are_run_together(clips, monkeypatch, max_batch):
    shared, sizes = [], []

    class Patient(Brightness):
        """Answers the first call when the other sources wait."""

        def __call__(self, images):
            deadline_s = time.monotonic() + LIMIT_S
            while not sizes and len(shared[0]._waiting) < 2 and time.monotonic() < deadline_s:
                time.sleep(0.001)
            sizes.append(len(images))
            return super().__call__(images)

    def note(*arguments, **options):
        predictors, parts = share(*arguments, **options)
        shared.extend(parts)
        return predictors, parts

    monkeypatch.setattr('mmotion.inference.many_cameras.share', note)
    predictor = Watcher()
    predictor.model = Patient()
    entries = [dataclasses.replace(clips[n % 2], name=f'{n}') for n in range(3)]
    failed, _ = run(entries, predictor, max_batch=max_batch)
    assert not failed and sum(sizes) == 20 + 17 + 20
    assert sizes[:2] == [1, max_batch]
    assert max_batch > 1 or set(sizes) == {1}


def test_one_that_is_given_up_ends_alone(clips, capsys):
    plan = [(10, 'end'), (0, 'refuse')]
    with serve(cameras.Camera(plan=plan)) as camera:
        entry = Entry(name='door', url=f'{camera.url}/a.mjpg', retries=1)
        away = Entry(name='away', url=f'http://127.0.0.1:{find_closed_port()}/', retries=2)
        failed, lines = run([entry, away, *clips], with_stats=True)
    assert failed == ['door', 'away']
    assert list_events(lines['door']) == ['lost', 'failed', 'ended']
    assert lines['door'][-1]['given'] == 10
    assert list_events(lines['away']) == ['lost', 'failed', 'ended']
    assert lines['away'][1]['tries'] == 2 and lines['away'][-1]['received'] == 0
    for entry in clips:
        assert list_events(lines[entry.name]) == ['ended']
        assert lines[entry.name][-1]['latency_s'] >= 0
    error = capsys.readouterr().err
    assert 'mmotion: away: lost, time_s 0.0, reason Connection refused\n' in error
    assert 'mmotion: away: nothing has come in\n' in error


def test_one_that_is_not_there_at_first(clips):
    plan = [(0, 'refuse'), (0, 'refuse'), (5, 'end'), (5, 'end'), (0, 'refuse')]
    with serve(cameras.Camera(plan=plan)) as camera:
        entry = Entry(name='door', url=f'{camera.url}/a.mjpg', retries=3)
        failed, lines = run([entry, clips[0]])
    assert failed == ['door']
    events = ['lost', 'reconnected', 'lost', 'reconnected', 'lost', 'failed', 'ended']
    assert list_events(lines['door']) == events
    first = lines['door'][1]
    assert (first['time_s'], first['tries']) == (0.0, 2) and first['gap_s'] > 0.1
    assert lines['door'][-1]['given'] == 10 and lines['door'][-1]['reconnects'] == 1


def test_frames_that_a_predictor_cannot_take_end_their_source_alone(clips, capsys):
    predictor = Watcher()
    predictor.model.refuses_dark = True
    failed, lines = run(clips, predictor)
    assert failed == ['film 0'] and list_events(lines['film 0']) == ['failed', 'ended']
    assert lines['film 0'][0]['reason'] == 'it must be light, got a dark frame'
    assert len(lines['film 1']) == 18 and len(lines['film 2']) == 15
    assert 'Traceback' not in capsys.readouterr().err
    run(clips[:1], predictor, debug=True)
    assert 'Traceback' in capsys.readouterr().err


def test_a_file_that_is_broken_is_not_tried_again(tmp_path, clips):
    (tmp_path / 'broken.mp4').write_bytes(bytes(1000))
    entry = Entry(name='broken', url=str(tmp_path / 'broken.mp4'), realtime=True)
    failed, lines = run([entry, clips[0]])
    assert failed == ['broken'] and list_events(lines['broken']) == ['failed', 'ended']
    assert lines['broken'][0]['tries'] == 0


def test_alarms_have_the_name_of_their_source(clips, tmp_path):
    command = f"sh -c 'echo $1 $2 >> {tmp_path}/calls' sh {{source}} {{event}}"
    alarms = [AlarmCommand(command, source=entry.name) for entry in clips]
    _, lines = run(clips, alarms=alarms)
    calls = sorted((tmp_path / 'calls').read_text().splitlines())
    assert calls == ['film 0 begin', 'film 1 begin', 'film 2 begin']
    assert all(own[-1]['alarm_command']['called'] == 1 for own in lines.values())


def test_a_slow_model_drops_frames_and_no_more_wait_than_allowed():
    predictor = Watcher()
    predictor.model.delay_s = 0.05
    seen = []
    plan = [(60, 'end'), (0, 'refuse')]
    with serve(cameras.Camera(plan=plan)) as one, serve(cameras.Camera(plan=plan)) as two:
        entries = [
            Entry(name=name, url=f'{camera.url}/a.mjpg', retries=0, queue=4)
            for name, camera in (('one', one), ('two', two))
        ]
        put = live.LiveVideo._put

        def note(video, *arguments):
            put(video, *arguments)
            seen.append(video._num_frames())

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(live.LiveVideo, '_put', note)
            _, lines = run(entries, predictor)
    assert max(seen) == 4
    for own in lines.values():
        last = own[-1]
        assert last['received'] == 60 and last['dropped'] > 0
        assert last['given'] + last['dropped'] == 60


@pytest.mark.parametrize('delay_s', [0.0, 0.2], ids=['fast', 'slow'])
def test_all_have_their_last_line_when_it_is_stopped(monkeypatch, delay_s):
    heard, may_stop = set(), threading.Event()

    def note(line):
        heard.add(line['video'])
        if heard == {'one', 'two', 'away'}:
            may_stop.set()

    def interrupt(*arguments):
        assert may_stop.wait(LIMIT_S)
        raise KeyboardInterrupt

    monkeypatch.setattr('mmotion.inference.many_cameras.wait', interrupt)
    predictor, lines = Watcher(), Lines(note)
    predictor.model.delay_s = delay_s
    plan = [(FOR_EVER, 'end')]
    with serve(cameras.Camera(plan=plan)) as one, serve(cameras.Camera(plan=plan)) as two:
        entries = [
            Entry(name='one', url=f'{one.url}/a.mjpg'),
            Entry(name='two', url=f'{two.url}/a.ts'),
            Entry(name='away', url=f'http://127.0.0.1:{find_closed_port()}/', retries=99),
        ]
        with pytest.raises(KeyboardInterrupt):
            watch_cameras(predictor, entries, lines)
    found = lines.by_source()
    assert [list_events(found[name]) for name in ('one', 'two')] == [['ended']] * 2
    assert list_events(found['away']) == ['lost', 'ended']
    assert all(own[-1]['event'] == 'ended' for own in found.values())


def test_nobody_reads_any_more():
    class Closed(Lines):
        def write(self, text):
            if len(self.getvalue()) > 500:
                raise BrokenPipeError
            return super().write(text)

    plan = [(FOR_EVER, 'end')]
    with serve(cameras.Camera(plan=plan)) as one, serve(cameras.Camera(plan=plan)) as two:
        entries = [Entry(name=c.url[-5:], url=f'{c.url}/a.mjpg') for c in (one, two)]
        with pytest.raises(BrokenPipeError):
            watch_cameras(Watcher(), entries, Closed())


def test_answers_do_not_mix(clips):
    """Many answers of several sources at once: each gets its own."""
    entries = [dataclasses.replace(clips[n % 3], name=f'{n}', fps=500) for n in range(12)]
    _, lines = run(entries)
    for number, entry in enumerate(entries):
        levels = [line['level'] for line in lines[entry.name][:-1]]
        expected = [8 * (8 * (number % 3) + i) for i in range(len(levels))]
        np.testing.assert_allclose(levels, expected, atol=3)
