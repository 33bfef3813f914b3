"""Who may see the page, and whose jobs: a cookie, and a token where others can reach the server.

Each browser gets a cookie with a random name, which owns its jobs; it survives a reload of the page
and no script can read it. With a token the name counts only if it is signed with that, which a form
does that asks for the token once. A policy in each answer forbids the browser to load or send
anything elsewhere.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mmotion.serving.engine import BusyError, Engine
from mmotion.serving.service import find_token

PREFIX = '/page'
LOGIN = f'{PREFIX}/token'
# where Gradio takes files
UPLOAD = f'{PREFIX}/gradio_api/upload'
COOKIE = 'mmotion_page'
# what the page is made of lies in it; Gradio builds functions from text
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
    "font-src 'self' data:; worker-src 'self' blob:; connect-src 'self' data: blob:; "
    "frame-ancestors 'none'; form-action 'self'; base-uri 'self'"
)
MAX_FORM_BYTES = 4096
_FORM = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>mmotion</title>
<style>body {{ font: 18px/1.5 system-ui, sans-serif; max-width: 24rem; margin: 15vh auto;
padding: 0 1rem; }} input, button {{ font: inherit; width: 100%; padding: .5rem;
box-sizing: border-box; margin-top: .5rem; }}</style>
<form method="post" action="{action}"><h1>mmotion</h1>
<label>Token of this server <input name="token" type="password" autofocus required></label>
<button>Open the page</button><p role="alert">{message}</p></form></html>"""


class PageAccess:
    """Lets a browser see the page under a name of its own; everything else passes as it is.

    Args:
        app: What it stands before.
        engine: Is asked whether there is room for an upload.
        tokens: One of these must be known; none lets everybody in.
    """

    def __init__(self, app: ASGIApp, engine: Engine, tokens: Sequence[str] = ()) -> None:
        self.app, self._engine, self._tokens = app, engine, tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope['type'] != 'http' or not _is_below(scope['path'], PREFIX):
            await self.app(scope, receive, send)
            return
        name = find_owner(Headers(scope=scope).get('cookie', ''), self._tokens)
        if scope['path'] == LOGIN and scope['method'] == 'POST':
            response = await self._answer_form(Request(scope, receive))
            await response(scope, receive, send)
        elif scope['path'] == UPLOAD and (fault := self._find_fault()):
            await PlainTextResponse(fault, 503)(scope, receive, send)
        elif name or not self._tokens:
            await self._pass_on(name, scope, receive, send)
        elif scope['path'].rstrip('/') == PREFIX:
            response = HTMLResponse(_FORM.format(action=LOGIN, message=''), 401)
            await response(scope, receive, send)
        else:
            await PlainTextResponse('open the page first', 401)(scope, receive, send)

    def _find_fault(self) -> str:
        try:
            self._engine.check_room()
        except BusyError as error:
            return str(error)
        return ''

    async def _pass_on(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        cookie = '' if name else make_cookie()

        async def send_more(message: Message) -> None:
            if message['type'] == 'http.response.start':
                headers = MutableHeaders(scope=message)
                headers['Content-Security-Policy'] = POLICY
                headers['Referrer-Policy'] = 'same-origin'
                headers['X-Content-Type-Options'] = 'nosniff'
                if cookie:
                    headers.append('Set-Cookie', cookie)
            await send(message)

        await self.app(scope, receive, send_more)

    async def _answer_form(self, request: Request) -> HTMLResponse | RedirectResponse:
        body = b''
        async for part in request.stream():
            body += part
            if len(body) > MAX_FORM_BYTES:
                break
        given = parse_qs(body.decode('utf-8', 'replace')).get('token', [''])[0]
        known = find_token(given, self._tokens)
        if known is None:
            message = 'This is not the token.'
            return HTMLResponse(_FORM.format(action=LOGIN, message=message), 401)
        cookie = {'Set-Cookie': make_cookie(known)}
        return RedirectResponse(f'{PREFIX}/', 303, cookie)


def make_cookie(token: str = '') -> str:
    """The header that gives a browser a new name."""
    name = secrets.token_hex(16)
    value = f'{name}.{_sign(name, token)}'
    return f'{COOKIE}={value}; Path={PREFIX}; HttpOnly; SameSite=Strict'


def find_owner(cookies: str, tokens: Sequence[str] = ()) -> str:
    """The name that a browser brings, '' if it brings none that is good.

    Args:
        cookies: The header.
        tokens: By one of which the name must be signed; none if there is no token.
    """
    # cookies of other programs of this machine come too, and need not be well formed
    found = re.search(rf'(?:^|;)\s*{COOKIE}=([0-9a-f]{{32}})\.([0-9a-f]{{64}})\s*(?:;|$)', cookies)
    name, signature = found.groups() if found else ('', '')
    is_signed = any(
        hmac.compare_digest(signature.encode(), _sign(name, token).encode())
        for token in tokens or ('',)
    )
    return f'page-{name}' if is_signed else ''


def _sign(name: str, token: str) -> str:
    return hmac.new(token.encode(), name.encode(), hashlib.sha256).hexdigest()


def _is_below(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(f'{prefix}/')
