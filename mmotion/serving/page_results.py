"""The jobs of a browser on the page, and the result of one of them."""

import csv
import dataclasses
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from mmotion.serving.engine import Engine
from mmotion.serving.jobs import Job, UnknownJobError
from mmotion.serving.page_access import PREFIX
from mmotion.serving.page_views import (
    describe_answer,
    show_answer,
    show_plots,
    show_summary,
    to_text,
)

STATES = {'queued': 'waiting', 'running': 'working', 'done': 'done', 'failed': 'failed'}
STAGES = {'loading': 'loading the model', 'watching': 'watching', 'drawing': 'drawing'}
DOWNLOADS = {
    'overlay.mp4': 'Video (MP4)',
    'summary.csv': 'Table (CSV)',
    'result.json': 'All numbers (JSON)',
    'plot.png': 'Plot (PNG)',
}


@dataclasses.dataclass(frozen=True)
class Entry:
    """A job and what came out of it.

    Args:
        job: What is known of it.
        files: Its files by name.
        rows: Its table, as text; empty unless it is done.
    """

    job: Job
    files: Mapping[str, Path]
    rows: Sequence[Mapping[str, str]]

    def read_content(self) -> dict[str, Any]:
        """What was found."""
        return json.loads(self.files['result.json'].read_text(encoding='utf-8'))


@dataclasses.dataclass(frozen=True)
class Results:
    """The jobs of a tab, the newest first.

    Args:
        entries: Each with what came out of it.
    """

    entries: Sequence[Entry]

    @classmethod
    def read(cls, engine: Engine, jobs: Sequence[Job]) -> 'Results':
        """Read the tables of jobs; one that is removed meanwhile is left out."""
        entries = []
        for job in jobs:
            try:
                files = engine.files(job.id, job.owner) if job.state == 'done' else {}
                rows = _read_rows(files['summary.csv']) if files else []
            except (UnknownJobError, OSError, KeyError):
                continue
            entries.append(Entry(job, files, rows))
        return cls(entries)

    @property
    def num_open(self) -> int:
        """How many have not ended."""
        return sum(entry.job.is_open for entry in self.entries)

    def find(self, job_id: str | None) -> Entry | None:
        """A job that is done."""
        done = (entry for entry in self.entries if entry.files)
        return next((entry for entry in done if entry.job.id == job_id), None)

    def list_done(self) -> list[tuple[str, str]]:
        """Titles and names of those that are done; of one video with one title a number tells."""
        done = [entry for entry in self.entries if entry.files]
        titles: dict[str, int] = {}
        choices = []
        for entry in reversed(done):
            title = f'{entry.job.name} ({entry.job.model})'
            titles[title] = number = titles.get(title, 0) + 1
            choices.append((title if number == 1 else f'{title}, again: {number}', entry.job.id))
        return choices[::-1]


def show_jobs(results: Results) -> str:
    """What became of each video."""
    box = Element('div', {'class': 'jobs'})
    if not results.entries:
        SubElement(box, 'p', {'class': 'empty'}).text = 'The answer will be here.'
        return to_text(box)
    table = SubElement(SubElement(box, 'div', {'class': 'wide', 'tabindex': '0'}), 'table')
    SubElement(table, 'caption').text = 'Videos'
    body = SubElement(table, 'tbody')
    for entry in results.entries:
        line = SubElement(body, 'tr', {'class': entry.job.state})
        SubElement(line, 'td', {'class': 'name'}).text = entry.job.name
        cell = SubElement(line, 'td', {'class': 'state'})
        if entry.job.is_open:
            bar = SubElement(cell, 'progress', {'aria-label': f'progress of {entry.job.name}'})
            if entry.job.progress is not None:
                bar.set('value', f'{entry.job.progress:.3f}')
            bar.tail = f' {describe_state(entry.job)}'
        else:
            cell.text = describe_answer(entry.rows) or describe_state(entry.job)
    # all of them are ok
    done = [{**row, 'status': ''} for entry in results.entries for row in entry.rows]
    if len([entry for entry in results.entries if entry.rows]) < 2:
        return to_text(box)
    return to_text(box) + show_summary(done)


def describe_state(job: Job) -> str:
    """The state of a job for people.

    Example:
        >>> describe_state(Job(id='', owner='', model='', name='', state='queued', position=2))
        'waiting, 2 before it'
        >>> describe_state(Job(id='', owner='', model='', name='', state='running', progress=0.5))
        'watching, 50 %'
    """
    if job.state == 'queued':
        return f'waiting, {job.position} before it' if job.position else 'waiting, next'
    if job.state == 'running':
        stage = STAGES.get(job.stage or 'watching', job.stage)
        is_known = job.progress is not None and job.stage in (None, 'watching')
        return f'{stage}, {100 * (job.progress or 0):.0f} %' if is_known else f'{stage} ...'
    return job.error or STATES.get(job.state, job.state)


def show_result(entry: Entry, content: Mapping[str, Any]) -> tuple[str, str]:
    """The result of a job: its answer with the video and the downloads; and its plots."""
    address = f'{PREFIX}/jobs/{entry.job.id}'
    box = Element('section', {'class': 'result', 'aria-label': f'result of {entry.job.name}'})
    if 'overlay.mp4' in entry.files:
        # a video shows its first frame, and the cursor of the plots follows it
        video = {'src': f'{address}/overlay.mp4', 'data-start': str(content.get('start_s') or 0.0)}
        also = {'controls': '', 'muted': '', 'playsinline': '', 'preload': 'metadata'}
        told = {'aria-label': f'{entry.job.name} with what was found'}
        SubElement(box, 'video', {**video, **also, **told})
    links = SubElement(box, 'p', {'class': 'downloads'})
    for name, title in DOWNLOADS.items():
        if name in entry.files:
            link = {'href': f'{address}/{name}?save=true', 'download': ''}
            SubElement(links, 'a', link).text = title
    taken_s = (entry.job.ended_s or time.time()) - (entry.job.started_s or time.time())
    facts = SubElement(box, 'p', {'class': 'quiet'})
    facts.text = f'{entry.job.name}, {entry.job.model}, {taken_s:.1f} s of work'
    return show_answer(entry.rows) + to_text(box), show_plots(content)


def _read_rows(path: Path) -> list[dict[str, str]]:
    with open(path, encoding='utf-8', newline='') as file:
        return list(csv.DictReader(file))
