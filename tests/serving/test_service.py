import json
import threading

import pytest
from fastapi.testclient import TestClient

from mmotion.serving.service import create_app
from tests.serving.conftest import wait_for

BASE = 'http://127.0.0.1'


@pytest.fixture
def client(make_engine):
    """A client of a service that does no work."""
    engine = make_engine(max_bytes=200_000)
    engine.start = lambda: None
    return TestClient(create_app(engine), base_url=BASE)


@pytest.fixture(scope='module')
def served(tmp_path_factory):
    """A service that works."""
    from mmotion.serving.engine import Engine
    from mmotion.serving.models import list_models

    engine = Engine(tmp_path_factory.mktemp('served'), list_models())
    with TestClient(create_app(engine), base_url=BASE) as client:
        yield client, engine


def send(client, clip, **fields):
    headers = fields.pop('headers', {})
    fields.setdefault('model', 'repnet_small')
    with open(clip, 'rb') as file:
        return client.post('/v1/jobs', files={'video': file}, data=fields, headers=headers)


def read_events(text):
    """Kind, id and data of each event."""
    events = []
    for block in text.strip().split('\n\n'):
        lines = dict(line.split(': ', 1) for line in block.splitlines() if line[0] != ':')
        if lines:
            events.append((lines['event'], lines.get('id'), json.loads(lines['data'])))
    return events


def test_a_video_is_sent_and_its_result_comes(served, clip):
    client, engine = served
    answer = send(client, clip, model='repnet_small', start_s='0.5')
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers['location'] == f'/v1/jobs/{job["id"]}'
    events = read_events(client.get(f'/v1/jobs/{job["id"]}/events').text)
    assert {kind for kind, _, _ in events} == {'job'}
    assert events[-1][2]['state'] == 'done' and events[-1][2]['progress'] == 1
    job = client.get(f'/v1/jobs/{job["id"]}').json()
    assert {*job['files']} == {'result.json', 'summary.csv', 'overlay.mp4', 'plot.png'}
    result = client.get(f'/v1/jobs/{job["id"]}/result').json()
    assert result['video'] == 'box.mp4' and result['start_s'] == 0.5
    kinds = {}
    for name, address in job['files'].items():
        answer = client.get(address)
        assert answer.status_code == 200 and answer.content
        assert f'filename="box_{name}"' in answer.headers['content-disposition']
        kinds[name] = answer.headers['content-type'].split(';')[0]
    assert kinds == {
        'result.json': 'application/json', 'summary.csv': 'text/csv', 'plot.png': 'image/png',
        'overlay.mp4': 'video/mp4',
    }  # fmt: skip
    part = client.get(job['files']['overlay.mp4'], headers={'Range': 'bytes=0-9'})
    assert part.status_code == 206 and len(part.content) == 10
    metrics = client.get('/metrics').text
    assert 'mmotion_jobs_ended_total{model="repnet_small",state="done"}' in metrics
    assert client.delete(f'/v1/jobs/{job["id"]}').status_code == 204
    assert client.get(f'/v1/jobs/{job["id"]}').status_code == 404
    assert not [*(engine.folder / 'jobs').iterdir()]


def test_results_come_while_the_video_goes_on(served, clip):
    client, _ = served
    job = send(client, clip, live='true').json()
    events = read_events(client.get(f'/v1/jobs/{job["id"]}/events').text)
    results = [(number, data) for kind, number, data in events if kind == 'result']
    assert [number for number, _ in results] == [str(i + 1) for i in range(len(results))]
    assert results[-1][1]['num_frames'] == 90 and len(results) > 1
    # one who was cut off goes on behind what it has seen
    again = client.get(f'/v1/jobs/{job["id"]}/events', headers={'Last-Event-ID': '1'}).text
    assert [e[:2] for e in read_events(again) if e[0] == 'result'] == [
        ('result', number) for number, _ in results[1:]
    ]


def test_a_file_that_is_no_video_fails_in_a_line(served, tmp_path):
    client, engine = served
    (tmp_path / 'x.mp4').write_text('hello')
    job = send(client, tmp_path / 'x.mp4').json()
    wait_for(engine, engine.get(job['id'], 'everybody'))
    job = client.get(f'/v1/jobs/{job["id"]}').json()
    assert job['state'] == 'failed' and 'must be a video' in job['error']
    answer = client.get(f'/v1/jobs/{job["id"]}/result')
    assert answer.status_code == 409 and 'must be a video' in answer.json()['detail']


def test_a_job_that_waits_has_no_result_yet(client, clip):
    job = send(client, clip).json()
    assert (job['state'], job['video'], job['files']) == ('queued', 'box.mp4', {})
    early = client.get(f'/v1/jobs/{job["id"]}/result')
    assert early.status_code == 404 and 'the job is queued' in early.json()['detail']


def test_a_job_is_canceled(client, clip):
    job = send(client, clip).json()
    assert client.post(f'/v1/jobs/{job["id"]}/cancel').json()['state'] == 'canceled'
    events = read_events(client.get(f'/v1/jobs/{job["id"]}/events').text)
    assert [data['state'] for _, _, data in events] == ['canceled']


@pytest.mark.parametrize(
    ('fields', 'code', 'message'),
    [
        ({'model': 'nothing'}, 422, 'model must be one of'),
        ({'model': ''}, 422, "got model=''"),
        ({'start_s': 'soon'}, 422, 'start_s must be a number'),
        ({'start_s': 'nan'}, 422, 'start_s must not be negative'),
        ({'draw': 'maybe'}, 422, 'draw must be true or false'),
        ({'path': '/etc/passwd'}, 422, "got 'path'"),
        ({f'f{n}': '1' for n in range(20)}, 400, 'Too many fields'),
    ],
)
def test_wrong_fields_are_refused(client, clip, fields, code, message):
    answer = send(client, clip, **fields)
    assert answer.status_code == code and message in answer.json()['detail']
    assert client.get('/v1/jobs').json() == []


def test_what_is_no_form_or_has_no_file_is_refused(client, clip):
    assert client.post('/v1/jobs', content=clip.read_bytes()).status_code == 415
    assert client.post('/v1/jobs', files={'other': b'x'}).status_code == 422
    assert client.post('/v1/jobs', files={'video': b''}).status_code == 422
    headers = {'Content-Type': 'multipart/form-data'}
    assert client.post('/v1/jobs', content=b'x', headers=headers).status_code == 400
    assert client.get('/v1/jobs').json() == []


def test_too_large_an_upload_is_cut_off(client):
    def endless():
        yield b'--x\r\nContent-Disposition: form-data; name="video"; filename="a.mp4"\r\n\r\n'
        for _ in range(1000):
            sent.append(1)
            yield b'\0' * 10_000

    sent = []
    headers = {'Content-Type': 'multipart/form-data; boundary=x'}
    answer = client.post('/v1/jobs', content=endless(), headers=headers)
    assert answer.status_code == 413 and 'at most 200000 bytes' in answer.json()['detail']
    answer = client.post('/v1/jobs', files={'video': b'\0' * 400_000})
    assert answer.status_code == 413
    assert client.get('/v1/jobs').json() == []


def test_too_many_are_sent_away_until_later(make_engine, clip):
    engine = make_engine(max_queued=1)
    engine.start = lambda: None
    client = TestClient(create_app(engine), base_url=BASE)
    assert send(client, clip).status_code == 202
    answer = send(client, clip)
    assert answer.status_code == 503 and answer.headers['retry-after'] == '10'


def test_each_token_has_its_own_jobs(make_engine, clip):
    engine = make_engine()
    engine.start = lambda: None
    client = TestClient(create_app(engine, tokens=['one', 'two']), base_url=BASE)
    one, two = ({'Authorization': f'Bearer {token}'} for token in ('one', 'two'))
    job = send(client, clip, headers=one).json()
    assert client.get('/v1/jobs', headers=one).json()[0]['id'] == job['id']
    assert client.get('/v1/jobs', headers=two).json() == []
    place = f'/v1/jobs/{job["id"]}'
    for path in (place, f'{place}/result', f'{place}/events', f'{place}/files/result.json'):
        assert client.get(path, headers=two).status_code == 404
        for headers in ({}, {'Authorization': 'Bearer three'}, {'Authorization': 'Basic one'}):
            assert client.get(path, headers=headers).status_code == 401
    assert client.delete(place, headers=two).status_code == 404
    assert send(client, clip).status_code == 401
    assert client.get('/metrics').status_code == 401
    assert client.get('/healthz').json()['queued'] == 1
    assert client.get(place, headers=one).status_code == 200


@pytest.mark.parametrize(
    'path',
    [
        '/v1/jobs/../../etc/passwd', '/v1/jobs/%2e%2e/%2e%2e/jobs.sqlite', '/jobs.sqlite',
        '/v1/jobs/{id}/files/../input/box.mp4', '/v1/jobs/{id}/files/..%2Finput%2Fbox.mp4',
        '/v1/jobs/{id}/files/%2Fetc%2Fpasswd', '/v1/jobs/{id}/files/box.mp4', '/etc/passwd',
        '/static-offline-docs/..%2f..%2f__init__.py',
    ],
)  # fmt: skip
def test_paths_lead_nowhere(client, clip, path):
    job = send(client, clip).json()
    assert client.get(path.format(id=job['id'])).status_code == 404


def test_other_pages_cannot_send_through_a_browser(client, clip):
    for origin, code in (('http://evil.example', 403), ('null', 403), (BASE, 202)):
        assert send(client, clip, headers={'Origin': origin}).status_code == code
    # a name of another page that leads to this machine
    assert client.get('/v1/jobs', headers={'Host': 'evil.example'}).status_code == 400


def test_the_page_of_the_interface_needs_no_network(client):
    page = client.get('/docs')
    assert page.status_code == 200 and 'https://' not in page.text
    paths = client.get('/openapi.json').json()['paths']
    form = paths['/v1/jobs']['post']['requestBody']['content']['multipart/form-data']['schema']
    assert {*form['properties']} == {'video', 'model', 'start_s', 'end_s', 'draw', 'live'}
    assert [model['name'] for model in client.get('/v1/models').json()]


def test_two_clients_at_once_are_both_served(served, clip):
    client, engine = served
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(send(client, clip, draw='false')))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [202] * 4
    jobs = [engine.get(answer.json()['id'], 'everybody') for answer in answers]
    assert {wait_for(engine, job).state for job in jobs} == {'done'}
