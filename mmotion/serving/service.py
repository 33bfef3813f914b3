"""A service over HTTP: a video is sent, and its result is asked for.

    POST   /v1/jobs                  send a video; the answer is a job
    GET    /v1/jobs, /v1/jobs/ID     what became of it
    GET    /v1/jobs/ID/result        what was found, as JSON
    GET    /v1/jobs/ID/files/NAME    a table, a plot, a video
    GET    /v1/jobs/ID/events        server-sent events while it goes on
    POST   /v1/jobs/ID/cancel        end it
    DELETE /v1/jobs/ID               end it, and remove all that is kept of it
    GET    /v1/models, /healthz, /metrics, /docs

Errors are `{"detail": "one line"}`. With a token, each request but /healthz must bring it as
`Authorization: Bearer TOKEN`; each of several tokens sees its own jobs alone.
"""

import asyncio
import dataclasses
import hashlib
import hmac
import json
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, StreamingResponse
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect

from mmotion import __version__
from mmotion.serving.engine import UPLOAD, BusyError, Engine
from mmotion.serving.jobs import Job, UnknownJobError
from mmotion.serving.limits import LOOPBACK
from mmotion.serving.measures import measure

# who sends without a token
EVERYBODY = 'everybody'
# seconds between two looks at a job whose events are sent, and between two signs of life
LOOK_S, ALIVE_S = 0.25, 15.0
MAX_FIELDS = 8
RETRY_S = 10


class JobAnswer(BaseModel):
    """A job, as a client sees it.

    Attributes:
        id: Its name in addresses.
        state: 'queued', 'running', 'done', 'failed' or 'canceled'.
        model: Which model answers.
        video: Name of the file that was sent.
        position: How many wait before it; null if it does not wait.
        stage: What is done at the moment: 'loading', 'watching' or 'drawing'; null if nothing.
        progress: Share of the video that was watched, from 0 to 1; null where nobody knows.
        error: Why it failed.
        created: When it came, by ISO 8601, like the next two.
        started: When work on it began.
        ended: When it ended.
        duration_s: Seconds of video that were looked at.
        files: Addresses of what came out, by name.
    """

    id: str
    state: str
    model: str
    video: str
    position: int | None
    stage: str | None
    progress: float | None
    error: str | None
    created: datetime
    started: datetime | None
    ended: datetime | None
    duration_s: float | None
    files: dict[str, str]


class ModelAnswer(BaseModel):
    """A model that can be asked for.

    Attributes:
        name: What it is called.
        system: Which of mmotion's systems it belongs to.
        title: What it is.
    """

    name: str
    system: str
    title: str


def find_token(given: str, tokens: Sequence[str]) -> str | None:
    """The token that was given, if it is one of ours; how long this takes tells nothing of them."""
    return next((t for t in tokens if hmac.compare_digest(t.encode(), given.encode())), None)


def find_owner(request: Request) -> str:
    """Who sends a request."""
    tokens = request.app.state.tokens
    if not tokens:
        return EVERYBODY
    kind, _, token = request.headers.get('authorization', '').partition(' ')
    known = find_token(token.strip(), tokens)
    if kind.lower() != 'bearer' or known is None:
        raise HTTPException(
            401, 'send the header "Authorization: Bearer TOKEN"', {'WWW-Authenticate': 'Bearer'}
        )
    return hashlib.sha256(known.encode()).hexdigest()


Owner = Annotated[str, Depends(find_owner)]


def create_app(
    engine: Engine, *, tokens: Sequence[str] = (), hosts: Sequence[str] = LOOPBACK
) -> FastAPI:
    """Build the service around an engine, which starts and stops with it.

    Args:
        engine: Does the work.
        tokens: One of these must come with each request; none lets everybody in.
        hosts: Names by which the service may be addressed, as another name is that of a page that
            wants to reach it through the browser of a user; '*' allows all.
    """

    @asynccontextmanager
    async def live(app: FastAPI) -> AsyncIterator[None]:
        engine.start()
        try:
            yield
        finally:
            await run_in_threadpool(engine.stop)

    app = FastAPIOffline(
        title='mmotion',
        version=__version__,
        description='Understand motion in video: send a video, get a job, ask for its result.',
        lifespan=live,
    )
    app.state.tokens, app.state.engine = tokens, engine
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))

    @app.middleware('http')
    async def refuse_other_pages(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        # a page of another origin may send forms through the browser of a user, without asking
        origin = request.headers.get('origin')
        if origin and origin.split('://')[-1] != request.headers.get('host'):
            return JSONResponse({'detail': 'requests of other pages are refused'}, 403)
        return await call_next(request)

    def describe(job: Job) -> JobAnswer:
        return JobAnswer(
            **{name: getattr(job, name) for name in _SAME},
            video=job.name,
            created=_to_time(job.created_s),
            started=None if job.started_s is None else _to_time(job.started_s),
            ended=None if job.ended_s is None else _to_time(job.ended_s),
            files={name: f'/v1/jobs/{job.id}/files/{name}' for name in engine.find_files(job)},
        )

    @app.exception_handler(UnknownJobError)
    def answer_unknown(request: Request, error: UnknownJobError) -> Response:
        return JSONResponse({'detail': 'there is no such job'}, 404)

    @app.exception_handler(BusyError)
    def answer_busy(request: Request, error: BusyError) -> Response:
        return JSONResponse({'detail': str(error)}, 503, {'Retry-After': str(RETRY_S)})

    @app.exception_handler(sqlite3.Error)
    def answer_full(request: Request, error: sqlite3.Error) -> Response:
        return JSONResponse({'detail': 'the disk of the server takes nothing; try later'}, 503)

    @app.exception_handler(ValueError)
    def answer_wrong(request: Request, error: ValueError) -> Response:
        return JSONResponse({'detail': str(error)}, 422)

    @app.get('/v1/models')
    def list_models(owner: Owner) -> list[ModelAnswer]:
        """The models that can be asked for."""
        models = engine.models.values()
        return [ModelAnswer(name=m.name, system=m.system, title=m.title) for m in models]

    @app.post('/v1/jobs', status_code=202, openapi_extra=_UPLOAD)
    async def create_job(request: Request, response: Response, owner: Owner) -> JobAnswer:
        """Send a video as `multipart/form-data`; the file under the name `video`."""
        engine.check_room()
        fields, upload = await _receive(request, engine)
        options = {
            'start_s': _read_number(fields, 'start_s', 0.0),
            'end_s': _read_number(fields, 'end_s', None),
            'draw': _read_flag(fields, 'draw', True),
            'live': _read_flag(fields, 'live', False),
        }
        model = fields.pop('model', '')
        if fields:
            known = ', '.join(_FIELDS)
            raise ValueError(f'fields must be {known}, got {next(iter(fields))[:64]!r}')
        job = await run_in_threadpool(_submit, engine, upload, model, owner, options)
        response.headers['Location'] = f'/v1/jobs/{job.id}'
        return describe(job)

    @app.get('/v1/jobs')
    def list_jobs(owner: Owner) -> list[JobAnswer]:
        """All your jobs, the newest first."""
        return [describe(job) for job in engine.list(owner)]

    @app.get('/v1/jobs/{job_id}')
    def get_job(job_id: str, owner: Owner) -> JobAnswer:
        """What became of a job."""
        return describe(engine.get(job_id, owner))

    @app.get('/v1/jobs/{job_id}/result', response_model=dict[str, Any])
    def get_result(job_id: str, owner: Owner) -> Response:
        """What was found, by the schema of the system's result."""
        job = engine.get(job_id, owner)
        if job.state == 'failed':
            raise HTTPException(409, f'the job failed: {job.error}')
        return send_file(job, 'result.json')

    @app.get('/v1/jobs/{job_id}/files/{name}')
    def get_file(job_id: str, name: str, owner: Owner) -> Response:
        """A file that came out of a job."""
        return send_file(engine.get(job_id, owner), name)

    def send_file(job: Job, name: str) -> Response:
        path = engine.find_files(job).get(name)
        if path is None:
            raise HTTPException(404, f'there is no such file; the job is {job.state}')
        return FileResponse(path, filename=f'{Path(job.name).stem}_{name}')

    @app.get('/v1/jobs/{job_id}/events', response_class=StreamingResponse)
    async def follow_job(job_id: str, request: Request, owner: Owner) -> Response:
        """Server-sent events: `job` at each change, `result` for each result of a live job.

        The number of a result is its `id`, so that a client that was cut off goes on by the header
        `Last-Event-ID`. The stream ends when the job has.
        """
        engine.get(job_id, owner)
        last = request.headers.get('last-event-id', '')
        events = _follow(engine, job_id, owner, int(last) if last.isdigit() else 0, describe)
        return StreamingResponse(events, media_type='text/event-stream', headers=_NO_CACHE)

    @app.post('/v1/jobs/{job_id}/cancel')
    def cancel_job(job_id: str, owner: Owner) -> JobAnswer:
        """End a job; one that has ended stays as it is."""
        return describe(engine.cancel(job_id, owner))

    @app.delete('/v1/jobs/{job_id}', status_code=204)
    def delete_job(job_id: str, owner: Owner) -> None:
        """End a job, and remove all that is kept of it."""
        engine.delete(job_id, owner)

    @app.get('/healthz')
    def check_health() -> dict[str, Any]:
        """Whether it works, and how much waits."""
        status = 'ok' if engine.is_well else 'broken'
        return {'status': 'stopping' if engine.is_stopping else status, **engine.count()}

    @app.get('/metrics', response_class=PlainTextResponse)
    def get_metrics(owner: Owner) -> Response:
        """Numbers for Prometheus."""
        return Response(measure(engine), media_type='text/plain; version=0.0.4')

    return app


_SAME = ('id', 'state', 'model', 'position', 'stage', 'progress', 'error', 'duration_s')
_NO_CACHE = {'Cache-Control': 'no-store', 'X-Accel-Buffering': 'no'}
_FIELDS = {
    'video': {'type': 'string', 'format': 'binary', 'description': 'the file'},
    'model': {'type': 'string', 'description': 'one of /v1/models'},
    'start_s': {'type': 'number', 'minimum': 0, 'description': 'look from this second on'},
    'end_s': {'type': 'number', 'description': 'look up to this second'},
    'draw': {'type': 'boolean', 'default': True, 'description': 'make a plot and a video'},
    'live': {'type': 'boolean', 'default': False, 'description': 'results while it goes on, only'},
}
_FORM = {'schema': {'type': 'object', 'required': ['video', 'model'], 'properties': _FIELDS}}
_UPLOAD = {'requestBody': {'required': True, 'content': {'multipart/form-data': _FORM}}}


async def _receive(request: Request, engine: Engine) -> tuple[dict[str, str], UploadFile]:
    """Read a form, whose file goes to the disk piece by piece.

    Raises:
        HTTPException: If it is none, or larger than is allowed.
    """
    limit = engine.limits.max_bytes
    # names and limits of the other parts
    room = limit + 100_000
    length = request.headers.get('content-length', '')
    too_large = HTTPException(
        413, f'a file must have at most {limit:.0f} bytes; cut or compress it'
    )
    if length.isdigit() and int(length) > room:
        raise too_large

    async def count() -> AsyncGenerator[bytes, None]:
        received = 0
        async for part in request.stream():
            received += len(part)
            if received > room:
                raise too_large
            yield part

    if not request.headers.get('content-type', '').startswith('multipart/form-data'):
        raise HTTPException(415, 'send the file as multipart/form-data, under the name video')
    try:
        parser = MultiPartParser(request.headers, count(), max_files=1, max_fields=MAX_FIELDS)
        form = await parser.parse()
    except (MultiPartException, KeyError) as error:
        reason = getattr(error, 'message', 'the form cannot be read')
        raise HTTPException(400, reason) from None
    except ClientDisconnect:
        # nobody reads it
        raise HTTPException(400, 'the file did not come to its end') from None
    upload = form.get('video')
    if not isinstance(upload, UploadFile):
        raise HTTPException(422, 'the form must have a file under the name video')
    return {k: v for k, v in form.items() if isinstance(v, str)}, upload


def _submit(
    engine: Engine, upload: UploadFile, model: str, owner: str, options: dict[str, Any]
) -> Job:
    """Queue what was received; it was in a file without a name until now."""
    with tempfile.NamedTemporaryFile(dir=engine.folder, prefix=UPLOAD, delete=False) as file:
        path = Path(file.name)
        try:
            shutil.copyfileobj(upload.file, file, 1 << 20)
            file.close()
            name = upload.filename or 'video'
            return engine.submit(path, name=name, model=model, owner=owner, options=options)
        finally:
            upload.file.close()
            path.unlink(missing_ok=True)


async def _follow(
    engine: Engine, job_id: str, owner: str, num_seen: int, describe: Callable[[Job], JobAnswer]
) -> AsyncIterator[str]:
    """The events of a job, as text."""
    before, quiet_s = None, 0.0
    lines = _Lines(num_seen)
    while True:
        try:
            job = engine.get(job_id, owner)
            texts = lines.read(engine.find_files(job).get('live.jsonl'))
        except (UnknownJobError, FileNotFoundError):
            # it was deleted
            return
        for number, text in texts:
            yield f'id: {number}\nevent: result\ndata: {text}\n\n'
        now = describe(job).model_dump(mode='json')
        if now != before:
            before = now
            yield f'event: job\ndata: {json.dumps(now)}\n\n'
        if not job.is_open or engine.is_stopping:
            return
        quiet_s = 0.0 if texts else quiet_s + LOOK_S
        if quiet_s > ALIVE_S:
            quiet_s = 0.0
            yield ': still here\n\n'
        await asyncio.sleep(LOOK_S)


@dataclasses.dataclass
class _Lines:
    """The lines of a file that grows, each once.

    Args:
        num_seen: How many are known already, and passed over.
        num_read: How many were read.
        place: How far, in bytes.
    """

    num_seen: int
    num_read: int = 0
    place: int = 0

    def read(self, path: Path | None) -> list[tuple[int, str]]:
        """Those that are new, with their numbers from 1 on."""
        if path is None or path.stat().st_size < self.place:
            # work on it began anew
            self.num_read = self.place = 0
            return []
        new = []
        with open(path, 'rb') as file:
            file.seek(self.place)
            for line in file:
                if not line.endswith(b'\n'):
                    break
                self.place += len(line)
                self.num_read += 1
                if self.num_read > self.num_seen:
                    new.append((self.num_read, line.decode().rstrip()))
        self.num_seen = max(self.num_seen, self.num_read)
        return new


def _read_number(fields: dict[str, str], name: str, default: float | None) -> float | None:
    text = fields.pop(name, '')
    try:
        return float(text) if text else default
    except ValueError:
        raise ValueError(f'{name} must be a number of seconds, got {name}={text[:20]!r}') from None


def _read_flag(fields: dict[str, str], name: str, default: bool) -> bool:
    text = fields.pop(name, '').lower()
    if text not in ('', 'true', 'false', '1', '0'):
        raise ValueError(f'{name} must be true or false, got {name}={text[:20]!r}')
    return text in ('true', '1') if text else default


def _to_time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)
