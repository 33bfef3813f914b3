import pytest

pytest.importorskip('psutil', reason='needs the extra [web]')

from mmotion.serving.jobs import Job
from mmotion.serving.page_results import Entry, Results, describe_state, show_jobs, show_result
from tests.serving.stored_results import MODELS, StoredEngine, count_four, write_outputs


def make_job(**facts):
    return Job(**{'id': 'a1', 'owner': 'me', 'model': 'repnet_model', 'name': 'a.mp4', **facts})


@pytest.fixture
def engine(tmp_path):
    engine = StoredEngine(tmp_path / 'engine', MODELS)
    yield engine
    engine.stop(grace_s=0)


def send(engine, tmp_path, name):
    source = tmp_path / 'sent'
    source.write_bytes(b'video')
    return engine.submit(source, name=name, model='repnet_model', owner='me')


@pytest.mark.parametrize(
    ('facts', 'text'),
    [
        pytest.param(dict(state='queued', position=3), 'waiting, 3 before it', id='queued'),
        pytest.param(dict(state='queued', position=0), 'waiting, next', id='next'),
        pytest.param(dict(state='running', stage='loading'), 'loading the model ...', id='loading'),
        pytest.param(
            dict(state='running', stage='watching', progress=0.42), 'watching, 42 %', id='watching'
        ),
        pytest.param(dict(state='running', stage='drawing'), 'drawing ...', id='drawing'),
        pytest.param(dict(state='failed', error='it is broken'), 'it is broken', id='failed'),
        pytest.param(dict(state='canceled'), 'canceled', id='canceled'),
    ],
)
def test_states_are_said_in_words(facts, text):
    assert describe_state(make_job(**facts)) == text


def test_jobs_of_all_states(engine, tmp_path):
    for name in ('one.mp4', 'two.mp4', 'two.mp4', 'broken.mp4', 'waits.mp4'):
        send(engine, tmp_path, name)
    results = Results.read(engine, engine.list('me'))
    assert results.num_open == 1
    titles = [title for title, _ in results.list_done()]
    assert titles == [
        'two.mp4 (repnet_model), again: 2',
        'two.mp4 (repnet_model)',
        'one.mp4 (repnet_model)',
    ]
    html = show_jobs(results)
    assert html.count('count: 4') == 3 and 'got a damaged one' in html
    assert '<progress' in html and 'All results in one table (3)' in html
    assert Results.read(engine, engine.list('somebody else')).entries == []


def test_a_result_has_links_and_a_video_and_no_path(tmp_path):
    write_outputs(count_four(), tmp_path)
    files = {path.name: path for path in tmp_path.iterdir()}
    entry = Entry(make_job(state='done'), files, [{'video': 'a.mp4', 'count': '5'}])
    html, plots = show_result(entry, entry.read_content())
    for name in ('overlay.mp4', 'summary.csv', 'result.json', 'plot.png'):
        assert f'href="/page/jobs/a1/{name}?save=true"' in html
    assert '<video src="/page/jobs/a1/overlay.mp4" data-start="0.0"' in html
    assert '<strong>5</strong>' in html and '<figure' in plots
    assert str(tmp_path) not in html + plots
