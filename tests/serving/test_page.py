import json

import pytest

pytest.importorskip('gradio', reason='needs the extra [web]')

from fastapi.testclient import TestClient

from mmotion.serving.engine import BusyError
from mmotion.serving.page import Tab, clean_folder, mount_page, read_question
from mmotion.serving.page_access import find_owner
from mmotion.serving.service import create_app
from tests.moving_boxes import write_video
from tests.serving.stored_results import MODELS, StoredEngine


class Asked:
    """What Gradio tells of who asks."""

    def __init__(self, cookie):
        self.headers = {'cookie': cookie}


@pytest.fixture
def engine(tmp_path):
    engine = StoredEngine(tmp_path / 'engine', MODELS)
    yield engine
    engine.stop(grace_s=0)


@pytest.fixture
def open_page(engine):
    """Gives browsers, each with its cookie."""
    app = create_app(engine)
    mount_page(app, engine)

    def open_one():
        client = TestClient(app, base_url='http://127.0.0.1')
        assert client.get('/').status_code == 200
        return client

    return open_one


@pytest.fixture
def tab(engine):
    return Tab(engine, (), [('a stored result', 'anomaly_model')])


def ask(client):
    cookie = '; '.join(f'{name}={value}' for name, value in client.cookies.items())
    return Asked(cookie)


def send(engine, tmp_path, client, name='clip.mp4'):
    source = tmp_path / 'sent.mp4'
    source.write_bytes(b'video')
    owner = find_owner(ask(client).headers['cookie'])
    return engine.submit(source, name=name, model='repnet_model', owner=owner)


def test_the_page_has_a_tab_for_each_system_and_asks_nothing_elsewhere(open_page):
    config = open_page().get('/page/config').json()
    tabs = [part['props']['label'] for part in config['components'] if part['type'] == 'tabitem']
    assert tabs == ['RepNet', 'TimeSformer', 'Anomaly', 'BKinD']
    assert config['analytics_enabled'] is False
    assert 'fonts.googleapis' not in open_page().get('/page/theme.css').text


def test_files_are_sent_to_their_owner_alone(open_page, engine, tmp_path):
    owner, other = open_page(), open_page()
    job = send(engine, tmp_path, owner)
    address = f'/page/jobs/{job.id}'
    video = owner.get(f'{address}/overlay.mp4', headers={'Range': 'bytes=0-99'})
    assert video.status_code == 206 and len(video.content) == 100
    assert video.headers['content-type'] == 'video/mp4'
    saved = owner.get(f'{address}/result.json?save=true')
    assert json.loads(saved.content)['confidence'] == 0.92
    assert saved.headers['content-disposition'] == 'attachment; filename="clip_result.json"'
    for client, path in [
        (other, f'{address}/overlay.mp4'),
        (owner, f'{address}/jobs.sqlite'),
        (owner, f'{address}/..%2f..%2f..%2fjobs.sqlite'),
        (owner, '/page/jobs/../../etc/passwd'),
        (owner, f'/page/gradio_api/file={engine.folder}/jobs.sqlite'),
        (owner, '/page/gradio_api/file=/etc/passwd'),
    ]:
        answer = client.get(path)
        assert answer.status_code in (403, 404), path
        # but for what was asked
        told = answer.text.replace(path.partition('file=')[2] or path, '')
        assert str(engine.folder) not in told


def test_a_name_with_markup_stays_a_name(open_page, engine, tmp_path):
    client = open_page()
    job = send(engine, tmp_path, client, name='"<b>\r\nx.mp4')
    answer = client.get(f'/page/jobs/{job.id}/summary.csv')
    assert answer.status_code == 200 and answer.headers['content-type'].startswith('text/csv')
    assert 'attachment' in answer.headers['content-disposition']


def test_sending_looking_showing_and_removing(tab, open_page, engine, tmp_path):
    request = ask(open_page())
    uploads = [write_video(engine.folder / 'uploads' / f'{name}.mp4') for name in 'ab']
    assert (
        tab.submit([str(path) for path in uploads], None, 'anomaly_model', 0, None, request) == ''
    )
    # they may be wanted for another model
    assert all(path.is_file() for path in uploads)
    assert len(engine.list(find_owner(request.headers['cookie']))) == 2
    assert sorted(path.name for path in (engine.folder / 'uploads').iterdir()) == ['a.mp4', 'b.mp4']

    jobs, shown, cancel, clear, timer = tab.look(None, request)
    assert 'alarms: 2' in jobs and shown.visible and not cancel.visible and clear.visible
    assert not timer.active
    result, slider, alarms, plots = tab.show(shown.value, request)
    assert '<strong>2</strong><span>alarms</span>' in result
    # the alarms stand in the table that the slider changes, not beside it
    assert plots == '' and slider.value == 7.0 and 'Alarms (2)' in alarms.value
    assert '1 alarm<' in tab.move(shown.value, 9.0, request)
    # nobody else sees it
    stranger = ask(open_page())
    assert tab.show(shown.value, stranger)[0] == '' and tab.move(shown.value, 9.0, stranger) == ''

    assert tab.clear(request) == ''
    assert 'The answer will be here' in tab.look(None, request)[0]
    assert not [*(engine.folder / 'jobs').iterdir()]


def test_what_waits_is_canceled(tab, open_page, engine):
    request = ask(open_page())
    video = write_video(engine.folder / 'uploads' / 'waits.mp4')
    tab.submit([str(video)], None, 'anomaly_model', 1.0, 2.0, request)
    jobs, _, cancel, _, timer = tab.look(None, request)
    assert 'waiting, next' in jobs and cancel.visible and timer.active
    tab.cancel(request)
    jobs, _, cancel, _, timer = tab.look(None, request)
    assert 'canceled' in jobs and not cancel.visible and not timer.active


def test_the_example_is_made_and_sent(tab, open_page, engine):
    request = ask(open_page())
    assert tab.submit_example('figure', 'anomaly_model', None, None, request) == ''
    assert 'example_figure.mp4' in tab.look(None, request)[0]
    assert not [*(engine.folder / 'uploads').iterdir()]


def test_faults_are_told_in_a_line_without_paths(tab, open_page, engine):
    request = ask(open_page())
    video = write_video(engine.folder / 'uploads' / 'a.mp4')
    gone = engine.folder / 'uploads' / 'gone.mp4'
    for answer, text in [
        (tab.submit(None, None, 'anomaly_model', 0, None, request), 'Choose a video first'),
        (tab.submit([str(gone)], None, 'anomaly_model', 0, None, request), 'gone.mp4 is no longer'),
        (tab.submit([str(video)], None, 'other', 0, None, request), 'Model must be one of'),
        (tab.submit([str(video)], None, 'anomaly_model', 3, 2, request), 'End_s must come after'),
        (tab.submit([str(video)], None, 'anomaly_model', 0, None, Asked('')), 'loaded again'),
    ]:
        assert text.lower() in answer.lower() and 'role="alert"' in answer, answer
        assert str(engine.folder) not in answer
    engine.limits = type(engine.limits)(max_bytes=10)
    assert '1 to 10 bytes' in tab.submit([str(video)], None, 'anomaly_model', 0, None, request)
    assert [path.name for path in (engine.folder / 'uploads').iterdir()] == ['a.mp4']


def test_the_question_of_a_system_is_that_of_its_package():
    assert read_question('repnet') == (
        'RepNet',
        'How many times was it repeated, how fast, and when?',
    )


def test_what_an_earlier_server_was_sent_is_removed(engine):
    old = engine.folder / 'uploads' / 'a1' / 'video.mp4'
    old.parent.mkdir(parents=True)
    old.touch()
    mount_page(create_app(engine), engine)
    assert not [*(engine.folder / 'uploads').iterdir()]


def test_only_what_is_old_is_cleaned_up(tmp_path):
    file = tmp_path / 'c' / 'video.mp4'
    file.parent.mkdir()
    file.touch()
    clean_folder(tmp_path, age_s=60)
    assert file.is_file()
    clean_folder(tmp_path, age_s=-1)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize('place', [0, 1, 2, 3])
@pytest.mark.parametrize('more', [{}, {'is_stream': True}, {'url': 'http://127.0.0.1:9/x.mp4'}])
def test_a_browser_names_no_file_and_no_address(open_page, engine, tmp_path, place, more):
    secret = tmp_path / 'secret.mp4'
    secret.write_bytes(b'nobody knows it')
    client = open_page()
    functions = client.get('/page/config').json()['dependencies']
    asked = 0
    for path in (str(secret), 'http://127.0.0.1:9/x.mp4', '/etc/passwd', str(tmp_path)):
        named = {'path': path, 'meta': {'_type': 'gradio.FileData'}, 'orig_name': 'a.mp4', **more}
        for function in functions:
            data = [None] * len(function['inputs'])
            if len(data) <= place:
                continue
            data[place] = [named] if place == 0 and len(data) == 5 else named
            asked += 1
            answer = client.post(
                '/page/gradio_api/run/predict',
                json={'data': data, 'fn_index': function['id'], 'session_hash': 'a'},
            )
            assert str(engine.folder) not in answer.text
    assert asked and not any(engine.count().values())
    for file in engine.folder.rglob('*'):
        assert not file.is_file() or b'nobody knows it' not in file.read_bytes()


def test_an_upload_is_taken(open_page, engine, tmp_path):
    client = open_page()
    clip = write_video(tmp_path / 'clip.mp4')
    config = client.get('/page/config').json()
    function = next(f for f in config['dependencies'] if len(f['inputs']) == 5 and f['outputs'])
    with open(clip, 'rb') as file:
        (path,) = client.post('/page/gradio_api/upload', files={'files': file}).json()
    named = {'path': path, 'meta': {'_type': 'gradio.FileData'}, 'orig_name': 'clip.mp4'}
    names = {c['id']: c['props'].get('value') for c in config['components']}
    data = [[named], None, names[function['inputs'][2]], 0, None]
    body = {'data': data, 'fn_index': function['id'], 'session_hash': 'a'}
    answer = client.post('/page/gradio_api/run/predict', json=body)
    assert answer.status_code == 200, answer.text
    assert sum(engine.count().values()) == 1, answer.text


def test_there_is_no_upload_without_room(open_page, engine, monkeypatch):
    client = open_page()

    def refuse():
        raise BusyError('2 videos wait already')

    monkeypatch.setattr(engine, 'check_room', refuse)
    answer = client.post('/page/gradio_api/upload', files={'files': b'x'})
    assert answer.status_code == 503 and answer.text == '2 videos wait already'
