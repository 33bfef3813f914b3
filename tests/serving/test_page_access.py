import pytest

pytest.importorskip('starlette', reason='needs the extra [web]')

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from mmotion.serving.page_access import COOKIE, PageAccess, find_owner, make_cookie


def say_owner(request: Request):
    return PlainTextResponse(
        find_owner(request.headers.get('cookie', ''), request.app.state.tokens)
    )


def make_client(*tokens):
    routes = [Route(path, say_owner) for path in ('/page/', '/page/more', '/pages', '/healthz')]
    app = Starlette(routes=routes)
    app.state.tokens = tokens
    app.add_middleware(PageAccess, engine=None, tokens=tokens)
    return TestClient(app, follow_redirects=False)


def test_each_browser_gets_a_name_and_keeps_it():
    client = make_client()
    first = client.get('/page/')
    assert 'HttpOnly' in first.headers['set-cookie']
    assert 'SameSite=Strict' in first.headers['set-cookie']
    name = client.get('/page/').text
    assert name.startswith('page-') and client.get('/page/more').text == name
    assert 'set-cookie' not in client.get('/page/').headers
    other = make_client()
    other.get('/page/')
    assert other.get('/page/').text != name


def test_the_policy_lets_nothing_be_loaded_from_elsewhere():
    policy = make_client().get('/page/').headers['content-security-policy']
    assert "default-src 'self'" in policy and 'http' not in policy


def test_other_paths_pass_as_they_are():
    for path in ('/healthz', '/pages'):
        answer = make_client('secret').get(path)
        assert answer.status_code == 200 and 'set-cookie' not in answer.headers


def test_a_token_is_asked_for_once():
    client = make_client('first', 'secret')
    asked = client.get('/page/')
    assert asked.status_code == 401 and 'type="password"' in asked.text
    assert client.get('/page/more').status_code == 401
    wrong = client.post('/page/token', data={'token': 'guess'})
    assert wrong.status_code == 401 and 'This is not the token.' in wrong.text
    right = client.post('/page/token', data={'token': 'secret'})
    assert right.status_code == 303 and right.headers['location'] == '/page/'
    assert client.get('/page/more').text.startswith('page-')


@pytest.mark.parametrize(
    'cookies',
    [
        pytest.param('', id='none'),
        pytest.param(f'{COOKIE}={"0" * 32}', id='unsigned'),
        pytest.param(f'{COOKIE}={"0" * 32}.{"0" * 64}', id='wrong_signature'),
        pytest.param(make_cookie(), id='of_a_server_without_token'),
        pytest.param(make_cookie('old'), id='of_another_token'),
        pytest.param(f'{COOKIE}=../../etc', id='path'),
        pytest.param(f'{COOKIE}=é.é', id='no_ascii'),
    ],
)
def test_a_name_that_is_not_signed_does_not_count(cookies):
    assert find_owner(cookies, ['secret']) == ''
    assert find_owner(make_cookie('secret'), ['other', 'secret']).startswith('page-')


@pytest.mark.parametrize(
    'others', ['a/b=1', 'theme=dark mode', 'x={"a": "b;c"}', 'n=\xfc\xff', 'x']
)
def test_cookies_of_other_programs_are_passed_over(others):
    ours = make_cookie().partition(';')[0]
    name = find_owner(ours)
    assert name
    for cookies in (f'{others}; {ours}', f'{ours}; {others}', f'{others}; {ours}; {others}'):
        assert find_owner(cookies) == name
    assert find_owner(others) == '' and find_owner(f'x{ours}') == ''
