#!/usr/bin/env bash
# A pyarrow dataset that was read once takes a whole file for a corrupt one after it was replaced.
#
# Expected: a table of results in Parquet grows while a run over many videos goes on, each time by a
#   whole new file that takes the place of the old one (os.replace). Who asks an open Dataset again
#   gets the rows of the old file or those of the new one.
# Seen: pyarrow 26.0.1, DuckDB 2.0.1, Python 3.11: the Dataset has kept the footer of the first
#   scan, and looks in the new file where the columns of the old one were. to_table raises OSError:
#   "Unexpected end of stream: Page was smaller ... than expected", "Couldn't deserialize thrift" or
#   "Invalid column metadata (corrupt file?)", with and without compression; count_rows goes on to
#   say the old number. The file is whole: a new Dataset, and DuckDB that reads the path, have all
#   its rows. The guess before this script was that numbers without compression come back wrong and
#   without an error, which did not happen for any of these files.
# Here: each question opens the files anew, and open_results says so.
set -euo pipefail
unset PYTHONPATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet pyarrow==26.0.1 duckdb==2.0.1 numpy==2.4.6
cd "$work"
venv/bin/python - <<'EOF'
import os

import duckdb
import numpy as np
import pyarrow as pa
from pyarrow import dataset, parquet


def write(rows, **options):
    table = pa.table({'video': np.arange(rows), 'score': np.arange(rows) / 10})
    parquet.write_table(table, 'next.parquet', **options)
    os.replace('next.parquet', 'part.parquet')


for options in ({}, {'compression': 'zstd'}, {'compression': 'none', 'use_dictionary': False}):
    for before, after in ((1000, 1001), (1000, 3000), (3000, 1000)):
        write(before, **options)
        opened = dataset.dataset('part.parquet')
        assert opened.to_table().num_rows == before
        write(after, **options)
        errors = []
        for column in ('video', 'score'):
            try:
                opened.to_table(columns=[column])
            except OSError as error:
                errors.append(str(error).split(':')[0])
        print(options, before, after, opened.count_rows(), errors)
        # {} 1000 1001 1000 ['Unexpected end of stream', "Couldn't deserialize thrift"]
        assert len(errors) == 2 and opened.count_rows() == before
        assert dataset.dataset('part.parquet').to_table().num_rows == after
        assert duckdb.sql("select count(*) from 'part.parquet'").fetchall() == [(after,)]
EOF
