"""The page in the browser: a tab a system, where videos are sent and their results looked at.

Gradio makes the form; what a result looks like is made by `mmotion.serving.page_views`, and its
files are sent by a route of this module, so that Gradio neither copies nor converts a video. The
jobs are those of the engine: the page asks for their state once a second while one is open, and a
reload or a second window of the same browser shows the same jobs.
"""

import ast
import dataclasses
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, PlainTextResponse, RedirectResponse, Response
from gradio.data_classes import ListFiles

from mmotion.paths import find_root
from mmotion.serving.engine import BusyError, Engine
from mmotion.serving.jobs import Job, UnknownJobError
from mmotion.serving.page_access import PREFIX, PageAccess, find_owner
from mmotion.serving.page_examples import EXAMPLES, render_example
from mmotion.serving.page_results import Results, show_jobs, show_result
from mmotion.serving.page_style import SCRIPT, STYLE
from mmotion.serving.page_views import find_threshold, show_alarms
from mmotion.video.files import VIDEO_SUFFIXES

# seconds between two looks at open jobs, and after which Gradio forgets an upload
LOOK_S, UPLOAD_S = 1.0, 3600
# some models answer about keypoints that another program has found
KEYPOINTS = '.json'
INLINE = {'overlay.mp4': 'video/mp4', 'plot.png': 'image/png'}
Update = Any


def mount_page(app: FastAPI, engine: Engine, *, tokens: Sequence[str] = ()) -> None:
    """Put the page on a service, under `/page/`.

    Args:
        app: From `mmotion.serving.service.create_app`.
        engine: Does the work; what Gradio receives lies in its folder too.
        tokens: One of these is asked for before anything is shown; none lets everybody in.
    """
    uploads = engine.folder / 'uploads'
    # those of a server that was killed
    shutil.rmtree(uploads, ignore_errors=True)
    uploads.mkdir(mode=0o700)
    # Gradio reads both when it is used
    os.environ |= {'GRADIO_TEMP_DIR': str(uploads), 'GRADIO_ANALYTICS_ENABLED': 'False'}

    @app.get('/', include_in_schema=False)
    def go_to_page() -> Response:
        return RedirectResponse(f'{PREFIX}/')

    @app.get('/favicon.ico', include_in_schema=False)
    @app.get('/manifest.json', include_in_schema=False)
    def send_nothing() -> Response:
        # browsers ask for both
        return Response(status_code=204)

    @app.get(f'{PREFIX}/jobs/{{job_id}}/{{name}}', include_in_schema=False)
    def send_file(job_id: str, name: str, request: Request, save: bool = False) -> Response:
        owner = find_owner(request.headers.get('cookie', ''), tokens)
        try:
            job, files = engine.get(job_id, owner), engine.files(job_id, owner)
        except UnknownJobError:
            return PlainTextResponse('there is no such video', 404)
        if name not in files:
            return PlainTextResponse('there is no such file', 404)
        if save or name not in INLINE:
            return FileResponse(files[name], filename=f'{Path(job.name).stem}_{name}')
        return FileResponse(files[name], media_type=INLINE[name])

    font, mono = ['system-ui', 'sans-serif'], ['ui-monospace', 'monospace']
    gr.mount_gradio_app(
        app,
        build_page(engine, tokens),
        PREFIX,
        footer_links=[],
        run_history=False,
        show_error=False,
        max_file_size=int(engine.limits.max_bytes),
        ssr_mode=False,
        enable_monitoring=False,
        mcp_server=False,
        pwa=False,
        theme=gr.themes.Default(font=font, font_mono=mono),
        css=STYLE,
        head=SCRIPT,
    )
    app.add_middleware(PageAccess, engine=engine, tokens=tokens)


def build_page(engine: Engine, tokens: Sequence[str]) -> gr.Blocks:
    """Build the page: a tab for each system of the engine's models."""
    systems: dict[str, list[tuple[str, str]]] = {}
    for model in engine.models.values():
        title = f'{model.name}: {model.title}' if model.title else model.name
        systems.setdefault(model.system, []).append((title, model.name))
    with gr.Blocks(
        title='mmotion', analytics_enabled=False, delete_cache=(UPLOAD_S // 4, UPLOAD_S)
    ) as page:
        gr.HTML(_INTRODUCTION, padding=False)
        for system, models in systems.items():
            title, question = read_question(system)
            with gr.Tab(title, id=system):
                gr.HTML(f'<h2>{escape(question)}</h2>', padding=False)
                Tab(engine, tokens, models).build(page)
    # Gradio copies what a client names into its own folder, whatever component it is sent to, and
    # fetches addresses; it checks that a file was uploaded only where it believes to be launched
    page.has_launched = True
    for block in page.blocks.values():
        block.move_resource_to_block_cache = partial(keep_below, engine.folder / 'uploads')
    return page


def read_question(system: str) -> tuple[str, str]:
    """The name of a system and its question, from the docstring of its package.

    Example:
        >>> read_question('nobody')
        ('nobody', '')
    """
    file = find_root() / 'projects' / system / '__init__.py'
    text = ast.get_docstring(ast.parse(file.read_text('utf-8'))) if file.is_file() else None
    title, _, question = (text or system).partition('\n')[0].partition(': ')
    return title, question[:1].upper() + question[1:]


@dataclasses.dataclass
class Tab:
    """What one system's tab does.

    Args:
        engine: Does the work.
        tokens: By one of which the names of browsers are signed.
        models: Titles and names of the models of its system.
    """

    engine: Engine
    tokens: Sequence[str]
    models: Sequence[tuple[str, str]]

    def build(self, page: gr.Blocks) -> None:
        """Lay out the tab, and say what follows from what."""
        limits = self.engine.limits
        small = {'visible': False, 'size': 'sm', 'scale': 0, 'min_width': 170}
        with gr.Row():
            with gr.Column(scale=2, min_width=300):
                videos = gr.File(
                    label='Your videos',
                    file_count='multiple',
                    file_types=[*sorted(VIDEO_SUFFIXES), KEYPOINTS],
                    height=170,
                )
                # Gradio would leave an empty file for each
                videos.preprocess = get_paths
                gr.HTML(
                    f'<p class="quiet">At most {limits.max_bytes / 1e6:.0f} MB and '
                    f'{limits.max_seconds / 60:.3g} minutes each.</p>',
                    padding=False,
                )
                with gr.Accordion('Record with the camera', open=False):
                    camera = gr.Video(
                        label='Camera',
                        sources=['webcam'],
                        include_audio=False,
                        webcam_options=gr.WebcamOptions(mirror=False),
                        height=240,
                    )
                    # as the browser made it; Gradio would have its sound removed by `ffmpeg`
                    camera.preprocess = get_path
                with gr.Accordion('No video at hand?', open=False):
                    choices = [(example.title, name) for name, example in EXAMPLES.items()]
                    example = gr.Radio(choices, value=choices[0][1], label='Example')
                    try_example = gr.Button('Try the example')
                model = gr.Radio(self.models, value=self.models[0][1], label='Model')
                with gr.Accordion('Only a part of each video', open=False), gr.Row():
                    start_s = gr.Number(label='From second', value=0, minimum=0, min_width=120)
                    end_s = gr.Number(
                        label='Up to second', value=None, placeholder='end', min_width=120
                    )
                run = gr.Button('Analyze', variant='primary')
                note = gr.HTML(padding=False)
            with gr.Column(scale=3, min_width=300):
                jobs = gr.HTML(show_jobs(Results([])), padding=False)
                with gr.Row():
                    cancel = gr.Button('Cancel', **small)
                    clear = gr.Button('Remove all results', **small)
                shown = gr.Dropdown([], label='Show the result of', visible=False)
                result = gr.HTML(padding=False)
                threshold = gr.Slider(
                    0, 1, label='Alarm above this distance from what is usual', visible=False
                )
                alarms = gr.HTML(padding=False, visible=False)
                plots = gr.HTML(padding=False)
        timer = gr.Timer(LOOK_S, active=False)

        quiet = {'queue': False, 'show_progress': 'hidden', 'api_visibility': 'private'}
        part = [model, start_s, end_s]
        state = [jobs, shown, cancel, clear, timer]
        look = {'fn': self.look, 'inputs': [shown], 'outputs': state, **quiet}
        run.click(self.submit, [videos, camera, *part], [note], **quiet).then(**look)
        try_example.click(self.submit_example, [example, *part], [note], **quiet).then(**look)
        cancel.click(self.cancel, [], [note], **quiet).then(**look)
        clear.click(self.clear, [], [note], **quiet).then(**look)
        timer.tick(**look)
        page.load(**look)
        shown.change(self.show, [shown], [result, threshold, alarms, plots], **quiet)
        threshold.input(
            self.move, [shown, threshold], [alarms], trigger_mode='always_last', **quiet
        )

    def submit(
        self,
        videos: Sequence[str] | None,
        camera: str | None,
        model: str,
        start_s: float | None,
        end_s: float | None,
        request: gr.Request,
    ) -> str:
        """Queue all videos that were chosen or recorded."""
        paths = [Path(path) for path in [*(videos or ()), *([camera] if camera else [])]]
        clean_folder(self.engine.folder / 'uploads', UPLOAD_S)
        if not paths:
            return _tell('Choose a video first, record one, or try the example.')
        options = {'start_s': start_s or 0.0, 'end_s': end_s or None}
        for path in paths:
            if not path.is_file():
                return _tell(f'{path.name} is no longer on the server; choose it again.')
            keep_below(self.engine.folder / 'uploads', path)
            # the upload may be wanted again, for another model
            place = Path(tempfile.mkdtemp(dir=self.engine.folder / 'uploads')) / 'video'
            os.link(path, place)
            if fault := self._queue(place, path.name, model, options, request):
                return _tell(fault)
        return ''

    def submit_example(
        self,
        name: str,
        model: str,
        start_s: float | None,
        end_s: float | None,
        request: gr.Request,
    ) -> str:
        """Queue an example."""
        path = render_example(name, self.engine.folder / 'uploads')
        options = {'start_s': start_s or 0.0, 'end_s': end_s or None}
        fault = self._queue(path, f'example_{path.name}', model, options, request)
        return _tell(fault) if fault else ''

    def look(self, shown: str | None, request: gr.Request) -> tuple[Update, ...]:
        """The jobs as they are now."""
        results = self._find_results(request)
        done = results.list_done()
        names = [job_id for _, job_id in done]
        # of several the newest
        value = shown if shown in names else next(iter(names), None)
        return (
            show_jobs(results),
            gr.Dropdown(done, value=value, visible=len(done) > 1),
            gr.Button(visible=results.num_open > 0),
            gr.Button(visible=bool(results.entries) and not results.num_open),
            gr.Timer(LOOK_S, active=results.num_open > 0),
        )

    def show(self, job_id: str | None, request: gr.Request) -> tuple[Update, ...]:
        """The result of a job."""
        entry = self._find_results(request).find(job_id)
        if entry is None:
            return '', gr.Slider(visible=False), gr.HTML(visible=False), ''
        content = entry.read_content()
        result, plots = show_result(entry, content)
        threshold = find_threshold(content)
        if threshold is None:
            return result, gr.Slider(visible=False), gr.HTML(visible=False), plots
        low, high, step = threshold.range
        # one that has seen too little of what is usual raises none
        value = high if threshold.value is None else threshold.value
        slider = gr.Slider(low, high, float(f'{value:.4g}'), step=step, visible=True)
        return result, slider, gr.HTML(show_alarms(threshold, value), visible=True), plots

    def move(self, job_id: str | None, value: float, request: gr.Request) -> str:
        """The alarms of another threshold."""
        entry = self._find_results(request).find(job_id)
        threshold = find_threshold(entry.read_content()) if entry else None
        return show_alarms(threshold, value) if threshold else ''

    def cancel(self, request: gr.Request) -> str:
        """End what waits or goes on."""
        owner = self._find_owner(request)
        for job in self._list_jobs(owner):
            if job.is_open:
                self.engine.cancel(job.id, owner)
        return ''

    def clear(self, request: gr.Request) -> str:
        """Remove all jobs of this tab, and their files."""
        owner = self._find_owner(request)
        for job in self._list_jobs(owner):
            self.engine.delete(job.id, owner)
        return ''

    def _queue(
        self, path: Path, name: str, model: str, options: dict[str, Any], request: gr.Request
    ) -> str:
        """Queue a file, which is moved away; says why not, or ''."""
        owner = self._find_owner(request)
        try:
            if not owner:
                raise ValueError('the page must be loaded again, as the server was started anew')
            self.engine.submit(path, name=name, model=model, owner=owner, options=options)
        except (BusyError, ValueError) as error:
            return str(error)
        except (OSError, sqlite3.Error):
            return 'the disk of the server takes nothing; try later'
        finally:
            path.unlink(missing_ok=True)
            path.parent.rmdir()
        return ''

    def _find_owner(self, request: gr.Request) -> str:
        return find_owner(request.headers.get('cookie', ''), self.tokens)

    def _list_jobs(self, owner: str) -> list[Job]:
        names = [name for _, name in self.models]
        return [job for job in self.engine.list(owner) if job.model in names]

    def _find_results(self, request: gr.Request) -> Results:
        owner = self._find_owner(request)
        return Results.read(self.engine, self._list_jobs(owner))


def keep_below(folder: Path, path: str | Path | None) -> str:
    """Refuse what is no file below a folder.

    Raises:
        ValueError: If it is none.
    """
    place = Path(path or '').resolve()
    if not (place.is_relative_to(folder.resolve()) and place.is_file()):
        raise ValueError('a video must be uploaded to be looked at, got something else')
    return str(place)


def clean_folder(folder: Path, age_s: float) -> None:
    """Remove what is older than that: files of uploads that were cut off, and empty folders."""
    for path in sorted(folder.rglob('*'), reverse=True):
        # somebody else may remove it, and a folder may not be empty
        with suppress(OSError):
            if time.time() - path.stat().st_ctime > age_s:
                path.rmdir() if path.is_dir() else path.unlink()


def get_paths(payload: ListFiles | None) -> list[str]:
    """Where uploads lie."""
    return [file.path for file in payload.root] if payload else []


def get_path(payload: gr.FileData | None) -> str | None:
    """Where an upload lies."""
    return payload.path if payload else None


def _tell(text: str) -> str:
    return f'<p class="note" role="alert">{escape(text[:1].upper() + text[1:])}</p>'


_INTRODUCTION = (
    '<h1>mmotion</h1><p class="quiet">Send a video, read the answer. Videos stay on this machine; '
    'what you send is removed within two hours, and nobody else sees it.</p>'
)
