"""Small results of a corpus, as a run writes them."""

import json

from pyarrow import parquet

from mmotion.corpus.store import RUN, make_table


def make_row(name, status='ok', **more):
    """A row of a video."""
    row = {'id': name, 'video': f'/videos/{name}.mp4', 'start_s': 0.0, 'status': status}
    return {**row, 'seconds': 1.0, 'attempts': 1, 'version': '0.2.0', **more}


def write_part(folder, number, *rows):
    """Write a file of results."""
    folder.mkdir(exist_ok=True)
    path = folder / f'part-{number:05d}.parquet'
    parquet.write_table(make_table(rows), path)
    return path


def write_run(folder, **told):
    """Write what made them."""
    folder.mkdir(exist_ok=True)
    (folder / RUN).write_text(json.dumps(told))
