"""Results that `mmotion predict` wrote one a video, as a table like that of a corpus run.

They are JSON files with a record of what they were made from (`mmotion.inference.records`), and a
`summary.csv` of the last run (`mmotion.inference.summary`). A video in parts of the picture has a
row for each of them, the first of which has its seconds.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from mmotion.corpus.store import make_table
from mmotion.inference.records import read_record
from mmotion.inference.summary import NAME
from mmotion.tables import Row, read_table

# what a spreadsheet must not run has a quote before it
_FORMULA = ('=', '+', '-', '@')
# columns of a summary that are called otherwise in a corpus, or are read apart
_READ_APART = ('video', 'status', 'taken_s', 'reason')


def read_single_results(path: Path) -> pa.Table:
    """Read a folder of results, or a summary alone.

    Args:
        path: A folder, whose complete results are read and what failed in the last run; or a
            `summary.csv`.

    Raises:
        ValueError: If there are no results.
        FileNotFoundError: If there is no such file or folder.
    """
    if not path.exists():
        raise FileNotFoundError(f'results must be a file or folder that is there, got {path}')
    summary = path / NAME if path.is_dir() else path
    told = list(_read_summary(summary)) if summary.is_file() else []
    if path.is_dir():
        # of a video that was predicted again, and failed, the earlier result is still there
        seconds = {Path(row['id']).resolve(): row['seconds'] for row in told if 'seconds' in row}
        failed = [row for row in told if row['status'] == 'failed']
        gone = {Path(row['id']).resolve() for row in failed}
        done = [row for row in _read_records(path, seconds) if Path(row['id']) not in gone]
        told = done + failed
    if not told:
        raise ValueError(
            f'results must be a folder that "mmotion predict" has written, or its {NAME}, got '
            f'{path} without a result'
        )
    return make_table(told)


def _read_records(folder: Path, seconds: dict[Path, float]) -> Iterator[dict[str, Any]]:
    for file in sorted(folder.glob('*.json')):
        record = read_record(file)
        if record is None:
            continue
        video = str(record.source['path'])
        own: dict[str, Any] = {'id': video, 'video': video, 'status': 'ok'}
        own['version'] = record.settings.get('version')
        for number, row in enumerate(record.rows or ({},)):
            yield {**own, 'seconds': None if number else seconds.get(Path(video)), **row}


def _read_summary(path: Path) -> Iterator[dict[str, Any]]:
    seen: set[str] = set()
    for row in read_table(path, ['video', 'status'], what='a summary', may_be_empty=True):
        video = _unquote(row.text('video'))
        own: dict[str, Any] = {'id': video, 'video': video}
        # what a run that went on had found done
        own['status'] = 'failed' if row.text('status') == 'failed' else 'ok'
        own['reason'] = _unquote(row.text('reason')) or None
        if row.text('taken_s') and video not in seen:
            own['seconds'] = row.number('taken_s')
        seen.add(video)
        yield own | {name: _parse(row, name) for name in row.values if name not in _READ_APART}


def _parse(row: Row, name: str) -> Any:
    text = row.text(name)
    try:
        return float(text) if text else None
    except ValueError:
        return _unquote(text)


def _unquote(text: str) -> str:
    is_quoted = text.startswith("'") and text[1:].startswith(_FORMULA)
    return text[1:] if is_quoted else text
