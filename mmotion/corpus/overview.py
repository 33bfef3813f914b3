"""What became of a corpus, in some lines: counts, why videos failed, the slowest ones."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pyarrow import dataset

from mmotion.corpus.reading import query
from mmotion.corpus.store import RUN
from mmotion.inference.summary import show

# of each list
SHOWN = 10
# what a run says of a video by itself
_OF_RUNS = ('status', 'seconds', 'frames', 'attempts', 'version')
# what differs from video to video in a reason, in this order: its path, its name, what is between
# quotes and looks like a path, other paths, numbers
_VARIABLE = r"""regexp_replace(regexp_replace(regexp_replace(regexp_replace(
    replace(replace(reason, video, '…'), parse_filename(video), '…'),
    '(^|[\s=(\[])(''[^'']*[/\\.][^'']*''|"[^"]*[/\\.][^"]*")', '\1…', 'g'),
    '([A-Za-z][A-Za-z0-9+.-]*:)?[^\s,;:()]*[/\\][^\s,;:()]*', '…', 'g'),
    '\b(0x[0-9a-f]+|[0-9a-f]{8,})\b', '…', 'g'),
    '(^|[^A-Za-z0-9])-?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?', '\1…', 'g')"""

_VERSIONS = 'select distinct version from results where version is not null order by version'


def describe_results(results: dataset.Dataset, run: Mapping[str, Any] | None = None) -> str:
    """Say what became of all videos.

    Args:
        results: From `mmotion.corpus.reading`.
        run: From `read_run`.
    """
    return '\n'.join(_describe(results, run or {}))


def read_run(folder: Path) -> dict[str, Any]:
    """What made the results of a folder; nothing if that is not told."""
    try:
        content = json.loads((folder / RUN).read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def group_reasons(results: dataset.Dataset) -> list[tuple[int, str, str]]:
    """Why videos failed: how many, the reason without what differs, and one of the videos.

    The most frequent first.
    """
    return query(
        results,
        f"""select count(distinct id), {_VARIABLE} as why, min(video) from results
        where status = 'failed' group by why order by all desc""",
    ).fetchall()


def list_failed(results: dataset.Dataset) -> Any:
    """The rows of the videos that failed, which can be a manifest: what is the same for all is not.

    Returns:
        A `duckdb.DuckDBPyRelation`: what a manifest said of them, and the `reason`.
    """
    failed = "from results where status = 'failed'"
    names = [name for name in results.schema.names if name not in _OF_RUNS]
    counts = ', '.join(f'count({_quote(name)})' for name in names)
    found = query(results, f'select {counts} {failed}').fetchall()[0]
    told = [_quote(name) for name, number in zip(names, found, strict=True) if number]
    return query(results, f'select {", ".join(told or ["id", "video", "reason"])} {failed}')


def _quote(name: str) -> str:
    quoted = name.replace('"', '""')
    return f'"{quoted}"'


def _describe(results: dataset.Dataset, run: Mapping[str, Any]) -> Iterator[str]:
    # a video in parts of the picture may have several rows
    ((number, failed, again, lost, seconds, frames, timed),) = query(
        results,
        """select count(*), count(*) filter (failed), count(*) filter (attempts > 1),
        count(*) filter (attempts > 1 and failed), sum(seconds), sum(frames), sum(timed)
        from (select bool_or(status = 'failed') as failed, max(attempts) as attempts,
        sum(seconds) as seconds, sum(frames) as frames, count(seconds) as timed
        from results group by id)""",
    ).fetchall()
    versions = [version for (version,) in query(results, _VERSIONS).fetchall()]
    twice = f'; {again:,} were tried twice, {lost:,} of them failed' if again else ''
    yield f'videos: {number:,}, ok: {number - failed:,}, failed: {failed:,}{twice}'
    if seconds:
        rate = f', {frames / seconds:,.1f} frames/s' if frames else ''
        each = f'{3600 * timed / seconds:,.0f} videos/h'
        watched = f', {frames:,} frames' if frames else ''
        yield f'{_as_time(seconds)} of work{watched}: a worker does {each}{rate}'
    made_by = ', '.join(f'mmotion {version}' for version in versions)
    if len(versions) > 1:
        made_by += ', which may not give the same'
    told = [f'{name} {show(run[name])}' for name in ('config', 'checkpoint') if run.get(name)]
    if made_by or told:
        yield f'made by: {", ".join([made_by, *told] if made_by else told)}'
    yield from _list_failed(results) if failed else ()
    slowest = query(
        results,
        f"""select seconds, frames, video from results where seconds is not null
        order by seconds desc limit {SHOWN}""",
    ).fetchall()
    if len(slowest) > 1:
        yield '\nslowest:'
        for taken_s, number, video in slowest:
            frames = f'{number:,} frames' if number is not None else ''
            yield f'  {_as_time(taken_s):>9}  {frames:>16}  {show(video)}'


def _list_failed(results: dataset.Dataset) -> Iterator[str]:
    groups = group_reasons(results)
    yield '\nfailed:'
    for number, reason, video in groups[:SHOWN]:
        yield f'  {number:>7,}  {show(reason or "no reason is told")}'
        yield f'           such as {show(video)}'
    if len(groups) > SHOWN:
        rest = sum(number for number, _, _ in groups[SHOWN:])
        yield f'  {rest:>7,}  for {len(groups) - SHOWN} other reasons; --failed lists all'


def _as_time(seconds: float) -> str:
    """Seconds for people.

    Example:
        >>> _as_time(0.5), _as_time(90), _as_time(600), _as_time(36000)
        ('0.50 s', '90 s', '10.0 min', '10.0 h')
    """
    if seconds < 120:
        return f'{seconds:.2f} s' if seconds < 10 else f'{seconds:.0f} s'
    return f'{seconds / 60:,.1f} min' if seconds < 7200 else f'{seconds / 3600:,.1f} h'
