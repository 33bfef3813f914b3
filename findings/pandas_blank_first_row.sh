#!/usr/bin/env bash
# pandas cannot read back its own CSV if the columns have several levels and the first row is empty.
#
# Expected: a row of NaN comes back as a row of NaN. Pose files have such rows: DeepLabCut's CSV has
#   three lines of header, and a row for each frame, empty where nothing was found.
# Seen: pandas 3.1.1 (also numpy 2.4.6, Python 3.11), engines c and python: the empty first row is
#   taken for the names of the index levels. It is gone, without a warning, the index is called '0',
#   and whoever counts rows is one frame early from there on. Only the first row matters; a row with
#   the text nan instead of nothing is read.
# Here: exports write nan, and a test reads them back with pandas.
set -euo pipefail
unset PYTHONPATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet pandas==3.1.1 numpy==2.4.6
cd "$work"
venv/bin/python - <<'EOF'
import numpy as np
import pandas as pd

columns = pd.MultiIndex.from_product(
    [['net'], ['nose'], ['x', 'y', 'likelihood']], names=['scorer', 'bodyparts', 'coords']
)
written = pd.DataFrame([[np.nan] * 3, [1.0, 2.0, 0.5], [np.nan] * 3, [3.0, 4.0, 0.5]], columns=columns)
written.to_csv('blank.csv')
written.to_csv('nan.csv', na_rep='nan')
for engine in ('c', 'python'):
    options = {'header': [0, 1, 2], 'index_col': 0, 'engine': engine}
    blank, nan = (pd.read_csv(name, **options) for name in ('blank.csv', 'nan.csv'))
    print(f'{engine}: {len(written)} rows written, {len(blank)} read, index {blank.index.name!r}')
    # c: 4 rows written, 3 read, index '0'
    # python: 4 rows written, 3 read, index '0'
    assert blank.index.tolist() == [1, 2, 3] and blank.index.name == '0'
    pd.testing.assert_frame_equal(nan, written, check_index_type=False)
EOF
