"""One page about the results of many videos, to be sent to somebody who has none of our files.

It is HTML in one file, without scripts, and asks nothing of a network: pictures and curves lie in
it. It can be read on a phone and printed. Its text is written by `xml.etree`, which escapes it.
"""

import datetime
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element, SubElement, tostring

from mmotion.atomic import write_atomically
from mmotion.inference.records import Record, read_record
from mmotion.inference.report_pictures import draw_curve, find_curves, make_pictures
from mmotion.inference.summary import NAME, as_words, has_value, list_columns, show
from mmotion.tables import read_json, read_table

# what mail takes, with its own coding
MAX_BYTES = 15_000_000
# of one video, as more is not sharper on a screen
MAX_VIDEO_BYTES = 1_500_000
# numbers in [0, 1] that people know as percents
SHARES = ('confidence', 'score')
# nothing is loaded from elsewhere, whatever a name in the page may look like
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 60rem; margin: 0 auto;
  padding: 1rem; overflow-wrap: anywhere; }
h1 { line-height: 1.2; margin-bottom: .2rem; }
h2 { font-size: 1.15rem; margin: 0 0 .5rem; }
a { color: #1f5f99; }
.quiet { color: #666; font-size: .85rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%; }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #ddd;
  overflow-wrap: normal; }
th { font-weight: 600; }
td:first-child { min-width: 14rem; overflow-wrap: anywhere; }
.number { text-align: right; white-space: nowrap; }
section { border-top: 2px solid #1f5f99; padding-top: .8rem; margin-top: 2rem; }
figure { margin: .8rem 0; }
.stills { display: grid; grid-template-columns: repeat(6, 1fr); gap: .3rem; }
@media (max-width: 40rem) { .stills { grid-template-columns: repeat(3, 1fr); } }
img { width: 100%; display: block; }
.plots { max-width: 42rem; }
dl { display: flex; flex-wrap: wrap; gap: .3rem 2rem; margin: 0; }
dl div { display: flex; flex-direction: column-reverse; }
dt { color: #666; font-size: .85rem; }
dd { margin: 0; font-size: 1.5rem; line-height: 1.2; }
.curve svg { width: 100%; height: 6rem; background: #f6f6f6; }
polyline { fill: none; stroke: #1f5f99; stroke-width: 2; vector-effect: non-scaling-stroke; }
.failed { color: #b00020; }
@media print { body { max-width: none; font-size: 11pt; } section, figure { break-inside: avoid; }
  .plots { max-width: 24rem; }
  a { color: inherit; text-decoration: none; } }
"""


class Entry(NamedTuple):
    """What a folder says of a video.

    Attributes:
        name: Of the video, without its folder.
        file: Its JSON file.
        record: How it was made.
    """

    name: str
    file: Path
    record: Record


def write_report(results: Path, path: Path, *, title: str = '') -> int:
    """Write a page about all results in a folder.

    Args:
        results: Folder that `mmotion predict` has written.
        path: The page.
        title: Its headline; '' says how many videos there are.

    Returns:
        How many videos it tells of.

    Raises:
        ValueError: If there is no result.
        OSError: If the page cannot be written.
    """
    entries = list_entries(results)
    failed = _list_failed(results)
    title = title or f'Results of {len(entries)} video{"s" * (len(entries) != 1)}'
    root = Element('html', {'lang': 'en'})
    head = SubElement(root, 'head')
    SubElement(head, 'meta', {'charset': 'utf-8'})
    SubElement(head, 'meta', {'http-equiv': 'Content-Security-Policy', 'content': POLICY})
    scale = 'width=device-width, initial-scale=1'
    SubElement(head, 'meta', {'name': 'viewport', 'content': scale})
    SubElement(head, 'title').text = title
    SubElement(head, 'style').text = STYLE
    body = SubElement(root, 'body')
    SubElement(body, 'h1').text = title
    date = SubElement(body, 'p', {'class': 'quiet'})
    date.text = f'{datetime.date.today():%d %B %Y}'

    rows = [
        {'video': entry.name, '#': f'#video{number}', **({'status': 'ok'} if failed else {}), **row}
        for number, entry in enumerate(entries)
        for row in entry.record.rows or ({},)
    ]
    body.append(_make_table(rows + failed))
    made_by: dict[str, None] = {}
    for number, entry in enumerate(entries):
        content = read_json(entry.file, what='a result must be JSON', remedy='predict it again')
        section = SubElement(body, 'section', {'id': f'video{number}'})
        SubElement(section, 'h2').text = entry.name
        rows = entry.record.rows
        section.append(_make_table(rows) if len(rows) > 1 else _list_numbers(rows))
        budget = min(MAX_BYTES // len(entries), MAX_VIDEO_BYTES)
        section.extend(_illustrate(entry, content, budget))
        made_by[_describe_origin(entry.record, content)] = None
    SubElement(body, 'p', {'class': 'quiet'}).text = f'Made by {"; ".join(made_by)}.'

    text = '<!DOCTYPE html>\n' + tostring(root, encoding='unicode', method='html')
    with write_atomically(path) as temporary:
        # of a name that is no text, as some file systems have
        temporary.write_bytes(text.encode('utf-8', errors='replace'))
    return len(entries)


def list_entries(results: Path) -> list[Entry]:
    """The results of a folder, in the order of their names; stderr tells what is left out.

    Raises:
        ValueError: If there is none that is complete.
    """
    entries = []
    files = sorted(results.glob('*.json'))
    for file in files:
        record = read_record(file)
        if record:
            entries.append(Entry(Path(str(record.source['path'])).name, file, record))
    if not entries:
        raise ValueError(
            f'RESULTS must be a folder that "mmotion predict" has written, got {results} without a '
            'complete result'
        )
    known = {entry.file.parent / name for entry in entries for name in entry.record.files}
    for file in files:
        if file not in known | {entry.file for entry in entries}:
            print(f'mmotion: {file}: left out, as it is no complete result', file=sys.stderr)
    return entries


def _list_failed(results: Path) -> list[dict[str, Any]]:
    """The videos of the last run that failed, without their folders."""
    path = results / NAME
    if not path.is_file():
        return []
    rows = read_table(path, ['video', 'status'], may_be_empty=True)
    failed = []
    for row in rows:
        if row.text('status') == 'failed':
            video = row.text('video')
            name = Path(video).name
            reason = row.text('reason').replace(video, name)
            failed.append({'video': name, 'status': 'failed', 'reason': reason})
    return failed


def _make_table(rows: Sequence[Mapping[str, Any]]) -> Element:
    """A table of rows, with a link to `#` of a row, and without columns that are empty."""
    frame = Element('div', {'class': 'wide'})
    columns = [
        name
        for name in list_columns(rows)
        if name != '#' and any(has_value(row, name) for row in rows)
    ]
    table = SubElement(frame, 'table')
    is_number = {n: not any(isinstance(row.get(n), str) for row in rows) for n in columns}
    kinds = {name: {'class': 'number'} if is_number[name] else {} for name in columns}
    head = SubElement(SubElement(table, 'thead'), 'tr')
    for name in columns:
        SubElement(head, 'th', kinds[name]).text = as_words(name)
    lines = SubElement(table, 'tbody')
    for row in rows:
        line = SubElement(lines, 'tr', {'class': 'failed'} if 'reason' in row else {})
        for name in columns:
            cell = SubElement(line, 'td', kinds[name])
            if name == 'video' and '#' in row:
                cell = SubElement(cell, 'a', {'href': row['#']})
            cell.text = _show(name, row.get(name))
    return frame


def _list_numbers(rows: Sequence[Mapping[str, Any]]) -> Element:
    """What a row says, each value above its name."""
    numbers = Element('dl')
    for name, value in ((name, row[name]) for row in rows for name in list_columns([row])):
        if has_value({name: value}, name):
            number = SubElement(numbers, 'div')
            SubElement(number, 'dt').text = as_words(name)
            SubElement(number, 'dd').text = _show(name, value)
    return numbers


def _show(name: str, value: Any) -> str:
    """A value for people, shares in percent."""
    if name.rpartition('_')[2] in SHARES and isinstance(value, float) and 0 <= value <= 1:
        return f'{100 * value:.0f} %'
    return show(value)


def _illustrate(entry: Entry, content: Mapping[str, Any], max_bytes: int) -> list[Element]:
    """Stills and plots of a video, or curves where nothing was drawn."""
    drawn = [entry.file.parent / name for name in entry.record.files]
    overlays = [path for path in drawn if path.name.endswith('_overlay.mp4')]
    # the others are for those who know the model
    plots = [path for path in drawn if path.suffix == '.png'][:1]
    source = Path(str(entry.record.source['path']))
    elements = make_pictures([*overlays, source], plots, max_bytes)
    if not plots:
        parts = content.get('regions') or [content]
        elements += [draw_curve(curve) for part in parts for curve in find_curves(part)]
    return elements


def _describe_origin(record: Record, content: Mapping[str, Any]) -> str:
    """What made a result, without the folders of whoever ran it."""
    parts = [f'mmotion {record.settings.get("version", "")}'.strip()]
    for key, word in (('config', 'model'), ('checkpoint', 'weights')):
        if content.get(key):
            parts.append(f'{word} {Path(str(content[key])).stem}')
    return ', '.join(parts)
