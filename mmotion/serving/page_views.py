"""How the page shows a result: its answer, curves, timelines, trails and tables, as HTML.

What is shown follows from the shape of the result's JSON and of its table, so that no system is
named here, and one that is to come is shown as well:
    the first value of its table           the answer, in large text
    `<name>_per_frame`, `timeline`         curves, see `mmotion.inference.report_pictures`
    `segments`                             a timeline, and a table
    `threshold`, `error` in `timeline`     a curve with alarms, for a threshold that can be moved
    `keypoints` (T, K, 2), `names`         the trail of each keypoint over the picture
    `regions`                              all of this for each
Text is written by `xml.etree`, which escapes it. What lies on the time of the video has
`data-start` and `data-end`, by which the page's script moves a cursor along with the video.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element, SubElement, tostring

import numpy as np
from numpy.typing import NDArray

from mmotion.inference.report_pictures import MAX_POINTS, find_curves
from mmotion.inference.summary import as_words, show
from mmotion.visualization.drawing import as_hex, list_colors

# of drawings, whose strokes stay as wide as they are wherever they are shown
WIDTH, HEIGHT = 1000.0, 200.0
# columns of a table that are no finding
_OF_ALL = ('video', 'status', 'region', 'video_s', 'taken_s', 'lost_frames', 'reason')
# rows of a table on the page, where the files have all of them; and of one that is folded first
MAX_ROWS, UNFOLDED = 200, 8
# names of keypoints, beyond which a legend helps nobody
MAX_NAMES = 24


class Span(NamedTuple):
    """A stretch of time.

    Attributes:
        start_s: When it begins.
        end_s: When it ends.
        label: What it is; '' if there is but one kind.
    """

    start_s: float
    end_s: float
    label: str = ''


class Threshold(NamedTuple):
    """Windows that are alarms where their distance from what is usual is above a threshold.

    Attributes:
        edges_s: Times (W + 1,) between which each window speaks.
        errors: The distances (W,).
        value: The threshold that the model has, None if it raises no alarm.
    """

    edges_s: NDArray[np.float64]
    errors: NDArray[np.float64]
    value: float | None

    @property
    def range(self) -> tuple[float, float, float]:
        """Least and most of a slider from alarms everywhere to none at all, and its step."""
        values = [*self.errors.tolist(), *([] if self.value is None else [self.value])]
        low, high = min(values), max(values)
        step = 10.0 ** math.floor(math.log10((high - low or abs(high) or 1.0) / 100))
        return (math.floor(low / step) - 5) * step, (math.ceil(high / step) + 5) * step, step

    def find_alarms(self, value: float) -> list[Span]:
        """The alarms of a threshold; those of neighboring windows are one."""
        is_alarm = self.errors > value
        runs = np.flatnonzero(np.diff(is_alarm, prepend=False, append=False)).reshape(-1, 2)
        return [Span(*self.edges_s[run].tolist()) for run in runs]


def show_answer(rows: Sequence[Mapping[str, str]]) -> str:
    """The answer in large text, and what else its table says, see `describe_answer`.

    Args:
        rows: Of `summary.csv`.
    """
    box = Element('div', {'class': 'answers', 'role': 'status'})
    for row in rows:
        found = _list_found(row)
        if not found:
            continue
        part = SubElement(box, 'div', {'class': 'answer'})
        if row.get('region'):
            SubElement(part, 'h3').text = row['region']
        (name, value), *others = found
        large = SubElement(part, 'p', {'class': 'large'})
        SubElement(large, 'strong').text = _show_cell(name, value)
        SubElement(large, 'span').text = as_words(name)
        facts = SubElement(part, 'dl')
        for name, value in others:
            pair = SubElement(facts, 'div')
            SubElement(pair, 'dt').text = as_words(name)
            SubElement(pair, 'dd').text = _show_cell(name, value)
    return to_text(box)


def describe_answer(rows: Sequence[Mapping[str, str]]) -> str:
    """The answer in a word or two for each region.

    Example:
        >>> describe_answer([{'video': 'a.mp4', 'count': '8', 'confidence': '0.9'}])
        'count: 8'
    """
    parts = []
    for row in rows:
        if found := _list_found(row):
            name, value = found[0]
            region = f'{row["region"]}, ' if row.get('region') else ''
            parts.append(f'{region}{as_words(name)}: {_show_cell(name, value)}')
    return ', '.join(parts)


def show_plots(content: Mapping[str, Any]) -> str:
    """All that can be plotted of a result, one below the other; '' if there is nothing."""
    box = Element('div', {'class': 'plots'})
    for title, part in _list_parts(content):
        if title:
            SubElement(box, 'h3').text = title
        if part.get('keypoints'):
            box.append(_draw_trails(part))
        span = find_times(part)
        if span is None:
            continue
        spans = _find_spans(part)
        curves = [] if find_threshold(part) else find_curves(part)
        for curve in curves:
            low, high = _find_range(curve.values)
            line = _scale(curve.times_s, curve.values, span, (low, high))
            name = as_words(curve.name)
            # of labels the spans below it say more
            shaded = [] if any(s.label for s in spans) else spans
            box.append(_draw_chart(name, [line], span, (low, high), shaded=shaded))
        if any(s.label for s in spans):
            box.append(_draw_timeline(spans, span))
        if spans:
            box.append(_make_table('Parts', part['segments']))
    return to_text(box) if len(box) else ''


def show_alarms(threshold: Threshold, value: float) -> str:
    """The distance over time with the alarms of a threshold, and a table of them."""
    box = Element('div', {'class': 'plots'})
    span = (float(threshold.edges_s[0]), float(threshold.edges_s[-1]))
    low, high, _ = threshold.range
    alarms = threshold.find_alarms(value)
    SubElement(box, 'p', {'class': 'alarms', 'role': 'status'}).text = _describe_alarms(alarms)
    # a step for each window
    times, steps = np.repeat(threshold.edges_s, 2)[1:-1], np.repeat(threshold.errors, 2)
    level = _scale(np.array(span), np.array([value, value]), span, (low, high))
    line = _scale(times, steps, span, (low, high))
    title = 'distance from what is usual'
    chart = _draw_chart(title, [line, level], span, (low, high), shaded=alarms, shade='alarm')
    box.append(chart)
    if alarms:
        rows = [{'start_s': s.start_s, 'end_s': s.end_s} for s in alarms]
        box.append(_make_table('Alarms', rows))
    return to_text(box)


def find_threshold(content: Mapping[str, Any]) -> Threshold | None:
    """The windows of a result that has a threshold for their distance, None if it has none."""
    windows = content.get('timeline') or ()
    if 'threshold' not in content or not windows or 'error' not in windows[0]:
        return None
    starts = np.array([window['start_s'] for window in windows], np.float64)
    ends = np.array([window['end_s'] for window in windows], np.float64)
    middles = (starts + ends) / 2
    edges = np.concatenate([starts[:1], (middles[1:] + middles[:-1]) / 2, ends[-1:]])
    errors = np.array([window['error'] for window in windows], np.float64)
    return Threshold(edges, errors, content['threshold'])


def find_times(content: Mapping[str, Any]) -> tuple[float, float] | None:
    """When what was watched begins and ends, None for a result without times."""
    fps, start_s = content.get('fps'), content.get('start_s') or 0.0
    if not fps:
        return None
    lengths = [len(v) for k, v in content.items() if k.endswith('_per_frame') or k == 'frames']
    num_frames = content.get('num_frames') or max(lengths, default=0)
    times = content.get('frame_times_s')
    return start_s, times[-1] + 1 / fps if times else start_s + max(num_frames, 1) / fps


def show_summary(rows: Sequence[Mapping[str, str]]) -> str:
    """The table of several videos, without columns that are empty."""
    return to_text(_make_table('All results in one table', rows))


def to_text(element: Element) -> str:
    """The HTML of an element."""
    return tostring(element, encoding='unicode', method='html')


def _list_parts(content: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for part in content.get('regions') or ():
        yield part['name'], part
    if not content.get('regions'):
        yield '', content


def _list_found(row: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(k, v) for k, v in row.items() if k not in _OF_ALL and v not in ('', None)]


def _show_cell(name: str, value: Any) -> str:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return show(value)
    if isinstance(value, bool):
        return show(value)
    if name in ('confidence', 'score', 'next_score') and 0 <= number <= 1:
        return f'{100 * number:.0f} %'
    return str(int(number)) if number == int(number) and abs(number) < 1e9 else show(number)


def _find_spans(content: Mapping[str, Any]) -> list[Span]:
    segments = content.get('segments') or ()
    return [Span(s['start_s'], s['end_s'], str(s.get('label') or '')) for s in segments]


def _find_range(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = min(0.0, float(np.nanmin(values))), max(0.0, float(np.nanmax(values)))
    # what lies in [0, 1] is seen as a share of that
    high = 1.0 if 0 < high <= 1 and low == 0 else high
    return low, high if high > low else low + 1.0


def _scale(
    times_s: NDArray[np.float64],
    values: NDArray[np.float64],
    span: tuple[float, float],
    limits: tuple[float, float],
) -> NDArray[np.float64]:
    """Points (N, 2) of a drawing, NaN where there is no value."""
    # the highest of neighbors is shown, so that no peak is lost
    size = math.ceil(len(values) / MAX_POINTS)
    if size > 1:
        pad = -len(values) % size
        rows = np.append(values, np.full(pad, np.nan)).reshape(-1, size)
        is_known = np.isfinite(rows).any(axis=1)
        values = np.where(is_known, np.max(np.nan_to_num(rows, nan=-np.inf), axis=1), np.nan)
        times_s = times_s[::size]
    x = WIDTH * (times_s - span[0]) / max(span[1] - span[0], 1e-9)
    y = HEIGHT * (1 - (values - limits[0]) / (limits[1] - limits[0]))
    return np.stack([x, y], axis=1)


def _draw_chart(
    title: str,
    lines: Sequence[NDArray[np.float64]],
    span: tuple[float, float],
    limits: tuple[float, float],
    *,
    shaded: Sequence[Span] = (),
    shade: str = 'part',
) -> Element:
    figure = Element('figure', {'class': 'chart'})
    SubElement(figure, 'figcaption').text = title[:1].upper() + title[1:]
    frame = _make_frame(figure, span)
    box = {'viewBox': f'0 0 {WIDTH:g} {HEIGHT:g}', 'preserveAspectRatio': 'none', 'role': 'img'}
    told = f'{title}: {limits[0]:.3g} to {limits[1]:.3g}, {span[0]:.1f} s to {span[1]:.1f} s'
    svg = SubElement(frame, 'svg', {**box, 'aria-label': told})
    for part in shaded:
        x, width = _place(part, span)
        rect = {'x': f'{x * WIDTH:.1f}', 'width': f'{width * WIDTH:.1f}', 'y': '0'}
        SubElement(svg, 'rect', {**rect, 'height': f'{HEIGHT:g}', 'class': shade})
    for number, line in enumerate(lines):
        for points in np.split(line, np.flatnonzero(np.diff(np.isnan(line[:, 1]))) + 1):
            if np.isfinite(points).all() and len(points):
                text = ' '.join(f'{x:.1f},{y:.1f}' for x, y in points.tolist())
                SubElement(svg, 'polyline', {'points': text, 'class': f'line{number}'})
    SubElement(frame, 'span', {'class': 'high'}).text = f'{limits[1]:.3g}'
    SubElement(frame, 'span', {'class': 'low'}).text = f'{limits[0]:.3g}'
    _add_axis(figure, span)
    return figure


def _draw_timeline(spans: Sequence[Span], span: tuple[float, float]) -> Element:
    labels = list(dict.fromkeys(s.label for s in spans))
    colors = dict(zip(labels, map(as_hex, list_colors(len(labels))), strict=True))
    figure = Element('figure', {'class': 'chart timeline'})
    SubElement(figure, 'figcaption').text = 'What is seen when'
    frame = _make_frame(figure, span)
    for part in spans:
        x, width = _place(part, span)
        style = f'left:{100 * x:.2f}%;width:{100 * width:.2f}%;background:{colors[part.label]}'
        told = f'{part.label}, {part.start_s:.1f} to {part.end_s:.1f} s'
        SubElement(frame, 'b', {'style': style, 'title': told}).text = part.label
    _add_axis(figure, span)
    _add_legend(figure, colors)
    return figure


def _draw_trails(content: Mapping[str, Any]) -> Element:
    """Where each keypoint was, on the picture: pale where it was early, strong where late."""
    points = np.array(content['keypoints'], np.float64)[..., :2]
    names = [str(name) for name in content.get('names') or range(points.shape[1])]
    width = content.get('width') or float(np.nanmax(points[..., 0]))
    height = content.get('height') or float(np.nanmax(points[..., 1]))
    colors = dict(zip(names, map(as_hex, list_colors(len(names))), strict=True))
    figure = Element('figure', {'class': 'trails'})
    SubElement(figure, 'figcaption').text = 'Trails of the keypoints over the picture'
    box = {'viewBox': f'0 0 {width:g} {height:g}', 'role': 'img'}
    svg = SubElement(figure, 'svg', {**box, 'aria-label': f'trails of {len(names)} keypoints'})
    steps = np.unique(np.linspace(0, len(points) - 1, min(len(points), MAX_POINTS)).astype(int))
    for name, path in zip(names, points[steps].transpose(1, 0, 2), strict=True):
        known = path[np.isfinite(path).all(axis=1)]
        if not len(known):
            continue
        text = ' '.join(f'{x:.1f},{y:.1f}' for x, y in known.tolist())
        line = SubElement(svg, 'polyline', {'points': text, 'stroke': colors[name]})
        SubElement(line, 'title').text = name
        x, y = known[-1].tolist()
        place = {'cx': f'{x:.1f}', 'cy': f'{y:.1f}', 'r': f'{0.012 * max(width, height):.1f}'}
        SubElement(SubElement(svg, 'circle', {**place, 'fill': colors[name]}), 'title').text = name
    if len(names) <= MAX_NAMES:
        _add_legend(figure, colors)
    return figure


def _make_frame(figure: Element, span: tuple[float, float]) -> Element:
    times = {'data-start': f'{span[0]:.3f}', 'data-end': f'{span[1]:.3f}'}
    frame = SubElement(figure, 'div', {'class': 'frame', **times})
    SubElement(frame, 'i', {'class': 'now'})
    return frame


def _add_axis(figure: Element, span: tuple[float, float]) -> None:
    axis = SubElement(figure, 'div', {'class': 'axis'})
    for share in (0, 0.25, 0.5, 0.75, 1):
        SubElement(axis, 'span').text = f'{span[0] + share * (span[1] - span[0]):.1f} s'


def _add_legend(figure: Element, colors: Mapping[str, str]) -> None:
    legend = SubElement(figure, 'div', {'class': 'legend'})
    for name, color in colors.items():
        item = SubElement(legend, 'span')
        mark = SubElement(item, 'i', {'style': f'background:{color}'})
        mark.tail = name


def _place(part: Span, span: tuple[float, float]) -> tuple[float, float]:
    """Begin and length of a stretch, in shares of the whole."""
    whole = max(span[1] - span[0], 1e-9)
    start = min(max((part.start_s - span[0]) / whole, 0.0), 1.0)
    end = min(max((part.end_s - span[0]) / whole, start), 1.0)
    return start, end - start


def _describe_alarms(alarms: Sequence[Span]) -> str:
    if not alarms:
        return 'No alarm'
    return f'{len(alarms)} alarm{"s" * (len(alarms) > 1)}'


def _make_table(title: str, rows: Sequence[Mapping[str, Any]]) -> Element:
    """A table of rows, which scrolls by itself where it is too wide, and is folded if long."""
    box = Element('details', {} if len(rows) > UNFOLDED else {'open': ''})
    SubElement(box, 'summary').text = f'{title} ({len(rows)})'
    columns = list(dict.fromkeys(k for row in rows for k, v in row.items() if v not in ('', None)))
    table = SubElement(SubElement(box, 'div', {'class': 'wide', 'tabindex': '0'}), 'table')
    head = SubElement(SubElement(table, 'thead'), 'tr')
    for name in columns:
        SubElement(head, 'th', {'scope': 'col'}).text = as_words(name)
    body = SubElement(table, 'tbody')
    for row in rows[:MAX_ROWS]:
        line = SubElement(body, 'tr')
        for name in columns:
            SubElement(line, 'td').text = _show_cell(name, row.get(name, ''))
    if len(rows) > MAX_ROWS:
        line = SubElement(SubElement(body, 'tr'), 'td', {'colspan': str(len(columns))})
        line.text = f'and {len(rows) - MAX_ROWS} more, which the downloads have'
    return box
