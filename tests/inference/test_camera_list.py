import json

import pytest

from mmotion.inference.camera_list import Camera, read_cameras
from tests.video_files import encode


@pytest.fixture
def read(tmp_path):
    """What reads a list from its text."""

    def read(text, **defaults):
        path = tmp_path / 'cameras.yaml'
        path.write_text(text)
        return read_cameras(path, **defaults)

    return read


DOOR = Camera(name='door', url='rtsp://camera.local/door', queue=16)
BELT = Camera(name='belt', url='udp://:5000', stall_s=3, on_alarm='true {source}', fps=25)
OPTIONS = 'stall_s: 3, on_alarm: "true {source}", fps: 25'


@pytest.mark.parametrize(
    'text',
    [
        pytest.param(
            f'- name: door\n  url: rtsp://camera.local/door\n  queue: 16\n'
            f'- {{name: belt, url: "udp://:5000", {OPTIONS}}}\n',
            id='list',
        ),
        pytest.param(
            f'door: {{url: "rtsp://camera.local/door", queue: 16}}\n'
            f'belt:\n  {{url: "udp://:5000", {OPTIONS}}}\n',
            id='by name',
        ),
        pytest.param(
            json.dumps(
                [
                    {'name': 'door', 'url': DOOR.url, 'queue': 16},
                    {
                        'name': 'belt',
                        'url': BELT.url,
                        'stall_s': 3,
                        'on_alarm': BELT.on_alarm,
                        'fps': 25,
                    },
                ]
            ),
            id='JSON',
        ),
    ],
)
def test_lists(read, text):
    assert read(text) == [DOOR, BELT]


def test_addresses_alone_and_what_holds_for_all(read):
    door, belt = read('door: rtsp://a/1\n2: {url: rtsp://a/2, retries: 1}', retries=3, queue=8)
    assert (door.name, door.url, door.retries, door.queue) == ('door', 'rtsp://a/1', 3, 8)
    assert (belt.name, belt.retries, belt.queue) == ('2', 1, 8)
    assert belt.open().name == '2'


def test_files_lie_beside_the_list(read, tmp_path, monkeypatch):
    encode(tmp_path / 'a.mp4')
    (tmp_path / 'elsewhere').mkdir()
    monkeypatch.chdir(tmp_path / 'elsewhere')
    (camera,) = read('a: {url: a.mp4, realtime: true}')
    assert camera.url == str(tmp_path / 'a.mp4')


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', 'must have a name and a url for each, got .*cameras.yaml with nothing'),
        ('[]', 'with nothing'),
        ('a', 'with str; "door: rtsp'),
        ('a: [', r'must be YAML or JSON, got .*cameras.yaml, line 1: expected the node'),
        ('a: \x07', r'must be YAML or JSON, got .*cameras.yaml: '),
        ('[a]', "camera 1 must have a name and a url, got 'a'"),
        ('a: {queue: 1}', "camera 'a': url must be given, got none"),
        ('- {url: "udp://:1"}', "camera 'number 1': name must be given, got none"),
        ('a: {url: "udp://:1", que: 1}', "camera 'a': an option .*got 'que'; did you mean 'queue'"),
        ('a: {url: "udp://:1", name: b}', "camera 'a': name must stand in front alone"),
        ('a: udp://:1\na: udp://:2', "'a' stands there twice"),
        ('[{name: a, url: "udp://:1"}, {name: a, url: "udp://:2"}]', "got 'a' twice in"),
        ('a: {url: "udp://:1", queue: 0}', "camera 'a': queue must be at least 1, got queue=0"),
        ('a: {url: "udp://:1", fps: fast}', "camera 'a': fps must be a number, got fps='fast'"),
        ('a: {url: "udp://:1", stall_s: -1}', "camera 'a': stall_s must be above 0"),
        ('a: ftp://host/1', "camera 'a': a stream must be one of rtsp"),
        ('a: clip.mp4', "camera 'a': a live source must be the number of a camera.*realtime plays"),
        ('a: {url: rtsp://b/1, realtime: true}', "camera 'a': a test camera must be a video file"),
    ],
)
def test_wrong_lists(read, text, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        read(text)


def test_a_message_shows_no_password(read):
    with pytest.raises(ValueError, match='line 2: ') as error:
        read('a: udp://:1\na: "rtsp://me:secret@b/1" "')
    assert 'secret' not in str(error.value)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('no: udp://:1', 'camera False: name must be text, in quotes if need be, got name=False'),
        ('a: 1.5', "camera 'a': url must be text, .* got url=1.5"),
        (
            'a: {url: "udp://:1", realtime: 1}',
            "'a': realtime must be true or false, got realtime=1",
        ),
        ('a: {url: "udp://:1", on_alarm: 1}', "camera 'a': on_alarm must be text"),
    ],
)
def test_wrong_types(read, text, message):
    with pytest.raises(TypeError, match=message):
        read(text)


def test_what_is_not_there(tmp_path, read):
    with pytest.raises(
        FileNotFoundError, match=r'must be a file that is there, got .*cameras\.yaml'
    ):
        read_cameras(tmp_path / 'cameras.yaml')
    with pytest.raises(FileNotFoundError, match="camera 'a': a camera must be plugged in"):
        read('a: /dev/video77')


def test_options_may_be_shared(read):
    """By the merge keys of YAML, of which one may be given anew."""
    text = 'a: &all {url: "udp://:1", queue: 3, retries: 2}\nb: {<<: *all, url: "udp://:2"}'
    first, second = read(text)
    assert (second.url, second.queue, second.retries) == ('udp://:2', 3, 2)
    assert first.url == 'udp://:1'


def test_one_camera_alone_is_piped_in(read):
    with pytest.raises(ValueError, match='one camera alone can be piped in, got a, b'):
        read('a: "-"\nb: "-"')
